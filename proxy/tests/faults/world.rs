//! Three members, two groups of Redis servers, and two proxies in front of them.

use crate::calls::Caller;
use crate::promoter;
use codis_proto::admin::v1::{AddServerRequest, AssignSlotsRequest, CreateGroupRequest};
use codis_testbed::{
    Host, Member, MemberOptions, Network, Proxy, ProxyOptions, Redis, RedisOptions, SmallDisk,
    beside, cores,
};
use std::path::Path;
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
        let binary = beside(Path::new(PROXY), "codis-meta");
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
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime can be made");
        runtime.block_on(async {
            set_up(&mut Caller::new(&addresses, &mut fastrand::Rng::new()), &servers).await;
        });
        let options = ProxyOptions::following(Path::new(PROXY), &addresses).shards(cores().min(2));
        let proxies = (0..2).map(|_| Proxy::start(&options)).collect();
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
async fn set_up(caller: &mut Caller, servers: &[Redis]) {
    for (gid, pair) in (1..).zip(servers.chunks(2)) {
        let call = Some(caller.name());
        let created = caller.call("CreateGroup", |mut member| async move {
            member.create_group(CreateGroupRequest { call, gid }).await
        });
        created.await.expect("a group can be created");
        for server in pair {
            let request = AddServerRequest {
                call: Some(caller.name()),
                gid,
                addr: server.address(),
                ..AddServerRequest::default()
            };
            let added = caller.call("AddServer", |mut member| {
                let request = request.clone();
                async move { member.add_server(request).await }
            });
            added.await.expect("a server can be added");
        }
        assert!(promoter::sync(caller, &pair[1].address()).await, "a new server can be synced");
    }
    for (gid, beg, end) in [(1, 0, 449), (2, 450, 899)] {
        let call = Some(caller.name());
        let assigned = caller.call("AssignSlots", |mut member| async move {
            member.assign_slots(AssignSlotsRequest { call, beg, end, gid }).await
        });
        assigned.await.expect("slots can be assigned");
    }
}
