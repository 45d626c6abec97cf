//! What the metadata group does: how long a change takes to reach every shard, how many a second it takes, what 1,000
//! proxies cost its leader, how large a large state is and how soon a member is back. Prints Markdown.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is its purpose")]

mod calls;
mod group;
mod large;
mod streams;

use clap::Parser;
use codis_bench::describe_machine;
use codis_testbed::need_open_files;
use group::Group;
use hdrhistogram::Histogram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Measures the metadata group.
#[derive(Debug, Parser)]
struct Options {
    /// The program of codis-meta.
    #[arg(long, default_value = "target/release/codis-meta")]
    meta: PathBuf,
    /// The program of codis-proxy.
    #[arg(long, default_value = "target/release/codis-proxy")]
    proxy: PathBuf,
    /// Changes, one after another, of which each is waited for on every shard.
    #[arg(long, default_value_t = 2000)]
    changes: usize,
    /// Clients that make changes at the same time, each one after another.
    #[arg(long, default_value_t = 32)]
    clients: usize,
    /// How long they do.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Proxies' streams on one leader.
    #[arg(long, default_value_t = 1000)]
    streams: usize,
}

fn main() {
    let options = Options::parse();
    need_open_files(4096);
    println!("# The metadata group\n\n{}.\n", describe_machine(&[]));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the system gives a runtime");
    runtime.block_on(async {
        reach_of_changes(&options).await;
        cost_of_streams(&options).await;
        large::measure(&options.meta).await;
    });
}

/// A change from the call to the acknowledgement of every shard, then as many as the group takes.
async fn reach_of_changes(options: &Options) {
    let group = Group::start(&options.meta, 3).await;
    let _proxies = group.with_proxies(&options.proxy, 2).await;
    println!("## Three members, two proxies with two shards each\n");
    println!("| | changes/s | p50 ms | p99 ms | most ms |\n|---|--:|--:|--:|--:|");

    let mut client = group.client().await;
    let mut times = histogram();
    let begin = Instant::now();
    for number in 0..options.changes {
        let slot = (number % 1024) as u32;
        let began = Instant::now();
        let changed = calls::toggle(&mut client, slot, number / 1024 % 2 == 0, 10_000).await;
        assert!(changed.proxies_waiting.is_empty(), "{changed:?}");
        record(&mut times, began.elapsed());
    }
    row(
        "one after another, until every shard works by it",
        options.changes,
        begin.elapsed(),
        &times,
    );

    let (done, took, times) = calls::in_parallel(&group, options.clients, options.seconds).await;
    row(&format!("{} clients at a time, until committed", options.clients), done, took, &times);
    println!();
}

/// What a leader with many proxies costs.
async fn cost_of_streams(options: &Options) {
    let group = Group::start(&options.meta, 3).await;
    println!("## {} proxies' streams on one leader\n", options.streams);
    println!("| | |\n|---|--:|");
    streams::measure(&group, options.streams).await;
    println!();
}

/// Times in microseconds, up to a minute.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("these bounds are possible")
}

fn record(times: &mut Histogram<u64>, time: Duration) {
    times.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}

fn row(what: &str, count: usize, took: Duration, times: &Histogram<u64>) {
    let rate = count as f64 / took.as_secs_f64();
    println!(
        "| {what} | {rate:.0} | {} | {} | {} |",
        ms(times.value_at_quantile(0.5)),
        ms(times.value_at_quantile(0.99)),
        ms(times.max())
    );
}

/// Microseconds as milliseconds.
fn ms(us: u64) -> String {
    format!("{:.2}", us as f64 / 1000.0)
}
