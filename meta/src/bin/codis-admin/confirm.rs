//! The question before what cannot be undone.

use crate::Failure;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

/// Goes on where `given` (--confirm), or where the operator says yes at a terminal.
///
/// # Errors
/// They said no, or nobody could be asked.
pub(crate) fn ask(what: &str, given: bool) -> Result<(), Failure> {
    if given {
        return Ok(());
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::Said(format!("{what}: give --confirm to do it without a question")));
    }
    eprint!("{what}. Go on? [y/N] ");
    let failed =
        |error: std::io::Error| Failure::Said(format!("the question cannot be asked: {error}"));
    std::io::stderr().flush().map_err(failed)?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).map_err(failed)?;
    if is_yes(&answer) { Ok(()) } else { Err(Failure::Said("nothing was done".to_owned())) }
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        assert!(is_yes("y\n") && is_yes("Yes\n") && is_yes(" YES "));
        assert!(!is_yes("\n") && !is_yes("n\n") && !is_yes("yep\n") && !is_yes(""));
    }
}
