//! What clients did and saw, in order of time.

use std::fmt;
use std::time::Instant;

/// The time of an answer that did not come.
pub const UNKNOWN: u64 = u64::MAX;

/// What absence is as a value.
pub const ABSENT: u64 = 0;

/// What an object is, and so what may be done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A string that is set, read and deleted.
    Register,
    /// A string that is only incremented and read.
    Counter,
    /// A list that only grows at its end.
    List,
    /// A set, each member of which comes and goes.
    Set,
    /// A hash, each field of which is set, read and deleted.
    Hash,
    /// A stream that only grows.
    Stream,
}

/// All kinds.
pub const KINDS: [Kind; 6] =
    [Kind::Register, Kind::Counter, Kind::List, Kind::Set, Kind::Hash, Kind::Stream];

impl Kind {
    /// Its name in keys and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Counter => "counter",
            Self::List => "list",
            Self::Set => "set",
            Self::Hash => "hash",
            Self::Stream => "stream",
        }
    }
}

/// A key: some clients use it for a while, and then the next generation of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// Which clients use it.
    pub crew: u16,
    /// Which of the crew's objects of this kind.
    pub number: u16,
    /// How many keys were in its place before.
    pub generation: u32,
}

impl Object {
    /// Its key; `run` parts the keys of runs.
    #[must_use]
    pub fn key(&self, run: &str) -> String {
        let Self { kind, crew, number, generation } = self;
        format!("check:{run}:{}:{crew}:{number}:{generation}", kind.name())
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, crew, number, generation } = self;
        write!(f, "{} {crew}:{number}:{generation}", kind.name())
    }
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// Puts a value, which is another each time (but for members of sets, which are there or not).
    Write(u64),
    /// Takes the value away.
    Delete,
    /// Sees a value, or [`ABSENT`].
    Read(u64),
    /// Adds 1, and sees the sum.
    Increment(u64),
    /// Adds a value at the end, and sees a place: the length of the list, or the entry's number.
    Append(u64, u64),
}

/// One operation on one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// On what.
    pub object: Object,
    /// Which field or member; 0 where there is none.
    pub field: u32,
    /// Who did it.
    pub client: u16,
    /// What, and what was seen by it. What an operation without an answer saw means nothing.
    pub what: What,
    /// When it was sent, in nanoseconds.
    pub called: u64,
    /// When its answer was there, or [`UNKNOWN`].
    pub answered: u64,
}

impl Operation {
    /// Whether its answer came.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.answered != UNKNOWN
    }
}

/// What a list or a stream holds at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// What it is of.
    pub object: Object,
    /// Values in their order, each with its place: its index from 1, or its entry's number.
    pub entries: Vec<(u64, u64)>,
}

/// An answer that cannot be the request's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Who got it.
    pub client: u16,
    /// When, in nanoseconds.
    pub at: u64,
    /// The requests of the connection that were sent together, each with its answer.
    pub exchanges: Vec<(String, String)>,
    /// Which of them does not fit.
    pub culprit: usize,
}

/// Everything that was recorded.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// What was done.
    pub operations: Vec<Operation>,
    /// What is there at the end.
    pub endings: Vec<Ending>,
    /// Answers of another kind than their requests'.
    pub misfits: Vec<Misfit>,
    /// Requests that were answered by an error.
    pub errors: u64,
    /// Connections that were lost or given up.
    pub lost_connections: u64,
}

impl History {
    /// Takes in what another client recorded.
    pub fn add(&mut self, other: Self) {
        self.operations.extend(other.operations);
        self.endings.extend(other.endings);
        self.misfits.extend(other.misfits);
        self.errors += other.errors;
        self.lost_connections += other.lost_connections;
    }
}

/// The time that all clients share.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// Begins now.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since the beginning.
    #[must_use]
    pub fn now(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(UNKNOWN - 1)
    }
}
