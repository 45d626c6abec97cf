//! `codis-loadtest run`.

use super::{Failure, duration};
use crate::run::report::{About, Live, Series, Summary, plot_latencies, table, write_percentiles};
use crate::run::{
    Arrivals, Definition, KeyDistribution, Mix, OnError, Plan, Share, Target, Tls, ValueSizes,
    Values, run,
};
use clap::Args;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::net::ToSocketAddrs as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  codis-loadtest run -t 127.0.0.1:19000
  codis-loadtest run -t 127.0.0.1:19000 --clients 200 --threads 4 --pipeline 16 --mix get=80,set=15,mget=5
  codis-loadtest run -t 127.0.0.1:19000 --rate 50000 --duration 60s --hgrm latency.hgrm --plot latency.svg
  codis-loadtest run -t 127.0.0.1:19000 --keys 1000000 --distribution zipf:0.99 --value-size normal:512:128
  codis-loadtest run -t 127.0.0.1:19000 --command 'touch=EXPIRE {key} 60' --mix set,touch

A command is a template: {key}, {value}, {field} and {number} are filled in for each request, and [...]*N repeats
words. --commands lists those that have a name.

Exit codes: 0 done, 1 the run could not begin or --on-error=stop ended it, 2 the command line was not understood.";

/// What `run` takes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// Where the load goes; connections take them in turn
    #[arg(
        short,
        long,
        value_name = "HOST:PORT,...",
        value_delimiter = ',',
        required_unless_present = "commands"
    )]
    target: Vec<String>,
    /// Connections
    #[arg(short, long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    clients: u32,
    /// Threads that make the load
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: u32,
    /// Requests that a connection may have in flight; a closed loop sends as many at a time
    #[arg(short = 'P', long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pipeline: u32,
    /// Open loop: so many requests a second, whatever is answered; latencies count from when a request was due
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    rate: Option<f64>,
    /// How an open loop's requests are spread over time
    #[arg(long, value_enum, default_value_t = Arrivals::Constant)]
    arrivals: Arrivals,
    /// What is sent, and how often each
    #[arg(
        long,
        value_name = "NAME[:KEYS][=WEIGHT],...",
        default_value = "get=80,set=20",
        value_delimiter = ','
    )]
    mix: Vec<Share>,
    /// Define a command for --mix
    #[arg(long = "command", value_name = "NAME=TEMPLATE")]
    definitions: Vec<Definition>,
    /// List the commands that have a name, and end
    #[arg(long)]
    commands: bool,
    /// How many keys there are
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=999_999_999_999))]
    keys: u64,
    /// What keys begin with
    #[arg(long, default_value = "key:")]
    key_prefix: String,
    /// How keys are chosen: uniform, seq, zipf:EXPONENT or hot:PART:SHARE
    #[arg(long, default_value = "uniform")]
    distribution: KeyDistribution,
    /// Bytes of values: 64, 10-1000, normal:MEAN:DEVIATION, or 64:90,4096:10 (with weights)
    #[arg(short = 'd', long, default_value = "64")]
    value_size: ValueSizes,
    /// What random choices follow from; another each time by default
    #[arg(long)]
    seed: Option<u64>,
    /// Time at the beginning that is not counted
    #[arg(long, default_value = "1s", value_parser = duration)]
    warmup: Duration,
    /// Time that is counted
    #[arg(long, default_value = "10s", value_parser = duration)]
    duration: Duration,
    /// Requests that are counted, in place of a time
    #[arg(short = 'n', long, conflicts_with = "duration", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// How long replies are waited for after the end
    #[arg(long, default_value = "5s", value_parser = duration)]
    patience: Duration,
    /// What a lost connection or an error reply leads to
    #[arg(long, value_enum, default_value_t = OnError::Continue)]
    on_error: OnError,
    /// The database
    #[arg(long, default_value_t = 0)]
    db: u32,
    /// The user
    #[arg(long, requires = "pass")]
    user: Option<String>,
    /// The password. Others can see a command line; the environment is safer
    #[arg(long, env = "CODIS_LOADTEST_PASS", hide_env_values = true)]
    pass: Option<String>,
    /// Speak RESP3 (HELLO 3)
    #[arg(long)]
    resp3: bool,
    /// Speak in cipher
    #[arg(long)]
    tls: bool,
    /// Certificates to trust (PEM); those of this system by default
    #[arg(long, value_name = "FILE", requires = "tls")]
    tls_ca: Option<PathBuf>,
    /// The name that the certificate has to be for; the target's by default
    #[arg(long, value_name = "NAME", requires = "tls")]
    tls_name: Option<String>,
    /// Show nothing while it runs
    #[arg(short, long)]
    quiet: bool,
    /// Write the result as JSON to a file; to standard output, in place of the table, without one
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-", require_equals = true)]
    json: Option<PathBuf>,
    /// Write the percentiles for HdrHistogram's plotter
    #[arg(long, value_name = "FILE")]
    hgrm: Option<PathBuf>,
    /// Plot the latencies by percentile
    #[arg(long, value_name = "FILE.svg", value_parser = svg)]
    plot: Option<PathBuf>,
}

/// Counting by requests, a run ends when they are answered, however long that takes.
const NO_END: Duration = Duration::from_secs(30 * 24 * 3600);

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.001..=1e9).contains(&rate) => Ok(rate),
        _ => Err("give a number of requests a second, such as 50000".to_owned()),
    }
}

fn svg(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let is_svg = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg"));
    if is_svg {
        Ok(path)
    } else {
        Err("plots are SVG: give a file name that ends in .svg".to_owned())
    }
}

#[allow(clippy::print_stdout, reason = "the result goes there")]
pub(super) fn execute(options: Options) -> Result<ExitCode, Failure> {
    if options.commands {
        for (name, template) in crate::run::COMMANDS {
            println!("{name:10} {template}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let Options { json, hgrm, plot, quiet, .. } = &options;
    // Before the load: so that a typing error does not cost a run.
    let files = [json, hgrm, plot].into_iter().flatten().filter(|path| path.as_os_str() != "-");
    files.into_iter().try_for_each(|path| create(path).map(drop))?;
    let plan = plan(&options)?;
    let about = About::from(&plan);
    let outcome = run(plan, &mut Live::new(*quiet)).map_err(Failure::of)?;
    let summary = Summary::new(&about, &outcome);
    if summary.all.replies == 0 && summary.lost_connections + summary.unanswered > 0 {
        return Err(Failure(format!(
            "no request was answered: {} connections were lost, {} requests waited to the end",
            summary.lost_connections, summary.unanswered
        )));
    }
    let all = outcome.counts.all();
    match json.as_deref() {
        Some(path) if path == Path::new("-") => println!("{}", json_text(&summary)?),
        path => {
            print!("{}", table(&summary));
            if let Some(path) = path {
                let text = json_text(&summary)? + "\n";
                create(path)?.write_all(text.as_bytes()).map_err(|e| cannot_write(path, &e))?;
            }
        }
    }
    if let Some(path) = hgrm {
        let mut file = BufWriter::new(create(path)?);
        write_percentiles(&all, &mut file)
            .and_then(|()| file.flush())
            .map_err(|error| cannot_write(path, &error))?;
    }
    if let Some(path) = plot {
        let title = format!("{} requests/s", summary.all.per_second.round());
        let series = [Series { name: &about_targets(&summary), latencies: &all }];
        plot_latencies(path, &title, &series).map_err(Failure::of)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn about_targets(summary: &Summary) -> String {
    summary.targets.join(", ")
}

fn json_text(summary: &Summary) -> Result<String, Failure> {
    serde_json::to_string_pretty(summary).map_err(Failure::of)
}

fn create(path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure(format!("cannot write {}: {error}", path.display()))
}

fn plan(options: &Options) -> Result<Plan, Failure> {
    let targets = options.target.iter().map(|name| resolve(name)).collect::<Result<Vec<_>, _>>()?;
    let mix = Mix::new(&options.mix, &options.definitions, &options.key_prefix);
    let tls = options.tls.then(|| Tls::new(options.tls_ca.as_deref(), options.tls_name.clone()));
    let tls = tls.transpose().map_err(Failure::of)?;
    if let Some(tls) = &tls {
        targets.iter().try_for_each(|target| tls.check(&target.host)).map_err(Failure::of)?;
    }
    let stopped = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stopped)).map_err(Failure::of)?;
    }
    let (clients, threads) =
        (options.clients as usize, options.threads.min(options.clients) as usize);
    codis_testbed::try_open_files(clients as u64 + 100).map_err(Failure)?;
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    Ok(Plan {
        targets,
        threads,
        clients,
        pipeline: options.pipeline as usize,
        rate: options.rate,
        arrivals: options.arrivals,
        mix: mix.map_err(Failure::of)?,
        keys: options.keys,
        distribution: options.distribution,
        values: Values::new(&options.value_size, seed),
        seed,
        greeting: greeting(options),
        tls,
        warmup: options.warmup,
        duration: if options.requests.is_some() { NO_END } else { options.duration },
        requests: options.requests,
        patience: options.patience,
        on_error: options.on_error,
        start: Default::default(),
        stopped,
    })
}

fn resolve(name: &str) -> Result<Target, Failure> {
    let no_port = || Failure(format!("`{name}` is no target: give HOST:PORT"));
    let (host, _) = name.rsplit_once(':').ok_or_else(no_port)?;
    let mut addresses = name
        .to_socket_addrs()
        .map_err(|error| Failure(format!("cannot find the target {name}: {error}")))?;
    let address =
        addresses.next().ok_or_else(|| Failure(format!("the target {name} has no address")))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(Target { host, address })
}

/// The requests that each connection begins with, and their number.
fn greeting(options: &Options) -> (Vec<u8>, usize) {
    let mut requests: Vec<Vec<&str>> = Vec::new();
    let user = options.user.as_deref();
    match (options.resp3, options.pass.as_deref()) {
        (true, Some(pass)) => {
            requests.push(vec!["HELLO", "3", "AUTH", user.unwrap_or("default"), pass]);
        }
        (true, None) => requests.push(vec!["HELLO", "3"]),
        (false, Some(pass)) => {
            requests.push([Some("AUTH"), user, Some(pass)].into_iter().flatten().collect());
        }
        (false, None) => {}
    }
    let db = options.db.to_string();
    if options.db > 0 {
        requests.push(vec!["SELECT", &db]);
    }
    let bytes = requests.iter().flat_map(|request| codis_testbed::encode(request)).collect();
    (bytes, requests.len())
}
