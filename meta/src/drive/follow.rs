//! Making servers follow: the address that a replica is given, and all the others of a group after a promotion.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;

use super::Context;
use super::member::Member;
use super::promotion::View;
use super::server::{Guard, Seen, Servers};

/// How often a server is told to follow before it is left to the operator.
const ATTEMPTS_MAX: usize = 3;

/// The pause between these.
const PAUSE: Duration = Duration::from_millis(300);

/// The address by which a replica reaches `master`, or why there is none.
///
/// A unix socket is for clients alone. Whoever uses one has all on one machine, so the master is reached by its port
/// there.
pub(super) fn replication_address(address: &str, master: &Seen) -> Result<String, String> {
    if !address.starts_with('/') {
        return Ok(address.to_owned());
    }
    match master.info("tcp_port") {
        "" | "0" => Err(format!(
            "{address} is a unix socket, and no replica can follow it there: let the server listen on a port too"
        )),
        port => Ok(format!("127.0.0.1:{port}")),
    }
}

/// Makes every server of the group but the target follow the target; answers those that do not, with the reasons.
pub(super) async fn all<M: Member, S: Servers>(
    context: &Context<M, S>,
    view: &View,
) -> BTreeMap<String, String> {
    let others = view.servers.iter().filter(|server| **server != view.target);
    let mut told = Vec::new();
    for server in others.clone() {
        told.push(one(context, view, server));
    }
    let outcomes = others.zip(join_all(told).await);
    outcomes.filter_map(|(server, told)| Some((server.clone(), told.err()?))).collect()
}

async fn one<M: Member, S: Servers>(
    context: &Context<M, S>,
    view: &View,
    server: &str,
) -> Result<(), String> {
    let mut attempt = 1;
    loop {
        let failure = match try_one(context, view, server).await {
            Ok(()) => return Ok(()),
            Err(failure) => failure,
        };
        if attempt == ATTEMPTS_MAX {
            return Err(failure);
        }
        attempt += 1;
        sleep(PAUSE).await;
    }
}

async fn try_one<M: Member, S: Servers>(
    context: &Context<M, S>,
    view: &View,
    server: &str,
) -> Result<(), String> {
    let look = context.servers.look(server).await;
    let seen = look.map_err(|error| format!("{error}: sync it when it is back"))?;
    let keys = seen.keys_of_clients();
    if seen.is_master() && server != view.previous && keys > 0 {
        return Err(format!(
            "{server} did not follow the previous master and has {keys} keys of its own: a sync replaces them"
        ));
    }
    let target = context.servers.look(&view.target).await.map_err(|error| error.to_string())?;
    let master = replication_address(&view.target, &target)?;
    let (id, epoch) = (view.group, view.epoch);
    let still = context.member.look(move |state| {
        let promotion = state.groups.get(&id).and_then(|group| group.promotion.as_ref());
        promotion.is_some_and(|promotion| promotion.epoch == epoch)
    });
    if !still.await.map_err(|lost| lost.to_string())? {
        return Ok(());
    }
    let guard = Guard::AtMost(view.seal());
    let told = context.servers.follow(server, Some(&master), guard).await;
    told.map_err(|error| error.to_string())
}
