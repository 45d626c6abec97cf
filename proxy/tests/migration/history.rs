//! What clients did to each key and what they saw, and whether it can be explained.
//!
//! A history is explained by an order of its operations in which each takes effect between its call and its answer,
//! those of a session in their order, and each sees what those before it have left. An operation whose outcome nobody knows may take
//! effect at any time after its call, whatever else its session does, or never. (`todc-utils`, which other tests use, knows neither such operations nor
//! lists, sets and counters.)

use crate::server::data::{Place, Value};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The most operations on one key.
pub(crate) const OPERATIONS_MAX: usize = 100;

/// The time of an answer that never came.
pub(crate) const NEVER: u64 = u64::MAX;

/// What was done, and what was seen by it; `None` where that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Get(Option<Option<Vec<u8>>>),
    Set(Vec<u8>),
    Delete(Option<bool>),
    Exists(Option<bool>),
    Increment(Option<i64>),
    Push(Vec<u8>, Option<i64>),
    Range(Option<Vec<Vec<u8>>>),
    Add(Vec<u8>, Option<bool>),
    Members(Option<BTreeSet<Vec<u8>>>),
    Expire(Option<bool>),
    /// The first element, or nothing where there was none.
    Pop(Option<Option<Vec<u8>>>),
    /// The second value takes the place of the first, which was there.
    Swap(Option<Vec<u8>>, Vec<u8>),
    /// All of them at once, one after the other.
    All(Vec<What>),
    /// It is of the second list of a pair, not of the first.
    OfSecond(Box<What>),
    /// What is there when all is over, in both lists of a pair.
    EndsBoth(Option<Value>, Option<Value>),
    /// The first element of a pair's first list, if there was one, has become the last of its second.
    Transfer(Option<Option<Vec<u8>>>),
    /// The key comes to its end, if it still has one.
    Vanish,
    /// A server lost or got back data as a single server would.
    Becomes(Option<Value>),
    /// What a server got back that it had given away comes to the key's place, unless there is something.
    Returns(Value),
    /// What is there when all is over.
    Ends(Option<Value>),
}

/// One operation.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) what: What,
    pub(crate) called: u64,
    pub(crate) answered: u64,
    /// Operations of one session are in order.
    pub(crate) session: Option<u64>,
}

/// The histories of all keys.
#[derive(Default)]
pub(crate) struct Histories {
    pub(crate) of: BTreeMap<Place, Vec<Operation>>,
    /// Second lists of pairs, with the first: both have one history, as elements go from one to the other at once.
    firsts: BTreeMap<Place, Place>,
}

/// What a key holds, and the second one of a pair.
type State = (Option<Value>, Option<Value>);

impl What {
    /// Whether it changes nothing.
    fn only_reads(&self) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(Self::only_reads),
            Self::Get(_) | Self::Exists(_) | Self::Range(_) | Self::Members(_) => true,
            Self::OfSecond(what) => what.only_reads(),
            // Nothing was taken.
            Self::Pop(seen) | Self::Transfer(seen) => *seen == Some(None),
            _ => false,
        }
    }

    /// What it makes of a key, or a pair of keys. `None`: it cannot have seen what it saw.
    fn then(&self, (first, second): &State) -> Option<State> {
        match self {
            Self::EndsBoth(one, two) => {
                (one == first && two == second).then(|| (first.clone(), second.clone()))
            }
            Self::OfSecond(what) => Some((first.clone(), what.after(second)?)),
            Self::Transfer(seen) => {
                let rest = Self::Pop(seen.clone()).after(first)?;
                let Some(Value::List(items)) = first else { return Some((rest, second.clone())) };
                let moved = Self::Push(items[0].clone(), None).after(second)?;
                Some((rest, moved))
            }
            _ => Some((self.after(first)?, second.clone())),
        }
    }

    /// What it is for whoever asked for it.
    pub(crate) fn asked(&mut self) -> &mut Self {
        match self {
            Self::OfSecond(what) => what,
            what => what,
        }
    }

    /// What it makes of one key's value. `None`: it cannot have seen what it saw.
    fn after(&self, value: &Option<Value>) -> Option<Option<Value>> {
        let agree = |seen: bool, next: Option<Value>| seen.then_some(next);
        let same = |seen: &Option<bool>, is: bool| seen.is_none_or(|seen| seen == is);
        match (self, value) {
            (Self::Get(seen), Some(Value::Text(text))) => {
                let sees = seen.as_ref().is_none_or(|seen| seen.as_ref() == Some(text));
                agree(sees, value.clone())
            }
            (Self::Get(seen), None) => agree(!matches!(seen, Some(Some(_))), None),
            (Self::Set(text), _) => Some(Some(Value::Text(text.clone()))),
            (Self::Delete(seen), _) => agree(same(seen, value.is_some()), None),
            (Self::Exists(seen) | Self::Expire(seen), _) => {
                agree(same(seen, value.is_some()), value.clone())
            }
            (Self::Increment(seen), _) => {
                let number = match value {
                    None => 0,
                    Some(Value::Text(text)) => std::str::from_utf8(text).ok()?.parse().ok()?,
                    Some(_) => return None,
                };
                let next = Value::Text((number + 1).to_string().into_bytes());
                agree(seen.is_none_or(|seen| seen == number + 1), Some(next))
            }
            (Self::Push(item, seen), None | Some(Value::List(_))) => {
                let mut items = match value {
                    Some(Value::List(items)) => items.clone(),
                    _ => Vec::new(),
                };
                items.push(item.clone());
                let sees = seen.is_none_or(|seen| seen == items.len() as i64);
                agree(sees, Some(Value::List(items)))
            }
            (Self::Range(seen), None) => agree(seen.as_ref().is_none_or(Vec::is_empty), None),
            (Self::Range(seen), Some(Value::List(items))) => {
                agree(seen.as_ref().is_none_or(|seen| seen == items), value.clone())
            }
            (Self::Add(item, seen), None | Some(Value::Set(_))) => {
                let mut items = match value {
                    Some(Value::Set(items)) => items.clone(),
                    _ => BTreeSet::new(),
                };
                let added = items.insert(item.clone());
                agree(same(seen, added), Some(Value::Set(items)))
            }
            (Self::Members(seen), None) => {
                agree(seen.as_ref().is_none_or(BTreeSet::is_empty), None)
            }
            (Self::Members(seen), Some(Value::Set(items))) => {
                agree(seen.as_ref().is_none_or(|seen| seen == items), value.clone())
            }
            (Self::Pop(seen), Some(Value::List(items))) => {
                let (first, rest) = items.split_first()?;
                let rest = (!rest.is_empty()).then(|| Value::List(rest.to_vec()));
                agree(seen.as_ref().is_none_or(|seen| seen.as_ref() == Some(first)), rest)
            }
            (Self::Pop(seen), None) => agree(!matches!(seen, Some(Some(_))), None),
            (Self::Swap(seen, next), _) => {
                let is = match value {
                    None => None,
                    Some(Value::Text(text)) => Some(text),
                    Some(_) => return None,
                };
                agree(seen.as_ref() == is, Some(Value::Text(next.clone())))
            }
            (Self::All(parts), _) => {
                parts.iter().try_fold(value.clone(), |value, part| part.after(&value))
            }
            (Self::Vanish, _) => Some(None),
            (Self::Returns(old), None) => Some(Some(old.clone())),
            (Self::Becomes(next), _) => Some(next.clone()),
            (Self::Ends(seen), _) => agree(seen == value, value.clone()),
            _ => None,
        }
    }
}

impl Histories {
    /// Two lists are a pair.
    pub(crate) fn pair(&mut self, first: &Place, second: &Place) {
        self.firsts.insert(second.clone(), first.clone());
    }

    /// This is what keys hold when all is over.
    pub(crate) fn end(&mut self, truths: &BTreeMap<Place, Option<Value>>, now: u64) {
        for (place, value) in truths {
            if self.firsts.contains_key(place) {
                continue;
            }
            let second = self.firsts.iter().find(|(_, first)| *first == place);
            let second = second.and_then(|(second, _)| truths.get(second).cloned());
            let what = match second {
                None => What::Ends(value.clone()),
                Some(second) => What::EndsBoth(value.clone(), second),
            };
            self.now(place, what, now);
        }
    }

    /// Where the history of a key is.
    fn home<'a>(&'a self, place: &'a Place) -> &'a Place {
        self.firsts.get(place).unwrap_or(place)
    }

    /// How many operations a key has seen.
    pub(crate) fn len(&self, place: &Place) -> usize {
        self.of.get(self.home(place)).map_or(0, Vec::len)
    }

    /// Adds an operation that has no answer yet; answers its number.
    pub(crate) fn call(
        &mut self,
        place: &Place,
        what: What,
        now: u64,
        session: Option<u64>,
    ) -> usize {
        let (home, is_second) = (self.home(place).clone(), self.firsts.contains_key(place));
        let what = if is_second { What::OfSecond(Box::new(what)) } else { what };
        let history = self.of.entry(home).or_default();
        history.push(Operation { what, called: now, answered: NEVER, session });
        history.len() - 1
    }

    /// An operation took effect at this very moment.
    pub(crate) fn now(&mut self, place: &Place, what: What, now: u64) {
        let number = self.call(place, what, now, None);
        self.answered(place, number, now);
    }

    pub(crate) fn answered(&mut self, place: &Place, number: usize, now: u64) {
        self.operation(place, number).answered = now;
    }

    pub(crate) fn operation(&mut self, place: &Place, number: usize) -> &mut Operation {
        let home = self.home(place).clone();
        let history = self.of.get_mut(&home).expect("it was called");
        &mut history[number]
    }

    /// The operation was refused: it is as if it had not been asked for.
    pub(crate) fn never_happened(&mut self, place: &Place, number: usize) {
        if matches!(self.operation(place, number).what, What::Expire(_)) {
            self.never_vanishes(place, number);
        }
        self.operation(place, number).what = What::Exists(None);
    }

    /// The end that an EXPIRE was to bring does not come.
    pub(crate) fn never_vanishes(&mut self, place: &Place, number: usize) {
        self.operation(place, number - 1).what = What::Exists(None);
    }

    /// The first key whose history cannot be explained, in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (place, history) in &self.of {
            if !is_explained(history) {
                let mut story = String::new();
                for Operation { what, called, answered, session } in history {
                    let end =
                        if *answered == NEVER { "never".into() } else { answered.to_string() };
                    story += &format!("\n  {called} to {end}, session {session:?}: {what:?}");
                }
                let (database, key) = (place.0, place.1.escape_ascii());
                return Err(format!("{key} of database {database} cannot be explained:{story}"));
            }
        }
        Ok(())
    }
}

/// Whether there is such an order.
fn is_explained(history: &[Operation]) -> bool {
    let is_known = |one: &Operation| one.answered != NEVER;
    // What nobody knows of and changed nothing has no part in it.
    let kept = history.iter().filter(|one| is_known(one) || !one.what.only_reads());
    let mut operations: Vec<&Operation> = kept.collect();
    // Those of one moment stay in their order, as a session may ask several things at once.
    operations.sort_by_key(|one| one.called);
    assert!(operations.len() <= 128, "a key has too many operations");
    let mask = |is: &dyn Fn(usize, &Operation) -> bool| {
        let chosen = operations.iter().enumerate().filter(|(place, one)| is(*place, one));
        chosen.fold(0_u128, |mask, (place, _)| mask | 1 << place)
    };
    let of_session = |place: usize, other: &Operation| {
        operations[place].session.is_some() && operations[place].session == other.session
    };
    let rules = operations.iter().enumerate().map(|(place, one)| Rule {
        called: one.called,
        answered: one.answered,
        after: mask(&|other, of| {
            is_known(of) && (of.answered < one.called || other < place && of_session(place, of))
        }),
    });
    let rules: Vec<Rule> = rules.collect();
    let search = Search { operations: &operations, rules, known: mask(&|_, one| is_known(one)) };
    search.from(0, &(None, None), &mut HashSet::new())
}

/// When an operation may take effect.
struct Rule {
    called: u64,
    answered: u64,
    /// Once these have.
    after: u128,
}

struct Search<'a> {
    operations: &'a [&'a Operation],
    rules: Vec<Rule>,
    known: u128,
}

impl Search<'_> {
    /// Whether the rest can be explained where those of `done` have left this.
    fn from(&self, done: u128, value: &State, seen: &mut HashSet<(u128, State)>) -> bool {
        if done & self.known == self.known {
            return true;
        }
        if !seen.insert((done, value.clone())) {
            return false;
        }
        let open = |place: &usize| done & 1 << place == 0;
        let places = || (0..self.operations.len()).filter(open);
        // Nothing takes effect after the first answer that is missing.
        let first = places().map(|place| self.rules[place].answered).min().unwrap_or(NEVER);
        for place in places() {
            let rule = &self.rules[place];
            if rule.called > first || rule.after & !done != 0 {
                continue;
            }
            if let Some(next) = self.operations[place].what.then(value)
                && self.from(done | 1 << place, &next, seen)
            {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(what: What, called: u64, answered: u64, session: Option<u64>) -> Operation {
        Operation { what, called, answered, session }
    }

    fn get(text: Option<&str>) -> What {
        What::Get(Some(text.map(|text| text.as_bytes().to_vec())))
    }

    fn set(text: &str) -> What {
        What::Set(text.into())
    }

    #[test]
    fn a_stale_read_is_found_out() {
        let writes = [operation(set("a"), 0, 1, None), operation(set("b"), 2, 4, None)];
        let read = |what, from, to| [&writes[..], &[operation(what, from, to, None)]].concat();
        assert!(is_explained(&read(get(Some("a")), 3, 5)));
        assert!(!is_explained(&read(get(Some("a")), 5, 6)));
        assert!(!is_explained(&read(get(None), 3, 5)));
    }

    #[test]
    fn what_nobody_knows_of_may_have_happened_late_or_never() {
        let unknown = operation(What::Delete(None), 2, NEVER, None);
        let history = |seen| {
            vec![
                operation(set("a"), 0, 1, None),
                unknown.clone(),
                operation(get(Some("a")), 3, 4, None),
                operation(seen, 5, 6, None),
            ]
        };
        assert!(is_explained(&history(get(Some("a")))));
        assert!(is_explained(&history(get(None))));
        let mut early = history(get(None));
        early[1].called = 7;
        assert!(!is_explained(&early), "it cannot have happened before it was asked for");
    }

    #[test]
    fn operations_of_a_session_are_in_their_order() {
        let history = |session| {
            [operation(set("a"), 0, 9, Some(1)), operation(get(None), 1, 9, Some(session))]
        };
        assert!(is_explained(&history(2)));
        assert!(!is_explained(&history(1)));
    }

    #[test]
    fn an_element_is_popped_once_and_an_unknown_pop_may_have_taken_it() {
        let push = operation(What::Push(b"x".to_vec(), Some(1)), 0, 1, None);
        let pop = |seen: Option<&str>, from, to| {
            let seen = seen.map(|text| text.as_bytes().to_vec());
            operation(What::Pop(Some(seen)), from, to, None)
        };
        assert!(is_explained(&[push.clone(), pop(Some("x"), 2, 3), pop(None, 4, 5)]));
        assert!(!is_explained(&[push.clone(), pop(Some("x"), 2, 3), pop(Some("x"), 2, 5)]));
        assert!(!is_explained(&[push.clone(), pop(None, 2, 3)]));
        let unknown = operation(What::Pop(None), 0, NEVER, None);
        assert!(is_explained(&[push.clone(), unknown.clone(), pop(None, 4, 5)]));
        assert!(is_explained(&[push, unknown, pop(Some("x"), 4, 5)]));
    }

    #[test]
    fn what_happens_at_once_is_never_seen_in_halves() {
        let both = What::All(vec![What::Increment(Some(1)), What::Increment(Some(2))]);
        let history = |seen: &str| {
            [operation(both.clone(), 0, 9, None), operation(get(Some(seen)), 1, 8, None)]
        };
        assert!(is_explained(&history("2")));
        assert!(!is_explained(&history("1")));
    }

    #[test]
    fn a_swap_is_of_the_value_that_was_seen() {
        let swap = |seen: &str| {
            let swap = What::Swap(Some(seen.into()), b"c".to_vec());
            [operation(set("a"), 0, 1, None), operation(swap, 2, 3, None)]
        };
        assert!(is_explained(&swap("a")));
        assert!(!is_explained(&swap("b")));
    }

    #[test]
    fn an_element_that_was_moved_is_in_one_list_of_two_at_any_time() {
        let list = |items: &[&str]| {
            let items: Vec<Vec<u8>> = items.iter().map(|item| item.as_bytes().to_vec()).collect();
            (!items.is_empty()).then_some(Value::List(items))
        };
        let history = |moved: Option<&str>, first: &[&str], second: &[&str]| {
            let moved = What::Transfer(Some(moved.map(Into::into)));
            [
                operation(What::Push(b"x".to_vec(), None), 0, 1, None),
                operation(moved, 2, 3, None),
                operation(What::EndsBoth(list(first), list(second)), 4, 4, None),
            ]
        };
        assert!(is_explained(&history(Some("x"), &[], &["x"])));
        assert!(!is_explained(&history(Some("x"), &["x"], &["x"])));
        assert!(!is_explained(&history(Some("x"), &[], &[])));
        assert!(!is_explained(&history(None, &["x"], &[])));
        let unknown = |first: &[&str], second: &[&str]| {
            let mut history = history(None, first, second);
            history[1] = operation(What::Transfer(None), 2, NEVER, None);
            is_explained(&history)
        };
        assert!(unknown(&[], &["x"]) && unknown(&["x"], &[]));
        assert!(!unknown(&["x"], &["x"]) && !unknown(&[], &[]));
    }

    #[test]
    fn a_lost_increment_and_a_doubled_element_are_found_out() {
        let count = |first, second| {
            [
                operation(What::Increment(Some(first)), 0, 1, None),
                operation(What::Increment(Some(second)), 2, 3, None),
            ]
        };
        assert!(is_explained(&count(1, 2)));
        assert!(!is_explained(&count(1, 1)));
        let push = operation(What::Push(b"x".to_vec(), Some(1)), 0, 1, None);
        let range = |items: &[&[u8]]| {
            let items = items.iter().map(|item| item.to_vec()).collect();
            operation(What::Range(Some(items)), 2, 3, None)
        };
        assert!(is_explained(&[push.clone(), range(&[b"x"])]));
        assert!(!is_explained(&[push, range(&[b"x", b"x"])]));
    }
}
