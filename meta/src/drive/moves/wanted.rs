//! Big keys that clients wait for, as their proxies say.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many are remembered; then the oldest are forgotten, and found by the walk.
const WANTED_MAX: usize = 1000;

/// A key with its database.
type Named = (u32, Vec<u8>);

/// See the module's head. It is a hint: what stands here and does not move is harmless.
#[derive(Debug, Default)]
pub struct Wanted {
    keys: Mutex<VecDeque<Named>>,
}

impl Wanted {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Named>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client waits for the key.
    pub fn add(&self, database: u32, key: Vec<u8>) {
        let mut keys = self.lock();
        let known = keys.iter().any(|(other, name)| (*other, name) == (database, &key));
        if !known {
            if keys.len() == WANTED_MAX {
                keys.pop_front();
            }
            keys.push_back((database, key));
        }
    }

    /// The one that was wanted first, of those that `moves` says of that they do.
    pub(super) fn take(&self, moves: impl Fn(&[u8]) -> bool) -> Option<Named> {
        let mut keys = self.lock();
        let place = keys.iter().position(|(_, key)| moves(key))?;
        keys.remove(place)
    }

    /// The key has moved.
    pub(super) fn forget(&self, database: u32, key: &[u8]) {
        self.lock().retain(|(other, name)| (*other, name.as_slice()) != (database, key));
    }

    pub(in crate::drive) fn clear(&self) {
        self.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_once_and_by_whom_it_is_for() {
        let wanted = Wanted::default();
        for key in ["a", "b", "a"] {
            wanted.add(0, key.into());
        }
        wanted.add(1, b"a".to_vec());
        assert_eq!(wanted.take(|key| key == b"b"), Some((0, b"b".to_vec())));
        assert_eq!(wanted.take(|_| true), Some((0, b"a".to_vec())));
        assert_eq!(wanted.take(|key| key == b"b"), None);
        assert_eq!(wanted.take(|_| true), Some((1, b"a".to_vec())));
        assert_eq!(wanted.take(|_| true), None);
    }

    #[test]
    fn the_newest_are_remembered() {
        let wanted = Wanted::default();
        for number in 0..=WANTED_MAX {
            wanted.add(0, number.to_string().into_bytes());
        }
        assert_eq!(wanted.take(|key| key == b"0"), None);
        assert_eq!(wanted.take(|_| true), Some((0, b"1".to_vec())));
    }
}
