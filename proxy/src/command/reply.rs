//! The answers to COMMAND and its subcommands, and to the HELP of every container, in RESP2.

use super::entries::{entry, header};
use super::getkeys::key_uses;
use super::lookup::{arity_fits, by_full_name, resolve};
use super::{COMMANDS, CommandId, Flags, KeyFlags, Local, LookupError, Route, glob};
use crate::resp::Request;

/// Appends the reply, if this is one of the commands that the table can answer: COMMAND and its
/// subcommands, and HELP. Returns whether it is.
pub fn reply(local: Local, request: &Request<'_>, out: &mut Vec<u8>) -> bool {
    match local {
        Local::Command => infos(request, 1, out),
        Local::CommandInfo => infos(request, 2, out),
        Local::CommandDocs => docs(request, out),
        Local::CommandCount => integer(top_level().count(), out),
        Local::CommandList => list(request, out),
        Local::CommandGetKeys => get_keys(request, false, out),
        Local::CommandGetKeysAndFlags => get_keys(request, true, out),
        Local::Help => help(request, out),
        _ => return false,
    }
    true
}

/// Whether clients are told of the command: they can use it, or a subcommand besides HELP.
fn shown(id: CommandId) -> bool {
    let command = id.command();
    match command.route {
        Route::Local(Local::Help) => command
            .name
            .split_once('|')
            .and_then(|(container, _)| by_full_name(container.as_bytes()))
            .is_some_and(shown),
        Route::Unsupported => subcommands(id).any(|sub| {
            !matches!(sub.command().route, Route::Unsupported | Route::Local(Local::Help))
        }),
        _ => true,
    }
}

/// The entries after a container's own that are its subcommands.
fn subcommands(id: CommandId) -> impl Iterator<Item = CommandId> {
    (id.0 + 1..id.0 + 1 + id.command().subcommands).map(CommandId)
}

/// Every command that clients are told of and that is no subcommand.
fn top_level() -> impl Iterator<Item = CommandId> {
    let ids = (0..COMMANDS.len() as u16).map(CommandId);
    ids.filter(|id| !id.command().name.contains('|') && shown(*id))
}

/// COMMAND and COMMAND INFO, the names from argument `from` on; all commands if there is none.
fn infos(request: &Request<'_>, from: usize, out: &mut Vec<u8>) {
    if request.len() <= from {
        array(top_level().count(), out);
        top_level().for_each(|id| info(id, out));
        return;
    }
    array(request.len() - from, out);
    for i in from..request.len() {
        match by_full_name(request.arg(i)).filter(|id| shown(*id)) {
            Some(id) => info(id, out),
            None => out.extend_from_slice(b"$-1\r\n"),
        }
    }
}

/// The INFO entry of one command, its subcommands nested.
fn info(id: CommandId, out: &mut Vec<u8>) {
    let info = entry(id).info;
    let nested = subcommands(id).filter(|id| shown(*id)).count();
    if nested == 0 {
        out.extend_from_slice(info);
        return;
    }
    out.extend_from_slice(info.strip_suffix(b"*0\r\n").unwrap_or(info));
    array(nested, out);
    for id in subcommands(id).filter(|id| shown(*id)) {
        out.extend_from_slice(entry(id).info);
    }
}

/// COMMAND DOCS; unknown names are left out.
fn docs(request: &Request<'_>, out: &mut Vec<u8>) {
    let named = (2..request.len()).filter_map(|i| by_full_name(request.arg(i)));
    let ids: Vec<CommandId> = if request.len() == 2 {
        top_level().collect()
    } else {
        named.filter(|id| shown(*id)).collect()
    };
    array(ids.len() * 2, out);
    ids.into_iter().for_each(|id| doc(id, out));
}

/// The name and DOCS map of one command, its subcommands nested.
fn doc(id: CommandId, out: &mut Vec<u8>) {
    bulk(id.command().name.as_bytes(), out);
    let mut map = entry(id).docs;
    let nested: Vec<CommandId> = subcommands(id).filter(|id| shown(*id)).collect();
    if nested.is_empty() {
        out.extend_from_slice(map);
        return;
    }
    let (_, count) = header(&mut map);
    array(count as usize + 2, out);
    out.extend_from_slice(map);
    bulk(b"subcommands", out);
    array(nested.len() * 2, out);
    for id in nested {
        bulk(id.command().name.as_bytes(), out);
        out.extend_from_slice(entry(id).docs);
    }
}

/// COMMAND LIST, with its filters.
fn list(request: &Request<'_>, out: &mut Vec<u8>) {
    let is = |i: usize, word: &[u8]| request.arg(i).eq_ignore_ascii_case(word);
    let all = (0..COMMANDS.len() as u16).map(CommandId).filter(|id| shown(*id));
    let names: Vec<CommandId> = match request.len() {
        2 => all.collect(),
        5 if is(2, b"filterby") && is(3, b"module") => Vec::new(),
        5 if is(2, b"filterby") && is(3, b"aclcat") => {
            all.filter(|id| in_category(*id, request.arg(4))).collect()
        }
        5 if is(2, b"filterby") && is(3, b"pattern") => {
            let matches =
                |id: &CommandId| glob::matches(request.arg(4), id.command().name.as_bytes());
            all.filter(matches).collect()
        }
        _ => return error("ERR syntax error", out),
    };
    array(names.len(), out);
    names.iter().for_each(|id| bulk(id.command().name.as_bytes(), out));
}

/// Whether the command is of the ACL category, given without `@`.
fn in_category(id: CommandId, category: &[u8]) -> bool {
    if !category.iter().all(u8::is_ascii_alphanumeric) {
        return false;
    }
    let line = [b"\r\n+@", category.to_ascii_lowercase().as_slice(), b"\r\n"].concat();
    memchr::memmem::find(entry(id).info, &line).is_some()
}

/// HELP, in the words of a real server.
fn help(request: &Request<'_>, out: &mut Vec<u8>) {
    if let Ok(id) = resolve(request) {
        out.extend_from_slice(entry(id).help);
    }
}

/// COMMAND GETKEYS and GETKEYSANDFLAGS; the request in question stands from argument 2 on.
fn get_keys(request: &Request<'_>, with_flags: bool, out: &mut Vec<u8>) {
    let inner = Request { bytes: request.bytes, args: &request.args[2..] };
    let id = match resolve(&inner) {
        Ok(id) | Err(LookupError::WrongArity(id)) => id,
        Err(_) => return error("ERR Invalid command specified", out),
    };
    let command = id.command();
    if command.specs.iter().all(|spec| spec.flags.any(KeyFlags::NOT_KEY)) {
        return error("ERR The command has no key arguments", out);
    }
    if !arity_fits(id, inner.len()) {
        return error("ERR Invalid number of arguments specified for command", out);
    }
    let uses = key_uses(id, &inner);
    if uses.is_empty() && !command.flags.any(Flags::NO_MANDATORY_KEYS) {
        return error("ERR Invalid arguments specified for command", out);
    }
    array(uses.len(), out);
    for (at, flags) in uses {
        if with_flags {
            array(2, out);
        }
        bulk(inner.arg(at as usize), out);
        if with_flags {
            let names = KeyFlags::NAMES.iter().filter(|(flag, _)| flags.any(*flag));
            array(names.clone().count(), out);
            names.for_each(|(_, name)| out.extend_from_slice(format!("+{name}\r\n").as_bytes()));
        }
    }
}

/// The head of an array.
fn array(count: usize, out: &mut Vec<u8>) {
    number(b'*', count, out);
}

/// An integer.
fn integer(value: usize, out: &mut Vec<u8>) {
    number(b':', value, out);
}

/// A bulk string.
fn bulk(bytes: &[u8], out: &mut Vec<u8>) {
    number(b'$', bytes.len(), out);
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// A line of a kind and a number.
fn number(kind: u8, number: usize, out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// An error.
fn error(text: &str, out: &mut Vec<u8>) {
    out.push(b'-');
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}
