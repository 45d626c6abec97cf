//! The directory and its files, whole and damaged.

use super::*;
use crate::slots::SLOT_COUNT;
use codis_proto::meta::v1 as pb;
use tempfile::TempDir;

const FRESH: &str = "0123456789abcdef0123456789abcdef";

fn saved(epoch: u64) -> SavedTopology {
    let group = pb::TopologyGroup { id: 1, master: "10.0.0.1:6379".into(), ..Default::default() };
    let slot = pb::TopologySlot { kind: pb::SlotKind::Stable.into(), to: 1, ..Default::default() };
    let topology = pb::Topology {
        epoch,
        groups: vec![group],
        slots: vec![slot; SLOT_COUNT],
        ..Default::default()
    };
    SavedTopology { cluster: 77, product: "demo".into(), saved_unix_ms: 1234, topology }
}

fn open() -> (TempDir, DataDir) {
    let temp = TempDir::new().expect("a directory");
    let dir = DataDir::open(&temp.path().join("made/when/missing"), FRESH).expect("it opens");
    (temp, dir)
}

#[test]
fn the_token_is_made_once_and_kept() {
    let temp = TempDir::new().expect("a directory");
    let dir = DataDir::open(temp.path(), FRESH).expect("it opens");
    assert_eq!(dir.token(), FRESH);
    drop(dir);
    let again = DataDir::open(temp.path(), "another token").expect("it opens again");
    assert_eq!(again.token(), FRESH);
}

#[test]
fn a_token_that_cannot_be_one_is_replaced() {
    let temp = TempDir::new().expect("a directory");
    for damaged in ["", "short", "0123456789abcdef0123456789abcdeg\n"] {
        fs::write(temp.path().join(TOKEN), damaged).expect("a file");
        let dir = DataDir::open(temp.path(), FRESH).expect("it opens");
        assert_eq!(dir.token(), FRESH);
        assert_eq!(fs::read_to_string(temp.path().join(TOKEN)).expect("a file").trim(), FRESH);
    }
}

#[test]
fn a_second_process_is_refused_for_as_long_as_the_first_one_lasts() {
    let (_temp, dir) = open();
    // The lock belongs to the open file, so a second opening in this process stands for one of another.
    let refused = DataDir::open(&dir.path, FRESH).expect_err("it is in use");
    assert_eq!(
        refused.to_string(),
        format!(
            "{} is in use by another process: give this proxy a directory of its own with data_dir",
            dir.path.display()
        )
    );
    let path = dir.path.clone();
    drop(dir);
    assert!(DataDir::open(&path, FRESH).is_ok());
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let temp = TempDir::new().expect("a directory");
    let file = temp.path().join("file");
    fs::write(&file, "").expect("a file");
    let refused = DataDir::open(&file.join("dir"), FRESH).expect_err("a file is no directory");
    assert!(refused.to_string().starts_with("cannot make the directory "), "{refused}");
}

#[test]
fn a_topology_reads_back_as_it_was_saved_last() {
    let (_temp, dir) = open();
    assert_eq!(dir.load().expect("nothing is no failure"), None);
    dir.save(saved(5)).expect("it is written");
    dir.save(saved(6)).expect("it is replaced");
    assert_eq!(dir.load().expect("it is whole"), Some(saved(6)));
    let mut names: Vec<_> = fs::read_dir(&dir.path)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    names.sort_unstable();
    assert_eq!(names, [LOCK, TOKEN, TOPOLOGY]);
}

#[test]
fn a_file_that_is_cut_at_any_byte_is_refused() {
    let whole = file::encode(saved(5));
    for length in 0..whole.len() {
        let damage = file::decode(&whole[..length]).expect_err("half a file");
        assert!(matches!(damage, Damage::Format | Damage::Checksum), "{length}: {damage}");
    }
}

#[test]
fn a_file_with_any_byte_changed_is_refused() {
    let whole = file::encode(saved(5));
    for place in 0..whole.len() {
        for change in [1_u8, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[place] ^= change;
            assert!(file::decode(&bytes).is_err(), "byte {place} changed by {change:#x}");
        }
    }
}

#[test]
fn a_topology_that_contradicts_itself_is_refused_though_its_checksum_is_right() {
    let mut wrong = saved(5);
    wrong.topology.groups.clear();
    let damage = file::decode(&file::encode(wrong)).expect_err("no such group");
    assert_eq!(
        damage.to_string(),
        "the topology in it is none: slot 0 is on group 1, which it does not list"
    );
}

#[test]
fn a_damaged_file_is_named() {
    let (_temp, dir) = open();
    fs::write(dir.topology_path(), "CODTOPO1 and so on").expect("a file");
    let error = dir.load().expect_err("it is damaged").to_string();
    assert_eq!(error, format!("{}: it is cut off or damaged", dir.topology_path().display()));
}

#[test]
fn a_full_disk_leaves_the_old_topology_in_place() {
    let (_temp, dir) = open();
    dir.save(saved(5)).expect("it is written");
    std::os::unix::fs::symlink("/dev/full", dir.path.join("topology.new")).expect("a link");
    let error = dir.save(saved(6)).expect_err("the disk is full").to_string();
    assert!(error.contains("No space left on device"), "{error}");
    assert_eq!(dir.load().expect("it is whole"), Some(saved(5)));
    dir.save(saved(6)).expect("what was half written is out of the way");
    assert_eq!(dir.load().expect("it is whole"), Some(saved(6)));
}
