//! The question before what cannot be undone.

use crate::Failure;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

/// What an operator says to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
    /// There is no terminal.
    NobodyToAsk,
}

/// Goes on where `given` (--confirm), or where the operator says yes at a terminal.
///
/// # Errors
/// They said no, or nobody could be asked.
pub(crate) fn ask(what: &str, given: bool) -> Result<(), Failure> {
    match answer(what, given)? {
        Answer::Yes => Ok(()),
        Answer::No => Err(Failure::Said("nothing was done".to_owned())),
        Answer::NobodyToAsk => {
            Err(Failure::Said(format!("{what}: give --confirm to do it without a question")))
        }
    }
}

/// What the operator says, who has said yes already where `given`.
///
/// # Errors
/// The terminal is broken.
pub(crate) fn answer(what: &str, given: bool) -> Result<Answer, Failure> {
    if given {
        return Ok(Answer::Yes);
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(Answer::NobodyToAsk);
    }
    eprint!("{what}. Go on? [y/N] ");
    let failed =
        |error: std::io::Error| Failure::Said(format!("the question cannot be asked: {error}"));
    std::io::stderr().flush().map_err(failed)?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).map_err(failed)?;
    Ok(if is_yes(&answer) { Answer::Yes } else { Answer::No })
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
