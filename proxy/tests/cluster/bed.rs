//! A group of members, groups of Redis servers, proxies, and an operator.

use codis_proxy::slots::slot;
use codis_testbed::{
    Admin, Client, MemberGroup, MemberOptions, Proxy, ProxyOptions, Redis, RedisOptions, Traffic,
    beside, cores, eventually,
};
use serde_json::Value as Json;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

pub const PROXY: &str = env!("CARGO_BIN_EXE_codis-proxy");

/// Half of the slots is on group 1, half on group 2.
pub const HALVES: [RangeInclusive<u32>; 2] = [0..=511, 512..=1023];

/// The first slot that [`Bed::traffic`] leaves alone: its clients would notice that a slot is taken offline.
pub const IDLE: u32 = 1000;

/// The program of a member.
pub fn meta() -> PathBuf {
    beside(Path::new(PROXY), "codis-meta")
}

/// An operator of the group of these members.
pub fn operator(members: &[String]) -> Admin {
    Admin::new(&beside(Path::new(PROXY), "codis-admin"), members)
}

/// Everything together. Ends when dropped.
pub struct Bed {
    pub proxies: Vec<Proxy>,
    pub group: MemberGroup,
    pub admin: Admin,
    /// Two groups of two servers each: the master, and a server that is its replica after [`Bed::sync`].
    pub servers: [[Redis; 2]; 2],
}

impl Bed {
    /// `members` members, two groups with all slots, two proxies.
    pub fn start(members: usize) -> Self {
        Self::start_with(MemberOptions::founders(&meta(), members), "")
    }

    /// The same where everybody has this password.
    pub fn start_with_password(members: usize, password: &'static str) -> Self {
        let founders = MemberOptions::founders(&meta(), members).into_iter();
        let auth = format!("product_auth = \"{password}\"");
        Self::start_with(founders.map(|options| options.set(&auth)).collect(), password)
    }

    fn start_with(founders: Vec<MemberOptions>, password: &'static str) -> Self {
        // A member that is alone names nobody.
        let founders = match founders.len() {
            1 => founders.into_iter().map(|o| MemberOptions { members: vec![], ..o }).collect(),
            _ => founders,
        };
        let group = MemberGroup::start(founders);
        let mut admin = operator(&group.addresses());
        if !password.is_empty() {
            admin = admin.with_auth(password);
        }
        // On a machine that is busy with other tests a proxy may be late, and would be shut out; see `impatient`.
        admin.run("config set barrier_deadline 1m");
        let redis = || Redis::start_with(RedisOptions { password, ..RedisOptions::default() });
        let servers = [[redis(), redis()], [redis(), redis()]];
        for (gid, [master, _]) in (1..).zip(&servers) {
            admin.run(&format!("group create --gid {gid}"));
            admin.run(&format!("group add --gid {gid} --addr {}", master.address()));
        }
        for (gid, half) in (1..).zip(HALVES) {
            let (beg, end) = half.into_inner();
            admin.run(&format!("slots assign --beg {beg} --end {end} --gid {gid}"));
        }
        let mut bed = Self { proxies: Vec::new(), group, admin, servers };
        let mut options = bed.proxy_options();
        if !password.is_empty() {
            options = options.set(&format!("product_auth = \"{password}\""));
        }
        bed.proxies = (0..2).map(|_| Proxy::start(&options)).collect();
        // They take connections before they have registered.
        eventually("both proxies follow the group", || {
            let list = bed.admin.run("proxy list");
            bed.proxies.iter().all(|proxy| list.contains(&proxy.address()))
        });
        bed
    }

    /// Has a proxy that does not answer shut out as early as by default: its clients are told errors then, and the tests
    /// that want none must not depend on how fast this machine is.
    pub fn impatient(&self) {
        self.admin.run("config set barrier_deadline 2s");
    }

    /// A proxy with two shards that follows the group.
    pub fn proxy_options(&self) -> ProxyOptions {
        ProxyOptions::following(Path::new(PROXY), &self.group.addresses()).shards(cores().min(2))
    }

    /// Adds each group's second server and makes it a replica.
    pub fn sync(&self) {
        for (gid, [_, replica]) in (1..).zip(&self.servers) {
            let address = replica.address();
            self.admin.run(&format!("group add --gid {gid} --addr {address}"));
            self.admin.run(&format!("group sync --addr {address} --confirm"));
        }
    }

    /// A client of each proxy on each of its shards: a proxy deals connections out evenly.
    pub fn clients(&self) -> Vec<Client> {
        let several = |proxy: &Proxy| (0..4).map(|_| proxy.client()).collect::<Vec<_>>();
        self.proxies.iter().flat_map(several).collect()
    }

    /// Clients that work all the time, through every proxy, in the slots below [`IDLE`].
    pub fn traffic(&self) -> Traffic {
        let clients = self.clients().into_iter().enumerate();
        let keys = |number: usize| {
            let keys = (0..).map(|n| format!("traffic:{number}:{n}"));
            keys.filter(|key| u32::from(slot(key.as_bytes())) < IDLE).take(50).collect()
        };
        Traffic::start(clients.map(|(number, client)| (client, keys(number))).collect())
    }
}

/// A key of this slot.
pub fn key_of(wanted: u32) -> String {
    let is_of = |key: &String| u32::from(slot(key.as_bytes())) == wanted;
    let found = (0..).map(|n| format!("of:{n}")).find(is_of);
    found.expect("the numbers do not end before a key is found")
}

/// A field of INFO of a server.
pub fn info(redis: &Redis, field: &str) -> String {
    let text = redis.client().run("INFO replication").text();
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.unwrap_or_default().trim().to_owned()
}

/// What a command of the operator prints for scripts.
pub fn json(admin: &Admin, line: &str) -> Json {
    let printed = admin.run(&format!("{line} --json"));
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{line}: {error} in {printed}"))
}

/// Whether there is a group with this number.
pub fn has_group(admin: &Admin, gid: u64) -> bool {
    let list = json(admin, "group list");
    let groups = list["groups"].as_array().unwrap_or_else(|| panic!("no groups in {list}"));
    groups.iter().any(|group| group["gid"] == gid)
}
