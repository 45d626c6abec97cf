//! Making a source clean towards a target: no connection of an earlier MIGRATE can be at work there any more.

use codis_proto::CLEAN_KEY;

use super::link::{CALL_MAX, Link, client_field};
use super::net::{Connection, Net, Value, request};
use super::plan::Place;
use super::trouble::Trouble;
use super::{Member, Mover, Servers};

/// What a connection of a MIGRATE, or of Codis's own way to move keys, last did, and what it is called in the list of
/// connections before it did anything.
const LAST_COMMANDS: [&str; 6] = ["", "NULL", "auth", "select", "restore", "slotsrestore"];

/// Writes the mark. The HDEL is for a source that is full: it refuses a script's HSET for lack of memory, unless the
/// script has written before.
pub(super) const MARK: &str = "\
redis.call('HDEL', KEYS[1], ARGV[1])
return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])";

/// How often the mark may be changed under it.
const ATTEMPTS_MAX: usize = 10;

impl<M: Member, S: Servers, N: Net> Mover<'_, M, S, N> {
    /// Makes the source clean towards the target, unless it is.
    pub(super) async fn clean(
        &self,
        source: &mut Link<N::Connection>,
        target: &Place,
    ) -> Result<(), Trouble> {
        let field = target.address.as_str();
        for _ in 0..ATTEMPTS_MAX {
            let watch = vec![request(&["WATCH", CLEAN_KEY]), request(&["HGET", CLEAN_KEY, field])];
            let held = source.all_well_in(0, watch, CALL_MAX).await?.pop();
            if held.as_ref().and_then(Value::text) == Some(source.run_id.as_str()) {
                source.all_well(vec![request(&["UNWATCH"])]).await?;
                return Ok(());
            }
            // New, so that it was accepted after those of earlier MIGRATEs.
            let killed = match self.open(&target.address).await {
                Ok(mut link) => kill_migrates(&mut link).await,
                Err(error) => Err(error),
            };
            let Ok(killed) = killed else {
                source.all_well(vec![request(&["UNWATCH"])]).await?;
                return killed.map(|_| ());
            };
            let mark = request(&["EVAL", MARK, "1", CLEAN_KEY, field, &source.run_id]);
            let write = vec![request(&["MULTI"]), mark, request(&["EXEC"])];
            let done = source.all_well_in(0, write, CALL_MAX).await?.pop();
            if let Some(Value::Array(written)) = done {
                if let Some(Value::Error(why)) = written.first() {
                    return Err(source.refused("the mark that it is clean", why));
                }
                let from = source.address();
                tracing::info!("{from} is clean towards {field}, {killed} connections were killed");
                return Ok(());
            }
        }
        Err(source.refused("EXEC", "others change its marks all the time"))
    }
}

async fn kill_migrates<C: Connection>(target: &mut Link<C>) -> Result<usize, Trouble> {
    let list = target.all_well(vec![request(&["CLIENT", "LIST"])]).await?.pop();
    let list = list.and_then(Value::into_bytes).unwrap_or_default();
    let list = String::from_utf8_lossy(&list);
    let ids: Vec<&str> = list.lines().filter_map(migrates_connection).collect();
    let kills = ids.iter().map(|id| request(&["CLIENT", "KILL", "ID", id]));
    target.all_well(kills.collect()).await?;
    Ok(ids.len())
}

/// The connection that a line of CLIENT LIST is about, if it may be that of a MIGRATE.
fn migrates_connection(line: &str) -> Option<&str> {
    let unnamed = client_field(line, "name").is_none_or(str::is_empty);
    let last = client_field(line, "cmd").unwrap_or_default();
    // A replica's has no name either, and has begun with others.
    (unnamed && LAST_COMMANDS.contains(&last)).then(|| client_field(line, "id"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_of_migrates_are_those_without_a_name_that_did_nothing_else() {
        for (name, last, is_it) in [
            ("", "restore", true),
            ("", "NULL", true),
            ("", "slotsrestore", true),
            ("", "select", true),
            ("", "auth", true),
            ("", "get", false),
            ("", "psync", false),
            ("codis-proxy:a:1", "select", false),
        ] {
            let line = format!("id=7 addr=10.0.0.1:5 name={name} age=1 cmd={last} user=default");
            assert_eq!(migrates_connection(&line), is_it.then_some("7"), "{name} {last}");
        }
    }
}
