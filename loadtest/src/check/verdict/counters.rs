//! Counters: what was added is there, and each increment saw a number of its own.

use super::{Rule, Violation};
use crate::check::history::{Operation, What};

/// Judges all operations on one counter, in the order in which they were called.
pub(super) fn judge(operations: &[Operation]) -> Option<Violation> {
    let mut seen: Vec<(u64, bool, Operation)> = operations
        .iter()
        .filter(|operation| operation.is_known())
        .filter_map(|operation| match operation.what {
            What::Increment(value) => Some((value, false, *operation)),
            What::Read(value) => Some((value, true, *operation)),
            _ => None,
        })
        .collect();
    // The increment that made a number comes before those that read it.
    seen.sort_by_key(|(value, is_read, operation)| (*value, *is_read, operation.called));
    given_twice(&seen).or_else(|| out_of_order(&seen)).or_else(|| wrong_sum(&seen, operations))
}

fn violation(rule: Rule, what: String, operations: Vec<Operation>) -> Violation {
    let object = operations.first().map(|operation| operation.object);
    Violation { rule, object, what, operations, lines: Vec::new() }
}

fn given_twice(seen: &[(u64, bool, Operation)]) -> Option<Violation> {
    let pair = seen.windows(2).find(|pair| pair[0].0 == pair[1].0 && !pair[0].1 && !pair[1].1)?;
    let (value, _, operation) = &pair[0];
    let what = format!("{} gave {value} to two increments", operation.object);
    Some(violation(Rule::CountersExact, what, vec![*operation, pair[1].2]))
}

/// Of two operations of which one ended before the other began, the later one sees more (or, reading, as much).
fn out_of_order(seen: &[(u64, bool, Operation)]) -> Option<Violation> {
    let mut earliest: Option<(u64, Operation)> = None;
    for (value, is_read, operation) in seen.iter().rev() {
        if let Some((more, early)) = earliest
            && early.answered < operation.called
            && (more > *value || !*is_read)
        {
            let object = operation.object;
            let what = format!("{object} was {more}, and {value} to a later operation");
            return Some(violation(Rule::Linearizable, what, vec![early, *operation]));
        }
        let is_earlier = earliest.is_none_or(|(_, early)| operation.answered < early.answered);
        if is_earlier {
            earliest = Some((*value, *operation));
        }
    }
    None
}

/// Every number up to the highest was made by an increment: one that said so, or one whose answer did not come.
fn wrong_sum(seen: &[(u64, bool, Operation)], operations: &[Operation]) -> Option<Violation> {
    let (highest, _, last) = seen.last()?;
    let acknowledged = seen.iter().filter(|(_, is_read, _)| !is_read).count() as u64;
    let all = operations.iter().filter(|one| matches!(one.what, What::Increment(_))).count() as u64;
    if (acknowledged..=all).contains(highest) {
        return None;
    }
    let what = format!(
        "{} came to {highest}, where {acknowledged} increments were acknowledged and {all} sent",
        last.object
    );
    Some(violation(Rule::CountersExact, what, vec![*last]))
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::check::history::{Kind, Object, Operation, UNKNOWN, What};
    use crate::check::verdict::Rule;
    use What::{Increment, Read};

    fn at(what: What, called: u64, answered: u64) -> Operation {
        let object = Object { kind: Kind::Counter, crew: 0, number: 0, generation: 0 };
        Operation { object, field: 0, client: 0, what, called, answered }
    }

    fn rule(operations: &[Operation]) -> Option<Rule> {
        judge(operations).map(|violation| violation.rule)
    }

    #[test]
    fn increments_that_overlap_may_be_in_either_order() {
        let history = [
            at(Increment(2), 0, 9),
            at(Increment(1), 1, 8),
            at(Read(1), 2, 7),
            at(Read(2), 10, 11),
        ];
        assert_eq!(rule(&history), None);
    }

    #[test]
    fn a_number_that_is_given_twice_is_found() {
        assert_eq!(
            rule(&[at(Increment(1), 0, 9), at(Increment(1), 1, 8)]),
            Some(Rule::CountersExact)
        );
    }

    #[test]
    fn a_counter_that_falls_back_is_found() {
        let history = [at(Increment(1), 0, 1), at(Increment(2), 2, 3), at(Read(1), 4, 5)];
        assert_eq!(rule(&history), Some(Rule::Linearizable));
        let history = [at(Increment(1), 0, 1), at(Read(2), 2, 3), at(Increment(2), 4, 5)];
        assert_eq!(rule(&history), Some(Rule::Linearizable));
    }

    #[test]
    fn a_counter_is_between_what_was_acknowledged_and_what_was_sent() {
        let sent = [at(Increment(1), 0, 1), at(Increment(0), 2, UNKNOWN)];
        for (value, expected) in [(1, None), (2, None), (3, Some(Rule::CountersExact))] {
            let history = [sent[0], sent[1], at(Read(value), 4, 5)];
            assert_eq!(rule(&history), expected, "{value}");
        }
        let jumped = [at(Increment(2), 0, 1)];
        assert_eq!(rule(&jumped), Some(Rule::CountersExact));
    }
}
