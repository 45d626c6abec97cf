//! The generated files are what the generator makes.

use crate::facts::{self, Fact};
use crate::generate::generate;
use crate::redis::Redis;
use crate::server::Value;
use codis_proxy::command::{REDIS_VERSION, SERVERS};
use std::path::Path;

const HOW: &str = "run `cargo run -p codis-proxy --example gen_commands -- HOST:PORT ...`";

#[test]
fn the_checked_in_files_are_what_the_generator_makes_of_a_running_server() {
    let Some(mut redis) = Redis::start_of_the_table_s_version() else {
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read(root.join(path)).expect("a checked-in file");
    let facts = all_facts(&mut redis);
    let made = generate(REDIS_VERSION, SERVERS, facts).expect("all is classified");

    assert!(read("src/command/table.rs") == made.table.as_bytes(), "table.rs is stale: {HOW}");
    assert!(read("src/command/commands.resp") == made.entries, "commands.resp is stale: {HOW}");
    assert!(read("../docs/commands.md") == made.page.as_bytes(), "commands.md is stale: {HOW}");
}

/// Those of the running server, and those that newer servers had when the files were made.
fn all_facts(redis: &mut Redis) -> Vec<Fact> {
    let mut facts = facts::gather(&mut redis.client).expect("the server answers");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/command/commands.resp");
    facts::merge(&mut facts, facts_of(&std::fs::read(path).expect("a checked-in file")));
    facts::with_added(facts)
}

/// The facts that were checked in.
fn facts_of(entries: &[u8]) -> Vec<Fact> {
    let mut rest = entries;
    let mut facts: Vec<Fact> = Vec::new();
    while !rest.is_empty() {
        let entry = crate::server::read(&mut rest).expect("an entry");
        let [info, docs, help] = entry.items() else { panic!("not three parts: {entry:?}") };
        let name = info.items()[0].text().to_owned();
        if let Some((container, _)) = name.split_once('|') {
            let mut before = facts.iter_mut().rev();
            let container = before.find(|fact| fact.name == container).expect("its container");
            container.subcommands += 1;
        }
        let help = (*help != Value::NullArray).then(|| help.clone());
        let (info, docs) = (info.clone(), docs.clone());
        facts.push(Fact { name, info, docs, help, subcommands: 0 });
    }
    facts
}

#[test]
fn the_page_and_the_table_say_what_the_classes_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read(root.join(path)).expect("a checked-in file");
    let facts = facts_of(&read("src/command/commands.resp"));
    let made = generate(REDIS_VERSION, SERVERS, facts).expect("all is classified");
    assert!(read("src/command/table.rs") == made.table.as_bytes(), "table.rs is stale: {HOW}");
    assert!(read("../docs/commands.md") == made.page.as_bytes(), "commands.md is stale: {HOW}");
}

#[test]
fn a_command_that_nobody_has_classified_stops_the_generator() {
    let Some(mut redis) = Redis::start_of_the_table_s_version() else {
        return;
    };
    let mut facts = all_facts(&mut redis);
    let like = facts.iter().find(|fact| fact.name == "ping").expect("PING exists");
    let unknown = Fact {
        name: "frobnicate".to_owned(),
        info: like.info.clone(),
        docs: Value::Array(Vec::new()),
        help: None,
        subcommands: 0,
    };
    facts.push(unknown);
    let error = generate("7.0", "", facts).err().unwrap_or_default();
    assert_eq!(error, "'frobnicate' is not classified: put it into classes.rs");
}

#[test]
fn a_command_that_the_server_has_no_more_stops_the_generator() {
    let Some(mut redis) = Redis::start_of_the_table_s_version() else {
        return;
    };
    let mut facts = all_facts(&mut redis);
    facts.retain(|fact| fact.name != "ping");
    let error = generate("7.0", "", facts).err().unwrap_or_default();
    assert_eq!(error, "'ping' is classified, but the server does not have it");
}
