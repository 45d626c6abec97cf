//! Single commands at real servers.

use codis_proto::{FENCE_KEY, ORDER_KEY};
use codis_testbed::{Redis, RedisOptions};

use super::fixture::{is_linked, is_master, number_at, redis, replicate};
use crate::drive::server::{Guard, Marks, ServerError, Servers};
use crate::drive::wire::RedisServers;

#[tokio::test]
async fn marks_never_go_back() {
    let server = redis();
    let servers = RedisServers::new(String::new());
    let address = server.address();
    let raise = async |fence, order| {
        servers.raise(&address, Marks { fence, order }).await.expect("it answers")
    };
    assert_eq!(raise(9, 0).await, Marks { fence: 9, order: 0 });
    assert_eq!(raise(10, 7).await, Marks { fence: 10, order: 7 });
    assert_eq!(raise(9, 100).await, Marks { fence: 10, order: 100 });
    assert_eq!(number_at(&server, FENCE_KEY), 10);
    assert_eq!(number_at(&server, ORDER_KEY), 100);
    let seen = servers.look(&address).await.expect("it answers");
    assert_eq!(seen.marks, Some(Marks { fence: 10, order: 100 }));
    assert_eq!(seen.keys_of_clients(), 0);
}

#[tokio::test]
async fn a_replica_takes_no_marks_but_those_of_its_master() {
    let (master, replica) = (redis(), redis());
    replicate(&replica, &master);
    let servers = RedisServers::new(String::new());
    let raised = servers.raise(&replica.address(), Marks { fence: 1, order: 1 }).await;
    assert!(matches!(raised, Err(ServerError::Refused { .. })), "{raised:?}");
}

#[tokio::test]
async fn a_server_follows_only_as_its_order_allows() {
    let (master, server) = (redis(), redis());
    let servers = RedisServers::new(String::new());
    let address = server.address();
    servers.raise(&address, Marks { fence: 0, order: 5 }).await.expect("it answers");
    for guard in [Guard::AtMost(4), Guard::Exactly(4), Guard::Exactly(6)] {
        let told = servers.follow(&address, Some(&master.address()), guard).await;
        assert!(matches!(told, Err(ServerError::Outranked { held: 5, .. })), "{told:?}");
    }
    assert!(is_master(&server));
    servers.follow(&address, Some(&master.address()), Guard::AtMost(5)).await.expect("it may");
    codis_testbed::eventually("it follows", || is_linked(&server, &master));
    servers.follow(&address, None, Guard::Exactly(0)).await.expect("its order went with its data");
    assert!(is_master(&server));
}

#[tokio::test]
async fn servers_are_reached_by_unix_sockets() {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let path = folder.path().join("redis.sock").display().to_string();
    let args = vec!["--unixsocket".to_owned(), path.clone()];
    let _server = Redis::start_with(RedisOptions { args, ..RedisOptions::default() });
    let servers = RedisServers::new(String::new());
    let seen = servers.look(&path).await.expect("it answers");
    assert!(seen.is_master());
}

#[tokio::test]
async fn a_kept_connection_that_broke_is_made_anew() {
    let mut server = redis();
    let servers = RedisServers::new(String::new());
    servers.look(&server.address()).await.expect("it answers");
    server.kill();
    let silent = servers.look(&server.address()).await;
    assert!(matches!(silent, Err(ServerError::Silent { .. })), "{silent:?}");
    server.restart();
    servers.look(&server.address()).await.expect("it answers again");
}
