//! Servers that die, freeze, come back, refuse, or have unusual addresses.

use crate::cluster::{BINARY, Cluster};
use codis_testbed::{Client, ProxyOptions, Redis, RedisOptions, Value, encode, eventually};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

#[test]
fn requests_in_flight_on_a_server_that_dies_get_an_error_each() {
    let mut cluster = Cluster::start();
    let (dying, living) = (cluster.key_on(0, "dying"), cluster.key_on(1, "living"));
    let mut client = cluster.client();
    assert_eq!(client.call(&["MSET", &dying, "1", &living, "2"]), Value::ok());
    cluster.backends[0].process().freeze();
    // Ten requests wait on the frozen server, each with one of the living server behind it.
    let both = [encode(&["INCR", &dying]), encode(&["GET", &living])].concat();
    client.send(both.repeat(10));
    assert!(
        !client.something_comes_within(Duration::from_millis(100)),
        "the frozen server answered"
    );
    cluster.backends[0].kill();
    for i in 0..10 {
        let reply = client.read();
        assert!(reply.error().is_some(), "request {i} on the dead server: {reply:?}");
        assert_eq!(client.read(), Value::bulk("2"), "request {i} on the living server");
    }
    // And new ones fail instead of waiting.
    let reply = client.call(&["GET", &dying]);
    assert!(reply.error().is_some(), "{reply:?}");
    assert_eq!(client.call(&["GET", &living]), Value::bulk("2"));
}

#[test]
fn a_server_killed_and_restarted_under_load_serves_again_and_nothing_hangs() {
    let mut cluster = Cluster::start();
    let (dying, living) = (cluster.key_on(0, "dying"), cluster.key_on(1, "living"));
    let address = cluster.address();
    let (stop, errors, successes) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let load = |key: &str, may_fail: bool| {
        let mut client = Client::connect(&address);
        while !stop.load(SeqCst) {
            let batch = encode(&["INCR", key]).repeat(16);
            client.send(&batch);
            for _ in 0..16 {
                // A read that fails is a request without a reply: the test fails with it.
                match client.read() {
                    Value::Integer(_) => successes.fetch_add(1, SeqCst),
                    Value::Error(_) if may_fail => errors.fetch_add(1, SeqCst),
                    other => panic!("{key}: {other:?}"),
                };
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| load(&dying, true));
            scope.spawn(|| load(&living, false));
        }
        for _ in 0..3 {
            eventually("requests succeed", || successes.load(SeqCst) > 1000);
            cluster.backends[0].kill();
            let before = errors.load(SeqCst);
            eventually("requests for the dead server fail", || errors.load(SeqCst) > before + 100);
            cluster.backends[0].restart();
            let returned = Instant::now();
            let mut client = Client::connect(&address);
            eventually("the returned server serves", || {
                client.call(&["GET", &dying]).error().is_none()
            });
            println!("served {:?} after the server was back", returned.elapsed());
            successes.store(0, SeqCst);
        }
        stop.store(true, SeqCst);
    });
}

#[test]
fn a_frozen_server_delays_only_its_own_keys() {
    let cluster = Cluster::start();
    let (frozen, living) = (cluster.key_on(0, "frozen"), cluster.key_on(1, "living"));
    let (mut waiting, mut busy) = (cluster.client(), cluster.client());
    assert_eq!(waiting.call(&["MSET", &frozen, "1", &living, "2"]), Value::ok());
    cluster.backends[0].process().freeze();
    waiting.send(encode(&["GET", &frozen]));
    for _ in 0..1000 {
        assert_eq!(busy.call(&["GET", &living]), Value::bulk("2"));
    }
    assert!(
        !waiting.something_comes_within(Duration::from_millis(1)),
        "a frozen server cannot answer"
    );
    cluster.backends[0].process().thaw();
    assert_eq!(waiting.read(), Value::bulk("1"));
}

#[test]
fn a_frozen_server_is_given_up_after_its_timeout_and_used_again_when_it_thaws() {
    let cluster = Cluster::with(|options| options.set("backend_recv_timeout = \"500ms\""));
    let frozen = cluster.key_on(0, "frozen");
    let mut client = cluster.client();
    assert_eq!(client.call(&["SET", &frozen, "1"]), Value::ok());
    cluster.backends[0].process().freeze();
    let reply = client.call(&["GET", &frozen]);
    assert!(reply.error().is_some(), "{reply:?}");
    cluster.backends[0].process().thaw();
    eventually("the thawed server serves", || client.call(&["GET", &frozen]) == Value::bulk("1"));
}

#[test]
fn a_session_is_closed_on_failure_where_the_configuration_says_so() {
    let mut cluster = Cluster::with(|options| options.set("session_break_on_failure = true"));
    let key = cluster.key_on(0, "k");
    let mut client = cluster.client();
    assert_eq!(client.call(&["SET", &key, "1"]), Value::ok());
    cluster.backends[0].kill();
    client.send(encode(&["GET", &key]));
    let bytes = client.read_to_end();
    assert!(!bytes.starts_with(b"$"), "{}", String::from_utf8_lossy(&bytes));
}

fn protected() -> Vec<Redis> {
    vec![Redis::start_with_password("sesame"), Redis::start_with_password("sesame")]
}

#[test]
fn the_proxy_authenticates_to_its_servers() {
    let cluster = Cluster::over(protected(), |options| options.set("product_auth = \"sesame\""));
    let mut client = cluster.client();
    assert_eq!(client.run("MSET a 1 b 2 c 3 d 4"), Value::ok());
    assert_eq!(client.run("EXISTS a b c d"), Value::Integer(4));
    assert_eq!(client.run("SELECT 3"), Value::ok());
    assert_eq!(client.run("EXISTS a b c d"), Value::Integer(0));
}

#[test]
fn a_server_that_refuses_the_password_gives_an_error_that_says_so() {
    for auth in ["product_auth = \"xyzzy\"", "product_auth = \"\""] {
        let cluster = Cluster::over(protected(), |options| options.set(auth));
        let reply = cluster.client().run("GET a");
        let text = reply.error().unwrap_or_else(|| panic!("{auth}: {reply:?}")).to_lowercase();
        assert!(text.contains("auth") || text.contains("password"), "{auth}: {text}");
        assert!(!text.contains("xyzzy"), "the password is shown: {text}");
    }
}

/// One server, which the slots file calls by another address than its own.
fn called(backend: Redis, address: String) -> Cluster {
    Cluster::over(vec![backend], |options| {
        let slots = ProxyOptions::over(Path::new(BINARY), &[address]).slots;
        ProxyOptions { slots, ..options }
    })
}

#[test]
fn a_server_may_be_named_by_its_host_name() {
    let backend = Redis::start();
    let address = format!("localhost:{}", backend.port());
    let mut cluster = called(backend, address);
    let mut client = cluster.client();
    assert_eq!(client.run("SET a 1"), Value::ok());
    cluster.backends[0].restart();
    eventually("the name is resolved again", || client.run("GET a") == Value::NullBulk);
}

#[test]
fn a_host_name_that_does_not_resolve_gives_an_error_that_names_it() {
    let cluster = called(Redis::start(), "no-such-host.invalid:6379".to_owned());
    let mut client = cluster.client();
    let reply = client.run("GET a");
    let text = reply.error().unwrap_or_else(|| panic!("{reply:?}"));
    assert!(text.contains("no-such-host.invalid"), "{text}");
    assert_eq!(client.run("PING"), Value::Simple(b"PONG".to_vec()));
}

#[test]
fn a_server_may_listen_on_ipv6() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        println!("not tested: this machine has no ::1");
        return;
    }
    let backend = Redis::start_with(RedisOptions { host: "::1", ..RedisOptions::default() });
    let address = backend.address();
    let cluster = called(backend, address);
    assert_eq!(cluster.client().run("SET a 1"), Value::ok());
    assert_eq!(cluster.backends[0].client().run("GET a"), Value::bulk("1"));
}

#[test]
fn a_read_only_server_passes_its_refusal_on_and_the_session_goes_on() {
    let cluster = Cluster::start();
    let key = cluster.key_on(0, "k");
    let other = cluster.backends[1].address();
    let replicaof = format!("REPLICAOF {}", other.replace(':', " "));
    assert_eq!(cluster.backends[0].client().run(&replicaof), Value::ok());
    let mut client = cluster.client();
    let reply = client.call(&["SET", &key, "1"]);
    assert!(reply.error().is_some_and(|text| text.starts_with("READONLY")), "{reply:?}");
    assert_eq!(client.run("PING"), Value::Simple(b"PONG".to_vec()));
}

#[test]
fn a_locked_out_connection_is_made_again_after_client_kill_on_the_server() {
    let cluster = Cluster::start();
    let key = cluster.key_on(0, "k");
    let mut client = cluster.client();
    assert_eq!(client.call(&["SET", &key, "1"]), Value::ok());
    let mut direct = cluster.backends[0].client();
    assert!(
        direct.run("CLIENT LIST").text().contains("name=codis-proxy"),
        "the proxy names its connections"
    );
    assert!(direct.run("CLIENT KILL TYPE normal").integer() >= 1);
    eventually("a new connection serves", || client.call(&["GET", &key]) == Value::bulk("1"));
}
