//! The command line. Each command's part is in a file of its own.

mod check;
mod cluster;
mod run;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The command line of `codis-loadtest`.
#[derive(Debug, Parser)]
#[command(
    name = "codis-loadtest",
    version,
    about = "Loads what speaks RESP, and checks what it answers",
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Load servers, and show throughput and latencies
    Run(Box<run::Options>),
    /// Let many clients work, and check that what they saw can be explained
    Check(Box<check::Options>),
    /// Start a whole cluster on this machine: servers, metadata group, proxies
    Cluster(cluster::Options),
}

/// Something that went wrong, in a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);

impl Failure {
    /// Makes a sentence of an error.
    fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl Cli {
    /// Does what was asked for.
    ///
    /// # Errors
    /// A sentence about what went wrong.
    pub fn execute(self) -> Result<ExitCode, Failure> {
        match self.command {
            Command::Run(options) => run::execute(*options),
            Command::Check(options) => check::execute(&options),
            Command::Cluster(options) => cluster::execute(&options),
        }
    }
}

/// A time such as `30s`, `1.5m`, `200ms` or a number of seconds.
pub(crate) fn duration(text: &str) -> Result<std::time::Duration, String> {
    let units = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let unit = units.iter().find_map(|(name, seconds)| Some((text.strip_suffix(name)?, *seconds)));
    let (number, seconds) = unit.unwrap_or((text, 1.0));
    let wrong = || format!("`{text}` is no time: give 500ms, 30s, 5m, or a number of seconds");
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let time = std::time::Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())?;
    if time > std::time::Duration::from_secs(30 * 24 * 3600) { Err(wrong()) } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    use super::{Cli, duration};
    use clap::CommandFactory as _;
    use std::time::Duration;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_are_read_with_and_without_a_unit() {
        let read = |text: &str| duration(text).ok();
        assert_eq!(read("200ms"), Some(Duration::from_millis(200)));
        assert_eq!(read("1.5m"), Some(Duration::from_secs(90)));
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        for text in ["", "s", "-1s", "1x", "1e30s"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
