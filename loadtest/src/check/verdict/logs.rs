//! Lists and streams that only grow: each value is where its answer said, once, in an order that time allows.

use super::{Rule, Violation};
use crate::check::history::{Ending, Operation, What};
use std::collections::HashMap;

/// Judges all appends to one list or stream, in the order in which they were called. Without an `ending` (it could not be
/// read) there is nothing to judge by.
pub(super) fn judge(operations: &[Operation], ending: Option<&Ending>) -> Option<Violation> {
    let ending = ending?;
    let appends: HashMap<u64, Operation> = operations
        .iter()
        .filter_map(
            |one| if let What::Append(value, _) = one.what { Some((value, *one)) } else { None },
        )
        .collect();
    let places: HashMap<u64, u64> = ending.entries.iter().copied().collect();
    twice_or_from_nowhere(ending, &appends)
        .or_else(|| lost_or_elsewhere(operations, &places))
        .or_else(|| out_of_order(ending, &appends))
}

fn violation(rule: Rule, what: String, operations: Vec<Operation>, ending: &Ending) -> Violation {
    Violation { rule, object: Some(ending.object), what, operations, lines: Vec::new() }
}

fn twice_or_from_nowhere(ending: &Ending, appends: &HashMap<u64, Operation>) -> Option<Violation> {
    let mut found = HashMap::new();
    for (value, place) in &ending.entries {
        let Some(append) = appends.get(value) else {
            let what = format!("{} holds {value}, which nobody appended to it", ending.object);
            return Some(violation(Rule::NothingFromNowhere, what, vec![], ending));
        };
        if let Some(before) = found.insert(value, place) {
            let what = format!("{} holds {value} twice, at {before} and {place}", ending.object);
            return Some(violation(Rule::Linearizable, what, vec![*append], ending));
        }
    }
    None
}

fn lost_or_elsewhere(operations: &[Operation], places: &HashMap<u64, u64>) -> Option<Violation> {
    for operation in operations.iter().filter(|operation| operation.is_known()) {
        let What::Append(value, said) = operation.what else { continue };
        let object = operation.object;
        let (rule, what) = match places.get(&value) {
            None => {
                let what = format!("{value} was appended to {object}, acknowledged, and is gone");
                (Rule::NothingLost, what)
            }
            Some(place) if *place != said => {
                let what = format!("{value} is at {place} of {object}, its answer said {said}");
                (Rule::Linearizable, what)
            }
            Some(_) => continue,
        };
        let operations = vec![*operation];
        return Some(Violation { rule, object: Some(object), what, operations, lines: Vec::new() });
    }
    None
}

/// What was answered before another was called stands before it.
fn out_of_order(ending: &Ending, appends: &HashMap<u64, Operation>) -> Option<Violation> {
    let mut earliest: Option<Operation> = None;
    for (value, _) in ending.entries.iter().rev() {
        let operation = appends.get(value)?;
        if let Some(early) = earliest.filter(|early| early.answered < operation.called) {
            let what = format!(
                "{} holds a value before one that had been acknowledged when it was sent",
                ending.object
            );
            return Some(violation(Rule::Linearizable, what, vec![early, *operation], ending));
        }
        if earliest.is_none_or(|early| operation.answered < early.answered) {
            earliest = Some(*operation);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::check::history::{Ending, Kind, Object, Operation, UNKNOWN, What};
    use crate::check::verdict::Rule;

    const LIST: Object = Object { kind: Kind::List, crew: 0, number: 0, generation: 0 };

    fn append(value: u64, place: u64, called: u64, answered: u64) -> Operation {
        let what = What::Append(value, place);
        Operation { object: LIST, field: 0, client: 0, what, called, answered }
    }

    fn rule(operations: &[Operation], values: &[u64]) -> Option<Rule> {
        let entries = values.iter().copied().zip(1..).collect();
        judge(operations, Some(&Ending { object: LIST, entries })).map(|violation| violation.rule)
    }

    #[test]
    fn a_list_with_all_its_values_in_place_is_good() {
        let history = [append(7, 1, 0, 5), append(8, 2, 1, 4), append(9, 0, 2, UNKNOWN)];
        assert_eq!(rule(&history, &[7, 8]), None);
        assert_eq!(rule(&history, &[7, 8, 9]), None);
    }

    #[test]
    fn what_is_lost_moved_doubled_or_strange_is_found() {
        let history = [append(7, 1, 0, 1), append(8, 2, 2, 3), append(9, 0, 4, UNKNOWN)];
        assert_eq!(rule(&history, &[7]), Some(Rule::NothingLost));
        assert_eq!(rule(&history, &[8, 7]), Some(Rule::Linearizable));
        assert_eq!(rule(&history, &[7, 8, 9, 9]), Some(Rule::Linearizable));
        assert_eq!(rule(&history, &[7, 8, 5]), Some(Rule::NothingFromNowhere));
    }

    #[test]
    fn a_value_before_an_earlier_one_is_found() {
        // The unknown one was called after the second was acknowledged, and stands before it.
        let history = [append(7, 1, 0, 1), append(8, 3, 2, 3), append(9, 0, 4, UNKNOWN)];
        assert_eq!(rule(&history, &[7, 9, 8]), Some(Rule::Linearizable));
    }
}
