//! The store on a real directory: crashes, damage, full disks, and who may open it.

#![allow(clippy::unwrap_used, reason = "a test whose files cannot be set up has failed")]

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use tempfile::TempDir;

use super::super::machine::{RestoreError, StateMachine};
use super::super::member::{AnswerKind, Config, Fault, Member, Role};
use super::*;

const WHO: Identity = Identity { group: 7, member: 1 };

fn founding() -> Founding {
    Founding {
        members: BTreeMap::from([(1, "127.0.0.1:1".to_owned())]),
        snapshot: 0u64.to_le_bytes().to_vec(),
    }
}

fn open(dir: &Path) -> Result<(DiskStore, Loaded), OpenError> {
    DiskStore::open(dir, WHO, Some(&founding()))
}

fn entry(index: u64, len: usize) -> Entry {
    let mut entry = Entry { index, term: 2, ..Entry::default() };
    entry.data = vec![index as u8 | 1; len].into();
    entry
}

/// A write of one entry, as a follower makes it.
fn append(store: &mut DiskStore, index: u64, len: usize) -> Result<(), StoreError> {
    let hard_state = HardState { term: 2, vote: 1, commit: index - 1, ..HardState::default() };
    store.write(&Write {
        hard_state: Some(hard_state),
        entries: vec![entry(index, len)],
        sync: true,
        ..Write::default()
    })
}

/// A directory as it would be found had the process died at this moment.
fn copy_of(dir: &Path) -> TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => copy(&entry.path(), &to.join(entry.file_name())),
                false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
            }
        }
    }
    let to = tempfile::tempdir().unwrap();
    copy(dir, to.path());
    to
}

fn log_file(dir: &Path) -> PathBuf {
    dir.join("log/0000000000000001.raftlog")
}

fn last(loaded: &Loaded) -> u64 {
    loaded.compacted.index + loaded.entries.len() as u64
}

#[test]
fn what_was_synced_is_there_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = open(dir.path()).unwrap();
    for index in 2..=50 {
        append(&mut store, index, 100).unwrap();
        let crashed = copy_of(dir.path());
        let (_, loaded) = open(crashed.path()).unwrap();
        assert_eq!(last(&loaded), index);
        assert_eq!(loaded.hard_state.commit, index - 1);
        assert_eq!(loaded.entries.last(), Some(&entry(index, 100)));
    }
}

#[test]
fn entries_that_replace_others_replace_all_after_them_too() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = open(dir.path()).unwrap();
    for index in 2..=10 {
        append(&mut store, index, 10).unwrap();
    }
    append(&mut store, 5, 99).unwrap();
    drop(store);
    let (_, loaded) = open(dir.path()).unwrap();
    assert_eq!(last(&loaded), 5);
    assert_eq!(loaded.entries.last(), Some(&entry(5, 99)));
}

#[test]
fn an_image_from_the_leader_replaces_the_whole_log_and_the_log_goes_on_behind_it() {
    for index in [6, 10, 40] {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, _) = open(dir.path()).unwrap();
        for index in 2..=10 {
            append(&mut store, index, 10).unwrap();
        }
        let image = Image::new(
            index,
            2,
            ConfState { voters: vec![1, 2], ..ConfState::default() },
            vec![9; 1000],
        );
        let compacted = Some(Compacted { index, term: 2, whole_log: true });
        store
            .write(&Write { image: Some(image.clone()), compacted, sync: true, ..Write::default() })
            .unwrap();
        let (_, loaded) = open(copy_of(dir.path()).path()).unwrap();
        assert_eq!((last(&loaded), loaded.image), (index, image));
        append(&mut store, index + 1, 10).unwrap();
        drop(store);
        let (_, loaded) = open(dir.path()).unwrap();
        assert_eq!((loaded.compacted.index, last(&loaded)), (index, index + 1));
        let images = fs::read_dir(dir.path()).unwrap().filter(|entry| {
            entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("image-")
        });
        assert_eq!(images.count(), 1, "the older image is removed");
    }
}

#[test]
fn a_log_cut_anywhere_in_its_last_write_ends_before_that_write() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = open(dir.path()).unwrap();
    for index in 2..=9 {
        append(&mut store, index, 50).unwrap();
    }
    let begin = content_len(dir.path());
    append(&mut store, 10, 50).unwrap();
    let end = content_len(dir.path());
    for cut in begin..end {
        let crashed = copy_of(dir.path());
        let file = fs::OpenOptions::new().write(true).open(log_file(crashed.path())).unwrap();
        file.set_len(cut as u64).unwrap();
        let (mut store, loaded) =
            open(crashed.path()).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        assert_eq!(last(&loaded), 9, "cut at {cut}");
        append(&mut store, 10, 70).unwrap();
        drop(store);
        let (_, loaded) = open(crashed.path()).unwrap();
        assert_eq!(loaded.entries.last(), Some(&entry(10, 70)), "cut at {cut}");
    }
}

#[test]
fn a_changed_byte_in_the_last_write_cuts_that_write_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = open(dir.path()).unwrap();
    for index in 2..=9 {
        append(&mut store, index, 50).unwrap();
    }
    let begin = content_len(dir.path());
    append(&mut store, 10, 50).unwrap();
    for (at, bits) in (begin..content_len(dir.path())).flat_map(|at| [(at, 0x01), (at, 0x90)]) {
        let crashed = copy_of(dir.path());
        flip(&log_file(crashed.path()), at, bits);
        let (_, loaded) = open(crashed.path()).unwrap_or_else(|error| panic!("byte {at}: {error}"));
        assert_eq!(last(&loaded), 9, "byte {at}");
    }
}

#[test]
fn a_changed_byte_anywhere_before_the_last_write_is_a_refusal_to_open() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = open(dir.path()).unwrap();
    for index in 2..=9 {
        append(&mut store, index, 50).unwrap();
    }
    let begin = content_len(dir.path());
    append(&mut store, 10, 50).unwrap();
    for (at, bits) in (0..begin).flat_map(|at| [(at, 0x01), (at, 0x90)]) {
        let crashed = copy_of(dir.path());
        flip(&log_file(crashed.path()), at, bits);
        match open(crashed.path()) {
            Err(OpenError::Damaged { advice, .. }) => {
                assert!(advice.contains("add it again under a new id"))
            }
            Err(other) => panic!("byte {at}: {other}"),
            Ok((_, loaded)) => panic!("byte {at}: opened with the log's end at {}", last(&loaded)),
        }
    }
}

#[test]
fn a_lost_log_is_a_refusal_to_open_and_not_a_new_member() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    fs::remove_dir_all(dir.path().join("log")).unwrap();
    assert!(matches!(open(dir.path()), Err(OpenError::Damaged { .. })));
}

#[test]
fn a_missing_file_in_the_middle_of_the_log_is_a_refusal_to_open() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = open(dir.path()).unwrap();
    for index in 2..=30 {
        append_incompressible(&mut store, index, 1 << 20);
    }
    drop(store);
    fs::remove_file(dir.path().join("log/0000000000000002.raftlog")).unwrap();
    let refusal = open(dir.path()).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(refusal.contains("0000000000000002.raftlog: the file is missing"), "{refusal}");
}

#[test]
fn a_changed_byte_in_an_image_is_a_refusal_to_open() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let image = dir.path().join("image-00000000000000000001-00000000000000000001");
    for at in 0..fs::read(&image).unwrap().len() {
        let damaged = copy_of(dir.path());
        flip(&damaged.path().join(image.file_name().unwrap()), at, 0x10);
        assert!(matches!(open(damaged.path()), Err(OpenError::Damaged { .. })), "byte {at}");
    }
}

#[test]
fn an_interrupted_first_start_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    identity::write(dir.path(), Found { identity: WHO, begun: false }).unwrap();
    let (_, loaded) = open(dir.path()).unwrap();
    assert_eq!((last(&loaded), loaded.image.index), (1, 1));
}

#[test]
fn a_directory_in_use_is_refused_until_it_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path()).unwrap();
    assert!(matches!(open(dir.path()), Err(OpenError::Locked(_))));
    drop(store);
    assert!(open(dir.path()).is_ok());
}

#[test]
fn a_directory_of_another_member_or_group_is_refused_with_both_names() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    for other in [Identity { group: 8, ..WHO }, Identity { member: 2, ..WHO }] {
        let refusal = DiskStore::open(dir.path(), other, None)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        let (found, expected) = (
            "member 1 of group 0000000000000007",
            format!("member {} of group {:016x}", other.member, other.group),
        );
        assert!(refusal.contains(found) && refusal.contains(&expected), "{refusal}");
    }
}

#[test]
fn a_directory_says_whose_it_is_once_a_member_has_begun_there() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(DiskStore::identity(dir.path()).unwrap(), None);
    let first = Identity { group: 99, ..WHO };
    identity::write(dir.path(), Found { identity: first, begun: false }).unwrap();
    assert_eq!(DiskStore::identity(dir.path()).unwrap(), None);
    drop(open(dir.path()).expect("one that has not begun may begin as another"));
    assert_eq!(DiskStore::identity(dir.path()).unwrap(), Some(WHO));
    fs::remove_file(dir.path().join("identity")).unwrap();
    assert!(matches!(DiskStore::identity(dir.path()), Err(OpenError::Damaged { .. })));
}

#[test]
fn a_full_disk_refuses_a_write_in_full_and_takes_it_once_there_is_room() {
    for room in [0, 1, 30, 60, 100, 150] {
        let dir = tempfile::tempdir().unwrap();
        let files = Arc::new(Files::default());
        let (mut store, _) =
            DiskStore::open_with(dir.path(), WHO, Some(&founding()), files.clone()).unwrap();
        append(&mut store, 2, 100).unwrap();
        *files.disk.room.lock().unwrap() = Some(room);
        assert!(
            matches!(append(&mut store, 3, 100), Err(StoreError::Full(_))),
            "room for {room} bytes"
        );
        assert!(
            matches!(append(&mut store, 3, 100), Err(StoreError::Full(_))),
            "room for {room} bytes, again"
        );
        let (_, loaded) = open(copy_of(dir.path()).path()).unwrap();
        assert_eq!(last(&loaded), 2, "room for {room} bytes");
        *files.disk.room.lock().unwrap() = None;
        append(&mut store, 3, 100).unwrap();
        let (_, loaded) = open(copy_of(dir.path()).path()).unwrap();
        assert_eq!(last(&loaded), 3, "room for {room} bytes");
    }
}

#[test]
fn a_failed_sync_ends_all_writing() {
    let dir = tempfile::tempdir().unwrap();
    let files = Arc::new(Files::default());
    let (mut store, _) =
        DiskStore::open_with(dir.path(), WHO, Some(&founding()), files.clone()).unwrap();
    files.disk.fail_sync.store(true, Ordering::SeqCst);
    assert!(matches!(append(&mut store, 2, 10), Err(StoreError::Failed(_))));
    files.disk.fail_sync.store(false, Ordering::SeqCst);
    assert!(matches!(append(&mut store, 2, 10), Err(StoreError::Failed(_))));
    assert!(matches!(store.probe(), Err(StoreError::Failed(_))));
}

/// Counts commands.
struct Counter(u64);

impl StateMachine for Counter {
    fn apply(&mut self, _index: u64, _command: &[u8]) -> Vec<u8> {
        self.0 += 1;
        self.0.to_le_bytes().to_vec()
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.to_le_bytes().to_vec()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        let bytes = snapshot
            .try_into()
            .map_err(|_| RestoreError { reason: "it is not a number".to_owned() })?;
        self.0 = u64::from_le_bytes(bytes);
        Ok(())
    }
}

fn member_on(dir: &Path, boot: u64, files: Arc<Files>) -> Member<Counter, DiskStore> {
    let (store, loaded) = DiskStore::open_with(dir, WHO, Some(&founding()), files).unwrap();
    Member::new(Config::new(1, WHO.group, boot), store, loaded, Counter(0)).unwrap()
}

#[test]
fn a_member_restarts_from_its_image_and_the_end_of_a_log_of_a_hundred_thousand_entries() {
    let dir = tempfile::tempdir().unwrap();
    let mut member = member_on(dir.path(), 1, Arc::default());
    member.drive();
    for _ in 0..1000 {
        for _ in 0..100 {
            member.propose(vec![0; 1000]).unwrap();
        }
        assert_eq!(member.drive().answers.len(), 100);
    }
    assert_eq!(member.machine().0, 100_000);
    let files = fs::read_dir(dir.path().join("log")).unwrap();
    let bytes: u64 = files.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes < PURGE_BYTES + 2 * FILE_BYTES, "the log takes {bytes} bytes");
    let crashed = copy_of(dir.path());
    let mut member = member_on(crashed.path(), 2, Arc::default());
    // These two bound what a restart reads and applies again, and so the time that it takes.
    let status = member.status();
    assert!(status.last_index - status.first_index < 11_000);
    assert!(status.last_index - status.image_index < 10_000);
    member.drive();
    assert_eq!((member.status().role, member.machine().0), (Role::Leader, 100_000));
}

#[test]
fn a_member_on_a_full_disk_acknowledges_nothing_and_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let files = Arc::new(Files::default());
    let mut member = member_on(dir.path(), 1, files.clone());
    member.drive();
    *files.disk.room.lock().unwrap() = Some(20);
    member.propose(vec![1]).unwrap();
    assert_eq!(member.drive().answers, []);
    assert!(matches!(member.status().fault, Some(Fault::Full(_))));
    let files_at_first = fs::read_dir(dir.path().join("log")).unwrap().count();
    for _ in 0..100 {
        member.tick();
    }
    assert!(
        matches!(member.drive().answers[..], [ref answer] if answer.kind == AnswerKind::Unknown)
    );
    assert_eq!(
        fs::read_dir(dir.path().join("log")).unwrap().count(),
        files_at_first,
        "trying again leaves nothing behind"
    );
    *files.disk.room.lock().unwrap() = None;
    for _ in 0..20 {
        member.tick();
    }
    member.propose(vec![2]).unwrap();
    let answers = member.drive().answers;
    assert!(
        matches!(answers[..], [ref answer] if matches!(answer.kind, AnswerKind::Applied { .. }))
    );
    assert_eq!(member.machine().0, 1, "what was not acknowledged was not kept either");
}

/// Where the written part of the only file of the log ends; zeros are allocated after it.
fn content_len(dir: &Path) -> usize {
    let content = fs::read(log_file(dir)).unwrap();
    content.len() - content.iter().rev().take_while(|byte| **byte == 0).count()
}

fn flip(path: &Path, at: usize, bits: u8) {
    let mut content = fs::read(path).unwrap();
    content[at] ^= bits;
    fs::write(path, content).unwrap();
}

fn append_incompressible(store: &mut DiskStore, index: u64, len: usize) {
    let mut large = entry(index, 0);
    let mut rng = fastrand::Rng::with_seed(index);
    large.data = (0..len).map(|_| rng.u8(..)).collect::<Vec<u8>>().into();
    store.write(&Write { entries: vec![large], sync: true, ..Write::default() }).unwrap();
}
