//! What takes a client several requests: WATCH, MULTI and what is queued, EXEC or DISCARD; one by one or all at once, as its
//! window has it.

use super::{Expect, Made, Script, Sheet, bulk};
use crate::ledger::{Asked, Join, key};
use crate::transactions::{Item, Transaction};
use codis_proxy::slots::slot;

/// How far a client has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    Nothing,
    /// It has said WATCH, and wants so many requests more before MULTI.
    Watches(usize),
    /// It has said MULTI, and wants to queue so many requests more.
    Queues(usize),
}

const QUEUED: &[u8] = b"+QUEUED\r\n";

impl Script {
    pub(super) fn has_begun(&self) -> bool {
        self.begun != Begun::Nothing
    }

    /// MULTI, or WATCH before it; all keys from here to EXEC have one name.
    pub(super) fn begin(&mut self, sheet: &mut Sheet<'_>) -> Made {
        let name = self.rng.usize(..self.names.len());
        self.only = Some(name);
        sheet.transactions.push(Transaction::default());
        match self.rng.u8(..3) {
            0 => self.watch(name, sheet),
            _ => self.multi(),
        }
    }

    fn watch(&mut self, name: usize, sheet: &mut Sheet<'_>) -> Made {
        let number = sheet.asked.len();
        let args = vec![b"WATCH".to_vec(), key(&self.names[name], self.client, number, 0)];
        let slices: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        let bytes = self.encode(&slices);
        sheet.asked.push(Asked {
            args,
            join: Join::Whole,
            runs: vec![None],
            keys: vec![1],
            name,
            write: true,
            database: self.database,
            node: sheet.node,
            epoch: sheet.epoch,
            refused: false,
            resp3: self.resp3,
            waits: false,
            transaction: None,
            watched: None,
            acknowledged: false,
        });
        if let Some(transaction) = sheet.transactions.last_mut() {
            transaction.watch = Some(number);
        }
        self.begun = Begun::Watches(self.rng.usize(..3));
        Made { bytes, expect: Some(Expect::Asked(number)) }
    }

    fn multi(&mut self) -> Made {
        self.begun = Begun::Queues(self.rng.usize(..5));
        self.exactly(&[b"multi"], b"+OK\r\n")
    }

    /// The next request of what was begun.
    pub(super) fn go_on(&mut self, sheet: &mut Sheet<'_>) -> Made {
        match self.begun {
            Begun::Watches(0) if self.rng.u8(..8) == 0 => {
                self.end();
                self.exactly(&[b"UNWATCH"], b"+OK\r\n")
            }
            Begun::Watches(0) | Begun::Nothing => self.multi(),
            Begun::Watches(more) => {
                self.begun = Begun::Watches(more - 1);
                self.keyed(sheet)
            }
            Begun::Queues(0) => self.exec_or_discard(sheet),
            Begun::Queues(more) => {
                self.begun = Begun::Queues(more - 1);
                self.queue(sheet)
            }
        }
    }

    fn end(&mut self) {
        self.begun = Begun::Nothing;
        self.only = None;
    }

    fn exec_or_discard(&mut self, sheet: &mut Sheet<'_>) -> Made {
        if self.rng.u8(..8) == 0 {
            self.leave_begun(sheet);
            return self.exactly(&[b"DISCARD"], b"+OK\r\n");
        }
        self.end();
        let number = sheet.transactions.len() - 1;
        self.made(&[b"exec"], Expect::Executed(number))
    }

    /// Nothing of what was queued may run.
    pub(super) fn leave_begun(&mut self, sheet: &mut Sheet<'_>) {
        if self.has_begun()
            && let Some(transaction) = sheet.transactions.last()
        {
            transaction.refuse(sheet.asked);
        }
        self.end();
    }

    fn queue(&mut self, sheet: &mut Sheet<'_>) -> Made {
        let tag = format!("{}-{}", self.client, self.left);
        match self.rng.u8(..24) {
            0..2 => self.queue_own(sheet, &[b"PING"], b"+PONG\r\n"),
            2..4 => self.queue_own(sheet, &[b"ECHO", tag.as_bytes()], &bulk(tag.as_bytes())),
            4 => self.made(&[b"MULTI"], Expect::Starts("-ERR MULTI calls can not be nested")),
            5 => self.made(&[b"WATCH", b"x"], Expect::Starts("-ERR WATCH inside MULTI is not ")),
            6 => self.spoil(sheet, &[b"NOSUCH"], "-ERR unknown command"),
            7 => self.spoil(sheet, &[b"GET"], "-ERR wrong number of arguments for 'get'"),
            8 => self.cross(sheet),
            _ => self.queue_keyed(sheet),
        }
    }

    /// What the proxy answers itself.
    fn queue_own(&mut self, sheet: &mut Sheet<'_>, args: &[&[u8]], reply: &[u8]) -> Made {
        if let Some(transaction) = sheet.transactions.last_mut() {
            transaction.items.push(Item::Exactly(reply.to_vec()));
        }
        self.exactly(args, QUEUED)
    }

    fn queue_keyed(&mut self, sheet: &mut Sheet<'_>) -> Made {
        let number = sheet.asked.len();
        let Made { bytes, .. } = self.keyed(sheet);
        let which = sheet.transactions.len() - 1;
        sheet.asked[number].transaction = Some(which);
        sheet.transactions[which].items.push(Item::Asked(number));
        Made { bytes, expect: Some(Expect::Exactly(QUEUED.to_vec())) }
    }

    /// What cannot be queued: nothing of the transaction will run.
    fn spoil(&mut self, sheet: &mut Sheet<'_>, args: &[&[u8]], error: &'static str) -> Made {
        if let Some(transaction) = sheet.transactions.last_mut() {
            transaction.spoilt = true;
            transaction.refuse(sheet.asked);
        }
        self.made(args, Expect::Starts(error))
    }

    /// A key of another slot, if there is one.
    fn cross(&mut self, sheet: &mut Sheet<'_>) -> Made {
        let of = |name: &String| slot(name.as_bytes());
        let own = self.only.map(|name| of(&self.names[name]));
        let other = self.names.iter().find(|name| Some(of(name)) != own).cloned();
        // The first key decides the slot, unless nothing counts any more. (WATCH may have been refused.)
        let decided = |transaction: &Transaction| {
            transaction.numbers().next().is_some() && !transaction.spoilt
        };
        match other {
            Some(other) if sheet.transactions.last().is_some_and(decided) => {
                let key = format!("{{{other}}}");
                self.spoil(sheet, &[b"GET", key.as_bytes()], "-CROSSSLOT ")
            }
            _ => self.queue_keyed(sheet),
        }
    }
}
