//! A metadata group that does what a test tells it to: it is away for a while, loses answers, refuses, wants a token.
//! Like the true one it runs a named change once however often it comes.

mod calls;
mod held;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codis_proto::admin::v1 as pb;
use pb::admin_server::AdminServer;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

pub(crate) use held::Held;
use held::refused;

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
