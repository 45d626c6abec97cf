//! codis-proxy beside its peers and a direct connection: everything on one core, the same load, CPU
//! time a request out of /proc. Prints a Markdown table.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is its purpose")]

use clap::Parser;
use codis_bench::{
    Bench, CODIS, Contender, DIRECT, Place, Sample, contenders, describe_machine, median, start,
};
use codis_testbed::{Redis, RedisOptions};
use std::path::PathBuf;

/// Compares codis-proxy with its peers on one core.
#[derive(Debug, Parser)]
struct Options {
    /// The program of codis-proxy.
    #[arg(long, default_value = "target/release/codis-proxy")]
    proxy: PathBuf,
    /// The core that everything shares.
    #[arg(long, default_value_t = codis_testbed::cores() - 1)]
    core: usize,
    /// Rounds; the table shows the median of each number.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How many requests, in per cent of the usual number.
    #[arg(long, default_value_t = 100)]
    percent: u64,
    /// The folder of the peers' adapters.
    #[arg(long, default_value = "bench/peers")]
    peers: PathBuf,
    /// Which take part; all that are installed by default.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

/// A depth of pipelining, its load, and the goals for it.
struct Depth {
    pipeline: u32,
    /// Enough that ticks of 10 ms do not show in the result.
    requests: u64,
    /// CPU time a request, as a part of nutcracker's.
    ratio_goal: f64,
    /// User-space CPU time a request, in microseconds.
    user_goal_us: Option<f64>,
}

const DEPTHS: [Depth; 3] = [
    Depth { pipeline: 1, requests: 200_000, ratio_goal: 0.70, user_goal_us: None },
    Depth { pipeline: 16, requests: 1_000_000, ratio_goal: 0.28, user_goal_us: Some(0.30) },
    Depth { pipeline: 100, requests: 2_000_000, ratio_goal: 0.10, user_goal_us: Some(0.30) },
];
/// The peer that the goals are about.
const PEER: &str = "nutcracker";
const COMMANDS: [&str; 2] = ["set", "get"];

fn main() {
    let options = Options::parse();
    let redis =
        || Redis::start_with(RedisOptions { core: Some(options.core), ..RedisOptions::default() });
    let backends = [redis(), redis()];
    let kinds = contenders(&options.proxy, &options.peers, &options.only).unwrap_or_else(|why| {
        eprintln!("error: {why}");
        std::process::exit(1);
    });
    let place = Place { threads: 1, core: Some(options.core) };
    let contenders: Vec<Contender> =
        kinds.iter().map(|kind| start(kind, &backends, place)).collect();
    for contender in &contenders {
        // So that GET finds values.
        let _ = bench(&options, &DEPTHS[2], "set").run(contender);
    }
    println!("# CPU a request, on one core with its clients and servers\n");
    println!("{}.\n", describe_machine(&kinds));
    println!(
        "50 clients, values of 64 bytes, two Redis servers behind each proxy; medians of {} interleaved \
         rounds; CPU is that of the proxy's process, in microseconds a request.\n",
        options.rounds
    );
    println!(
        "| P | | through | requests/s | p50 ms | p99 ms | CPU | user | system | of nutcracker's |"
    );
    println!("|--:|---|---|--:|--:|--:|--:|--:|--:|--:|");
    let mut verdicts = Vec::new();
    for depth in &DEPTHS {
        for command in COMMANDS {
            let results = measure(&options, &contenders, depth, command);
            print_rows(depth, command, &results);
            verdicts.extend(verdict(depth, command, &results));
        }
    }
    if !verdicts.is_empty() {
        println!("\nGoals:\n");
        verdicts.iter().for_each(|verdict| println!("- {verdict}"));
    }
}

fn bench(options: &Options, depth: &Depth, command: &'static str) -> Bench {
    let requests = (depth.requests * options.percent / 100).max(1000);
    let Depth { pipeline, .. } = *depth;
    Bench { command, pipeline, requests, clients: 50, value_bytes: 64, core: options.core }
}

/// The contenders take turns within each round, so that a slow moment of the machine hits them alike.
fn measure(
    options: &Options,
    contenders: &[Contender],
    depth: &Depth,
    command: &'static str,
) -> Vec<(String, Sample)> {
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); contenders.len()];
    for round in 0..options.rounds {
        for (contender, samples) in contenders.iter().zip(&mut samples) {
            let sample = bench(options, depth, command).run(contender);
            eprintln!(
                "round {} P={} {command} {}: {:.0}/s, {:.3} us",
                round + 1,
                depth.pipeline,
                contender.name,
                sample.per_second,
                sample.cpu_us()
            );
            samples.push(sample);
        }
    }
    contenders
        .iter()
        .zip(&samples)
        .map(|(contender, samples)| (contender.name.clone(), median(samples)))
        .collect()
}

fn of_name(results: &[(String, Sample)], name: &str) -> Option<Sample> {
    results.iter().find(|(found, _)| found == name).map(|(_, sample)| *sample)
}

fn print_rows(depth: &Depth, command: &str, results: &[(String, Sample)]) {
    let peer = of_name(results, PEER);
    for (name, sample) in results {
        let Sample { per_second, p50_ms, p99_ms, user_us, system_us } = *sample;
        let head = format!("| {} | {} | {}", depth.pipeline, command.to_uppercase(), name);
        let load = format!("{per_second:.0} | {p50_ms:.3} | {p99_ms:.3}");
        if name == DIRECT {
            println!("{head} | {load} | | | | |");
            continue;
        }
        let ratio =
            peer.map_or(String::new(), |peer| format!("{:.2}", sample.cpu_us() / peer.cpu_us()));
        println!(
            "{head} | {load} | {:.3} | {user_us:.3} | {system_us:.3} | {ratio} |",
            sample.cpu_us()
        );
    }
}

fn verdict(depth: &Depth, command: &str, results: &[(String, Sample)]) -> Vec<String> {
    let what = format!("P={} {}", depth.pipeline, command.to_uppercase());
    let met = |met: bool| if met { "met" } else { "NOT MET" };
    let Some(ours) = of_name(results, CODIS) else {
        return Vec::new();
    };
    let mut verdicts = Vec::new();
    if let Some(peer) = of_name(results, PEER) {
        let (ratio, goal) = (ours.cpu_us() / peer.cpu_us(), depth.ratio_goal);
        verdicts.push(format!(
            "{what}: {ratio:.3} of nutcracker's CPU, at most {goal}: {}",
            met(ratio <= goal)
        ));
    }
    if let Some(goal) = depth.user_goal_us {
        let user = ours.user_us;
        verdicts.push(format!(
            "{what}: {user:.3} us in user space, at most {goal}: {}",
            met(user <= goal)
        ));
    }
    verdicts
}
