//! codis-proxy beside its peers: what each can do in a closed loop, and its latencies in open loops, at half of that and at a
//! rate that is the same for all. Prints Markdown tables, and plots the latencies.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is its purpose")]

use clap::Parser;
use codis_bench::{Contender, DIRECT, Kind, Place, contenders, describe_machine, start};
use codis_loadtest::run::report::{Series, plot_latencies};
use codis_loadtest::run::{
    Mix, Outcome, Plan, Second, Share, Target, ValueSizes, Values, Watch, run,
};
use codis_testbed::Redis;
use hdrhistogram::Histogram;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Compares latencies at the same rate, and at half of what each can do.
#[derive(Debug, Parser)]
struct Options {
    /// The program of codis-proxy.
    #[arg(long, default_value = "target/release/codis-proxy")]
    proxy: PathBuf,
    /// The folder of the peers' adapters.
    #[arg(long, default_value = "bench/peers")]
    peers: PathBuf,
    /// Which take part; all that are installed by default.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// How many threads the proxies have, one table each; none with no number.
    #[arg(long, value_delimiter = ',', num_args = 0.., default_value = "1,2")]
    threads: Vec<usize>,
    /// A core that the load has to itself, in one more table; proxies with one thread and the servers share the others. None
    /// without it.
    #[arg(long)]
    load_core: Option<usize>,
    /// Rounds, in which contenders take turns.
    #[arg(long, default_value_t = 201)]
    rounds: usize,
    /// Seconds of each loop, after as long a warm-up.
    #[arg(long, default_value_t = 0.1)]
    seconds: f64,
    /// Where the plots go; none without it.
    #[arg(long)]
    plots: Option<PathBuf>,
}

const CLIENTS: usize = 50;
const MIX: &str = "get=80,set=20";
const VALUE_BYTES: usize = 64;
const KEYS: u64 = 100_000;

/// What was measured of one contender, round by round: a stall of the machine is in few of them, and not in
/// their medians.
struct Measured {
    name: String,
    per_second: Vec<f64>,
    cpu_us: Vec<f64>,
    half: Rounds,
    same: Rounds,
    unsent: u64,
}

/// The latencies of each round.
#[derive(Default)]
struct Rounds(Vec<Histogram<u64>>);

impl Rounds {
    /// The median of what the rounds show.
    fn middle(&self, of: impl Fn(&Histogram<u64>) -> u64) -> f64 {
        median(&self.0.iter().map(|round| of(round) as f64).collect::<Vec<_>>())
    }

    fn quantile(&self, at: f64) -> f64 {
        self.middle(|round| round.value_at_quantile(at))
    }

    /// In how many rounds p99.9 was lower than that of another in the same round, of how many.
    fn beside(&self, other: &Self) -> (usize, usize) {
        let p999 = |round: &Histogram<u64>| round.value_at_quantile(0.999);
        let rounds = self.0.iter().zip(&other.0);
        let less = rounds.clone().filter(|(ours, theirs)| p999(ours) < p999(theirs)).count();
        (less, rounds.count())
    }

    /// The round whose p99.9 is the median.
    fn typical(&self) -> Option<&Histogram<u64>> {
        let mut rounds: Vec<&Histogram<u64>> = self.0.iter().collect();
        rounds.sort_by_key(|round| round.value_at_quantile(0.999));
        rounds.get(rounds.len() / 2).copied()
    }
}

struct Silent;

impl Watch for Silent {
    fn begins(&mut self, _: &Plan) {}
    fn second(&mut self, _: &Second) {}
    fn ends(&mut self) {}
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let kinds = contenders(&options.proxy, &options.peers, &options.only)?;
    println!("# Latencies in open loops\n\n{}.\n", describe_machine(&kinds));
    println!(
        "{CLIENTS} clients, {MIX}, values of {VALUE_BYTES} bytes, {KEYS} keys, two Redis servers; \
         medians of {} rounds of {} s. Latencies count from when a request was due, in milliseconds.\n",
        options.rounds, options.seconds
    );
    let all = sched_getaffinity(None)?;
    for threads in &options.threads {
        let plural = if *threads == 1 { "" } else { "s" };
        let layout = Layout {
            title: format!("{threads} thread{plural} each, no process bound to a core"),
            plot: threads.to_string(),
            threads: *threads,
            servers: all,
            load: all,
        };
        measure(&options, &kinds, &layout)?;
    }
    if let Some(core) = options.load_core {
        let title =
            "1 thread each; the load has a core of its own, proxy and servers share the others";
        let (load, servers) = part(&all, core)?;
        let (title, plot) = (title.to_owned(), "load-core".to_owned());
        measure(&options, &kinds, &Layout { title, plot, threads: 1, servers, load })?;
    }
    Ok(())
}

/// Who runs where.
struct Layout {
    title: String,
    /// What the plot's name ends with.
    plot: String,
    /// Of each proxy.
    threads: usize,
    /// The cores of proxies and servers.
    servers: CpuSet,
    /// The cores of the load.
    load: CpuSet,
}

/// `core`, and all that are not it.
fn part(all: &CpuSet, core: usize) -> Result<(CpuSet, CpuSet), Box<dyn Error>> {
    if core >= CpuSet::MAX_CPU || !all.is_set(core) || all.count() < 2 {
        return Err(format!(
            "--load-core={core}: this process must be allowed that core and one more"
        )
        .into());
    }
    let (mut one, mut others) = (CpuSet::new(), *all);
    one.set(core);
    others.unset(core);
    Ok((one, others))
}

/// Compares what can run so; prints a table, and plots it.
fn measure(options: &Options, kinds: &[Kind], layout: &Layout) -> Result<(), Box<dyn Error>> {
    let kinds: Vec<Kind> =
        kinds.iter().filter(|kind| kind.can_have(layout.threads)).cloned().collect();
    let (measured, rate) = compare(options, &kinds, layout)?;
    println!("### {}\n", layout.title);
    print_table(&measured, rate);
    if let Some(folder) = &options.plots {
        std::fs::create_dir_all(folder)?;
        let series: Vec<Series<'_>> = measured
            .iter()
            .filter_map(|one| Some(Series { name: &one.name, latencies: one.same.typical()? }))
            .collect();
        let title = format!("{}; {rate:.0} requests/s", layout.title);
        plot_latencies(&folder.join(format!("latency-{}.svg", layout.plot)), &title, &series)?;
    }
    Ok(())
}

/// Measures all contenders; also the rate that was the same for all.
fn compare(
    options: &Options,
    kinds: &[Kind],
    layout: &Layout,
) -> Result<(Vec<Measured>, f64), Box<dyn Error>> {
    // What is started inherits the cores of who starts it.
    sched_setaffinity(None, &layout.servers)?;
    let backends = [Redis::start(), Redis::start()];
    let place = Place { threads: layout.threads, core: None };
    let running: Vec<Contender> = kinds.iter().map(|kind| start(kind, &backends, place)).collect();
    sched_setaffinity(None, &layout.load)?;
    let mut measured: Vec<Measured> = running.iter().map(|one| Measured::new(&one.name)).collect();
    let length = Duration::from_secs_f64(options.seconds);
    for _ in 0..options.rounds {
        for (contender, measured) in running.iter().zip(&mut measured) {
            measured.closed(contender, length)?;
        }
    }
    // Half of what the slowest can do, so that each has the same to do.
    let slowest = measured.iter().map(Measured::middle).fold(f64::INFINITY, f64::min);
    let same = (slowest / 2.0 / 100.0).round() * 100.0;
    for _ in 0..options.rounds {
        for (contender, measured) in running.iter().zip(&mut measured) {
            let outcome = load(contender, length, Some(measured.middle() / 2.0))?;
            measured.unsent += outcome.unsent + outcome.unanswered;
            measured.half.0.push(outcome.counts.all());
            let outcome = load(contender, length, Some(same))?;
            measured.unsent += outcome.unsent + outcome.unanswered;
            measured.same.0.push(outcome.counts.all());
        }
    }
    Ok((measured, same))
}

impl Measured {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            per_second: Vec::new(),
            cpu_us: Vec::new(),
            half: Rounds::default(),
            same: Rounds::default(),
            unsent: 0,
        }
    }

    fn closed(&mut self, contender: &Contender, duration: Duration) -> Result<(), Box<dyn Error>> {
        let before = contender.process().map(|process| process.cpu_time());
        let outcome = load(contender, duration, None)?;
        let after = contender.process().map(|process| process.cpu_time());
        let replies = outcome.counts.replies() as f64;
        self.per_second.push(replies / outcome.elapsed.as_secs_f64());
        if let (Some(before), Some(after)) = (before, after) {
            // The warm-up is in the CPU time and not in the replies.
            let counted = outcome.elapsed.as_secs_f64();
            let part = counted / (counted + duration.as_secs_f64());
            self.cpu_us.push(after.since(before).total_ns as f64 / 1000.0 * part / replies);
        }
        Ok(())
    }

    fn middle(&self) -> f64 {
        median(&self.per_second)
    }
}

fn median(numbers: &[f64]) -> f64 {
    let mut numbers = numbers.to_vec();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

fn load(
    contender: &Contender,
    duration: Duration,
    rate: Option<f64>,
) -> Result<Outcome, Box<dyn Error>> {
    let shares = MIX.split(',').map(str::parse).collect::<Result<Vec<Share>, _>>()?;
    let mix = Mix::new(&shares, &[], "key:")?;
    let target = Target { host: "127.0.0.1".to_owned(), address: contender.address().parse()? };
    let mut plan = Plan::new(vec![target], mix, Values::new(&ValueSizes::Fixed(VALUE_BYTES), 1));
    (plan.clients, plan.keys, plan.rate) = (CLIENTS, KEYS, rate);
    (plan.warmup, plan.duration) = (duration, duration);
    let outcome = run(plan, &mut Silent)?;
    let errors = outcome.counts.error_replies() + outcome.counts.lost_connections;
    if errors > 0 {
        let told = &outcome.counts.errors;
        return Err(
            format!("{}: {errors} errors or lost connections: {told:?}", contender.name).into()
        );
    }
    Ok(outcome)
}

fn print_table(measured: &[Measured], same: f64) {
    println!(
        "| through | closed loop, requests/s | CPU us | at half of that: p50 | p99 | p99.9 | max | at {same:.0}/s: p50 | p99 | p99.9 | max |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for one in measured {
        let cpu = if one.cpu_us.is_empty() {
            String::new()
        } else {
            format!("{:.2}", median(&one.cpu_us))
        };
        let ms = |ns: f64| format!("{:.3}", ns / 1e6);
        let row = |rounds: &Rounds| {
            let quantiles = [0.5, 0.99, 0.999].map(|at| ms(rounds.quantile(at)));
            format!("{} | {}", quantiles.join(" | "), ms(rounds.middle(Histogram::max)))
        };
        println!(
            "| {} | {:.0} | {cpu} | {} | {} |",
            one.name,
            one.middle(),
            row(&one.half),
            row(&one.same)
        );
    }
    let unsent: u64 = measured.iter().map(|one| one.unsent).sum();
    if unsent > 0 {
        println!("\n{unsent} requests of the open loops were not sent or not answered in time.");
    }
    verdict(measured);
    println!();
}

/// Whether p99.9 of ours is lower than that of each other proxy, at half of what each can do and at the same rate.
fn verdict(measured: &[Measured]) {
    let proxies: Vec<&Measured> = measured.iter().filter(|one| one.name != DIRECT).collect();
    let [ours, peers @ ..] = &proxies[..] else { return };
    for (what, of) in [
        ("at half of what each can do", (|one| &one.half) as fn(&Measured) -> &Rounds),
        ("at the same rate", |one| &one.same),
    ] {
        for peer in peers {
            let (less, rounds) = of(ours).beside(of(peer));
            let how = Lower::of(less, rounds);
            println!(
                "\np99.9 of codis-proxy {what}: {how} {} (lower in {less} of {rounds} rounds).",
                peer.name
            );
        }
    }
}

/// What rounds say of two that were measured in turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lower {
    Yes,
    No,
    /// So many rounds for the one and for the other can come about by chance.
    NotShown,
}

impl Lower {
    /// The sign test: were there no difference, one of both answers would be given in one of twenty tables.
    fn of(less: usize, rounds: usize) -> Self {
        const DEVIATIONS: f64 = 1.96;
        let (less, rounds) = (less as f64, rounds as f64);
        let above = (less - rounds / 2.0) / (rounds / 4.0).sqrt();
        match above {
            _ if above > DEVIATIONS => Self::Yes,
            _ if above < -DEVIATIONS => Self::No,
            _ => Self::NotShown,
        }
    }
}

impl fmt::Display for Lower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yes => "lower than that of",
            Self::No => "HIGHER than that of",
            Self::NotShown => "no difference shows from that of",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Lower;

    #[test]
    fn a_difference_shows_when_chance_would_not_bring_so_many_rounds() {
        assert_eq!(Lower::of(114, 201), Lower::NotShown);
        assert_eq!(Lower::of(115, 201), Lower::Yes);
        assert_eq!(Lower::of(87, 201), Lower::NotShown);
        assert_eq!(Lower::of(86, 201), Lower::No);
        assert_eq!(Lower::of(3, 3), Lower::NotShown, "too few to say");
        assert_eq!(Lower::of(0, 0), Lower::NotShown);
    }
}
