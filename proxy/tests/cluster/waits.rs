//! Clients that wait for elements, and transactions, while slots move back and forth.

use crate::bed::{Bed, key_of};
use codis_testbed::{Client, Value};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Clients that wait.
const POPPERS: usize = 50;

const PUSHERS: usize = 4;
const COUNTERS: usize = 4;

/// Lists that some of the clients wait for; one a slot.
const LISTS: u32 = 8;

/// A part of the load.
type Running<T> = Vec<JoinHandle<T>>;

fn list(number: u32) -> String {
    format!("list:{{{}}}", key_of(number % LISTS))
}

fn counter(number: usize) -> String {
    format!("counter:{{{}}}", key_of(number as u32 % LISTS))
}

/// What is answered must not be an error: nothing fails but that slots move.
fn sound(what: &str, value: Value) -> Value {
    assert_eq!(value.error(), None, "{what}");
    value
}

/// Runs `one` for each of so many clients, in threads of their own.
fn clients<T: Send + 'static>(
    bed: &Bed,
    count: usize,
    one: impl Fn(usize, Client) -> T + Clone + Send + 'static,
) -> Running<T> {
    let start = |number: usize| {
        let client = bed.proxies[number % bed.proxies.len()].client();
        let one = one.clone();
        std::thread::spawn(move || one(number, client))
    };
    (0..count).map(start).collect()
}

fn ended<T>(running: Running<T>) -> Vec<T> {
    running.into_iter().map(|thread| thread.join().expect("a client has failed")).collect()
}

/// Takes elements of a list until there are no more.
fn pop(number: usize, mut client: Client, over: &AtomicBool) -> Vec<String> {
    let name = ["BLPOP", "BRPOP"][number % 2];
    let key = list(number as u32);
    let mut popped = Vec::new();
    loop {
        let last = over.load(Ordering::Acquire);
        match sound(name, client.call(&[name, &key, "1"])) {
            Value::Array(pair) => popped.push(pair[1].text()),
            Value::NullArray if last => return popped,
            Value::NullArray => {}
            other => panic!("{name} was answered {other:?}"),
        }
    }
}

/// Appends elements that nobody else does; answers them.
fn push(number: usize, mut client: Client, over: &AtomicBool) -> Vec<String> {
    let mut pushed = Vec::new();
    while !over.load(Ordering::Acquire) {
        let element = format!("{number}:{}", pushed.len());
        let key = list(pushed.len() as u32);
        sound("RPUSH", client.call(&["RPUSH", &key, &element]));
        pushed.push(element);
    }
    pushed
}

/// Counts by two at once, and by compare-and-set; answers how far.
fn count(number: usize, mut client: Client, over: &AtomicBool) -> i64 {
    let key = counter(number);
    let mut sum = 0;
    while !over.load(Ordering::Acquire) {
        for words in [&["MULTI"][..], &["INCR", &key], &["INCR", &key]] {
            sound("a transaction", client.call(words));
        }
        match sound("EXEC", client.call(&["EXEC"])) {
            Value::Array(both) => match both[..] {
                [Value::Integer(first), Value::Integer(second)] => assert_eq!(first + 1, second),
                _ => panic!("EXEC was answered {both:?}"),
            },
            other => panic!("EXEC was answered {other:?}"),
        }
        sum += 2;
        sound("WATCH", client.call(&["WATCH", &key]));
        let seen: i64 = client.call(&["GET", &key]).text().parse().expect("a number");
        sound("MULTI", client.call(&["MULTI"]));
        sound("SET", client.call(&["SET", &key, &(seen + 1).to_string()]));
        match sound("EXEC", client.call(&["EXEC"])) {
            Value::Array(_) => sum += 1,
            Value::NullArray => {}
            other => panic!("EXEC was answered {other:?}"),
        }
    }
    sum
}

#[test]
fn every_element_is_popped_once_and_every_transaction_counts_while_slots_move() {
    let bed = Bed::start(1);
    let [pushing, popping] = [const { AtomicBool::new(false) }; 2].map(Arc::new);
    let over = Arc::clone(&popping);
    let poppers = clients(&bed, POPPERS, move |number, client| pop(number, client, &over));
    let over = Arc::clone(&pushing);
    let pushers = clients(&bed, PUSHERS, move |number, client| push(number, client, &over));
    let over = Arc::clone(&pushing);
    // Two clients each count in one place.
    let counters =
        clients(&bed, 2 * COUNTERS, move |number, client| count(number % COUNTERS, client, &over));
    for gid in [2, 1, 2] {
        bed.admin.run(&format!("slots migrate --beg 0 --end {} --gid {gid} --wait", LISTS - 1));
    }
    pushing.store(true, Ordering::Release);
    let pushed: Vec<String> = ended(pushers).into_iter().flatten().collect();
    let counted = ended(counters);
    popping.store(true, Ordering::Release);
    let popped: Vec<String> = ended(poppers).into_iter().flatten().collect();

    let once: BTreeSet<&String> = popped.iter().collect();
    assert_eq!(once.len(), popped.len(), "an element was popped twice");
    assert_eq!(once, pushed.iter().collect(), "an element was lost");
    let mut client = bed.proxies[0].client();
    for number in 0..COUNTERS {
        let sum: i64 = counted.iter().skip(number).step_by(COUNTERS).sum();
        assert_eq!(client.call(&["GET", &counter(number)]).text(), sum.to_string());
    }
    println!("{} elements, {counted:?} counted", pushed.len());
}
