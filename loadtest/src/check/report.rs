//! What a check came to, as text and as JSON.

use super::audit::AUDITOR;
use super::history::{ABSENT, History, KINDS, Object, Operation, What};
use super::verdict::Violation;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// So many violations are shown in full.
const SHOWN_MAX: usize = 5;

/// What a check came to.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Operations, those without an answer included.
    pub operations: usize,
    /// Of them, how many had no answer: nobody knows whether they were carried out.
    pub unknown: usize,
    /// How many keys they were on.
    pub keys: usize,
    /// Requests that were answered by an error.
    pub errors: u64,
    /// Connections that were lost or given up.
    pub lost_connections: u64,
    /// What is wrong.
    pub violations: Vec<Told>,
    /// Operations by kind of key.
    pub by_kind: Vec<(&'static str, usize)>,
}

/// A violation in words.
#[derive(Debug, Clone, Serialize)]
pub struct Told {
    /// The rule.
    pub rule: &'static str,
    /// A sentence.
    pub what: String,
    /// The key.
    pub key: Option<String>,
    /// The fewest operations that show it.
    pub history: Vec<String>,
}

impl Report {
    pub(super) fn new(history: &History, mut violations: Vec<Violation>, run: &str) -> Self {
        // The easiest to read come first.
        violations.sort_by_key(|violation| violation.operations.len().max(violation.lines.len()));
        let keys: BTreeSet<Object> = history.operations.iter().map(|one| one.object).collect();
        let of = |kind| history.operations.iter().filter(|one| one.object.kind == kind).count();
        Self {
            operations: history.operations.len(),
            unknown: history.operations.iter().filter(|one| !one.is_known()).count(),
            keys: keys.len(),
            errors: history.errors,
            lost_connections: history.lost_connections,
            violations: violations.iter().map(|violation| told(violation, run)).collect(),
            by_kind: KINDS.iter().map(|kind| (kind.name(), of(*kind))).collect(),
        }
    }

    /// Whether everything can be explained.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.violations.is_empty()
    }

    /// As text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        // A string can always be written to.
        for (number, violation) in self.violations.iter().take(SHOWN_MAX).enumerate() {
            let Told { rule, what, key, history } = violation;
            let _ = writeln!(out, "VIOLATION {} of {}: {rule}", number + 1, self.violations.len());
            let _ = writeln!(out, "  {what}");
            if let Some(key) = key {
                let _ = writeln!(out, "  key {key}");
            }
            for line in history {
                let _ = writeln!(out, "    {line}");
            }
            out.push('\n');
        }
        let Self { operations, unknown, keys, errors, lost_connections, .. } = self;
        let kinds: Vec<String> =
            self.by_kind.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let _ = writeln!(out, "{operations} operations on {keys} keys ({})", kinds.join(", "));
        let _ = writeln!(
            out,
            "{unknown} without an answer that counts, {errors} error replies, {lost_connections} connections lost"
        );
        let verdict = match self.violations.len() {
            0 => "everything that was seen can be explained: nothing is lost, nothing comes from nowhere".to_owned(),
            1 => "1 VIOLATION".to_owned(),
            count => format!("{count} VIOLATIONS"),
        };
        let _ = writeln!(out, "{verdict}");
        out
    }
}

fn told(violation: &Violation, run: &str) -> Told {
    let mut operations = violation.operations.clone();
    operations.sort_by_key(|operation| operation.called);
    let lines = operations.iter().map(line).chain(violation.lines.iter().cloned());
    Told {
        rule: violation.rule.name(),
        what: violation.what.clone(),
        key: violation.object.map(|object| object.key(run)),
        history: lines.collect(),
    }
}

/// An operation as a line: from when to when, who, and what.
fn line(operation: &Operation) -> String {
    let ms = |at: u64| format!("{:10.3}", at as f64 / 1e6);
    let until = if operation.is_known() { ms(operation.answered) } else { "   unknown".to_owned() };
    let who = match operation.client {
        AUDITOR => "last look".to_owned(),
        client => format!("client {client}"),
    };
    let field = match operation.object.kind {
        super::history::Kind::Hash | super::history::Kind::Set => format!(" {}", operation.field),
        _ => String::new(),
    };
    let value = |value: u64| if value == ABSENT { "nothing".to_owned() } else { value.to_string() };
    let known = operation.is_known();
    let what = match operation.what {
        What::Write(written) => format!("write{field} {written}"),
        What::Delete => format!("delete{field}"),
        What::Read(seen) if known => format!("read{field} saw {}", value(seen)),
        What::Read(_) => format!("read{field}"),
        What::Increment(seen) if known => format!("increment to {seen}"),
        What::Increment(_) => "increment".to_owned(),
        What::Append(added, place) if known => format!("append {added} at {place}"),
        What::Append(added, _) => format!("append {added}"),
    };
    format!("{} to {until} ms  {who:10} {what}  ({})", ms(operation.called), operation.object)
}
