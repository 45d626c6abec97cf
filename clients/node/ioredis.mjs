// ioredis, connected in its default way.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import Redis from "ioredis";

const [host, port] = process.argv[2].split(":");
const prefix = randomUUID();
const key = (name, tag = "t") => `{${tag}${prefix}}${name}`;
const connect = () => new Redis(Number(port), host);
const client = connect();

await client.set(key("a"), "1", "EX", 100);
assert.equal(await client.get(key("a")), "1");
await client.hset(key("h"), { f: "v", g: "w" });
assert.deepEqual(await client.hgetall(key("h")), { f: "v", g: "w" });
const names = Array.from({ length: 300 }, (_, i) => `${prefix}:${i}`);
await client.mset(Object.fromEntries(names.map((name, i) => [name, i])));
assert.deepEqual(await client.mget(names), names.map((_, i) => String(i)));

const pipeline = client.pipeline();
names.forEach((name) => pipeline.incr(name));
assert.deepEqual((await pipeline.exec()).map(([error, n]) => [error, n]), names.map((_, i) => [null, i + 1]));

const results = await client.multi().set(key("tx"), 1).incr(key("tx")).exec();
assert.deepEqual(results, [[null, "OK"], [null, 2]]);
await client.watch(key("tx"));
const other = connect();
await other.set(key("tx"), "changed");
assert.equal(await client.multi().set(key("tx"), "lost").exec(), null);

const subscriber = connect();
await subscriber.subscribe(key("news"));
await subscriber.psubscribe(key("n*"));
const message = once(subscriber, "message");
const pmessage = once(subscriber, "pmessage");
await client.publish(key("news"), "hello");
assert.deepEqual(await message, [key("news"), "hello"]);
assert.deepEqual(await pmessage, [key("n*"), key("news"), "hello"]);
await subscriber.unsubscribe(key("news"));
await subscriber.punsubscribe(key("n*"));
assert.equal(await subscriber.get(key("tx")), "changed");

const waiting = other.blpop(key("q"), 10);
await client.rpush(key("q"), "job");
assert.deepEqual(await waiting, [key("q"), "job"]);
assert.equal(await other.blpop(key("q"), 0.05), null);

client.defineCommand("double", { numberOfKeys: 1, lua: "return redis.call('GET', KEYS[1]) * ARGV[1]" });
for (const tag of ["a", "b", "c", "d"]) {
  await client.set(key("n", tag), 21);
  assert.equal(await client.double(key("n", tag), 2), 42);
}
await client.script("FLUSH");
assert.equal(await client.double(key("n", "a"), 2), 42);

const found = new Set();
for await (const page of client.scanStream({ match: `${prefix}:*`, count: 50 })) {
  page.forEach((name) => found.add(name));
}
assert.deepEqual([...found].sort(), [...names].sort());

for (const each of [client, other, subscriber]) await each.quit();
console.log("ioredis: all");
