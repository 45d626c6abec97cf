//! A TCP relay that does to a connection what networks do.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Stands between a client and a server on this machine. All settings may be changed at any time and
/// hold for the connections that exist as well as for new ones.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    upstream: String,
    /// At most so many bytes are passed on at a time; 0 for no limit.
    piece_bytes: AtomicUsize,
    /// Waited before each piece.
    delay_us: AtomicU64,
    /// Bytes are read from neither side: to both it looks as if the other had frozen.
    blackhole: AtomicBool,
    /// New connections are closed at once.
    refuse: AtomicBool,
    /// The client's side is cut after so many bytes from the server; `u64::MAX` for never.
    reply_bytes_left: AtomicU64,
    closed: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
}

impl Relay {
    /// Starts a relay to `upstream` (`host:port`).
    ///
    /// # Panics
    /// When no port can be had.
    #[must_use]
    pub fn to(upstream: &str) -> Self {
        let listener =
            TcpListener::bind(("127.0.0.1", crate::free_port())).expect("the port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            reply_bytes_left: AtomicU64::new(u64::MAX),
            ..Shared::default()
        });
        let for_thread = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &for_thread));
        Self { port, shared }
    }

    /// `127.0.0.1:port` where the relay listens.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Passes on at most `bytes` at a time; 0 for no limit.
    pub fn set_piece(&self, bytes: usize) {
        self.shared.piece_bytes.store(bytes, SeqCst);
    }

    /// Waits before each piece.
    pub fn set_delay(&self, delay: Duration) {
        let us = u64::try_from(delay.as_micros()).expect("a delay of a test is short");
        self.shared.delay_us.store(us, SeqCst);
    }

    /// Whether bytes stay where they are, with all connections open.
    pub fn set_blackhole(&self, on: bool) {
        self.shared.blackhole.store(on, SeqCst);
    }

    /// Whether new connections are closed at once.
    pub fn set_refuse(&self, on: bool) {
        self.shared.refuse.store(on, SeqCst);
    }

    /// Cuts the connection that passes on the `bytes`th byte from the server from now on.
    pub fn cut_after_reply_bytes(&self, bytes: u64) {
        self.shared.reply_bytes_left.store(bytes, SeqCst);
    }

    /// Cuts every connection there is.
    pub fn cut_all(&self) {
        self.shared.cut_all();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.closed.store(true, SeqCst);
        self.shared.cut_all();
        // Wakes the thread that accepts, which sees `closed` and ends.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn cut_all(&self) {
        let connections =
            std::mem::take(&mut *self.connections.lock().expect("no panic under this lock"));
        for stream in connections {
            // An error means that it is closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Takes up to `wanted` of the reply bytes that may still pass.
    fn allowed_reply_bytes(&self, wanted: usize) -> usize {
        let mut allowed = wanted;
        let _ = self.reply_bytes_left.fetch_update(SeqCst, SeqCst, |left| {
            if left == u64::MAX {
                return None;
            }
            allowed = wanted.min(usize::try_from(left).unwrap_or(usize::MAX));
            // When it comes to 0 the cut has been made, and later connections pass all bytes.
            Some(left - allowed as u64).map(|left| if allowed < wanted { u64::MAX } else { left })
        });
        allowed
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming().filter_map(Result::ok) {
        if shared.closed.load(SeqCst) {
            return;
        }
        if shared.refuse.load(SeqCst) {
            continue;
        }
        let Ok(server) = TcpStream::connect(&shared.upstream) else {
            continue;
        };
        let copies =
            [client.try_clone(), server.try_clone(), client.try_clone(), server.try_clone()];
        let Ok([a, b, c, d]) = copies
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
            .map(|copies| <[TcpStream; 4]>::try_from(copies).expect("there are four"))
        else {
            continue;
        };
        shared.connections.lock().expect("no panic under this lock").extend([a, b]);
        let (up, down) = (Arc::clone(shared), Arc::clone(shared));
        thread::spawn(move || pump(client, server, &up, false));
        thread::spawn(move || pump(d, c, &down, true));
    }
}

/// Passes bytes on until either side closes.
fn pump(mut from: TcpStream, mut to: TcpStream, shared: &Shared, replies: bool) {
    let mut buffer = [0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let allowed = if replies { shared.allowed_reply_bytes(count) } else { count };
        let passed = pass_on(&buffer[..allowed], &mut to, shared);
        if !passed || allowed < count {
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
    }
    // The other direction may still have bytes to pass.
    let _ = to.shutdown(Shutdown::Write);
}

fn pass_on(bytes: &[u8], to: &mut TcpStream, shared: &Shared) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        while shared.blackhole.load(SeqCst) && !shared.closed.load(SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
        let delay_us = shared.delay_us.load(SeqCst);
        if delay_us > 0 {
            thread::sleep(Duration::from_micros(delay_us));
        }
        let piece = match shared.piece_bytes.load(SeqCst) {
            0 => rest.len(),
            limit => rest.len().min(limit),
        };
        if to.write_all(&rest[..piece]).is_err() {
            return false;
        }
        rest = &rest[piece..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::Relay;
    use crate::{Client, Redis, Value};
    use std::time::Duration;

    #[test]
    fn a_relay_passes_replies_on_byte_by_byte() {
        let redis = Redis::start();
        let relay = Relay::to(&redis.address());
        relay.set_piece(1);
        let mut client = Client::connect(relay.address());
        assert_eq!(client.run("ECHO hello"), Value::bulk("hello"));
    }

    #[test]
    fn a_relay_cuts_after_the_given_byte_of_a_reply_and_new_connections_work() {
        let redis = Redis::start();
        let relay = Relay::to(&redis.address());
        relay.cut_after_reply_bytes(4);
        let mut client = Client::connect(relay.address());
        client.send("PING\r\n");
        assert_eq!(client.read_to_end(), b"+PON");
        assert_eq!(Client::connect(relay.address()).run("PING"), Value::Simple(b"PONG".to_vec()));
    }

    #[test]
    fn a_blackhole_holds_bytes_until_it_is_lifted() {
        let redis = Redis::start();
        let relay = Relay::to(&redis.address());
        relay.set_blackhole(true);
        let mut client = Client::connect(relay.address());
        client.send("PING\r\n");
        assert!(!client.something_comes_within(Duration::from_millis(100)));
        relay.set_blackhole(false);
        assert_eq!(client.read(), Value::Simple(b"PONG".to_vec()));
    }
}
