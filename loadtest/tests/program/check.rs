//! `codis-loadtest check`.
//!
//! `CODIS_CHECK_SECONDS` says how long the run through faults takes, a minute by default; `make soak` makes it ten.

use crate::program::{errors, json, number, run, start};
use codis_testbed::{Redis, eventually};
use std::fmt::Write as _;

/// What happens again and again in the run through faults; server A is the master that group 1 gets, with the group's
/// first servers in turn.
const ROUND: &str = "\
    1 freeze server 3\n3 thaw server 3\n\
    4 migrate 0-511 to 2\n4.5 kill proxy 1\n5 start proxy 1\n5.5 freeze proxy 2\n7 thaw proxy 2\n\
    9 cut server 3\n10 promote server A\n12 kill meta 1\n13 start meta 1\n\
    14 migrate 0-511 to 1\n15 kill server 3\n16 start server 3\n18 cut proxy 1\n";
/// How long that takes, with a rest.
const ROUND_SECONDS: f64 = 20.0;

/// The script of so many seconds.
fn script(seconds: f64) -> String {
    let mut script = String::new();
    let rounds = (seconds / ROUND_SECONDS).ceil() as u32;
    for round in 0..rounds {
        for line in ROUND.lines() {
            let (at, what) = line.trim().split_once(' ').expect("a line has a time");
            let at =
                at.parse::<f64>().expect("a time is a number") + f64::from(round) * ROUND_SECONDS;
            let master = if round % 2 == 0 { "2" } else { "1" };
            writeln!(script, "{at}s {}", what.replace('A', master))
                .expect("a string can be written");
        }
    }
    script
}

#[test]
fn nothing_is_lost_through_kills_freezes_cuts_moves_and_promotions() {
    let seconds = std::env::var("CODIS_CHECK_SECONDS").ok().and_then(|text| text.parse().ok());
    let seconds: f64 = seconds.unwrap_or(3.0 * ROUND_SECONDS);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("faults").display().to_string();
    std::fs::write(&path, script(seconds)).expect("the folder can be written");
    let duration = format!("{}s", (seconds / ROUND_SECONDS).ceil() * ROUND_SECONDS);
    let output = run(&[
        "check",
        "--members",
        "3",
        "--proxies",
        "2",
        "--replicas",
        "1",
        "--faults",
        &path,
        "--duration",
        &duration,
        "--timeout",
        "2s",
        "--patience",
        "120s",
        "--rate",
        "10000",
        "--json",
    ]);
    let said = errors(&output);
    assert_eq!(output.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&output.stdout));
    let report = json(&output);
    assert!(number(&report, "/operations") > 10_000.0, "{report}");
    assert!(number(&report, "/lost_connections") > 0.0, "{report}");
    // The faults happened: the operator's commands among them were carried out.
    for done in ["migrate --beg 0 --end 511 --gid 2: done", "promote --gid 1", ": done"] {
        assert!(said.contains(done), "{done}: {said}");
    }
}

#[test]
fn a_server_that_forgets_is_found_out_with_a_history_that_shows_it() {
    let redis = Redis::start();
    let child = start(&["check", "-t", &redis.address(), "--duration", "3s", "--rate", "5000"]);
    eventually("clients write", || redis.client().run("DBSIZE").integer() > 100);
    redis.client().run("FLUSHALL");
    let output = child.wait_with_output().expect("it can be waited for");
    assert_eq!(output.status.code(), Some(3), "{}", errors(&output));
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.contains("VIOLATION 1 of") && report.contains("and is gone"), "{report}");
    assert!(report.contains("no acknowledged write is lost"), "{report}");
}

#[test]
fn a_server_that_does_well_passes() {
    let redis = Redis::start();
    let report = json(&run(&["check", "-t", &redis.address(), "--duration", "2s", "--json"]));
    assert_eq!(report["violations"], serde_json::json!([]), "{report}");
    assert_eq!(number(&report, "/unknown"), 0.0);
    let kinds = report["by_kind"].as_array().expect("kinds are listed");
    assert!(kinds.len() == 6 && kinds.iter().all(|kind| kind[1].as_u64() > Some(100)), "{report}");
}

#[test]
fn a_script_that_cannot_be_is_refused_with_its_line() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("faults").display().to_string();
    for (script, part) in
        [("1s kill server 9", "line 1"), ("90s kill server 1", "after the end"), ("soon", "line 1")]
    {
        std::fs::write(&path, script).expect("the folder can be written");
        let output = run(&["check", "--faults", &path]);
        assert_eq!(output.status.code(), Some(1), "{script}");
        assert!(errors(&output).contains(part), "{script}: {}", errors(&output));
    }
}
