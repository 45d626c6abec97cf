//! codis-admin, as an operator runs it.

use crate::split_words;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The operator's command line, with the members that it asks.
#[derive(Debug, Clone)]
pub struct Admin {
    binary: PathBuf,
    members: Vec<String>,
    auth: Option<String>,
    ca: Option<PathBuf>,
}

/// What a run of [`Admin`] came to.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub out: String,
    /// What it printed about what went wrong.
    pub err: String,
}

impl Admin {
    /// An operator of the group of these members.
    #[must_use]
    pub fn new(binary: &Path, members: &[String]) -> Self {
        Self { binary: binary.to_owned(), members: members.to_vec(), auth: None, ca: None }
    }

    /// The same with a token.
    #[must_use]
    pub fn with_auth(mut self, auth: &str) -> Self {
        self.auth = Some(auth.to_owned());
        self
    }

    /// The same that speaks in cipher with members whose certificates are of this authority.
    #[must_use]
    pub fn with_ca(mut self, ca: &Path) -> Self {
        self.ca = Some(ca.to_owned());
        self
    }

    /// Runs a command, written as one would type it after `codis-admin --meta=...`.
    ///
    /// # Panics
    /// When the program cannot be run.
    #[must_use]
    pub fn try_run(&self, line: &str) -> Ran {
        let mut command = Command::new(&self.binary);
        command.arg(format!("--meta={}", self.members.join(",")));
        if let Some(auth) = &self.auth {
            command.arg(format!("--auth={auth}"));
        }
        if let Some(ca) = &self.ca {
            command.arg("--tls-ca").arg(ca);
        }
        let output = command
            .args(split_words(line))
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", self.binary.display()));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        Ran { code: output.status.code(), out, err }
    }

    /// Runs a command and returns what it printed.
    ///
    /// # Panics
    /// When it fails; with what it said.
    pub fn run(&self, line: &str) -> String {
        let Ran { code, out, err } = self.try_run(line);
        assert!(code == Some(0), "`codis-admin {line}` ended with {code:?}: {err}{out}");
        out
    }

    /// Runs a command that must fail, and returns what it said.
    ///
    /// # Panics
    /// When it does not end with the exit code 1.
    pub fn refused(&self, line: &str) -> String {
        let Ran { code, out, err } = self.try_run(line);
        assert!(
            code == Some(1),
            "`codis-admin {line}` ended with {code:?}, not with 1: {err}{out}"
        );
        err
    }
}
