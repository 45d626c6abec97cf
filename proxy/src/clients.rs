//! What is known of one client connection, as `CLIENT LIST` and `CLIENT INFO` show it.

use crate::messages::KillFilter;
use crate::resp::Protocol;
use std::fmt::Write;
use std::net::SocketAddr;

/// The reason in `ShardStats::sessions_cut` under which a shard counts clients that came when
/// `proxy_max_clients` were there already.
pub const CUT_MAX_CLIENTS: &str = "max_clients";

/// What stands for the address of an end that has none: a unix socket's.
const UNIX_ADDR: &str = "unix:0";

/// One client connection at one moment.
#[derive(Debug, Clone, Default)]
pub struct ClientInfo {
    /// Unique in the process, rising with each accepted connection.
    pub id: u64,
    /// The client's address; `None` over a unix socket.
    pub addr: Option<SocketAddr>,
    /// The proxy's own end of the connection; `None` over a unix socket.
    pub laddr: Option<SocketAddr>,
    /// The shard that owns the connection.
    pub shard: usize,
    /// Its descriptor.
    pub fd: i32,
    /// As set by CLIENT SETNAME.
    pub name: String,
    /// As set by CLIENT SETINFO LIB-NAME.
    pub lib_name: String,
    /// As set by CLIENT SETINFO LIB-VER.
    pub lib_ver: String,
    /// Seconds since it connected.
    pub age_s: u64,
    /// Seconds since its last bytes came.
    pub idle_s: u64,
    /// The selected database.
    pub db: u32,
    /// The protocol of its replies.
    pub protocol: Protocol,
    /// Bytes read but not yet run.
    pub query_bytes: usize,
    /// Bytes of replies not yet sent.
    pub output_bytes: usize,
    /// Requests without a reply yet.
    pub in_flight: usize,
    /// The last command, as Redis names it (`client|list`).
    pub command: &'static str,
    /// Its user.
    pub user: String,
    /// How many channels, patterns and shard channels it is subscribed to.
    pub subscriptions: [usize; 3],
    /// Whether CLIENT NO-EVICT is on.
    pub no_evict: bool,
    /// Whether CLIENT NO-TOUCH is on.
    pub no_touch: bool,
    /// Whether it monitors.
    pub monitors: bool,
    /// Whether CLIENT TRACKING is on...
    pub tracking: bool,
    /// ...with BCAST.
    pub tracking_bcast: bool,
    /// Whether it blocks, until a server has something for it.
    pub blocked: bool,
    /// How many requests are queued since MULTI; `None` outside of a transaction.
    pub queued: Option<usize>,
}

/// One entry of the slow log.
#[derive(Debug, Clone)]
pub struct SlowEntry {
    /// Unique in its shard, rising.
    pub id: u64,
    /// When the request came, in seconds since 1970.
    pub unix_time_s: u64,
    /// How long it took, in microseconds.
    pub duration_us: u64,
    /// The request, cut as Redis cuts it: at most 32 arguments of at most 128 bytes.
    pub args: Vec<Vec<u8>>,
    /// The client's address.
    pub addr: String,
    /// The client's name.
    pub name: String,
    /// The backend that answered; empty when the proxy did.
    pub backend: String,
}

/// How `CLIENT LIST` and `CLIENT INFO` write an end of a connection, and what `CLIENT KILL` compares.
#[must_use]
pub fn address(end: Option<SocketAddr>) -> String {
    end.map_or_else(|| UNIX_ADDR.to_owned(), |end| end.to_string())
}

/// The client as one line of `CLIENT LIST`, without the end of line.
///
/// Fields and order are those of Redis 7.0, then `lib-name` and `lib-ver` of 7.2, then our own: `shard`
/// and `in-flight` (requests without a reply yet).
#[must_use]
pub fn line(client: &ClientInfo) -> String {
    let ClientInfo { id, fd, name, age_s, idle_s, db, query_bytes, output_bytes, .. } = client;
    let memory = query_bytes + output_bytes;
    let [sub, psub, ssub] = client.subscriptions;
    let mut line = String::with_capacity(320);
    // Writing to a String cannot fail.
    let _ = write!(
        line,
        "id={id} addr={} laddr={} fd={fd} name={name} age={age_s} idle={idle_s} flags={} db={db} \
         sub={sub} psub={psub} ssub={ssub} multi={} qbuf={query_bytes} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 \
         obl={output_bytes} oll=0 omem={output_bytes} tot-mem={memory} events=r cmd={} user={} \
         redir={} resp={} lib-name={} lib-ver={} shard={} in-flight={}",
        address(client.addr),
        address(client.laddr),
        flags(client),
        client.queued.map_or(-1, |queued| queued as i64),
        client.command,
        client.user,
        if client.tracking { 0 } else { -1 },
        client.protocol.version(),
        client.lib_name,
        client.lib_ver,
        client.shard,
        client.in_flight,
    );
    line
}

/// Redis's letters for a client: `O` monitors, `P` subscribed, `x` in a transaction, `b` blocked, `t` tracking keys,
/// `B` all of a prefix, `U` unix socket, `e` not to be evicted, `T` no uses of keys, `N` none of these.
fn flags(client: &ClientInfo) -> String {
    let letters = [
        ('O', client.monitors),
        ('P', client.is_subscribed()),
        ('x', client.queued.is_some()),
        ('b', client.blocked),
        ('t', client.tracking),
        ('B', client.tracking_bcast),
        ('U', client.addr.is_none()),
        ('e', client.no_evict),
        ('T', client.no_touch),
    ];
    let set: String = letters.iter().filter(|(_, set)| *set).map(|(letter, _)| *letter).collect();
    if set.is_empty() { "N".into() } else { set }
}

impl ClientInfo {
    /// Whether it is subscribed to anything: of type `pubsub`, then, and not of type `normal`.
    #[must_use]
    pub fn is_subscribed(&self) -> bool {
        self.subscriptions != [0; 3]
    }
}

impl KillFilter {
    /// Whether the filter means `client`.
    #[must_use]
    pub fn matches(&self, client: &ClientInfo) -> bool {
        !self.none
            && self.id.is_none_or(|id| id == client.id)
            && self.not.is_none_or(|not| not != client.id)
            && self.user.as_ref().is_none_or(|user| *user == client.user)
            && self.subscribed.is_none_or(|subscribed| subscribed == client.is_subscribed())
            && self.max_age_s.is_none_or(|least| client.age_s >= least)
            && self.addr.as_ref().is_none_or(|addr| *addr == address(client.addr))
            && self.laddr.as_ref().is_none_or(|laddr| *laddr == address(client.laddr))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> ClientInfo {
        ClientInfo {
            id: 7,
            addr: Some("127.0.0.1:52972".parse().expect("an address")),
            laddr: Some("127.0.0.1:19000".parse().expect("an address")),
            shard: 1,
            fd: 8,
            name: "worker".into(),
            user: "default".into(),
            age_s: 30,
            idle_s: 2,
            db: 3,
            query_bytes: 26,
            output_bytes: 5,
            in_flight: 1,
            command: "client|list",
            ..ClientInfo::default()
        }
    }

    #[test]
    fn a_line_has_the_fields_of_redis_in_their_order() {
        assert_eq!(
            line(&client()),
            "id=7 addr=127.0.0.1:52972 laddr=127.0.0.1:19000 fd=8 name=worker age=30 idle=2 flags=N db=3 \
             sub=0 psub=0 ssub=0 multi=-1 qbuf=26 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=5 oll=0 \
             omem=5 tot-mem=31 events=r cmd=client|list user=default redir=-1 resp=2 lib-name= lib-ver= \
             shard=1 in-flight=1"
        );
    }

    #[test]
    fn a_client_over_a_unix_socket_has_an_address_and_a_flag_that_say_so() {
        let line = line(&ClientInfo { addr: None, laddr: None, no_evict: true, ..client() });
        assert!(line.contains(" addr=unix:0 laddr=unix:0 "), "{line}");
        assert!(line.contains(" flags=Ue "), "{line}");
    }

    #[test]
    fn a_client_that_is_subscribed_is_shown_with_its_numbers() {
        let line = line(&ClientInfo { subscriptions: [2, 1, 3], ..client() });
        assert!(line.contains(" flags=P db=3 sub=2 psub=1 ssub=3 multi=-1 "), "{line}");
    }

    #[test]
    fn a_filter_means_a_client_only_when_each_of_its_conditions_holds() {
        let client = client();
        let all = KillFilter {
            id: Some(7),
            addr: Some("127.0.0.1:52972".into()),
            laddr: Some("127.0.0.1:19000".into()),
            not: Some(8),
            max_age_s: Some(30),
            user: Some("default".into()),
            subscribed: Some(false),
            none: false,
        };
        assert!(KillFilter::default().matches(&client));
        assert!(all.matches(&client));
        let broken = [
            KillFilter { id: Some(6), ..all.clone() },
            KillFilter { addr: Some("127.0.0.1:1".into()), ..all.clone() },
            KillFilter { laddr: Some("127.0.0.1:1".into()), ..all.clone() },
            KillFilter { not: Some(7), ..all.clone() },
            KillFilter { max_age_s: Some(31), ..all.clone() },
            KillFilter { subscribed: Some(true), ..all.clone() },
            KillFilter { none: true, ..all },
        ];
        for filter in broken {
            assert!(!filter.matches(&client), "{filter:?}");
        }
    }
}
