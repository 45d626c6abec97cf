//! Whether a history can be explained.
//!
//! Each object is judged by itself, as a system of linearizable objects is linearizable. [`cells`] are registers,
//! fields of hashes and members of sets; [`counters`] add up; [`logs`] are lists and streams, which only grow.

mod cells;
mod counters;
mod logs;

use super::history::{History, Object, Operation};
use std::collections::BTreeMap;

/// What is wrong with a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which rule is broken.
    pub rule: Rule,
    /// On what; `None` where an answer cannot be told to be of any.
    pub object: Option<Object>,
    /// A sentence.
    pub what: String,
    /// The fewest operations that show it, in order of time.
    pub operations: Vec<Operation>,
    /// Further lines that show it.
    pub lines: Vec<String>,
}

/// A rule that a history has to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// What was acknowledged is there.
    NothingLost,
    /// What is seen was written, to this object.
    NothingFromNowhere,
    /// An order of all operations explains what each saw.
    Linearizable,
    /// A counter is what was added to it.
    CountersExact,
    /// An answer is of the kind that its request asks for.
    OwnAnswer,
}

impl Rule {
    /// As it stands in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NothingLost => "no acknowledged write is lost",
            Self::NothingFromNowhere => "no value comes from nowhere",
            Self::Linearizable => "one order explains what all clients saw",
            Self::CountersExact => "counters are exact",
            Self::OwnAnswer => "each request gets its own answer",
        }
    }
}

/// Judges everything.
#[must_use]
pub fn judge(history: &History) -> Vec<Violation> {
    let mut violations: Vec<Violation> = history.misfits.iter().map(misfit).collect();
    let mut by_object: BTreeMap<Object, Vec<Operation>> = BTreeMap::new();
    for operation in &history.operations {
        by_object.entry(operation.object).or_default().push(*operation);
    }
    let endings: BTreeMap<Object, _> =
        history.endings.iter().map(|ending| (ending.object, ending)).collect();
    for (object, mut operations) in by_object {
        operations.sort_by_key(|operation| operation.called);
        use super::history::Kind::{Counter, Hash, List, Register, Set, Stream};
        match object.kind {
            Register | Hash | Set => violations.extend(cells::judge(&operations)),
            Counter => violations.extend(counters::judge(&operations)),
            List | Stream => {
                violations.extend(logs::judge(&operations, endings.get(&object).copied()));
            }
        }
    }
    name_the_source(&mut violations, history);
    violations
}

fn misfit(misfit: &super::history::Misfit) -> Violation {
    let line = |(place, (request, answer)): (usize, &(String, String))| {
        let mark = if place == misfit.culprit { ">" } else { " " };
        let answer = if answer.is_empty() { "(not read any more)" } else { answer };
        format!("{mark} {request} -> {answer}")
    };
    Violation {
        rule: Rule::OwnAnswer,
        object: None,
        what: format!(
            "client {} got an answer that cannot be its request's, {:.3} s after the start",
            misfit.client,
            misfit.at as f64 / 1e9
        ),
        operations: Vec::new(),
        lines: misfit.exchanges.iter().enumerate().map(line).collect(),
    }
}

/// Where a value from nowhere was written to another object, says to which.
fn name_the_source(violations: &mut [Violation], history: &History) {
    use super::history::What::{Append, Read, Write};
    for violation in violations.iter_mut().filter(|v| v.rule == Rule::NothingFromNowhere) {
        let Some(Read(value)) = violation.operations.first().map(|operation| operation.what) else {
            continue;
        };
        let wrote = |operation: &&Operation| matches!(operation.what, Write(written) | Append(written, _) if written == value);
        if let Some(source) = history.operations.iter().find(wrote) {
            violation.what.push_str(&format!("; it was written to {}", source.object));
            violation.operations.insert(0, *source);
        }
    }
}
