//! Keys that cannot be taken apart, those of modules: they move in one piece, however big they are.

use codis_proto::moves::{Moved, Script};

use super::{CALL_MAX, Member, Mover, Net, Servers, Trouble, Value, Waiter, Way, settle};
use crate::drive::moves::plan::Rules;

impl<M: Member, S: Servers, N: Net> Mover<'_, M, S, N> {
    pub(super) async fn move_whole(&self, way: &Way<'_>) -> Result<(), Trouble> {
        let shown = way.key.escape_ascii().to_string();
        tracing::warn!(
            "the big key {shown:.60} is of a type that cannot move in pieces: it is moved in one, for which both \
             servers stand still"
        );
        let mut source = self.open(&way.plan.source.address).await?;
        let _inside = self.inside(way)?;
        let no_limit = u64::from(u32::MAX) << 20;
        let rules = Rules { big_bytes: no_limit, big_elements: no_limit, ..way.plan.rules.clone() };
        let keys = [way.key.to_vec()];
        let run_id = source.run_id.clone();
        let what = (way.database, &keys[..], Script::Text);
        let address = &way.target.address;
        let Some(request) = self.move_request(&rules, way.target, &run_id, what) else {
            let why = format!("{address} is no address that another server can move keys to");
            return Err(Trouble::Unfit(why));
        };
        let answer = source.ask(vec![(way.database, request)], CALL_MAX * 60).await?.pop();
        let outcome = match answer {
            Some(Value::Error(why)) => return Err(source.refused("the move script", &why)),
            answer => answer.and_then(Value::into_items).unwrap_or_default(),
        };
        match outcome.first().and_then(Value::integer).and_then(Moved::from_number) {
            Some(Moved::There | Moved::WasThere) if settle::is_needed(&rules, way.target) => {
                self.settle(&mut Waiter::default(), &rules, way.target).await?;
                self.free_old(way, &mut source).await
            }
            Some(Moved::There | Moved::WasThere | Moved::NotHere) => Ok(()),
            _ => {
                let words = outcome.last().and_then(Value::text).unwrap_or_default();
                Err(Trouble::Unfit(format!("{address} does not take a key: {words}")))
            }
        }
    }
}
