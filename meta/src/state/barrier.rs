//! The barrier: whether every proxy works by an epoch, or cannot work at all by an older one.
//!
//! What makes a proxy safe at an epoch E, so that none sends a command by an older topology:
//! - it acknowledged E or later (its shards work by it, and its file has it), or
//! - its older connections were killed after every master got a fence of E or later, or
//! - it has stopped, and every master has such a fence: it may start again from an old file, but no
//!   master lets it in.
//!
//! A removed proxy is none of these: it may still run (it is then *leaving* until fenced), or start again
//! from its file. Its removal made an epoch that it never sees, and the barrier wants a fence at that
//! epoch or later.

use super::refusal::Refusal;
use super::text;
use codis_proto::meta::v1 as pb;
use pb::RefusalCode as Code;

/// What a barrier still waits for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Proxies, by token, that must acknowledge or be fenced; those that are leaving must be fenced.
    pub tokens: Vec<String>,
    /// Every master must get a fence of at least this epoch; 0 if the fences there do.
    pub fence_epoch: u64,
}

impl Waiting {
    /// Whether nothing is waited for.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.tokens.is_empty() && self.fence_epoch == 0
    }
}

/// What the barrier at `epoch` still waits for.
#[must_use]
pub fn waiting(data: &pb::State, epoch: u64) -> Waiting {
    let open = data.proxies.values().filter(|proxy| !is_safe(proxy, epoch));
    let (stopped, running): (Vec<_>, Vec<_>) =
        open.partition(|proxy| proxy.presence() == pb::Presence::Stopped);
    let running = running.into_iter().map(|proxy| &proxy.token);
    let stopped_need = if stopped.is_empty() { 0 } else { epoch };
    let need = stopped_need.max(data.retired_epoch);
    Waiting {
        tokens: running.chain(data.leaving.keys()).cloned().collect(),
        fence_epoch: if data.fence_epoch < need { need } else { 0 },
    }
}

fn is_safe(proxy: &pb::Proxy, epoch: u64) -> bool {
    proxy.acked_epoch.max(proxy.fenced_epoch) >= epoch
}

/// Refuses while the barrier at `epoch` waits.
pub(super) fn refuse_open(data: &pb::State, epoch: u64) -> Result<(), Refusal> {
    let waiting = waiting(data, epoch);
    if waiting.is_over() {
        return Ok(());
    }
    let message = match waiting.tokens.as_slice() {
        [] => format!(
            "proxies that stopped or were removed could start again with an old topology: write a \
             fence of epoch {} on every master",
            waiting.fence_epoch
        ),
        tokens => format!(
            "proxies that have neither acknowledged epoch {epoch} nor been fenced: {}: wait for \
             them, fence them, or roll back",
            text::some_of(tokens.iter().map(String::as_str))
        ),
    };
    Err(Refusal::new(Code::BarrierOpen, message))
}

pub(super) fn advance_fence(
    data: &mut pb::State,
    change: &pb::FenceAdvance,
) -> Result<(), Refusal> {
    let (fence, epoch) = (change.epoch, data.epoch);
    Refusal::unless((data.fence_epoch..=epoch).contains(&fence), Code::FenceEpoch, || {
        format!(
            "a fence of epoch {fence} cannot follow one of epoch {} while the state is at epoch \
             {epoch}: take the state's epoch",
            data.fence_epoch
        )
    })?;
    let unknown =
        |token: &&String| !data.proxies.contains_key(*token) && !data.leaving.contains_key(*token);
    if let Some(token) = change.tokens.iter().find(unknown) {
        let message = format!("there is no proxy {token:?} to fence: see the list of proxies");
        return Err(Refusal::new(Code::ProxyUnknown, message));
    }
    data.fence_epoch = fence;
    for token in &change.tokens {
        if let Some(proxy) = data.proxies.get_mut(token) {
            proxy.fenced_epoch = fence;
        }
        if data.leaving.get(token).is_some_and(|leaving| leaving.epoch <= fence) {
            data.leaving.remove(token);
        }
    }
    Ok(())
}
