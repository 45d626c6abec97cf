//! Whether keys can move from one server to another at all: tried before any client is held up for it.
//!
//! What a source writes, a target of an older release cannot read. And a source that cannot give a password with
//! MIGRATE, as Redis could not before 4.0.7, needs a target that takes keys the way Codis's own servers hand them on.
//! See docs/migration.md.

use codis_proto::{BIG_KEY_PREFIX, CLEAN_KEY, MOVER_KEY};

use super::clean::MARK;
use super::exclusion::Moment;
use super::link::{CALL_MAX, Link};
use super::net::{Connection, Net, Value, request};
use super::plan::{Place, Plan};
use super::settle;
use super::survey::Looked;
use super::trouble::Trouble;
use super::{Member, Mover, Servers};

/// How long a key may live that is made to see whether it can be.
const TRIED_MS: &str = "1";

impl<M: Member, S: Servers, N: Net> Mover<'_, M, S, N> {
    /// Refuses a pair that no key can move between. `rested` says that no slot is on this way yet.
    pub(super) async fn try_pair(
        &self,
        source: &mut Link<N::Connection>,
        (plan, moment): (&Plan, &Moment),
        (place, looked): (&Place, &Looked),
        rested: bool,
    ) -> Result<(), Trouble> {
        let inside = self.exclusion.enter(moment, [plan.source.group, place.group]);
        let _inside = inside.ok_or(Trouble::Stale)?;
        if source.release != looked.release {
            self.try_dump(source, place).await?;
        }
        if self.password.is_empty() || self.gives_password(source).await? {
            return Ok(());
        }
        let copies = settle::is_needed(&plan.rules, place);
        refuse_codis_way(source, (&place.address, looked), copies)?;
        if rested {
            let field = format!("{} began", place.address);
            let mark = request(&["EVAL", MARK, "1", CLEAN_KEY, &field, &source.run_id]);
            source.all_well_in(0, vec![mark], CALL_MAX).await?;
        }
        Ok(())
    }

    /// Has the target read something that the source has written.
    async fn try_dump(
        &self,
        source: &mut Link<N::Connection>,
        place: &Place,
    ) -> Result<(), Trouble> {
        let mut target = self.open(&place.address).await?;
        let dump = source.all_well_in(0, vec![request(&["DUMP", MOVER_KEY])], CALL_MAX).await?;
        let Some(dump) = dump.into_iter().next().and_then(Value::into_bytes) else {
            return Err(source.refused("DUMP", "the key that was just written is not there"));
        };
        let name = format!("{BIG_KEY_PREFIX}{}:tried", self.term);
        let mut restore = request(&["RESTORE", &name, TRIED_MS]);
        restore.push(dump);
        let ask = vec![(0, restore), (0, request(&["UNLINK", &name]))];
        match target.ask(ask, CALL_MAX).await?.into_iter().next() {
            Some(Value::Error(why)) if why.contains("DUMP payload") => {
                Err(Trouble::Unfit(format!(
                    "{} cannot read what {} writes ({why}), as it is of an older release: move keys to servers of the \
                 same release or a newer one",
                    target.address(),
                    source.address()
                )))
            }
            Some(Value::Error(why)) => Err(target.refused("RESTORE", &why)),
            _ => Ok(()),
        }
    }

    /// Whether MIGRATE there has a word for the target's password.
    async fn gives_password(&self, source: &mut Link<N::Connection>) -> Result<bool, Trouble> {
        // There is no such key, so that nobody is connected to.
        let name = format!("{BIG_KEY_PREFIX}{}:none", self.term);
        let ask = ["MIGRATE", "127.0.0.1", "1", "", "0", "1", "AUTH", "x", "KEYS", &name];
        match source.ask(vec![(0, request(&ask))], CALL_MAX).await?.pop() {
            Some(Value::Error(why)) if why.starts_with("ERR syntax error") => Ok(false),
            Some(Value::Error(why)) => Err(source.refused("MIGRATE", &why)),
            _ => Ok(true),
        }
    }
}

/// Refuses a pair for which Codis's own way will not do.
fn refuse_codis_way<C: Connection>(
    source: &Link<C>,
    (to, looked): (&str, &Looked),
    copies: bool,
) -> Result<(), Trouble> {
    let from = source.address();
    if !source.abilities.codis || !looked.abilities.codis {
        return Err(Trouble::Unfit(format!(
            "{from} cannot give {to} its password, as MIGRATE could not before Redis 4.0.7, and not both are Codis \
             servers: make a server of a newer release a replica of {from} and promote it, or run both without \
             requirepass (and product_auth) while slots move"
        )));
    }
    if copies {
        return Err(Trouble::Unfit(format!(
            "{from} can move keys by SLOTSMGRTONE only, as its MIGRATE gives no password, and they leave it before a \
             replica of {to} has them: if that will do, `codis-admin config set migration_durability=none`"
        )));
    }
    Ok(())
}
