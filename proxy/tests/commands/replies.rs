//! COMMAND and HELP as the server answers them, less what the proxy does not support.

use crate::Call;
use crate::redis::Redis;
use crate::server::Value;
use codis_proxy::command::{COMMANDS, Command, Local, Route, ids, reply, resolve};
use codis_proxy::resp::Protocol;
use std::collections::BTreeSet;

const PROTOCOLS: [Protocol; 2] = [Protocol::Resp2, Protocol::Resp3];

/// The proxy's answer in RESP2 to a request that the table answers.
fn answer<A: AsRef<[u8]>>(args: &[A]) -> Vec<u8> {
    answer_in(Protocol::Resp2, args)
}

fn answer_in<A: AsRef<[u8]>>(protocol: Protocol, args: &[A]) -> Vec<u8> {
    let call = Call::new(args);
    let id = resolve(&call.request()).expect("a valid call");
    let Route::Local(local) = id.command().route else { panic!("{} is not local", call.text()) };
    let mut out = Vec::new();
    assert!(reply(local, &call.request(), protocol, &mut out), "{} is not answered", call.text());
    out
}

/// Asserts equality and shows a difference as text.
fn assert_same(ours: &[u8], theirs: &Value, what: &str) {
    let mut bytes = Vec::new();
    theirs.encode(&mut bytes);
    assert_eq!(ours.escape_ascii().to_string(), bytes.escape_ascii().to_string(), "{what}");
}

/// The names that COMMAND LIST gives.
fn listed(reply: &Value) -> BTreeSet<String> {
    reply.items().iter().map(|name| name.text().to_owned()).collect()
}

/// The proxy's answer, which must be exactly one value.
fn parsed(bytes: &[u8]) -> Value {
    let mut rest = bytes;
    let value = crate::server::read(&mut rest).expect("a RESP value");
    assert!(rest.is_empty(), "{} bytes after the value", rest.len());
    value
}

/// The server's nested entries, less the unsupported ones, sorted by name.
fn nested(entries: &[Value]) -> Vec<Value> {
    let supported = |name: &str| COMMANDS.iter().any(|c| c.name == name && c.supported());
    let mut entries: Vec<Value> =
        entries.iter().filter(|entry| supported(entry.items()[0].text())).cloned().collect();
    entries.sort_by(|a, b| a.items()[0].text().cmp(b.items()[0].text()));
    entries
}

#[test]
fn command_info_of_a_command_is_the_server_s_byte_for_byte() {
    let Some(mut redis) = Redis::start_of_the_table_s_version() else {
        return;
    };
    for protocol in PROTOCOLS {
        redis.speak(protocol);
        compare_infos(&mut redis, protocol);
    }
}

fn compare_infos(redis: &mut Redis, protocol: Protocol) {
    let shown = listed(&parsed(&answer(&["COMMAND", "LIST"])));
    let known = redis.commands();
    for command in COMMANDS.iter().filter(|c| shown.contains(c.name) && known.contains(c.name)) {
        let request = ["COMMAND", "INFO", command.name];
        let answer = answer_in(protocol, &request);
        if !command.container() {
            assert_same(&answer, &redis.ask(&request), command.name);
            continue;
        }
        let mut ours = parsed(&answer).items()[0].items().to_vec();
        let mut theirs = redis.ask(&request).items()[0].items().to_vec();
        let (our_nested, their_nested) = (ours.pop(), theirs.pop());
        assert_eq!(ours, theirs, "{}", command.name);
        let mut our_nested = our_nested.expect("ten fields").items().to_vec();
        our_nested.retain(|entry| known.contains(entry.items()[0].text()));
        let their_nested = nested(their_nested.expect("ten fields").items());
        assert_eq!(our_nested, their_nested, "{}", command.name);
    }
}

#[test]
fn command_docs_of_a_command_are_the_server_s_byte_for_byte() {
    let Some(mut redis) = Redis::start_of_the_table_s_version() else {
        return;
    };
    for protocol in PROTOCOLS {
        redis.speak(protocol);
        compare_docs(&mut redis, protocol);
    }
}

fn compare_docs(redis: &mut Redis, protocol: Protocol) {
    let shown = listed(&parsed(&answer(&["COMMAND", "LIST"])));
    let known = redis.commands();
    for command in COMMANDS.iter().filter(|c| shown.contains(c.name) && known.contains(c.name)) {
        let request = ["COMMAND", "DOCS", command.name];
        let answer = answer_in(protocol, &request);
        if !command.container() {
            assert_same(&answer, &redis.ask(&request), command.name);
            continue;
        }
        let (ours, theirs) = (parsed(&answer), redis.ask(&request));
        let (ours, theirs) = (ours.items()[1].items().to_vec(), theirs.items()[1].items().to_vec());
        let fields = |map: &[Value]| map[..map.len() - 1].to_vec();
        assert_eq!(fields(&ours), fields(&theirs), "{}: all but the subcommands", command.name);
        let pairs = |map: &[Value]| -> Vec<Value> {
            let subcommands = map.last().expect("subcommands are the last field").items();
            subcommands.chunks(2).map(|pair| Value::Array(pair.to_vec())).collect()
        };
        let mut ours = pairs(&ours);
        ours.retain(|pair| known.contains(pair.items()[0].text()));
        assert_eq!(ours, nested(&pairs(&theirs)), "{}", command.name);
    }
}

#[test]
fn command_without_a_name_gives_every_supported_command() {
    let listed = listed(&parsed(&answer(&["COMMAND", "LIST"])));
    let expected: BTreeSet<String> =
        listed.into_iter().filter(|name| !name.contains('|')).collect();
    assert!(expected.len() > 180, "{}", expected.len());

    for request in [&["COMMAND"][..], &["COMMAND", "INFO"]] {
        let all = parsed(&answer(request));
        let names = all.items().iter().map(|entry| entry.items()[0].text().to_owned()).collect();
        assert_eq!(expected, names);
    }
    let docs = parsed(&answer(&["COMMAND", "DOCS"]));
    let names = docs.items().iter().step_by(2).map(|name| name.text().to_owned()).collect();
    assert_eq!(expected, names);
    let count = parsed(&answer(&["COMMAND", "COUNT"]));
    assert_eq!(count, Value::Integer(expected.len() as i64));
}

#[test]
fn an_unsupported_command_is_like_an_unknown_one_to_those_who_ask() {
    assert_eq!(answer(&["COMMAND", "INFO", "replicaof", "nosuch"]), b"*2\r\n$-1\r\n$-1\r\n");
    assert_eq!(answer(&["COMMAND", "DOCS", "cluster", "config|rewrite", "nosuch"]), b"*0\r\n");
    let list = listed(&parsed(&answer(&["COMMAND", "LIST"])));
    for name in ["shutdown", "cluster", "cluster|help", "config|rewrite"] {
        assert!(!list.contains(name), "{name}");
    }
    for name in ["get", "client", "client|help", "client|setinfo", "slotshashkey", "object|freq"] {
        assert!(list.contains(name), "{name}");
    }
}

#[test]
fn command_list_filters_as_the_server_does() {
    let Some(mut redis) = Redis::start_of_the_table_s_version() else {
        return;
    };
    let shown = listed(&parsed(&answer(&["COMMAND", "LIST"])));
    let known = redis.commands();
    let mut rng = fastrand::Rng::with_seed(3);
    let categories = ["read", "WRITE", "keyspace", "dangerous", "nosuch", "@read", "", "slow\r\n"];
    let mut filters: Vec<(&str, String)> =
        categories.iter().map(|category| ("ACLCAT", (*category).to_owned())).collect();
    filters.extend([("module", "json".to_owned()), ("MODULE", String::new())]);
    for _ in 0..3_000 {
        let mut pattern = String::new();
        for _ in 0..rng.usize(..7) {
            pattern += rng
                .choice(["*", "?", "[", "]", "^", "-", "\\", "a", "G", "e", "t", "x|", "[^g]"])
                .expect("not empty");
        }
        filters.push(("pattern", pattern));
    }
    for (kind, filter) in filters {
        let request = ["COMMAND", "LIST", "FILTERBY", kind, &filter];
        let mut ours = listed(&parsed(&answer(&request)));
        ours.retain(|name| known.contains(name));
        let mut theirs = listed(&redis.ask(&request));
        theirs.retain(|name| shown.contains(name));
        assert_eq!(ours, theirs, "{kind} {filter:?}");
    }
    for wrong in [&["COMMAND", "LIST", "a"][..], &["COMMAND", "LIST", "FILTERBY", "x", "y"]] {
        assert_same(&answer(wrong), &redis.ask(wrong), "a wrong filter");
    }
}

#[test]
fn help_is_the_server_s_own() {
    let Some(mut redis) = Redis::start_of_the_table_s_version() else {
        return;
    };
    let help = |c: &&Command| c.route == Route::Local(Local::Help);
    for protocol in PROTOCOLS {
        redis.speak(protocol);
        let known = redis.commands();
        for command in COMMANDS.iter().filter(help).filter(|c| known.contains(c.name)) {
            let container = command.name.split('|').next().expect("a container");
            let ours = answer_in(protocol, &[container, "help"]);
            assert_same(&ours, &redis.ask(&[container, "HELP"]), container);
        }
    }
    let helps = COMMANDS.iter().filter(help).count();
    assert_eq!(helps, COMMANDS.iter().filter(|command| command.container()).count());
}

#[test]
fn what_is_unknown_is_null_in_the_protocol_s_own_way() {
    let Some(mut redis) = Redis::start_of_the_table_s_version() else {
        return;
    };
    for protocol in PROTOCOLS {
        redis.speak(protocol);
        for request in [
            &["COMMAND", "INFO", "nosuch", "get"][..],
            &["COMMAND", "DOCS", "nosuch", "get"],
            &["COMMAND", "GETKEYSANDFLAGS", "SET", "a", "b"],
            &["COMMAND", "GETKEYS", "SET", "a", "b"],
        ] {
            assert_same(&answer_in(protocol, request), &redis.ask(request), "an answer");
        }
    }
}

#[test]
fn what_the_table_cannot_answer_is_left_to_others() {
    let call = Call::new(&["PING"]);
    let mut out = Vec::new();
    assert_eq!(resolve(&call.request()), Ok(ids::PING));
    assert!(!reply(Local::Ping, &call.request(), Protocol::Resp2, &mut out));
    assert!(out.is_empty());
}
