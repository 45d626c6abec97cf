//! Running codis-loadtest.

use serde_json::Value as Json;
use std::process::{Child, Command, Output, Stdio};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_codis-loadtest");

fn command(args: &[&str]) -> Command {
    // The kernel ends it when a test is killed.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", PROGRAM]).args(args).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn run(args: &[&str]) -> Output {
    command(args).output().unwrap_or_else(|error| panic!("cannot run {PROGRAM}: {error}"))
}

/// Starts it.
pub fn start(args: &[&str]) -> Child {
    let mut command = command(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap_or_else(|error| panic!("cannot run {PROGRAM}: {error}"))
}

/// What it printed where errors go.
pub fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What it printed, as JSON; it has to have ended well.
pub fn json(output: &Output) -> Json {
    assert!(output.status.success(), "{}: {}", output.status, errors(output));
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// A number in JSON.
pub fn number(json: &Json, pointer: &str) -> f64 {
    let found = json.pointer(pointer).and_then(Json::as_f64);
    found.unwrap_or_else(|| panic!("no {pointer} in {json}"))
}
