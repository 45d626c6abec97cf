//! A model Redis server: what it is, and the connections that others have to it.
//!
//! [`data`] are its keys, [`commands`] what runs on them, [`lua`] its scripts; [`wires`] is how bytes get to it and back,
//! [`serve`] how requests get from there to those, [`waits`] who waits for an element of a list or a stream, [`tracking`] who is told of what has changed, and [`migrate`] the one command that waits for another server, with everything that can happen
//! meanwhile.

pub(crate) mod commands;
pub(crate) mod data;
pub(crate) mod lua;
pub(crate) mod migrate;
mod replica;
pub(crate) mod reply;
pub(crate) mod serve;
mod streams;
pub(crate) mod tracking;
pub(crate) mod waits;
pub(crate) mod wires;

use data::{Data, Place};
use migrate::Blocked;
use reply::{Reply, Request};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tracking::{Tracked, Tracks};
use waits::Waiting;

/// One server. What its process holds in memory alone is in `run`.
pub(crate) struct Server {
    pub(crate) address: String,
    /// The group that it is the master of.
    pub(crate) group: u32,
    pub(crate) data: Data,
    pub(crate) run: Run,
    /// Counts its processes.
    pub(crate) runs: u64,
    /// Stopped in the middle of whatever it did.
    pub(crate) frozen: bool,
    /// Not there: connections are refused.
    pub(crate) down: bool,
    /// `maxmemory` is reached.
    pub(crate) full: bool,
    /// What it will begin with should it lose its data.
    pub(crate) snapshot: Option<Data>,
    /// What its replica has, where it has one.
    pub(crate) replica: Option<Data>,
}

/// A process of a server.
#[derive(Default)]
pub(crate) struct Run {
    /// Connections that the kernel has and the process does not know of yet.
    pub(crate) backlog: VecDeque<usize>,
    /// Those that it knows, by their numbers.
    pub(crate) accepted: BTreeMap<i64, usize>,
    pub(crate) last_id: i64,
    /// The scripts that it can be asked for by their SHA1.
    pub(crate) scripts: BTreeSet<Vec<u8>>,
    /// The MIGRATE under way, which holds up everything else.
    pub(crate) blocked: Option<Blocked>,
    /// Connections to other servers that are kept, with the database selected there.
    pub(crate) links: BTreeMap<String, (usize, u32)>,
    /// A turn of it is due.
    pub(crate) scheduled: bool,
    pub(crate) tracked: Tracked,
}

impl Server {
    pub(crate) fn new(address: &str, group: u32) -> Self {
        Self {
            address: address.into(),
            group,
            data: Data::default(),
            run: Run::default(),
            runs: 0,
            frozen: false,
            down: false,
            full: false,
            snapshot: None,
            replica: None,
        }
    }

    pub(crate) fn run_id(&self) -> String {
        format!("{:032x}{:08x}", u64::from(self.group), self.runs)
    }
}

/// Who has the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Near {
    /// A shard of a proxy, by the place of its engine; of one process of it.
    Backend { node: usize, life: u64, backend: u32 },
    /// A leader, by the number of its connection.
    Leader { call: u64 },
    /// A server, for its MIGRATEs.
    Server { server: usize, run: u64 },
}

/// A connection to a server, with what both ends know of it.
pub(crate) struct Wire {
    pub(crate) server: usize,
    pub(crate) near: Near,
    /// The server's kernel has it.
    pub(crate) connected: bool,
    /// On the way to the server.
    pub(crate) flying: Vec<u8>,
    /// Nothing follows what is on the way.
    pub(crate) ended: bool,
    /// Arrived at the server and not read yet.
    pub(crate) input: Vec<u8>,
    /// On the way back.
    pub(crate) back: Vec<u8>,
    /// The server's end is gone.
    pub(crate) killed: bool,
    /// The near end is gone, or knows that the server's is.
    pub(crate) over: bool,
    /// What is on the way, either way, stays there until then: packets are lost and sent again.
    pub(crate) stalled_us: u64,
    pub(crate) arriving: bool,
    pub(crate) returning: bool,
    pub(crate) client: Client,
}

/// What a server remembers of a connection.
#[derive(Default)]
pub(crate) struct Client {
    /// 0 until it is accepted.
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) database: u32,
    pub(crate) command: String,
    pub(crate) transaction: Option<Vec<Request>>,
    pub(crate) watched: Vec<(Place, u64)>,
    /// Replies to what should have been queued.
    pub(crate) ran: Vec<Reply>,
    /// A WAIT of it is not over.
    pub(crate) waits: bool,
    /// A command of it that blocks.
    pub(crate) waiting: Option<Waiting>,
    pub(crate) resp3: bool,
    pub(crate) tracks: Option<Tracks>,
    /// It is told these behind the answer to its present command.
    pub(crate) pushes: Vec<Vec<u8>>,
}

impl Wire {
    pub(crate) fn new(server: usize, near: Near) -> Self {
        Self {
            server,
            near,
            connected: false,
            flying: Vec::new(),
            ended: false,
            input: Vec::new(),
            back: Vec::new(),
            killed: false,
            over: false,
            stalled_us: 0,
            arriving: false,
            returning: false,
            client: Client::default(),
        }
    }
}
