//! What a server says about its commands.

use crate::classes::{ADDED, Added};
use crate::server::{Client, Value};
use std::collections::BTreeSet;
use std::io::{self, Read, Write};

/// One command or subcommand.
pub(crate) struct Fact {
    /// Its name, `container|subcommand` for a subcommand.
    pub(crate) name: String,
    /// `COMMAND INFO`'s entry, without the nested subcommands.
    pub(crate) info: Value,
    /// `COMMAND DOCS`'s map, without the nested subcommands.
    pub(crate) docs: Value,
    /// What a container's HELP answers; on the HELP subcommand only.
    pub(crate) help: Option<Value>,
    /// How many subcommands it has.
    pub(crate) subcommands: usize,
}

impl Fact {
    /// The arity, as Redis counts it.
    pub(crate) fn arity(&self) -> i64 {
        self.info.items()[1].number()
    }

    /// The command's flags.
    pub(crate) fn flags(&self) -> Vec<&str> {
        self.info.items()[2].items().iter().map(Value::text).collect()
    }

    /// The key specs.
    pub(crate) fn specs(&self) -> &[Value] {
        self.info.items()[8].items()
    }

    /// A text of the documentation, such as `summary` or `group`.
    pub(crate) fn doc(&self, key: &str) -> &str {
        self.docs.field(key).map_or("", Value::text)
    }
}

/// The server's version.
pub(crate) fn version<S: Read + Write>(client: &mut Client<S>) -> io::Result<String> {
    let info = client.ask(&["INFO", "server"])?;
    let line = info.text().lines().find_map(|line| line.strip_prefix("redis_version:"));
    line.map(str::to_owned).ok_or_else(|| io::Error::other("INFO names no redis_version"))
}

/// Every command of the server. They are asked for in RESP3, which says more than RESP2.
pub(crate) fn gather<S: Read + Write>(client: &mut Client<S>) -> io::Result<Vec<Fact>> {
    let mut facts = Vec::new();
    client.ask(&["HELLO", "3"])?;
    let entries = client.ask(&["COMMAND"])?;
    for entry in entries.items() {
        let name = entry.items()[0].text();
        let docs = client.ask(&["COMMAND", "DOCS", name])?;
        // A built-in module may have none.
        let none = Value::Map(Vec::new());
        let docs = docs.field(name).unwrap_or(&none);
        let subcommands = entry.items()[9].items();
        facts.push(fact(entry, docs, None));
        for entry in subcommands {
            let name = entry.items()[0].text();
            let docs = docs.field("subcommands").and_then(|all| all.field(name));
            let docs = docs.ok_or_else(|| io::Error::other(format!("no docs: {name}")))?;
            let help = match name.split_once('|') {
                Some((container, "help")) => Some(client.ask(&[container, "HELP"])?),
                _ => None,
            };
            facts.push(fact(entry, docs, help));
        }
    }
    Ok(facts)
}

/// Adds those of a newer server that are not known.
pub(crate) fn merge(facts: &mut Vec<Fact>, newer: Vec<Fact>) {
    let known: BTreeSet<String> = facts.iter().map(|fact| fact.name.clone()).collect();
    for fact in newer.into_iter().filter(|fact| !known.contains(&fact.name)) {
        // A new container has counted its own.
        if let Some((container, _)) = fact.name.split_once('|')
            && let Some(container) = facts.iter_mut().find(|f| f.name == container)
            && known.contains(&container.name)
        {
            container.subcommands += 1;
        }
        facts.push(fact);
    }
}

/// With the commands that the proxy adds, sorted by name: a container's subcommands follow it.
pub(crate) fn with_added(mut facts: Vec<Fact>) -> Vec<Fact> {
    merge(&mut facts, ADDED.iter().map(Added::fact).collect());
    facts.sort_by_cached_key(|fact| fact.name.split('|').map(str::to_owned).collect::<Vec<_>>());
    facts
}

/// One entry, its nested subcommands taken off.
fn fact(entry: &Value, docs: &Value, help: Option<Value>) -> Fact {
    let mut info = entry.items().to_vec();
    let subcommands = info[9].items().len();
    info[9] = Value::Set(Vec::new());
    let pairs = docs.items().chunks_exact(2).filter(|pair| pair[0].text() != "subcommands");
    // Modules may shout.
    let name = info[0].text().to_lowercase();
    info[0] = Value::bulk(&name);
    // And count their arguments themselves; but those with keys have at least one.
    let is_of_module = info[2].items().iter().any(|flag| flag.text() == "module");
    if is_of_module && info[1].number() == -1 && !info[8].items().is_empty() {
        info[1] = Value::Integer(-2);
    }
    Fact {
        name,
        info: Value::Array(info),
        docs: Value::Map(pairs.flatten().cloned().collect()),
        help,
        subcommands,
    }
}

impl Added {
    /// The entries that a server would have for it.
    fn fact(&self) -> Fact {
        let status = |names: &[&str]| {
            Value::Set(names.iter().map(|name| Value::Simple((*name).to_owned())).collect())
        };
        let bulks = |names: &[&str]| names.iter().map(|n| Value::bulk(n)).collect::<Vec<_>>();
        let argument = |&(name, kind, flags): &(&str, &str, &[&str])| {
            let mut map = bulks(&["name", name, "type", kind]);
            if !flags.is_empty() {
                map.extend([Value::bulk("flags"), status(flags)]);
            }
            Value::Map(map)
        };
        let zero = Value::Integer(0);
        let info = vec![
            Value::bulk(self.name),
            Value::Integer(self.arity),
            status(self.flags),
            zero.clone(),
            zero.clone(),
            zero,
            status(self.categories),
            Value::Set(bulks(self.tips)),
            Value::Set(Vec::new()),
            Value::Set(Vec::new()),
        ];
        let mut docs = bulks(&[
            "summary",
            self.summary,
            "since",
            self.since,
            "group",
            self.group,
            "complexity",
            self.complexity,
        ]);
        let arguments = self.arguments.iter().map(argument).collect();
        docs.extend([Value::bulk("arguments"), Value::Array(arguments)]);
        Fact {
            name: self.name.to_owned(),
            info: Value::Array(info),
            docs: Value::Map(docs),
            help: None,
            subcommands: 0,
        }
    }
}
