//! The move script on real servers: what becomes of keys at the source and at the target.

use codis_proto::CLEAN_KEY;
use codis_proto::moves::{
    Moved, SCRIPT, SCRIPT_SHA1, SEVERAL, Script, Target, UNCLEAN, UNKNOWN, free_arguments,
    unlink_arguments,
};
use codis_testbed::{Client, Redis, RedisOptions, Value};

/// A source that is clean towards a target.
struct Pair {
    source: Redis,
    target: Redis,
    a: Client,
    b: Client,
    run_id: String,
    address: String,
    password: &'static str,
}

/// By which rules the script is called.
#[derive(Clone, Copy)]
struct Rules {
    database: u32,
    copy: bool,
    big_bytes: u64,
    big_elements: u64,
    budget_bytes: u64,
}

const RULES: Rules = Rules {
    database: 0,
    copy: false,
    big_bytes: 1 << 20,
    big_elements: 10_000,
    budget_bytes: 1 << 30,
};

/// Longer than a healthy server ever takes, and shorter than anybody waits for a frozen one.
const TIMEOUT_MS: u64 = 500;

fn run_id(client: &mut Client) -> String {
    let info = client.call(&["INFO", "server"]).text();
    let line = info.lines().find_map(|line| line.strip_prefix("run_id:"));
    line.expect("a run id").trim().to_owned()
}

impl Pair {
    fn start() -> Self {
        Self::of(Redis::start(), Redis::start(), "")
    }

    fn of(source: Redis, target: Redis, password: &'static str) -> Self {
        let (mut a, b) = (source.client(), target.client());
        let (run_id, address) = (run_id(&mut a), target.address());
        a.call(&["HSET", CLEAN_KEY, &address, &run_id]);
        Self { source, target, a, b, run_id, address, password }
    }

    /// Calls the script.
    fn call(&mut self, rules: Rules, keys: &[&[u8]]) -> Value {
        let target = Target {
            address: &self.address,
            database: rules.database,
            password: self.password,
            timeout_ms: TIMEOUT_MS,
            copy: rules.copy,
            big_bytes: rules.big_bytes,
            big_elements: rules.big_elements,
            budget_bytes: rules.budget_bytes,
        };
        let arguments = target.arguments(Script::Text, &self.run_id, keys);
        self.a.call(&arguments.expect("an address with a port"))
    }

    /// What became of each key, and the words of the last failure.
    fn moved_by(&mut self, rules: Rules, keys: &[&[u8]]) -> (Vec<Moved>, String) {
        let answer = self.call(rules, keys);
        assert_eq!(answer.error(), None);
        let items = answer.items();
        assert_eq!(items.len(), keys.len() + 3);
        let number = |item: &Value| Moved::from_number(item.integer()).expect("a known number");
        (items[..keys.len()].iter().map(number).collect(), items[keys.len() + 2].text())
    }

    fn moved(&mut self, keys: &[&[u8]]) -> Vec<Moved> {
        let (moved, words) = self.moved_by(RULES, keys);
        assert_eq!(words, "");
        moved
    }

    /// Whether the key is at the source, and at the target.
    fn places(&mut self, key: &[u8]) -> (bool, bool) {
        let exists: [&[u8]; 2] = [b"EXISTS", key];
        (self.a.call(&exists).integer() == 1, self.b.call(&exists).integer() == 1)
    }
}

const SOURCE: (bool, bool) = (true, false);
const TARGET: (bool, bool) = (false, true);
const BOTH: (bool, bool) = (true, true);

#[test]
fn the_scripts_hash_is_that_of_its_text() {
    let redis = Redis::start();
    assert_eq!(redis.client().call(&["SCRIPT", "LOAD", SCRIPT]).text(), SCRIPT_SHA1);
}

#[test]
fn keys_of_every_kind_and_name_are_at_the_target_afterwards_as_they_were() {
    let mut pair = Pair::start();
    let long = vec![b'n'; 1 << 20];
    let names: [&[u8]; 6] =
        [b"plain", b"with spaces and {tag}", b"\0\r\n\xff\xfe", b"", b"KEYS", &long];
    for name in names {
        pair.a.call(&[&b"SET"[..], name, b"\0value\r\n\xff"]);
    }
    pair.a.pipeline(&["RPUSH list a b", "HSET hash f v", "SADD set m", "ZADD zset 1.5 m"]);
    pair.a.run("XADD stream 1-1 f v");
    let dump: Vec<Value> = ["list", "hash", "set", "zset", "stream"]
        .iter()
        .map(|key| pair.a.call(&["DUMP", key]))
        .collect();
    let kinds: [&[u8]; 5] = [b"list", b"hash", b"set", b"zset", b"stream"];
    let keys = [&names[..], &kinds[..]].concat();
    // A key is big by its name, too.
    let rules = Rules { big_bytes: 4 << 20, ..RULES };
    assert_eq!(pair.moved_by(rules, &keys).0, vec![Moved::There; keys.len()]);
    for key in &keys {
        assert_eq!(pair.places(key), TARGET, "{}", key[..key.len().min(50)].escape_ascii());
    }
    for name in names {
        assert_eq!(pair.b.call(&[&b"GET"[..], name]), Value::bulk(b"\0value\r\n\xff"));
    }
    for (key, dump) in ["list", "hash", "set", "zset", "stream"].iter().zip(dump) {
        assert_eq!(pair.b.call(&["DUMP", key]), dump, "{key}");
    }
}

#[test]
fn a_key_that_is_nowhere_is_not_here() {
    let mut pair = Pair::start();
    pair.a.run("SET k v");
    assert_eq!(pair.moved(&[b"none", b"k"]), [Moved::NotHere, Moved::There]);
}

#[test]
fn a_time_to_live_goes_with_its_key_and_an_expired_key_does_not() {
    let mut pair = Pair::start();
    pair.a.pipeline(&["SET k v PXAT 4102444800000", "SET gone v PX 1"]);
    while pair.places(b"gone").0 {}
    assert_eq!(pair.moved(&[b"k", b"gone"]), [Moved::There, Moved::NotHere]);
    // MIGRATE sends what is left of it, so that it may come a little later.
    let left = pair.b.run("PEXPIRETIME k").integer() - 4_102_444_800_000;
    assert!((0..60_000).contains(&left), "{left}");
    assert_eq!(pair.places(b"gone"), (false, false));
}

#[test]
fn the_source_says_how_long_it_was_kept_unless_it_may_not_be_asked_the_time() {
    let mut pair = Pair::start();
    pair.a.pipeline(&["SET k v", "SET l v"]);
    let kept = |answer: Value| answer.items()[2].integer();
    // There are servers that show a script one moment only.
    let passes = "local a = redis.call('TIME') for i = 1, 1000000 do end
        local b = redis.call('TIME') return a[1] .. a[2] ~= b[1] .. b[2] and 1 or 0";
    let passes = pair.a.call(&["EVAL", passes, "0"]).integer() == 1;
    let took = kept(pair.call(RULES, &[b"k"]));
    assert!(if passes { (1..60_000_000).contains(&took) } else { took == 0 }, "{took}");
    pair.a.run("ACL SETUSER default -time");
    assert_eq!(kept(pair.call(RULES, &[b"l"])), 0);
    assert_eq!((pair.places(b"k"), pair.places(b"l")), (TARGET, TARGET));
}

#[test]
fn where_both_have_a_key_the_target_wins() {
    let mut pair = Pair::start();
    pair.a.pipeline(&["SET k stale", "SET l 1", "SET m 2"]);
    pair.b.run("SET k new");
    assert_eq!(pair.moved(&[b"k"]), [Moved::WasThere]);
    assert_eq!(pair.b.run("GET k").text(), "new");
    assert_eq!(pair.moved(&[b"l", b"m"]), [Moved::There, Moved::There]);
    for key in [b"k", b"l", b"m"] {
        assert_eq!(pair.places(key), TARGET);
    }
}

#[test]
fn a_refusal_of_one_of_several_keys_leaves_the_source_unclean() {
    let mut pair = Pair::start();
    pair.a.pipeline(&["SET k stale", "SET l 1", "SET m 2"]);
    pair.b.run("SET k new");
    let answer = pair.call(RULES, &[b"l", b"k", b"m"]);
    assert!(answer.error().is_some_and(|words| words.starts_with(SEVERAL)), "{answer:?}");
    assert_eq!(pair.places(b"k"), BOTH);
    let answer = pair.call(RULES, &[b"k"]);
    assert!(answer.error().is_some_and(|words| words.starts_with(UNCLEAN)), "{answer:?}");
    let (address, run_id) = (pair.address.clone(), pair.run_id.clone());
    pair.a.call(&["HSET", CLEAN_KEY, &address, &run_id]);
    assert_eq!(pair.moved(&[b"k"]), [Moved::WasThere]);
    assert_eq!(pair.moved(&[b"l", b"m"]), [Moved::NotHere, Moved::NotHere]);
    assert_eq!(pair.b.run("GET k").text(), "new");
}

#[test]
fn a_copy_stays_and_is_dropped_once_it_is_safe() {
    let mut pair = Pair::start();
    pair.a.pipeline(&["SET k v", "SET l stale"]);
    pair.b.run("SET l new");
    let copy = Rules { copy: true, ..RULES };
    let keys: [&[u8]; 2] = [b"k", b"l"];
    assert_eq!(pair.moved_by(copy, &keys[..1]).0, [Moved::There]);
    for key in &keys {
        assert_eq!(pair.moved_by(copy, &[*key]).0, [Moved::WasThere]);
    }
    assert_eq!((pair.places(b"k"), pair.places(b"l")), (BOTH, BOTH));
    assert_eq!(pair.b.run("GET l").text(), "new");
    let unlink = unlink_arguments(&pair.run_id, &pair.address, 0, &keys);
    assert_eq!(pair.a.call(&unlink).integer(), 2);
    assert_eq!((pair.places(b"k"), pair.places(b"l")), (TARGET, TARGET));
    assert_eq!(pair.moved_by(copy, &keys).0, [Moved::NotHere, Moved::NotHere]);
}

/// A big string that is safe at the target is freed in a database that has nothing else, and in no other.
#[test]
fn a_big_string_is_dropped_where_no_other_key_is() {
    let mut pair = Pair::start();
    pair.a.pipeline(&["SELECT 15", "SET mine 15", "SELECT 14", "SET k 14", "SELECT 3"]);
    let big = "v".repeat(2000);
    for (key, value) in [("k", &big[..]), ("small", "v"), ("other", &big[..])] {
        pair.a.call(&["SET", key, value]);
    }
    pair.a.run("RPUSH list a b");
    pair.a.run("CONFIG RESETSTAT");
    let free = |key: &str, run_id: &str, address: &str| {
        free_arguments(run_id, address, 3, key.as_bytes(), 1000)
    };
    for key in ["k", "small", "list"] {
        let answer = pair.a.call(&free(key, &pair.run_id, &pair.address));
        assert_eq!(answer.integer(), 1, "{key}");
    }
    assert_eq!(pair.a.call(&free("none", &pair.run_id, &pair.address)).integer(), 0);
    let calls = pair.a.run("INFO commandstats").text();
    let count = |name: &str| {
        let line =
            calls.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
        line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
    };
    assert_eq!((count("move"), count("unlink")), (1, 3), "{calls}");
    pair.a.run("SELECT 3");
    assert_eq!(pair.a.run("KEYS *"), Value::Array(vec![Value::bulk("other")]));
    pair.a.run("SELECT 14");
    assert_eq!(pair.a.run("GET k").text(), "14");
    pair.a.run("SELECT 15");
    assert_eq!(pair.a.run("GET mine").text(), "15");

    // Not clean: nothing happens, wherever it comes from.
    pair.a.call(&["EVAL", "redis.call('SELECT', 0) redis.call('DEL', KEYS[1])", "1", CLEAN_KEY]);
    let error = pair.a.call(&free("other", &pair.run_id, &pair.address)).error().expect("an error");
    assert!(error.starts_with(UNCLEAN), "{error}");
    pair.a.run("SELECT 3");
    assert_eq!(pair.a.run("STRLEN other").integer(), 2000);
}

/// Where FLUSHDB is refused, or every database has keys, it goes by UNLINK as others do.
#[test]
fn a_big_string_is_dropped_at_once_where_it_cannot_be_put_aside() {
    for obstacle in ["full", "-flushdb", "-move"] {
        let mut pair = Pair::start();
        let big = "v".repeat(2000);
        pair.a.call(&["SET", "k", &big]);
        if obstacle == "full" {
            for database in 1..16 {
                pair.a.pipeline(&[&format!("SELECT {database}"), "SET mine 1"]);
            }
            pair.a.run("SELECT 0");
        } else {
            pair.a.run(&format!("ACL SETUSER default {obstacle}"));
        }
        let free = free_arguments(&pair.run_id, &pair.address, 0, b"k", 1000);
        assert_eq!(pair.a.call(&free).integer(), 1, "{obstacle}");
        assert_eq!(pair.a.run("EXISTS k").integer(), 0);
        for database in 1..16 {
            pair.a.run(&format!("SELECT {database}"));
            let left = i64::from(obstacle == "full");
            assert_eq!(pair.a.run("DBSIZE").integer(), left, "{obstacle} {database}");
        }
    }
}

#[test]
fn keys_of_another_database_go_to_that_database() {
    let mut pair = Pair::start();
    pair.a.pipeline(&["SET k zero", "SELECT 3", "SET k three"]);
    let rules = Rules { database: 3, ..RULES };
    // The mark is in database 0, and the script looks there.
    let (moved, _) = pair.moved_by(rules, &[b"k"]);
    assert_eq!(moved, [Moved::There]);
    assert_eq!(pair.places(b"k"), (false, false), "database 0 of the target has nothing");
    // The same for the last of the three steps.
    pair.a.run("SET l v");
    pair.moved_by(Rules { copy: true, ..rules }, &[b"l"]);
    let unlink = unlink_arguments(&pair.run_id, &pair.address, 3, &[b"l"]);
    assert_eq!(pair.a.call(&unlink).integer(), 1);
    pair.b.run("SELECT 3");
    assert_eq!(pair.b.run("GET k").text(), "three");
    pair.a.run("SELECT 0");
    assert_eq!(pair.a.run("GET k").text(), "zero");
}

#[test]
fn a_key_is_big_by_its_bytes_or_by_its_elements() {
    let mut pair = Pair::start();
    let value = "v".repeat(20_000);
    pair.a.call(&["SET", "bytes", &value]);
    for kind in ["RPUSH list", "SADD set", "ZADD zset", "HSET hash", "XADD stream *"] {
        let (command, key) = kind.split_once(' ').expect("two words");
        let key = key.split(' ').next().expect("a key");
        for number in 0..200 {
            let number = number.to_string();
            let args: &[&str] = match command {
                "ZADD" => &[&number, &number],
                "HSET" => &[&number, "v"],
                "XADD" => &["*", "f", &number],
                _ => &[&number],
            };
            pair.a.call(&[&[command, key], args].concat());
        }
    }
    pair.a.run("SET small v");
    let keys: [&[u8]; 7] = [b"bytes", b"list", b"set", b"zset", b"hash", b"stream", b"small"];
    let rules = Rules { big_bytes: 15_000, big_elements: 199, ..RULES };
    let (moved, _) = pair.moved_by(rules, &keys);
    assert_eq!(moved, [vec![Moved::Big; 6], vec![Moved::There]].concat());
    for key in &keys[..6] {
        assert_eq!(pair.places(key), SOURCE);
    }
    let rules = Rules { big_bytes: 30_000, big_elements: 200, ..RULES };
    assert_eq!(pair.moved_by(rules, &keys[..6]).0, [Moved::There; 6]);
}

#[test]
fn no_further_key_is_tried_when_the_budget_is_used_up() {
    let mut pair = Pair::start();
    let value = "v".repeat(10_000);
    let keys: [&[u8]; 4] = [b"a", b"b", b"c", b"d"];
    for key in keys {
        pair.a.call(&[b"SET", key, value.as_bytes()]);
    }
    let rules = Rules { budget_bytes: 15_000, ..RULES };
    let expected = [Moved::There, Moved::There, Moved::NotTried, Moved::NotTried];
    assert_eq!(pair.moved_by(rules, &keys).0, expected);
    assert_eq!((pair.places(b"b"), pair.places(b"c")), (TARGET, SOURCE));
    let rules = Rules { budget_bytes: 1, ..RULES };
    assert_eq!(pair.moved_by(rules, &keys[2..]).0, [Moved::There, Moved::NotTried]);
}

#[test]
fn nothing_moves_from_a_source_that_is_not_clean() {
    let mut pair = Pair::start();
    pair.a.run("SET k v");
    let marks = [("HDEL", None), ("HSET", Some("of-another-run"))];
    for (command, run) in marks {
        let mut args = vec![command, CLEAN_KEY, &pair.address];
        args.extend(run);
        pair.a.call(&args);
        let error = pair.call(RULES, &[b"k"]).error().expect("an error");
        assert!(error.starts_with(UNCLEAN), "{error}");
        let unlink = unlink_arguments(&pair.run_id, &pair.address, 0, &[b"k"]);
        let error = pair.a.call(&unlink).error().expect("an error");
        assert!(error.starts_with(UNCLEAN), "{error}");
        assert_eq!(pair.places(b"k"), SOURCE);
    }
}

#[test]
fn a_source_that_is_started_again_is_unclean_by_its_run_id() {
    let mut pair = Pair::start();
    let mark = pair.run_id.clone();
    pair.source.restart();
    pair.a = pair.source.client();
    pair.run_id = run_id(&mut pair.a);
    assert_ne!(pair.run_id, mark);
    pair.a.call(&["HSET", CLEAN_KEY, &pair.address, &mark]);
    pair.a.run("SET k v");
    let error = pair.call(RULES, &[b"k"]).error().expect("an error");
    assert!(error.starts_with(UNCLEAN), "{error}");
}

#[test]
fn an_outcome_that_is_unknown_makes_the_source_unclean() {
    let mut pair = Pair::start();
    pair.a.run("SET k v");
    pair.target.process().freeze();
    let error = pair.call(RULES, &[b"k"]).error();
    let again = pair.call(RULES, &[b"k"]).error();
    pair.target.process().thaw();
    let (error, again) = (error.expect("an error"), again.expect("an error"));
    assert!(error.starts_with(UNKNOWN), "{error}");
    assert!(again.starts_with(UNCLEAN), "{again}");
    assert!(pair.places(b"k").0, "the source's copy stays");
}

#[test]
fn a_target_that_cannot_be_reached_keeps_its_keys_where_they_are() {
    let mut pair = Pair::start();
    pair.a.run("SET k v");
    pair.target.kill();
    let error = pair.call(RULES, &[b"k"]).error().expect("an error");
    assert!(error.starts_with(UNKNOWN), "{error}");
    assert_eq!(pair.a.run("GET k").text(), "v");
}

#[test]
fn a_target_without_memory_refuses_and_says_why() {
    let mut pair = Pair::start();
    pair.a.pipeline(&["SET k v", "SET l v"]);
    pair.b.run("SET l before");
    pair.b.run("CONFIG SET maxmemory 1");
    let (moved, words) = pair.moved_by(RULES, &[b"k"]);
    assert_eq!(moved, [Moved::Failed]);
    assert!(words.contains("OOM"), "{words}");
    assert_eq!(pair.places(b"k"), SOURCE);
    // The refusal is no unknown outcome.
    pair.b.run("CONFIG SET maxmemory 0");
    assert_eq!(pair.moved(&[b"k"]), [Moved::There]);
    assert_eq!(pair.moved(&[b"l"]), [Moved::WasThere]);
}

#[test]
fn a_target_that_asks_for_a_password_is_given_it() {
    let target = Redis::start_with_password("secret word");
    let mut pair = Pair::of(Redis::start(), target, "secret word");
    pair.a.run("SET k v");
    assert_eq!(pair.moved(&[b"k"]), [Moved::There]);
    assert_eq!(pair.places(b"k"), TARGET);
    let target = Redis::start_with_password("secret word");
    let mut pair = Pair::of(Redis::start(), target, "wrong");
    pair.a.run("SET k v");
    let (moved, words) = pair.moved_by(RULES, &[b"k"]);
    assert_eq!(moved, [Moved::Failed]);
    assert!(words.contains("WRONGPASS"), "{words}");
    assert_eq!(pair.places(b"k"), SOURCE);
}

#[test]
fn an_address_in_brackets_is_an_ipv6_host() {
    let options = RedisOptions { host: "::1", ..RedisOptions::default() };
    let mut pair = Pair::of(Redis::start(), Redis::start_with(options), "");
    pair.a.run("SET k v");
    assert_eq!(pair.moved(&[b"k"]), [Moved::There]);
    let nowhere = Target {
        address: "/run/redis.sock",
        database: 0,
        password: "",
        timeout_ms: 1,
        copy: false,
        big_bytes: 1,
        big_elements: 1,
        budget_bytes: 1,
    };
    assert_eq!(nowhere.arguments(Script::Sha1, "run", &[b"k"]), None);
}
