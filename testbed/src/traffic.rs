//! Clients that work all the time, and must notice nothing.

use crate::{Client, Value, encode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;

/// Clients at work, each in a thread of its own.
#[derive(Debug)]
pub struct Traffic {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Result<(), String>>>,
}

impl Traffic {
    /// Has each client write, read and count under keys that nobody else uses.
    #[must_use]
    pub fn start(clients: Vec<(Client, Vec<String>)>) -> Self {
        let (stop, sent) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let start = |(client, keys): (Client, Vec<String>)| {
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            std::thread::spawn(move || use_keys(client, keys, &stop, &sent))
        };
        let clients = clients.into_iter().map(start).collect();
        Self { stop, sent, clients }
    }

    /// How many commands have been answered so far.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.sent.load(SeqCst)
    }

    /// Ends the clients and answers how many commands they sent.
    ///
    /// # Panics
    /// When one of them got an error, a wrong answer, or none.
    pub fn stop(self) -> u64 {
        self.stop.store(true, SeqCst);
        for client in self.clients {
            let result = client.join().expect("a client does not panic");
            result.unwrap_or_else(|wrong| panic!("{wrong}"));
        }
        self.sent.load(SeqCst)
    }
}

/// Works until it is told to stop; at the end, every key must have what was last written.
fn use_keys(
    mut client: Client,
    keys: Vec<String>,
    stop: &AtomicBool,
    sent: &AtomicU64,
) -> Result<(), String> {
    let mut keys: Vec<(String, u64)> = keys.into_iter().map(|key| (key, 0)).collect();
    for at in (0..keys.len()).cycle() {
        if stop.load(SeqCst) {
            break;
        }
        let (key, written) = &mut keys[at];
        *written += 1;
        // A key in braces hashes as the key does.
        let counter = format!("count:{{{key}}}");
        expect(&mut client, &["SET", key, &written.to_string()], &Value::ok())?;
        expect(&mut client, &["GET", key], &Value::bulk(written.to_string()))?;
        let count = i64::try_from(*written).expect("no test counts that far");
        expect(&mut client, &["INCR", &counter], &Value::Integer(count))?;
        sent.fetch_add(3, SeqCst);
        // The machine has other things to do.
        std::thread::sleep(Duration::from_millis(1));
    }
    for (key, written) in keys.iter().filter(|(_, written)| *written > 0) {
        expect(&mut client, &["GET", key], &Value::bulk(written.to_string()))?;
    }
    Ok(())
}

fn expect(client: &mut Client, args: &[&str], expected: &Value) -> Result<(), String> {
    match client.try_send(encode(args)).and_then(|()| client.try_read()) {
        Ok(value) if value == *expected => Ok(()),
        other => Err(format!("{args:?} was answered with {other:?}, not {expected:?}")),
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
        assert!(traffic.stop() > 10);
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
}
