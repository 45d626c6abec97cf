//! How far a sync is.

use super::Output;
use crate::Failure;
use codis_proto::admin::v1 as api;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::time::Duration;

/// A bar on a terminal, lines elsewhere.
pub(crate) struct SyncBar<'a> {
    output: &'a Output,
    addr: String,
    bar: ProgressBar,
    last: Option<api::SyncProgress>,
}

impl<'a> SyncBar<'a> {
    /// The progress of `addr`, which has not begun.
    pub(crate) fn new(output: &'a Output, addr: &str) -> Self {
        let shown = output.is_for_people() && std::io::stderr().is_terminal();
        let target =
            if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { output, addr: addr.to_owned(), bar, last: None }
    }

    /// Shows a step.
    pub(crate) fn show(&mut self, step: &api::SyncProgress) -> Result<(), Failure> {
        if self.last.as_ref() == Some(step) {
            return Ok(());
        }
        let text = words(&self.addr, step);
        if step.total_bytes > 0 {
            let style = ProgressStyle::with_template(
                "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}, {eta} left",
            );
            self.bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            self.bar.set_length(step.total_bytes);
            self.bar.set_position(step.total_bytes.saturating_sub(step.left_bytes));
        }
        self.bar.set_message(text.clone());
        let same_phase = self.last.as_ref().is_some_and(|last| last.phase == step.phase);
        self.last = Some(*step);
        let done = step.phase() == api::sync_progress::Phase::Done;
        // A line for each step of the bar would be too many.
        if self.output.is_for_people() && (done || same_phase || !self.bar.is_hidden()) {
            return Ok(());
        }
        if self.output.is_for_people() {
            self.output.said(&text);
            return Ok(());
        }
        self.output.line("codis.admin.v1.SyncProgress", step, || text)
    }

    /// Says how it ended.
    pub(crate) fn finish(self, done: bool) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        let addr = &self.addr;
        self.output.said(&match done {
            true => format!("{addr} follows its master"),
            false => {
                format!("{addr} is being synced; `codis-admin group list` shows how far it is")
            }
        });
        Ok(())
    }
}

fn words(addr: &str, step: &api::SyncProgress) -> String {
    use api::sync_progress::Phase;
    match step.phase() {
        Phase::Waiting => format!("{addr} waits: another server of its group is being synced"),
        Phase::Copying | Phase::Unspecified => format!("{addr} copies its master's data"),
        Phase::Done => format!("{addr} follows its master"),
    }
}
