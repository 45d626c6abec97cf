//! Changes, made as an operator's tools make them.

use crate::group::{Client, Group};
use crate::{histogram, record};
use codis_proto::admin::v1 as pb;
use hdrhistogram::Histogram;
use std::time::{Duration, Instant};

/// Slots 0 to 1023 are on group 1 where `assigned`, else taken offline, one by one. Waits up to `wait_ms` for every
/// proxy.
pub(crate) async fn toggle(
    client: &mut Client,
    slot: u32,
    assigned: bool,
    wait_ms: u64,
) -> pb::Changed {
    let call = Some(pb::Call { wait_ms, ..pb::Call::default() });
    let answer = if assigned {
        client.assign_slots(pb::AssignSlotsRequest { call, beg: slot, end: slot, gid: 1 }).await
    } else {
        client.offline_slots(pb::OfflineSlotsRequest { call, beg: slot, end: slot }).await
    };
    answer.expect("a healthy group takes the change").into_inner()
}

/// Clients at the same time, each with a slot of its own; answers how many changes were made, in which time, and how
/// long each took.
pub(crate) async fn in_parallel(
    group: &Group,
    clients: usize,
    seconds: u64,
) -> (usize, Duration, Histogram<u64>) {
    let begin = Instant::now();
    let end = begin + Duration::from_secs(seconds);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..clients {
        let mut client = group.client().await;
        tasks.spawn(async move {
            let mut times = histogram();
            let mut assigned = false;
            while Instant::now() < end {
                let began = Instant::now();
                toggle(&mut client, number as u32, assigned, 0).await;
                record(&mut times, began.elapsed());
                assigned = !assigned;
            }
            times
        });
    }
    let mut all = histogram();
    while let Some(times) = tasks.join_next().await {
        all.add(times.expect("no client failed")).expect("the bounds are the same");
    }
    (usize::try_from(all.len()).unwrap_or(usize::MAX), begin.elapsed(), all)
}
