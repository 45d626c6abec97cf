//! Faults that were planted in a proxy are found.
//!
//! `CODIS_PLANTED_PROXY` is a proxy that was built with the feature `planted-faults`;
//! `scripts/soak.sh planted` builds it and runs these.

use crate::program::{PROGRAM, errors};
use codis_testbed::beside;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const ASKED_FOR: &str = "needs a proxy with planted faults: scripts/soak.sh planted";

/// The folder of programs; codis-meta and codis-admin are those of this build.
fn programs() -> (tempfile::TempDir, PathBuf) {
    let proxy = std::env::var_os("CODIS_PLANTED_PROXY").expect(ASKED_FOR);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let link = |program: &Path, name: &str| {
        let program = program.canonicalize().expect("the program is there");
        std::os::unix::fs::symlink(program, folder.path().join(name)).expect("it can be linked");
    };
    link(Path::new(&proxy), "codis-proxy");
    for name in ["codis-meta", "codis-admin"] {
        link(&beside(Path::new(PROGRAM), name), name);
    }
    let path = folder.path().to_owned();
    (folder, path)
}

/// A check of a proxy with this fault, of less than a minute.
fn check(fault: &str, more: &[&str]) -> Output {
    let (_folder, programs) = programs();
    Command::new(PROGRAM)
        .args(["check", "--duration", "40s", "--rate", "200000", "--clients", "32", "-P", "16"])
        .arg("--bin-dir")
        .arg(programs)
        .args(more)
        .env("CODIS_PLANTED_FAULT", fault)
        .output()
        .unwrap_or_else(|error| panic!("cannot run {PROGRAM}: {error}"))
}

#[allow(clippy::print_stdout, reason = "the history is worth a look")]
fn is_found(output: &Output) {
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{out}");
    assert_eq!(output.status.code(), Some(3), "{out}{}", errors(output));
    assert!(out.contains("VIOLATION 1 of"), "{out}");
}

#[test]
#[ignore = "needs a proxy with planted faults: scripts/soak.sh planted"]
fn one_write_in_a_hundred_thousand_that_is_dropped_is_found() {
    is_found(&check("drop-writes", &[]));
}

#[test]
#[ignore = "needs a proxy with planted faults: scripts/soak.sh planted"]
fn two_replies_that_are_swapped_are_found() {
    is_found(&check("swap-replies", &[]));
}

#[test]
#[ignore = "needs a proxy with planted faults: scripts/soak.sh planted"]
fn a_stale_copy_after_a_move_is_found() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("faults").display().to_string();
    std::fs::write(&path, "5s migrate 0-511 to 2\n").expect("the folder can be written");
    is_found(&check("stale-after-move", &["--faults", &path]));
}

#[test]
#[ignore = "needs a proxy with planted faults: scripts/soak.sh planted"]
fn the_same_proxy_without_a_fault_passes() {
    let output = check("none", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}
