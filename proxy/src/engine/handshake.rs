//! The handshake with a server: AUTH, HELLO, CLIENT SETNAME, GET of the fence, SELECT.
//!
//! The connection's name tells the metadata group's leader whose it is and how old its topology was. The
//! fence is how the leader shuts out a proxy that it cannot reach: it writes an epoch on every master,
//! kills the proxy's connections there, and may then count on it that the proxy sends nothing until it has
//! that epoch's topology. So the fence is read after the name was given - whoever was not killed
//! by name reads the fence that was written before - and a connection is used only if the fence is not
//! ahead of the topology that its requests were routed by.

use super::Engine;
use super::backend::{Backend, Greeted, Role, State};
use crate::resp::request::strict_integer;
use crate::resp::{Protocol, write};
use codis_proto::FENCE_KEY;

/// How much of a reply to the handshake may come without its end.
pub(super) const REPLY_BYTES_MAX: usize = 64 * 1024;

/// How much of a value that is no epoch is shown.
const SHOWN_BYTES_MAX: usize = 40;

/// A server's fence, as it answers GET.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fence {
    /// It has none.
    None,
    /// No proxy with an older topology than this may use it.
    Epoch(u64),
    /// The key holds something else.
    Unreadable(String),
}

impl Fence {
    /// Reads the reply to GET. `None`: it is an error like any other.
    fn read(reply: &[u8]) -> Option<Self> {
        if reply.starts_with(b"-WRONGTYPE") {
            return Some(Self::Unreadable("something other than a string".into()));
        }
        if reply == b"_\r\n" {
            return Some(Self::None);
        }
        let bulk = reply.strip_prefix(b"$")?.strip_suffix(b"\r\n")?;
        if bulk == b"-1" {
            return Some(Self::None);
        }
        let start = memchr::memchr(b'\n', bulk)? + 1;
        let value = &bulk[start..];
        let digits = value.iter().all(u8::is_ascii_digit);
        let epoch = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
        Some(match epoch {
            Some(epoch) if digits => Self::Epoch(epoch),
            _ => {
                let shown = &value[..value.len().min(SHOWN_BYTES_MAX)];
                Self::Unreadable(format!("\"{}\"", shown.escape_ascii()))
            }
        })
    }
}

/// Makes the handshake's requests; answers how many replies there will be.
fn greet(target: &mut Backend, auth: &[u8], name: &[u8]) -> u8 {
    let mut count = 2;
    let greeting = &mut target.greeting;
    greeting.clear();
    if !auth.is_empty() {
        write::request(greeting, &[b"AUTH", auth]);
        count += 1;
    }
    if target.protocol == Protocol::Resp3 {
        write::request(greeting, &[b"HELLO", b"3"]);
        count += 1;
    }
    write::request(greeting, &[b"CLIENT", b"SETNAME", name]);
    // Before SELECT: the fence is in database 0.
    write::request(greeting, &[b"GET", FENCE_KEY.as_bytes()]);
    if target.database != 0 {
        let database = target.database.to_string();
        write::request(greeting, &[b"SELECT", database.as_bytes()]);
        count += 1;
    }
    if target.role == Role::Dedicated {
        write::request(greeting, &[b"CLIENT", b"ID"]);
        count += 1;
    }
    if target.role == Role::Tracker {
        greeting.extend_from_slice(&target.tracking);
        count += 1;
    }
    if target.no_touch {
        write::request(greeting, &[b"CLIENT", b"NO-TOUCH", b"ON"]);
        count += 1;
    }
    count
}

/// How many replies are missing when that of the fence is next.
fn fence_place(target: &Backend) -> u8 {
    let asks_more = matches!(target.role, Role::Dedicated | Role::Tracker);
    1 + u8::from(target.database != 0) + u8::from(asks_more) + u8::from(target.no_touch)
}

/// What the server calls the connection, as CLIENT ID answers.
fn client_id(reply: &[u8]) -> Option<i64> {
    strict_integer(reply.strip_prefix(b":")?.strip_suffix(b"\r\n")?)
}

/// Why the handshake failed, from a reply that is an error.
fn refusal(reply: &[u8]) -> String {
    let text = String::from_utf8_lossy(reply);
    let password = ["-NOAUTH", "-WRONGPASS", "-ERR AUTH", "-ERR invalid password"];
    let hint = match password.iter().any(|start| text.starts_with(start)) {
        true => " (see product_auth)",
        false => "",
    };
    format!("the server refused the handshake: {}{hint}", text.trim_end())
}

impl Engine {
    /// The driver has connected a backend.
    pub fn on_backend_open(&mut self, backend: u32) {
        let auth = self.settings.product_auth.as_bytes();
        let name = format!("codis-proxy:{}:{}", self.settings.token, self.routes.topology.epoch);
        let target = &mut self.backends[backend as usize];
        if target.state != State::Connecting {
            return;
        }
        let missing = greet(target, auth, name.as_bytes());
        // What the connection is for may change while the replies come.
        target.greeted = Greeted {
            fence: fence_place(target),
            no_touch: target.no_touch,
            id: if target.role == Role::Dedicated { 1 + u8::from(target.no_touch) } else { 0 },
        };
        target.state = State::Handshake(missing);
        target.alive_us = self.now_us;
        self.mark_dirty(backend);
    }

    /// Takes one reply to the handshake.
    pub(super) fn on_handshake_reply(&mut self, backend: u32, missing: u8, bytes: &[u8]) {
        let target = &mut self.backends[backend as usize];
        let mut reply = std::mem::take(&mut target.partial);
        reply.extend_from_slice(bytes);
        let passed = if missing == target.greeted.fence {
            match Fence::read(&reply) {
                Some(fence) => self.pass_fence(backend, &fence),
                None => Err(refusal(&reply)),
            }
        } else if matches!(reply[0], b'+' | b'%') || (missing == 1 && target.greeted.no_touch) {
            // A server before 7.2 does not know CLIENT NO-TOUCH; what it is asked for is no less true for that.
            Ok(())
        } else if let Some(id) = client_id(&reply) {
            target.client_id = id;
            Ok(())
        } else if missing == target.greeted.id && reply.starts_with(b"-ERR") {
            // A server before 5.0 does not tell. It cannot be told either to end a wait of the connection.
            Ok(())
        } else {
            Err(refusal(&reply))
        };
        match passed {
            Err(reason) => self.fail_backend(backend, &reason),
            Ok(()) if missing > 1 => {
                self.backends[backend as usize].state = State::Handshake(missing - 1);
            }
            Ok(()) => self.on_ready(backend),
        }
    }

    /// Whether this proxy may use the connection, by the server's fence; or why not.
    fn pass_fence(&mut self, backend: u32, fence: &Fence) -> Result<(), String> {
        let fence = match fence {
            Fence::None => return Ok(()),
            Fence::Epoch(fence) => *fence,
            Fence::Unreadable(value) => {
                return Err(format!(
                    "the reserved key {FENCE_KEY} on the server holds {value} and no epoch: set it to the \
                     fence that `codis-admin status` shows, or delete it if the server belongs to no \
                     metadata group"
                ));
            }
        };
        let epoch = self.routes.topology.epoch;
        if fence > epoch {
            self.backends[backend as usize].fenced = fence;
            self.fans.history.lose_sight();
            return Err(if self.settings.follows_group {
                format!(
                    "the server's fence is at epoch {fence}, this proxy has the topology of epoch {epoch}: \
                     waiting for a newer topology"
                )
            } else {
                format!(
                    "the server's fence is at epoch {fence}, so it belongs to a metadata group, and this \
                     proxy follows none: set meta_addr, or delete the reserved key {FENCE_KEY} on the \
                     server if the group is no more"
                )
            });
        }
        // What waited for the connection may be older than the topology.
        let routed_by = self.routed_by(backend);
        if fence > routed_by {
            self.backends[backend as usize].fenced = fence;
            return Err(format!(
                "the server's fence is at epoch {fence}, the request was on its way by the topology of \
                 epoch {routed_by}"
            ));
        }
        Ok(())
    }

    /// The handshake went well.
    fn on_ready(&mut self, backend: u32) {
        let target = &mut self.backends[backend as usize];
        target.state = State::Ready;
        if target.attempts > 0 {
            tracing::info!(
                shard = self.shard,
                backend = %target.address,
                group = target.group,
                database = target.database,
                attempts = target.attempts,
                "a server is back"
            );
        }
        target.attempts = 0;
        target.since_us = self.now_us;
        target.pinged_us = self.now_us;
        target.last_error.clear();
        target.counters.connects += 1;
        self.mark_dirty(backend);
        self.wake_waiters(backend);
        if self.backends[backend as usize].role == Role::Subscriber {
            self.on_feed_ready(backend);
        }
        self.backend_timer(backend);
        if self.backends[backend as usize].role == Role::Tracker {
            self.on_tracker_ready(backend);
        }
        self.on_wait_sent(backend);
        self.close_if_retired(backend);
    }

    fn mark_dirty(&mut self, backend: u32) {
        let target = &mut self.backends[backend as usize];
        if !target.dirty {
            target.dirty = true;
            self.dirty_backends.push(backend);
        }
    }

    /// Whether a backend is down because of a fence that the topology has come up to.
    pub(super) fn is_let_in(&self, backend: u32) -> bool {
        let fenced = self.backends[backend as usize].fenced;
        fenced != 0 && fenced <= self.routes.topology.epoch
    }

    /// Connects at once to the servers that a newer topology was needed for.
    pub(super) fn connect_fenced(&mut self) {
        let down = self.backends.iter().filter(|(_, target)| target.state == State::Down);
        let down: Vec<u32> = down.map(|(backend, _)| backend as u32).collect();
        for backend in down {
            if self.is_let_in(backend) {
                self.connect(backend);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_is_a_decimal_number_or_not_there() {
        for (reply, fence) in [
            (&b"$-1\r\n"[..], Some(Fence::None)),
            (b"_\r\n", Some(Fence::None)),
            (b"$1\r\n7\r\n", Some(Fence::Epoch(7))),
            (b"$20\r\n18446744073709551615\r\n", Some(Fence::Epoch(u64::MAX))),
            (b"$2\r\n+7\r\n", Some(Fence::Unreadable("\"+7\"".into()))),
            (b"$0\r\n\r\n", Some(Fence::Unreadable("\"\"".into()))),
            (b"$4\r\n7\r\n8\r\n", Some(Fence::Unreadable("\"7\\r\\n8\"".into()))),
            (
                b"$20\r\n18446744073709551616\r\n",
                Some(Fence::Unreadable("\"18446744073709551616\"".into())),
            ),
            (b"-LOADING Redis is loading the dataset in memory\r\n", None),
            (b"+OK\r\n", None),
        ] {
            assert_eq!(Fence::read(reply), fence, "{}", reply.escape_ascii());
        }
        let list = b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
        assert!(matches!(Fence::read(list), Some(Fence::Unreadable(_))));
    }
}
