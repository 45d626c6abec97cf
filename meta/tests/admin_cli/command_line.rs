//! What is typed, what is printed, and how the program ends.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use codis_testbed::free_port;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tonic::transport::Identity;

use crate::fake::{BACKUP, Fake};
use crate::{admin, at, command, finished};

#[test]
fn a_wrong_command_line_ends_with_2() {
    for line in [
        "",
        "nothing",
        "group create",
        "group create --gid x",
        "--timeout=soon status",
        "--dashboard=127.0.0.1:18080 --list-group",
    ] {
        let ended = admin(&line.split_whitespace().collect::<Vec<_>>());
        assert_eq!(ended.code, Some(2), "{line}: {ended:?}");
        assert_eq!(ended.stdout, "", "{line}");
        assert_ne!(ended.stderr, "", "{line}");
    }
}

#[test]
fn a_flag_of_codis_is_answered_with_the_command_of_today() {
    let ended = admin(&["--dashboard=127.0.0.1:18080", "--create-group", "--gid=1"]);
    assert!(ended.stderr.contains("codis-admin group create --gid N"), "{ended:?}");
}

#[test]
fn help_and_completions_need_no_group() {
    let help = admin(&["group", "promote", "--help"]).done();
    assert!(help.stdout.contains("Example:\n  codis-admin group promote --gid 1"), "{help:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = admin(&["completion", shell]).done();
        assert!(script.stdout.contains("replica-reads"), "{shell}");
    }
}

#[test]
fn every_address_is_named_when_none_can_be_reached() {
    let addresses = format!("127.0.0.1:{},127.0.0.1:{}", free_port(), free_port());
    let ended = at(&addresses, "--timeout=0.2 status").failed();
    for address in addresses.split(',') {
        assert!(ended.stderr.contains(&format!("{address}: ")), "{ended:?}");
    }

    let ended = at(&addresses, "--timeout=0.2 --json status").failed();
    let error: serde_json::Value = serde_json::from_str(&ended.stderr).expect("JSON");
    assert_eq!(error["code"], "UNAVAILABLE");
    assert!(error["refusal"].is_null());
}

#[test]
fn an_error_in_json_names_the_rule_that_stands_against_it() {
    let fake = Fake::default();
    let served = fake.serve();
    let ended = at(&served.address, "--json group add --gid 9 --addr 10.0.0.1:6379").failed();
    let error: serde_json::Value = serde_json::from_str(&ended.stderr).expect("JSON");
    let expected = serde_json::json!({
        "error": "there is no group 9", "code": "NOT_FOUND", "refusal": "GROUP_UNKNOWN",
    });
    assert_eq!(error, expected);
}

#[test]
fn the_token_comes_from_a_flag_the_environment_or_a_file() {
    let fake = Fake::default();
    let served = fake.serve();
    fake.held().token = Some("secret".into());
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("auth");
    std::fs::write(&file, "secret\n").expect("written");
    let meta = format!("--meta={}", served.address);

    assert!(admin(&[&meta, "group", "list"]).failed().stderr.contains("token"));
    assert!(admin(&[&meta, "--auth=wrong", "group", "list"]).failed().stderr.contains("token"));
    admin(&[&meta, "--auth=secret", "group", "list"]).done();
    admin(&[&meta, "--auth-file", &file.display().to_string(), "group", "list"]).done();
    let output = command(&["group", "list"])
        .env("CODIS_AUTH", "secret")
        .env("CODIS_META", &served.address)
        .output();
    finished(&output.expect("it starts")).done();
}

#[test]
fn a_token_that_is_given_counts_more_than_the_environments() {
    let fake = Fake::default();
    let served = fake.serve();
    fake.held().token = Some("secret".into());
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("auth");
    std::fs::write(&file, "secret\n").expect("written");
    let from_file = format!("--auth-file={}", file.display());
    let meta = format!("--meta={}", served.address);
    for given in ["--auth=secret", &from_file] {
        let output = command(&[&meta, given, "group", "list"]).env("CODIS_AUTH", "wrong").output();
        finished(&output.expect("it starts")).done();
    }
    let both = admin(&[&meta, "--auth=secret", &from_file, "group", "list"]);
    assert_eq!(both.code, Some(2), "{both:?}");
}

#[test]
fn tls_is_spoken_where_an_authority_is_given() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, cert.pem()).expect("written");
    let fake = Fake::default();
    let served = fake.serve_with(Some(Identity::from_pem(cert.pem(), signing_key.serialize_pem())));
    let port = served.address.rsplit_once(':').expect("a port").1;
    let address = format!("localhost:{port}");

    let ca = format!("--tls-ca={}", file.display());
    at(&address, &format!("{ca} group create --gid 1")).done();
    at(&address, "--timeout=0.3 group create --gid 2").failed();
    assert_eq!(fake.held().ran, 1);
}

#[test]
fn nothing_destructive_is_done_without_a_word() {
    let fake = Fake::default();
    let served = fake.serve();
    fake.held().groups.insert(2, Vec::new());
    fake.held().members.insert(3, "10.0.0.3:18080".into());
    fake.add_server(1, "10.0.0.1:6379", "master", 5);
    let lines = [
        "group del --gid 1 --addr 10.0.0.9:6379",
        "group sync --addr 10.0.0.1:6379",
        "group remove --gid 2",
        "slots offline --beg 0 --end 1023",
        "proxy remove --token aa",
        "proxy remove --token aa --force",
        "meta remove --id 3",
    ];
    for line in lines {
        let ended = at(&served.address, line).failed();
        assert!(ended.stderr.contains("--confirm"), "{line}: {ended:?}");
    }
    {
        let held = fake.held();
        assert_eq!((held.ran, held.members.len()), (0, 1), "nothing was done");
    }
    for line in lines {
        at(&served.address, &format!("{line} --confirm")).done();
    }
    assert_eq!(fake.held().ran, lines.len() - 1, "all but the member's removal are changes");
    assert!(fake.held().members.is_empty());
}

#[test]
fn a_sync_of_a_server_without_keys_asks_nothing() {
    let fake = Fake::default();
    let served = fake.serve();
    fake.add_server(1, "10.0.0.1:6379", "master", 0);
    fake.add_server(1, "10.0.0.2:6379", "slave", 5);
    at(&served.address, "group sync --addr 10.0.0.1:6379").done();
    let ended = at(&served.address, "group sync --addr 10.0.0.2:6379 --detach").done();
    assert!(ended.stdout.contains("is being synced"), "{ended:?}");
}

#[test]
fn a_change_waits_for_the_proxies_unless_told_not_to() {
    let fake = Fake::default();
    let served = fake.serve();
    fake.held().proxies_waiting = vec!["aa".into()];
    let ended = at(&served.address, "group create --gid 1").done();
    assert!(ended.stdout.contains("proxy aa does not work by it yet"), "{ended:?}");
    assert_eq!(fake.held().wait_ms, Some(2000));
    let ended = at(&served.address, "--json group create --gid 2 --no-wait").done();
    assert_eq!(fake.held().wait_ms, Some(0));
    let expected =
        serde_json::json!({ "index": 2, "epoch": 2, "proxies_waiting": ["aa"], "notes": [] });
    assert_eq!(ended.json(), expected);
}

#[test]
fn every_list_is_a_table_or_one_json_document() {
    let fake = Fake::default();
    let served = fake.serve();
    fake.add_server(1, "10.0.0.1:6379", "master", 5);
    fake.held().members.insert(1, "10.0.0.1:18080".into());
    for (line, shown) in [
        ("status", "10.0.0.1:6379"),
        ("group list", "10.0.0.1:6379"),
        ("slots list", "0-1023"),
        ("slots status", "no slot is to move"),
        ("proxy list", "no proxy"),
        ("meta status", "10.0.0.1:18080"),
        ("config get", "barrier_deadline"),
        ("config get migration_timeout", "migration_timeout"),
    ] {
        let text = at(&served.address, line).done();
        assert!(text.stdout.contains(shown), "{line}: {text:?}");
        assert!(!text.stdout.contains('\u{1b}'), "no colours without a terminal: {line}");
        let document = at(&served.address, &format!("{line} --json")).done().json();
        assert!(document.is_object() || document.is_array(), "{line}: {document}");
    }
    let document = at(&served.address, "--json config get migration_timeout").done().json();
    assert_eq!(document["settings"].as_array().map(Vec::len), Some(1), "{document}");
    let ended = at(&served.address, "config get nothing").failed();
    assert!(ended.stderr.contains("\"nothing\""), "{ended:?}");
}

#[test]
fn a_backup_is_a_file_that_can_be_restored() {
    let fake = Fake::default();
    let served = fake.serve();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("backup");
    let path = file.display();
    at(&served.address, &format!("meta backup {path}")).done();
    assert_eq!(std::fs::read(&file).expect("the file is there"), BACKUP);
    let names = std::fs::read_dir(directory.path()).expect("listed").count();
    assert_eq!(names, 1, "nothing unfinished is left");
    let ended = at(&served.address, &format!("meta backup {path}")).failed();
    assert!(ended.stderr.contains("--force"), "{ended:?}");
    at(&served.address, &format!("meta backup --force {path}")).done();

    at(&served.address, &format!("meta restore {path}")).failed();
    assert!(fake.held().restored.is_empty());
    at(&served.address, &format!("meta restore {path} --confirm")).done();
    assert_eq!(fake.held().restored, [BACKUP]);
}

#[test]
fn a_backup_may_go_to_the_standard_output() {
    let fake = Fake::default();
    let served = fake.serve();
    let meta = format!("--meta={}", served.address);
    let output = command(&[&meta, "meta", "backup", "-"]).output().expect("it starts");
    assert_eq!(output.stdout, BACKUP);
}

#[test]
fn watching_goes_on_when_a_stream_ends() {
    let fake = Fake::default();
    let served = fake.serve();
    let meta = format!("--meta={}", served.address);
    let mut child =
        command(&[&meta, "watch", "--json"]).stdout(Stdio::piped()).spawn().expect("it starts");
    let stdout = child.stdout.take().expect("it is piped");
    let lines: Vec<String> =
        BufReader::new(stdout).lines().take(3).map(|line| line.expect("a line")).collect();
    child.kill().and_then(|()| child.wait()).expect("it ends");
    for (line, index) in lines.iter().zip(1..) {
        let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(event["change"]["index"], index, "{line}");
        assert_eq!(event["change"]["command"]["group_create"]["group"], 7, "{line}");
    }
    assert_eq!(lines.len(), 3);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let fake = Fake::default();
    let served = fake.serve();
    let meta = format!("--meta={}", served.address);
    let mut child = command(&[&meta, "watch"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let code = child.wait().expect("it ends").code();
    let mut stderr = String::new();
    child.stderr.take().expect("it is piped").read_to_string(&mut stderr).expect("text");
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}
