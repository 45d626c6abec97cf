//! Big keys: copied in pieces to a hidden name on the target, while the source serves reads; then switched.
//!
//! The source's key is watched from before the first piece to after the last, on the connection that reads it. If
//! anything touched it, all begins anew. The switch is one transaction on the target, and what the
//! target has under the name already wins. See docs/migration.md.
//!
//! A transaction whose answer was lost may run late. It can do no harm once its hidden key is gone, and that is
//! seen to before the next attempt: a connection that is opened in place of a lost one removes it first (see [`super::copies`]).

mod chunk;
mod copy;
mod elements;
mod stream;
mod whole;

use std::time::Duration;

use codis_proto::moves::free_arguments;

use super::copies::Copy;
use super::exclusion::{Inside, Moment};
use super::link::{CALL_MAX, Link};
use super::net::{Net, Value, request};
use super::plan::{Place, Plan};
use super::settle::{self, Waiter};
use super::source::Lookout;
use super::trouble::Trouble;
use super::{Member, Mover, Servers};
use copy::Copying;

/// How often a key that is touched in the middle is begun anew before others get their turn.
const ATTEMPTS_MAX: usize = 5;

/// What became of an attempt.
enum Attempt {
    /// The key is at the target, or is not on the source any more.
    Over,
    /// It was touched meanwhile.
    Touched,
    /// It cannot be taken apart.
    Indivisible,
}

impl<M: Member, S: Servers, N: Net> Mover<'_, M, S, N> {
    /// Moves a big key of the source to its target.
    pub(super) async fn move_big(
        &self,
        plan: &Plan,
        moment: &Moment,
        target: &Place,
        database: u32,
        key: &[u8],
        lookout: &mut Lookout,
    ) -> Result<(), Trouble> {
        self.board.doing(plan.source.group, "moving a big key");
        let began = self.net.now();
        for _ in 0..ATTEMPTS_MAX {
            lookout.look(self, plan).await?;
            let way = Way { plan, moment, target, database, key };
            match self.attempt(&way, lookout).await? {
                Attempt::Over => {
                    let took = self.net.now().saturating_sub(began);
                    let shown = key.escape_ascii().to_string();
                    tracing::info!("the big key {shown:.60} has moved within {took:?}");
                    self.board.doing(plan.source.group, "moving");
                    return Ok(());
                }
                Attempt::Touched => {}
                Attempt::Indivisible => return self.move_whole(&way).await,
            }
        }
        // The next pass finds it again.
        tracing::info!("a big key was touched in the middle of each of {ATTEMPTS_MAX} copies");
        Ok(())
    }

    async fn attempt(&self, way: &Way<'_>, lookout: &mut Lookout) -> Result<Attempt, Trouble> {
        let mut source = self.open(&way.plan.source.address).await?;
        let mut target = self.open(&way.target.address).await?;
        let watch = vec![
            vec![b"WATCH".to_vec(), way.key.to_vec()],
            vec![b"TYPE".to_vec(), way.key.to_vec()],
        ];
        let kind = source.all_well_in(way.database, watch, CALL_MAX).await?.pop();
        let kind = kind.and_then(Value::into_bytes).unwrap_or_default();
        if kind == b"none" {
            return Ok(Attempt::Over);
        }
        let copy = self.hosts.copies.begin(self.term);
        self.copy_and_switch(way, (&mut source, &mut target), &kind, &copy, lookout).await
    }

    async fn copy_and_switch(
        &self,
        way: &Way<'_>,
        (source, target): (&mut Link<N::Connection>, &mut Link<N::Connection>),
        kind: &[u8],
        copy: &Copy<'_>,
        lookout: &mut Lookout,
    ) -> Result<Attempt, Trouble> {
        target.ask_well(copy.announcement(way.database).into(), CALL_MAX).await?;
        let hidden = copy.name();
        let rest = Duration::ZERO;
        let mut copying = Copying { mover: self, way, source, target, hidden, lookout, rest };
        if !copying.run(kind).await? {
            return Ok(Attempt::Indivisible);
        }
        let Copying { source, target, .. } = copying;
        let outcome = match self.untouched(way, source).await? {
            None => Attempt::Touched,
            Some(left) => {
                self.switch(way, target, hidden, left).await?;
                self.settle(&mut Waiter::default(), &way.plan.rules, way.target).await?;
                let _inside = self.inside(way)?;
                self.free_old(way, source).await?;
                Attempt::Over
            }
        };
        target.ask_well(copy.removal(way.database).into(), CALL_MAX).await?;
        Ok(outcome)
    }

    /// Removes the old copy of a key that is safe on its target. Refused where a MIGRATE may still bring it back there.
    async fn free_old(
        &self,
        way: &Way<'_>,
        source: &mut Link<N::Connection>,
    ) -> Result<(), Trouble> {
        let address = &way.target.address;
        let big = way.plan.rules.big_bytes;
        let free = free_arguments(&source.run_id, address, way.database, way.key, big);
        source.all_well_in(way.database, vec![free], CALL_MAX).await?;
        Ok(())
    }

    /// Enters the groups that the key moves between.
    fn inside(&self, way: &Way<'_>) -> Result<Inside<'_>, Trouble> {
        let groups = [way.plan.source.group, way.target.group];
        self.exclusion.enter(way.moment, groups).ok_or(Trouble::Stale)
    }

    /// Whether nothing has touched the key since it is watched; then how long it has to live, -1 for ever.
    async fn untouched(
        &self,
        way: &Way<'_>,
        source: &mut Link<N::Connection>,
    ) -> Result<Option<i64>, Trouble> {
        let ask =
            vec![request(&["MULTI"]), vec![b"PTTL".to_vec(), way.key.to_vec()], request(&["EXEC"])];
        let done = source.all_well_in(way.database, ask, CALL_MAX).await?.pop();
        let left = done.and_then(Value::into_items);
        // -2 for one that has expired in this very moment.
        Ok(left.and_then(|items| items.first()?.integer()).filter(|left| *left != -2))
    }

    /// Gives the copy the key's name, unless the target has such a key.
    async fn switch(
        &self,
        way: &Way<'_>,
        target: &mut Link<N::Connection>,
        hidden: &[u8],
        left: i64,
    ) -> Result<(), Trouble> {
        let _inside = self.inside(way)?;
        let mut ask = vec![request(&["MULTI"])];
        if left >= 0 {
            let left = left.max(1).to_string();
            ask.push(vec![b"PEXPIRE".to_vec(), hidden.to_vec(), left.into_bytes()]);
        }
        ask.push(vec![b"RENAMENX".to_vec(), hidden.to_vec(), way.key.to_vec()]);
        ask.push(request(&["EXEC"]));
        let done = target.all_well_in(way.database, ask, CALL_MAX).await?.pop();
        let renamed = done.and_then(Value::into_items).and_then(|mut items| items.pop());
        match renamed {
            // 0 where the target's own wins.
            Some(Value::Integer(_)) => Ok(()),
            Some(Value::Error(why)) => Err(target.refused("RENAMENX", &why)),
            _ => Err(target.refused("EXEC", "not as Redis answers it")),
        }
    }
}

/// From where to where a key moves.
pub(super) struct Way<'a> {
    plan: &'a Plan,
    moment: &'a Moment,
    target: &'a Place,
    database: u32,
    key: &'a [u8],
}

/// How long a server may take for a piece.
const PIECE_MAX: Duration = Duration::from_secs(5);
