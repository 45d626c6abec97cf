//! The real `codis-admin`, and the client under it, against a group that can be told to misbehave.

mod command_line;
mod fake;
mod members;
mod moves;
mod retries;

use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The standard output as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that it was done.
    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// Checks that it failed, and said so on stderr alone.
    #[track_caller]
    pub(crate) fn failed(self) -> Self {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        assert_ne!(self.stderr, "", "{self:?}");
        self
    }
}

/// `codis-admin` with nothing of this process's environment, so that a setting of the developer's changes no test.
pub(crate) fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_codis-admin"));
    command.args(words).env_clear().stdin(Stdio::null());
    command
}

pub(crate) fn admin(words: &[&str]) -> Ended {
    finished(&command(words).output().expect("it starts"))
}

/// `codis-admin --meta=ADDRESSES WORDS...`, the words split at blanks.
pub(crate) fn at(addresses: &str, line: &str) -> Ended {
    let meta = format!("--meta={addresses}");
    let words: Vec<&str> = std::iter::once(meta.as_str()).chain(line.split_whitespace()).collect();
    admin(&words)
}

pub(crate) fn finished(output: &Output) -> Ended {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}
