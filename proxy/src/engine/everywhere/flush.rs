//! FLUSHDB and FLUSHALL: all keys of all groups go, but for those of the metadata group.
//!
//! The reserved keys hold what keeps deposed leaders, and proxies that were shut out, from servers. They must not
//! be away for a moment, so each master flushes by a script, which puts them back within the same step, there and at its
//! replicas.

use super::super::Engine;
use super::super::dispatch::Flow;
use super::Work;
use super::merge::Rule;
use crate::command::{CommandId, Everywhere};
use crate::resp::{Request, write};
use crate::topology::SlotState;
use codis_proto::RESERVED_KEYS;

/// Flushes and puts the reserved keys back.
///
/// FLUSHALL becomes a FLUSHDB of each database: it would also write a snapshot of the empty server, which has no
/// reserved keys. Nothing that writes comes before the first FLUSHDB, so that whatever forbids a script to write stops it
/// before that; and once a script has written, it is not stopped for want of memory any more.
const SCRIPT: &str = "\
if redis.replicate_commands then redis.replicate_commands() end
if ARGV[1] == 'ALL' then redis.call('SELECT', '0') end
local kept = {}
for _, key in ipairs(KEYS) do
  local dump = redis.call('DUMP', key)
  if dump then kept[#kept + 1] = { key, dump, redis.call('PTTL', key) } end
end
local function flush()
  if ARGV[2] == '' then redis.call('FLUSHDB') else redis.call('FLUSHDB', ARGV[2]) end
end
if ARGV[1] == 'ALL' then
  for database in string.gmatch(redis.call('INFO', 'keyspace'), 'db(%d+):') do
    redis.call('SELECT', database)
    flush()
  end
  redis.call('SELECT', '0')
else
  flush()
end
for _, entry in ipairs(kept) do
  redis.call('RESTORE', entry[1], math.max(entry[3], 0), entry[2])
end
return redis.status_reply('OK')";

impl Engine {
    /// Runs `FLUSHDB [ASYNC|SYNC]` or `FLUSHALL [ASYNC|SYNC]`.
    pub(super) fn flush(
        &mut self,
        session: u32,
        id: CommandId,
        what: Everywhere,
        request: &Request<'_>,
    ) -> Flow {
        let mode: &[u8] = match request.len() {
            1 => b"",
            2 if request.arg(1).eq_ignore_ascii_case(b"async") => b"ASYNC",
            2 if request.arg(1).eq_ignore_ascii_case(b"sync") => b"SYNC",
            _ => return self.reject(session, id, "ERR syntax error"),
        };
        if let Some(text) = self.why_no_flush(id) {
            return self.reject(session, id, &text);
        }
        let database = self.sessions[session as usize].database;
        let mut bytes = Vec::new();
        if what == Everywhere::FlushDb && database != 0 {
            // No reserved keys are there.
            let words: &[&[u8]] = if mode.is_empty() { &[b"FLUSHDB"] } else { &[b"FLUSHDB", mode] };
            write::request(&mut bytes, words);
        } else {
            let scope: &[u8] = if what == Everywhere::FlushAll { b"ALL" } else { b"ONE" };
            flush_by_script(&mut bytes, scope, mode);
        }
        self.ask_all(session, id, Work::Merge(Rule::Alike), &bytes)
    }

    /// Why nothing can be flushed now. A key that is on its way could arrive after its target was flushed; and what
    /// keeps track of moves is on the servers.
    fn why_no_flush(&self, id: CommandId) -> Option<String> {
        let moves =
            |state| matches!(state, SlotState::Preparing { .. } | SlotState::Migrating { .. });
        let slots = self.routes.topology.slots.iter();
        let mut busy = slots.enumerate().filter(|(_, slot)| slot.locked || moves(slot.state));
        let (slot, entry) = busy.next()?;
        let why = if moves(entry.state) { "is moving between groups" } else { "is locked" };
        let name = id.command().name;
        Some(format!(
            "ERR {name} is refused while slots are moving: slot {slot} {why}, try again later"
        ))
    }
}

fn flush_by_script(out: &mut Vec<u8>, scope: &[u8], mode: &[u8]) {
    let count = RESERVED_KEYS.len().to_string();
    let mut words: Vec<&[u8]> = vec![b"EVAL", SCRIPT.as_bytes(), count.as_bytes()];
    words.extend(RESERVED_KEYS.iter().map(|key| key.as_bytes()));
    words.extend([scope, mode]);
    write::request(out, &words);
}
