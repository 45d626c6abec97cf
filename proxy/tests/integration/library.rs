//! A client library as people use it.

use crate::cluster::Cluster;
use redis::{Commands, RedisResult};
use std::collections::BTreeMap;

#[test]
fn a_client_library_connects_and_works_redis_too() -> RedisResult<()> {
    let cluster = Cluster::start();
    let client = redis::Client::open(format!("redis://{}/2", cluster.address()))?;
    let mut connection = client.get_connection()?;
    let () = connection.set("counter", 41)?;
    assert_eq!(connection.incr::<_, _, i64>("counter", 1)?, 42);
    let () = connection.hset_multiple("user:1", &[("name", "Ann"), ("city", "Oslo")])?;
    let user: BTreeMap<String, String> = connection.hgetall("user:1")?;
    assert_eq!(user["city"], "Oslo");
    let () = connection.mset(&[("a", 1), ("b", 2), ("c", 3)])?;
    let numbers: Vec<Option<i64>> = connection.mget(&["a", "none", "c"])?;
    assert_eq!(numbers, [Some(1), None, Some(3)]);
    let (a, b): (i64, i64) = redis::pipe().get("a").get("b").query(&mut connection)?;
    assert_eq!((a, b), (1, 2));
    let removed: i64 = connection.del(&["a", "b", "c"])?;
    assert_eq!(removed, 3);
    Ok(())
}

#[test]
fn a_client_library_authenticates() -> RedisResult<()> {
    let cluster = Cluster::with(|options| options.set("session_auth = \"sesame\""));
    let open = |password: &str| {
        redis::Client::open(format!("redis://:{password}@{}/", cluster.address()))?.get_connection()
    };
    assert!(open("wrong").is_err());
    let was_set: bool = open("sesame")?.set_nx("a", 1)?;
    assert!(was_set);
    Ok(())
}
