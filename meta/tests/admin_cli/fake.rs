//! A metadata group that does what a test tells it to: it is away for a while, loses answers, refuses, wants a token.
//! Like the true one it runs a named change once however often it comes.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codis_proto::admin::v1 as pb;
use codis_proto::meta::v1 as meta;
use pb::admin_server::{Admin, AdminServer};
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming, async_trait};

/// The metadata that names the rule against a call.
const RULE_KEY: &str = "codis-refusal";

/// The bytes of the backup that this group gives, which is no true one.
pub(crate) const BACKUP: [u8; 1000] = [7; 1000];

/// What becomes of the next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is not taken: there is no leader.
    Away,
    /// It runs, and the answer says that this is not known.
    RunAndForget,
    /// It runs, and no answer comes at all.
    RunAndHang,
}

/// What the group holds and has seen.
#[derive(Debug)]
pub(crate) struct Held {
    /// What becomes of the calls to come; they succeed when this is empty.
    pub(crate) steps: VecDeque<Step>,
    /// Every call is answered with `Away`.
    pub(crate) without_leader: bool,
    /// The token that calls must have.
    pub(crate) token: Option<String>,
    /// How many calls have come, by their names.
    pub(crate) calls: BTreeMap<&'static str, usize>,
    /// How many changes have run.
    pub(crate) ran: usize,
    pub(crate) groups: BTreeMap<u32, Vec<pb::Server>>,
    pub(crate) members: BTreeMap<u64, String>,
    pub(crate) slots: Vec<meta::Slot>,
    /// Moves go no further.
    pub(crate) moves_wait: bool,
    /// Why group 1 waits.
    pub(crate) trouble: String,
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) restored: Vec<Vec<u8>>,
    pub(crate) proxies_waiting: Vec<String>,
    /// What the last change asked to wait.
    pub(crate) wait_ms: Option<u64>,
    answered: BTreeMap<(u64, u64), pb::Changed>,
}

impl Default for Held {
    fn default() -> Self {
        let slot = meta::Slot { group: 1, ..meta::Slot::default() };
        Self {
            steps: VecDeque::new(),
            without_leader: false,
            token: None,
            calls: BTreeMap::new(),
            ran: 0,
            groups: BTreeMap::new(),
            members: BTreeMap::new(),
            slots: vec![slot; 1024],
            moves_wait: false,
            trouble: String::new(),
            settings: BTreeMap::new(),
            restored: Vec::new(),
            proxies_waiting: Vec::new(),
            wait_ms: None,
            answered: BTreeMap::new(),
        }
    }
}

/// The group as one or several members serve it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fake(Arc<Mutex<Held>>);

/// A port that the group is served on, until this is dropped.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) address: String,
    _runtime: Runtime,
}

impl Fake {
    pub(crate) fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn calls(&self, name: &str) -> usize {
        self.held().calls.get(name).copied().unwrap_or(0)
    }

    pub(crate) fn next(&self, steps: impl IntoIterator<Item = Step>) {
        self.held().steps.extend(steps);
    }

    pub(crate) fn add_server(&self, gid: u32, addr: &str, role: &str, keys: u64) {
        let facts = pb::ServerFacts { role: role.into(), keys, ..pb::ServerFacts::default() };
        let server = pb::Server { addr: addr.into(), facts: Some(facts), ..pb::Server::default() };
        self.held().groups.entry(gid).or_default().push(server);
    }

    /// Groups 1 to `count`, the first of which has all slots.
    pub(crate) fn has_groups(&self, count: u32) {
        self.held().groups.extend((1..=count).map(|gid| (gid, Vec::new())));
    }

    pub(crate) fn serve(&self) -> Served {
        self.serve_with(None)
    }

    pub(crate) fn serve_with(&self, identity: Option<Identity>) -> Served {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        // Bound before anybody is told of it, so that no other test can have it.
        let listener =
            runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let mut server = Server::builder();
        if let Some(identity) = identity {
            server = server
                .tls_config(ServerTlsConfig::new().identity(identity))
                .expect("the certificate is good");
        }
        let service = server.add_service(AdminServer::new(self.clone()));
        runtime.spawn(service.serve_with_incoming(TcpListenerStream::new(listener)));
        Served { address, _runtime: runtime }
    }

    /// Counts a call and says what becomes of it.
    fn arrive<T>(&self, name: &'static str, request: &Request<T>) -> Result<Option<Step>, Status> {
        let mut held = self.held();
        *held.calls.entry(name).or_default() += 1;
        if let Some(token) = &held.token {
            let expected = format!("Bearer {token}");
            let given = request.metadata().get("authorization");
            if given.is_none_or(|given| given.as_bytes() != expected.as_bytes()) {
                return Err(Status::unauthenticated("the call has not the product's token"));
            }
        }
        match held.steps.pop_front() {
            _ if held.without_leader => Err(Status::unavailable("the group has no leader")),
            Some(Step::Away) => Err(Status::unavailable("the group has no leader")),
            step => Ok(step),
        }
    }

    async fn change<T>(
        &self,
        name: &'static str,
        request: Request<T>,
        call: fn(&T) -> &Option<pb::Call>,
        run: impl FnOnce(&mut Held, &T) -> Result<(), Status>,
    ) -> Result<Response<pb::Changed>, Status> {
        let step = self.arrive(name, &request)?;
        let request = request.into_inner();
        let call = (*call(&request)).ok_or_else(|| Status::invalid_argument("no call"))?;
        let id = call.id.ok_or_else(|| Status::invalid_argument("no id"))?;
        let changed = {
            let mut held = self.held();
            held.wait_ms = Some(call.wait_ms);
            match held.answered.get(&(id.client, id.request)) {
                Some(changed) => changed.clone(),
                None => {
                    run(&mut held, &request)?;
                    held.ran += 1;
                    let changed = pb::Changed {
                        index: held.ran as u64,
                        epoch: held.ran as u64,
                        proxies_waiting: held.proxies_waiting.clone(),
                        notes: Vec::new(),
                    };
                    held.answered.insert((id.client, id.request), changed.clone());
                    changed
                }
            }
        };
        after(step).await?;
        Ok(Response::new(changed))
    }

    fn read<T, U>(
        &self,
        name: &'static str,
        request: &Request<T>,
        answer: impl FnOnce(&Held) -> U,
    ) -> Result<Response<U>, Status> {
        match self.arrive(name, request)? {
            Some(_) => Err(Status::deadline_exceeded("the answer took too long")),
            None => Ok(Response::new(answer(&self.held()))),
        }
    }
}

/// What happens to the answer of a call that has run.
async fn after(step: Option<Step>) -> Result<(), Status> {
    match step {
        Some(Step::RunAndForget) => {
            Err(Status::deadline_exceeded("it is not known whether it was made"))
        }
        Some(Step::RunAndHang) => std::future::pending().await,
        _ => Ok(()),
    }
}

pub(crate) fn refused(status: Status, rule: &'static str) -> Status {
    let mut status = status;
    status.metadata_mut().insert(RULE_KEY, rule.parse().expect("plain text"));
    status
}

impl Held {
    fn group(&mut self, gid: u32) -> Result<&mut Vec<pb::Server>, Status> {
        let unknown =
            || refused(Status::not_found(format!("there is no group {gid}")), "GROUP_UNKNOWN");
        self.groups.get_mut(&gid).ok_or_else(unknown)
    }

    fn list_groups(&self) -> pb::Groups {
        let groups = self.groups.iter().map(|(&gid, servers)| pb::Group {
            gid,
            servers: servers.clone(),
            ..pb::Group::default()
        });
        pb::Groups { groups: groups.collect() }
    }

    fn list_slots(&self) -> pb::Slots {
        pb::Slots { epoch: self.ran as u64, slots: self.slots.clone() }
    }

    fn migrate(&mut self, request: &pb::MigrateSlotsRequest) -> Result<(), Status> {
        let range = (request.beg..=request.end).map(|slot| (slot, request.gid));
        let moves: Vec<(u32, u32)> = match request.moves.is_empty() {
            true => range.collect(),
            false => request.moves.iter().map(|one| (one.slot, one.to)).collect(),
        };
        let from = request.from_gid;
        let count = if request.count == 0 { 1024 } else { request.count as usize };
        let wanted = |slot: &meta::Slot| from == 0 || slot.group == from;
        let moves = moves.into_iter().filter(|(slot, _)| wanted(&self.slots[*slot as usize]));
        for (slot, target) in moves.take(count).collect::<Vec<_>>() {
            self.group(target)?;
            let phase = Some(meta::slot_action::Phase::Pending(meta::slot_action::Pending {}));
            let order = u64::from(slot) + 1;
            let action = meta::SlotAction { target, order, phase, ..Default::default() };
            self.slots[slot as usize].action = Some(action);
        }
        Ok(())
    }

    fn list_moves(&self) -> pb::Moves {
        let moves = (0..).zip(&self.slots).filter_map(|(slot, one)| {
            let action = Some(one.action.clone()?);
            Some(pb::Move { slot, from: one.group, action })
        });
        let moves: Vec<pb::Move> = moves.collect();
        let source = pb::MoveSource {
            gid: 1,
            addr: "10.0.0.1:6379".into(),
            doing: "moving".into(),
            trouble: self.trouble.clone(),
            ..pb::MoveSource::default()
        };
        let sources = if moves.is_empty() { Vec::new() } else { vec![source] };
        let paused = self.settings.get("migration_disabled").is_some_and(|value| value == "true");
        pb::Moves { moves, sources, paused, keys_moved: 7, ..pb::Moves::default() }
    }

    /// A look at the moves is what takes them further here.
    fn one_slot_moves(&mut self) {
        if self.moves_wait {
            return;
        }
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.action.is_some()) {
            slot.group = slot.action.take().map_or(slot.group, |action| action.target);
        }
    }

    /// The lowest two slots of group 1, or of the group that is drained, go to the last group.
    fn plan(&self, drained: u32) -> pb::RebalancePlan {
        let from = if drained == 0 { 1 } else { drained };
        let to = self.groups.keys().copied().max().unwrap_or_default();
        let on_it = (0..).zip(&self.slots).filter(|(_, slot)| slot.group == from && from != to);
        let moves = on_it.take(2).map(|(slot, _)| pb::PlannedMove { slot, from, to });
        let share = |&gid: &u32| pb::GroupShare { gid, ..pb::GroupShare::default() };
        pb::RebalancePlan {
            moves: moves.collect(),
            shares: self.groups.keys().map(share).collect(),
            ..pb::RebalancePlan::default()
        }
    }

    fn list_members(&self) -> pb::Members {
        let members = self.members.iter().map(|(&id, addr)| pb::Member {
            id,
            addr: addr.clone(),
            active: true,
            ..pb::Member::default()
        });
        pb::Members { group: 1, leader: 1, members: members.collect(), ..pb::Members::default() }
    }
}

type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn events<T: Send + 'static>(list: Vec<Result<T, Status>>) -> Response<Events<T>> {
    Response::new(Box::pin(tokio_stream::iter(list)))
}

#[async_trait]
impl Admin for Fake {
    type WatchStream = Events<pb::WatchEvent>;
    type SyncServerStream = Events<pb::SyncProgress>;
    type BackupStream = Events<pb::BackupChunk>;

    async fn get_status(
        &self,
        request: Request<pb::GetStatusRequest>,
    ) -> Result<Response<pb::Status>, Status> {
        self.read("get_status", &request, |held| pb::Status {
            product: "shop".into(),
            members: Some(held.list_members()),
            groups: Some(held.list_groups()),
            slots: Some(held.list_slots()),
            proxies: Some(pb::Proxies::default()),
            ..pb::Status::default()
        })
    }

    /// One event a stream: whoever watches has to open it anew.
    async fn watch(
        &self,
        request: Request<pb::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.arrive("watch", &request)?;
        let change = meta::command::Change::GroupCreate(meta::GroupCreate { group: 7 });
        let command = meta::Command { change: Some(change), ..meta::Command::default() };
        let index = self.calls("watch") as u64;
        let change = pb::watch_event::Change { index, epoch: 2, command: Some(command) };
        let event = pb::WatchEvent { event: Some(pb::watch_event::Event::Change(change)) };
        Ok(events(vec![Ok(event), Err(Status::unavailable("the member leads no more"))]))
    }

    async fn create_group(
        &self,
        request: Request<pb::CreateGroupRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change(
            "create_group",
            request,
            |request| &request.call,
            |held, request| {
                if held.groups.contains_key(&request.gid) {
                    let sentence = format!("group {} exists: take another id", request.gid);
                    return Err(refused(Status::already_exists(sentence), "GROUP_EXISTS"));
                }
                held.groups.insert(request.gid, Vec::new());
                Ok(())
            },
        )
        .await
    }

    async fn remove_group(
        &self,
        request: Request<pb::RemoveGroupRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change(
            "remove_group",
            request,
            |request| &request.call,
            |held, request| {
                held.group(request.gid)?;
                held.groups.remove(&request.gid);
                Ok(())
            },
        )
        .await
    }

    async fn list_groups(
        &self,
        request: Request<pb::ListGroupsRequest>,
    ) -> Result<Response<pb::Groups>, Status> {
        self.read("list_groups", &request, Held::list_groups)
    }

    async fn add_server(
        &self,
        request: Request<pb::AddServerRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change(
            "add_server",
            request,
            |request| &request.call,
            |held, request| {
                let server = pb::Server {
                    addr: request.addr.clone(),
                    datacenter: request.datacenter.clone(),
                    ..pb::Server::default()
                };
                held.group(request.gid)?.push(server);
                Ok(())
            },
        )
        .await
    }

    async fn remove_server(
        &self,
        request: Request<pb::RemoveServerRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change(
            "remove_server",
            request,
            |request| &request.call,
            |held, request| {
                held.group(request.gid)?.retain(|server| server.addr != request.addr);
                Ok(())
            },
        )
        .await
    }

    async fn set_replica_reads(
        &self,
        request: Request<pb::SetReplicaReadsRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change("set_replica_reads", request, |request| &request.call, |_, _| Ok(())).await
    }

    async fn promote_server(
        &self,
        request: Request<pb::PromoteServerRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change("promote_server", request, |request| &request.call, |_, _| Ok(())).await
    }

    async fn sync_server(
        &self,
        request: Request<pb::SyncServerRequest>,
    ) -> Result<Response<Self::SyncServerStream>, Status> {
        let changed = self.change("sync_server", request, |request| &request.call, |_, _| Ok(()));
        changed.await?;
        let progress = |phase: pb::sync_progress::Phase, left_bytes| {
            Ok(pb::SyncProgress { phase: phase as i32, total_bytes: 1000, left_bytes })
        };
        use pb::sync_progress::Phase::{Copying, Done};
        let first = progress(Copying, 1000);
        // The member that takes the first call is gone before the sync is over.
        if self.calls("sync_server") == 1 {
            return Ok(events(vec![first, Err(Status::unavailable("the member stops"))]));
        }
        Ok(events(vec![first, progress(Copying, 400), progress(Done, 0)]))
    }

    async fn list_slots(
        &self,
        request: Request<pb::ListSlotsRequest>,
    ) -> Result<Response<pb::Slots>, Status> {
        self.read("list_slots", &request, Held::list_slots)
    }

    async fn assign_slots(
        &self,
        request: Request<pb::AssignSlotsRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change(
            "assign_slots",
            request,
            |request| &request.call,
            |held, request| held.group(request.gid).map(|_| ()),
        )
        .await
    }

    async fn offline_slots(
        &self,
        request: Request<pb::OfflineSlotsRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change("offline_slots", request, |request| &request.call, |_, _| Ok(())).await
    }

    async fn migrate_slots(
        &self,
        request: Request<pb::MigrateSlotsRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change("migrate_slots", request, |request| &request.call, Held::migrate).await
    }

    async fn cancel_slots(
        &self,
        request: Request<pb::CancelSlotsRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change(
            "cancel_slots",
            request,
            |request| &request.call,
            |held, request| {
                let range = request.beg as usize..=request.end as usize;
                held.slots[range].iter_mut().for_each(|slot| slot.action = None);
                Ok(())
            },
        )
        .await
    }

    async fn get_moves(
        &self,
        request: Request<pb::GetMovesRequest>,
    ) -> Result<Response<pb::Moves>, Status> {
        let moves = self.read("get_moves", &request, Held::list_moves)?;
        self.held().one_slot_moves();
        Ok(moves)
    }

    async fn rebalance(
        &self,
        request: Request<pb::RebalanceRequest>,
    ) -> Result<Response<pb::RebalancePlan>, Status> {
        let drained = request.get_ref().drain_gid;
        self.read("rebalance", &request, |held| held.plan(drained))
    }

    async fn list_proxies(
        &self,
        request: Request<pb::ListProxiesRequest>,
    ) -> Result<Response<pb::Proxies>, Status> {
        self.read("list_proxies", &request, |_| pb::Proxies::default())
    }

    async fn remove_proxy(
        &self,
        request: Request<pb::RemoveProxyRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change("remove_proxy", request, |request| &request.call, |_, _| Ok(())).await
    }

    async fn get_members(
        &self,
        request: Request<pb::GetMembersRequest>,
    ) -> Result<Response<pb::Members>, Status> {
        if request.get_ref().local {
            return Ok(Response::new(pb::Members { leader: 0, ..self.held().list_members() }));
        }
        self.read("get_members", &request, Held::list_members)
    }

    async fn add_member(
        &self,
        request: Request<pb::AddMemberRequest>,
    ) -> Result<Response<pb::Members>, Status> {
        let step = self.arrive("add_member", &request)?;
        let pb::AddMemberRequest { id, addr, .. } = request.into_inner();
        let members = {
            let mut held = self.held();
            if held.members.get(&id).is_some_and(|known| *known != addr) {
                return Err(Status::already_exists(format!("member {id} is there already")));
            }
            held.members.insert(id, addr);
            held.list_members()
        };
        after(step).await?;
        Ok(Response::new(members))
    }

    async fn remove_member(
        &self,
        request: Request<pb::RemoveMemberRequest>,
    ) -> Result<Response<pb::Members>, Status> {
        let step = self.arrive("remove_member", &request)?;
        let id = request.into_inner().id;
        let members = {
            let mut held = self.held();
            held.members
                .remove(&id)
                .ok_or_else(|| Status::not_found(format!("there is no member {id}")))?;
            held.list_members()
        };
        after(step).await?;
        Ok(Response::new(members))
    }

    async fn transfer_leadership(
        &self,
        request: Request<pb::TransferLeadershipRequest>,
    ) -> Result<Response<pb::Members>, Status> {
        self.read("transfer_leadership", &request, Held::list_members)
    }

    async fn backup(
        &self,
        request: Request<pb::BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        self.arrive("backup", &request)?;
        let chunk = |data: &[u8]| Ok(pb::BackupChunk { data: data.to_vec(), id: None });
        Ok(events(BACKUP.chunks(300).map(chunk).collect()))
    }

    async fn restore(
        &self,
        request: Request<Streaming<pb::BackupChunk>>,
    ) -> Result<Response<pb::Changed>, Status> {
        let step = self.arrive("restore", &request)?;
        let mut chunks = request.into_inner();
        let mut bytes = Vec::new();
        let mut id = None;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            bytes.extend_from_slice(&chunk.data);
            id = id.or(chunk.id);
        }
        let id = id.ok_or_else(|| Status::invalid_argument("no id"))?;
        let changed = pb::Changed { epoch: 9, ..pb::Changed::default() };
        {
            let mut held = self.held();
            let first = held.answered.insert((id.client, id.request), changed.clone()).is_none();
            if first {
                held.restored.push(bytes);
            }
        }
        after(step).await?;
        Ok(Response::new(changed))
    }

    async fn get_settings(
        &self,
        request: Request<pb::GetSettingsRequest>,
    ) -> Result<Response<pb::Settings>, Status> {
        let setting = |name: &str, value: &str| pb::Setting {
            name: name.into(),
            value: value.into(),
            default: "2s".into(),
            ..pb::Setting::default()
        };
        self.read("get_settings", &request, |_| pb::Settings {
            settings: vec![setting("barrier_deadline", "2s"), setting("migration_timeout", "30s")],
        })
    }

    async fn set_settings(
        &self,
        request: Request<pb::SetSettingsRequest>,
    ) -> Result<Response<pb::Changed>, Status> {
        self.change(
            "set_settings",
            request,
            |request| &request.call,
            |held, request| {
                held.settings.extend(request.values.clone());
                Ok(())
            },
        )
        .await
    }
}
