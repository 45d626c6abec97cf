//! Publish and subscribe while slots move.

use crate::bed::{Bed, key_of};
use codis_testbed::{Client, Value, encode};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Slots that move; their channels are `of:<n>`.
const SLOTS: std::ops::Range<u32> = 100..140;

/// Publishes numbers, one channel after the other, until it is told to stop; answers how many each channel got.
fn publish_until(stop: &AtomicBool, mut client: Client, channels: &[String]) -> u64 {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        for channel in channels {
            let reply = client.call(&["PUBLISH", channel, &number.to_string()]);
            assert!(reply.error().is_none(), "{reply:?}");
        }
    }
    number
}

/// Subscribes by `command`, and waits for each confirmation.
fn subscribe(client: &mut Client, command: &str, names: &[String]) {
    let names = names.iter().map(String::as_str);
    client.send(encode(&std::iter::once(command).chain(names.clone()).collect::<Vec<_>>()));
    for name in names {
        assert_eq!(client.read().items()[1].text(), name);
    }
}

/// Reads until every channel has said `last`; each of its numbers must come once, in order.
fn hear_all(client: &mut Client, channels: usize, last: u64) {
    let mut heard: BTreeMap<String, u64> = BTreeMap::new();
    while heard.len() < channels || heard.values().any(|number| *number < last) {
        let message = client.read();
        let texts: Vec<String> = message.items().iter().map(Value::text).collect();
        let [.., channel, number] = &texts[..] else { panic!("{message:?}") };
        let number: u64 = number.parse().expect("a number");
        let before = heard.insert(channel.clone(), number).unwrap_or(0);
        assert_eq!(number, before + 1, "{channel}");
    }
}

#[test]
fn nothing_that_is_published_is_lost_doubled_or_out_of_order_while_slots_move() {
    let bed = Bed::start(1);
    let channels: Vec<String> = SLOTS.map(key_of).collect();
    let mut clients = bed.clients();
    let mut by_pattern = clients.split_off(clients.len() / 2);
    clients.iter_mut().for_each(|client| subscribe(client, "SUBSCRIBE", &channels));
    let all = ["of:*".to_owned()];
    by_pattern.iter_mut().for_each(|client| subscribe(client, "PSUBSCRIBE", &all));
    let stop = AtomicBool::new(false);
    let last = thread::scope(|scope| {
        let publisher = bed.proxies[1].client();
        let publishing = scope.spawn(|| publish_until(&stop, publisher, &channels));
        for gid in [2, 1] {
            let (beg, end) = (SLOTS.start, SLOTS.end - 1);
            bed.admin.run(&format!("slots migrate --beg {beg} --end {end} --gid {gid} --wait"));
        }
        stop.store(true, Ordering::Relaxed);
        publishing.join().expect("every PUBLISH is answered")
    });
    for client in clients.iter_mut().chain(&mut by_pattern) {
        hear_all(client, channels.len(), last);
    }
}
