//! What a server can do, and how one that can do less is told the same.
//!
//! It is asked, once a run: its version says little, as servers of Codis and of clouds have commands that others of their
//! version do not, and commands can be renamed.

use super::net::{Request, Value, request};

/// Commands without which no keys move.
const NEEDED: [&str; 4] = ["EVAL", "SCAN", "MIGRATE", "CLIENT"];

/// Commands that make a difference.
const TOLD: [&str; 6] =
    ["HPEXPIRETIME", "UNLINK", "MEMORY", "SLOTSMGRTTAGONE", "SLOTSRESTORE", "HSET"];

/// HSET of one field only, as it was before Redis 4.0.
const HSET_OF_ONE: i64 = 4;

/// See the module's head. By default it can do nothing that is not old.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Abilities {
    /// Fields of hashes can have times to live.
    pub(super) field_ttl: bool,
    /// It tells what a key takes.
    pub(super) memory_usage: bool,
    /// It moves and takes keys as Codis's servers do.
    pub(super) codis: bool,
    unlink: bool,
    hset_of_many: bool,
}

impl Abilities {
    /// The question.
    pub(super) fn question() -> Request {
        let mut ask = request(&["COMMAND", "INFO"]);
        ask.extend(NEEDED.iter().chain(&TOLD).map(|name| name.to_lowercase().into_bytes()));
        ask
    }

    /// Reads the answer; an error is the command that is missing.
    pub(super) fn read(answer: Option<Value>) -> Result<Self, &'static str> {
        let about = answer.and_then(Value::into_items).unwrap_or_default();
        let of = |place: usize| match about.get(place) {
            Some(Value::Array(of)) if !of.is_empty() => Some(of),
            _ => None,
        };
        let has = |place: usize| of(place).is_some();
        if let Some(missing) = (0..NEEDED.len()).find(|place| !has(*place)) {
            return Err(NEEDED[missing]);
        }
        let told = |number: usize| has(NEEDED.len() + number);
        let arity = of(NEEDED.len() + 5).and_then(|hset| hset.get(1)?.integer());
        Ok(Self {
            field_ttl: told(0),
            unlink: told(1),
            memory_usage: told(2),
            codis: told(3) && told(4),
            hset_of_many: arity != Some(HSET_OF_ONE),
        })
    }

    /// The command that removes keys.
    pub(super) fn removal(self) -> &'static str {
        if self.unlink { "UNLINK" } else { "DEL" }
    }

    /// The request in words that the server knows.
    pub(super) fn in_its_words(self, mut request: Request) -> Request {
        let fields = request.len().saturating_sub(2) / 2;
        let Some(name) = request.first_mut() else { return request };
        if name == b"UNLINK" {
            *name = self.removal().into();
        }
        if name == b"HSET" && fields > 1 && !self.hset_of_many {
            *name = b"HMSET".to_vec();
        }
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer of a server that knows these commands.
    fn answer(known: &[&str], hset_arity: i64) -> Option<Value> {
        let about = |name: &&str| {
            let arity = if *name == "HSET" { hset_arity } else { -2 };
            let parts = vec![Value::Bytes(name.to_lowercase().into()), Value::Integer(arity)];
            if known.contains(name) { Value::Array(parts) } else { Value::Nil }
        };
        Some(Value::Array(NEEDED.iter().chain(&TOLD).map(about).collect()))
    }

    #[test]
    fn a_server_without_a_needed_command_is_of_no_use() {
        let known = ["EVAL", "SCAN", "CLIENT", "UNLINK", "HSET"];
        assert_eq!(Abilities::read(answer(&known, -4)), Err("MIGRATE"));
        assert_eq!(Abilities::read(None), Err("EVAL"));
    }

    #[test]
    fn an_old_server_is_told_the_same_in_its_own_words() {
        let known = [&NEEDED[..], &["HSET", "SLOTSMGRTTAGONE", "SLOTSRESTORE"]].concat();
        let old = Abilities::read(answer(&known, HSET_OF_ONE)).expect("it knows enough");
        assert!(old.codis && !old.memory_usage && !old.field_ttl);
        let known = [&NEEDED[..], &["HSET", "UNLINK", "MEMORY"]].concat();
        let new = Abilities::read(answer(&known, -4)).expect("it knows enough");
        assert!(!new.codis && new.memory_usage);
        for (said, to_old) in [
            (&["UNLINK", "a", "b"][..], "DEL"),
            (&["HSET", "h", "f", "v"], "HSET"),
            (&["HSET", "h", "f", "v", "g", "w"], "HMSET"),
            (&["GET", "a"], "GET"),
        ] {
            let said = request(said);
            assert_eq!(new.in_its_words(said.clone()), said);
            let mut expected = said.clone();
            expected[0] = to_old.into();
            assert_eq!(old.in_its_words(said), expected);
        }
    }
}
