//! One round of faults, and the checks after it.

use crate::calls;
use crate::journal::{Extent, Journal, look};
use crate::nemesis::{Fault, Nemesis};
use crate::operators::{self, Books, RANGES, Truth};
use crate::world::World;
use codis_proxy::slots::slot;
use codis_testbed::{Client, Proxy, Told, Traffic, eventually};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Slots below have traffic; operators change those above.
const SLOTS_WITH_TRAFFIC: u16 = 900;

/// Clients of each proxy, and the keys of each client.
const CLIENTS: usize = 2;
const KEYS: usize = 100;

/// What a round was.
pub struct Report {
    faults: BTreeMap<Fault, u32>,
    extent: Extent,
    operations: usize,
    promotions: u32,
    told: Told,
}

impl Report {
    /// A round in which nothing happened would show nothing.
    fn check(&self) {
        let Self { extent, operations, told, .. } = self;
        let little = extent.acknowledged < 10 || extent.commands < 10 || extent.epochs < 3;
        assert!(!little && *operations > 10 && told.done > 100, "too little was done: {self}");
    }
}

/// Runs one round.
///
/// # Panics
/// When anything that must hold does not.
pub fn run(world: &mut World, rng: &mut fastrand::Rng, number: u32, length: Duration) -> Report {
    let addresses = world.addresses();
    let journal = Arc::new(Journal::default());
    let books = Books::new(Arc::clone(&journal));
    let inside = world.runtime.enter();
    let watchers = journal.follow(&addresses);
    let promotes = number.is_multiple_of(2);
    let operators =
        tokio::spawn(operators::run(Arc::clone(&books), addresses.clone(), rng.fork(), promotes));
    drop(inside);
    let traffic = traffic(&world.proxies, number, promotes);

    let mut nemesis = Nemesis::new(&mut world.machines, rng.fork());
    nemesis.run(length);
    let faults = std::mem::take(&mut nemesis.dealt);

    books.stop();
    let truth = world.runtime.block_on(operators).expect("no operator failed");
    let told = traffic.stop();
    members_agree(world, &addresses);
    proxies_follow(&world.proxies, &truth);
    for watcher in watchers {
        watcher.abort();
    }
    for machine in &mut world.machines {
        let ended = machine.member.process_mut().ended();
        assert!(ended.is_none(), "a member ended by itself ({ended:?})");
    }
    let report = Report {
        faults,
        extent: journal.check(),
        operations: books.check(),
        promotions: truth.promotions,
        told,
    };
    report.check();
    report
}

/// Clients of every proxy, with keys in the slots that no operator changes.
fn traffic(proxies: &[Proxy], round: u32, may_fail: bool) -> Traffic {
    let mut clients = Vec::new();
    for (number, proxy) in proxies.iter().enumerate() {
        for client in 0..CLIENTS {
            let keys = (0..).map(|n| format!("key:{round}:{number}:{client}:{n}"));
            let keys = keys.filter(|key| slot(key.as_bytes()) < SLOTS_WITH_TRAFFIC);
            clients.push((proxy.client(), keys.take(KEYS).collect()));
        }
    }
    if may_fail { Traffic::start_that_may_fail(clients) } else { Traffic::start(clients) }
}

/// Every member comes to the same topology.
fn members_agree(world: &World, addresses: &[String]) {
    let members = calls::connect_within(&world.runtime, addresses);
    eventually("all members come to the same topology", || {
        let topologies = members.iter().map(|member| {
            let mut member = member.clone();
            world.runtime.block_on(async move {
                let look = tokio::time::timeout(Duration::from_secs(2), look(&mut member)).await;
                look.ok().flatten().and_then(|current| current.topology)
            })
        });
        let topologies: Vec<_> = topologies.collect();
        topologies.iter().all(|topology| topology.is_some() && *topology == topologies[0])
    });
}

/// Every proxy comes to serve the slots as their owners left them.
fn proxies_follow(proxies: &[Proxy], truth: &Truth) {
    for proxy in proxies {
        let mut client = proxy.client();
        for (range, owner) in RANGES.into_iter().zip(&truth.slots) {
            for slot in [*range.start(), *range.end()] {
                let key = key_of(slot);
                let served = *owner != 0;
                let what = format!("a proxy serves slot {slot} of group {owner}");
                eventually(&what, || is_served(&mut client, &key) == served);
            }
        }
    }
}

fn is_served(client: &mut Client, key: &str) -> bool {
    client.call(&["GET", key]).error().is_none()
}

fn key_of(wanted: u32) -> String {
    let found =
        (0..).map(|n| format!("of:{n}")).find(|key| u32::from(slot(key.as_bytes())) == wanted);
    found.expect("the numbers do not end before a key is found")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { faults, extent, operations, promotions, told } = self;
        write!(
            f,
            "{faults:?}; {} changes acknowledged, {} commands and {} epochs compared between members, {operations} \
             operations on registers, {promotions} changes of masters, {} commands of clients and {} errors",
            extent.acknowledged, extent.commands, extent.epochs, told.done, told.errors
        )
    }
}
