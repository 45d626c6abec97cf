//! Answers to what a client asks of the whole process: Redis's replies, in Redis's words.
//!
//! [`answer`] is the table of contents. Each question has a file; [`reply`] writes replies.
//! Nothing here sends an answer: that is for the loop of the control thread.

mod clients;
mod config;
mod info;
mod reply;
mod slowlog;
#[cfg(test)]
mod tests;

use super::shards::Missing;
use super::state::State;
use crate::messages::Question;
use crate::resp::Protocol;
use std::sync::Arc;

/// Why a question has an error for an answer: the error's line, with its code.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal(String);

impl Refusal {
    /// An error with the general code.
    fn err(what: impl std::fmt::Display) -> Self {
        Self(format!("ERR {what}"))
    }

    /// What Redis says of options that it does not understand.
    fn syntax() -> Self {
        Self::err("syntax error")
    }
}

impl From<Missing> for Refusal {
    fn from(missing: Missing) -> Self {
        Self::err(missing)
    }
}

/// Answers `question` of `client` with one complete reply in its protocol. `args` is the whole request, with the command's name first; its
/// arity has been checked.
pub(super) async fn answer(
    state: &Arc<State>,
    question: Question,
    args: &[Vec<u8>],
    client: u64,
    protocol: Protocol,
) -> Vec<u8> {
    // What follows the command's name, and what follows the subcommand's.
    let rest = args.get(1..).unwrap_or_default();
    let options = args.get(2..).unwrap_or_default();
    let reply = match question {
        Question::Info => info::info(state, rest, protocol).await,
        Question::ClientList => clients::list(state, options, protocol).await,
        Question::ClientKill => clients::kill(state, options, client).await,
        Question::ClientPause => clients::pause(state, options).await,
        Question::ClientUnpause => clients::unpause(state).await,
        Question::ClientUnblock => clients::unblock(state, options).await,
        Question::ConfigGet => Ok(config::get(state, options, protocol)),
        Question::ConfigSet => config::set(state, options),
        Question::ConfigResetStat => {
            state.reset_stats();
            Ok(reply::ok())
        }
        Question::SlowlogGet => slowlog::get(state, options).await,
        Question::SlowlogLen => slowlog::len(state).await,
        Question::SlowlogReset => Ok(slowlog::reset(state)),
        // It is answered before it comes here.
        Question::Monitor => Err(Refusal::err("MONITOR is not asked for here")),
    };
    reply.unwrap_or_else(|Refusal(line)| reply::error(&line))
}

/// An error for an answer; `line` has its code.
pub(super) fn refusal(line: &str) -> Vec<u8> {
    reply::error(line)
}

/// Whether an argument is `word`, in any case.
fn is(argument: &[u8], word: &str) -> bool {
    argument.eq_ignore_ascii_case(word.as_bytes())
}

/// An argument as text for an error; bytes that are no UTF-8 are replaced.
fn text(argument: &[u8]) -> String {
    String::from_utf8_lossy(argument).into_owned()
}

/// An argument as a whole number, as strictly as Redis reads one: no sign but `-`, no blanks, no
/// leading zeros.
fn integer(argument: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(argument).ok()?;
    text.parse::<i64>().ok().filter(|number| number.to_string() == text)
}
