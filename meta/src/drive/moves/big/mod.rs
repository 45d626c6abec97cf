//! Big keys.

use codis_proto::moves::{Moved, Script};

use super::exclusion::Moment;
use super::link::CALL_MAX;
use super::net::{Net, Value};
use super::plan::{Place, Plan, Rules};
use super::settle::{self, Waiter};
use super::source::Lookout;
use super::trouble::Trouble;
use super::{Member, Mover, Servers};

impl<M: Member, S: Servers, N: Net> Mover<'_, M, S, N> {
    /// Moves a big key of the source to its target.
    pub(super) async fn move_big(
        &self,
        plan: &Plan,
        moment: &Moment,
        target: &Place,
        database: u32,
        key: &[u8],
        _lookout: &mut Lookout,
    ) -> Result<(), Trouble> {
        self.move_whole(plan, moment, target, database, key).await
    }

    /// Moves a key in one piece, however big it is.
    async fn move_whole(
        &self,
        plan: &Plan,
        moment: &Moment,
        target: &Place,
        database: u32,
        key: &[u8],
    ) -> Result<(), Trouble> {
        let mut source = self.open(&plan.source.address).await?;
        let inside = self.exclusion.enter(moment, [plan.source.group, target.group]);
        let _inside = inside.ok_or(Trouble::Stale)?;
        let rules = Rules {
            big_bytes: u64::from(u32::MAX) << 20,
            big_elements: u64::from(u32::MAX) << 20,
            ..plan.rules.clone()
        };
        let keys = [key.to_vec()];
        let run_id = source.run_id.clone();
        let what = (database, &keys[..], Script::Text);
        let Some(request) = self.move_request(&rules, target, &run_id, what) else {
            return Err(Trouble::Unfit(format!(
                "{} is no address that another server can move keys to",
                target.address
            )));
        };
        let answer = source.ask(vec![(database, request)], CALL_MAX * 60).await?.pop();
        let outcome = match answer {
            Some(Value::Error(why)) => return Err(source.refused("the move script", &why)),
            answer => answer.and_then(Value::into_items).unwrap_or_default(),
        };
        match outcome.first().and_then(Value::integer).and_then(Moved::from_number) {
            Some(Moved::There | Moved::WasThere) if settle::is_needed(&rules, target) => {
                self.settle(&mut Waiter::default(), &rules, target).await?;
                let unlink = vec![b"UNLINK".to_vec(), key.to_vec()];
                source.all_well_in(database, vec![unlink], CALL_MAX).await?;
                Ok(())
            }
            Some(Moved::There | Moved::WasThere | Moved::NotHere) => Ok(()),
            _ => {
                let words = outcome.last().and_then(Value::text).unwrap_or_default();
                Err(Trouble::Unfit(format!("{} does not take a key: {words}", target.address)))
            }
        }
    }
}
