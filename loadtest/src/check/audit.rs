//! The last look at everything that was touched.

use super::client::Shared;
use super::history::{ABSENT, Ending, History, Kind, Object, Operation, What};
use super::request::{DoesNotFit, FIELDS, entry_number, number};
use codis_testbed::{Client, Value, encode};
use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Objects read together.
const BATCH: usize = 64;
/// Between two tries.
const RETRY_AFTER: Duration = Duration::from_millis(50);
/// The auditor's number among the clients.
pub(crate) const AUDITOR: u16 = u16::MAX;

/// What could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the last look was not answered: {0}")]
pub struct Unreadable(String);

/// Reads every object of `history` as it is now, and adds what is seen to it.
///
/// # Errors
/// When `patience` is over before all has been read.
pub(crate) fn audit(
    shared: &Shared,
    history: &mut History,
    patience: Duration,
) -> Result<(), Unreadable> {
    let objects: BTreeSet<Object> = history.operations.iter().map(|one| one.object).collect();
    let objects: Vec<Object> = objects.into_iter().collect();
    let deadline = Instant::now() + patience;
    let mut auditor = Auditor { shared, connection: None, target: 0 };
    for batch in objects.chunks(BATCH) {
        loop {
            match auditor.look(batch, history) {
                Ok(()) => break,
                Err(why) if Instant::now() > deadline => return Err(Unreadable(why)),
                Err(_) => {
                    auditor.connection = None;
                    auditor.target += 1;
                    sleep(RETRY_AFTER);
                }
            }
        }
    }
    Ok(())
}

struct Auditor<'a> {
    shared: &'a Shared,
    connection: Option<Client>,
    target: usize,
}

impl Auditor<'_> {
    /// Reads some objects. What it had read when it fails is thrown away.
    fn look(&mut self, objects: &[Object], history: &mut History) -> Result<(), String> {
        let called = self.shared.clock.now();
        let answers = self.ask(objects)?;
        let answered = self.shared.clock.now();
        let mut seen = History::default();
        for (object, answer) in objects.iter().zip(&answers) {
            let read = |field: u32, value: u64| {
                let what = What::Read(value);
                Operation { object: *object, field, client: AUDITOR, what, called, answered }
            };
            let strange = |_: DoesNotFit| format!("{object} was answered with {answer:?}");
            match object.kind {
                Kind::Register | Kind::Counter => {
                    seen.operations.push(read(0, number(answer).map_err(strange)?));
                }
                Kind::Set | Kind::Hash => {
                    let fields = fields(object.kind, answer).map_err(strange)?;
                    seen.operations.extend((0..FIELDS).map(|field| {
                        let found = fields.iter().find(|(found, _)| *found == field);
                        read(field, found.map_or(ABSENT, |(_, value)| *value))
                    }));
                }
                Kind::List | Kind::Stream => {
                    let entries = entries(object.kind, answer).map_err(strange)?;
                    seen.endings.push(Ending { object: *object, entries });
                }
            }
        }
        history.add(seen);
        Ok(())
    }

    fn ask(&mut self, objects: &[Object]) -> Result<Vec<Value>, String> {
        let targets = &self.shared.targets;
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let target = targets[self.target % targets.len()].as_str();
                none.insert(Client::try_connect(target).map_err(|error| error.to_string())?)
            }
        };
        let requests: Vec<u8> =
            objects.iter().flat_map(|one| request(&self.shared.run, *one)).collect();
        connection.try_send(requests).map_err(|error| error.to_string())?;
        let read = |_: &Object| match connection.try_read() {
            Ok(Value::Error(text)) => Err(String::from_utf8_lossy(&text).into_owned()),
            Ok(answer) => Ok(answer),
            Err(error) => Err(error.to_string()),
        };
        objects.iter().map(read).collect()
    }
}

fn request(run: &str, object: Object) -> Vec<u8> {
    let key = object.key(run);
    match object.kind {
        Kind::Register | Kind::Counter => encode(&["GET", &key]),
        Kind::List => encode(&["LRANGE", &key, "0", "-1"]),
        Kind::Set => encode(&["SMEMBERS", &key]),
        Kind::Hash => encode(&["HGETALL", &key]),
        Kind::Stream => encode(&["XRANGE", &key, "-", "+"]),
    }
}

/// The fields of a hash with their values, or the members of a set.
fn fields(kind: Kind, answer: &Value) -> Result<Vec<(u32, u64)>, DoesNotFit> {
    let Value::Array(items) = answer else { return Err(DoesNotFit) };
    let field = |name: &Value| match name {
        Value::Bulk(name) => std::str::from_utf8(name)
            .ok()
            .and_then(|name| name.get(1..)?.parse::<u32>().ok())
            .filter(|field| *field < FIELDS)
            .ok_or(DoesNotFit),
        _ => Err(DoesNotFit),
    };
    if kind == Kind::Set {
        return items.iter().map(|name| Ok((field(name)?, 1))).collect();
    }
    items
        .chunks(2)
        .map(|pair| match pair {
            [name, value] => Ok((field(name)?, number(value)?)),
            _ => Err(DoesNotFit),
        })
        .collect()
}

/// The values of a list or a stream with their places.
fn entries(kind: Kind, answer: &Value) -> Result<Vec<(u64, u64)>, DoesNotFit> {
    let Value::Array(items) = answer else { return Err(DoesNotFit) };
    if kind == Kind::List {
        return items.iter().zip(1..).map(|(item, place)| Ok((number(item)?, place))).collect();
    }
    items
        .iter()
        .map(|entry| match entry {
            Value::Array(parts) => match &parts[..] {
                [Value::Bulk(id), Value::Array(pair)] if pair.len() == 2 => {
                    Ok((number(&pair[1])?, entry_number(id)?))
                }
                _ => Err(DoesNotFit),
            },
            _ => Err(DoesNotFit),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Kind, entries, fields};
    use codis_testbed::Value;

    #[test]
    fn what_containers_hold_is_read() {
        let bulks = |texts: &[&str]| Value::Array(texts.iter().map(Value::bulk).collect());
        assert_eq!(fields(Kind::Set, &bulks(&["m2", "m0"])), Ok(vec![(2, 1), (0, 1)]));
        assert_eq!(fields(Kind::Hash, &bulks(&["f1", "77"])), Ok(vec![(1, 77)]));
        assert!(fields(Kind::Hash, &bulks(&["f1"])).is_err());
        assert!(fields(Kind::Set, &bulks(&["m9"])).is_err());
        assert_eq!(entries(Kind::List, &bulks(&["7", "8"])), Ok(vec![(7, 1), (8, 2)]));
        let entry = Value::Array(vec![Value::bulk("1-2"), bulks(&["v", "9"])]);
        assert_eq!(entries(Kind::Stream, &Value::Array(vec![entry])), Ok(vec![(9, (1 << 20) + 2)]));
    }
}
