//! Looking through servers before slots move: what the target has of them, and how much there is to move.

use std::collections::{BTreeMap, BTreeSet};

use codis_proto::{BIG_KEY_PREFIX, CLEAN_KEY};

use super::abilities::Abilities;
use super::exclusion::Moment;
use super::link::CALL_MAX;
use super::net::{Net, Request, Value, request};
use super::plan::{Place, Plan, SlotMove};
use super::slot::{is_hidden, is_reserved, slot};
use super::trouble::Trouble;
use super::walk::{Page, Walk};
use super::weigh::{size_requests, sizes};
use super::{Member, Mover, Servers};
use crate::drive::server::Marks;

/// How many keys are named in a reason, and how much of each.
const NAMED_MAX: usize = 3;
const NAME_BYTES_MAX: usize = 40;

/// One in so many keys is measured: that costs the source more than to find them by SCAN.
const MEASURED: u64 = 16;

/// Keys of a slot on its target that nobody has left over there.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    count: u64,
    named: Vec<(u32, Vec<u8>)>,
}

/// A target as it was found.
#[derive(Debug)]
pub(super) struct Looked {
    /// The run that it was found in.
    pub(super) run_id: String,
    pub(super) release: String,
    pub(super) abilities: Abilities,
    /// By slot.
    pub(super) foreign: BTreeMap<u32, Foreign>,
}

/// What is to move.
#[derive(Debug, Default)]
pub(super) struct Weighed {
    pub(super) keys: u64,
    /// An estimate.
    pub(super) bytes: u64,
    /// Keys among those that were measured that are big by their bytes, with their databases.
    pub(super) big: Vec<(u32, Vec<u8>)>,
}

impl<M: Member, S: Servers, N: Net> Mover<'_, M, S, N> {
    /// Looks for keys of the slots on their target, and removes there what is left over. From then on the target holds the
    /// fence, and is not clean towards the source: of moves the other way nothing late runs any more.
    pub(super) async fn look_at_target(
        &self,
        plan: &Plan,
        moment: &Moment,
        target: &Place,
        slots: &[SlotMove],
    ) -> Result<Looked, Trouble> {
        if plan.fence > 0 {
            let marks = Marks { fence: plan.fence, order: 0 };
            let raised = self.servers.raise(&target.address, marks).await;
            raised.map_err(|error| Trouble::Unfit(error.to_string()))?;
        }
        let mut link = self.open(&target.address).await?;
        let foul = request(&["HDEL", CLEAN_KEY, &plan.source.address]);
        link.all_well_in(0, vec![foul], CALL_MAX).await?;
        let mut looked = Looked {
            run_id: link.run_id.clone(),
            release: link.release.clone(),
            abilities: link.abilities,
            foreign: BTreeMap::new(),
        };
        let leftovers: BTreeMap<u32, bool> =
            slots.iter().map(|one| (one.slot, one.leftovers)).collect();
        let mut walk = Walk::begin(&mut link).await?.with_reserved();
        let mut removals: Vec<(u32, Request)> = Vec::new();
        let mut removed = 0;
        loop {
            let inside = self.exclusion.enter(moment, [plan.source.group, target.group]);
            let _inside = inside.ok_or(Trouble::Stale)?;
            let (answers, page) = walk.next(&mut link, std::mem::take(&mut removals)).await?;
            for answer in answers {
                match answer {
                    Value::Error(why) => return Err(link.refused("UNLINK", &why)),
                    answer => removed += answer.integer().unwrap_or(0),
                }
            }
            let Some(page) = page else { break };
            let old = self.judge(page, &leftovers, &mut looked.foreign);
            removals.extend(unlink(old));
        }
        if removed > 0 {
            let address = &target.address;
            tracing::info!("{removed} keys that earlier moves had left on {address} were removed");
        }
        Ok(looked)
    }

    /// Those of a page that are to be removed; foreign ones are counted.
    fn judge(
        &self,
        page: Page,
        leftovers: &BTreeMap<u32, bool>,
        foreign: &mut BTreeMap<u32, Foreign>,
    ) -> Page {
        let Page { database, keys } = page;
        let is_old = |key: &Vec<u8>| {
            if is_hidden(key) {
                return hidden_term(key).is_none_or(|term| term < self.term);
            }
            if is_reserved(key) {
                return false;
            }
            let number = slot(key);
            match leftovers.get(&number) {
                None => false,
                Some(true) => true,
                Some(false) => {
                    let foreign = foreign.entry(number).or_default();
                    foreign.count += 1;
                    if foreign.named.len() < NAMED_MAX {
                        foreign.named.push((database, key.clone()));
                    }
                    false
                }
            }
        };
        Page { database, keys: keys.into_iter().filter(is_old).collect() }
    }

    /// Counts what the source has of the slots, and estimates the bytes from some of the keys.
    pub(super) async fn weigh_source(
        &self,
        plan: &Plan,
        slots: &BTreeSet<u32>,
    ) -> Result<Weighed, Trouble> {
        let mut link = self.open(&plan.source.address).await?;
        let mut walk = Walk::begin(&mut link).await?;
        let mut estimate = Estimate::default();
        let mut asked = Page::default();
        loop {
            let requests = size_requests(link.abilities, &asked);
            let (answers, page) = walk.next(&mut link, requests).await?;
            let keys = std::mem::take(&mut asked.keys);
            for (bytes, key) in sizes(&link, answers)?.into_iter().zip(keys) {
                // Those that have gone meanwhile have none.
                if let Some(bytes) = bytes {
                    estimate.measured(bytes, (asked.database, key), plan.rules.big_bytes);
                }
            }
            let Some(page) = page else { return Ok(estimate.weighed()) };
            asked.database = page.database;
            let mut keys = page.keys;
            keys.retain(|key| slots.contains(&slot(key)) && estimate.found());
            asked.keys = keys;
        }
    }
}

/// What keys take, by one in [`MEASURED`] of them.
#[derive(Debug, Default)]
struct Estimate {
    keys: u64,
    /// Those that were measured and are not big, and what they take.
    measured: u64,
    bytes: u64,
    /// What those take that are big. They stand for no others.
    big_bytes: u64,
    big: Vec<(u32, Vec<u8>)>,
}

impl Estimate {
    /// Counts a key; answers whether it is to be measured.
    fn found(&mut self) -> bool {
        let measure = self.keys.is_multiple_of(MEASURED);
        self.keys += 1;
        measure
    }

    fn measured(&mut self, bytes: u64, key: (u32, Vec<u8>), big_bytes: u64) {
        if bytes > big_bytes {
            self.big_bytes += bytes;
            self.big.push(key);
        } else {
            self.measured += 1;
            self.bytes += bytes;
        }
    }

    fn weighed(self) -> Weighed {
        let others = u128::from(self.keys.saturating_sub(self.big.len() as u64));
        let bytes = u128::from(self.bytes) * others / u128::from(self.measured.max(1));
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(self.big_bytes);
        Weighed { keys: self.keys, bytes, big: self.big }
    }
}

fn unlink(page: Page) -> Option<(u32, Request)> {
    if page.keys.is_empty() {
        return None;
    }
    let mut request = vec![b"UNLINK".to_vec()];
    request.extend(page.keys);
    Some((page.database, request))
}

/// The term in the name of a hidden key.
fn hidden_term(key: &[u8]) -> Option<u64> {
    let rest = key.strip_prefix(BIG_KEY_PREFIX.as_bytes())?;
    std::str::from_utf8(rest).ok()?.split(':').next()?.parse().ok()
}

impl Foreign {
    /// Why the slot waits, and what to do.
    pub(super) fn reason(&self, address: &str, abilities: Abilities) -> String {
        let named: Vec<String> = self
            .named
            .iter()
            .map(|(database, key)| format!("{} (db {database})", shown(key)))
            .collect();
        let more = if self.count > named.len() as u64 { ", ..." } else { "" };
        let first = self.named.first();
        let (database, key) = first.map_or((0, &[][..]), |(database, key)| (*database, &key[..]));
        let at = match address.rsplit_once(':') {
            Some((host, port)) if !address.starts_with('/') => format!("-h {host} -p {port}"),
            _ => format!("-s {address}"),
        };
        format!(
            "{address} has {} keys of this slot that no move has left there: {}{more}. Save what is wanted and remove \
             them, each as in: redis-cli {at} -n {database} {} {}. Then the slot moves by itself",
            self.count,
            named.join(", "),
            abilities.removal(),
            shown(key),
        )
    }
}

/// A key as a shell and redis-cli take it, cut off where it is long.
fn shown(key: &[u8]) -> String {
    let text: String = key.escape_ascii().to_string();
    let cut: String = text.chars().take(NAME_BYTES_MAX).collect();
    if cut.len() < text.len() { format!("\"{cut}...\"") } else { format!("\"{cut}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_some_keys_and_the_command_that_removes_them() {
        let named = vec![(0, b"a\x00b".to_vec()), (3, vec![b'x'; 100])];
        let foreign = Foreign { count: 9, named };
        let reason = foreign.reason("10.0.0.2:6379", Abilities::default());
        assert!(reason.contains("has 9 keys") && reason.contains(r#""a\x00b" (db 0)"#), "{reason}");
        assert!(reason.contains("redis-cli -h 10.0.0.2 -p 6379 -n 0 DEL"), "{reason}");
        assert!(reason.len() < 500, "{reason}");
    }

    #[test]
    fn bytes_are_estimated_from_some_keys_and_big_ones_stand_for_themselves() {
        let mut estimate = Estimate::default();
        for number in 0..3200_u64 {
            if estimate.found() {
                let bytes = if number == 0 { 5000 } else { 100 };
                estimate.measured(bytes, (0, number.to_string().into_bytes()), 1000);
            }
        }
        let Weighed { keys, bytes, big } = estimate.weighed();
        assert_eq!((keys, bytes), (3200, 5000 + 3199 * 100));
        assert_eq!(big, [(0, b"0".to_vec())]);
    }

    #[test]
    fn nothing_takes_nothing() {
        let Weighed { keys, bytes, big } = Estimate::default().weighed();
        assert_eq!((keys, bytes, big.len()), (0, 0, 0));
    }

    #[test]
    fn the_term_of_a_hidden_key_is_in_its_name() {
        assert_eq!(hidden_term(format!("{BIG_KEY_PREFIX}17:3").as_bytes()), Some(17));
        assert_eq!(hidden_term(format!("{BIG_KEY_PREFIX}x").as_bytes()), None);
    }
}
