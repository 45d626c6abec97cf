//! `codis-loadtest check`.

use super::cluster::{Parts, stopped_by_signals};
use super::{Failure, duration};
use crate::check::faults::run::Nemesis;
use crate::check::faults::{Action, Fault, Size, Victim, parse};
use crate::check::{Check, CheckOptions, Report};
use crate::cluster::{Cluster, Ports};
use clap::Args;
use codis_testbed::Relay;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::sleep;
use std::time::{Duration, Instant};

const EXAMPLES: &str = "\
Examples:
  codis-loadtest check -t 127.0.0.1:19000 --duration 60s
  codis-loadtest check --members 3 --proxies 2 --replicas 1 --faults faults.txt

Without --target a cluster is started, whose servers write what they have answered to files; --faults works on that one
alone. A script has one line for each fault, in order of time:
  5s   kill server 1        # servers are counted over all groups: with one replica each, group 2 has servers 3 and 4
  6s   start server 1
  8s   freeze proxy 2       # also: meta N
  11s  thaw proxy 2
  12s  cut server 3         # every connection of its clients; or proxy N
  14s  migrate 0-511 to 2
  20s  promote server 4
At the end all that was killed or frozen runs again, everything is read once more, and what clients saw is judged.

Exit codes: 0 all can be explained, 1 it could not be checked, 2 the command line was not understood, 3 something is wrong.";

/// What a check that found something ends with.
const VIOLATED: u8 = 3;

/// What `check` takes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// Proxies or servers that run already; clients go on to the next when one is lost
    #[arg(
        short,
        long,
        value_name = "HOST:PORT,...",
        value_delimiter = ',',
        conflicts_with = "faults"
    )]
    target: Vec<String>,
    /// A script of what goes wrong when
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// How long the clients work
    #[arg(long, default_value = "30s", value_parser = duration)]
    duration: Duration,
    /// Clients
    #[arg(short, long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    clients: u16,
    /// Requests that each sends together
    #[arg(short = 'P', long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=24))]
    pipeline: u32,
    /// The most requests a second, all clients together
    #[arg(long, value_name = "PER_SECOND", default_value_t = 20_000.0)]
    rate: f64,
    /// How long a client waits for an answer before it gives a connection up
    #[arg(long, default_value = "5s", value_parser = duration)]
    timeout: Duration,
    /// How long the last look at everything may take
    #[arg(long, default_value = "60s", value_parser = duration)]
    patience: Duration,
    /// What random choices follow from; another each time by default
    #[arg(long)]
    seed: Option<u64>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    parts: Parts,
}

#[allow(clippy::print_stdout, reason = "the result goes there")]
pub(super) fn execute(options: &Options) -> Result<ExitCode, Failure> {
    let script = options.faults.as_deref().map(|path| read(path, options)).transpose()?;
    let stopped = stopped_by_signals()?;
    let report = if options.target.is_empty() {
        on_own_cluster(options, &script.unwrap_or_default(), &stopped)?
    } else {
        let mut check = start(options, options.target.clone())?;
        watch(options.duration, &check, &stopped);
        let history = check.stop();
        check.judge(history).map_err(Failure::of)?
    };
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report).map_err(Failure::of)?);
    } else {
        print!("{}", report.text());
    }
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::from(VIOLATED) })
}

fn read(path: &Path, options: &Options) -> Result<Vec<Fault>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure(format!("cannot read {}: {error}", path.display())))?;
    let cluster = options.parts.options(true, Ports::default());
    let size = Size {
        servers: cluster.groups * (1 + cluster.replicas),
        proxies: cluster.proxies,
        members: cluster.members,
        groups: cluster.groups,
    };
    let script =
        parse(&text, size).map_err(|error| Failure(format!("{}: {error}", path.display())))?;
    match script.iter().find(|fault| fault.at > options.duration) {
        Some(late) => Err(Failure(format!(
            "{}: `{}` comes after the end: give --duration more than {:?}",
            path.display(),
            late.action,
            late.at
        ))),
        None => Ok(script),
    }
}

fn start(options: &Options, targets: Vec<String>) -> Result<Check, Failure> {
    if !(options.rate > 0.0 && options.rate < 1e9) {
        return Err(Failure("--rate is a number of requests a second above 0".to_owned()));
    }
    let wanted = CheckOptions {
        targets,
        clients: usize::from(options.clients),
        batch: options.pipeline as usize,
        rate: Some(options.rate),
        timeout: options.timeout,
        patience: options.patience,
        seed: options.seed.unwrap_or_else(|| fastrand::u64(..)),
    };
    Check::start(wanted).map_err(|error| Failure(format!("cannot start the clients: {error}")))
}

#[allow(clippy::print_stderr, reason = "progress is shown there")]
fn say(text: &str) {
    eprintln!("{text}");
}

fn on_own_cluster(
    options: &Options,
    script: &[Fault],
    stopped: &Arc<AtomicBool>,
) -> Result<Report, Failure> {
    let wanted = options.parts.options(true, Ports::default());
    let mut cluster = Cluster::start(&wanted).map_err(Failure::of)?;
    let cuts = |fault: &Fault| matches!(fault.action, Action::Cut(Victim::Proxy(_)));
    let proxies = cluster.proxy_addresses();
    let relays: Vec<Relay> = match script.iter().any(cuts) {
        true => proxies.iter().map(|proxy| Relay::to(proxy)).collect(),
        false => Vec::new(),
    };
    let targets = match &relays[..] {
        [] => proxies,
        relays => relays.iter().map(Relay::address).collect(),
    };
    let begun = Instant::now();
    let mut check = start(options, targets)?;
    let mut nemesis = Nemesis::new(&mut cluster, &relays);
    let done = nemesis.run(script, begun, stopped, &mut say);
    if done.is_ok() {
        watch(options.duration.saturating_sub(begun.elapsed()), &check, stopped);
    }
    let history = check.stop();
    done.and_then(|()| nemesis.heal(begun, &mut say)).map_err(Failure::of)?;
    say("reading everything once more");
    check.judge(history).map_err(Failure::of)
}

/// Waits, and says each second how many requests were answered.
fn watch(duration: Duration, check: &Check, stopped: &AtomicBool) {
    let end = Instant::now() + duration;
    let (mut second, mut before) = (Instant::now() + Duration::from_secs(1), check.done());
    while Instant::now() < end && !stopped.load(Relaxed) {
        sleep(Duration::from_millis(20));
        if Instant::now() >= second {
            let done = check.done();
            say(&format!("{} requests were answered, {} in the last second", done, done - before));
            (second, before) = (second + Duration::from_secs(1), done);
        }
    }
}
