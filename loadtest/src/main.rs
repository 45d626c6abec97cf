//! `codis-loadtest`, the program.

use clap::Parser as _;
use codis_loadtest::cli::Cli;
use std::process::ExitCode;

#[allow(clippy::print_stderr, reason = "what went wrong is said there")]
fn main() -> ExitCode {
    Cli::parse().execute().unwrap_or_else(|failure| {
        eprintln!("error: {failure}");
        ExitCode::FAILURE
    })
}
