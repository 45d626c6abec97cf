//! `codis-admin`: the operator's command line.
//!
//! `cli` is what can be typed. `commands` does it: each makes its calls through `codis_meta::client` and hands an
//! answer to `output`, which prints it as a table for people or as JSON for scripts. `confirm` asks before what
//! cannot be undone, `legacy` knows the flags of Codis's own codis-admin. Exit codes: 0 done, 1 failed, 2 not understood.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is its purpose")]

mod cli;
mod commands;
mod confirm;
mod legacy;
mod output;

use clap::{CommandFactory as _, Parser as _};
use cli::{Cli, Command};
use codis_meta::client::ClientError;
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The group, or the way to it.
    #[error(transparent)]
    Call(#[from] ClientError),
    /// Anything else, as a sentence.
    #[error("{0}")]
    Said(String),
}

/// The exit code of a command line that is not understood; clap's own.
const NOT_UNDERSTOOD: u8 = 2;

fn main() -> ExitCode {
    if let Some(advice) = legacy::advice(std::env::args_os().skip(1)) {
        eprintln!("codis-admin: {advice}");
        return ExitCode::from(NOT_UNDERSTOOD);
    }
    // A reader that has seen enough (`| head`) ends this like any other filter.
    let cli = Cli::parse();
    if let Command::Completion { shell } = cli.command {
        clap_complete::generate(shell, &mut Cli::command(), "codis-admin", &mut std::io::stdout());
        return ExitCode::SUCCESS;
    }
    let json = cli.json;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(commands::run(cli)),
        Err(error) => Err(Failure::Said(format!("the system gives no runtime: {error}"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure, json);
            ExitCode::FAILURE
        }
    }
}
