//! Which keys are known to have left their source.
//!
//! Exact: a key that is remembered has left in the move that is named by the slot and the epoch at which it
//! began. Bounded: keys are in two generations, and when the younger is full, the older one is dropped and the
//! younger takes its place. A key that was forgotten costs one more question.
//!
//! A request of more keys than fit must find all of them known at once in the end. So while a request waits
//! that began before the last change of generations, there is no other one.

use ahash::{AHashMap, AHashSet};

/// How many keys make a generation full...
const KEYS_MAX: usize = 1 << 16;

/// ...or how many bytes of names.
const BYTES_MAX: usize = 8 << 20;

/// Keys of one slot and database, by the epoch at which the slot began to migrate.
type Names = AHashMap<(u16, u16), (u64, AHashSet<Box<[u8]>>)>;

/// One half of the memory.
#[derive(Debug, Default)]
struct Generation {
    names: Names,
    keys: usize,
    bytes: usize,
    /// Requests that began to wait in it.
    waiting: usize,
}

impl Generation {
    fn has(&self, place: Place, key: &[u8]) -> bool {
        let kept = self.names.get(&(place.slot, place.database));
        kept.is_some_and(|(since, keys)| *since == place.since && keys.contains(key))
    }

    fn insert(&mut self, place: Place, key: &[u8]) {
        let fresh = || (place.since, AHashSet::new());
        let (since, keys) = self.names.entry((place.slot, place.database)).or_insert_with(fresh);
        debug_assert_eq!(*since, place.since, "a slot's earlier move was not forgotten");
        if keys.insert(key.into()) {
            self.keys += 1;
            self.bytes += key.len();
        }
    }

    fn is_full(&self) -> bool {
        self.keys >= KEYS_MAX || self.bytes >= BYTES_MAX
    }

    fn retain(&mut self, goes_on: impl Fn(u16, u64) -> bool) {
        self.names.retain(|(slot, _), (since, _)| goes_on(*slot, *since));
        let sets = || self.names.values().map(|(_, keys)| keys);
        self.keys = sets().map(|keys| keys.len()).sum();
        self.bytes = sets().flatten().map(|key| key.len()).sum();
    }
}

/// The slot and database of a key, in one move of the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) slot: u16,
    pub(super) database: u16,
    pub(super) since: u64,
}

/// When a request began to wait, for [`Memory::end_wait`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pin(u64);

/// The memory of a shard.
#[derive(Debug, Default)]
pub(super) struct Memory {
    young: Generation,
    old: Generation,
    /// How often generations have changed.
    changes: u64,
}

impl Memory {
    /// Whether a key is known to have left. It is as young as any then, so that a request which has found
    /// it once finds it again.
    pub(super) fn knows(&mut self, place: Place, key: &[u8]) -> bool {
        if self.young.has(place, key) {
            return true;
        }
        let known = self.old.has(place, key);
        if known {
            self.young.insert(place, key);
        }
        known
    }

    /// Remembers a key that has left.
    pub(super) fn insert(&mut self, place: Place, key: &[u8]) {
        if self.young.is_full() && self.old.waiting == 0 {
            self.old = std::mem::take(&mut self.young);
            self.changes += 1;
        }
        self.young.insert(place, key);
    }

    /// A request begins to wait.
    pub(super) fn begin_wait(&mut self) -> Pin {
        self.young.waiting += 1;
        Pin(self.changes)
    }

    /// It waits no more.
    pub(super) fn end_wait(&mut self, pin: Pin) {
        let generation = if pin.0 == self.changes { &mut self.young } else { &mut self.old };
        debug_assert!(generation.waiting > 0, "a wait that did not begin has ended");
        generation.waiting = generation.waiting.saturating_sub(1);
    }

    /// Keeps the keys of moves that go on.
    pub(super) fn retain(&mut self, goes_on: impl Fn(u16, u64) -> bool) {
        self.young.retain(&goes_on);
        self.old.retain(&goes_on);
    }

    /// Whether no key is remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.young.keys + self.old.keys == 0
    }

    /// How many requests it counts as waiting.
    pub(super) fn waiting(&self) -> usize {
        self.young.waiting + self.old.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { slot: 3, database: 0, since: 7 };

    fn key(number: usize) -> Vec<u8> {
        number.to_le_bytes().to_vec()
    }

    fn held(memory: &Memory) -> usize {
        memory.young.keys + memory.old.keys
    }

    #[test]
    fn a_key_is_known_in_its_slot_database_and_move_alone() {
        let mut memory = Memory::default();
        memory.insert(PLACE, b"k");
        assert!(memory.knows(PLACE, b"k"));
        assert!(!memory.knows(PLACE, b"K"));
        assert!(!memory.knows(Place { slot: 4, ..PLACE }, b"k"));
        assert!(!memory.knows(Place { database: 1, ..PLACE }, b"k"));
        assert!(!memory.knows(Place { since: 8, ..PLACE }, b"k"));
    }

    #[test]
    fn a_move_that_is_over_is_forgotten_and_the_others_are_not() {
        let mut memory = Memory::default();
        memory.insert(PLACE, b"k");
        memory.insert(Place { slot: 9, ..PLACE }, b"l");
        memory.retain(|slot, since| (slot, since) == (9, 7));
        assert!(!memory.knows(PLACE, b"k"));
        assert!(memory.knows(Place { slot: 9, ..PLACE }, b"l"));
        assert_eq!((held(&memory), memory.young.bytes), (1, 1));
        memory.insert(Place { since: 12, ..PLACE }, b"k");
        assert!(memory.knows(Place { since: 12, ..PLACE }, b"k"));
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_the_oldest_first() {
        let mut memory = Memory::default();
        for number in 0..5 * KEYS_MAX {
            memory.insert(PLACE, &key(number));
        }
        assert!(held(&memory) <= 2 * KEYS_MAX);
        assert!(!memory.knows(PLACE, &key(0)));
        assert!(memory.knows(PLACE, &key(4 * KEYS_MAX)));
    }

    #[test]
    fn long_names_fill_it_as_many_do() {
        let mut memory = Memory::default();
        for number in 0..100 {
            memory.insert(PLACE, &[key(number), vec![0; 1 << 20]].concat());
        }
        assert!(held(&memory) <= 2 * (BYTES_MAX >> 20) + 2);
    }

    #[test]
    fn a_request_that_waits_finds_every_key_that_has_left_since_it_began() {
        let mut memory = Memory::default();
        (0..KEYS_MAX).for_each(|number| memory.insert(PLACE, &key(number)));
        let pin = memory.begin_wait();
        assert!(memory.knows(PLACE, &key(0)), "found at its first look");
        for number in KEYS_MAX..6 * KEYS_MAX {
            memory.insert(PLACE, &key(number));
        }
        assert!((KEYS_MAX..6 * KEYS_MAX).all(|number| memory.knows(PLACE, &key(number))));
        assert!(memory.knows(PLACE, &key(0)));
        memory.end_wait(pin);
        assert_eq!(memory.waiting(), 0);
        for number in 0..3 * KEYS_MAX {
            memory.insert(PLACE, &key(10 * KEYS_MAX + number));
        }
        assert!(held(&memory) < 3 * KEYS_MAX, "it is bounded again");
    }
}
