//! Clients that wait for elements of lists: BLPOP, and BLMOVE from one list to another.

use crate::answers::learn;
use crate::clients::{Asked, Question, Wait};
use crate::history::{OPERATIONS_MAX, What};
use crate::plan::Key;
use crate::server::reply::{Reply, request};
use crate::world::World;

impl World {
    /// BLPOP, or BLMOVE where the list is the first of a pair.
    pub(crate) fn ask_pop(&mut self, client: usize, key: Key) {
        if self.histories.len(&key.place) >= OPERATIONS_MAX {
            return;
        }
        let timeout_ms = if self.rng.u8(..3) == 0 { 0 } else { self.rng.u64(1..600) };
        let timeout = match timeout_ms {
            0 => "0".into(),
            _ => format!("{}.{:03}", timeout_ms / 1_000, timeout_ms % 1_000),
        };
        let pair = self.plan.pairs.iter().find(|(first, _)| *first == key.place);
        let second = pair.map(|(_, second)| second.1.clone()).filter(|_| self.rng.u8(..4) != 0);
        let (words, what) = match &second {
            None => (request(&[&b"BLPOP"[..], &key.place.1]), What::Pop(None)),
            Some(second) => (
                request(&[&b"BLMOVE"[..], &key.place.1, second, b"LEFT", b"RIGHT"]),
                What::Transfer(None),
            ),
        };
        let session = self.session_of(client);
        let number = self.histories.call(&key.place, what, self.now, session);
        let wait = Wait { timeout_us: 1_000 * timeout_ms, released: false };
        let words = [words, vec![timeout.into_bytes()]].concat();
        self.ask(client, &words, Question::Pop(wait), vec![(key, number)]);
    }

    /// Nothing may be answered before its time, unless somebody has ended the wait.
    pub(crate) fn check_patience(
        &mut self,
        client: usize,
        wait: Wait,
        asked: &Asked,
        reply: &Reply,
    ) {
        let Wait { timeout_us, released } = wait;
        let waited = self.now - asked.since;
        if *reply == Reply::Nil && !released && (timeout_us == 0 || waited < timeout_us) {
            let wanted = format!("{waited} us and not {timeout_us}");
            self.fail(format!("client {client} was let wait for {wanted}"));
        }
    }

    pub(crate) fn take_popped(&mut self, client: usize, wait: Wait, asked: &Asked, reply: Reply) {
        self.check_patience(client, wait, asked, &reply);
        let whole = format!("{reply:?}");
        match reply {
            Reply::Error(words) if words.contains("may have run") => {}
            Reply::Error(_) => self.did_not_happen(asked),
            // It may have been ended before a server has looked.
            Reply::Nil if wait.released => self.did_not_happen(asked),
            reply => {
                let now = self.now;
                let (key, number) = &asked.operations[0];
                let operation = self.histories.operation(&key.place, *number);
                operation.answered = now;
                if !learn(&mut operation.what, Some(reply), 1) {
                    self.fail(format!("client {client} was sent {whole} for an element"));
                }
            }
        }
    }
}
