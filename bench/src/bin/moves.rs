//! What a move of slots costs: keys a second, and what clients notice. Prints Markdown.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is its purpose")]

use clap::Parser;
use codis_bench::describe_machine;
use codis_testbed::{
    Admin, Client, Member, MemberOptions, Proxy, ProxyOptions, Redis, Value, encode,
};
use hdrhistogram::Histogram;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Measures moves of slots between two groups.
#[derive(Debug, Parser)]
struct Options {
    /// The program of codis-meta.
    #[arg(long, default_value = "target/release/codis-meta")]
    meta: PathBuf,
    /// The program of codis-proxy.
    #[arg(long, default_value = "target/release/codis-proxy")]
    proxy: PathBuf,
    /// The program of codis-admin.
    #[arg(long, default_value = "target/release/codis-admin")]
    admin: PathBuf,
    /// Keys of 100 bytes that move.
    #[arg(long, default_value_t = 500_000)]
    keys: usize,
    /// How often they go there and back.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Requests a second of all paced clients together.
    #[arg(long, default_value_t = 2700)]
    rate: u32,
    /// Settings of the product, NAME=VALUE each, as `codis-admin config set` takes them.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Elements of the big hash and list.
    #[arg(long, default_value_t = 1_000_000)]
    elements: usize,
    /// Bytes of the big string.
    #[arg(long, default_value_t = 256 << 20)]
    string_bytes: usize,
}

/// Paced clients.
const CLIENTS: u32 = 4;

/// The slots that move.
const SLOTS: &str = "--beg 0 --end 511";

fn main() {
    let options = Options::parse();
    println!("# Moves of slots\n\n{}.\n", describe_machine(&[]));
    let bed = Bed::start(&options);
    for setting in &options.set {
        bed.admin.run(&format!("config set {}", setting.replacen('=', " ", 1)));
        println!("With {setting}.\n");
    }
    bed.fill(options.keys);
    bed.measure_speed(&options);
    bed.measure_clients(&options);
    bed.measure_big_keys(&options);
}

struct Bed {
    admin: Admin,
    proxy: Proxy,
    servers: [Redis; 2],
    _member: Member,
}

impl Bed {
    fn start(options: &Options) -> Self {
        let member = Member::start(MemberOptions::alone(&options.meta));
        let members = [member.address().to_owned()];
        let admin = Admin::new(&options.admin, &members);
        let servers = [Redis::start(), Redis::start()];
        for (gid, server) in (1..).zip(&servers) {
            admin.run(&format!("group create --gid {gid}"));
            admin.run(&format!("group add --gid {gid} --addr {}", server.address()));
        }
        admin.run(&format!("slots assign {SLOTS} --gid 1"));
        admin.run("slots assign --beg 512 --end 1023 --gid 2");
        let proxy = Proxy::start(&ProxyOptions::following(&options.proxy, &members));
        let mut client = proxy.client();
        while client.run("GET a").error().is_some() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { admin, proxy, servers, _member: member }
    }

    /// Keys of 100 bytes in the slots that move.
    fn fill(&self, keys: usize) {
        let mut client = self.servers[0].client();
        let value = "x".repeat(100);
        let mut number = 0;
        let names: Vec<String> = names(keys).collect();
        for part in names.chunks(1000) {
            let bytes: Vec<u8> =
                part.iter().flat_map(|name| encode(&["SET", name, &value])).collect();
            client.send(&bytes);
            part.iter().for_each(|_| number += u64::from(client.read() == Value::ok()));
        }
        assert_eq!(number, keys as u64);
    }

    fn move_to(&self, slots: &str, gid: usize) -> Duration {
        let began = Instant::now();
        self.admin.run(&format!("slots migrate {slots} --gid {gid} --wait"));
        began.elapsed()
    }

    fn measure_speed(&self, options: &Options) {
        println!("## {} keys of 100 bytes, an idle proxy\n", options.keys);
        println!("| | keys/s | seconds |\n|---|--:|--:|");
        for round in 0..2 * options.rounds {
            let took = self.move_to(SLOTS, 2 - round % 2).as_secs_f64();
            let way = if round % 2 == 0 { "there" } else { "back" };
            println!("| {way} | {:.0} | {took:.2} |", options.keys as f64 / took);
        }
        println!();
    }

    fn measure_clients(&self, options: &Options) {
        println!("## The same with {CLIENTS} clients, {} requests/s together\n", options.rate);
        println!(
            "| | keys/s | p50 ms | p99 ms | p99.9 ms | most ms | errors |\n|---|--:|--:|--:|--:|--:|--:|"
        );
        let idle = Paced::start(self, options, |paced| {
            std::thread::sleep(Duration::from_secs(5));
            paced
        });
        idle.row("no move", None);
        for round in 0..2 * options.rounds {
            let mut took = Duration::ZERO;
            let seen = Paced::start(self, options, |paced| {
                took = self.move_to(SLOTS, 2 - round % 2);
                paced
            });
            let way = if round % 2 == 0 { "there" } else { "back" };
            seen.row(way, Some(options.keys as f64 / took.as_secs_f64()));
        }
        let status = self.admin.run("slots status --json");
        println!("\n{}\n", slowest_barrier(&status));
    }

    fn measure_big_keys(&self, options: &Options) {
        let key = names(1).next().expect("there is one");
        let named = |kind: &str| format!("{kind}:{{{key}}}");
        let mut client = self.servers[0].client();
        let hash = "for i=ARGV[1],ARGV[2] do redis.call('HSET',KEYS[1],'field'..i,'value'..i) end";
        let list = "for i=ARGV[1],ARGV[2] do redis.call('RPUSH',KEYS[1],'element'..i) end";
        for (kind, script) in [("hash", hash), ("list", list)] {
            for from in (0..options.elements).step_by(100_000) {
                let to = (from + 99_999).min(options.elements - 1);
                client.call(&[
                    "EVAL",
                    script,
                    "1",
                    &named(kind),
                    &from.to_string(),
                    &to.to_string(),
                ]);
            }
        }
        client.call(&["SETRANGE", &named("string"), &(options.string_bytes - 1).to_string(), "x"]);
        for server in &self.servers {
            let mut client = server.client();
            client.run("CONFIG SET slowlog-log-slower-than 1000");
            client.run("CONFIG SET slowlog-max-len 10000");
            client.run("SLOWLOG RESET");
        }
        println!(
            "## A hash and a list of {} elements and a string of {} MB among them\n",
            options.elements,
            options.string_bytes >> 20
        );
        println!(
            "| | keys/s | p50 ms | p99 ms | p99.9 ms | most ms | errors |\n|---|--:|--:|--:|--:|--:|--:|"
        );
        let holds: Vec<Writer> =
            ["hash", "list"].map(|kind| Writer::start(self, &named(kind), kind)).into();
        let mut took = Duration::ZERO;
        let seen = Paced::start(self, options, |paced| {
            took = self.move_to(SLOTS, 2);
            paced
        });
        seen.row("other keys", Some(options.keys as f64 / took.as_secs_f64()));
        for writer in holds {
            let (kind, longest) = writer.stop();
            println!(
                "\nA write to the {kind} was held for at most {:.0} ms.",
                longest.as_secs_f64() * 1e3
            );
        }
        println!("\nAll of it took {:.2} s.", took.as_secs_f64());
        for (server, role) in self.servers.iter().zip(["source", "target"]) {
            let (us, command) = slowest(server);
            println!(
                "\nThe longest command at the {role} took {:.1} ms: {command}.",
                us as f64 / 1e3
            );
        }
    }
}

/// Names of keys in the slots that move.
fn names(count: usize) -> impl Iterator<Item = String> {
    let moves = |name: &String| slot_of(name) < 512;
    (0..).map(|n| format!("key:{n}")).filter(moves).take(count)
}

fn slot_of(name: &str) -> u32 {
    crc32fast::hash(name.as_bytes()) % 1024
}

fn slowest_barrier(status: &str) -> String {
    let found = status.split("slowest_barrier_us").nth(1).unwrap_or_default();
    let digits: String = found
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    let us: f64 = digits.parse().unwrap_or_default();
    format!("The slowest barrier held clients for {:.1} ms.", us / 1e3)
}

/// The longest command in a server's slow log, with its name.
fn slowest(server: &Redis) -> (i64, String) {
    let answer = server.client().run("SLOWLOG GET 10000");
    let Value::Array(entries) = answer else { return (0, String::new()) };
    let read = |entry: Value| {
        let Value::Array(parts) = entry else { return None };
        let [_, _, Value::Integer(us), Value::Array(args), ..] = &parts[..] else { return None };
        Some((*us, args.first().map(Value::text).unwrap_or_default()))
    };
    entries.into_iter().filter_map(read).max().unwrap_or_default()
}

/// Clients that send at a fixed rate, whatever the answers do: a request that is late counts from when it was due.
struct Paced {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<(Histogram<u64>, u64)>>,
}

struct Seen {
    times: Histogram<u64>,
    errors: u64,
}

impl Paced {
    fn start(bed: &Bed, options: &Options, during: impl FnOnce(Self) -> Self) -> Seen {
        let stop = Arc::<AtomicBool>::default();
        let every = Duration::from_secs(1) * CLIENTS / options.rate;
        let all: Arc<Vec<String>> = Arc::new(names(options.keys.max(1000)).collect());
        let clients = (0..CLIENTS).map(|number| {
            let (stop, all, client) = (Arc::clone(&stop), Arc::clone(&all), bed.proxy.client());
            std::thread::spawn(move || pace(client, &all, every, u64::from(number), &stop))
        });
        let clients = clients.collect();
        let paced = Self { stop, clients };
        during(paced).stop()
    }

    fn stop(self) -> Seen {
        self.stop.store(true, SeqCst);
        let mut seen = Seen { times: histogram(), errors: 0 };
        for client in self.clients {
            let (times, errors) = client.join().expect("a client does not panic");
            seen.times.add(times).expect("they are alike");
            seen.errors += errors;
        }
        seen
    }
}

impl Seen {
    fn row(&self, what: &str, speed: Option<f64>) {
        let ms = |quantile: f64| self.times.value_at_quantile(quantile) as f64 / 1e3;
        let speed = speed.map_or(String::new(), |speed| format!("{speed:.0}"));
        println!(
            "| {what} | {speed} | {:.2} | {:.2} | {:.2} | {:.2} | {} |",
            ms(0.5),
            ms(0.99),
            ms(0.999),
            self.times.max() as f64 / 1e3,
            self.errors
        );
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("these are bounds that can be")
}

fn pace(
    mut client: Client,
    names: &[String],
    every: Duration,
    mut seed: u64,
    stop: &AtomicBool,
) -> (Histogram<u64>, u64) {
    let mut times = histogram();
    let (mut errors, mut due) = (0, Instant::now());
    let value = "y".repeat(100);
    while !stop.load(SeqCst) {
        due += every;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let name = &names[(seed >> 33) as usize % names.len()];
        let answer = match seed >> 63 {
            0 => client.call(&["GET", name]),
            _ => client.call(&["SET", name, &value]),
        };
        errors += u64::from(answer.error().is_some());
        times.saturating_record(due.elapsed().as_micros() as u64);
    }
    (times, errors)
}

/// Writes to one big key all the time.
struct Writer {
    kind: String,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Duration>,
}

impl Writer {
    fn start(bed: &Bed, key: &str, kind: &str) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let (mut client, stopped, key) = (bed.proxy.client(), Arc::clone(&stop), key.to_owned());
        let is_hash = kind == "hash";
        let thread = std::thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !stopped.load(SeqCst) {
                let began = Instant::now();
                let answer = match is_hash {
                    true => client.call(&["HSET", &key, "field1", "again"]),
                    false => client.call(&["LSET", &key, "1", "again"]),
                };
                assert!(answer.error().is_none(), "{answer:?}");
                longest = longest.max(began.elapsed());
                std::thread::sleep(Duration::from_millis(5));
            }
            longest
        });
        Self { kind: kind.to_owned(), stop, thread }
    }

    fn stop(self) -> (String, Duration) {
        self.stop.store(true, SeqCst);
        (self.kind, self.thread.join().expect("it is answered without errors"))
    }
}
