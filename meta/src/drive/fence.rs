//! Fences: proxies that do not answer are shut out of every master.
//!
//! First every master gets the fence, then the connections of those proxies that are older are killed there. A proxy
//! names its connection before it reads the fence, so one that connects in between is either in the list of
//! connections or has seen the fence. Only then does the state say that the proxies are fenced, and only if
//! the topology is still the one whose masters have been fenced.

use std::collections::BTreeMap;
use std::time::Duration;

use codis_proto::meta::v1 as pb;
use futures_util::StreamExt;
use futures_util::stream;
use pb::RefusalCode;
use pb::command::Change;
use tokio::time::sleep;

use super::Context;
use super::member::{Lost, Member};
use super::server::{Marks, ServerError, Servers};
use super::troubles::About;

/// Masters that are fenced at a time.
const MASTERS_AT_A_TIME: usize = 64;

/// How often the topology may change under a fence before it is given up for the time being.
const ATTEMPTS_MAX: usize = 1000;

/// The first pause after a failure, and the longest.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// A fence could not be brought about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum FenceError {
    /// See [`Lost`].
    #[error(transparent)]
    Lost(#[from] Lost),
    /// A sentence that says where and why.
    #[error("{0}")]
    Failed(String),
}

/// What one attempt goes by.
struct Plan {
    epoch: u64,
    fence: u64,
    masters: Vec<String>,
    tokens: Vec<String>,
}

impl Plan {
    fn of(state: &pb::State, least: u64, tokens: &[String]) -> Plan {
        let masters = state.groups.values().filter_map(|group| group.servers.first());
        let known = |token: &&String| {
            state.proxies.contains_key(*token) || state.leaving.contains_key(*token)
        };
        Plan {
            epoch: state.epoch,
            fence: least.max(state.fence_epoch),
            masters: masters.map(|server| server.address.clone()).collect(),
            tokens: tokens.iter().filter(known).cloned().collect(),
        }
    }
}

/// Fences the proxies `tokens` at epoch `least` or later, on every master.
pub(super) async fn fence<M: Member, S: Servers>(
    member: &M,
    servers: &S,
    least: u64,
    tokens: &[String],
) -> Result<(), FenceError> {
    let mut fenced: BTreeMap<String, u64> = BTreeMap::new();
    for _ in 0..ATTEMPTS_MAX {
        let wanted = tokens.to_vec();
        let plan = member.look(move |state| Plan::of(state, least, &wanted)).await?;
        let open = plan.masters.iter().filter(|master| fenced.get(*master) != Some(&plan.fence));
        let open: Vec<String> = open.cloned().collect();
        shut_out(servers, &open, plan.fence, tokens).await?;
        fenced.extend(open.into_iter().map(|master| (master, plan.fence)));
        let change = pb::FenceAdvance { epoch: plan.fence, tokens: plan.tokens };
        match member.step(Change::FenceAdvance(change), plan.epoch).await? {
            Ok(_) => return Ok(()),
            // The topology, another fence or the list of proxies changed meanwhile.
            Err(
                RefusalCode::EpochConflict | RefusalCode::FenceEpoch | RefusalCode::ProxyUnknown,
            ) => {}
            Err(code) => {
                let code = code.as_str_name();
                return Err(FenceError::Failed(format!("the state refuses a fence ({code})")));
            }
        }
    }
    Err(FenceError::Failed("the topology changes faster than the masters can be fenced".into()))
}

/// Writes the fence on each of the masters and kills what is older.
async fn shut_out<S: Servers>(
    servers: &S,
    masters: &[String],
    fence: u64,
    tokens: &[String],
) -> Result<(), FenceError> {
    let mut calls = Vec::new();
    for master in masters {
        calls.push(shut_out_of(servers, master, fence, tokens));
    }
    let outcomes = stream::iter(calls).buffer_unordered(MASTERS_AT_A_TIME);
    let outcomes: Vec<_> = outcomes.collect().await;
    let failures: Vec<String> =
        outcomes.into_iter().filter_map(|outcome| Some(outcome.err()?.to_string())).collect();
    if failures.is_empty() {
        return Ok(());
    }
    Err(FenceError::Failed(format!("no fence on every master: {}", failures.join("; "))))
}

async fn shut_out_of<S: Servers>(
    servers: &S,
    master: &str,
    fence: u64,
    tokens: &[String],
) -> Result<(), ServerError> {
    servers.raise(master, Marks { fence, order: 0 }).await?;
    if !tokens.is_empty() {
        let killed = servers.kill_older(master, tokens, fence).await?;
        tracing::info!("{master} is fenced at epoch {fence}, {killed} connections were killed");
    }
    Ok(())
}

/// Fences the proxies that were removed by force, whenever there are any, until that has succeeded.
pub(super) async fn run<M: Member, S: Servers>(context: &Context<M, S>) {
    let mut pause = PAUSE_MIN;
    loop {
        let applied = context.member.applied();
        let (tokens, epoch) = context.member.peek(leaving).await.unwrap_or_default();
        if tokens.is_empty() {
            context.troubles.set(About::Fence, None);
            context.member.applied_beyond(applied, PAUSE_MAX).await;
            continue;
        }
        let failure = match fence(&context.member, &context.servers, epoch, &tokens).await {
            Ok(()) => None,
            Err(FenceError::Lost(_)) => Some(PAUSE_MIN),
            Err(FenceError::Failed(why)) => {
                let tokens = tokens.join(", ");
                let sentence = format!(
                    "proxies removed by force are not shut out yet ({tokens}): {why}. It is tried again; a master \
                     that is gone for good must be replaced or removed from its group"
                );
                context.troubles.set(About::Fence, Some(sentence));
                Some(pause)
            }
        };
        match failure {
            None => pause = PAUSE_MIN,
            Some(length) => {
                sleep(length).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

/// Who is to be fenced, and at which epoch at least.
fn leaving(state: &pb::State) -> (Vec<String>, u64) {
    let epoch = state.leaving.values().map(|leaving| leaving.epoch).max().unwrap_or(0);
    (state.leaving.keys().cloned().collect(), epoch)
}
