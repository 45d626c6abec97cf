//! `SLOWLOG GET`, `LEN` and `RESET`.

use super::super::state::State;
use super::reply::{self, push_array, push_bulk, push_integer};
use super::{Refusal, integer};
use crate::clients::SlowEntry;
use crate::messages::ShardMessage;

/// How many entries `SLOWLOG GET` gives when it is not told.
const COUNT_DEFAULT: usize = 10;

/// `SLOWLOG GET [count]`
pub(super) async fn get(state: &State, options: &[Vec<u8>]) -> Result<Vec<u8>, Refusal> {
    let count = match options.first().map(|count| integer(count)) {
        None => COUNT_DEFAULT,
        Some(Some(-1)) => usize::MAX,
        Some(Some(count @ 0..)) => usize::try_from(count).unwrap_or(usize::MAX),
        Some(_) => return Err(Refusal::err("count should be greater than or equal to -1")),
    };
    let entries = state.shards.slowlog().await?;
    let shown = count.min(entries.len());
    let mut reply = Vec::with_capacity(shown * 128);
    push_array(&mut reply, shown);
    for entry in &entries[..shown] {
        push_entry(&mut reply, entry);
    }
    Ok(reply)
}

/// Appends an entry with the six fields of Redis 7.
fn push_entry(reply: &mut Vec<u8>, entry: &SlowEntry) {
    push_array(reply, 6);
    push_integer(reply, entry.id);
    push_integer(reply, entry.unix_time_s);
    push_integer(reply, entry.duration_us);
    push_array(reply, entry.args.len());
    for arg in &entry.args {
        push_bulk(reply, arg);
    }
    push_bulk(reply, entry.addr.as_bytes());
    push_bulk(reply, entry.name.as_bytes());
}

/// `SLOWLOG LEN`
pub(super) async fn len(state: &State) -> Result<Vec<u8>, Refusal> {
    Ok(reply::integer(state.shards.slowlog().await?.len() as u64))
}

/// `SLOWLOG RESET`
pub(super) fn reset(state: &State) -> Vec<u8> {
    state.shards.tell_all(|| ShardMessage::SlowlogReset);
    reply::ok()
}
