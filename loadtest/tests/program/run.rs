//! `codis-loadtest run`.

use crate::program::{errors, json, number, run, start};
use codis_testbed::{Redis, RedisOptions, Relay, Value, eventually, free_port};
use std::thread::sleep;
use std::time::Duration;

/// How often a server has run a command.
fn calls(redis: &Redis, command: &str) -> u64 {
    let text = redis.client().run("INFO commandstats").text();
    let start = format!("cmdstat_{command}:calls=");
    let line = text.lines().find_map(|line| line.strip_prefix(start.as_str()));
    line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
}

#[test]
fn a_number_of_requests_is_sent_and_counted_exactly() {
    let redis = Redis::start();
    let output = run(&[
        "run",
        "-t",
        &redis.address(),
        "-n",
        "20001",
        "--threads",
        "2",
        "-c",
        "7",
        "-P",
        "3",
        "--warmup",
        "0s",
        "--mix",
        "get=1,set=1",
        "--json",
    ]);
    let summary = json(&output);
    assert_eq!(number(&summary, "/all/replies"), 20_001.0);
    let sent = [calls(&redis, "get"), calls(&redis, "set")];
    assert_eq!(sent.iter().sum::<u64>(), 20_001);
    let counted = ["/commands/0/replies", "/commands/1/replies"].map(|at| number(&summary, at));
    assert_eq!(counted, sent.map(|count| count as f64));
    assert_eq!(number(&summary, "/lost_connections"), 0.0);
}

#[test]
fn every_named_command_is_answered_without_an_error_in_both_protocols() {
    let redis = Redis::start();
    let listed = run(&["run", "--commands"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let names: Vec<&str> =
        listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() > 20, "{listed}");
    for protocol in [&[][..], &["--resp3"]] {
        let mix = names.join(",");
        let args =
            ["run", "-t", &redis.address(), "-n", "20000", "--keys", "50", "--mix", &mix, "--json"];
        let summary = json(&run(&[&args, protocol].concat()));
        assert_eq!(summary["errors"], serde_json::json!({}), "{summary}");
        assert_eq!(number(&summary, "/all/replies"), 20_000.0);
    }
}

#[test]
fn an_open_loop_counts_what_a_frozen_server_made_late() {
    const FROZEN: Duration = Duration::from_secs(1);
    let redis = Redis::start();
    let args =
        ["run", "-t", &redis.address(), "--rate", "1000", "--duration", "4s", "--json", "-c", "4"];
    let child = start(&args);
    eventually("there is load", || calls(&redis, "get") > 1000);
    redis.process().freeze();
    sleep(FROZEN);
    redis.process().thaw();
    let output = child.wait_with_output().expect("it can be waited for");
    let summary = json(&output);
    // A closed loop of 4 clients would have counted 4 slow requests. Here as many are late as were due.
    // The first of them was due a moment after the freeze began.
    assert!(number(&summary, "/all/max_ms") >= 900.0, "{summary}");
    assert!(number(&summary, "/all/p90_ms") >= 100.0, "{summary}");
    assert_eq!(number(&summary, "/all/replies") + number(&summary, "/unsent"), 4000.0);
}

#[test]
fn lost_connections_are_counted_and_opened_again_or_end_the_run() {
    let redis = Redis::start();
    let relay = Relay::to(&redis.address());
    let target = relay.address();
    let goes_on =
        start(&["run", "-t", &target, "--duration", "2s", "--warmup", "0s", "--json", "-c", "5"]);
    let stops =
        start(&["run", "-t", &target, "--duration", "60s", "--on-error", "stop", "-c", "5"]);
    eventually("there is load", || calls(&redis, "get") > 1000);
    relay.cut_all();
    let summary = json(&goes_on.wait_with_output().expect("it can be waited for"));
    assert_eq!(number(&summary, "/lost_connections"), 5.0, "{summary}");
    let stopped = stops.wait_with_output().expect("it can be waited for");
    assert_eq!(stopped.status.code(), Some(1));
    assert!(errors(&stopped).contains("was lost"), "{}", errors(&stopped));
}

#[test]
fn a_password_a_database_and_the_third_protocol_are_used() {
    let redis = Redis::start_with_password("secret");
    let address = redis.address();
    let common =
        ["run", "-t", &address, "-n", "100", "--mix", "set", "--keys", "1", "--db", "3", "--json"];
    for more in [&["--pass", "secret"][..], &["--pass", "secret", "--user", "default", "--resp3"]] {
        redis.client().run("FLUSHALL");
        let _ = json(&run(&[&common, more].concat()));
        let mut client = redis.client();
        assert_eq!(client.run("SELECT 3"), Value::ok());
        assert_eq!(client.run("DBSIZE"), Value::Integer(1), "{more:?}");
    }
    let refused = run(&[&common[..], &["--pass", "wrong"]].concat());
    assert_eq!(refused.status.code(), Some(1));
    assert!(errors(&refused).contains("WRONGPASS"), "{}", errors(&refused));
}

#[test]
fn a_server_in_cipher_is_loaded_when_its_certificate_is_trusted() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let names = vec!["127.0.0.1".to_owned()];
    let pair = rcgen::generate_simple_self_signed(names).expect("a certificate can be made");
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("cert.pem"), pair.cert.pem()).expect("the folder can be written");
    std::fs::write(path("key.pem"), pair.signing_key.serialize_pem()).expect("it can be written");
    let port = free_port().to_string();
    let args = [
        "--tls-port",
        &port,
        "--tls-cert-file",
        &path("cert.pem"),
        "--tls-key-file",
        &path("key.pem"),
        "--tls-ca-cert-file",
        &path("cert.pem"),
        "--tls-auth-clients",
        "no",
    ];
    let args = args.map(str::to_owned).to_vec();
    let _redis = Redis::start_with(RedisOptions { args, ..RedisOptions::default() });
    let target = format!("127.0.0.1:{port}");
    let common =
        ["run", "-t", &target, "--tls", "-n", "5000", "-P", "8", "-d", "10-5000", "--json"];
    let summary = json(&run(&[&common[..], &["--tls-ca", &path("cert.pem")]].concat()));
    assert_eq!(number(&summary, "/all/replies"), 5_000.0);
    let refused = run(&common);
    assert_eq!(refused.status.code(), Some(1), "an unknown certificate must not be trusted");
}

#[test]
fn what_cannot_be_is_refused_in_a_sentence() {
    let nobody = format!("127.0.0.1:{}", free_port());
    for (args, code, part) in [
        (&["run", "-t", &nobody][..], 1, "cannot connect"),
        (&["run", "-t", "nowhere"], 1, "HOST:PORT"),
        (&["run", "-t", &nobody, "--mix", "gte"], 1, "no command named"),
        (&["run", "-t", &nobody, "--command", "x=GET {k}", "--mix", "x"], 1, "no place"),
        (&["run", "-t", &nobody, "--json=/nowhere/at/all"], 1, "cannot write"),
        (&["run"], 2, "--target"),
        (&["run", "-t", &nobody, "--rate", "0"], 2, "--rate"),
        (&["run", "-t", &nobody, "--distribution", "zip"], 2, "zipf"),
        (&["run", "-t", &nobody, "--value-size", "x"], 2, "BYTES"),
        (&["run", "-t", &nobody, "--plot", "x.png"], 2, ".svg"),
    ] {
        let output = run(args);
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(part), "{args:?}: {said}");
    }
}

#[test]
fn percentiles_and_a_plot_are_written() {
    let redis = Redis::start();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (hgrm, svg) = (path("latency.hgrm"), path("latency.svg"));
    let output =
        run(&["run", "-t", &redis.address(), "-n", "5000", "--hgrm", &hgrm, "--plot", &svg]);
    assert!(output.status.success(), "{}", errors(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("p99.9"));
    let written = |path: &str| std::fs::read_to_string(path).expect("it was written");
    assert!(written(&hgrm).contains("Total count    =         5000"));
    assert!(written(&svg).contains("</svg>"));
}
