//! A whole cluster on this machine: `codis-loadtest cluster`.
//!
//! [`Cluster::start`] starts Redis servers, members of the metadata group and proxies in one folder on free ports, and makes
//! of them what an operator would, with codis-admin. When a [`Cluster`] is dropped all of it ends and its folder goes; when
//! its owner is killed, the kernel kills the processes ([`codis_testbed::Process`]) and a guard removes the folder
//! ([`folder`]).

mod files;
mod folder;
mod node;
mod programs;

pub use folder::Folder;
pub use node::Node;
pub use programs::Programs;

use codis_testbed::{Admin, free_port};
use serde::Serialize;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The slots of a product.
const SLOTS: usize = 1024;
/// How long the proxies may take to register.
const REGISTRATION_PATIENCE: Duration = Duration::from_secs(60);

/// What a [`Cluster`] is made of.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// Members of the metadata group that are processes of their own; with 0 the first proxy has one inside.
    pub members: usize,
    /// Proxies.
    pub proxies: usize,
    /// Shards of each proxy.
    pub shards: usize,
    /// Groups of Redis servers; the slots are split evenly over them.
    pub groups: usize,
    /// Replicas in each group, beside its master.
    pub replicas: usize,
    /// Whether servers write each command to a file before they answer it, so that what they have answered outlives
    /// their being killed.
    pub persistent: bool,
    /// The name of the product.
    pub product: String,
    /// Lines for the proxies' configuration.
    pub proxy_config: String,
    /// The ports that the first proxy, its admin pages and the first member should have; any where they are taken.
    pub ports: Ports,
    /// The programs.
    pub programs: Programs,
    /// The folder of all files, empty or new; a temporary one when `None`.
    pub folder: Option<PathBuf>,
    /// Whether the folder stays.
    pub keep: bool,
}

/// Ports that are wished for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ports {
    /// The first proxy's.
    pub proxy: Option<u16>,
    /// Of its admin pages.
    pub admin: Option<u16>,
    /// The first member's.
    pub member: Option<u16>,
}

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A program that is missing.
    #[error("{0}")]
    Program(String),
    /// The folder.
    #[error("{what} {path}: {why}")]
    Folder {
        /// What could not be done.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why.
        why: std::io::Error,
    },
    /// A folder with something in it.
    #[error("{0} is not empty: give a folder that is, or one that does not exist")]
    NotEmpty(PathBuf),
    /// A process that does not come up.
    #[error("{name} does not start: {why}")]
    Start {
        /// Which.
        name: String,
        /// Why.
        why: String,
    },
    /// The operator's command failed.
    #[error("codis-admin {line}: {why}")]
    Admin {
        /// What was asked.
        line: String,
        /// What it said.
        why: String,
    },
    /// The proxies did not register.
    #[error("the proxies did not register with the metadata group in time")]
    NotRegistered,
}

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    // In the order in which they end, the folder last.
    /// Proxy `i` is `proxies[i - 1]` in words.
    pub proxies: Vec<Node>,
    /// Members of the metadata group; none where it is inside the first proxy.
    pub members: Vec<Node>,
    /// The servers of all groups: of each its master and then its replicas, as it was at the beginning.
    pub servers: Vec<Node>,
    admin_pages: Vec<String>,
    member_addresses: Vec<String>,
    servers_each: usize,
    programs: Programs,
    folder: Folder,
}

/// Where everything is, as `--json` prints it.
#[derive(Debug, Clone, Serialize)]
pub struct Addresses {
    /// The folder of all files.
    pub folder: PathBuf,
    /// The proxies.
    pub proxies: Vec<ProxyAddress>,
    /// The members of the metadata group.
    pub members: Vec<String>,
    /// The groups.
    pub groups: Vec<GroupAddress>,
}

/// Where a proxy is.
#[derive(Debug, Clone, Serialize)]
pub struct ProxyAddress {
    /// For clients.
    pub address: String,
    /// Its admin pages.
    pub admin: String,
    /// Its process.
    pub process: Option<u32>,
}

/// Where a group is.
#[derive(Debug, Clone, Serialize)]
pub struct GroupAddress {
    /// Its number.
    pub gid: usize,
    /// Its first slot.
    pub first_slot: usize,
    /// Its last slot.
    pub last_slot: usize,
    /// Its servers, the master first.
    pub servers: Vec<String>,
}

impl Cluster {
    /// Starts everything and waits until clients are served.
    ///
    /// # Errors
    /// When anything does not come up; what had come up has ended then.
    pub fn start(options: &ClusterOptions) -> Result<Self, ClusterError> {
        options.programs.check()?;
        let folder = Folder::make(options.folder.as_deref(), options.keep)?;
        let mut cluster = Self {
            proxies: Vec::new(),
            members: Vec::new(),
            servers: Vec::new(),
            admin_pages: Vec::new(),
            member_addresses: Vec::new(),
            servers_each: 1 + options.replicas,
            programs: options.programs.clone(),
            folder,
        };
        cluster.start_servers(options)?;
        if options.members == 0 {
            cluster.start_proxy_with_member(options)?;
        } else {
            cluster.start_members(options)?;
        }
        cluster.make_groups(options)?;
        cluster.start_proxies(options)?;
        cluster.wait_for_proxies()?;
        Ok(cluster)
    }

    fn start_servers(&mut self, options: &ClusterOptions) -> Result<(), ClusterError> {
        for number in 1..=options.groups * self.servers_each {
            let (folder, port) = (self.folder.subfolder(&format!("redis-{number}"))?, free_port());
            let args = files::redis_args(port, &folder, options.persistent);
            let name = format!("server {number}");
            let log = folder.join("log");
            let program = &options.programs.redis_server;
            self.servers.push(Node::launch(name, local(port), program, args, log)?);
        }
        self.servers.iter_mut().try_for_each(Node::wait_until_it_listens)
    }

    fn start_members(&mut self, options: &ClusterOptions) -> Result<(), ClusterError> {
        let ports: Vec<u16> =
            (0..options.members).map(|i| wished(options.ports.member, i)).collect();
        self.member_addresses = ports.iter().map(|port| local(*port)).collect();
        for (number, port) in (1..).zip(&ports) {
            let folder = self.folder.subfolder(&format!("meta-{number}"))?;
            let text = files::member_config(&options.product, &folder, *port, &ports);
            let config = write(&folder, "meta.toml", &text)?;
            let (args, log) = (vec!["-c".to_owned(), config], folder.join("log"));
            let (name, program) = (format!("meta {number}"), &options.programs.meta);
            self.members.push(Node::launch(name, local(*port), program, args, log)?);
        }
        self.members.iter_mut().try_for_each(Node::wait_until_it_listens)
    }

    /// What an operator does with a new product.
    fn make_groups(&self, options: &ClusterOptions) -> Result<(), ClusterError> {
        for (i, servers) in self.servers.chunks(self.servers_each).enumerate() {
            let gid = i + 1;
            self.operate(&format!("group create --gid {gid} --no-wait"))?;
            for (rank, server) in servers.iter().enumerate() {
                let address = server.address();
                self.operate(&format!("group add --gid {gid} --addr {address} --no-wait"))?;
                if rank > 0 {
                    self.operate(&format!("group sync --addr {address} --confirm"))?;
                }
            }
            let (first, last) = slots_of(i, options.groups);
            let line = format!("slots assign --beg {first} --end {last} --gid {gid} --no-wait");
            self.operate(&line)?;
        }
        Ok(())
    }

    /// The first proxy, which has the only member of the metadata group inside.
    fn start_proxy_with_member(&mut self, options: &ClusterOptions) -> Result<(), ClusterError> {
        let member = local(wished(options.ports.member, 0));
        self.member_addresses = vec![member.clone()];
        let folder = self.folder.subfolder("meta-1")?;
        self.start_proxy(options, &files::inner_member(&member, &folder))?;
        self.proxies.iter_mut().try_for_each(Node::wait_until_it_listens)
    }

    fn start_proxies(&mut self, options: &ClusterOptions) -> Result<(), ClusterError> {
        let meta = format!("meta_addr = {:?}\n", self.member_addresses);
        while self.proxies.len() < options.proxies {
            self.start_proxy(options, &meta)?;
        }
        self.proxies.iter_mut().try_for_each(Node::wait_until_it_listens)
    }

    /// The next proxy; `meta` are the lines about the metadata group.
    fn start_proxy(&mut self, options: &ClusterOptions, meta: &str) -> Result<(), ClusterError> {
        let (i, number) = (self.proxies.len(), self.proxies.len() + 1);
        let folder = self.folder.subfolder(&format!("proxy-{number}"))?;
        let (port, admin) = (wished(options.ports.proxy, i), wished(options.ports.admin, i));
        let text = files::proxy_config(options, &folder, port, admin, meta);
        let config = write(&folder, "proxy.toml", &text)?;
        let args = vec![format!("--ncpu={}", options.shards), "-c".to_owned(), config];
        let (name, log) = (format!("proxy {number}"), folder.join("log"));
        let program = &options.programs.proxy;
        self.proxies.push(Node::launch(name, local(port), program, args, log)?);
        self.admin_pages.push(local(admin));
        Ok(())
    }

    /// Proxies take connections before they have registered.
    fn wait_for_proxies(&self) -> Result<(), ClusterError> {
        let deadline = Instant::now() + REGISTRATION_PATIENCE;
        while Instant::now() < deadline {
            let list = self.operate("proxy list")?;
            if self.proxies.iter().all(|proxy| list.contains(proxy.address())) {
                return Ok(());
            }
            sleep(Duration::from_millis(20));
        }
        Err(ClusterError::NotRegistered)
    }

    /// The operator of this cluster.
    #[must_use]
    pub fn operator(&self) -> Admin {
        Admin::new(&self.programs.admin, &self.member_addresses)
    }

    /// Runs a command of codis-admin; what it printed.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn operate(&self, line: &str) -> Result<String, ClusterError> {
        let ran = self.operator().try_run(line);
        if ran.code == Some(0) {
            Ok(ran.out)
        } else {
            let why = format!("{}{}", ran.err, ran.out).trim().to_owned();
            Err(ClusterError::Admin { line: line.to_owned(), why })
        }
    }

    /// The group that server `number` (from 1) belongs to.
    #[must_use]
    pub fn group_of(&self, number: usize) -> usize {
        (number - 1) / self.servers_each + 1
    }

    /// `host:port` of each proxy.
    #[must_use]
    pub fn proxy_addresses(&self) -> Vec<String> {
        self.proxies.iter().map(|proxy| proxy.address().to_owned()).collect()
    }

    /// Where everything is.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        let groups: Vec<&[Node]> = self.servers.chunks(self.servers_each).collect();
        let group = |(i, servers): (usize, &&[Node])| {
            let (first_slot, last_slot) = slots_of(i, groups.len());
            let servers = servers.iter().map(|server| server.address().to_owned()).collect();
            GroupAddress { gid: i + 1, first_slot, last_slot, servers }
        };
        let proxy = |(proxy, admin): (&Node, &String)| ProxyAddress {
            address: proxy.address().to_owned(),
            admin: admin.clone(),
            process: proxy.process_id(),
        };
        Addresses {
            folder: self.folder.path().to_owned(),
            proxies: self.proxies.iter().zip(&self.admin_pages).map(proxy).collect(),
            members: self.member_addresses.clone(),
            groups: groups.iter().enumerate().map(group).collect(),
        }
    }

    /// codis-admin's program.
    #[must_use]
    pub fn admin_program(&self) -> &Path {
        &self.programs.admin
    }

    /// All processes.
    pub fn nodes(&mut self) -> impl Iterator<Item = &mut Node> {
        self.proxies.iter_mut().chain(&mut self.members).chain(&mut self.servers)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The proxies first, so that they do not see their servers go.
        self.proxies.iter_mut().for_each(Node::terminate);
        self.proxies.iter_mut().for_each(Node::wait_for_end);
        self.members.iter_mut().chain(&mut self.servers).for_each(Node::kill);
    }
}

/// The slots of group `i` (from 0) of `groups`, the first and the last.
fn slots_of(i: usize, groups: usize) -> (usize, usize) {
    (SLOTS * i / groups, SLOTS * (i + 1) / groups - 1)
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// The `i`th port from the one that is wished for, where it is free; any otherwise.
fn wished(first: Option<u16>, i: usize) -> u16 {
    let port = first.and_then(|first| first.checked_add(u16::try_from(i).ok()?));
    let free = port.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.unwrap_or_else(free_port)
}

fn write(folder: &Path, name: &str, text: &str) -> Result<String, ClusterError> {
    let path = folder.join(name);
    match std::fs::write(&path, text) {
        Ok(()) => Ok(path.display().to_string()),
        Err(why) => Err(ClusterError::Folder { what: "cannot write", path, why }),
    }
}

#[cfg(test)]
mod tests {
    use super::{slots_of, wished};
    use std::net::TcpListener;

    #[test]
    fn groups_share_all_slots() {
        let ranges: Vec<_> = (0..3).map(|i| slots_of(i, 3)).collect();
        assert_eq!(ranges, [(0, 340), (341, 681), (682, 1023)]);
    }

    #[test]
    fn a_port_that_is_taken_is_replaced() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let port = taken.local_addr().expect("it is bound").port();
        assert_ne!(wished(Some(port), 0), port);
    }
}
