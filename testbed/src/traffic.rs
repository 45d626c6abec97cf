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

/// What may happen to a client's commands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mishaps {
    #[default]
    None,
    /// Errors for answers.
    Errors,
    /// Also lost connections, which clients make anew.
    Losses,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// What may happen to a command, which then may have run or not.
    mishaps: Mishaps,
    done: AtomicU64,
    errors: AtomicU64,
}

impl Traffic {
    /// Has each client write, read, count and append. None may be given an error.
    #[must_use]
    pub fn start(clients: Vec<(Client, Vec<String>)>) -> Self {
        Self::of_connected(clients, Mishaps::None)
    }

    /// The same where commands may be answered with errors: what was done must be there all the same.
    #[must_use]
    pub fn start_that_may_fail(clients: Vec<(Client, Vec<String>)>) -> Self {
        Self::of_connected(clients, Mishaps::Errors)
    }

    /// The same where connections may be lost as well; each client has the address that it connects to, and its keys.
    #[must_use]
    pub fn start_that_may_lose_connections(clients: Vec<(String, Vec<String>)>) -> Self {
        let unconnected = |(address, keys)| (address, None, keys);
        Self::with(clients.into_iter().map(unconnected).collect(), Mishaps::Losses)
    }

    fn of_connected(clients: Vec<(Client, Vec<String>)>, mishaps: Mishaps) -> Self {
        let connected = |(client, keys)| (String::new(), Some(client), keys);
        Self::with(clients.into_iter().map(connected).collect(), mishaps)
    }

    fn with(clients: Vec<(String, Option<Client>, Vec<String>)>, mishaps: Mishaps) -> Self {
        let shared = Arc::new(Shared { mishaps, ..Shared::default() });
        let start = |(address, client, keys): (String, Option<Client>, Vec<String>)| {
            let worker = Worker { address, client, shared: Arc::clone(&shared) };
            std::thread::spawn(move || work(worker, keys))
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

/// What one client knows of the data under one key, and under those that hash as it does.
#[derive(Debug, Default)]
struct Known {
    value: Number,
    count: Number,
    /// A pair that is always written at once.
    pair: Number,
    /// Elements that were asked for; true for those that were acknowledged.
    list: Vec<bool>,
}

struct Worker {
    /// Where it connects to when its connection is lost.
    address: String,
    client: Option<Client>,
    shared: Arc<Shared>,
}

/// Works until it is told to stop; at the end, every key must have what was last written.
fn work(mut worker: Worker, keys: Vec<String>) -> Result<(), String> {
    let mut keys: Vec<(String, Known)> =
        keys.into_iter().map(|key| (key, Known::default())).collect();
    for at in (0..keys.len()).cycle() {
        if worker.shared.stop.load(SeqCst) {
            break;
        }
        let (key, known) = &mut keys[at];
        worker.set(key, &mut known.value)?;
        worker.get(key, &mut known.value)?;
        worker.increment(key, &mut known.count)?;
        worker.append(key, &mut known.list)?;
        worker.set_pair(key, &mut known.pair)?;
        worker.get_pair(key, &mut known.pair)?;
        // The machine has other things to do.
        std::thread::sleep(Duration::from_millis(1));
    }
    for (key, known) in &mut keys {
        worker.get(key, &mut known.value)?;
        worker.get_pair(key, &mut known.pair)?;
        worker.check_list(key, &known.list)?;
    }
    Ok(())
}

/// The most elements that a list gets.
const LIST_MAX: usize = 1000;

impl Worker {
    fn set(&mut self, key: &str, number: &mut Number) -> Result<(), String> {
        number.asked += 1;
        let value = number.asked.to_string();
        self.is_ok(&["SET", key, &value])?.then(|| number.known = number.asked);
        Ok(())
    }

    fn get(&mut self, key: &str, number: &mut Number) -> Result<(), String> {
        let Some(answer) = self.ask(&["GET", key])? else { return Ok(()) };
        number.learn("GET", key, read_number(&answer), &answer)
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

    fn append(&mut self, key: &str, list: &mut Vec<bool>) -> Result<(), String> {
        if list.len() == LIST_MAX {
            return Ok(());
        }
        let element = list.len().to_string();
        let answer = self.ask(&["RPUSH", &format!("list:{{{key}}}"), &element])?;
        list.push(answer.is_some());
        Ok(())
    }

    /// Every element that was acknowledged is there, none is there twice, and they are in their order.
    fn check_list(&mut self, key: &str, list: &[bool]) -> Result<(), String> {
        let name = format!("list:{{{key}}}");
        let Some(answer) = self.ask(&["LRANGE", &name, "0", "-1"])? else { return Ok(()) };
        let Value::Array(elements) = &answer else {
            return Err(format!("LRANGE {name} was answered with {answer:?}"));
        };
        let found: Vec<Option<u64>> = elements.iter().map(read_number).collect();
        let acknowledged = (0..).zip(list).filter(|(_, acknowledged)| **acknowledged);
        let missing: Vec<u64> = acknowledged
            .map(|(element, _)| element)
            .filter(|element| !found.contains(&Some(*element)))
            .collect();
        let in_order = found.windows(2).all(|pair| pair[0] < pair[1]);
        let asked = found.iter().all(|one| one.is_some_and(|one| one < list.len() as u64));
        if missing.is_empty() && in_order && asked {
            return Ok(());
        }
        Err(format!(
            "{name} lacks {missing:?}, in order: {in_order}, all asked for: {asked}: {found:?}"
        ))
    }

    fn set_pair(&mut self, key: &str, number: &mut Number) -> Result<(), String> {
        number.asked += 1;
        let value = number.asked.to_string();
        let [left, right] = pair_of(key);
        self.is_ok(&["MSET", &left, &value, &right, &value])?.then(|| number.known = number.asked);
        Ok(())
    }

    fn get_pair(&mut self, key: &str, number: &mut Number) -> Result<(), String> {
        let [left, right] = pair_of(key);
        let Some(answer) = self.ask(&["MGET", &left, &right])? else { return Ok(()) };
        let value = match &answer {
            Value::Array(pair) if pair.len() == 2 && pair[0] == pair[1] => read_number(&pair[0]),
            _ => None,
        };
        number.learn("MGET", &left, value, &answer)
    }

    /// Whether a command was done; it must be answered with OK then.
    fn is_ok(&mut self, args: &[&str]) -> Result<bool, String> {
        match self.ask(args)? {
            Some(answer) if answer == Value::ok() => Ok(true),
            Some(answer) => Err(format!("{args:?} was answered with {answer:?}")),
            None => Ok(false),
        }
    }

    /// The answer; `None` where something has happened that may.
    fn ask(&mut self, args: &[&str]) -> Result<Option<Value>, String> {
        let answer = self.connected().and_then(|client| {
            client.try_send(encode(args))?;
            client.try_read()
        });
        let mishaps = self.shared.mishaps;
        match answer {
            Ok(Value::Error(_)) if mishaps != Mishaps::None => {}
            Ok(answer @ Value::Error(_)) => {
                return Err(format!("{args:?} was answered with {answer:?}"));
            }
            Ok(answer) => {
                self.shared.done.fetch_add(1, SeqCst);
                return Ok(Some(answer));
            }
            Err(_) if mishaps == Mishaps::Losses => {
                self.client = None;
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(format!("{args:?} was not answered: {error}")),
        }
        self.shared.errors.fetch_add(1, SeqCst);
        Ok(None)
    }

    fn connected(&mut self) -> io::Result<&mut Client> {
        match &mut self.client {
            Some(client) => Ok(client),
            none => Ok(none.insert(Client::try_connect(&*self.address)?)),
        }
    }
}

/// Two keys that hash as `key` does.
fn pair_of(key: &str) -> [String; 2] {
    [format!("left:{{{key}}}"), format!("right:{{{key}}}")]
}

/// A number in decimal digits; nothing counts as 0.
fn read_number(value: &Value) -> Option<u64> {
    match value {
        Value::NullBulk => Some(0),
        Value::Bulk(text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
        _ => None,
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
