//! `codis-loadtest cluster`.

use super::Failure;
use crate::cluster::{Addresses, Cluster, ClusterOptions, Ports, Programs};
use clap::Args;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  codis-loadtest cluster
  codis-loadtest cluster --members 0 --proxy-port 19000
  codis-loadtest cluster --members 3 --proxies 2 --groups 3 --replicas 1
  codis-loadtest cluster --json | jq -r '.proxies[].address'

Everything ends with Ctrl-C, or with the process that started it, and nothing is left behind.

Exit codes: 0 ended by a signal, 1 something did not start or ended by itself, 2 the command line was not understood.";

/// The parts of a cluster, on any command line that starts one.
#[derive(Debug, Clone, Args)]
pub(super) struct Parts {
    /// Members of the metadata group; with 0, the first proxy has one inside
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(..=9))]
    members: u32,
    /// Proxies
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    proxies: u32,
    /// Shards of each proxy
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    shards: u32,
    /// Groups of Redis servers; the slots are split evenly over them
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=256))]
    groups: u32,
    /// Replicas in each group
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=8))]
    replicas: u32,
    /// Where codis-proxy, codis-meta and codis-admin are; beside this program by default
    #[arg(long, value_name = "FOLDER")]
    bin_dir: Option<PathBuf>,
    /// The program of Redis servers
    #[arg(long, value_name = "PROGRAM", default_value = "redis-server")]
    redis_server: PathBuf,
    /// The folder of all files, empty or new; a temporary one by default
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Leave the folder at the end
    #[arg(long)]
    keep: bool,
}

impl Parts {
    /// The cluster that was asked for.
    pub(super) fn options(&self, persistent: bool, ports: Ports) -> ClusterOptions {
        let mut programs = Programs::in_folder(self.bin_dir.as_deref());
        programs.redis_server.clone_from(&self.redis_server);
        ClusterOptions {
            members: self.members as usize,
            proxies: self.proxies as usize,
            shards: self.shards as usize,
            groups: self.groups as usize,
            replicas: self.replicas as usize,
            persistent,
            product: "codis-demo".to_owned(),
            proxy_config: String::new(),
            ports,
            programs,
            folder: self.folder.clone(),
            keep: self.keep,
        }
    }
}

/// What `cluster` takes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    #[command(flatten)]
    parts: Parts,
    /// Let servers write everything to a file before they answer
    #[arg(long)]
    persistent: bool,
    /// The first proxy's port, where it is free
    #[arg(long, value_name = "PORT")]
    proxy_port: Option<u16>,
    /// The port of its admin pages, where it is free
    #[arg(long, value_name = "PORT")]
    admin_port: Option<u16>,
    /// The first member's port, where it is free
    #[arg(long, value_name = "PORT")]
    member_port: Option<u16>,
    /// Print the addresses as JSON, in one line
    #[arg(long)]
    json: bool,
}

#[allow(clippy::print_stdout, reason = "the addresses go there")]
pub(super) fn execute(options: &Options) -> Result<ExitCode, Failure> {
    let stopped = stopped_by_signals()?;
    let Options { proxy_port, admin_port, member_port, .. } = *options;
    let ports = Ports { proxy: proxy_port, admin: admin_port, member: member_port };
    let wanted = options.parts.options(options.persistent, ports);
    let mut cluster = Cluster::start(&wanted).map_err(Failure::of)?;
    let addresses = cluster.addresses();
    if options.json {
        println!("{}", serde_json::to_string(&addresses).map_err(Failure::of)?);
    } else {
        print!("{}{}", taken(&ports, &addresses), text(&addresses, cluster.admin_program()));
    }
    while !stopped.load(Relaxed) {
        let ended = cluster.nodes().find_map(|node| Some((node.name().to_owned(), node.end()?)));
        // A signal to all processes of a terminal ends them, too.
        if let Some((name, how)) = ended.filter(|_| !stopped.load(Relaxed)) {
            return Err(Failure(format!("{name}: {how}")));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(ExitCode::SUCCESS)
}

/// A flag that is raised when somebody wants an end.
pub(super) fn stopped_by_signals() -> Result<Arc<AtomicBool>, Failure> {
    let stopped = Arc::new(AtomicBool::new(false));
    let signals =
        [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP];
    for signal in signals {
        signal_hook::flag::register(signal, Arc::clone(&stopped)).map_err(Failure::of)?;
    }
    Ok(stopped)
}

/// A line for each port that was wished for and is another program's.
fn taken(ports: &Ports, addresses: &Addresses) -> String {
    let first = addresses.proxies.first();
    let parts = [
        (ports.proxy, "the proxy", first.map(|proxy| proxy.address.as_str())),
        (ports.admin, "its admin port", first.map(|proxy| proxy.admin.as_str())),
        (ports.member, "the metadata group", addresses.members.first().map(String::as_str)),
    ];
    let mut out = String::new();
    for (wished, what, given) in parts {
        if let (Some(wished), Some(given)) = (wished, given)
            && port_of(given) != wished.to_string()
        {
            // A string can always be written to.
            let _ = writeln!(
                out,
                "port {wished} is taken by another program: {what} listens on {given}"
            );
        }
    }
    out
}

fn port_of(address: &str) -> &str {
    address.rsplit(':').next().unwrap_or_default()
}

fn text(addresses: &Addresses, admin: &Path) -> String {
    let mut out = String::new();
    for proxy in &addresses.proxies {
        let process = proxy.process.unwrap_or_default();
        let _ = writeln!(
            out,
            "proxy    {} (admin http://{}, process {process})",
            proxy.address, proxy.admin
        );
    }
    for member in &addresses.members {
        let _ = writeln!(out, "meta     {member}");
    }
    let mut number = 0;
    for group in &addresses.groups {
        let _ = writeln!(
            out,
            "group {:2} slots {} to {}",
            group.gid, group.first_slot, group.last_slot
        );
        for (rank, server) in group.servers.iter().enumerate() {
            number += 1;
            let role = if rank == 0 { "master" } else { "replica" };
            let _ = writeln!(out, "  server {number} {server} ({role})");
        }
    }
    let _ = writeln!(out, "files in {}", addresses.folder.display());
    if let Some(proxy) = addresses.proxies.first() {
        out += &what_to_try(port_of(&proxy.address), &proxy.admin, addresses, admin);
    }
    out += "\nCtrl-C ends all of it.\n";
    out
}

fn what_to_try(port: &str, pages: &str, addresses: &Addresses, admin: &Path) -> String {
    let (members, admin) = (addresses.members.join(","), admin.display());
    let last = addresses.groups.len();
    format!(
        "
What to try, in another terminal:
  redis-cli -p {port} SET hello world
  redis-cli -p {port} MGET hello a b c
  redis-cli -p {port} SLOWLOG GET
  redis-benchmark -p {port} -q -t get,set -P 16 -r 100000
  curl http://{pages}/metrics

  export CODIS_META={members}
  {admin} status
  {admin} group list
  {admin} slots migrate --beg 0 --end 15 --gid {last} --wait
  {admin} slots status
  {admin} proxy list
"
    )
}

#[cfg(test)]
mod tests {
    use super::{Addresses, Ports, taken};
    use crate::cluster::ProxyAddress;

    #[test]
    fn a_port_that_was_taken_is_named_with_the_one_in_its_place() {
        let proxy = ProxyAddress {
            address: "127.0.0.1:20000".to_owned(),
            admin: "127.0.0.1:11080".to_owned(),
            process: None,
        };
        let members = vec!["127.0.0.1:18080".to_owned()];
        let addresses =
            Addresses { folder: "/f".into(), proxies: vec![proxy], members, groups: Vec::new() };
        let wished = Ports { proxy: Some(19000), admin: Some(11080), member: None };
        let said = taken(&wished, &addresses);
        assert_eq!(
            said,
            "port 19000 is taken by another program: the proxy listens on 127.0.0.1:20000\n"
        );
    }
}
