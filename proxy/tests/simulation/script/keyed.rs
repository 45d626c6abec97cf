//! Requests that go to servers.

use super::{Expect, Made, Script, Sheet, filler};
use crate::ledger::{Asked, Join, key};

/// How long BLPOP waits at most, in the ways that clients write it.
const TIMEOUTS: [&str; 5] = ["0.001", "0.03", "0.4", "1", "2.000"];

impl Script {
    fn value(&mut self, number: usize) -> Vec<u8> {
        let len = match self.rng.u8(..20) {
            0..14 => self.rng.usize(..40),
            14..19 => self.rng.usize(..3_000),
            _ if self.large => self.rng.usize(60_000..400_000),
            _ => self.rng.usize(..8_000),
        };
        filler(self.client, number, len)
    }

    fn many(&mut self, number: usize, count: usize) -> Vec<Vec<u8>> {
        let mut one = |place| {
            let name = self.pick();
            key(&self.names[name], self.client, number, place)
        };
        (0..count).map(&mut one).collect()
    }

    /// A name; in a transaction it is that of all its keys.
    fn pick(&mut self) -> usize {
        self.only.unwrap_or_else(|| self.rng.usize(..self.names.len()))
    }

    /// A request that goes to a server.
    pub(super) fn keyed(&mut self, sheet: &mut Sheet<'_>) -> Made {
        let number = sheet.asked.len();
        let name = self.pick();
        let one = key(&self.names[name], self.client, number, 0);
        let count =
            if self.rng.u8(..4) == 0 { self.rng.usize(1..=20) } else { self.rng.usize(1..=4) };
        let mut join = Join::Whole;
        let mut keys = vec![1];
        let mut write = false;
        // In a transaction nothing waits, so that nothing shows there.
        let waits = self.only.is_none() && self.rng.u8(..24) == 0;
        let mut args: Vec<Vec<u8>> = match self.rng.u8(..17) {
            _ if waits => {
                write = true;
                let timeout = TIMEOUTS[self.rng.usize(..TIMEOUTS.len())];
                vec![b"BLPOP".to_vec(), one, timeout.as_bytes().to_vec()]
            }
            // A command that only the servers know.
            0 if self.only.is_none() && !self.calm && self.rng.bool() => {
                vec![b"SIM.GET".to_vec(), one]
            }
            0..3 => vec![b"GET".to_vec(), one],
            3..5 => {
                write = true;
                vec![b"set".to_vec(), one, self.value(number)]
            }
            5 => {
                write = true;
                vec![b"APPEND".to_vec(), one, self.value(number)]
            }
            6 => {
                write = true;
                vec![b"INCR".to_vec(), one]
            }
            7 => {
                let len = if self.large && self.rng.bool() {
                    self.rng.usize(..600_000)
                } else {
                    self.rng.usize(..5_000)
                };
                vec![b"GETRANGE".to_vec(), one, b"0".to_vec(), len.to_string().into_bytes()]
            }
            8 => vec![
                b"LRANGE".to_vec(),
                one,
                b"0".to_vec(),
                self.rng.usize(..60).to_string().into_bytes(),
            ],
            9 => {
                // Two keys of one slot.
                let other = key(&self.names[name], self.client, number, 1);
                write = true;
                vec![b"RENAME".to_vec(), one, other]
            }
            10 => {
                write = true;
                keys = vec![3];
                vec![b"EVAL".to_vec(), b"return 1".to_vec(), b"1".to_vec(), one, b"x".to_vec()]
            }
            11 => {
                write = true;
                let element = format!("element {}.{number}", self.client).into_bytes();
                vec![b"RPUSH".to_vec(), one, element]
            }
            12..14 => {
                join = Join::Values;
                [vec![b"MGET".to_vec()], self.many(number, count)].concat()
            }
            14 => {
                join = Join::Ok;
                write = true;
                let keys = self.many(number, count);
                let mut args = vec![b"MSET".to_vec()];
                for key in keys {
                    args.push(key);
                    // Of many values none is large, as they stand in one request.
                    let value = self.value(number);
                    args.push(value[..value.len().min(1_000)].to_vec());
                }
                args
            }
            _ => {
                join = Join::Sum;
                let command = [&b"DEL"[..], b"EXISTS", b"unlink", b"TOUCH"][self.rng.usize(..4)];
                write = command == b"DEL" || command == b"unlink";
                [vec![command.to_vec()], self.many(number, count)].concat()
            }
        };
        if join != Join::Whole {
            let stride = if join == Join::Ok { 2 } else { 1 };
            keys = (1..args.len()).step_by(stride).collect();
        }
        if self.rng.u8(..8) == 0 {
            args[0] = args[0]
                .iter()
                .map(|byte| {
                    if byte.is_ascii_alphabetic() && self.rng.bool() { byte ^ 0x20 } else { *byte }
                })
                .collect();
        }
        let visible = self.visible();
        let slices: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        let bytes = self.encode(&slices);
        sheet.asked.push(Asked {
            args,
            join,
            runs: (0..if join == Join::Whole { 1 } else { keys.len() }).map(|_| None).collect(),
            keys,
            name,
            write,
            database: self.database,
            node: sheet.node,
            epoch: sheet.epoch,
            refused: self.over,
            resp3: self.resp3,
            waits,
            transaction: None,
            watched: None,
            acknowledged: false,
        });
        Made { bytes, expect: (visible && !self.over).then_some(Expect::Asked(number)) }
    }
}
