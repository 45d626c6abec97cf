//! One request of a client: how it is chosen, sent and understood.

use super::history::{ABSENT, Kind, Object, What};
use codis_testbed::Value;

/// Fields of a hash, members of a set.
pub(crate) const FIELDS: u32 = 4;

/// An operation that a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) object: Object,
    pub(crate) field: u32,
    /// What is done; what is seen is filled in by [`Request::understand`].
    pub(crate) what: What,
}

/// What is sent, and the operations that it stands for: several with MGET and MSET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) words: Vec<String>,
    pub(crate) steps: Vec<Step>,
}

/// An answer that cannot be this request's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DoesNotFit;

impl Request {
    /// One operation on `object`.
    pub(crate) fn one(run: &str, object: Object, value: u64, rng: &mut fastrand::Rng) -> Self {
        let key = object.key(run);
        let field = rng.u32(0..FIELDS);
        let name = match object.kind {
            Kind::Set => format!("m{field}"),
            _ => format!("f{field}"),
        };
        let number = value.to_string();
        let one_in_ten = rng.u32(0..10);
        let (words, what): (&[&str], _) = match (object.kind, one_in_ten) {
            (Kind::Register, 0) => (&["DEL", &key], What::Delete),
            (Kind::Register, 1..5) => (&["SET", &key, &number], What::Write(value)),
            (Kind::Register, _) => (&["GET", &key], What::Read(ABSENT)),
            (Kind::Counter, 0..7) => (&["INCR", &key], What::Increment(0)),
            (Kind::Counter, _) => (&["GET", &key], What::Read(ABSENT)),
            (Kind::List, _) => (&["RPUSH", &key, &number], What::Append(value, 0)),
            (Kind::Set, 0..3) => (&["SADD", &key, &name], What::Write(1)),
            (Kind::Set, 3..5) => (&["SREM", &key, &name], What::Delete),
            (Kind::Set, _) => (&["SISMEMBER", &key, &name], What::Read(ABSENT)),
            (Kind::Hash, 0) => (&["HDEL", &key, &name], What::Delete),
            (Kind::Hash, 1..5) => (&["HSET", &key, &name, &number], What::Write(value)),
            (Kind::Hash, _) => (&["HGET", &key, &name], What::Read(ABSENT)),
            (Kind::Stream, _) => (&["XADD", &key, "*", "v", &number], What::Append(value, 0)),
        };
        let field = if matches!(object.kind, Kind::Set | Kind::Hash) { field } else { 0 };
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Self { words, steps: vec![Step { object, field, what }] }
    }

    /// A read or a write of several registers at a time.
    pub(crate) fn many(run: &str, objects: &[Object], value: Option<u64>) -> Self {
        let name = if value.is_some() { "MSET" } else { "MGET" };
        let mut words = vec![name.to_owned()];
        let what = value.map_or(What::Read(ABSENT), What::Write);
        for object in objects {
            words.push(object.key(run));
            words.extend(value.map(|value| value.to_string()));
        }
        let step = |object: &Object| Step { object: *object, field: 0, what };
        Self { words, steps: objects.iter().map(step).collect() }
    }

    /// Fills in what `answer` says.
    pub(crate) fn understand(&mut self, answer: &Value) -> Result<(), DoesNotFit> {
        match (self.words[0].as_str(), answer) {
            ("SET" | "MSET", answer) if *answer == Value::ok() => Ok(()),
            ("DEL" | "HDEL" | "SREM" | "HSET" | "SADD", Value::Integer(0 | 1)) => Ok(()),
            ("SISMEMBER", Value::Integer(seen @ (0 | 1))) => self.sees(0, *seen as u64),
            ("GET" | "HGET", answer) => self.sees(0, number(answer)?),
            ("MGET", Value::Array(answers)) if answers.len() == self.steps.len() => {
                let mut seen = answers.iter().map(number).enumerate();
                seen.try_for_each(|(place, seen)| self.sees(place, seen?))
            }
            ("INCR" | "RPUSH", Value::Integer(seen @ 1..)) => self.sees(0, *seen as u64),
            ("XADD", Value::Bulk(id)) => self.sees(0, entry_number(id)?),
            _ => Err(DoesNotFit),
        }
    }

    fn sees(&mut self, place: usize, seen: u64) -> Result<(), DoesNotFit> {
        match &mut self.steps[place].what {
            What::Read(place) | What::Increment(place) | What::Append(_, place) => *place = seen,
            What::Write(_) | What::Delete => {}
        }
        Ok(())
    }
}

/// A value as it was written; absence is [`ABSENT`].
pub(crate) fn number(answer: &Value) -> Result<u64, DoesNotFit> {
    match answer {
        Value::NullBulk => Ok(ABSENT),
        Value::Bulk(digits) => std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse().ok())
            .filter(|number| *number != ABSENT)
            .ok_or(DoesNotFit),
        _ => Err(DoesNotFit),
    }
}

/// A stream entry's name, `milliseconds-sequence`, as one number that orders as it does.
pub(crate) fn entry_number(id: &[u8]) -> Result<u64, DoesNotFit> {
    const SEQUENCE_BITS: u32 = 20;
    let text = std::str::from_utf8(id).map_err(|_| DoesNotFit)?;
    let (ms, sequence) = text.split_once('-').ok_or(DoesNotFit)?;
    let ms: u64 = ms.parse().map_err(|_| DoesNotFit)?;
    let sequence: u64 = sequence.parse().map_err(|_| DoesNotFit)?;
    let fits = ms >> (64 - SEQUENCE_BITS) == 0 && sequence >> SEQUENCE_BITS == 0;
    if fits { Ok(ms << SEQUENCE_BITS | sequence) } else { Err(DoesNotFit) }
}

#[cfg(test)]
mod tests {
    use super::{DoesNotFit, Request, entry_number};
    use crate::check::history::{KINDS, Kind, Object, What};
    use codis_testbed::Value;

    fn object(kind: Kind) -> Object {
        Object { kind, crew: 1, number: 2, generation: 3 }
    }

    #[test]
    fn an_answer_of_another_kind_does_not_fit() {
        let mut rng = fastrand::Rng::with_seed(1);
        for kind in KINDS {
            for _ in 0..50 {
                let mut request = Request::one("r", object(kind), 7, &mut rng);
                for answer in
                    [Value::Simple(b"PONG".to_vec()), Value::Integer(-3), Value::bulk("x")]
                {
                    assert_eq!(
                        request.understand(&answer),
                        Err(DoesNotFit),
                        "{request:?} {answer:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_an_answer_says_is_filled_in() {
        let mut read = Request::many("r", &[object(Kind::Register), object(Kind::Register)], None);
        let answer = Value::Array(vec![Value::bulk("12"), Value::NullBulk]);
        assert_eq!(read.understand(&answer), Ok(()));
        let seen: Vec<What> = read.steps.iter().map(|step| step.what).collect();
        assert_eq!(seen, [What::Read(12), What::Read(0)]);
    }

    #[test]
    fn entries_of_a_stream_order_as_their_names_do() {
        let ids = ["5-1", "5-2", "6-0", "1764054000000-0"];
        let numbers: Vec<u64> =
            ids.iter().filter_map(|id| entry_number(id.as_bytes()).ok()).collect();
        assert!(numbers.is_sorted() && numbers.len() == ids.len(), "{numbers:?}");
        assert_eq!(entry_number(b"5"), Err(DoesNotFit));
    }
}
