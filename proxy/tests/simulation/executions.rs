//! Transactions at model servers: WATCH, and EXEC of what was queued.

use crate::ledger::{Checked, read_key};
use crate::plan::Bug;
use crate::server::{Conn, Context};

impl Conn {
    pub(crate) fn watch(
        &mut self,
        args: &[Vec<u8>],
        client: usize,
        number: usize,
        context: &mut Context<'_>,
    ) -> Checked<Vec<u8>> {
        let slot = (self.database, read_key(&args[1])?.0.to_string());
        let version = context.store.version(&slot);
        self.watched.push((slot, version));
        let ok = b"+OK\r\n".to_vec();
        context.ledger.asked[client][number].watched = Some((context.server.home, version));
        context.ledger.ran(client, number, 0, ok.clone());
        Ok(ok)
    }

    /// EXEC.
    pub(crate) fn execute(&mut self, context: &mut Context<'_>) -> Checked<Vec<u8>> {
        let queued = self.queued.clone().unwrap_or_default();
        let watched = std::mem::take(&mut self.watched);
        let changed = watched.iter().any(|(slot, version)| context.store.version(slot) != *version);
        if changed && context.bug != Bug::WatchForgotten {
            self.queued = None;
            return Ok(if self.resp3 { b"_\r\n".to_vec() } else { b"*-1\r\n".to_vec() });
        }
        let mut client = 0;
        let mut numbers = Vec::new();
        for args in &queued {
            let (of, number, _) = self.identify(args, context)?;
            client = of;
            numbers.push(number);
        }
        context.ledger.check_execution(client, &numbers)?;
        if let Some(first) = numbers.first() {
            let store = &context.store;
            let version = |watch: &crate::ledger::Asked| {
                let name = read_key(&watch.args[1]).map(|(name, _)| name.to_string());
                store.version(&(watch.database, name.unwrap_or_default()))
            };
            context.ledger.note_execution(client, *first, context.server.home, version);
        }
        let mut whole = format!("*{}\r\n", queued.len()).into_bytes();
        for (place, args) in queued.iter().enumerate() {
            if context.bug == Bug::HalfExecuted && place > 0 && context.rng.u8(..4) == 0 {
                whole.extend_from_slice(b"+OK\r\n");
                continue;
            }
            let name = args[0].to_ascii_uppercase();
            whole.extend(self.run_asked(&name, args, context)?);
        }
        self.queued = None;
        Ok(whole)
    }
}
