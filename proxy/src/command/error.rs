//! What Redis says of a request that names no command or has the wrong number of arguments.

use super::{CommandId, ids};
use crate::resp::Request;

/// How many bytes of a name, and of all arguments together, an error repeats (as Redis 7).
const SHOWN_BYTES_MAX: usize = 128;

/// Why a request is no valid call of any command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupError {
    /// Argument 0 names no command.
    UnknownCommand,
    /// Argument 0 is a container, but argument 1 is none of its subcommands.
    UnknownSubcommand,
    /// Too few or too many arguments.
    WrongArity(CommandId),
}

impl LookupError {
    /// The error in Redis 7's words, without the leading `-` and the line's end.
    #[must_use]
    pub fn text(self, request: &Request<'_>) -> Vec<u8> {
        let mut text = match self {
            Self::UnknownCommand => unknown_command(request),
            Self::UnknownSubcommand => [
                b"ERR unknown subcommand '",
                shown(request.arg(1), SHOWN_BYTES_MAX),
                b"'. Try ",
                request.arg(0).to_ascii_uppercase().as_slice(),
                b" HELP.",
            ]
            .concat(),
            Self::WrongArity(id) => {
                let name = id.command().name;
                // A malformed EXEC ends the transaction, and says so.
                let kind = match id {
                    ids::EXEC => "EXECABORT Transaction discarded because of:",
                    _ => "ERR",
                };
                format!("{kind} wrong number of arguments for '{name}' command").into_bytes()
            }
        };
        // An argument may hold anything; a line's end would end the reply.
        text.iter_mut().filter(|byte| matches!(byte, b'\r' | b'\n')).for_each(|byte| *byte = b' ');
        text
    }
}

/// The command's name and the first arguments, each cut.
fn unknown_command(request: &Request<'_>) -> Vec<u8> {
    let mut args = Vec::new();
    for i in 1..request.len() {
        if args.len() >= SHOWN_BYTES_MAX {
            break;
        }
        let room = SHOWN_BYTES_MAX - args.len();
        args.push(b'\'');
        args.extend_from_slice(shown(request.arg(i), room));
        args.extend_from_slice(b"' ");
    }
    let name = shown(request.arg(0), SHOWN_BYTES_MAX);
    [b"ERR unknown command '", name, b"', with args beginning with: ", &args].concat()
}

/// At most `bytes_max` of `arg`, and nothing from its first zero byte on, as C prints a string.
fn shown(arg: &[u8], bytes_max: usize) -> &[u8] {
    let arg = &arg[..arg.len().min(bytes_max)];
    memchr::memchr(0, arg).map_or(arg, |end| &arg[..end])
}
