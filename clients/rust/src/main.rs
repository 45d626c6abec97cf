//! The `redis` crate, with and without async, and `fred`, connected in their default ways.

use fred::prelude::*;
use fred::types::RespVersion;
use futures::StreamExt;
use redis::{AsyncCommands, Commands};
use std::collections::BTreeSet;
use std::error::Error;
use std::time::{Duration, SystemTime};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let address = std::env::args().nth(1).ok_or("usage: clients HOST:PORT")?;
    let prefix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos();
    let key = move |name: &str| format!("{{t{prefix}}}{name}");
    redis_crate(&address, &key, prefix)?;
    println!("redis crate: all");
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(redis_async(&address, &key))?;
    println!("redis crate, async: all");
    runtime.block_on(redis_caching(&address, prefix))?;
    println!("redis crate: caching");
    runtime.block_on(fred_client(&address, &key))?;
    println!("fred: all");
    runtime.block_on(fred_tracking(&address, prefix))?;
    println!("fred: tracking");
    Ok(())
}

fn redis_crate(address: &str, key: &dyn Fn(&str) -> String, prefix: u128) -> Outcome {
    let client = redis::Client::open(format!("redis://{address}"))?;
    let mut connection = client.get_connection()?;
    let () = connection.set(key("a"), 1)?;
    assert_eq!(connection.incr::<_, _, i64>(key("a"), 1)?, 2);
    let names: Vec<String> = (0..300).map(|i| format!("scan{prefix}:{i}")).collect();
    let mut pipe = redis::pipe();
    names.iter().for_each(|name| _ = pipe.set(name, 1).ignore());
    let () = pipe.query(&mut connection)?;
    let found: BTreeSet<String> =
        connection.scan_match::<_, String>(format!("scan{prefix}:*"))?.collect();
    assert_eq!(found, names.into_iter().collect());
    let (set, n): (String, i64) =
        redis::pipe().atomic().set(key("tx"), 1).incr(key("tx"), 1).query(&mut connection)?;
    assert_eq!((set.as_str(), n), ("OK", 2));
    let watched = key("tx");
    let (n,): (i64,) = redis::transaction(&mut connection, &[&watched], |connection, pipe| {
        let old: i64 = connection.get(&watched)?;
        pipe.set(&watched, old + 10).ignore().get(&watched).query(connection)
    })?;
    assert_eq!(n, 12);
    let script = redis::Script::new("return redis.call('GET', KEYS[1]) * ARGV[1]");
    assert_eq!(script.key(key("tx")).arg(2).invoke::<i64>(&mut connection)?, 24);
    let () = connection.rpush(key("q"), "job")?;
    assert_eq!(connection.blpop::<_, (String, String)>(key("q"), 5.0)?.1, "job");
    let mut heard = client.get_connection()?;
    let mut heard = heard.as_pubsub();
    heard.subscribe(key("news"))?;
    let () = connection.publish(key("news"), "hello")?;
    assert_eq!(heard.get_message()?.get_payload::<String>()?, "hello");
    Ok(())
}

async fn redis_async(address: &str, key: &dyn Fn(&str) -> String) -> Outcome {
    for protocol in ["", "?protocol=resp3"] {
        let client = redis::Client::open(format!("redis://{address}/{protocol}"))?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let counter = key(&format!("async{protocol}"));
        let raised = (0..100).map(|_| {
            let (mut connection, counter) = (connection.clone(), counter.clone());
            async move { connection.incr::<_, _, i64>(counter, 1).await }
        });
        let mut all = futures::future::try_join_all(raised).await?;
        all.sort_unstable();
        assert_eq!(all, (1..=100).collect::<Vec<i64>>());
        let (n,): (i64,) =
            redis::pipe().atomic().incr(&counter, 1).query_async(&mut connection).await?;
        assert_eq!(n, 101);
    }
    let client = redis::Client::open(format!("redis://{address}"))?;
    let mut heard = client.get_async_pubsub().await?;
    heard.psubscribe(key("an*")).await?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let () = connection.publish(key("anews"), "hello").await?;
    let message = heard.on_message().next().await.ok_or("the subscription ended")?;
    assert_eq!(message.get_payload::<String>()?, "hello");
    Ok(())
}

async fn fred_client(address: &str, key: &dyn Fn(&str) -> String) -> Outcome {
    let config = Config::from_url(&format!("redis://{address}"))?;
    let client = Builder::from_config(config).build()?;
    client.init().await?;
    let () = client.set(key("f"), 1, Some(Expiration::EX(100)), None, false).await?;
    assert_eq!(client.incr::<i64, _>(key("f")).await?, 2);
    let pipeline = client.pipeline();
    for _ in 0..100 {
        let () = pipeline.incr(key("f")).await?;
    }
    let all: Vec<i64> = pipeline.all().await?;
    assert_eq!(all, (3..=102).collect::<Vec<i64>>());
    let transaction = client.multi();
    let () = transaction.set(key("ftx"), 1, None, None, false).await?;
    let () = transaction.incr(key("ftx")).await?;
    let (set, n): (String, i64) = transaction.exec(true).await?;
    assert_eq!((set.as_str(), n), ("OK", 2));
    let blocked = client.clone_new();
    blocked.init().await?;
    let queue = key("fq");
    let waiting = tokio::spawn(async move { blocked.blpop::<(String, String), _>(queue, 10.0).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let () = client.rpush(key("fq"), "job").await?;
    assert_eq!(waiting.await??.1, "job");
    let subscriber = Builder::default_centralized();
    let mut subscriber = subscriber;
    subscriber.set_config(Config::from_url(&format!("redis://{address}"))?);
    let subscriber = subscriber.build_subscriber_client()?;
    subscriber.init().await?;
    let mut messages = subscriber.message_rx();
    subscriber.subscribe(key("fnews")).await?;
    // Its subscribe() does not wait for the confirmation.
    while client.publish::<i64, _, _>(key("fnews"), "hello").await? == 0 {}
    assert_eq!(messages.recv().await?.value.convert::<String>()?, "hello");
    client.quit().await?;
    subscriber.quit().await?;
    Ok(())
}

/// Values that the library keeps, on both groups' servers.
async fn redis_caching(address: &str, prefix: u128) -> Outcome {
    let client = redis::Client::open(format!("redis://{address}/?protocol=resp3"))?;
    let config =
        redis::AsyncConnectionConfig::new().set_cache_config(redis::caching::CacheConfig::new());
    let mut caching = client.get_multiplexed_async_connection_with_config(&config).await?;
    let mut other = client.get_multiplexed_async_connection().await?;
    for tag in ["a", "b", "c"] {
        let key = format!("{{{tag}{prefix}}}cached");
        let hits = |of: &redis::aio::MultiplexedConnection| {
            of.get_cache_statistics().map_or(0, |statistics| statistics.hit)
        };
        let () = other.set(&key, "old").await?;
        let before = hits(&caching);
        for _ in 0..2 {
            assert_eq!(caching.get::<_, String>(&key).await?, "old");
        }
        assert_eq!(hits(&caching), before + 1);
        let () = other.set(&key, "new").await?;
        let mut tries = 0;
        while caching.get::<_, String>(&key).await? != "new" {
            tries += 1;
            assert!(tries < 1000, "the old value of {key} stays");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(())
}

async fn fred_tracking(address: &str, prefix: u128) -> Outcome {
    let mut config = Config::from_url(&format!("redis://{address}"))?;
    config.version = RespVersion::RESP3;
    let client = Builder::from_config(config).build()?;
    client.init().await?;
    let other = Builder::from_config(Config::from_url(&format!("redis://{address}"))?).build()?;
    other.init().await?;
    let mut told = client.invalidation_rx();
    client.start_tracking(Vec::<String>::new(), false, false, false, false).await?;
    for tag in ["a", "b", "c"] {
        let key = format!("{{{tag}{prefix}}}tracked");
        let () = other.set(&key, "old", None, None, false).await?;
        assert_eq!(client.get::<String, _>(&key).await?, "old");
        let () = other.set(&key, "new", None, None, false).await?;
        let heard = tokio::time::timeout(Duration::from_secs(10), told.recv()).await??;
        assert_eq!(heard.keys.iter().map(|key| key.as_str_lossy()).collect::<Vec<_>>(), [&*key]);
    }
    client.quit().await?;
    other.quit().await?;
    Ok(())
}
