//! Three members, two groups of Redis servers, and two proxies in front of them.

use codis_testbed::{
    Admin, Host, Member, MemberOptions, Network, Proxy, ProxyOptions, Redis, RedisOptions,
    SmallDisk, cores,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const PROXY: &str = env!("CARGO_BIN_EXE_codis-proxy");
const MEMBERS: usize = 3;

/// Enough for a member's log and the space that it wants to see free after its disk was full.
const DISK_MEGABYTES: u32 = 96;

/// A member, and what it stands on.
pub struct Machine {
    // Before its disk, which it uses.
    pub member: Member,
    disk: Option<SmallDisk>,
}

impl Machine {
    /// Its place on the network; only in a sandbox.
    pub fn host(&self) -> &Host {
        self.member.host().expect("only members in a sandbox are cut off")
    }

    /// Its disk; only in a sandbox.
    pub fn disk(&self) -> &SmallDisk {
        self.disk.as_ref().expect("only members in a sandbox have their disks filled")
    }
}

/// All that runs. Ends when dropped.
pub struct World {
    pub proxies: Vec<Proxy>,
    pub machines: Vec<Machine>,
    pub runtime: tokio::runtime::Runtime,
    _servers: Vec<Redis>,
    _network: Option<Network>,
}

impl World {
    /// Starts everything, and has an operator set it up. Without a sandbox members are on the loopback
    /// interface and this machine's disk.
    pub fn start(sandboxed: bool) -> Self {
        let network = sandboxed.then(Network::new);
        let binary = sibling("codis-meta");
        let mut founders = match &network {
            Some(network) => {
                let hosts: Vec<_> = (0..MEMBERS).map(|_| Arc::new(network.host())).collect();
                MemberOptions::founders_on(&binary, &hosts)
            }
            None => MemberOptions::founders(&binary, MEMBERS),
        };
        let disks: Vec<_> =
            founders.iter().map(|_| sandboxed.then(|| SmallDisk::new(DISK_MEGABYTES))).collect();
        for (options, disk) in founders.iter_mut().zip(&disks) {
            options.data_dir = disk.as_ref().map(|disk| disk.path().join("data"));
        }
        let members = founders.into_iter().map(Member::launch);
        let mut machines: Vec<Machine> =
            members.zip(disks).map(|(member, disk)| Machine { member, disk }).collect();
        machines.iter_mut().for_each(|machine| machine.member.wait_until_it_listens());
        let addresses: Vec<String> =
            machines.iter().map(|machine| machine.member.address().to_owned()).collect();
        // Members reach the servers from their own hosts.
        let servers = (0..4).map(|_| redis(if sandboxed { Network::ADDRESS } else { "127.0.0.1" }));
        let servers: Vec<Redis> = servers.collect();
        set_up(&Admin::new(&sibling("codis-admin"), &addresses), &servers);
        let options = ProxyOptions::following(Path::new(PROXY), &addresses).shards(cores().min(2));
        let proxies = (0..2).map(|_| Proxy::start(&options)).collect();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime can be made");
        Self { proxies, machines, runtime, _servers: servers, _network: network }
    }

    /// `host:port` of each member.
    pub fn addresses(&self) -> Vec<String> {
        self.machines.iter().map(|machine| machine.member.address().to_owned()).collect()
    }
}

fn redis(host: &'static str) -> Redis {
    let args = ["--protected-mode", "no"].map(str::to_owned).to_vec();
    Redis::start_with(RedisOptions { host, args, ..RedisOptions::default() })
}

/// Two groups, each a master and a replica, and the slots that have traffic.
fn set_up(admin: &Admin, servers: &[Redis]) {
    for (gid, pair) in (1..).zip(servers.chunks(2)) {
        admin.run(&format!("group create --gid {gid}"));
        for server in pair {
            admin.run(&format!("group add --gid {gid} --addr {}", server.address()));
        }
        admin.run(&format!("sync --addr {}", pair[1].address()));
    }
    admin.run("slots assign --beg 0 --end 449 --gid 1");
    admin.run("slots assign --beg 450 --end 899 --gid 2");
}

/// Another program of the workspace, which is built beside the proxy.
fn sibling(name: &str) -> PathBuf {
    codis_testbed::beside(Path::new(PROXY), name)
}
