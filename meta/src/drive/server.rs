//! A Redis server as the driver sees it: what can be asked of it and done to it, and how that fails.
//!
//! [`Servers`] stands in front of the sockets so that the driving can be tested with a model of servers that
//! freeze and die.

use std::future::Future;

use codis_proto::admin::v1::ServerFacts;

/// The numbers under the reserved keys of a server. Neither ever goes back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// No proxy with an older topology uses the server; 0 for none.
    pub fence: u64,
    /// No promotion or sync that is older touches the server; 0 for none.
    pub order: u64,
}

/// A server at one moment.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// What its INFO says.
    pub facts: ServerFacts,
    /// `None` where it answers INFO alone: it loads its data, or is a sentinel.
    pub marks: Option<Marks>,
    /// How many reserved keys of moves it holds.
    pub keys_of_moves: u64,
    /// It has the commands by which Codis's own servers move keys.
    pub codis: bool,
}

impl Seen {
    /// A field of INFO; empty where there is none.
    pub(super) fn info(&self, name: &str) -> &str {
        self.facts.info.get(name).map_or("", String::as_str)
    }

    /// Whether it takes writes of clients.
    pub(super) fn is_master(&self) -> bool {
        self.facts.role == "master"
    }

    /// Whether it has a link to `master`, straight or over another replica: replication ids are drawn at random, and
    /// a replica takes over that of its master. Addresses are not compared, as one server may go by several.
    pub(super) fn is_linked_to(&self, master: &Seen) -> bool {
        if self.is_master() || !self.facts.master_link_up {
            return false;
        }
        let id = self.info("master_replid");
        if id.is_empty() {
            return self.is_listed_by(master);
        }
        // Before Redis 4.0 a master gives its run id in that place.
        let of = match master.info("master_replid") {
            "" => master.info("run_id"),
            of => of,
        };
        id == of
    }

    /// Whether it follows a server of the master's port, and the master has a replica of its port: all that is told
    /// before Redis 4.0.
    fn is_listed_by(&self, master: &Seen) -> bool {
        let own = format!("port={}", self.info("tcp_port"));
        let is_it = |(name, value): (&String, &String)| {
            let mut parts = value.split(',');
            name.starts_with("slave") && parts.any(|part| part == own) && value.contains("online")
        };
        let follows = self.info("master_port");
        !follows.is_empty()
            && follows == master.info("tcp_port")
            && master.facts.info.iter().any(is_it)
    }

    /// The order under its reserved key; 0 where that is not known.
    pub(super) fn order(&self) -> u64 {
        self.marks.unwrap_or_default().order
    }

    /// How many keys of clients it has, in all databases. Copies of big keys that are being made count as such.
    pub(super) fn keys_of_clients(&self) -> u64 {
        let Marks { fence, order } = self.marks.unwrap_or_default();
        let own = u64::from(fence > 0) + u64::from(order > 0) + self.keys_of_moves;
        self.facts.keys.saturating_sub(own)
    }
}

/// What the order on a server must be for a command to run there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// This very order: the server has the data that the order came with.
    Exactly(u64),
    /// This order, an older one or none.
    AtMost(u64),
}

impl Guard {
    /// Whether `held`, the order on the server, lets the command run.
    pub(super) fn admits(self, held: u64) -> bool {
        match self {
            Guard::Exactly(order) => held == order,
            Guard::AtMost(order) => held <= order,
        }
    }
}

/// Something could not be done at a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// Nothing came back, and it is not known whether it ran.
    #[error("{address} does not answer ({why})")]
    Silent {
        /// Which server.
        address: String,
        /// What the socket or the clock says.
        why: String,
    },
    /// The server said no.
    #[error("{address} answered {what} with an error: {why}")]
    Refused {
        /// Which server.
        address: String,
        /// The command.
        what: &'static str,
        /// The server's words.
        why: String,
    },
    /// A newer promotion or sync, or none that is this one, has marked the server.
    #[error("{address} holds order {held} under its reserved key, this change is of order {order}")]
    Outranked {
        /// Which server.
        address: String,
        /// What it holds.
        held: u64,
        /// What was wanted.
        order: u64,
    },
}

/// The Redis servers of the product, by their addresses.
///
/// Each call ends within about a second. Dropping a call does not mean that nothing of it runs: what the
/// server has received, it may do later.
pub trait Servers: Send + Sync + 'static {
    /// Looks at a server.
    fn look(&self, address: &str) -> impl Future<Output = Result<Seen, ServerError>> + Send;

    /// Raises the numbers under a master's reserved keys to at least `marks`; answers what it holds then.
    fn raise(
        &self,
        address: &str,
        marks: Marks,
    ) -> impl Future<Output = Result<Marks, ServerError>> + Send;

    /// Makes a server follow `master`, or no one, if the order on it is as `guard` wants it until the last moment.
    fn follow(
        &self,
        address: &str,
        master: Option<&str>,
        guard: Guard,
    ) -> impl Future<Output = Result<(), ServerError>> + Send;

    /// Kills connections of the proxies `tokens` that were made by a topology older than `epoch`; answers how many.
    fn kill_older(
        &self,
        address: &str,
        tokens: &[String],
        epoch: u64,
    ) -> impl Future<Output = Result<usize, ServerError>> + Send;

    /// Shuts the moves of leaders before `term` out of a master: what they have sent has run or never will.
    fn keep_movers_off(
        &self,
        address: &str,
        term: u64,
    ) -> impl Future<Output = Result<(), ServerError>> + Send;

    /// How many databases a server has; `None` where it does not tell.
    fn databases(
        &self,
        address: &str,
    ) -> impl Future<Output = Result<Option<u32>, ServerError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::info::parse;

    fn seen(info: &str) -> Seen {
        Seen { facts: parse(&info.replace(' ', "\r\n")), ..Seen::default() }
    }

    #[test]
    fn a_link_is_told_by_the_replication_id_and_where_there_is_none_by_what_both_say() {
        let new = seen("role:master tcp_port:1 run_id:a master_replid:b");
        let old = seen(
            "role:master tcp_port:1 run_id:a slave0:ip=10.0.0.2,port=2,state=online,offset=1,lag=0",
        );
        let replica = |ids: &str, port: &str| {
            seen(&format!("role:slave tcp_port:{port} master_port:1 master_link_status:up {ids}"))
        };
        for (of, ids, port, linked) in [
            (&new, "master_replid:b", "2", true),
            (&new, "master_replid:a", "2", false),
            (&old, "master_replid:a", "2", true),
            (&old, "master_replid:b", "2", false),
            (&old, "", "2", true),
            (&old, "", "3", false),
            (&new, "", "2", false),
        ] {
            assert_eq!(replica(ids, port).is_linked_to(of), linked, "{ids:?} {port}");
        }
        let down = seen("role:slave tcp_port:2 master_port:1 master_link_status:down");
        assert!(!down.is_linked_to(&old) && !old.is_linked_to(&old));
    }
}
