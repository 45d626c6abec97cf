//! How members reach each other.
//!
//! [`Peers`] is the handle: who is reached where, a connection to each for Raft's messages, and channels for calls that
//! are passed on. `link` is one such connection with its queue and its retries, `dial` says how any connection is made,
//! `service` is the receiving side.
//!
//! Nothing here waits for a peer on anybody's behalf: a message that cannot go now is dropped, which Raft
//! expects of any network. Nothing here knows what a message says, beyond from whom to whom it goes.

mod dial;
mod link;
mod service;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tonic::transport::Channel;

use crate::auth::Token;
use crate::node::{Membership, Outbox};
use crate::raft::Envelope;

pub use dial::{Dialer, reasons, with_tls_hint};
pub use service::{Hall, MemberService};

/// Bytes of the longest message that members and operators send each other: an image's chunk, a command, a backup.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Members that said where they are and are in no list of this one's, at most.
const MET_MAX: usize = 64;

/// Who a member says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// Its id.
    pub id: u64,
    /// The group it belongs to.
    pub group: u64,
    /// Where the others reach it; empty where it cannot tell.
    pub address: String,
}

/// The members as this one reaches them. Cheap to clone.
#[derive(Clone)]
pub struct Peers {
    shared: Arc<Shared>,
}

struct Shared {
    me: Me,
    dialer: Dialer,
    runtime: Handle,
    book: Mutex<Book>,
}

/// Who is where.
#[derive(Default)]
struct Book {
    /// As the group has it.
    members: BTreeMap<u64, String>,
    /// As the members said themselves whose streams are open, with a number for each stream: one that joins knows no
    /// list of the group yet, and one that was away for long may know an old one.
    met: BTreeMap<u64, (u64, String)>,
    /// As this member's configuration has it.
    configured: BTreeMap<u64, String>,
    meetings: u64,
    links: BTreeMap<u64, link::Link>,
    channels: BTreeMap<String, Channel>,
}

/// A member's own word of where it is, which counts while its stream is open.
pub(crate) struct Met {
    shared: Arc<Shared>,
    id: u64,
    meeting: u64,
}

impl Book {
    fn address_of(&self, id: u64) -> Option<&String> {
        let met = || self.met.get(&id).map(|(_, address)| address);
        self.members.get(&id).or_else(met).or_else(|| self.configured.get(&id))
    }

    /// Ends what leads to where nobody is expected any more.
    fn tidy(&mut self) {
        let mut links = std::mem::take(&mut self.links);
        links.retain(|id, link| self.address_of(*id) == Some(&link.address));
        self.links = links;
        let mut channels = std::mem::take(&mut self.channels);
        let met = self.met.values().map(|(_, address)| address);
        let known: Vec<&String> =
            self.members.values().chain(met).chain(self.configured.values()).collect();
        channels.retain(|address, _| known.contains(&address));
        self.channels = channels;
    }
}

impl Peers {
    /// The members, of which only the configuration has told so far. Connections run on `runtime`.
    #[must_use]
    pub fn new(me: Me, dialer: Dialer, configured: BTreeMap<u64, String>, runtime: Handle) -> Self {
        let book = Mutex::new(Book { configured, ..Book::default() });
        Self { shared: Arc::new(Shared { me, dialer, runtime, book }) }
    }

    /// Who this member is.
    #[must_use]
    pub fn me(&self) -> &Me {
        &self.shared.me
    }

    /// The token that calls to other members carry.
    #[must_use]
    pub fn token(&self) -> &Token {
        self.shared.dialer.token()
    }

    /// Where a member is reached.
    #[must_use]
    pub fn address_of(&self, id: u64) -> Option<String> {
        self.book().address_of(id).cloned()
    }

    /// A channel to a member, made when it is first used and kept. Calls on it must carry the token.
    #[must_use]
    pub fn channel_of(&self, id: u64) -> Option<Channel> {
        let mut book = self.book();
        let address = book.address_of(id)?.clone();
        if let Some(channel) = book.channels.get(&address) {
            return Some(channel.clone());
        }
        // A channel connects by tasks of its own.
        let _runtime = self.shared.runtime.enter();
        match self.shared.dialer.endpoint(&address) {
            Ok(endpoint) => {
                let channel = endpoint.connect_lazy();
                book.channels.insert(address, channel.clone());
                Some(channel)
            }
            Err(error) => {
                tracing::warn!("member {id} cannot be reached at {address}: {}", reasons(&error));
                None
            }
        }
    }

    /// Where a running member puts its messages.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        let peers = self.clone();
        Box::new(move |envelope| peers.send(&envelope))
    }

    /// Keeps to the group's own list of members from now on, until the member ends.
    pub fn follow(&self, mut members: watch::Receiver<Arc<Membership>>) {
        let peers = self.clone();
        self.shared.runtime.spawn(async move {
            loop {
                let addresses = members.borrow_and_update().addresses.clone();
                {
                    let mut book = peers.book();
                    book.members = addresses;
                    book.tidy();
                }
                if members.changed().await.is_err() {
                    return peers.close();
                }
            }
        });
    }

    /// Ends all connections.
    pub fn close(&self) {
        *self.book() = Book::default();
    }

    fn send(&self, envelope: &Envelope) {
        let mut book = self.book();
        let to = envelope.to;
        if !book.links.contains_key(&to) {
            // A member whose address is not known yet will be told again.
            let Some(address) = book.address_of(to).cloned() else { return };
            let link = link::Link::start(
                &self.shared.me,
                to,
                address,
                self.shared.dialer.clone(),
                &self.shared.runtime,
            );
            book.links.insert(to, link);
        }
        if let Some(link) = book.links.get(&to) {
            link.send(envelope.encode().into());
        }
    }

    /// Takes a member's word for where it is, for as long as the result lives.
    pub(crate) fn meet(&self, id: u64, address: String) -> Option<Met> {
        let mut book = self.book();
        if book.met.len() >= MET_MAX && !book.met.contains_key(&id) {
            return None;
        }
        book.meetings += 1;
        let meeting = book.meetings;
        book.met.insert(id, (meeting, address));
        Some(Met { shared: self.shared.clone(), id, meeting })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.shared.book)
    }
}

/// Nothing that holds this lock can leave the book half-changed.
fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Met {
    fn drop(&mut self) {
        let mut book = lock(&self.shared.book);
        if book.met.get(&self.id).is_some_and(|(meeting, _)| *meeting == self.meeting) {
            book.met.remove(&self.id);
            book.tidy();
        }
    }
}
