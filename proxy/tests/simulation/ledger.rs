//! What was asked, where and how often it ran, and whether its answer is the right one.
//!
//! Every key that a client names ends in `#client.number.place`, so that a server can tell which
//! request it has before it. The name itself stands in braces, as a hash tag.

use crate::transactions::Transaction;
use codis_proxy::slots;
use codis_proxy::topology::{SlotState, Topology};
use std::collections::{HashMap, HashSet};
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
    /// The protocol of its session.
    pub(crate) resp3: bool,
    /// It is BLPOP: it waits for an element, and has run when it has taken one.
    pub(crate) waits: bool,
    /// It is a part of this transaction of its client's.
    pub(crate) transaction: Option<usize>,
    /// WATCH: the home whose server has run it, and the key's version there.
    pub(crate) watched: Option<(usize, u64)>,
    /// WATCH was answered OK.
    pub(crate) acknowledged: bool,
}

/// Whether BLPOP is what was asked for, with what is left of its time.
fn same_but_patience(args: &[Vec<u8>], asked: &[Vec<u8>]) -> bool {
    let seconds = |args: &[Vec<u8>]| std::str::from_utf8(args.last()?).ok()?.parse::<f64>().ok();
    let last = asked.len() - 1;
    let (Some(left), Some(all)) = (seconds(args), seconds(asked)) else { return false };
    args[..args.len() - 1] == asked[..last] && left > 0.0 && left <= all
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
    /// By client as well.
    pub(crate) transactions: Vec<Vec<Transaction>>,
    /// Elements that clients were given.
    given: HashSet<Vec<u8>>,
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
    /// The protocol of the connection.
    pub(crate) resp3: bool,
    /// Whether MULTI was said before.
    pub(crate) in_transaction: bool,
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
        if asked.resp3 != runner.resp3 {
            return Err(format!("{} ran on a connection of another protocol", shown()));
        }
        if asked.transaction.is_some() != runner.in_transaction {
            return Err(format!("{} ran outside of its transaction, or in one", shown()));
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
            let same = match asked.waits {
                true => same_but_patience(args, &asked.args),
                false => args == asked.args,
            };
            return if same {
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
    pub(crate) fn check_owner(&self, asked: &Asked, key: &[u8], runner: &Runner<'_>) -> Checked {
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
    pub(crate) fn expected(asked: &Asked) -> Option<Vec<u8>> {
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
        if asked.waits && matches!(reply, b"*-1\r\n" | b"_\r\n") {
            asked.refused = true;
            return match asked.runs[0] {
                None => Ok(()),
                Some(_) => Err(format!("{what} has taken an element and was answered nothing")),
            };
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
            let asked = &self.asked[client][number];
            let excused = self.is_away(asked, &text, epoch_now);
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
        asked.acknowledged = true;
        let element = reply.windows(8).position(|word| word == b"element ").unwrap_or(0);
        if asked.waits && !self.given.insert(reply[element..].to_vec()) {
            return Err(format!("{what} was given what another one was given: {short}"));
        }
        if in_order { self.check_order(client, number) } else { Ok(()) }
    }

    /// Whether a request has run after all that its session was answered before.
    pub(crate) fn check_order(&mut self, client: usize, number: usize) -> Checked {
        let asked = &self.asked[client][number];
        let (Join::Whole, Some(run)) = (asked.join, &asked.runs[0]) else { return Ok(()) };
        let newest = self.acknowledged.entry((client, asked.database, asked.name)).or_default();
        if run.order < *newest {
            let what = format!("request {client}.{number} ({})", asked.args[0].escape_ascii());
            return Err(format!("{what} was overtaken by a later request of its session"));
        }
        *newest = run.order;
        Ok(())
    }

    /// Whether a slot that an error names was away while the request was under way.
    pub(crate) fn is_away(&self, asked: &Asked, error: &str, epoch_now: u64) -> bool {
        (asked.epoch..=epoch_now).any(|epoch| {
            let topology = &self.topologies[epoch as usize];
            asked.keys.iter().any(|&at| {
                let slot = slots::slot(&asked.args[at]);
                error.contains(&format!("slot {slot} "))
                    && matches!(
                        topology.slots[usize::from(slot)].state,
                        SlotState::Offline | SlotState::Migrating { .. }
                    )
            })
        })
    }

    /// Whether the address that an error of a backend names has ever failed.
    pub(crate) fn check_cause(
        &self,
        what: &str,
        error: &str,
        faulty: impl Fn(&str) -> bool,
    ) -> Checked {
        let address = error.strip_prefix("-ERR backend ").unwrap_or_default();
        let address = address.split([' ', ':']).next().unwrap_or_default();
        match faulty(address) {
            true => Ok(()),
            false => {
                let short = &error[..error.len().min(300)];
                Err(format!("{what} failed without a cause: {short}"))
            }
        }
    }
}
