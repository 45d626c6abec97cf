// node-redis, connected in its default way and in RESP3.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { BasicClientSideCache, createClient } from "redis";

const url = `redis://${process.argv[2]}`;

async function run(options) {
  const prefix = randomUUID();
  const key = (name, tag = "t") => `{${tag}${prefix}}${name}`;
  const connect = async () => await createClient({ url, ...options }).on("error", (error) => { throw error; }).connect();
  const client = await connect();

  await client.set(key("a"), "1", { EX: 100 });
  assert.equal(await client.get(key("a")), "1");
  await client.hSet(key("h"), { f: "v", g: "w" });
  assert.deepEqual({ ...(await client.hGetAll(key("h"))) }, { f: "v", g: "w" });
  await client.zAdd(key("z"), [{ score: 1.5, value: "a" }, { score: 2, value: "b" }]);
  assert.deepEqual((await client.zRangeWithScores(key("z"), 0, -1)).map((e) => ({ ...e })), [
    { value: "a", score: 1.5 },
    { value: "b", score: 2 },
  ]);
  const names = Array.from({ length: 300 }, (_, i) => `${prefix}:${i}`);
  await client.mSet(Object.fromEntries(names.map((name, i) => [name, String(i)])));
  assert.deepEqual(await client.mGet(names), names.map((_, i) => String(i)));
  // What is asked at once goes out in one pipeline.
  assert.deepEqual(await Promise.all(names.map((name) => client.incr(name))), names.map((_, i) => i + 1));

  assert.deepEqual(await client.multi().set(key("tx"), "1").incr(key("tx")).exec(), ["OK", 2]);

  const subscriber = await connect();
  let heard;
  const message = new Promise((resolve) => (heard = resolve));
  await subscriber.subscribe(key("news"), (text, channel) => heard([text, channel]));
  await client.publish(key("news"), "hello");
  assert.deepEqual(await message, ["hello", key("news")]);
  await subscriber.unsubscribe();

  const blocked = await connect();
  const waiting = blocked.blPop(key("q"), 10);
  await client.rPush(key("q"), "job");
  assert.deepEqual({ ...(await waiting) }, { key: key("q"), element: "job" });

  for (const tag of ["a", "b", "c"]) {
    await client.set(key("n", tag), "21");
    assert.equal(await client.eval("return redis.call('GET', KEYS[1]) * 2", { keys: [key("n", tag)] }), 42);
  }

  const found = new Set();
  for await (const page of client.scanIterator({ MATCH: `${prefix}:*`, COUNT: 50 })) {
    [page].flat().forEach((name) => found.add(name));
  }
  assert.deepEqual([...found].sort(), [...names].sort());
  for (const each of [client, subscriber, blocked]) await (each.close ?? each.quit).call(each);
}

// Values that the library keeps, on both groups' servers.
async function caching() {
  const prefix = randomUUID();
  const cache = new BasicClientSideCache({ ttl: 0, maxEntries: 0, evictPolicy: "LRU" });
  const connect = async (options) =>
    await createClient({ url, ...options }).on("error", (error) => { throw error; }).connect();
  const client = await connect({ RESP: 3, clientSideCache: cache });
  const other = await connect({});
  for (const tag of ["a", "b", "c"]) {
    const key = `{${tag}${prefix}}cached`;
    await other.set(key, "old");
    const before = cache.stats().hitCount;
    assert.equal(await client.get(key), "old");
    assert.equal(await client.get(key), "old");
    assert.equal(cache.stats().hitCount, before + 1);
    await other.set(key, "new");
    for (let i = 0; i < 1000 && (await client.get(key)) !== "new"; i++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.equal(await client.get(key), "new");
  }
  for (const each of [client, other]) await (each.close ?? each.quit).call(each);
}

await run({});
console.log("node-redis: all");
await run({ RESP: 3 });
console.log("node-redis, RESP3: all");
await caching();
console.log("node-redis: caching");
