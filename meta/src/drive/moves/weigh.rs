//! How much each slot has on a server.

use super::link;
use super::net::{Net, Value};
use super::slot::slot;
use super::survey::memory_usage;
use super::trouble::Trouble;
use super::walk::{Page, Walk};
use crate::drive::SlotWeight;
use crate::state::limits::SLOT_COUNT;

/// Walks over all keys of a server.
pub(in crate::drive) async fn weigh<N: Net>(
    net: &N,
    address: &str,
    password: &str,
) -> Result<Vec<SlotWeight>, String> {
    let weights = weigh_slots(net, address, password).await;
    weights.map_err(|trouble| format!("{address} cannot be weighed: {trouble}"))
}

async fn weigh_slots<N: Net>(
    net: &N,
    address: &str,
    password: &str,
) -> Result<Vec<SlotWeight>, Trouble> {
    let mut link = link::visit(net, address, password).await?;
    let mut walk = Walk::begin(&mut link).await?;
    let mut weights = vec![SlotWeight::default(); SLOT_COUNT];
    let mut asked = Page::default();
    loop {
        let usages = asked.keys.iter().map(|key| (asked.database, memory_usage(key)));
        let (answers, page) = walk.next(&mut link, usages.collect()).await?;
        for (answer, key) in answers.into_iter().zip(&asked.keys) {
            if let Value::Error(why) = &answer {
                return Err(link.refused("MEMORY USAGE", why));
            }
            // Nil for one that has gone meanwhile.
            let bytes = answer.integer().and_then(|bytes| u64::try_from(bytes).ok());
            if let Some(bytes) = bytes {
                let weight = &mut weights[slot(key) as usize];
                weight.keys += 1;
                weight.bytes += bytes;
            }
        }
        let Some(page) = page else { return Ok(weights) };
        asked = page;
    }
}
