//! The answers to COMMAND and its subcommands, and to the HELP of every container, in either protocol.

use super::entries::{self, entry, header};
use super::getkeys::key_uses;
use super::lookup::{arity_fits, by_full_name, resolve};
use super::{COMMANDS, CommandId, Flags, KeyFlags, Local, LookupError, Route, glob};
use crate::resp::write::{array, bulk, error, integer, map, null, set};
use crate::resp::{Protocol, Request};

/// Appends the reply, if this is one of the commands that the table can answer: COMMAND and its
/// subcommands, and HELP. Returns whether it is.
pub fn reply(local: Local, request: &Request<'_>, protocol: Protocol, out: &mut Vec<u8>) -> bool {
    match local {
        Local::Command => infos(request, 1, protocol, out),
        Local::CommandInfo => infos(request, 2, protocol, out),
        Local::CommandDocs => docs(request, protocol, out),
        Local::CommandCount => integer(out, top_level().count() as i64),
        Local::CommandList => list(request, out),
        Local::CommandGetKeys => get_keys(request, false, protocol, out),
        Local::CommandGetKeysAndFlags => get_keys(request, true, protocol, out),
        Local::Help => help(request, protocol, out),
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
fn infos(request: &Request<'_>, from: usize, protocol: Protocol, out: &mut Vec<u8>) {
    if request.len() <= from {
        array(out, top_level().count());
        top_level().for_each(|id| info(id, protocol, out));
        return;
    }
    array(out, request.len() - from);
    for i in from..request.len() {
        match by_full_name(request.arg(i)).filter(|id| shown(*id)) {
            Some(id) => info(id, protocol, out),
            None => null(out, protocol),
        }
    }
}

/// The INFO entry of one command, its subcommands nested.
fn info(id: CommandId, protocol: Protocol, out: &mut Vec<u8>) {
    let info = entry(id).info;
    let nested = subcommands(id).filter(|id| shown(*id)).count();
    if nested == 0 {
        return entries::write(info, protocol, out);
    }
    // As in Redis: no subcommands are an empty set, and some are an array.
    entries::write(info.strip_suffix(b"~0\r\n").unwrap_or(info), protocol, out);
    array(out, nested);
    for id in subcommands(id).filter(|id| shown(*id)) {
        entries::write(entry(id).info, protocol, out);
    }
}

/// COMMAND DOCS; unknown names are left out.
fn docs(request: &Request<'_>, protocol: Protocol, out: &mut Vec<u8>) {
    let named = (2..request.len()).filter_map(|i| by_full_name(request.arg(i)));
    let ids: Vec<CommandId> = if request.len() == 2 {
        top_level().collect()
    } else {
        named.filter(|id| shown(*id)).collect()
    };
    map(out, protocol, ids.len());
    ids.into_iter().for_each(|id| doc(id, protocol, out));
}

/// The name and DOCS map of one command, its subcommands nested.
fn doc(id: CommandId, protocol: Protocol, out: &mut Vec<u8>) {
    bulk(out, id.command().name.as_bytes());
    let mut fields = entry(id).docs;
    let nested: Vec<CommandId> = subcommands(id).filter(|id| shown(*id)).collect();
    if nested.is_empty() {
        return entries::write(fields, protocol, out);
    }
    let (_, count) = header(&mut fields);
    map(out, protocol, count as usize + 1);
    entries::write(fields, protocol, out);
    bulk(out, b"subcommands");
    map(out, protocol, nested.len());
    for id in nested {
        bulk(out, id.command().name.as_bytes());
        entries::write(entry(id).docs, protocol, out);
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
            all.filter(|id| is_in_category(*id, request.arg(4))).collect()
        }
        5 if is(2, b"filterby") && is(3, b"pattern") => {
            let matches =
                |id: &CommandId| glob::matches(request.arg(4), id.command().name.as_bytes());
            all.filter(matches).collect()
        }
        _ => return error(out, "ERR syntax error"),
    };
    array(out, names.len());
    names.iter().for_each(|id| bulk(out, id.command().name.as_bytes()));
}

/// The ACL categories, in Redis's order.
pub const CATEGORIES: [&str; 21] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

/// The commands of an ACL category, given without `@`.
pub fn in_category(category: &str) -> impl Iterator<Item = CommandId> {
    let all = (0..COMMANDS.len() as u16).map(CommandId);
    all.filter(move |id| is_in_category(*id, category.as_bytes()))
}

/// Whether the command is of the ACL category, given without `@`.
fn is_in_category(id: CommandId, category: &[u8]) -> bool {
    if !category.iter().all(u8::is_ascii_alphanumeric) {
        return false;
    }
    let line = [b"\r\n+@", category.to_ascii_lowercase().as_slice(), b"\r\n"].concat();
    memchr::memmem::find(entry(id).info, &line).is_some()
}

/// HELP, in the words of a real server.
fn help(request: &Request<'_>, protocol: Protocol, out: &mut Vec<u8>) {
    if let Ok(id) = resolve(request) {
        entries::write(entry(id).help, protocol, out);
    }
}

/// COMMAND GETKEYS and GETKEYSANDFLAGS; the request in question stands from argument 2 on.
fn get_keys(request: &Request<'_>, with_flags: bool, protocol: Protocol, out: &mut Vec<u8>) {
    let inner = Request { bytes: request.bytes, args: &request.args[2..] };
    let id = match resolve(&inner) {
        Ok(id) | Err(LookupError::WrongArity(id)) => id,
        Err(_) => return error(out, "ERR Invalid command specified"),
    };
    let command = id.command();
    if command.specs.iter().all(|spec| spec.flags.any(KeyFlags::NOT_KEY)) {
        return error(out, "ERR The command has no key arguments");
    }
    if !arity_fits(id, inner.len()) {
        return error(out, "ERR Invalid number of arguments specified for command");
    }
    let uses = key_uses(id, &inner);
    if uses.is_empty() && !command.flags.any(Flags::NO_MANDATORY_KEYS) {
        return error(out, "ERR Invalid arguments specified for command");
    }
    array(out, uses.len());
    for (at, flags) in uses {
        if with_flags {
            array(out, 2);
        }
        bulk(out, inner.arg(at as usize));
        if with_flags {
            let names = KeyFlags::NAMES.iter().filter(|(flag, _)| flags.any(*flag));
            set(out, protocol, names.clone().count());
            names.for_each(|(_, name)| out.extend_from_slice(format!("+{name}\r\n").as_bytes()));
        }
    }
}
