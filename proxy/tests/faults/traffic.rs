//! Clients of the proxies, who must notice nothing.

use codis_proxy::slots::slot;
use codis_testbed::{Client, Proxy, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;

/// Slots that have traffic: those below, which no operator changes.
const SLOTS: u16 = 900;

/// Clients of each proxy.
const CLIENTS: usize = 2;

/// Keys of each client.
const KEYS: usize = 100;

/// Clients at work.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Result<u64, String>>>,
}

impl Traffic {
    /// Starts clients of every proxy; `round` keeps their keys apart from those of other rounds.
    pub fn start(proxies: &[Proxy], round: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = Vec::new();
        for (number, proxy) in proxies.iter().enumerate() {
            for client in 0..CLIENTS {
                let (mut connection, stop) = (proxy.client(), Arc::clone(&stop));
                let name = format!("{round}:{number}:{client}");
                let work = move || use_keys(&mut connection, &name, &stop);
                clients.push(std::thread::spawn(work));
            }
        }
        Self { stop, clients }
    }

    /// Ends the clients and answers how many commands they sent.
    ///
    /// # Panics
    /// When one of them got an error, a wrong answer, or none.
    pub fn stop(self) -> u64 {
        self.stop.store(true, SeqCst);
        let results = self.clients.into_iter().map(|client| {
            client
                .join()
                .expect("a client does not panic")
                .unwrap_or_else(|wrong| panic!("{wrong}"))
        });
        results.sum()
    }
}

/// Writes, reads and counts until it is told to stop; at the end, every key must have what was last written.
fn use_keys(client: &mut Client, name: &str, stop: &AtomicBool) -> Result<u64, String> {
    let with_traffic = |key: &String| slot(key.as_bytes()) < SLOTS;
    let keys = (0..).map(|n| format!("key:{name}:{n}")).filter(with_traffic).take(KEYS);
    let mut keys: Vec<(String, u64)> = keys.map(|key| (key, 0)).collect();
    let mut sent = 0;
    let mut at = 0;
    while !stop.load(SeqCst) {
        let (key, written) = &mut keys[at];
        at = (at + 1) % KEYS;
        *written += 1;
        let counter = format!("count:{{{key}}}");
        expect(client, &["SET", key, &written.to_string()], &Value::ok())?;
        expect(client, &["GET", key], &Value::bulk(written.to_string()))?;
        let count = i64::try_from(*written).expect("a run is short");
        expect(client, &["INCR", &counter], &Value::Integer(count))?;
        sent += 3;
        // The machine has other things to do.
        std::thread::sleep(Duration::from_millis(1));
    }
    for (key, written) in keys.iter().filter(|(_, written)| *written > 0) {
        expect(client, &["GET", key], &Value::bulk(written.to_string()))?;
    }
    Ok(sent)
}

fn expect(client: &mut Client, args: &[&str], expected: &Value) -> Result<(), String> {
    let answer = client.try_send(codis_testbed::encode(args)).and_then(|()| client.try_read());
    match answer {
        Ok(value) if value == *expected => Ok(()),
        other => Err(format!("{args:?} was answered with {other:?}, not {expected:?}")),
    }
}
