//! What stands for each sort of argument.
//!
//! Numbers are so that nothing depends on time or needs much memory: what expires does so now or in hours, and
//! offsets are small or too great.

use fastrand::Rng;

/// Families of keys, each with a few names; what is sent to one of another family is a wrong type.
const FAMILIES: [&str; 9] = ["str", "list", "set", "hash", "zset", "stream", "geo", "hll", "bits"];

const KEYS_A_FAMILY: usize = 3;

/// One time in so many, a key is of another family than it should be.
const WRONG_FAMILY: usize = 12;

const VALUES: &[&str] = &[
    "",
    "a",
    "b",
    "c",
    "hello world",
    "10",
    "-3",
    "0",
    "3.25",
    "1e3",
    "foo\r\nbar",
    "\u{0}\u{ff}",
    "9223372036854775807",
    "nan",
    "{t}",
    "*3",
    "0.1",
];

const SCRIPTS_OF_ONE_KEY: &[&str] = &[
    "return redis.call('TYPE', KEYS[1])",
    "return {1, 'two', {3, ARGV[1]}, false, 3.9}",
    "return redis.call('SET', KEYS[1], ARGV[1])",
    "return redis.pcall('INCR', KEYS[1])",
    "return redis.call('INCR', KEYS[1])",
    "return redis.error_reply('MINE it is')",
    "return redis.status_reply('FINE')",
    "redis.setresp(3) return {map={a=1}}",
    "redis.setresp(3) return redis.call('HGETALL', KEYS[1])",
    "return {double=3.5}",
    "return nil",
    "return true",
    "return nosuchvariable",
    "this is no lua",
    "return redis.call('NOPE')",
];

const SCRIPTS_OF_TWO_KEYS: &[&str] = &[
    "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('COPY', KEYS[1], KEYS[2], 'REPLACE')",
    "return {redis.call('GET', KEYS[1]), redis.call('EXISTS', KEYS[2])}",
];

/// What replaces an argument that is spoilt, or comes beside the right ones.
const JUNK: &[&str] =
    &["", "abc", "-1", "99999999999999999999999", "nan", "1.2.3", "(", "-inf-", "\u{0}", "NX", "é"];

/// Makes arguments for the keys of one tag.
pub struct Arguments<'a> {
    pub rng: &'a mut Rng,
    pub tag: &'a str,
    pub dump: &'a [u8],
    /// The key that was made last.
    pub last_key: Vec<u8>,
}

/// Every key of a tag.
pub fn keys(tag: &str) -> Vec<Vec<u8>> {
    let names =
        |family| (0..KEYS_A_FAMILY).map(move |n| format!("{{{tag}}}:{family}{n}").into_bytes());
    FAMILIES.iter().flat_map(names).collect()
}

impl Arguments<'_> {
    /// An argument of this sort.
    ///
    /// # Panics
    /// When there is no such sort: templates are written by hand.
    pub fn make(&mut self, sort: &str) -> Vec<u8> {
        if FAMILIES.contains(&sort) || sort == "any" {
            let wrong = sort == "any" || self.rng.usize(..WRONG_FAMILY) == 0;
            let family = if wrong { *self.pick(&FAMILIES) } else { sort };
            self.last_key = format!("{{{}}}:{family}{}", self.tag, self.rng.usize(..KEYS_A_FAMILY))
                .into_bytes();
            return self.last_key.clone();
        }
        match sort {
            "same" => self.last_key.clone(),
            "dump" => self.dump.to_vec(),
            "val" => self.value(),
            _ => self.text(sort).into_bytes(),
        }
    }

    fn pick<'b, T>(&mut self, all: &'b [T]) -> &'b T {
        &all[self.rng.usize(..all.len())]
    }

    /// What is no right argument.
    pub fn junk(&mut self) -> Vec<u8> {
        self.pick(JUNK).as_bytes().to_vec()
    }

    fn value(&mut self) -> Vec<u8> {
        match self.rng.usize(..40) {
            0 => vec![b'x'; self.rng.usize(100..3000)],
            1 => (0..=255).collect(),
            _ => self.pick(VALUES).as_bytes().to_vec(),
        }
    }

    fn text(&mut self, sort: &str) -> String {
        let tag = self.tag;
        match sort {
            "int" => match self.rng.usize(..12) {
                0 => i64::MAX.to_string(),
                1 => i64::MIN.to_string(),
                _ => self.rng.i64(-5..20).to_string(),
            },
            "small" => self.rng.i64(1..6).to_string(),
            "count" => self.rng.i64(0..8).to_string(),
            "index" => self.rng.i64(-8..10).to_string(),
            "bit" => (*self.pick(&["0", "1", "1", "2"])).to_owned(),
            "offset" => match self.rng.usize(..20) {
                0 => "4294967296".to_owned(),
                1 => "-1".to_owned(),
                _ => self.rng.i64(0..200).to_string(),
            },
            "bitoffset" => (*self.pick(&["0", "7", "#1", "#3", "100"])).to_owned(),
            "bittype" => (*self.pick(&["u8", "i5", "u1", "i64", "u63", "u64", "x8"])).to_owned(),
            "float" => (*self.pick(&["1.5", "-0.25", "3", "1e2", "0.1", "inf", "abc"])).to_owned(),
            "score" => (*self
                .pick(&["1", "2", "-1.5", "0", "3.25", "1e5", "inf", "-inf", "0.1", "7"]))
            .to_owned(),
            "bound" => (*self.pick(&["-inf", "+inf", "0", "(1", "2", "(3.25", "1e5", "x", "-1.5"]))
                .to_owned(),
            "lex" => (*self.pick(&["-", "+", "[a", "(m1", "[m3", "(m5", "x"])).to_owned(),
            "ttl" => self.rng.i64(10_000..20_000).to_string(),
            "pttl" => self.rng.i64(10_000_000..20_000_000).to_string(),
            "at" => self.rng.i64(4_000_000_000..4_000_001_000).to_string(),
            "pat" => self.rng.i64(4_000_000_000_000..4_000_000_001_000).to_string(),
            "field" => format!("f{}", self.rng.usize(..8)),
            "member" => match self.rng.usize(..3) {
                0 => self.rng.usize(..20).to_string(),
                _ => format!("m{}", self.rng.usize(..10)),
            },
            "name" => (*self.pick(&["me", "", "a b", "x-1"])).to_owned(),
            "id" => format!("{}-{}", self.rng.usize(..6), self.rng.usize(..6)),
            "idbound" => match self.rng.usize(..6) {
                0 => "-".to_owned(),
                1 => "+".to_owned(),
                2 => self.rng.usize(..6).to_string(),
                3 => format!("({}-{}", self.rng.usize(..6), self.rng.usize(..6)),
                _ => format!("{}-{}", self.rng.usize(..6), self.rng.usize(..6)),
            },
            "group" => format!("g{}", self.rng.usize(..2)),
            "consumer" => format!("c{}", self.rng.usize(..2)),
            "lon" => (*self.pick(&["13.361389", "15.087269", "-122.4", "0", "181"])).to_owned(),
            "lat" => (*self.pick(&["38.115556", "37.502669", "37.7", "0", "-86"])).to_owned(),
            "dist" => (*self.pick(&["1", "200", "5000.5", "0", "-1"])).to_owned(),
            "unit" => (*self.pick(&["m", "km", "mi", "ft", "yd"])).to_owned(),
            "pattern" => (*self.pick(&["*", "m*", "f?", "[0-9]*", "nothing"])).to_owned(),
            "tagpattern" => format!("*{{{tag}}}:{}", self.pick(&["*", "s*", "?ist[01]"])),
            "weight" => format!("{{{tag}}}:str*"),
            "db" => (*self.pick(&["0", "1", "1", "15", "16", "-1"])).to_owned(),
            "proto" => (*self.pick(&["2", "3"])).to_owned(),
            "sha" => "ffffffffffffffffffffffffffffffffffffffff".to_owned(),
            "script1" => (*self.pick(SCRIPTS_OF_ONE_KEY)).to_owned(),
            "script2" => (*self.pick(SCRIPTS_OF_TWO_KEYS)).to_owned(),
            _ => panic!("there are no arguments of the sort <{sort}>"),
        }
    }
}
