//! Merges the server's facts with the proxy's classes and writes the generated files.

use crate::classes::{
    BLOCKING, DIFFERENCES, EVERYWHERE, FORWARDED, LOCAL, PUBLISHED, SPLIT, UNSUPPORTED,
};
use crate::facts::Fact;
use crate::hash;
use crate::server::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The generated files' contents.
pub(crate) struct Output {
    /// `proxy/src/command/table.rs`
    pub(crate) table: String,
    /// `proxy/src/command/commands.resp`
    pub(crate) entries: Vec<u8>,
    /// `docs/commands.md`
    pub(crate) page: String,
}

/// What the proxy does with one command.
pub(crate) struct Class {
    /// The `Route`, as Rust writes it.
    pub(crate) route: String,
    /// For a person: how it differs, or why it is not supported.
    pub(crate) note: String,
}

impl Class {
    fn new(route: &str, note: &str) -> Self {
        Self { route: route.to_owned(), note: note.to_owned() }
    }

    /// Whether clients can use the command.
    pub(crate) fn supported(&self) -> bool {
        self.route != "Route::Unsupported"
    }
}

/// A command with its class.
pub(crate) type Row = (Fact, Class);

/// Everything that is generated, from a server of this version and others, of these names; an error names what is
/// unclassified or contradictory.
pub(crate) fn generate(version: &str, names: &str, facts: Vec<Fact>) -> Result<Output, String> {
    let rows = classify(facts)?;
    let mut entries = Vec::new();
    for (fact, _) in &rows {
        let help = fact.help.clone().unwrap_or(Value::Null);
        Value::Array(vec![fact.info.clone(), fact.docs.clone(), help]).encode(&mut entries);
    }
    Ok(Output {
        table: table(version, names, &rows)?,
        entries,
        page: crate::page::page(names, &rows),
    })
}

/// Gives each command its class.
fn classify(facts: Vec<Fact>) -> Result<Vec<Row>, String> {
    let mut classes = classes(&facts)?;
    let mut rows = Vec::new();
    for fact in facts {
        let class = classes.remove(fact.name.as_str());
        let class = match (class, fact.name.ends_with("|help"), fact.subcommands) {
            (Some(class), _, _) => class,
            (None, true, _) => Class::new("Route::Local(Local::Help)", ""),
            (None, false, 1..) => Class::new("Route::Unsupported", ""),
            (None, false, 0) => {
                return Err(format!("'{}' is not classified: put it into classes.rs", fact.name));
            }
        };
        rows.push((fact, class));
    }
    match classes.keys().next() {
        Some(name) => Err(format!("'{name}' is classified, but the server does not have it")),
        None => Ok(rows),
    }
}

/// The lists of `classes.rs` by command.
fn classes(facts: &[Fact]) -> Result<BTreeMap<&'static str, Class>, String> {
    let mut all = Vec::new();
    for name in FORWARDED.iter().flat_map(|line| line.split_whitespace()) {
        let fact = facts.iter().find(|fact| fact.name == name);
        let fact =
            fact.ok_or_else(|| format!("'{name}' is classified, but the server does not have it"))?;
        let note =
            DIFFERENCES.iter().find(|(names, _)| names.split_whitespace().any(|n| n == name));
        all.push((name, Class::new(forwarded(fact)?, note.map_or("", |(_, note)| note))));
    }
    for name in BLOCKING.iter().flat_map(|line| line.split_whitespace()) {
        all.push((name, Class::new("Route::Blocking", "")));
    }
    for (name, split) in SPLIT {
        let note =
            "keys in different groups are handled one group beside the other, not atomically";
        all.push((name, Class::new(&format!("Route::Split(Split::{split})"), note)));
    }
    for (name, note) in PUBLISHED {
        all.push((name, Class::new("Route::Publish", note)));
    }
    for (name, how, note) in EVERYWHERE {
        all.push((name, Class::new(&format!("Route::Everywhere(Everywhere::{how})"), note)));
    }
    for (name, local, note) in LOCAL {
        all.push((name, Class::new(&format!("Route::Local(Local::{local})"), note)));
    }
    for (names, why) in UNSUPPORTED {
        all.extend(names.split_whitespace().map(|n| (n, Class::new("Route::Unsupported", why))));
    }
    let mut classes = BTreeMap::new();
    for (name, class) in all {
        if classes.insert(name, class).is_some() {
            return Err(format!("'{name}' is classified twice"));
        }
    }
    Ok(classes)
}

/// How a forwarded command finds its server.
fn forwarded(fact: &Fact) -> Result<&'static str, String> {
    let name = &fact.name;
    if fact.flags().contains(&"admin") || fact.flags().contains(&"blocking") {
        return Err(format!("'{name}' is forwarded, but it blocks or administers the server"));
    }
    let one_key = ["index", "index", "1", "range", "0", "1", "0"];
    match fact.specs() {
        [] => Err(format!("'{name}' is forwarded, but it has no keys")),
        [spec] if shape(spec) == one_key => Ok("Route::Key"),
        _ => Ok("Route::Keys"),
    }
}

/// A key spec without its names and flags: how the search begins, then how the keys are found.
fn shape(spec: &Value) -> Vec<String> {
    let mut shape = Vec::new();
    for half in ["begin_search", "find_keys"].iter().filter_map(|half| spec.field(half)) {
        let kind = half.field("type").map_or("", Value::text).to_owned();
        if kind == "index" {
            shape.push(kind.clone());
        }
        shape.push(kind);
        let values = half.field("spec").map_or(&[][..], Value::items).chunks_exact(2);
        shape.extend(values.map(|pair| match &pair[1] {
            Value::Integer(number) => number.to_string(),
            other => other.text().to_owned(),
        }));
    }
    shape
}

/// `table.rs`
fn table(version: &str, names: &str, rows: &[Row]) -> Result<String, String> {
    let mut out = format!(
        "//! The commands of Redis and the proxy's own. Generated, do not edit:\n\
         //! `cargo run -p codis-proxy --example gen_commands -- HOST:PORT ...` asks servers and merges\n\
         //! their answers with `examples/gen_commands/classes.rs`.\n\n\
         use super::{{\n    Begin as B, Command, CommandId, Everywhere, Find as W, Flags as F, KeyFlags as K, KeySpec, \
         Local, Route, Split,\n}};\n\n\
         /// The version of the server that the facts come from.\n\
         pub const REDIS_VERSION: &str = \"{version}\";\n\n\
         /// That one, and those that the facts about newer commands come from.\n\
         pub const SERVERS: &str = \"{names}\";\n\n"
    );
    let names: Vec<&[u8]> = top_level(rows).map(str::as_bytes).collect();
    let multiplier = multiplier(&names)?;
    let _ = writeln!(
        out,
        "/// Gives each name of the table a bucket of its own.\n\
         pub(super) const MULTIPLIER: u64 = {multiplier:#x};\n"
    );

    // Most commands share a few lists of key specs.
    let mut lists: BTreeMap<String, usize> = BTreeMap::new();
    for (fact, _) in rows.iter().filter(|(fact, _)| !fact.specs().is_empty()) {
        let list = fact.specs().iter().map(spec).collect::<Result<Vec<_>, _>>()?.join("\n");
        let next = lists.len();
        lists.entry(list).or_insert(next);
    }
    let mut ordered: Vec<_> = lists.iter().collect();
    ordered.sort_by_key(|(_, number)| **number);
    for (list, number) in ordered {
        let count = list.lines().count();
        let _ = writeln!(out, "static SPECS_{number}: [KeySpec; {count}] = [\n{list}\n];");
    }

    let _ =
        writeln!(out, "\n/// Every command, sorted by name; a container's subcommands follow it.");
    let _ = writeln!(out, "pub static COMMANDS: [Command; {}] = [", rows.len());
    for (fact, class) in rows {
        let list = fact.specs().iter().map(spec).collect::<Result<Vec<_>, _>>()?.join("\n");
        let specs = lists.get(&list).map_or("&[]".to_owned(), |number| format!("&SPECS_{number}"));
        let _ = writeln!(
            out,
            "    Command {{ name: {:?}, arity: {}, flags: F::of(&[{}]), route: {}, specs: {specs}, \
             subcommands: {}, why: {:?} }},",
            fact.name,
            fact.arity(),
            constants("F", &fact.flags()),
            class.route,
            fact.subcommands,
            if class.supported() { "" } else { &class.note },
        );
    }
    let _ = writeln!(
        out,
        "];\n\n/// The ids of the commands by name.\npub mod ids {{\n    use super::CommandId;\n"
    );
    for (number, (fact, _)) in rows.iter().enumerate() {
        let name = constant(&fact.name);
        let _ = writeln!(
            out,
            "    /// `{}`\n    pub const {name}: CommandId = CommandId({number});",
            fact.name
        );
    }
    out.push_str("}\n");
    Ok(out)
}

/// A multiplier under which no two names share a bucket; always the same one for the same names.
fn multiplier(names: &[&[u8]]) -> Result<u64, String> {
    if let Some(name) = names.iter().find(|name| name.len() > hash::NAME_BYTES_MAX) {
        return Err(format!("{} is longer than a name may be", String::from_utf8_lossy(name)));
    }
    // The candidates are those of the SplitMix64 generator, made odd.
    let mut state = 0_u64;
    let mut candidates = std::iter::repeat_with(|| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) | 1
    });
    let found = candidates.by_ref().take(10_000_000).find(|&multiplier| {
        let mut taken = [false; hash::BUCKETS];
        names
            .iter()
            .all(|name| !std::mem::replace(&mut taken[hash::bucket_of(name, multiplier)], true))
    });
    found.ok_or_else(|| "no multiplier without collisions: raise BUCKETS".to_owned())
}

/// The names that stand alone: not those of subcommands.
fn top_level(rows: &[Row]) -> impl Iterator<Item = &str> {
    rows.iter().map(|(fact, _)| fact.name.as_str()).filter(|name| !name.contains('|'))
}

/// One key spec, as Rust writes it.
fn spec(spec: &Value) -> Result<String, String> {
    let shape = shape(spec);
    let shape: Vec<&str> = shape.iter().map(String::as_str).collect();
    let (begin, rest) = match shape.as_slice() {
        ["index", "index", at, rest @ ..] => (format!("B::Index({at})"), rest),
        ["keyword", word, from, rest @ ..] => {
            (format!("B::Keyword {{ word: b{word:?}, from: {from} }}"), rest)
        }
        ["unknown", rest @ ..] => ("B::Unknown".to_owned(), rest),
        other => {
            return Err(format!("a key spec that begins in an unknown way: {other:?}"));
        }
    };
    let find = match rest {
        ["range", last, step, limit] => {
            format!("W::Range {{ last: {last}, step: {step}, limit: {limit} }}")
        }
        ["keynum", at, first, step] => {
            format!("W::Numkeys {{ at: {at}, first: {first}, step: {step} }}")
        }
        ["unknown"] => "W::Unknown".to_owned(),
        other => {
            return Err(format!("a key spec that finds keys in an unknown way: {other:?}"));
        }
    };
    let flags: Vec<&str> =
        spec.field("flags").map_or(&[][..], Value::items).iter().map(Value::text).collect();
    Ok(format!(
        "    KeySpec {{ begin: {begin}, find: {find}, flags: K::of(&[{}]) }},",
        constants("K", &flags)
    ))
}

/// Flag names as constants of a type.
fn constants(of: &str, names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{of}::{}", constant(name))).collect();
    names.join(", ")
}

/// A name as Rust writes a constant.
fn constant(name: &str) -> String {
    name.to_uppercase().replace(['-', '|', '.'], "_")
}
