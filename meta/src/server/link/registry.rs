//! Which proxies have a stream here.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use codis_proto::link::v1::Stats;
use tokio::sync::oneshot;
use tonic::Status;

use crate::node::unix_ms;

/// The streams by the token of their proxies.
#[derive(Default)]
pub(super) struct Registry {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    serial_last: u64,
    streams: BTreeMap<String, Entry>,
    /// Proxies whose registration is under way, and how often.
    arriving: BTreeMap<String, usize>,
    /// The counters that each sent last, and when.
    stats: BTreeMap<String, (u64, Stats)>,
}

struct Entry {
    /// Names the stream: a later one of the same proxy has another.
    serial: u64,
    /// Names the process.
    start_unix_ms: u64,
    end: oneshot::Sender<Status>,
}

/// A stream's place in the registry.
pub(super) struct Place {
    pub(super) serial: u64,
    /// Says with what to end.
    pub(super) ended: oneshot::Receiver<Status>,
}

/// A registration under way.
pub(super) struct Arriving<'a> {
    registry: &'a Registry,
    token: String,
}

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        let mut inner = self.registry.lock();
        if let Some(count) = inner.arriving.get_mut(&self.token) {
            *count -= 1;
            if *count == 0 {
                inner.arriving.remove(&self.token);
            }
        }
    }
}

impl Registry {
    /// Notes that a proxy is being registered, so that it is not taken for one without a stream meanwhile.
    pub(super) fn arrive(&self, token: &str) -> Arriving<'_> {
        *self.lock().arriving.entry(token.to_owned()).or_default() += 1;
        Arriving { registry: self, token: token.to_owned() }
    }

    /// Enters a stream. One that the same token opened before ends.
    pub(super) fn enter(&self, token: &str, start_unix_ms: u64) -> Place {
        let (end, ended) = oneshot::channel();
        let mut inner = self.lock();
        inner.serial_last += 1;
        let serial = inner.serial_last;
        let entry = Entry { serial, start_unix_ms, end };
        if let Some(older) = inner.streams.insert(token.to_owned(), entry) {
            // It may be about to end by itself.
            let _ = older.end.send(replaced(token, older.start_unix_ms == start_unix_ms));
        }
        Place { serial, ended }
    }

    /// Takes a stream out; whether it was still the proxy's own.
    pub(super) fn leave(&self, token: &str, serial: u64) -> bool {
        let mut inner = self.lock();
        let own = inner.streams.get(token).is_some_and(|entry| entry.serial == serial);
        if own {
            inner.streams.remove(token);
        }
        own
    }

    /// Ends the stream of a process, if it is open.
    pub(super) fn end(&self, token: &str, start_unix_ms: u64, status: Status) {
        let mut inner = self.lock();
        if inner.streams.get(token).is_some_and(|entry| entry.start_unix_ms == start_unix_ms)
            && let Some(entry) = inner.streams.remove(token)
        {
            let _ = entry.end.send(status);
        }
    }

    /// Takes a proxy's counters.
    pub(super) fn count_up(&self, token: &str, stats: Stats) {
        self.lock().stats.insert(token.to_owned(), (unix_ms(), stats));
    }

    /// See [`Links::seen`](super::Links::seen).
    pub(super) fn seen(&self, token: &str) -> (bool, u64, Option<Stats>) {
        let inner = self.lock();
        let (unix_ms, stats) = inner.stats.get(token).cloned().unzip();
        (inner.streams.contains_key(token), unix_ms.unwrap_or(0), stats)
    }

    /// Open streams.
    pub(super) fn count(&self) -> usize {
        self.lock().streams.len()
    }

    /// The process that each open stream is of, by token.
    pub(super) fn processes(&self) -> BTreeMap<String, u64> {
        let entry = |(token, entry): (&String, &Entry)| (token.clone(), entry.start_unix_ms);
        self.lock().streams.iter().map(entry).collect()
    }

    /// Whether the proxy has a stream, or is about to.
    pub(super) fn expects(&self, token: &str) -> bool {
        let inner = self.lock();
        inner.streams.contains_key(token) || inner.arriving.contains_key(token)
    }

    /// Forgets the counters of proxies that are gone.
    pub(super) fn keep_stats(&self, known: impl Fn(&str) -> bool) {
        self.lock().stats.retain(|token, _| known(token));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing that is done with it can panic half-way.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a stream ends with when its proxy opens another one.
fn replaced(token: &str, same_process: bool) -> Status {
    if same_process {
        return Status::aborted("the proxy has opened another stream");
    }
    Status::failed_precondition(format!(
        "another process has registered as proxy {token}: a token belongs to one data directory, so one of the two must \
         be given its own"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_stream_of_a_token_ends_the_older_one() {
        let registry = Registry::default();
        let mut first = registry.enter("a", 1);
        let mut second = registry.enter("a", 1);
        let status = first.ended.try_recv().expect("it was told to end");
        assert_eq!(status.code(), tonic::Code::Aborted);
        assert!(!registry.leave("a", first.serial), "the place is the newer one's");
        assert_eq!(registry.count(), 1);
        let third = registry.enter("a", 2);
        let status = second.ended.try_recv().expect("it was told to end");
        assert_eq!(status.code(), tonic::Code::FailedPrecondition, "another process has its token");
        assert!(registry.leave("a", third.serial));
        assert_eq!(registry.count(), 0);
    }

    #[test]
    fn a_proxy_is_expected_while_it_registers() {
        let registry = Registry::default();
        let once = registry.arrive("a");
        let twice = registry.arrive("a");
        drop(once);
        assert!(registry.expects("a"));
        drop(twice);
        assert!(!registry.expects("a"));
        let _place = registry.enter("a", 1);
        assert!(registry.expects("a"));
    }

    #[test]
    fn only_the_process_that_is_meant_is_ended() {
        let registry = Registry::default();
        let mut place = registry.enter("a", 2);
        registry.end("a", 1, Status::aborted("old"));
        assert!(place.ended.try_recv().is_err());
        registry.end("a", 2, Status::aborted("now"));
        assert_eq!(
            place.ended.try_recv().map(|status| status.message().to_owned()),
            Ok("now".into())
        );
        assert!(!registry.expects("a"));
    }
}
