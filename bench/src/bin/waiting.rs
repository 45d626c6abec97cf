//! What clients that wait and listen cost the others: the CPU time of a GET on a shard, alone and beside them.
//! Prints a Markdown table.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is its purpose")]

use clap::Parser;
use codis_bench::{Bench, Contender, Kind, Place, Sample, describe_machine, median, start};
use codis_testbed::{Client, Redis, encode, eventually, need_open_files};
use std::path::PathBuf;

/// Measures a GET beside clients in BLPOP and subscribers.
#[derive(Debug, Parser)]
struct Options {
    /// The program of codis-proxy.
    #[arg(long, default_value = "target/release/codis-proxy")]
    proxy: PathBuf,
    /// Clients in BLPOP, each with a list of its own; and as many subscribers of one channel.
    #[arg(long, default_value_t = 2000)]
    clients: usize,
    /// Rounds, alone and beside them in turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Requests of a round.
    #[arg(long, default_value_t = 200_000)]
    requests: u64,
}

/// At most so many times the cost of a GET that is alone.
const GOAL: f64 = 1.10;

fn main() {
    let options = Options::parse();
    need_open_files((options.clients * 4 + 500) as u64);
    let backends = [Redis::start(), Redis::start()];
    let kind = Kind::Codis(options.proxy.clone());
    println!("# A GET beside clients that wait\n");
    println!("{}.\n", describe_machine(std::slice::from_ref(&kind)));
    let core = codis_testbed::cores() - 1;
    let contender = start(&kind, &backends, Place { threads: 1, core: Some(core) });
    let bench = Bench {
        command: "get",
        pipeline: 1,
        requests: options.requests,
        clients: 50,
        value_bytes: 64,
        core,
    };
    // Connections are made, and pools filled.
    let _ = bench.run(&contender);
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        alone.push(bench.run(&contender));
        let waiting = hold(&contender, &backends, options.clients);
        beside.push(bench.run(&contender));
        eprintln!(
            "round {round}: {:.3} us, {:.3} us",
            alone[round - 1].cpu_us(),
            beside[round - 1].cpu_us()
        );
        drop(waiting);
        eventually("none of them is left", || blocked(&backends) == 0);
    }
    report(&options, median(&alone), median(&beside));
}

/// Clients in BLPOP and subscribers, when all of them wait.
fn hold(contender: &Contender, backends: &[Redis], count: usize) -> Vec<Client> {
    let open = |request: Vec<u8>| {
        let mut client = Client::try_connect_small(contender.address())
            .unwrap_or_else(|error| panic!("a connection that is to wait: {error}"));
        client.send(request);
        client
    };
    let mut held: Vec<Client> =
        (0..count).map(|i| open(encode(&["BLPOP", &format!("list:{i}"), "0"]))).collect();
    for _ in 0..count {
        let mut subscriber = open(encode(&["SUBSCRIBE", "news"]));
        subscriber.read();
        held.push(subscriber);
    }
    eventually("all of them wait at the servers", || blocked(backends) == count);
    held
}

/// How many clients are blocked at the servers.
fn blocked(backends: &[Redis]) -> usize {
    let at = |redis: &Redis| {
        let info = redis.client().run("INFO clients").text();
        let number = info.lines().find_map(|line| line.strip_prefix("blocked_clients:"));
        number.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
    };
    backends.iter().map(at).sum()
}

fn report(options: &Options, alone: Sample, beside: Sample) {
    println!("| GET, 50 clients, one shard | requests/s | CPU us | user | system |");
    println!("|---|--:|--:|--:|--:|");
    let crowd = format!("beside {0} clients in BLPOP and {0} subscribers", options.clients);
    for (name, sample) in [("alone", alone), (crowd.as_str(), beside)] {
        println!(
            "| {name} | {:.0} | {:.3} | {:.3} | {:.3} |",
            sample.per_second,
            sample.cpu_us(),
            sample.user_us,
            sample.system_us
        );
    }
    let times = beside.cpu_us() / alone.cpu_us();
    let met = if times <= GOAL { "yes" } else { "no" };
    println!(
        "\n{times:.2} times the CPU of a GET that is alone, medians of {}; at most {GOAL:.2}: {met}",
        options.rounds
    );
}
