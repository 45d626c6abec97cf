//! It does what Redis 3.2 and Codis do, and no more.

use super::CodisServer;
use crate::{Client, Redis, Value};

fn refusal(client: &mut Client, line: &str) -> String {
    let answer = client.run(line);
    answer.error().unwrap_or_else(|| panic!("{line} was answered with {answer:?}"))
}

fn host_and_port(address: &str) -> (&str, &str) {
    address.rsplit_once(':').expect("it has a port")
}

#[test]
fn it_knows_what_redis_3_2_knows() {
    let server = CodisServer::start();
    let mut client = server.client();
    for line in ["UNLINK a", "MEMORY USAGE a", "HELLO 3", "REPLICAOF NO ONE", "XADD s * f v"] {
        let words = refusal(&mut client, line);
        assert!(words.starts_with("ERR unknown command"), "{line}: {words}");
    }
    for line in ["CLIENT ID", "SET a b KEEPTTL", "HSET h a 1 b 2", "SCAN 0 TYPE hash"] {
        assert!(refusal(&mut client, line).starts_with("ERR"), "{line}");
    }
    for line in ["MIGRATE 127.0.0.1 1 a 0 1 AUTH x", "RESTORE a 0 x ABSTTL"] {
        assert_eq!(refusal(&mut client, line), "ERR syntax error", "{line}");
    }
    assert_eq!(client.run("HMSET h a 1 b 2"), Value::ok());
    assert!(client.run("INFO").text().contains("redis_version:3.2.11\r\n"));
    let known = client.run("COMMAND INFO slotsmgrttagone unlink hset");
    let [slots, unlink, hset] = known.items() else { panic!("{known:?}") };
    assert_eq!((slots.items()[0].text(), unlink), ("slotsmgrttagone".into(), &Value::NullArray));
    assert_eq!(hset.items()[1], Value::Integer(4));
}

#[test]
fn what_it_does_not_know_ends_a_transaction() {
    let server = CodisServer::start();
    let mut client = server.client();
    assert_eq!(client.run("MULTI"), Value::ok());
    assert!(refusal(&mut client, "UNLINK a").starts_with("ERR"));
    client.run("SET a b");
    assert!(refusal(&mut client, "EXEC").starts_with("EXECABORT"));
    assert_eq!(client.run("GET a"), Value::NullBulk);
}

#[test]
fn scripts_do_what_they_could_do_then() {
    let server = CodisServer::start();
    let mut client = server.client();
    let mut eval = |text: &str| client.call(&["EVAL", text, "1", "k"]);
    let unknown = "local a = redis.pcall('UNLINK', KEYS[1]) return a.err";
    assert!(eval(unknown).text().contains("Unknown Redis command"));
    let random = "redis.call('TIME') return redis.call('SET', KEYS[1], 'v')";
    let words = eval(random).error().expect("it is refused");
    assert!(words.contains("not allowed after non deterministic"), "{words}");
    assert_eq!(eval(&format!("redis.replicate_commands() {random}")), Value::ok());
    let moves = "return redis.call('MIGRATE', '127.0.0.1', '1', KEYS[1], '0', '1')";
    assert!(eval(moves).error().is_some_and(|words| words.contains("replicas")));
    let (text, missing) = ("return ARGV[1]", Value::Error(b"NOSCRIPT".to_vec()));
    let hash = client.call(&["SCRIPT", "LOAD", text]).text();
    assert_eq!(client.call(&["EVALSHA", &hash, "0", "x"]), Value::bulk("x"));
    let none = client.call(&["EVALSHA", "ffff", "0"]).error().unwrap_or_default();
    assert!(none.starts_with(&missing.error().unwrap_or_default()));
}

#[test]
fn it_moves_a_key_by_slotsrestore_which_overwrites_and_gives_its_password() {
    let from = CodisServer::start_with_password("secret");
    let to = CodisServer::start_with_password("secret");
    let (mut a, mut b) = (from.client(), to.client());
    assert_eq!(
        refusal(&mut Client::connect(from.address()), "GET a"),
        "NOAUTH Authentication required."
    );
    a.run("SELECT 3");
    a.run("SET k{t} mine EX 1000");
    a.run("SET l{t} other");
    b.run("SELECT 3");
    b.run("SET k{t} theirs");
    let address = to.address();
    let (host, port) = host_and_port(&address);
    assert_eq!(a.call(&["SLOTSMGRTONE", host, port, "500", "k{t}"]), Value::Integer(1));
    assert_eq!(a.call(&["SLOTSMGRTONE", host, port, "500", "k{t}"]), Value::Integer(0));
    assert_eq!((a.run("GET k{t}"), b.run("GET k{t}")), (Value::NullBulk, Value::bulk("mine")));
    assert!(b.run("TTL k{t}").integer() > 900);
    a.run("SET k{t} again");
    assert_eq!(a.call(&["SLOTSMGRTTAGONE", host, port, "500", "l{t}"]), Value::Integer(2));
    assert_eq!(b.run("GET l{t}"), Value::bulk("other"));
    let list = b.run("CLIENT LIST").text();
    assert!(list.contains("cmd=slotsrestore"), "{list}");
}

#[test]
fn a_server_of_today_takes_no_slotsrestore_but_what_migrate_brings() {
    let (from, to) = (CodisServer::start(), Redis::start());
    let (mut a, mut b) = (from.client(), to.client());
    a.run("RPUSH k 1 2 3");
    let address = to.address();
    let (host, port) = host_and_port(&address);
    let words = a.call(&["SLOTSMGRTTAGONE", host, port, "500", "k"]).error();
    assert_eq!(words.as_deref(), Some("ERR error on slotsrestore, migration failed"));
    assert_eq!(a.call(&["MIGRATE", host, port, "", "0", "500", "KEYS", "k"]), Value::ok());
    assert_eq!((a.run("LLEN k").integer(), b.run("LLEN k").integer()), (0, 3));
    // And not back.
    let (host, port) = ("127.0.0.1", from.address().rsplit_once(':').expect("a port").1.to_owned());
    let back = b.call(&["MIGRATE", host, &port, "k", "0", "500"]).error().unwrap_or_default();
    assert!(back.contains("DUMP payload version"), "{back}");
    assert_eq!(b.run("LLEN k").integer(), 3);
}

#[test]
fn an_answer_that_is_lost_leaves_the_key_on_both() {
    let (from, to) = (CodisServer::start(), CodisServer::start());
    let (mut a, mut b) = (from.client(), to.client());
    a.run("SET k v");
    from.lose_answers(true);
    let address = to.address();
    let (host, port) = host_and_port(&address);
    let words = a.call(&["SLOTSMGRTONE", host, port, "500", "k"]).error().unwrap_or_default();
    assert!(words.starts_with("IOERR"), "{words}");
    assert_eq!((a.run("GET k"), b.run("GET k")), (Value::bulk("v"), Value::bulk("v")));
    from.lose_answers(false);
    assert_eq!(a.call(&["SLOTSMGRTONE", host, port, "500", "k"]), Value::Integer(1));
}
