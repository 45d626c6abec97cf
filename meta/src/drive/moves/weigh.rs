//! How much each slot has on a server.

use codis_proto::moves::SIZES;

use super::abilities::Abilities;
use super::link::{self, Link};
use super::net::{Connection, Net, Request, Value, request};
use super::slot::slot;
use super::trouble::Trouble;
use super::walk::{Page, Walk};
use crate::drive::SlotWeight;
use crate::state::limits::SLOT_COUNT;

/// How many keys a script looks at: a server serves nobody else meanwhile.
const SCRIPT_KEYS: usize = 100;

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
        let requests = size_requests(link.abilities, &asked);
        let (answers, page) = walk.next(&mut link, requests).await?;
        for (bytes, key) in sizes(&link, answers)?.into_iter().zip(&asked.keys) {
            // Those that have gone meanwhile have none.
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

/// Asks how many bytes keys take.
pub(super) fn size_requests(abilities: Abilities, page: &Page) -> Vec<(u32, Request)> {
    if abilities.memory_usage {
        let usage = |key: &Vec<u8>| vec![b"MEMORY".to_vec(), b"USAGE".to_vec(), key.clone()];
        return page.keys.iter().map(|key| (page.database, usage(key))).collect();
    }
    let script = |keys: &[Vec<u8>]| {
        let mut eval = request(&["EVAL", SIZES, &keys.len().to_string()]);
        eval.extend(keys.iter().cloned());
        (page.database, eval)
    };
    page.keys.chunks(SCRIPT_KEYS).map(script).collect()
}

/// Reads the answers: one for each key, `None` where it has gone.
pub(super) fn sizes<C: Connection>(
    link: &Link<C>,
    answers: Vec<Value>,
) -> Result<Vec<Option<u64>>, Trouble> {
    let mut sizes = Vec::with_capacity(answers.len());
    let size = |answer: &Value| answer.integer().and_then(|bytes| u64::try_from(bytes).ok());
    for answer in answers {
        match answer {
            Value::Error(why) => return Err(link.refused("what asks for the size of keys", &why)),
            Value::Array(several) => sizes.extend(several.iter().map(size)),
            one => sizes.push(size(&one)),
        }
    }
    Ok(sizes)
}
