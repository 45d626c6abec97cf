//! The `codis-proxy` binary: reads the command line, sets the process up, starts the shards and the
//! control plane, and ends with its exit code.

use clap::Parser;
use codis_proxy::cli::Cli;
use codis_proxy::config::{self, Listen, ProtoType, ProxyConfig};
use codis_proxy::control::{self, Control, Facts, ShardMailbox, Signals};
use codis_proxy::engine::Settings;
use codis_proxy::follow;
use codis_proxy::messages::{ControlMessage, ShardMessage};
use codis_proxy::shard::{self, Acceptor, ShardConfig, ShardSender};
use codis_proxy::topology::{Topology, parse_fillslots};
use codis_proxy::uring::{self, RingConfig};
use codis_service::cores::{allowed_cores, resolve_ncpu};
use codis_service::logging::Logging;
use codis_service::pidfile::Pidfile;
use glommio::{LocalExecutorBuilder, Placement};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::Write;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// Connections that the kernel holds until they are accepted.
const LISTEN_BACKLOG: i32 = 4096;

/// Descriptors that are no sessions: logs, rings, listeners, backends, admin pages.
const DESCRIPTORS_BESIDE_SESSIONS: u64 = 512;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.default_config {
        return match write!(std::io::stdout(), "{}", config::default_toml()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    match start(&cli) {
        Ok(code) => code,
        Err(reason) => {
            complain(&reason);
            ExitCode::FAILURE
        }
    }
}

/// Says why the proxy ends where it can be seen even when the log is not there yet or is silent.
fn complain(reason: &str) {
    drop(writeln!(std::io::stderr(), "codis-proxy: {reason}"));
}

fn start(cli: &Cli) -> Result<ExitCode, String> {
    let settings = cli.settings().map_err(|error| error.to_string())?;
    let allowed = allowed_cores()?;
    let ncpu = resolve_ncpu(cli.ncpu, &allowed)?;
    let (cores, spare) = allowed.split_at(ncpu);
    let logging =
        Logging::start(cli.log.as_deref(), cli.log_level).map_err(|error| error.to_string())?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let result = serve(cli, settings.config, (cores.to_vec(), spare.to_vec()), &logging);
    // Whoever looks into the log afterwards finds the reason there, too.
    if let Err(reason) = &result
        && cli.log.is_some()
    {
        tracing::error!("the proxy ends: {reason}");
    }
    result
}

/// Sets the process up, and serves until it is told to end. A member of the metadata group, if there is one inside,
/// has the cores that the shards leave.
fn serve(
    cli: &Cli,
    mut config: ProxyConfig,
    (cores, spare): (Vec<usize>, Vec<usize>),
    logging: &Logging,
) -> Result<ExitCode, String> {
    let ncpu = cores.len();
    raise_descriptors(cli.ulimit, &config)?;
    config.proxy_max_clients =
        clients_that_fit(config.proxy_max_clients, getrlimit(Resource::Nofile).current);
    let config = Arc::new(config);
    let ring = RingConfig::default();
    uring::probe(&ring)?;
    let mut signals = Signals::watch()?;
    let (listener, proxy_addr) = listen(&config)?;
    let admin = TcpListener::bind(&config.admin_addr)
        .map_err(|error| cannot_listen("admin_addr", &config.admin_addr, &error))?;
    let admin_addr = admin.local_addr().map_err(|error| format!("admin_addr: {error}"))?;
    let facts = Facts::gather(admin_addr, &proxy_addr, cores.clone(), cli.config.as_deref());
    let mut facts = facts.shown_as(cli.host_admin.as_deref(), cli.host_proxy.as_deref());
    let _pidfile = cli.pidfile.as_deref().map(Pidfile::write).transpose()?;
    let (topology, link, member) = if config.follows_group() {
        match follow::begin(&config, &mut facts, &mut signals, spare)? {
            Some(begun) => (begun.topology, Some(begun.link), begun.member),
            None => return Ok(ExitCode::SUCCESS),
        }
    } else {
        (Arc::new(topology(cli.fillslots.as_deref())?), None, None)
    };

    let (control, inbox) = unbounded_channel();
    let parts = Parts { config: &config, topology: &topology, ring, cores, control };
    let shards = start_shards(&parts, listener, &facts.token)?;
    drop(parts);
    tracing::info!(
        proxy_addr,
        %admin_addr,
        ncpu,
        product = config.product_name,
        "codis-proxy {} serves",
        env!("CARGO_PKG_VERSION")
    );
    let boxed = |shard: ShardSender| Box::new(shard) as Box<dyn ShardMailbox>;
    let plane = Control {
        shards: shards.into_iter().map(boxed).collect(),
        inbox,
        config: Arc::clone(&config),
        topology,
        admin,
        log: Box::new(logging.control()),
        facts,
        link,
    };
    let exit = control::run(plane, signals);
    // The group was told by now that the proxy stops.
    drop(member);
    if let Listen::Unix(path) = config.listen()? {
        drop(std::fs::remove_file(path));
    }
    // It is in the log already.
    if let control::Exit::Failed(reason) = &exit {
        complain(reason);
    }
    Ok(ExitCode::from(exit.code()))
}

/// What every shard is made from.
struct Parts<'a> {
    config: &'a Arc<ProxyConfig>,
    topology: &'a Arc<Topology>,
    ring: RingConfig,
    cores: Vec<usize>,
    control: UnboundedSender<ControlMessage>,
}

/// Starts one pinned thread a core; shard 0 accepts for all.
fn start_shards(
    parts: &Parts<'_>,
    listener: OwnedFd,
    token: &str,
) -> Result<Vec<ShardSender>, String> {
    let mut senders = Vec::new();
    let mut mailboxes = Vec::new();
    for _ in &parts.cores {
        let (sender, mailbox) =
            shard::mailbox().map_err(|error| format!("cannot make an eventfd: {error}"))?;
        let first = ShardMessage::Topology(Arc::clone(parts.topology));
        sender.send(first).map_err(|error| error.to_string())?;
        senders.push(sender);
        mailboxes.push(mailbox);
    }
    let loads: Arc<[AtomicUsize]> = parts.cores.iter().map(|_| AtomicUsize::new(0)).collect();
    let clients_max = parts.config.proxy_max_clients;
    let mut acceptor = Some(Acceptor::new(listener, senders.clone(), clients_max));
    for (number, mailbox) in mailboxes.into_iter().enumerate() {
        let config = ShardConfig {
            shard: number,
            core: parts.cores[number],
            settings: Settings::new(parts.config, token),
            keepalive: (
                parts.config.session_keepalive_period.non_zero(),
                parts.config.backend_keepalive_period.non_zero(),
            ),
            ring: parts.ring.clone(),
            mailbox,
            control: parts.control.clone(),
            loads: Arc::clone(&loads),
            acceptor: acceptor.take(),
        };
        start_shard(config, parts.control.clone())?;
    }
    Ok(senders)
}

/// Starts one shard's thread and waits until it serves.
fn start_shard(
    config: ShardConfig,
    control: UnboundedSender<ControlMessage>,
) -> Result<(), String> {
    let (number, core) = (config.shard, config.core);
    let (ready, is_ready) = std::sync::mpsc::channel();
    let up = ready.clone();
    let handle = std::thread::Builder::new().name(format!("shard-{number}")).spawn(move || {
        // The sockets have a ring of their own: glommio's may be as small as they can be.
        let executor = LocalExecutorBuilder::new(Placement::Fixed(core))
            .name(&format!("shard-{number}"))
            .io_memory(64 << 10)
            .ring_depth(8)
            .make();
        let result = match executor {
            Ok(executor) => executor
                .run(async move { shard::run(config, || drop(up.send(Ok(())))) }),
            Err(error) => Err(format!(
                "cannot start shard {number} on core {core}: {error}; if it is out of memory, raise \
                 the memlock limit (ulimit -l unlimited, or LimitMEMLOCK=infinity in the systemd unit)"
            )),
        };
        if let Err(reason) = result {
            // Whichever of the two still listens: main before the shard serves, control from then on.
            drop(ready.send(Err(reason.clone())));
            drop(control.send(ControlMessage::Failed { shard: number, reason }));
        }
    });
    handle.map_err(|error| format!("cannot make a thread for shard {number}: {error}"))?;
    is_ready.recv().unwrap_or_else(|_| Err(format!("shard {number} ended as it started")))
}

/// Raises the limit on descriptors as far as `--ulimit` or `proxy_max_clients` asks.
fn raise_descriptors(asked: Option<u64>, config: &ProxyConfig) -> Result<(), String> {
    let wanted = asked.unwrap_or(config.proxy_max_clients as u64 + DESCRIPTORS_BESIDE_SESSIONS);
    let now = getrlimit(Resource::Nofile);
    if now.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let maximum = now.maximum.map(|maximum| maximum.max(wanted));
    let raised = Rlimit { current: Some(wanted), maximum };
    if setrlimit(Resource::Nofile, raised).is_ok() {
        return Ok(());
    }
    let hard = now.maximum.unwrap_or(wanted);
    let text = format!(
        "the limit on open files is {hard}, and {wanted} are wanted: raise it (ulimit -n, or \
         LimitNOFILE in the systemd unit), or lower proxy_max_clients or --ulimit"
    );
    if asked.is_some() {
        return Err(text);
    }
    tracing::warn!("{text}");
    let most = Rlimit { current: Some(hard), maximum: now.maximum };
    setrlimit(Resource::Nofile, most).map_err(|error| format!("{text} ({error})"))
}

/// How many clients may be taken, so that they never take the descriptors that connections to servers
/// need: a proxy full of clients that cannot reach its servers again helps nobody.
fn clients_that_fit(asked: usize, descriptors: Option<u64>) -> usize {
    let Some(descriptors) = descriptors else { return asked };
    let fit = descriptors.saturating_sub(DESCRIPTORS_BESIDE_SESSIONS).max(descriptors / 2).max(1);
    let fit = usize::try_from(fit).unwrap_or(usize::MAX);
    if fit < asked {
        tracing::warn!(
            "at most {fit} clients are taken, not proxy_max_clients = {asked}: the limit on open files \
             is {descriptors}"
        );
    }
    asked.min(fit)
}

fn topology(fillslots: Option<&Path>) -> Result<Topology, String> {
    let Some(path) = fillslots else {
        tracing::warn!("every slot is offline until slots are filled: see --fillslots");
        return Ok(Topology::offline());
    };
    let json = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    parse_fillslots(&json).map_err(|error| format!("{}: {error}", path.display()))
}

/// Why an address cannot be listened on, and what to do.
fn cannot_listen(key: &str, address: &str, error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    let hint = match error.kind() {
        ErrorKind::AddrInUse => "; another process listens there (ss -ltnp shows which)",
        ErrorKind::AddrNotAvailable => "; this machine has no such address (ip addr shows its own)",
        ErrorKind::PermissionDenied => {
            "; ports below 1024 want root or CAP_NET_BIND_SERVICE, a unix socket a folder that may be \
             written to"
        }
        _ => "",
    };
    format!("cannot listen on {key} {address}: {error}{hint}")
}

/// Listens where the configuration says; answers the address as bound.
fn listen(config: &ProxyConfig) -> Result<(OwnedFd, String), String> {
    let refused = |error: std::io::Error| cannot_listen("proxy_addr", &config.proxy_addr, &error);
    let listen = config.listen()?;
    if let Listen::Unix(path) = &listen {
        return listen_unix(path).map_err(refused).map(|fd| (fd, path.display().to_string()));
    }
    let mut last = None;
    for address in listen.addresses().map_err(refused)? {
        match listen_tcp(&SockAddr::from(address), config.proto_type) {
            Ok(socket) => {
                let bound = socket.local_addr().map_err(refused)?;
                let bound = bound.as_socket().map_or_else(String::new, |bound| bound.to_string());
                return Ok((socket.into(), bound));
            }
            Err(error) => last = Some(error),
        }
    }
    Err(refused(last.unwrap_or_else(|| std::io::Error::other("the host name has no address"))))
}

fn listen_tcp(address: &SockAddr, proto: ProtoType) -> std::io::Result<Socket> {
    let socket = Socket::new(address.domain(), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if address.domain() == Domain::IPV6 {
        socket.set_only_v6(proto == ProtoType::Tcp6)?;
    }
    socket.bind(address)?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket)
}

/// A socket file that nobody answers on is left over from a process that was killed: it is replaced.
/// Whatever else is at that path is somebody's, and stays.
fn listen_unix(path: &PathBuf) -> std::io::Result<OwnedFd> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if is_socket {
        let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        match probe.connect_timeout(&address, Duration::from_secs(1)) {
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path)?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                return Err(error);
            }
            // It answers, or is too busy to.
            _ => return Err(std::io::ErrorKind::AddrInUse.into()),
        }
    }
    socket.bind(&address)?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_descriptors_for_servers() {
        assert_eq!(clients_that_fit(10_000, None), 10_000);
        assert_eq!(clients_that_fit(10_000, Some(20_000)), 10_000);
        assert_eq!(clients_that_fit(10_000, Some(4096)), 4096 - 512);
        assert_eq!(clients_that_fit(10_000, Some(64)), 32);
        assert_eq!(clients_that_fit(10_000, Some(0)), 1);
    }
}
