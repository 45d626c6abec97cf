//! codis-meta as a process: its flags, its signals, how it ends.

use codis_testbed::{Member, MemberOptions, Process, eventually};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_codis-meta"))
}

/// Runs it with flags that it ends by itself with.
fn run(args: &[&str]) -> Output {
    Command::new(binary()).args(args).output().expect("the program runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The log files that are in `directory`, together.
fn logged(directory: &Path) -> String {
    let entries =
        fs::read_dir(directory).expect("listed").map(|entry| entry.expect("an entry").path());
    let logs = entries.filter(|path| path.to_string_lossy().contains("/meta.log."));
    logs.map(|path| fs::read_to_string(path).expect("a log")).collect()
}

#[test]
fn a_member_alone_serves_with_the_defaults_and_ends_with_0_when_it_is_told_to() {
    let mut member = Member::start(MemberOptions::alone(binary()));
    eventually("it says that it serves", || {
        member.process().printed().contains(&format!("admin_addr={}", member.address()))
    });
    member.process().terminate();
    assert_eq!(member.process_mut().wait().code(), Some(0));
    assert!(member.process().printed().contains("SIGTERM: the member ends"));
}

#[test]
fn a_member_that_cannot_listen_ends_with_1_and_says_why_on_stderr_and_in_the_log() {
    let directory = tempfile::tempdir().expect("a directory");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let config = directory.path().join("meta.toml");
    let data = directory.path().join("data");
    fs::write(&config, format!("admin_addr = \"{address}\"\ndata_dir = {data:?}\n"))
        .expect("written");
    let log = format!("--log={}", directory.path().join("meta.log").display());
    let output = run(&["-c", &config.display().to_string(), &log]);
    assert_eq!(output.status.code(), Some(1));
    let why = format!("cannot listen on {address}");
    assert!(said(&output).starts_with(&format!("codis-meta: {why}")), "{}", said(&output));
    assert!(logged(directory.path()).contains(&format!("the member ends: {why}")));
}

#[test]
fn the_log_is_opened_anew_after_sighup_and_the_pidfile_lasts_as_long_as_the_process() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let options = MemberOptions::alone(binary());
    let (address, data) = (&options.address, path("data"));
    fs::write(path("meta.toml"), format!("admin_addr = \"{address}\"\ndata_dir = {data:?}\n"))
        .expect("written");
    let args = [
        format!("--config={}", path("meta.toml").display()),
        format!("--log={}", path("meta.log").display()),
        format!("--pidfile={}", path("pid").display()),
        "--ncpu=1".to_owned(),
    ];
    let mut process = Process::start(binary(), &args, &path("output"));
    eventually("it serves", || logged(directory.path()).contains("serves"));
    assert_eq!(fs::read_to_string(path("pid")).expect("the file"), format!("{}\n", process.id()));
    for entry in fs::read_dir(directory.path()).expect("listed") {
        let log = entry.expect("an entry").path();
        if log.to_string_lossy().contains("/meta.log.") {
            fs::rename(&log, path("moved")).expect("moved");
        }
    }
    process.hang_up();
    eventually("a new log is begun", || logged(directory.path()).contains("SIGHUP"));
    process.terminate();
    assert_eq!(process.wait().code(), Some(0));
    assert!(!path("pid").exists());
}

#[test]
fn a_configuration_that_is_wrong_is_refused_with_every_problem() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("meta.toml");
    fs::write(&config, "member = []\nelection_timeout = \"soon\"\n").expect("written");
    let name = config.display().to_string();
    let output = run(&["-c", &name]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        said(&output),
        format!(
            "codis-meta: {name}:1: member: unknown key; the nearest known one is members\n\
             {name}:2: election_timeout: \"soon\" is not a time; write it as \"30m\", \"75s\", \"500ms\"\n"
        )
    );
}

#[test]
fn more_threads_than_cores_are_refused() {
    let output = run(&["--ncpu=100000"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).starts_with("codis-meta: --ncpu=100000 is more than the "));
}

#[test]
fn the_default_configuration_is_printed_and_is_read_again() {
    let output = run(&["--default-config"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(text, codis_meta::config::default_toml());
}
