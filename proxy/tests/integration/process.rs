//! The process: its command line, signals, cores, listeners, and what it costs when nobody asks.

use crate::cluster::{BINARY, Cluster};
use codis_testbed::{Client, Process, Value, cores, encode, eventually, metric_by_label};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Runs the program until it ends; its exit status and what it printed.
fn run(args: &[&str]) -> (Option<i32>, String) {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    let mut process = Process::start(Path::new(BINARY), &args, &folder.path().join("output"));
    let status = process.wait();
    (status.code(), process.printed())
}

#[test]
fn the_version_is_printed() {
    let (code, printed) = run(&["--version"]);
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains(env!("CARGO_PKG_VERSION")), "{printed}");
}

#[test]
fn the_default_configuration_is_printed_and_is_accepted_back() {
    let (code, printed) = run(&["--default-config"]);
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("session_max_pipeline"), "{printed}");
    let values: toml::Table = printed.parse().expect("it is TOML");
    assert!(values.contains_key("proxy_addr"), "{printed}");
}

#[test]
fn more_shards_than_cores_are_refused_with_both_numbers() {
    let (code, printed) = run(&["--ncpu=100000"]);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("100000") && printed.contains(&cores().to_string()), "{printed}");
}

#[test]
fn an_unknown_setting_is_refused_with_its_place_and_the_nearest_known_one() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let file = folder.path().join("mistake.toml");
    std::fs::write(&file, "product_name = \"x\"\nsession_max_pipelin = 3\n")
        .expect("it can be written");
    let (code, printed) = run(&["-c", &file.display().to_string()]);
    assert_eq!(code, Some(1), "{printed}");
    for part in ["mistake.toml", "2", "session_max_pipelin", "session_max_pipeline"] {
        assert!(printed.contains(part), "no {part} in {printed}");
    }
}

#[test]
fn a_port_that_is_taken_is_an_error_that_names_it() {
    let cluster = Cluster::start();
    let taken = format!("--host-proxy={}", cluster.address());
    let folder = TempDir::new().expect("a temporary folder can be made");
    let file = folder.path().join("proxy.toml");
    let config = format!("proxy_addr = \"{}\"\nadmin_addr = \"127.0.0.1:0\"\n", cluster.address());
    std::fs::write(&file, config).expect("it can be written");
    let (code, printed) = run(&["--ncpu=1", "-c", &file.display().to_string(), &taken]);
    assert_ne!(code, Some(0), "{printed}");
    assert!(printed.contains(&cluster.address()), "{printed}");
}

#[test]
fn sigterm_answers_what_is_in_flight_and_ends_with_0() {
    let mut cluster = Cluster::start();
    let key = cluster.key_on(0, "k");
    let mut client = cluster.client();
    assert_eq!(client.call(&["SET", &key, "1"]), Value::ok());
    let mut idle = cluster.client();
    assert_eq!(idle.run("PING"), Value::Simple(b"PONG".to_vec()));
    cluster.backends[0].process().freeze();
    client.send(encode(&["GET", &key]).repeat(3));
    assert!(
        !client.something_comes_within(Duration::from_millis(100)),
        "a frozen server cannot answer"
    );
    cluster.proxy().process().terminate();
    eventually("no new connection is taken", || {
        cluster.proxy().try_client().is_err()
            || cluster.proxy().try_client().is_ok_and(|mut late| late.try_send("PING\r\n").is_err())
    });
    cluster.backends[0].process().thaw();
    for _ in 0..3 {
        assert_eq!(client.read(), Value::bulk("1"));
    }
    assert!(client.is_closed());
    assert!(idle.is_closed());
    let status = cluster.proxy().process_mut().wait();
    assert_eq!(status.code(), Some(0), "{}", cluster.proxy().process().printed());
}

#[test]
fn sigterm_lets_go_of_waits_so_that_nothing_is_popped_for_a_client_that_is_gone() {
    let mut cluster = Cluster::start();
    let key = cluster.key_on(0, "list");
    let mut waiting = cluster.client();
    waiting.send(encode(&["BLPOP", &key, "0"]));
    let mut server = cluster.backends[0].client();
    eventually("it waits at the server", || {
        server.run("INFO clients").text().contains("blocked_clients:1\r\n")
    });
    cluster.proxy().process().terminate();
    assert_eq!(waiting.read(), Value::NullArray);
    assert!(waiting.is_closed());
    assert_eq!(server.call(&["RPUSH", &key, "element"]), Value::Integer(1));
    assert_eq!(server.call(&["LLEN", &key]), Value::Integer(1));
    let status = cluster.proxy().process_mut().wait();
    assert_eq!(status.code(), Some(0), "{}", cluster.proxy().process().printed());
}

#[test]
fn an_element_that_comes_while_the_proxy_ends_is_with_a_client_or_in_its_list() {
    let mut cluster = Cluster::start();
    let key = cluster.key_on(0, "list");
    let mut waiting: Vec<Client> = (0..200).map(|_| cluster.client()).collect();
    waiting.iter_mut().for_each(|client| client.send(encode(&["BLPOP", &key, "0"])));
    let mut server = cluster.backends[0].client();
    eventually("all wait at the server", || {
        server.run("INFO clients").text().contains("blocked_clients:200\r\n")
    });
    let (ended, pushed) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut pusher = cluster.backends[0].client();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                let element = pushed.fetch_add(1, Ordering::Relaxed).to_string();
                pusher.call(&["RPUSH", &key, &element]);
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        eventually("some have their element", || pushed.load(Ordering::Relaxed) > 20);
        cluster.proxy().process().terminate();
        for client in &mut waiting {
            client.something_comes_within(Duration::from_secs(10));
        }
        ended.store(true, Ordering::Relaxed);
    });
    let mut elements: Vec<usize> = waiting
        .iter_mut()
        .filter_map(|client| match client.read() {
            Value::Array(pair) => Some(pair[1].text()),
            Value::NullArray => None,
            other => panic!("BLPOP was answered {other:?}"),
        })
        .chain(server.call(&["LRANGE", &key, "0", "-1"]).items().iter().map(Value::text))
        .map(|element| element.parse().expect("a number"))
        .collect();
    elements.sort_unstable();
    let all: Vec<usize> = (0..pushed.into_inner()).collect();
    assert_eq!(elements, all, "an element is lost, or doubled");
    assert_eq!(cluster.proxy().process_mut().wait().code(), Some(0));
}

#[test]
fn sigterm_ends_the_proxy_even_when_a_server_never_answers() {
    let mut cluster = Cluster::with(|options| options.set("shutdown_timeout = \"500ms\""));
    let key = cluster.key_on(0, "k");
    let mut client = cluster.client();
    assert_eq!(client.call(&["SET", &key, "1"]), Value::ok());
    cluster.backends[0].process().freeze();
    client.send(encode(&["GET", &key]));
    assert!(
        !client.something_comes_within(Duration::from_millis(100)),
        "a frozen server cannot answer"
    );
    cluster.proxy().process().terminate();
    client.read_to_end();
    assert!(cluster.proxy().process_mut().wait().code().is_some());
}

#[test]
fn sighup_opens_the_log_again() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let log = folder.path().join("proxy.log").display().to_string();
    let mut cluster = Cluster::with(|mut options| {
        options.args = vec!["-l".to_owned(), log, "--log-level=DEBUG".to_owned()];
        options
    });
    let logs = || -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder.path()).expect("the folder is there");
        let is_log = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with("proxy.log") && !name.ends_with(".moved")
        };
        entries.filter_map(Result::ok).map(|entry| entry.path()).filter(is_log).collect()
    };
    eventually("a log is written", || !logs().is_empty());
    for path in logs() {
        let moved = PathBuf::from(format!("{}.moved", path.display()));
        std::fs::rename(path, moved).expect("a file can be renamed");
    }
    cluster.proxy().process().hang_up();
    eventually("a new log is opened", || !logs().is_empty());
    assert_eq!(cluster.client().run("PING"), Value::Simple(b"PONG".to_vec()));
}

#[test]
fn an_idle_proxy_uses_no_cpu() {
    let mut cluster = Cluster::start();
    let mut clients: Vec<_> = (0..100).map(|_| cluster.client()).collect();
    for (i, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.call(&["SET", &format!("k{i}"), "1"]), Value::ok());
    }
    let process = cluster.proxy().process();
    std::thread::sleep(Duration::from_millis(200));
    let before = process.cpu_time();
    std::thread::sleep(Duration::from_secs(4));
    let used = process.cpu_time().since(before);
    println!("CPU in 4 s without a request: {} us", used.total_ns / 1000);
    // One per cent of a core; a fixed tick of 5 ms or a spinning thread use far more.
    assert!(used.total_ns < 40_000_000, "{used:?}");
}

#[test]
fn connections_and_commands_spread_over_the_shards() {
    assert!(cores() >= 2, "this needs two cores, and this process may use {}", cores());
    let mut cluster = Cluster::with(|options| options.shards(2));
    let proxy = cluster.proxy();
    for count in [1_usize, 2, 5, 16] {
        let mut clients: Vec<_> = (0..count).map(|_| proxy.client()).collect();
        for client in &mut clients {
            for i in 0..50 {
                assert_eq!(client.call(&["SET", &format!("k{i}"), "1"]), Value::ok());
            }
        }
        let metrics = proxy.admin("/metrics").body;
        let alive = metric_by_label(&metrics, "codis_sessions_alive", "shard");
        let total: f64 = alive.values().sum();
        assert!((total - count as f64).abs() < 0.5, "{alive:?} with {count} connections");
        let fair = count.div_ceil(2) + 1;
        assert!(
            alive.values().all(|&on_one| on_one <= fair as f64),
            "{alive:?} with {count} connections"
        );
        drop(clients);
        eventually("the sessions are gone", || {
            codis_testbed::metric_sum(&proxy.admin("/metrics").body, "codis_sessions_alive") < 0.5
        });
    }
    let commands =
        metric_by_label(&proxy.admin("/metrics").body, "codis_shard_commands_total", "shard");
    assert_eq!(commands.len(), 2, "{commands:?}");
    assert!(commands.values().all(|&calls| calls > 300.0), "{commands:?}");
}

#[test]
fn the_admin_port_tells_health_metrics_and_codis_json() {
    let mut cluster = Cluster::start();
    let mut client = cluster.client();
    assert_eq!(client.run("MSET a 1 b 2 c 3"), Value::ok());
    let backends: Vec<String> =
        cluster.backends.iter().map(codis_testbed::Redis::address).collect();
    let proxy = cluster.proxy();
    assert_eq!(proxy.admin("/healthz").status, 200);
    assert_eq!(proxy.admin("/no-such-page").status, 404);
    let metrics = proxy.admin("/metrics");
    assert_eq!(metrics.status, 200);
    for backend in &backends {
        assert!(metrics.body.contains(backend), "no {backend} in {}", metrics.body);
    }
    let overview = proxy.admin("/proxy").body;
    let overview: serde_json::Value = serde_json::from_str(&overview).expect("it is JSON");
    assert_eq!(overview["config"]["product_name"], "test");
    assert_eq!(overview["model"]["proxy_addr"], proxy.address());
    assert_eq!(overview["stats"]["sessions"]["alive"], 1);
    assert_eq!(overview["slots"].as_array().map(Vec::len), Some(1024));
    assert_eq!(overview["slots"][1023]["backend_addr"], backends[1].as_str());
}

#[test]
fn clients_may_connect_over_a_unix_socket() {
    let cluster = Cluster::with(|mut options| {
        options.unix = true;
        options
    });
    let mut client = cluster.client();
    assert_eq!(client.run("MSET a 1 b 2 c 3"), Value::ok());
    assert_eq!(client.run("EXISTS a b c"), Value::Integer(3));
    assert!(client.run("CLIENT LIST").text().contains("id="));
}

#[test]
fn a_file_that_is_no_socket_is_not_replaced_by_one() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let precious = folder.path().join("precious");
    std::fs::write(&precious, "data").expect("it can be written");
    let file = folder.path().join("proxy.toml");
    let config = format!(
        "proto_type = \"unix\"\nproxy_addr = \"{}\"\nadmin_addr = \"127.0.0.1:0\"\n",
        precious.display()
    );
    std::fs::write(&file, config).expect("it can be written");
    let (code, printed) = run(&["--ncpu=1", "-c", &file.display().to_string()]);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("precious"), "{printed}");
    assert_eq!(std::fs::read_to_string(&precious).expect("it is there"), "data");
}

#[test]
fn why_the_proxy_does_not_start_stands_in_its_log_too() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let log = folder.path().join("proxy.log").display().to_string();
    let (code, printed) = run(&["--ncpu=1", "-l", &log, "--fillslots=/no/such/file"]);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("/no/such/file"), "{printed}");
    assert!(logged(folder.path()).contains("/no/such/file"), "{}", logged(folder.path()));
}

#[test]
fn a_server_that_is_lost_and_comes_back_is_logged_once_each() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let log = folder.path().join("proxy.log").display().to_string();
    let mut cluster = Cluster::with(|mut options| {
        options.args = vec!["-l".to_owned(), log];
        options
    });
    let key = cluster.key_on(0, "k");
    let mut client = cluster.client();
    assert_eq!(client.call(&["SET", &key, "1"]), Value::ok());
    cluster.backends[0].kill();
    eventually("the loss is logged", || logged(folder.path()).contains("a server is lost"));
    cluster.backends[0].restart();
    eventually("its return is logged", || logged(folder.path()).contains("a server is back"));
    let log = logged(folder.path());
    assert_eq!(log.matches("a server is lost").count(), 1, "{log}");
    assert!(log.contains(&cluster.backends[0].address()), "{log}");
}

/// All that was logged to files in `folder`.
fn logged(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    paths.map(|path| std::fs::read_to_string(path).unwrap_or_default()).collect()
}
