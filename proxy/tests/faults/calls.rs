//! Calls of an operator who does not give up, whichever members are gone.

use codis_proto::admin::v1::admin_client::AdminClient;
use codis_proto::admin::v1::{Call, RequestId};
use codis_testbed::PATIENCE;
use std::error::Error;
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};

/// How long a member may take to answer before another one is asked. Longer than a server needs to be looked at.
const ANSWER: Duration = Duration::from_millis(1500);

/// The pause before the next member is asked.
const PAUSE: Duration = Duration::from_millis(20);

pub type Member = AdminClient<Channel>;

/// One operator, with a connection to each member.
pub struct Caller {
    members: Vec<Member>,
    rng: fastrand::Rng,
    /// Names this operator's requests.
    pub client: u64,
    request: u64,
}

/// Connections to the members, made when they are needed.
pub fn connect(addresses: &[String]) -> Vec<Member> {
    let channel = |address: &String| {
        let endpoint =
            Endpoint::from_shared(format!("http://{address}")).expect("an address is a valid URI");
        endpoint
            .connect_timeout(Duration::from_millis(500))
            .http2_keep_alive_interval(Duration::from_secs(1))
            .keep_alive_timeout(Duration::from_secs(1))
            .connect_lazy()
    };
    addresses.iter().map(channel).map(AdminClient::new).collect()
}

impl Caller {
    /// An operator whose choices follow from `rng`.
    pub fn new(addresses: &[String], rng: &mut fastrand::Rng) -> Self {
        let client = rng.u64(1..);
        Self { members: connect(addresses), rng: rng.fork(), client, request: 0 }
    }

    /// Chooses.
    pub fn rng(&mut self) -> &mut fastrand::Rng {
        &mut self.rng
    }

    /// The name of a new change, to be given to each attempt at it.
    pub fn name(&mut self) -> Call {
        self.request += 1;
        let id = RequestId { client: self.client, request: self.request };
        Call { id: Some(id), expect_epoch: 0, wait_ms: 0 }
    }

    /// Asks one member after the other until one answers; the answer may be a refusal.
    ///
    /// # Panics
    /// When none answers for a long time.
    pub async fn call<T, F>(&mut self, what: &str, ask: impl Fn(Member) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let member = self.rng.usize(..self.members.len());
            let failed = match timeout(ANSWER, ask(self.members[member].clone())).await {
                Ok(Ok(response)) => return Ok(response.into_inner()),
                Ok(Err(status)) if !is_passing(&status) => return Err(status),
                Ok(Err(status)) => status,
                Err(_elapsed) => Status::deadline_exceeded("no answer"),
            };
            assert!(
                Instant::now() < deadline,
                "within {PATIENCE:?} no member answered {what}: {failed}"
            );
            sleep(PAUSE).await;
        }
    }
}

/// Whether another attempt may succeed: the group, or the way to it, is at fault and not the change.
fn is_passing(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => true,
        // A stream that breaks is called so by this side.
        Code::Internal => status.source().is_some(),
        _ => false,
    }
}

/// As [`connect`], for callers outside of the runtime.
pub fn connect_within(runtime: &tokio::runtime::Runtime, addresses: &[String]) -> Vec<Member> {
    let _inside = runtime.enter();
    connect(addresses)
}
