//! Every proxy process that ever was, and whether it could still send a command by an old topology.
//!
//! This states the one rule of slot actions and promotions anew, from the processes' side and knowing
//! nothing of the state's own bookkeeping: whenever a barrier at an epoch is passed, no process may be
//! able to use a server by an older topology.

use codis_proto::meta::v1 as pb;
use pb::command::Change;
use std::collections::BTreeMap;

#[derive(Debug)]
struct Process {
    admin_addr: String,
    start: u64,
    /// It works by this epoch or a later one.
    epoch_min: u64,
    /// It holds connections that were made before anyone killed them: `None` if it has none, else the
    /// fence by which older ones were killed, 0 if none were.
    connected_since: Option<u64>,
    /// It sees no epoch from this one on, as it was removed then.
    removed: Option<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Shadow {
    /// By token; a process that starts with a token ends the one before.
    current: BTreeMap<String, Process>,
    removed: Vec<(String, Process)>,
    fence: u64,
}

impl Shadow {
    /// Takes note of an accepted change, which led to `epoch`.
    pub(crate) fn accepted(&mut self, change: &Change, epoch: u64) {
        match change {
            Change::ProxyRegister(register) => self.registered(register, epoch),
            Change::ProxyOffline(offline) if offline.stopped => {
                let current = self.current.get_mut(&offline.token);
                current.expect("it is known").connected_since = None;
            }
            Change::ProxyRemove(remove) => self.take_off(&remove.token, epoch),
            Change::ProxyAck(ack) => {
                for (token, acked) in &ack.proxies {
                    let current = self.current.get_mut(token);
                    let process = current.filter(|process| process.start == acked.start_unix_ms);
                    if let Some(process) = process {
                        process.epoch_min = process.epoch_min.max(acked.epoch);
                    }
                }
            }
            Change::FenceAdvance(fence) => {
                self.fence = fence.epoch;
                let removed = self.removed.iter_mut().map(|(token, process)| (&*token, process));
                for (token, process) in self.current.iter_mut().chain(removed) {
                    let since = process.connected_since.as_mut();
                    if let Some(since) = since.filter(|_| fence.tokens.contains(token)) {
                        *since = fence.epoch;
                    }
                }
            }
            _ => {}
        }
    }

    fn registered(&mut self, register: &pb::ProxyRegister, epoch: u64) {
        let before = self.current.get(&register.token);
        let same = before.filter(|process| process.start == register.start_unix_ms);
        let process = Process {
            admin_addr: register.admin_addr.clone(),
            start: register.start_unix_ms,
            epoch_min: same.map_or(0, |process| process.epoch_min).max(register.epoch),
            // A process that begins was held up by the fence as it stood.
            connected_since: Some(match before {
                Some(before) => before.connected_since.unwrap_or(self.fence),
                None => 0,
            }),
            removed: None,
        };
        let place = |(token, process): (&String, &Process)| {
            (process.admin_addr == register.admin_addr && *token != register.token)
                .then(|| token.clone())
        };
        if let Some(token) = self.current.iter().find_map(place) {
            self.take_off(&token, epoch);
        }
        self.current.insert(register.token.clone(), process);
    }

    fn take_off(&mut self, token: &str, epoch: u64) {
        let mut process = self.current.remove(token).expect("it is known");
        process.removed = Some(epoch);
        self.removed.push((token.into(), process));
    }

    /// A process that could still use a server by a topology older than `epoch`.
    pub(crate) fn danger(&self, epoch: u64) -> Option<String> {
        let removed = self.removed.iter().map(|(token, process)| (token, process));
        let found = self.current.iter().chain(removed).find(|(_, process)| {
            // The least epoch that everything it can do is held to.
            let enough = process.removed.unwrap_or(epoch);
            let connections = process.connected_since.unwrap_or(u64::MAX).min(self.fence);
            let works_by_it = process.removed.is_none() && process.epoch_min >= epoch;
            !works_by_it && connections < enough
        });
        found.map(|(token, process)| format!("{token}: {process:?}, fence {}", self.fence))
    }
}
