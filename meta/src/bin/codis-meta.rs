//! The `codis-meta` binary: reads the command line, sets the process up, runs a member, and ends with its
//! exit code.

use clap::Parser;
use codis_meta::cli::Cli;
use codis_meta::config::{self, MetaConfig};
use codis_meta::daemon;
use codis_service::cores::{allowed_cores, resolve_ncpu};
use codis_service::logging::{LogControl, Logging};
use codis_service::pidfile::Pidfile;
use std::io::Write;
use std::process::ExitCode;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.default_config {
        return match write!(std::io::stdout(), "{}", config::default_toml()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    match start(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // It can be seen even when the log is not there yet or is silent.
            drop(writeln!(std::io::stderr(), "codis-meta: {reason}"));
            ExitCode::FAILURE
        }
    }
}

fn start(cli: &Cli) -> Result<(), String> {
    let settings = cli.settings().map_err(|error| error.to_string())?;
    let ncpu = resolve_ncpu(cli.ncpu, &allowed_cores()?)?;
    let logging =
        Logging::start(cli.log.as_deref(), cli.log_level).map_err(|error| error.to_string())?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let result = serve(cli, settings.config, ncpu, &logging);
    // Whoever looks into the log afterwards finds the reason there, too.
    if let Err(reason) = &result
        && cli.log.is_some()
    {
        tracing::error!("the member ends: {reason}");
    }
    result
}

/// Runs the member on `ncpu` threads until it is told to end.
fn serve(cli: &Cli, config: MetaConfig, ncpu: usize, logging: &Logging) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(ncpu)
        .thread_name("meta")
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start {ncpu} threads: {error}"))?;
    // Before anything can be reached from outside: until then SIGHUP would end the process.
    let told_to_end = watch_signals(&runtime, logging.control())
        .map_err(|error| format!("cannot watch signals: {error}"))?;
    let _pidfile = cli.pidfile.as_deref().map(Pidfile::write).transpose()?;
    let product = config.product_name.clone();
    let ready = move |admin_addr| {
        let version = env!("CARGO_PKG_VERSION");
        tracing::info!(%admin_addr, ncpu, product, "codis-meta {version} serves");
    };
    let result = runtime.block_on(daemon::run(config, ready, told_to_end));
    // A name server that does not answer holds a thread; the process does not wait for that.
    runtime.shutdown_background();
    result
}

/// SIGHUP opens the log anew from now on; the answer waits for SIGTERM or SIGINT.
fn watch_signals(
    runtime: &Runtime,
    log: LogControl,
) -> std::io::Result<impl Future<Output = ()> + Send + use<>> {
    let _inside = runtime.enter();
    let mut hangup = signal(SignalKind::hangup())?;
    let terminate = signal(SignalKind::terminate())?;
    let interrupt = signal(SignalKind::interrupt())?;
    runtime.spawn(async move {
        while hangup.recv().await.is_some() {
            log.reopen();
            tracing::info!("SIGHUP: the log is opened anew");
        }
    });
    Ok(told_to_end(terminate, interrupt))
}

async fn told_to_end(mut terminate: Signal, mut interrupt: Signal) {
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!("{name}: the member ends");
}
