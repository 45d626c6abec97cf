//! Registers, fields of hashes, members of sets: a value that is written, deleted and read.

use super::{Rule, Violation};
use crate::check::history::{ABSENT, Operation, UNKNOWN, What};
use std::collections::{BTreeMap, HashSet};
use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History};
use todc_utils::specifications::register::{RegisterOperation, RegisterSpecification};

/// Judges all operations on one object, in the order in which they were called.
pub(super) fn judge(operations: &[Operation]) -> Vec<Violation> {
    let mut by_field: BTreeMap<u32, Vec<Operation>> = BTreeMap::new();
    for operation in operations {
        by_field.entry(operation.field).or_default().push(*operation);
    }
    by_field.values().filter_map(|operations| judge_cell(operations)).collect()
}

fn judge_cell(operations: &[Operation]) -> Option<Violation> {
    let operations = without_what_says_nothing(operations);
    if let Some(violation) = from_nowhere(&operations) {
        return Some(violation);
    }
    if is_linearizable(&operations) {
        return None;
    }
    let shortest = shorten(operations);
    let last = shortest.iter().filter(|one| one.is_known()).max_by_key(|one| one.answered)?;
    // A value that is missing altogether is worth its own name.
    let lost =
        last.what == What::Read(ABSENT) && !shortest.iter().any(|one| one.what == What::Delete);
    let rule = if lost { Rule::NothingLost } else { Rule::Linearizable };
    Some(Violation {
        rule,
        object: Some(last.object),
        what: match rule {
            Rule::NothingLost => format!("{} was written, acknowledged, and is gone", last.object),
            _ => format!("no order of these operations explains what was seen of {}", last.object),
        },
        operations: shortest,
        lines: Vec::new(),
    })
}

/// A read without an answer saw nothing; a write without one that nobody saw may never have been.
fn without_what_says_nothing(operations: &[Operation]) -> Vec<Operation> {
    let seen = values_seen(operations);
    let says = |operation: &&Operation| {
        operation.is_known()
            || match operation.what {
                What::Write(value) => seen.contains(&value),
                What::Delete => seen.contains(&ABSENT),
                _ => false,
            }
    };
    operations.iter().filter(says).copied().collect()
}

fn values_seen(operations: &[Operation]) -> HashSet<u64> {
    let seen = operations.iter().filter(|operation| operation.is_known());
    seen.filter_map(|one| if let What::Read(value) = one.what { Some(value) } else { None })
        .collect()
}

fn from_nowhere(operations: &[Operation]) -> Option<Violation> {
    let written: HashSet<u64> = operations
        .iter()
        .filter_map(|one| if let What::Write(value) = one.what { Some(value) } else { None })
        .collect();
    let strange = operations.iter().find(|operation| match operation.what {
        What::Read(value) => value != ABSENT && !written.contains(&value),
        _ => false,
    })?;
    let What::Read(value) = strange.what else { return None };
    Some(Violation {
        rule: Rule::NothingFromNowhere,
        object: Some(strange.object),
        what: format!("{} had the value {value}, which nobody wrote to it", strange.object),
        operations: vec![*strange],
        lines: Vec::new(),
    })
}

/// Whether one order of the operations, each between its call and its answer, explains what was seen.
fn is_linearizable(operations: &[Operation]) -> bool {
    if operations.is_empty() {
        return true; // which the checker does not take
    }
    let mut events = Vec::with_capacity(2 * operations.len());
    for (process, operation) in operations.iter().enumerate() {
        let what = match operation.what {
            What::Write(value) => RegisterOperation::Write(value),
            What::Read(value) => RegisterOperation::Read(Some(value)),
            _ => RegisterOperation::Write(ABSENT),
        };
        // At one and the same moment calls come first, so that more is allowed rather than less.
        events.push((operation.called, 0, process, Action::Call(what)));
        // An operation without an answer may take effect at any time: at the very end, it is as if it never had.
        events.push((operation.answered, 1, process, Action::Response(what)));
    }
    events.sort_by_key(|(at, order, _, _)| (*at, *order));
    let actions = events.into_iter().map(|(_, _, process, action)| (process, action)).collect();
    WGLChecker::<RegisterSpecification<u64>>::is_linearizable(History::from_actions(actions))
}

/// The fewest operations that still cannot be explained: the shortest beginning, without what it does not need.
///
/// What is left out never makes an explanation impossible that was possible: a read can always be left out, and a write
/// whose value no remaining read saw.
fn shorten(operations: Vec<Operation>) -> Vec<Operation> {
    let mut ends: Vec<u64> =
        operations.iter().map(|one| one.answered).filter(|at| *at != UNKNOWN).collect();
    ends.sort_unstable();
    // What cannot be explained up to some moment cannot be explained later either.
    let first = ends.partition_point(|end| is_linearizable(&until(&operations, *end)));
    let mut left = match ends.get(first) {
        Some(end) => until(&operations, *end),
        None => operations,
    };
    let mut before = left.len() + 1;
    while left.len() < before {
        before = left.len();
        let mut place = 0;
        while place < left.len() {
            let mut fewer = left.clone();
            let removed = fewer.remove(place);
            let seen = values_seen(&fewer);
            let may_go = match removed.what {
                What::Write(value) => !seen.contains(&value),
                What::Delete => !seen.contains(&ABSENT),
                _ => true,
            };
            if may_go && !is_linearizable(&fewer) {
                left = fewer;
            } else {
                place += 1;
            }
        }
    }
    left
}

/// What was known at a moment.
fn until(operations: &[Operation], end: u64) -> Vec<Operation> {
    let begun = operations.iter().filter(|operation| operation.called <= end);
    let known: Vec<Operation> = begun
        .map(|operation| match operation.answered > end {
            true => Operation { answered: UNKNOWN, ..*operation },
            false => *operation,
        })
        .collect();
    without_what_says_nothing(&known)
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::check::history::{Kind, Object, Operation, UNKNOWN, What};
    use crate::check::verdict::Rule;
    use What::{Delete, Read, Write};

    fn at(what: What, called: u64, answered: u64) -> Operation {
        let object = Object { kind: Kind::Register, crew: 0, number: 0, generation: 0 };
        Operation { object, field: 0, client: 0, what, called, answered }
    }

    fn rule(operations: &[Operation]) -> Option<Rule> {
        judge(operations).first().map(|violation| violation.rule)
    }

    #[test]
    fn what_overlaps_may_be_seen_in_either_order() {
        let history =
            [at(Write(2), 0, 10), at(Write(3), 1, 9), at(Read(2), 2, 8), at(Read(3), 8, 12)];
        assert_eq!(rule(&history), None);
        let history =
            [at(Write(2), 0, 10), at(Write(3), 1, 9), at(Read(3), 2, 8), at(Read(2), 11, 12)];
        assert_eq!(rule(&history), None);
    }

    #[test]
    fn a_write_that_was_acknowledged_and_is_gone_is_lost() {
        let history = [at(Read(0), 0, 1), at(Write(2), 2, 3), at(Read(2), 4, 5), at(Read(0), 6, 7)];
        let violations = judge(&history);
        assert_eq!(violations[0].rule, Rule::NothingLost);
        // The fewest operations: the write, and the read that did not find it.
        assert_eq!(violations[0].operations.len(), 2, "{violations:?}");
    }

    #[test]
    fn a_stale_read_is_found_and_its_history_is_short() {
        let mut history: Vec<Operation> = (0..40)
            .flat_map(|n| {
                [at(Write(n + 2), 10 * n, 10 * n + 1), at(Read(n + 2), 10 * n + 2, 10 * n + 3)]
            })
            .collect();
        history.push(at(Read(30), 500, 501));
        let violations = judge(&history);
        assert_eq!(violations[0].rule, Rule::Linearizable);
        let operations = &violations[0].operations;
        assert_eq!(operations.len(), 3, "{operations:?}");
        assert_eq!(operations[2].what, Read(30));
    }

    #[test]
    fn a_value_that_nobody_wrote_comes_from_nowhere() {
        assert_eq!(rule(&[at(Write(2), 0, 1), at(Read(9), 2, 3)]), Some(Rule::NothingFromNowhere));
    }

    #[test]
    fn a_write_without_an_answer_may_take_effect_late_or_never() {
        let unknown = at(Write(2), 0, UNKNOWN);
        assert_eq!(rule(&[unknown, at(Read(0), 2, 3)]), None);
        assert_eq!(
            rule(&[unknown, at(Write(3), 2, 3), at(Read(3), 4, 5), at(Read(2), 6, 7)]),
            None
        );
        let there_and_gone = [unknown, at(Read(2), 2, 3), at(Read(0), 4, 5)];
        assert_eq!(rule(&there_and_gone), Some(Rule::NothingLost));
    }

    #[test]
    fn a_delete_without_an_answer_may_take_effect_late_or_never() {
        let history =
            [at(Write(2), 0, 1), at(Delete, 2, UNKNOWN), at(Read(2), 4, 5), at(Read(0), 6, 7)];
        assert_eq!(rule(&history), None);
        let back = [history[0], history[1], at(Read(0), 4, 5), at(Read(2), 6, 7)];
        assert_eq!(rule(&back), Some(Rule::Linearizable));
    }

    #[test]
    fn fields_are_judged_each_by_itself() {
        let of = |field, operation| Operation { field, ..operation };
        let history =
            [of(0, at(Write(2), 0, 1)), of(1, at(Read(0), 2, 3)), of(0, at(Read(2), 2, 3))];
        assert_eq!(rule(&history), None);
    }
}
