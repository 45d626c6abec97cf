//! What was asked, where and how often it ran, and whether its answer is the right one.
//!
//! Every key that a client names ends in `#client.number.place`, so that a server can tell which
//! request it has before it. The name itself stands in braces, as a hash tag.

use codis_proxy::slots;
use codis_proxy::topology::{SlotState, Topology};
use std::collections::HashMap;
use std::sync::Arc;

pub(crate) type Checked<T = ()> = Result<T, String>;

/// How the proxy puts the replies to a command's parts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Join {
    /// It goes to one server as it is.
    Whole,
    Values,
    Ok,
    Sum,
}

/// One key's share of a request, run by a server.
pub(crate) struct Run {
    /// Its place in all that any server ran.
    pub(crate) order: u64,
    pub(crate) reply: Vec<u8>,
}

/// A request that a server must run.
pub(crate) struct Asked {
    pub(crate) args: Vec<Vec<u8>>,
    pub(crate) join: Join,
    /// Which arguments are keys.
    pub(crate) keys: Vec<usize>,
    pub(crate) name: usize,
    pub(crate) write: bool,
    pub(crate) database: u16,
    pub(crate) node: usize,
    /// The epoch of the proxy's topology when it was written.
    pub(crate) epoch: u64,
    /// By key; one entry where the request is not split.
    pub(crate) runs: Vec<Option<Run>>,
    /// The proxy said that it did not run, or must not have run it.
    pub(crate) refused: bool,
}

/// `{name}#client.number.place`
pub(crate) fn key(name: &str, client: usize, number: usize, place: usize) -> Vec<u8> {
    format!("{{{name}}}#{client}.{number}.{place}").into_bytes()
}

/// The name, and the three numbers.
pub(crate) fn read_key(key: &[u8]) -> Checked<(&str, [usize; 3])> {
    let wrong = || format!("{} is no key of ours", key.escape_ascii());
    let text = std::str::from_utf8(key).map_err(|_| wrong())?;
    let (name, rest) = text.split_once('#').ok_or_else(wrong)?;
    let mut numbers = [0; 3];
    let mut parts = rest.split('.');
    for number in &mut numbers {
        *number = parts.next().and_then(|part| part.parse().ok()).ok_or_else(wrong)?;
    }
    Ok((name, numbers))
}

/// Everything that was asked, by client.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) asked: Vec<Vec<Asked>>,
    pub(crate) topologies: Vec<Arc<Topology>>,
    orders: u64,
    /// By client, database and name: the order of the newest run that was acknowledged.
    acknowledged: HashMap<(usize, u16, usize), u64>,
}

/// Who runs a request.
pub(crate) struct Runner<'a> {
    pub(crate) address: &'a str,
    pub(crate) database: u16,
    /// The epoch that the proxy has now.
    pub(crate) epoch: u64,
    /// The oldest one by which it may still send requests: that which it said has settled, or the
    /// server's fence.
    pub(crate) oldest: u64,
    pub(crate) node: usize,
    pub(crate) primary_only: bool,
}

impl Ledger {
    /// The request that the arguments of one sent to a server belong to, and which of its keys they
    /// have; checked in every respect.
    pub(crate) fn identify(
        &self,
        args: &[Vec<u8>],
        runner: &Runner<'_>,
    ) -> Checked<(usize, usize, Vec<usize>)> {
        let shown =
            || args.iter().map(|arg| arg.escape_ascii().to_string()).collect::<Vec<_>>().join(" ");
        // Every key has the hash sign of its numbers; no name and no plain argument has one.
        let first = args[1..].iter().find(|arg| arg.first() == Some(&b'{'));
        let first = first.ok_or_else(|| format!("a server was sent {}", shown()))?;
        let (_, [client, number, _]) = read_key(first)?;
        let asked = self.asked.get(client).and_then(|of| of.get(number));
        let asked = asked.ok_or_else(|| format!("nobody asked {}", shown()))?;
        let places = self.places(asked, args, client, number)?;
        if asked.database != runner.database {
            return Err(format!(
                "{} ran in database {}, not {}",
                shown(),
                runner.database,
                asked.database
            ));
        }
        if asked.refused {
            return Err(format!("{} ran though it was refused", shown()));
        }
        if asked.node != runner.node {
            return Err(format!("{} came from another proxy", shown()));
        }
        for &place in &places {
            self.check_owner(asked, &asked.args[asked.keys[place]], runner)
                .map_err(|why| format!("{}: {why}", shown()))?;
            if asked.runs[place].is_some() {
                return Err(format!("{} ran twice", shown()));
            }
        }
        Ok((client, number, places))
    }

    fn places(
        &self,
        asked: &Asked,
        args: &[Vec<u8>],
        client: usize,
        number: usize,
    ) -> Checked<Vec<usize>> {
        if !args[0].eq_ignore_ascii_case(&asked.args[0]) {
            return Err(format!("request {client}.{number} reached a server as another command"));
        }
        if asked.join == Join::Whole {
            return if args == asked.args {
                Ok(vec![0])
            } else {
                Err(format!("request {client}.{number} reached a server with other arguments"))
            };
        }
        let stride = if asked.join == Join::Ok { 2 } else { 1 };
        let mut places = Vec::new();
        for share in args[1..].chunks(stride) {
            let (_, [c, n, place]) = read_key(&share[0])?;
            let at = asked.keys.get(place).copied().unwrap_or(usize::MAX);
            if (c, n) != (client, number) || asked.args.get(at..at + stride) != Some(share) {
                return Err(format!("a part of request {client}.{number} has another's arguments"));
            }
            places.push(place);
        }
        Ok(places)
    }

    /// Whether some topology that the proxy had since the request was written, and may still act by,
    /// sends this key to this server.
    fn check_owner(&self, asked: &Asked, key: &[u8], runner: &Runner<'_>) -> Checked {
        let slot = usize::from(slots::slot(key));
        let oldest = asked.epoch.max(runner.oldest);
        let allowed = (oldest..=runner.epoch).any(|epoch| {
            let topology = &self.topologies[epoch as usize];
            let entry = topology.slots[slot];
            let SlotState::Stable(group) = entry.state else {
                return false;
            };
            let group = topology.group(group);
            let replica = !runner.primary_only
                && !asked.write
                && group.replicas.iter().flatten().any(|address| **address == *runner.address);
            !entry.locked && (*group.master == *runner.address || replica)
        });
        if allowed {
            Ok(())
        } else {
            Err(format!(
                "{} does not serve slot {slot} (epochs {oldest} to {})",
                runner.address, runner.epoch
            ))
        }
    }

    pub(crate) fn ran(&mut self, client: usize, number: usize, place: usize, reply: Vec<u8>) {
        self.orders += 1;
        let run = Run { order: self.orders, reply };
        self.asked[client][number].runs[place] = Some(run);
    }

    /// What the servers' replies make together, if every part ran.
    fn expected(asked: &Asked) -> Option<Vec<u8>> {
        let runs: Vec<&Run> = asked.runs.iter().map(Option::as_ref).collect::<Option<_>>()?;
        let first_error = runs.iter().find(|run| run.reply.starts_with(b"-"));
        Some(match (asked.join, first_error) {
            (Join::Whole, _) => runs[0].reply.clone(),
            (_, Some(error)) => error.reply.clone(),
            (Join::Ok, None) => b"+OK\r\n".to_vec(),
            (Join::Values, None) => {
                let mut whole = format!("*{}\r\n", runs.len()).into_bytes();
                runs.iter().for_each(|run| whole.extend_from_slice(&run.reply));
                whole
            }
            (Join::Sum, None) => {
                let sum: u64 = runs.iter().map(|run| u64::from(run.reply[1] - b'0')).sum();
                format!(":{sum}\r\n").into_bytes()
            }
        })
    }

    /// Checks the answer to a request. `in_order`: whether nothing may reorder a session's requests
    /// for one key. `faulty`: whether an address has ever failed.
    pub(crate) fn check_answer(
        &mut self,
        client: usize,
        number: usize,
        reply: &[u8],
        in_order: bool,
        faulty: impl Fn(&str) -> bool,
        epoch_now: u64,
    ) -> Checked {
        let asked = &mut self.asked[client][number];
        let text = reply.escape_ascii().to_string();
        let short = &text[..text.len().min(300)];
        let what = format!("request {client}.{number} ({})", asked.args[0].escape_ascii());
        if let Some(failure) = text.strip_prefix("-ERR backend ") {
            let address = failure.split([' ', ':']).next().unwrap_or_default();
            if !faulty(address) {
                return Err(format!("{what} failed without a cause: {short}"));
            }
            if failure.starts_with(&format!("{address} is down")) {
                asked.refused = asked.join == Join::Whole;
                if asked.join == Join::Whole && asked.runs[0].is_some() {
                    return Err(format!("{what} ran and was answered {short}"));
                }
            } else if !failure.contains("the command may have run") {
                return Err(format!("{what} was answered {short}"));
            }
            return Ok(());
        }
        if text.starts_with("-ERR unknown command")
            && asked.args[0].eq_ignore_ascii_case(b"SIM.GET")
        {
            // No server could be asked what it is.
            asked.refused = true;
            return if asked.runs[0].is_none() {
                Ok(())
            } else {
                Err(format!("{what} ran and is unknown"))
            };
        }
        if text.starts_with("-ERR slot ") {
            asked.refused = true;
            let excused = (asked.epoch..=epoch_now).any(|epoch| {
                let topology = &self.topologies[epoch as usize];
                asked.keys.iter().any(|&at| {
                    let slot = slots::slot(&asked.args[at]);
                    text.contains(&format!("slot {slot} "))
                        && matches!(
                            topology.slots[usize::from(slot)].state,
                            SlotState::Offline | SlotState::Migrating { .. }
                        )
                })
            });
            if !excused || asked.runs.iter().any(Option::is_some) {
                return Err(format!("{what} was answered {short}"));
            }
            return Ok(());
        }
        let any_error = |run: &Run| run.reply.starts_with(b"-") && run.reply == reply;
        match Self::expected(asked) {
            Some(expected) if expected == reply => {}
            // Of several errors, the first to come is shown.
            Some(_) if asked.runs.iter().flatten().any(any_error) => {}
            Some(expected) => {
                let expected = expected.escape_ascii().to_string();
                return Err(format!(
                    "{what} was answered {short} and not {}",
                    &expected[..expected.len().min(300)]
                ));
            }
            None if asked.runs.iter().flatten().any(any_error) => {}
            None => return Err(format!("{what} did not run and was answered {short}")),
        }
        if in_order
            && asked.join == Join::Whole
            && let Some(run) = &asked.runs[0]
        {
            let newest = self.acknowledged.entry((client, asked.database, asked.name)).or_default();
            if run.order < *newest {
                return Err(format!("{what} was overtaken by a later request of its session"));
            }
            *newest = run.order;
        }
        Ok(())
    }
}
