//! `docs/commands.md`.

use crate::generate::{Class, Row};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The page's head.
const HEAD: &str = "\
# Commands

Made by `cargo run -p codis-proxy --example gen_commands -- HOST:PORT ...` from what these answer to `COMMAND`: SERVERS;
and from `proxy/examples/gen_commands/classes.rs`. A test compares it with a running server.

- **yes**: as one Redis server would answer. Where a command names several keys, they must be in one
  slot (give them the same hash tag: `user:{42}:name`, `user:{42}:mail`), else the answer is
  `CROSSSLOT`.
- **differs**: works, with the difference that is named.
- **no**: answered with an error that says why; the connection stays open.

";

/// The page.
pub(crate) fn page(servers: &str, rows: &[Row]) -> String {
    let mut out = HEAD.replace("SERVERS", servers);
    let mut groups: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    // A container without a form of its own is no command that anyone can send.
    for row in rows.iter().filter(|(fact, class)| fact.subcommands == 0 || class.supported()) {
        let group = match row.0.doc("group") {
            "" => "module",
            group => group,
        };
        groups.entry(group).or_default().push(row);
    }
    let total: usize = groups.values().map(Vec::len).sum();
    let supported = groups.values().flatten().filter(|row| row.1.supported()).count();
    let _ = writeln!(out, "{supported} of {total} commands and subcommands are supported.");
    for (group, rows) in groups {
        let _ = writeln!(out, "\n## {group}\n\n| command | supported | notes |\n|---|---|---|");
        for (fact, class) in rows {
            let name = fact.name.to_uppercase().replace('|', " ");
            let note = note(class);
            let _ = writeln!(out, "| {name} | {} | {note} |", answer(class));
        }
    }
    out
}

/// Whether clients can use it.
fn answer(class: &Class) -> &'static str {
    match (class.supported(), class.note.is_empty()) {
        (false, _) => "no",
        (true, true) => "yes",
        (true, false) => "differs",
    }
}

/// What else there is to say.
fn note(class: &Class) -> String {
    match (class.route.as_str(), class.note.as_str()) {
        ("Route::Keys", "") => "all keys in one slot".to_owned(),
        ("Route::Local(Local::Help)", _) => "Redis's own text".to_owned(),
        (_, note) => note.to_owned(),
    }
}
