//! BLPOP at model servers: who waits for an element, and who is given one.

use crate::ledger::{Checked, Runner, read_key};
use crate::plan::Bug;
use crate::server::{Conn, Context, Slot, Stage, bulk};
use crate::world::{Event, World};

/// A connection's BLPOP that has found nothing yet.
struct Wait {
    conn: usize,
    server: usize,
    slot: Slot,
    /// The request, by its client and number.
    client: usize,
    number: usize,
    serial: u64,
    /// How long it waits, until that is scheduled.
    patience_us: Option<u64>,
}

/// All that wait, oldest first.
#[derive(Default)]
pub(crate) struct Waits {
    list: Vec<Wait>,
    serial: u64,
    /// Connections whose waits CLIENT UNBLOCK has ended.
    unblocked: Vec<usize>,
}

impl Waits {
    /// CLIENT UNBLOCK; answers whether that client waited.
    pub(crate) fn unblock(&mut self, server: usize, conn: usize) -> bool {
        let place = self.list.iter().position(|wait| (wait.server, wait.conn) == (server, conn));
        let ended = place.map(|place| self.list.remove(place));
        self.unblocked.extend(ended.iter().map(|wait| wait.conn));
        ended.is_some()
    }

    /// A connection is gone, and what waits on it.
    pub(crate) fn forget(&mut self, conn: usize) {
        self.list.retain(|wait| wait.conn != conn);
    }
}

impl Conn {
    /// BLPOP; `None` if it has to wait.
    pub(crate) fn wait(
        &mut self,
        args: &[Vec<u8>],
        context: &mut Context<'_>,
    ) -> Checked<Option<Vec<u8>>> {
        let (client, number, _) = self.identify(args, context)?;
        let slot = (self.database, read_key(&args[1])?.0.to_string());
        let list = context.store.lists.get_mut(&slot);
        if let Some(element) = list.and_then(|list| list.pop_front()) {
            let reply = popped(&args[1], &element);
            context.ledger.ran(client, number, 0, reply.clone());
            return Ok(Some(reply));
        }
        let waits = &mut *context.waits;
        waits.serial += 1;
        self.waiting = Some(waits.serial);
        let seconds: f64 = String::from_utf8_lossy(&args[2]).parse().unwrap_or(0.0);
        let patience_us = Some((seconds * 1e6) as u64);
        let (conn, server, serial) = (self.id(), self.server, waits.serial);
        // Whoever has gone is not waited for.
        if !context.given_up {
            waits.list.push(Wait { conn, server, slot, client, number, serial, patience_us });
        }
        Ok(None)
    }
}

fn popped(key: &[u8], element: &[u8]) -> Vec<u8> {
    [b"*2\r\n".to_vec(), bulk(key), bulk(element)].concat()
}

impl World {
    /// What follows from the requests that a server has just run: waits that began, were ended, or have something now.
    pub(crate) fn after_serving(&mut self, server: usize) -> Checked {
        let mut begun = Vec::new();
        for wait in &mut self.waits.list {
            let patience_us = wait.patience_us.take();
            begun.extend(patience_us.map(|patience| (patience, wait.conn, wait.serial)));
        }
        for (patience_us, conn, serial) in begun {
            self.at(self.now + patience_us, Event::WaitEnds(conn, serial));
        }
        for conn in std::mem::take(&mut self.waits.unblocked) {
            self.end_wait(conn, None);
        }
        while self.give_one(server)? {}
        Ok(())
    }

    /// Gives an element to whoever waits for one at a server; answers whether anybody did.
    fn give_one(&mut self, server: usize) -> Checked<bool> {
        let lists = &self.stores[self.servers[server].home].lists;
        let some = |wait: &Wait| lists.get(&wait.slot).is_some_and(|list| !list.is_empty());
        let waits = &self.waits.list;
        let place = waits.iter().position(|wait| wait.server == server && some(wait));
        let Some(place) = place else { return Ok(false) };
        let Wait { conn, slot, client, number, .. } = self.waits.list.remove(place);
        let list = self.stores[self.servers[server].home].lists.get_mut(&slot);
        let element = list.and_then(|list| list.pop_front()).unwrap_or_default();
        if self.plan.bug == Bug::GivenTwice && self.rng.u8(..4) == 0 {
            let lists = &mut self.stores[self.servers[server].home].lists;
            lists.entry(slot).or_default().push_back(element.clone());
        }
        self.check_waiter(conn, client, number)?;
        let reply = popped(&self.ledger.asked[client][number].args[1], &element);
        self.ledger.ran(client, number, 0, reply.clone());
        self.end_wait(conn, Some(reply));
        Ok(true)
    }

    /// Whether a wait may still be given something: it must not be where its slot has gone from, and not have been answered.
    fn check_waiter(&self, conn: usize, client: usize, number: usize) -> Checked {
        let target = &self.conns[conn];
        let asked = &self.ledger.asked[client][number];
        let what = format!("request {client}.{number} (BLPOP)");
        if asked.refused || asked.runs[0].is_some() {
            return Err(format!("{what} takes an element though it was answered"));
        }
        let server = &self.servers[target.server];
        let node = &self.nodes[target.node];
        let given_up = target.stage == Stage::Over || target.closing;
        let runner = Runner {
            address: &server.address,
            database: target.database,
            epoch: node.epoch,
            oldest: if given_up { 0 } else { node.settled.max(self.fences[server.home]) },
            node: target.node,
            primary_only: true,
            resp3: target.resp3,
            in_transaction: false,
        };
        self.ledger
            .check_owner(asked, &asked.args[1], &runner)
            .map_err(|why| format!("{what}: {why}"))
    }

    /// A connection's wait is over, with an element or with nothing.
    fn end_wait(&mut self, conn: usize, reply: Option<Vec<u8>>) {
        let target = &mut self.conns[conn];
        target.waiting = None;
        let nothing = if target.resp3 { b"_\r\n".to_vec() } else { b"*-1\r\n".to_vec() };
        self.conns[conn].quiet_since = self.now;
        self.reply_on(conn, reply.unwrap_or(nothing));
        self.wake_server(conn);
    }

    /// A wait has lasted for as long as it was to.
    pub(crate) fn wait_ends(&mut self, conn: usize, serial: u64) {
        let Some(place) = self.waits.list.iter().position(|wait| wait.serial == serial) else {
            return;
        };
        if self.servers[self.conns[conn].server].frozen {
            return self.at(self.now + 1_000, Event::WaitEnds(conn, serial));
        }
        self.waits.list.remove(place);
        self.end_wait(conn, None);
    }
}
