"""redis-py, with and without asyncio, in RESP2 and in RESP3."""

import asyncio
import sys
import threading
import uuid

import redis
import redis.asyncio

HOST, PORT = sys.argv[1].rsplit(":", 1)
PREFIX = uuid.uuid4().hex


def expect(got, wanted):
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"


def key(name, tag="t"):
    return f"{{{tag}{PREFIX}}}{name}"


def commands(client):
    client.set(key("a"), "1", ex=100)
    expect(client.get(key("a")), "1")
    expect(client.incr(key("a")), 2)
    assert 0 < client.ttl(key("a")) <= 100
    client.hset(key("h"), mapping={"f": "v", "g": "w"})
    expect(client.hgetall(key("h")), {"f": "v", "g": "w"})
    client.zadd(key("z"), {"a": 1.5, "b": 2})
    got = client.zrange(key("z"), 0, -1, withscores=True)
    expect([tuple(pair) for pair in got], [("a", 1.5), ("b", 2.0)])
    client.sadd(key("s"), "x", "y")
    expect(client.smembers(key("s")), {"x", "y"})
    many = {f"{PREFIX}:{i}": str(i) for i in range(200)}
    client.mset(many)
    expect(client.mget(list(many)), list(many.values()))
    expect(client.delete(*many), 200)


def pipelines(client):
    with client.pipeline(transaction=False) as pipe:
        for i in range(1000):
            pipe.set(key(i, tag=i), i)
            pipe.get(key(i, tag=i))
        answers = pipe.execute()
    expect(answers[1::2], [str(i) for i in range(1000)])


def transactions(client):
    with client.pipeline() as pipe:
        expect(pipe.set(key("tx"), 1).incr(key("tx")).publish(key("ch"), "x").execute()[:2], [True, 2])

    def raise_by_ten(pipe):
        value = int(pipe.get(key("tx")))
        pipe.multi()
        pipe.set(key("tx"), value + 10)

    expect(client.transaction(raise_by_ten, key("tx")), [True])
    expect(client.get(key("tx")), "12")
    with client.pipeline() as pipe:
        pipe.watch(key("tx"))
        client.set(key("tx"), "other")
        pipe.multi()
        pipe.set(key("tx"), "lost")
        try:
            pipe.execute()
            raise AssertionError("a watched key had changed")
        except redis.WatchError:
            pass
    expect(client.get(key("tx")), "other")


def publish_and_subscribe(client):
    heard = client.pubsub()
    heard.subscribe(key("news"))
    heard.psubscribe(key("n*"))
    expect(heard.get_message(timeout=5)["type"], "subscribe")
    expect(heard.get_message(timeout=5)["type"], "psubscribe")
    client.publish(key("news"), "hello")
    kinds = {heard.get_message(timeout=5)["type"] for _ in range(2)}
    expect(kinds, {"message", "pmessage"})
    heard.unsubscribe()
    heard.punsubscribe()
    heard.close()


def blocking(client):
    expect(client.blpop([key("q")], timeout=0.05), None)
    threading.Timer(0.1, lambda: client.rpush(key("q"), "job")).start()
    expect(tuple(client.blpop([key("q"), key("r")], timeout=10)), (key("q"), "job"))
    client.xadd(key("stream"), {"f": "v"}, id="1-1")
    threading.Timer(0.1, lambda: client.xadd(key("stream"), {"f": "w"}, id="2-1")).start()
    got = client.xread({key("stream"): "$"}, block=10_000)
    entries = list(got.values())[0][0] if isinstance(got, dict) else got[0][1]
    expect(entries, [("2-1", {"f": "w"})])


def scripts(client):
    double = client.register_script("return redis.call('GET', KEYS[1]) * ARGV[1]")
    for tag in ("a", "b", "c", "d"):
        client.set(key("n", tag), 21)
        expect(double(keys=[key("n", tag)], args=[2]), 42)
    client.script_flush()
    expect(double(keys=[key("n", "a")], args=[2]), 42)
    expect(client.script_exists(double.sha), [True])


def scans(client):
    names = {f"scan:{PREFIX}:{i}" for i in range(500)}
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.set(name, 1)
        pipe.execute()
    expect(set(client.scan_iter(match=f"scan:{PREFIX}:*", count=50)), names)
    client.hset(key("big"), mapping={f"f{i}": i for i in range(1000)})
    expect(len(dict(client.hscan_iter(key("big")))), 1000)
    client.delete(*names)


def caching():
    try:
        from redis.cache import CacheConfig
    except ImportError:
        return
    other = redis.Redis(HOST, int(PORT), decode_responses=True)
    # The library asks for a version, not for the command.
    try:
        other.config_set("session_redis_version", "7.4.0")
    except redis.ResponseError:
        # A plain Redis tells its own.
        version = other.info("server")["redis_version"]
        if tuple(map(int, version.split("."))) < (7, 4, 0):
            return print(f"redis-py: no caching with {version}")
    client = redis.Redis(HOST, int(PORT), protocol=3, decode_responses=True, cache_config=CacheConfig())
    for tag in ("a", "b", "c"):
        other.set(key("cached", tag), "old")
        expect(client.get(key("cached", tag)), "old")
        expect(client.get(key("cached", tag)), "old")
        other.set(key("cached", tag), "new")
        for _ in range(100):
            if client.get(key("cached", tag)) == "new":
                break
        expect(client.get(key("cached", tag)), "new")
    client.close()
    print(f"redis-py {redis.__version__}: caching")


async def asynchronous(protocol):
    client = redis.asyncio.Redis(host=HOST, port=int(PORT), protocol=protocol, decode_responses=True)
    await client.set(key("async"), "1")
    expect(await client.get(key("async")), "1")
    answers = await asyncio.gather(*(client.incr(key("counter")) for _ in range(100)))
    expect(sorted(answers)[-1] - sorted(answers)[0], 99)
    async with client.pipeline(transaction=True) as pipe:
        expect(await pipe.set(key("atx"), 1).incr(key("atx")).execute(), [True, 2])
    waiting = asyncio.create_task(client.blpop([key("aq")], timeout=10))
    await asyncio.sleep(0.05)
    await client.rpush(key("aq"), "job")
    expect(list(await waiting), [key("aq"), "job"])
    async with client.pubsub() as heard:
        await heard.subscribe(key("anews"))
        expect((await heard.get_message(timeout=5))["type"], "subscribe")
        await client.publish(key("anews"), "hello")
        expect((await heard.get_message(timeout=5))["data"], "hello")
    found = [name async for name in client.scan_iter(match=f"*{PREFIX}*")]
    assert key("async") in found
    await client.delete(key("counter"), key("aq"))
    await client.aclose()


def main():
    for protocol in (2, 3):
        client = redis.Redis(HOST, int(PORT), protocol=protocol, decode_responses=True)
        for test in (commands, pipelines, transactions, publish_and_subscribe, blocking, scripts, scans):
            client.delete(*(list(client.scan_iter(match=f"*{PREFIX}*")) or [key("none")]))
            test(client)
            print(f"redis-py {redis.__version__}, RESP{protocol}: {test.__name__}")
        client.close()
        asyncio.run(asynchronous(protocol))
        print(f"redis-py {redis.__version__}, RESP{protocol}: asyncio")
    caching()


main()
