//! Sentinels, which tell of masters that failed.

use super::address::{self, Kind};
use super::groups;
use super::limits::SENTINELS_MAX;
use super::refusal::Refusal;
use codis_proto::meta::v1 as pb;
use pb::RefusalCode as Code;

pub(super) fn add(data: &mut pb::State, change: &pb::SentinelAdd, now: u64) -> Result<(), Refusal> {
    let address = address::canonical(&change.address, Kind::Tcp)?;
    groups::refuse_taken(data, &address)?;
    Refusal::unless(data.sentinels.len() < SENTINELS_MAX, Code::LimitReached, || {
        format!("there are {SENTINELS_MAX} sentinels, the most there can be: remove one")
    })?;
    data.sentinels.insert(address, pb::Sentinel { added_unix_ms: now });
    Ok(())
}

pub(super) fn remove(data: &mut pb::State, change: &pb::SentinelRemove) -> Result<(), Refusal> {
    let address = address::canonical(&change.address, Kind::Tcp)?;
    let known = data.sentinels.remove(&address).is_some();
    Refusal::unless(known, Code::SentinelUnknown, || {
        format!("{address} is not a sentinel: see the list of sentinels")
    })
}
