//! A group of real members, with real servers and proxies where they are wanted.

use codis_proto::admin::v1 as pb;
use codis_proto::admin::v1::admin_client::AdminClient;
use codis_testbed::{Member, MemberGroup, MemberOptions, Proxy, ProxyOptions, Redis};
use std::path::Path;
use std::time::Duration;
use tonic::transport::Channel;

/// The product that everything here belongs to.
pub(crate) const PRODUCT: &str = "test";

/// An operator's connection.
pub(crate) type Client = AdminClient<Channel>;

/// Members on free ports, and a server as the master of group 1.
pub(crate) struct Group {
    members: MemberGroup,
    leader: usize,
    _master: Redis,
}

/// What a process has used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    pub(crate) resident_bytes: u64,
    pub(crate) cpu_ns: u64,
}

impl Group {
    /// Starts members, waits for a leader, and makes group 1, but for a member alone, which stays empty.
    pub(crate) async fn start(binary: &Path, count: usize) -> Self {
        let founders = match count {
            1 => vec![MemberOptions::alone(binary)],
            _ => MemberOptions::founders(binary, count),
        };
        let members = MemberGroup::start(founders);
        let mut group = Self { members, leader: 0, _master: Redis::start() };
        group.until_led().await;
        if count > 1 {
            let mut client = group.client().await;
            let request = pb::CreateGroupRequest { gid: 1, call: None };
            client.create_group(request).await.expect("the group is new");
            let addr = group._master.address();
            let request = pb::AddServerRequest { gid: 1, addr, ..pb::AddServerRequest::default() };
            client.add_server(request).await.expect("the server is sound");
        }
        group
    }

    /// Proxies with two shards each that follow the group.
    pub(crate) async fn with_proxies(&self, binary: &Path, count: usize) -> Vec<Proxy> {
        let options = ProxyOptions::following(binary, &self.members.addresses()).shards(2);
        let proxies = (0..count).map(|_| Proxy::start(&options)).collect();
        let mut client = self.client().await;
        loop {
            let answer = client.list_proxies(pb::ListProxiesRequest {}).await;
            let proxies = answer.expect("the group is led").into_inner().proxies;
            if proxies.iter().filter(|proxy| proxy.connected).count() == count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        proxies
    }

    /// A connection to the leader.
    pub(crate) async fn client(&self) -> Client {
        let url = format!("http://{}", self.leader_address());
        let channel = Channel::from_shared(url).expect("it is a URL");
        AdminClient::new(channel.connect().await.expect("the leader runs"))
    }

    pub(crate) fn leader_address(&self) -> String {
        self.members.members[self.leader].address().to_owned()
    }

    /// What the leader's process has used.
    pub(crate) fn leader_process(&self) -> Used {
        let process = self.members.members[self.leader].process();
        Used { resident_bytes: process.resident_bytes(), cpu_ns: process.cpu_time().total_ns }
    }

    /// Waits until a leader answers; what it says of the slots.
    pub(crate) async fn until_led(&mut self) -> pb::Slots {
        loop {
            if let Some((leader, slots)) = self.ask().await {
                self.leader = leader;
                return slots;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Who leads, and the slots by a read that everything acknowledged is in.
    async fn ask(&self) -> Option<(usize, pb::Slots)> {
        let url = format!("http://{}", self.members.members[0].address());
        let channel = Channel::from_shared(url).ok()?.connect().await.ok()?;
        let mut client = AdminClient::new(channel);
        let members = client.get_members(pb::GetMembersRequest { local: true }).await.ok()?;
        let leader = usize::try_from(members.into_inner().leader).ok()?.checked_sub(1)?;
        let slots = client.list_slots(pb::ListSlotsRequest {}).await.ok()?;
        Some((leader, slots.into_inner()))
    }

    /// Kills member `id`, with SIGKILL.
    pub(crate) fn kill(&mut self, id: usize) {
        self.member(id).kill();
    }

    /// Starts member `id` again on its data, without waiting for it.
    pub(crate) fn restart(&mut self, id: usize) {
        self.member(id).relaunch();
    }

    fn member(&mut self, id: usize) -> &mut Member {
        &mut self.members.members[id - 1]
    }
}
