//! Looking at a server before it is added to a group.

use codis_proto::meta::v1 as pb;

use super::Context;
use super::member::Member;
use super::poll::foreign;
use super::server::{Marks, Seen, Servers};

/// The oldest release of Redis that will do.
const VERSION_MIN: (u32, u32) = (5, 0);

/// That of Codis's own servers, which scripts that move keys run on as they should.
const VERSION_CODIS_MIN: (u32, u32) = (3, 2);

/// How many databases a server has by default.
const DATABASES: u32 = 16;

/// What the state says of the group that a server is to be added to.
struct Place {
    master: Option<String>,
    epoch: u64,
}

/// See [`DriveHandle::check_new_server`](super::DriveHandle::check_new_server).
pub(super) async fn new_server<M: Member, S: Servers>(
    context: &Context<M, S>,
    gid: u32,
    addr: &str,
) -> Result<Vec<String>, String> {
    let address = addr.to_owned();
    let place = context.member.look(move |state| place(state, gid, &address)).await;
    let place = place.map_err(|lost| format!("{lost}: ask again"))?;
    let Some(Place { master, epoch }) = place else {
        // The state itself has the answer: a refusal, or for a retry that of the first attempt.
        return Ok(Vec::new());
    };
    let seen = context.servers.look(addr).await;
    let seen =
        seen.map_err(|error| format!("{error}: correct the address or start the server first"))?;
    refuse_unfit(addr, &seen)?;
    refuse_known(context, addr, &seen)?;
    let databases = context.servers.databases(addr).await.map_err(|error| error.to_string())?;
    match master {
        None => first(addr, &seen, databases, epoch),
        Some(master) => further(context, addr, &seen, databases, &master).await,
    }
}

/// `None` where there is no such group, or the server is in one already.
fn place(state: &pb::State, gid: u32, addr: &str) -> Option<Place> {
    let mut servers = state.groups.values().flat_map(|group| &group.servers);
    if servers.any(|server| server.address == addr) {
        return None;
    }
    let master = state.groups.get(&gid)?.servers.first();
    Some(Place { master: master.map(|server| server.address.clone()), epoch: state.epoch })
}

fn refuse_unfit(addr: &str, seen: &Seen) -> Result<(), String> {
    let mode = seen.info("redis_mode");
    if mode == "sentinel" {
        return Err(format!("{addr} is a sentinel, not a server: give the address of a server"));
    }
    if mode == "cluster" || seen.info("cluster_enabled") == "1" {
        return Err(format!(
            "{addr} runs in cluster mode, and would send clients elsewhere by itself: start it with cluster-enabled no"
        ));
    }
    refuse_old(addr, seen)?;
    if seen.info("loading") == "1" || seen.marks.is_none() {
        return Err(format!(
            "{addr} does not answer commands yet, as it loads its data: add it when it has"
        ));
    }
    Ok(())
}

fn refuse_old(addr: &str, seen: &Seen) -> Result<(), String> {
    if !seen.info("pika_version").is_empty() {
        return Err(format!(
            "{addr} is a Pika, which runs no scripts: it can neither be fenced nor give its keys away safely. Copy its \
             data to a Redis"
        ));
    }
    let version = &seen.facts.version;
    let least = if seen.codis { VERSION_CODIS_MIN } else { VERSION_MIN };
    if release(version).is_some_and(|release| release >= least) {
        return Ok(());
    }
    let (major, minor) = VERSION_MIN;
    Err(format!(
        "{addr} runs version {version:?}: Redis {major}.{minor} or newer, Valkey, or a server of Codis 3.1 or newer \
         is needed; upgrade it"
    ))
}

/// The first two numbers of a version.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next().flatten().unwrap_or(0)))
}

/// What an operator should know of a server that is older than all others.
fn note_of_age(addr: &str, seen: &Seen) -> Option<String> {
    let version = &seen.facts.version;
    let old = release(version).is_none_or(|release| release < VERSION_MIN);
    old.then(|| {
        format!(
            "{addr} is a server of Codis with what Redis {version} can do: commands that came later fail there, and \
             keys can move to it from servers of its age only"
        )
    })
}

/// Refuses a server that is in a group already, under another address.
fn refuse_known<M: Member, S: Servers>(
    context: &Context<M, S>,
    addr: &str,
    seen: &Seen,
) -> Result<(), String> {
    let id = seen.info("run_id");
    let facts = context.facts();
    let same = facts.iter().find(|(known, facts)| {
        let run_id = facts.info.get("run_id").map_or("", String::as_str);
        known.as_str() != addr && !id.is_empty() && facts.error.is_empty() && run_id == id
    });
    match same {
        None => Ok(()),
        Some((known, _)) => Err(format!(
            "{addr} is the same server as {known}, which is in a group already: give another server"
        )),
    }
}

fn first(
    addr: &str,
    seen: &Seen,
    databases: Option<u32>,
    epoch: u64,
) -> Result<Vec<String>, String> {
    if !seen.is_master() {
        let of = &seen.facts.master_addr;
        return Err(format!(
            "{addr} is a replica of {of}, and the first server of a group must be a master: add {of} first, or make \
             {addr} a master by REPLICAOF NO ONE"
        ));
    }
    if let Some(why) = foreign(addr, seen.marks.unwrap_or_default(), epoch) {
        return Err(why);
    }
    let mut notes: Vec<String> = note_of_age(addr, seen).into_iter().collect();
    if let Some(count) = databases.filter(|count| *count < DATABASES) {
        notes.push(format!(
            "{addr} has {count} databases only: clients cannot SELECT those above {}",
            count.saturating_sub(1)
        ));
    }
    Ok(notes)
}

async fn further<M: Member, S: Servers>(
    context: &Context<M, S>,
    addr: &str,
    seen: &Seen,
    databases: Option<u32>,
    master: &str,
) -> Result<Vec<String>, String> {
    // One that does not answer may be why a server is added.
    let of = context.servers.look(master).await.ok();
    if let Some(of) = &of
        && !seen.info("run_id").is_empty()
        && of.info("run_id") == seen.info("run_id")
    {
        return Err(format!(
            "{addr} is the same server as {master}, the group's master: give another server"
        ));
    }
    refuse_fewer_databases(context, addr, databases, master).await?;
    if seen.is_master() {
        let keys = seen.keys_of_clients();
        return Ok(vec![format!(
            "{addr} is a master of its own with {keys} keys: `codis-admin group sync --addr {addr}` makes it a \
             replica of {master}, which replaces its data"
        )]);
    }
    let linked = of.as_ref().is_some_and(|of| seen.is_linked_to(of));
    if linked {
        return Ok(Vec::new());
    }
    let follows = &seen.facts.master_addr;
    if follows != master {
        return Err(format!(
            "{addr} is a replica of {follows}, not of {master}, the group's master: make it a master first by \
             REPLICAOF NO ONE, or its master's replica"
        ));
    }
    Ok(vec![format!(
        "{addr} follows {master}, but its link is down: `codis-admin group sync --addr {addr}` sets it up anew"
    )])
}

/// A replica with fewer databases than its master would stop at the first key that it has no place for.
async fn refuse_fewer_databases<M: Member, S: Servers>(
    context: &Context<M, S>,
    addr: &str,
    databases: Option<u32>,
    master: &str,
) -> Result<(), String> {
    let wanted = context.servers.databases(master).await.ok().flatten();
    match (databases, wanted) {
        (Some(has), Some(wanted)) if has < wanted => Err(format!(
            "{addr} has {has} databases, {master}, the group's master, has {wanted}: set `databases {wanted}` in its \
             configuration and restart it"
        )),
        _ => Ok(()),
    }
}

/// See [`DriveHandle::prepare_master`](super::DriveHandle::prepare_master).
pub(super) async fn prepare_master<M: Member, S: Servers>(
    context: &Context<M, S>,
    addr: &str,
) -> Result<(), String> {
    let address = addr.to_owned();
    let marks = context.member.look(move |state| {
        let is_it = |group: &&pb::Group| {
            group.servers.first().is_some_and(|server| server.address == address)
        };
        let promoting =
            state.groups.values().find(is_it).is_some_and(|group| group.promotion.is_some());
        // The order on the servers of a promotion is the promotion's.
        let order = if promoting { 0 } else { state.epoch };
        Marks { fence: state.fence_epoch, order }
    });
    let marks = marks.await.map_err(|lost| format!("cannot fence {addr}: {lost}"))?;
    match context.servers.raise(addr, marks).await {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("cannot fence {addr}: {error}; it is tried again each second")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::info::parse;

    #[test]
    fn old_servers_are_taken_where_they_are_those_of_codis_and_pika_is_not() {
        for (info, codis, words) in [
            ("redis_version:5.0.0", false, None),
            ("redis_version:4.0.14", false, Some("5.0 or newer")),
            ("redis_version:3.2.11", false, Some("Codis 3.1")),
            ("redis_version:3.2.11", true, None),
            ("redis_version:2.8.21", true, Some("Codis 3.1")),
            ("redis_version:8.0.2", true, None),
            ("", true, Some("upgrade it")),
            ("pika_version:3.5.5\r\nredis_version:7.0.0", true, Some("Pika")),
        ] {
            let seen = Seen { facts: parse(info), codis, ..Seen::default() };
            let refusal = refuse_old("10.0.0.1:6379", &seen).err();
            assert_eq!(refusal.is_some(), words.is_some(), "{info:?} {codis}: {refusal:?}");
            assert!(
                words.is_none_or(|words| refusal.unwrap_or_default().contains(words)),
                "{info}"
            );
        }
        let old = Seen { facts: parse("redis_version:3.2.11"), codis: true, ..Seen::default() };
        assert!(note_of_age("a:1", &old).is_some_and(|note| note.contains("3.2.11")));
        let new = Seen { facts: parse("redis_version:7.0.0"), ..Seen::default() };
        assert_eq!(note_of_age("a:1", &new), None);
    }
}
