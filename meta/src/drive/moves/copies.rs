//! The copies of big keys that are on their way, under their hidden names.
//!
//! Each is written down on its server before its first piece: a set under a reserved key there holds the databases and
//! names. So whoever connects next, in this term or in a later one, finds what an attempt has left.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use codis_proto::{BIG_KEY_PREFIX, COPIES_KEY};

use super::net::{Request, Value};

/// The copies of a term.
#[derive(Debug, Default)]
pub(super) struct Copies {
    begun: AtomicU64,
    running: Mutex<BTreeSet<Vec<u8>>>,
}

impl Copies {
    /// A hidden name that has not been used in this term.
    pub(super) fn begin(&self, term: u64) -> Copy<'_> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let name = format!("{BIG_KEY_PREFIX}{term}:{number}").into_bytes();
        self.lock().insert(name.clone());
        Copy { copies: self, name }
    }

    /// What is to be removed of the copies that a server's set names.
    pub(super) fn left(&self, register: &[Value]) -> Vec<(u32, Request)> {
        let running = self.lock();
        let left = register.iter().filter_map(|entry| {
            let entry = entry.bytes()?;
            let (database, name) = read(entry)?;
            (!running.contains(name)).then(|| removal(database, name))
        });
        left.flatten().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Vec<u8>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A copy under way; it is over when this is dropped.
#[derive(Debug)]
pub(super) struct Copy<'a> {
    copies: &'a Copies,
    name: Vec<u8>,
}

impl Copy<'_> {
    /// The hidden key.
    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }

    /// Writes it down, and makes sure that there is nothing under its name: a metadata group that was
    /// founded anew counts its terms from the beginning.
    pub(super) fn announcement(&self, database: u32) -> [(u32, Request); 2] {
        let unlink = vec![b"UNLINK".to_vec(), self.name.clone()];
        [(0, registering("SADD", database, &self.name)), (database, unlink)]
    }

    /// Removes what is left of it.
    pub(super) fn removal(&self, database: u32) -> [(u32, Request); 2] {
        removal(database, &self.name)
    }
}

impl Drop for Copy<'_> {
    fn drop(&mut self) {
        self.copies.lock().remove(&self.name);
    }
}

fn removal(database: u32, name: &[u8]) -> [(u32, Request); 2] {
    let unlink = vec![b"UNLINK".to_vec(), name.to_vec()];
    [(database, unlink), (0, registering("SREM", database, name))]
}

fn registering(command: &str, database: u32, name: &[u8]) -> Request {
    let entry = [database.to_string().as_bytes(), b" ", name].concat();
    vec![command.into(), COPIES_KEY.into(), entry]
}

fn read(entry: &[u8]) -> Option<(u32, &[u8])> {
    let space = entry.iter().position(|byte| *byte == b' ')?;
    let database = std::str::from_utf8(&entry[..space]).ok()?.parse().ok()?;
    let name = &entry[space + 1..];
    // Nobody else's key is removed, whatever somebody wrote there.
    name.starts_with(BIG_KEY_PREFIX.as_bytes()).then_some((database, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_attempt_has_left_is_removed_once_it_is_over() {
        let copies = Copies::default();
        let copy = copies.begin(3);
        assert_ne!(copy.name(), copies.begin(3).name());
        let entry = Value::Bytes(copy.announcement(7)[0].1[2].clone());
        assert_eq!(copies.left(std::slice::from_ref(&entry)), []);
        let removal = copy.removal(7);
        drop(copy);
        assert_eq!(copies.left(&[entry]), removal);
    }

    #[test]
    fn an_entry_that_names_something_else_is_left_alone() {
        let copies = Copies::default();
        for entry in ["0 mine", "mine", "x {__codis_big__}:1:1", ""] {
            assert_eq!(copies.left(&[Value::Bytes(entry.into())]), [], "{entry}");
        }
    }
}
