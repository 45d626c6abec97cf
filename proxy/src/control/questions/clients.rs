//! `CLIENT LIST`, `CLIENT KILL`, `CLIENT PAUSE` and `CLIENT UNBLOCK`.

use super::super::state::State;
use super::{Refusal, integer, is, reply, text};
use crate::clients::{ClientInfo, line};
use crate::messages::KillFilter;
use crate::resp::Protocol;
use crate::users::Users;

/// `CLIENT LIST [TYPE type | ID id ...]`
pub(super) async fn list(
    state: &State,
    options: &[Vec<u8>],
    protocol: Protocol,
) -> Result<Vec<u8>, Refusal> {
    let clients = match options {
        [] => state.shards.clients().await?,
        [word, kind] if is(word, "type") => {
            let kind = kind_of(kind)?;
            let mut clients = state.shards.clients().await?;
            clients.retain(|client| kind == Some(client.is_subscribed()));
            clients
        }
        [word, ids @ ..] if is(word, "id") && !ids.is_empty() => by_id(state, ids).await?,
        _ => return Err(Refusal::syntax()),
    };
    let mut lines = String::with_capacity(clients.len() * 320);
    for client in &clients {
        lines.push_str(&line(client));
        lines.push('\n');
    }
    Ok(reply::verbatim(&lines, protocol))
}

/// The clients with these ids, in the order of the ids.
async fn by_id(state: &State, ids: &[Vec<u8>]) -> Result<Vec<ClientInfo>, Refusal> {
    let id = |id: &Vec<u8>| integer(id).ok_or_else(|| Refusal::err("Invalid client ID"));
    let ids = ids.iter().map(id).collect::<Result<Vec<i64>, Refusal>>()?;
    let clients = state.shards.clients().await?;
    let found = ids.into_iter().filter_map(|id| {
        let id = u64::try_from(id).ok()?;
        let place = clients.binary_search_by_key(&id, |client| client.id).ok()?;
        Some(clients[place].clone())
    });
    Ok(found.collect())
}

/// Whether the sessions of type `kind` are those that are subscribed; `None` where a proxy has none of that type.
fn kind_of(kind: &[u8]) -> Result<Option<bool>, Refusal> {
    if is(kind, "normal") || is(kind, "pubsub") {
        return Ok(Some(is(kind, "pubsub")));
    }
    let known = ["master", "replica", "slave"].iter().any(|known| is(kind, known));
    known.then_some(None).ok_or_else(|| unknown_type(kind))
}

fn unknown_type(kind: &[u8]) -> Refusal {
    Refusal::err(format_args!("Unknown client type '{}'", text(kind)))
}

/// `CLIENT KILL addr` or `CLIENT KILL filter value ...`, asked by `client`. If it asks for its own end,
/// its shard closes it once it has the answer.
pub(super) async fn kill(
    state: &State,
    options: &[Vec<u8>],
    client: u64,
) -> Result<Vec<u8>, Refusal> {
    if let [addr] = options {
        let filter = KillFilter { addr: Some(text(addr)), ..KillFilter::default() };
        return match state.shards.kill(&filter).await? {
            0 => Err(Refusal::err("No such client")),
            _ => Ok(reply::ok()),
        };
    }
    let (mut filter, skip_me) = parse_filter(options, &state.config().users)?;
    filter.not = skip_me.then_some(client);
    Ok(reply::integer(state.shards.kill(&filter).await?))
}

/// `CLIENT PAUSE timeout [WRITE | ALL]`
pub(super) async fn pause(state: &State, options: &[Vec<u8>]) -> Result<Vec<u8>, Refusal> {
    let (timeout, all) = match options {
        [timeout] => (timeout, true),
        [timeout, mode] if is(mode, "all") => (timeout, true),
        [timeout, mode] if is(mode, "write") => (timeout, false),
        [_, _] => return Err(Refusal::err("CLIENT PAUSE mode must be WRITE or ALL")),
        _ => return Err(Refusal::syntax()),
    };
    let timeout = integer(timeout);
    let ms = timeout.ok_or_else(|| Refusal::err("timeout is not an integer or out of range"))?;
    let ms = u64::try_from(ms).map_err(|_| Refusal::err("timeout is negative"))?;
    state.shards.pause(ms.saturating_mul(1_000), all).await?;
    Ok(reply::ok())
}

/// `CLIENT UNPAUSE`
pub(super) async fn unpause(state: &State) -> Result<Vec<u8>, Refusal> {
    state.shards.unpause().await?;
    Ok(reply::ok())
}

/// `CLIENT UNBLOCK id [TIMEOUT | ERROR]`
pub(super) async fn unblock(state: &State, options: &[Vec<u8>]) -> Result<Vec<u8>, Refusal> {
    let (id, error) = match options {
        [id] => (id, false),
        [id, how] if is(how, "timeout") => (id, false),
        [id, how] if is(how, "error") => (id, true),
        [_, _] => {
            return Err(Refusal::err("CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
        }
        _ => return Err(Refusal::syntax()),
    };
    let id = integer(id).ok_or_else(|| Refusal::err("value is not an integer or out of range"))?;
    // No client has a negative id.
    let Ok(id) = u64::try_from(id) else { return Ok(reply::integer(0)) };
    Ok(reply::integer(state.shards.unblock(id, error).await?))
}

/// Reads pairs of filter and value; also whether the one that asks is to be left alone.
fn parse_filter(options: &[Vec<u8>], users: &Users) -> Result<(KillFilter, bool), Refusal> {
    let mut filter = KillFilter::default();
    let mut skip_me = true;
    for pair in options.chunks(2) {
        let [word, value] = pair else {
            return Err(Refusal::syntax());
        };
        match word.to_ascii_lowercase().as_slice() {
            b"id" => {
                let id = integer(value).and_then(|id| u64::try_from(id).ok()).filter(|&id| id > 0);
                let id = id.ok_or_else(|| Refusal::err("client-id should be greater than 0"))?;
                filter.id = Some(id);
            }
            b"addr" => filter.addr = Some(text(value)),
            b"laddr" => filter.laddr = Some(text(value)),
            b"type" => {
                filter.subscribed = kind_of(value)?;
                filter.none |= filter.subscribed.is_none();
            }
            b"user" if users.find(value).is_some() => filter.user = Some(text(value)),
            b"user" => {
                return Err(Refusal::err(format_args!("No such user '{}'", text(value))));
            }
            b"maxage" => {
                let age = integer(value);
                let age =
                    age.ok_or_else(|| Refusal::err("maxage is not an integer or out of range"))?;
                let age = u64::try_from(age).ok().filter(|&age| age > 0);
                let age = age.ok_or_else(|| Refusal::err("maxage should be greater than 0"))?;
                filter.max_age_s = Some(age);
            }
            b"skipme" if is(value, "yes") => skip_me = true,
            b"skipme" if is(value, "no") => skip_me = false,
            _ => return Err(Refusal::syntax()),
        }
    }
    Ok((filter, skip_me))
}
