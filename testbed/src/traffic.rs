//! Clients that work all the time, and must lose nothing.

use crate::{Client, Value, encode};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;

/// Clients at work, each in a thread of its own, under keys that nobody else uses.
#[derive(Debug)]
pub struct Traffic {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Result<(), String>>>,
}

/// What clients were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Commands that were done.
    pub done: u64,
    /// Commands that were answered with an error.
    pub errors: u64,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// Whether an error may be the answer to a command, which then may have run or not.
    may_fail: bool,
    done: AtomicU64,
    errors: AtomicU64,
}

impl Traffic {
    /// Has each client write, read and count. None may be given an error.
    #[must_use]
    pub fn start(clients: Vec<(Client, Vec<String>)>) -> Self {
        Self::with(clients, false)
    }

    /// The same where commands may be answered with errors: what was done must be there all the same.
    #[must_use]
    pub fn start_that_may_fail(clients: Vec<(Client, Vec<String>)>) -> Self {
        Self::with(clients, true)
    }

    fn with(clients: Vec<(Client, Vec<String>)>, may_fail: bool) -> Self {
        let shared = Arc::new(Shared { may_fail, ..Shared::default() });
        let start = |(client, keys): (Client, Vec<String>)| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || work(Worker { client, shared }, keys))
        };
        let clients = clients.into_iter().map(start).collect();
        Self { shared, clients }
    }

    /// How many commands have been done so far.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.shared.done.load(SeqCst)
    }

    /// Ends the clients.
    ///
    /// # Panics
    /// When one of them got a wrong answer or none, or an error where there may be none.
    pub fn stop(self) -> Told {
        self.shared.stop.store(true, SeqCst);
        for client in self.clients {
            let result = client.join().expect("a client does not panic");
            result.unwrap_or_else(|wrong| panic!("{wrong}"));
        }
        Told { done: self.shared.done.load(SeqCst), errors: self.shared.errors.load(SeqCst) }
    }
}

/// A number that only grows, as one client knows it.
#[derive(Debug, Default)]
struct Number {
    /// It is at least this: so much was acknowledged, or read.
    known: u64,
    /// It is at most this: so much was asked for.
    asked: u64,
}

struct Worker {
    client: Client,
    shared: Arc<Shared>,
}

/// Works until it is told to stop; at the end, every key must have what was last written.
fn work(mut worker: Worker, keys: Vec<String>) -> Result<(), String> {
    let mut keys: Vec<(String, Number, Number)> =
        keys.into_iter().map(|key| (key, Number::default(), Number::default())).collect();
    for at in (0..keys.len()).cycle() {
        if worker.shared.stop.load(SeqCst) {
            break;
        }
        let (key, value, count) = &mut keys[at];
        worker.set(key, value)?;
        worker.get(key, value)?;
        worker.increment(key, count)?;
        // The machine has other things to do.
        std::thread::sleep(Duration::from_millis(1));
    }
    for (key, value, _) in &mut keys {
        worker.get(key, value)?;
    }
    Ok(())
}

impl Worker {
    fn set(&mut self, key: &str, number: &mut Number) -> Result<(), String> {
        number.asked += 1;
        let value = number.asked.to_string();
        match self.ask(&["SET", key, &value])? {
            Some(answer) if answer == Value::ok() => number.known = number.asked,
            Some(answer) => return Err(format!("SET {key} {value} was answered with {answer:?}")),
            None => {}
        }
        Ok(())
    }

    fn get(&mut self, key: &str, number: &mut Number) -> Result<(), String> {
        let Some(answer) = self.ask(&["GET", key])? else { return Ok(()) };
        let value = match &answer {
            Value::NullBulk => Some(0),
            Value::Bulk(text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
            _ => None,
        };
        number.learn("GET", key, value, &answer)
    }

    fn increment(&mut self, key: &str, number: &mut Number) -> Result<(), String> {
        number.asked += 1;
        // A key in braces hashes as the key does.
        let counter = format!("count:{{{key}}}");
        let before = number.known;
        let Some(answer) = self.ask(&["INCR", &counter])? else { return Ok(()) };
        let value = match &answer {
            Value::Integer(value) => u64::try_from(*value).ok().filter(|value| *value > before),
            _ => None,
        };
        number.learn("INCR", &counter, value, &answer)
    }

    /// The answer; `None` where it is an error that may be.
    fn ask(&mut self, args: &[&str]) -> Result<Option<Value>, String> {
        let answer: io::Result<Value> =
            self.client.try_send(encode(args)).and_then(|()| self.client.try_read());
        match answer {
            Ok(Value::Error(_)) if self.shared.may_fail => {
                self.shared.errors.fetch_add(1, SeqCst);
                Ok(None)
            }
            Ok(answer @ Value::Error(_)) => Err(format!("{args:?} was answered with {answer:?}")),
            Ok(answer) => {
                self.shared.done.fetch_add(1, SeqCst);
                Ok(Some(answer))
            }
            Err(error) => Err(format!("{args:?} was not answered: {error}")),
        }
    }
}

impl Number {
    /// Takes in what an answer says of the number.
    fn learn(
        &mut self,
        what: &str,
        key: &str,
        value: Option<u64>,
        answer: &Value,
    ) -> Result<(), String> {
        match value.filter(|value| (self.known..=self.asked).contains(value)) {
            Some(value) => {
                self.known = value;
                Ok(())
            }
            None => Err(format!(
                "{what} {key} was answered with {answer:?}: {} was acknowledged, {} asked for",
                self.known, self.asked
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Traffic;
    use crate::{Redis, eventually};

    #[test]
    fn traffic_that_is_answered_well_ends_well() {
        let redis = Redis::start();
        let traffic = Traffic::start(vec![(redis.client(), vec!["a".to_owned()])]);
        eventually("commands are answered", || traffic.answered() > 10);
        let told = traffic.stop();
        assert!(told.done > 10 && told.errors == 0, "{told:?}");
    }

    #[test]
    #[should_panic(expected = "was answered with")]
    fn a_write_that_is_lost_is_noticed() {
        let redis = Redis::start();
        let traffic = Traffic::start(vec![(redis.client(), vec!["a".to_owned()])]);
        eventually("commands are answered", || traffic.answered() > 10);
        redis.client().run("FLUSHALL");
        eventually("the client has ended", || traffic.clients[0].is_finished());
        traffic.stop();
    }

    #[test]
    #[should_panic(expected = "was answered with")]
    fn an_error_is_noticed() {
        let redis = Redis::start_with_password("secret");
        let traffic =
            Traffic::start(vec![(crate::Client::connect(redis.address()), vec!["a".to_owned()])]);
        traffic.stop();
    }

    #[test]
    fn an_error_that_may_be_is_counted() {
        let redis = Redis::start_with_password("secret");
        let traffic = Traffic::start_that_may_fail(vec![(
            crate::Client::connect(redis.address()),
            vec!["a".to_owned()],
        )]);
        eventually("errors are counted", || traffic.shared.errors.load(super::SeqCst) > 10);
        assert_eq!(traffic.stop().done, 0);
    }
}
