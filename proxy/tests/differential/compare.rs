//! Whether two replies are the same, in so far as they can be.

use codis_testbed::Value;

/// How the replies to a command are compared. Errors must always be equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Byte for byte.
    Exact,
    /// The elements in any order, also those behind a cursor.
    Unordered,
    /// Pairs of elements in any order, likewise.
    Pairs,
    /// Types and lengths: what is drawn by chance.
    Shape,
    /// Numbers may be near: they depend on the time.
    Near,
    /// The type alone, and a map's keys: what belongs to one server or one connection.
    Type,
    /// Everything behind a cursor, until its end, in any order.
    Walk,
}

/// Numbers under this are seconds or counts, others milliseconds.
const MILLISECONDS_FROM: i64 = 1_000_000;

/// How far milliseconds, or idle times in milliseconds, may be apart: the machine may be busy.
const MILLISECONDS_APART: u64 = 20_000;

/// The same for seconds.
const SECONDS_APART: u64 = 20;

impl Comparison {
    /// By the mark before a template.
    pub fn of(mark: char) -> Option<Self> {
        Some(match mark {
            '?' => Self::Unordered,
            '%' => Self::Pairs,
            '~' => Self::Shape,
            '#' => Self::Near,
            '=' => Self::Type,
            '@' => Self::Walk,
            _ => return None,
        })
    }

    /// Whether the replies are the same.
    pub fn holds(self, ours: &Value, theirs: &Value) -> bool {
        if ours == theirs {
            return true;
        }
        if is_error(ours) || is_error(theirs) {
            return false;
        }
        match self {
            // Maps and sets have no order: that of a hash table is another one in each server.
            Self::Exact => match (ours, theirs) {
                (Value::Map(_), Value::Map(_)) | (Value::Set(_), Value::Set(_)) => {
                    unordered(ours, 1) == unordered(theirs, 1)
                }
                _ => false,
            },
            Self::Unordered | Self::Walk => unordered(ours, 1) == unordered(theirs, 1),
            Self::Pairs => unordered(ours, 2) == unordered(theirs, 2),
            Self::Shape => shape(ours) == shape(theirs),
            Self::Near => near(ours, theirs),
            Self::Type => kind(ours) == kind(theirs),
        }
    }
}

fn is_error(value: &Value) -> bool {
    matches!(value, Value::Error(_) | Value::BulkError(_))
}

/// The reply with its elements, or those behind its cursor, in order; so many at a time.
fn unordered(value: &Value, each: usize) -> Value {
    let sorted = |items: &[Value], each: usize| -> Vec<Value> {
        let mut groups: Vec<&[Value]> = items.chunks(each).collect();
        groups.sort();
        groups.concat()
    };
    match value {
        Value::Array(items) => match &items[..] {
            [cursor @ Value::Bulk(_), behind @ Value::Array(_)] => {
                Value::Array(vec![cursor.clone(), unordered(behind, each)])
            }
            items => Value::Array(sorted(items, each)),
        },
        Value::Set(items) => Value::Set(sorted(items, 1)),
        Value::Map(items) => Value::Map(sorted(items, 2)),
        other => other.clone(),
    }
}

fn shape(value: &Value) -> Value {
    let all = |items: &[Value]| items.iter().map(shape).collect();
    match value {
        Value::Integer(_) => Value::Integer(0),
        Value::Bulk(_) => Value::Bulk(Vec::new()),
        Value::Double(_) => Value::Double(Vec::new()),
        Value::Array(items) => Value::Array(all(items)),
        Value::Set(items) => Value::Set(all(items)),
        Value::Map(items) => Value::Map(all(items)),
        other => other.clone(),
    }
}

fn near(ours: &Value, theirs: &Value) -> bool {
    let all = |ours: &[Value], theirs: &[Value]| {
        ours.len() == theirs.len()
            && ours.iter().zip(theirs).all(|(ours, theirs)| near(ours, theirs))
    };
    match (ours, theirs) {
        (Value::Integer(ours), Value::Integer(theirs)) => {
            let in_ms = *theirs >= MILLISECONDS_FROM;
            let tolerance = if in_ms { MILLISECONDS_APART } else { SECONDS_APART };
            // What is negative says "none", which is near to nothing.
            ours == theirs || (*ours >= 0 && *theirs >= 0 && ours.abs_diff(*theirs) <= tolerance)
        }
        (Value::Array(ours), Value::Array(theirs)) | (Value::Map(ours), Value::Map(theirs)) => {
            all(ours, theirs)
        }
        _ => ours == theirs,
    }
}

fn kind(value: &Value) -> Value {
    match value {
        Value::Map(items) => {
            let keys = items.chunks(2).map(|pair| [pair[0].clone(), kind(&pair[1])]);
            Value::Map(keys.flatten().collect())
        }
        Value::Bulk(_) => Value::Bulk(Vec::new()),
        Value::Verbatim(text) => Value::Verbatim(text.iter().take(4).copied().collect()),
        Value::Array(items) if items.first() == Some(&Value::bulk("server")) => {
            Value::Array(items.iter().map(kind).collect())
        }
        Value::Array(_) => Value::Array(Vec::new()),
        Value::Integer(_) => Value::Integer(0),
        other => other.clone(),
    }
}

#[test]
fn only_what_a_comparison_leaves_open_may_differ() {
    let array = |items: &[i64]| Value::Array(items.iter().map(|n| Value::Integer(*n)).collect());
    let error = |text: &str| Value::Error(text.as_bytes().to_vec());
    let cases = [
        (Comparison::Unordered, array(&[1, 2]), array(&[2, 1]), array(&[2, 2])),
        (Comparison::Pairs, array(&[1, 2, 3, 4]), array(&[3, 4, 1, 2]), array(&[2, 1, 3, 4])),
        (Comparison::Shape, array(&[1, 2]), array(&[8, 9]), array(&[8])),
        (Comparison::Near, array(&[30_000]), array(&[30_001]), array(&[31_000])),
        (Comparison::Near, Value::Integer(-1), Value::Integer(-1), Value::Integer(5)),
        (Comparison::Type, Value::bulk("a"), Value::bulk("b"), Value::Integer(1)),
        (Comparison::Exact, Value::bulk("a"), Value::bulk("a"), Value::bulk("b")),
        (Comparison::Shape, error("A"), error("A"), error("B")),
    ];
    for (comparison, value, same, other) in cases {
        assert!(comparison.holds(&value, &same), "{comparison:?} {value:?} {same:?}");
        assert!(!comparison.holds(&value, &other), "{comparison:?} {value:?} {other:?}");
    }
}
