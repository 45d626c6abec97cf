//! The memory of a proxy with one shard, and with two: at start, with idle connections, and after a crowd has gone.
//! Prints Markdown tables.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is its purpose")]

use clap::Parser;
use codis_bench::{Contender, Kind, Place, contenders, describe_machine, start};
use codis_testbed::{Client, Redis, Value, encode, need_open_files};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// Measures a proxy's resident memory.
#[derive(Debug, Parser)]
struct Options {
    /// The program of codis-proxy.
    #[arg(long, default_value = "target/release/codis-proxy")]
    proxy: PathBuf,
    /// Connections that have each done a GET and stay open.
    #[arg(long, default_value_t = 5000)]
    idle: usize,
    /// Clients that pipeline and go.
    #[arg(long, default_value_t = 1000)]
    crowd: usize,
    /// How many threads the proxies have, one table each.
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    threads: Vec<usize>,
    /// The folder of the peers' adapters.
    #[arg(long, default_value = "bench/peers")]
    peers: PathBuf,
    /// Which are measured; all that are installed by default.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

/// Requests in one pipeline of the crowd, and how often each client sends it.
const PIPELINE: usize = 100;
const ROUNDS: usize = 20;
/// Bytes of the value that the crowd reads.
const VALUE_BYTES: usize = 1024;
/// Threads that drive the crowd.
const THREADS: usize = 8;

fn main() {
    let options = Options::parse();
    need_open_files((options.idle.max(options.crowd) + 500) as u64);
    let backends = [Redis::start(), Redis::start()];
    println!("# Resident memory of the proxy's process\n");
    let kinds = contenders(&options.proxy, &options.peers, &options.only).unwrap_or_else(|why| {
        eprintln!("error: {why}");
        std::process::exit(1);
    });
    println!("{}.\n", describe_machine(&kinds));
    // What has no process of its own has no memory.
    let kinds: Vec<Kind> = kinds.into_iter().filter(|kind| !matches!(kind, Kind::Direct)).collect();
    for threads in &options.threads {
        let able: Vec<&Kind> = kinds.iter().filter(|kind| kind.can_have(*threads)).collect();
        if !able.is_empty() {
            print_table(&options, &able, &backends, *threads);
        }
    }
}

fn print_table(options: &Options, kinds: &[&Kind], backends: &[Redis], threads: usize) {
    println!("### {threads} thread{} each\n", if threads == 1 { "" } else { "s" });
    println!("| | {} |", kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" | "));
    println!("|---|{}", "--:|".repeat(kinds.len()));
    let columns: Vec<Vec<(String, String)>> =
        kinds.iter().map(|kind| measure(options, kind, backends, threads)).collect();
    for row in 0..columns[0].len() {
        let values: Vec<&str> = columns.iter().map(|column| column[row].1.as_str()).collect();
        println!("| {} | {} |", columns[0][row].0, values.join(" | "));
    }
    println!();
}

fn measure(
    options: &Options,
    kind: &Kind,
    backends: &[Redis],
    threads: usize,
) -> Vec<(String, String)> {
    // One has a core to itself; several are where the system puts them.
    let core = (threads == 1).then(|| codis_testbed::cores() - 1);
    let contender = start(kind, backends, Place { threads, core });
    let value = "x".repeat(VALUE_BYTES);
    assert_eq!(Client::connect(contender.address()).call(&["SET", "key", &value]), Value::ok());
    let at_start = settled(&contender);
    let idle = hold_idle(&contender, options.idle);
    let with_idle = settled(&contender);
    drop(idle);
    let without_idle = settled(&contender);
    let most = pipeline_as_a_crowd(&contender, options.crowd);
    let after_crowd = settled(&contender);
    let each = with_idle.saturating_sub(at_start) as f64 / options.idle as f64;
    let mb = |bytes: u64| format!("{:.1} MB", bytes as f64 / f64::from(1 << 20));
    vec![
        ("at start".to_owned(), mb(at_start)),
        (format!("with {} connections that have done a GET", options.idle), mb(with_idle)),
        ("of that, each connection".to_owned(), format!("{each:.0} bytes")),
        ("after they have gone".to_owned(), mb(without_idle)),
        (
            format!("most with {} clients pipelining {PIPELINE} GETs of 1 KB", options.crowd),
            mb(most),
        ),
        ("after they have gone".to_owned(), mb(after_crowd)),
    ]
}

/// The resident memory when it has stopped changing.
fn settled(contender: &Contender) -> u64 {
    let mut last = resident(contender);
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(500));
        let now = resident(contender);
        if now == last {
            break;
        }
        last = now;
    }
    last
}

fn resident(contender: &Contender) -> u64 {
    contender.process().map_or(0, |process| process.resident_bytes())
}

fn hold_idle(contender: &Contender, count: usize) -> Vec<Client> {
    let get = encode(&["GET", "key"]);
    let open = |i: usize| {
        let mut client = Client::try_connect_small(contender.address())
            .unwrap_or_else(|error| panic!("connection {i} of {count}: {error}"));
        client.send(&get);
        assert!(matches!(client.read(), Value::Bulk(_)), "connection {i}");
        client
    };
    (0..count).map(open).collect()
}

/// Lets `count` clients pipeline at the same time and go; the most memory that was seen meanwhile.
fn pipeline_as_a_crowd(contender: &Contender, count: usize) -> u64 {
    let batch = encode(&["GET", "key"]).repeat(PIPELINE);
    let drive = |clients: usize| {
        let address = contender.address();
        let mut clients: Vec<Client> = (0..clients).map(|_| Client::connect(&address)).collect();
        for _ in 0..ROUNDS {
            clients.iter_mut().for_each(|client| client.send(&batch));
            for client in &mut clients {
                for _ in 0..PIPELINE {
                    assert!(matches!(client.read(), Value::Bulk(_)));
                }
            }
        }
    };
    thread::scope(|scope| {
        let drivers: Vec<_> =
            (0..THREADS).map(|_| scope.spawn(|| drive(count / THREADS))).collect();
        let mut most = 0;
        while drivers.iter().any(|driver| !driver.is_finished()) {
            most = most.max(resident(contender));
            thread::sleep(Duration::from_millis(5));
        }
        most
    })
}
