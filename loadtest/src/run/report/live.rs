//! A line each second, over a bar that shows how much of the time has passed.

use super::table::count;
use crate::run::{Plan, Second, Watch};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// Shows a run on standard error while it goes on.
#[derive(Debug)]
pub struct Live {
    bar: ProgressBar,
    quiet: bool,
    /// Where there is no terminal, lines alone.
    is_terminal: bool,
}

impl Live {
    /// Shows nothing when `quiet`.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        Self { bar: ProgressBar::hidden(), quiet, is_terminal }
    }

    #[allow(clippy::print_stderr, reason = "showing it there is what this is for")]
    fn show(&self, text: &str) {
        if self.is_terminal {
            self.bar.println(text);
        } else if !self.quiet {
            eprintln!("{text}");
        }
    }
}

impl Watch for Live {
    fn begins(&mut self, plan: &Plan) {
        if self.quiet || !self.is_terminal {
            return;
        }
        let length = plan.requests.unwrap_or((plan.warmup + plan.duration).as_millis() as u64);
        let style = ProgressStyle::with_template("{elapsed:>5} [{bar:50}] {percent} % {msg}");
        self.bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
        self.bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        if !plan.warmup.is_zero() {
            self.bar.set_message("warming up");
        }
        if plan.requests.is_none() {
            self.bar.enable_steady_tick(Duration::from_millis(200));
        }
    }

    fn second(&mut self, second: &Second) {
        let Second { at, per_second, errors, lost_connections, p50_ms, p99_ms, max_ms } = second;
        let mut text = format!(
            "{at:>4} s {:>11}/s  p50 {p50_ms:.3} ms  p99 {p99_ms:.3} ms  max {max_ms:.3} ms",
            count(*per_second)
        );
        if *errors > 0 {
            text.push_str(&format!("  {errors} errors"));
        }
        if *lost_connections > 0 {
            text.push_str(&format!("  {lost_connections} connections lost"));
        }
        self.bar.set_message("");
        self.show(&text);
        let by_requests = self.bar.length().is_some();
        if by_requests {
            self.bar.inc(0);
        }
    }

    fn ends(&mut self) {
        self.bar.finish_and_clear();
    }
}
