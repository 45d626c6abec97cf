//! A leader's place: the group, the servers and the clock, as the migrator is given them.

use super::desk::{Answer, Order, SharedDesk, Waiting, lock, order};
use crate::group::SharedGroup;
use crate::plan::Bug;
use crate::server::reply::encode;
use codis_meta::drive::moves::{Connection, Net, NetError, Request, Value, request};
use codis_meta::drive::{Guard, Lost, Marks, Member, Seen, ServerError, Servers};
use codis_proto::FENCE_KEY;
use codis_proto::meta::v1 as pb;
use pb::RefusalCode;
use pb::command::Change;
use std::time::Duration;

/// How long a server may take for a fence.
const CALL_MAX: Duration = Duration::from_secs(1);

/// Raises the fence of a server; answers what it is then.
const RAISE: &str = "local held = redis.call('GET', KEYS[1]) or '0' \
    if tonumber(held) < tonumber(ARGV[1]) then \
      redis.call('DEL', KEYS[1]) redis.call('SET', KEYS[1], ARGV[1]) held = ARGV[1] \
    end return held";

/// See the module's head.
#[derive(Clone)]
pub(crate) struct Seat {
    pub(crate) leader: usize,
    pub(crate) desk: SharedDesk,
    pub(crate) group: SharedGroup,
    pub(crate) bug: Bug,
}

impl Seat {
    fn order(&self, what: Order) -> Waiting {
        order(&self.desk, self.leader, what)
    }
}

impl Member for Seat {
    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&pb::State) -> T + Send + 'static,
    ) -> Result<T, Lost> {
        match self.order(Order::Look).await {
            Answer::Done => Ok(look(lock(&self.group).seen_by(self.leader).data())),
            _ => Err(Lost),
        }
    }

    async fn peek<T: Send + 'static>(
        &self,
        look: impl FnOnce(&pb::State) -> T + Send + 'static,
    ) -> Result<T, Lost> {
        Ok(look(lock(&self.group).seen_by(self.leader).data()))
    }

    async fn step(
        &self,
        change: Change,
        expect_epoch: u64,
    ) -> Result<Result<pb::Outcome, RefusalCode>, Lost> {
        match self.order(Order::Step { change: Box::new(change), expect_epoch }).await {
            Answer::Outcome(outcome) => match &outcome.result {
                Some(pb::outcome::Result::Refused(refused)) => Ok(Err(refused.code())),
                _ => Ok(Ok(outcome)),
            },
            _ => Err(Lost),
        }
    }

    fn applied(&self) -> u64 {
        lock(&self.group).applied_at(self.leader)
    }

    async fn applied_beyond(&self, index: u64, patience: Duration) {
        self.order(Order::Beyond { index, patience }).await;
    }

    fn unix_ms(&self) -> u64 {
        lock(&self.group).unix_ms
    }
}

impl Net for Seat {
    type Connection = Call;

    async fn connect(&self, address: &str) -> Result<Call, NetError> {
        match self.order(Order::Connect { address: address.to_owned() }).await {
            Answer::Connected(Ok(connection)) => Ok(Call { seat: self.clone(), connection }),
            Answer::Connected(Err(error)) => Err(error),
            _ => Err(NetError("the leader is gone".into())),
        }
    }

    async fn sleep(&self, length: Duration) {
        self.order(Order::Sleep(length)).await;
    }

    fn now(&self) -> Duration {
        Duration::from_micros(lock(&self.group).now_us)
    }
}

/// A connection to a server.
pub(crate) struct Call {
    seat: Seat,
    connection: u64,
}

impl Call {
    async fn exchange(
        &mut self,
        bytes: Vec<u8>,
        replies: usize,
        patience: Duration,
    ) -> Result<Vec<Value>, NetError> {
        let connection = self.connection;
        match self.seat.order(Order::Ask { connection, bytes, replies, patience }).await {
            Answer::Replies(replies) => replies,
            _ => Err(NetError("the leader is gone".into())),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // Nothing is to come of it.
        drop(self.seat.order(Order::Close { connection: self.connection }));
    }
}

impl Connection for Call {
    async fn ask(
        &mut self,
        requests: Vec<Request>,
        patience: Duration,
    ) -> Result<Vec<Value>, NetError> {
        let bytes = requests.iter().flat_map(|request| encode(request)).collect();
        self.exchange(bytes, requests.len(), patience).await
    }

    async fn begin(&mut self, head: Request, length: u64) -> Result<(), NetError> {
        let mut parts = head;
        parts.push(Vec::new());
        let whole = encode(&parts);
        // All but the empty last argument, in whose place comes the length of the one to follow.
        let mut bytes = whole[..whole.len() - b"$0\r\n\r\n".len()].to_vec();
        bytes.extend_from_slice(format!("${length}\r\n").as_bytes());
        self.exchange(bytes, 0, CALL_MAX).await.map(drop)
    }

    async fn push(&mut self, bytes: Vec<u8>, patience: Duration) -> Result<(), NetError> {
        self.exchange(bytes, 0, patience).await.map(drop)
    }

    async fn finish(&mut self, patience: Duration) -> Result<Value, NetError> {
        let mut replies = self.exchange(b"\r\n".to_vec(), 1, patience).await?;
        replies.pop().ok_or_else(|| NetError("no reply".into()))
    }
}

/// Fences, as the driver of a real member makes them.
impl Servers for Seat {
    async fn raise(&self, address: &str, marks: Marks) -> Result<Marks, ServerError> {
        if self.bug == Bug::NoFence {
            return Ok(marks);
        }
        let raise = request(&["EVAL", RAISE, "1", FENCE_KEY, &marks.fence.to_string()]);
        let held = self.ask_once(address, vec![raise]).await?.pop();
        let fence = held.as_ref().and_then(Value::integer).unwrap_or(0) as u64;
        Ok(Marks { fence, order: 0 })
    }

    async fn kill_older(
        &self,
        address: &str,
        tokens: &[String],
        epoch: u64,
    ) -> Result<usize, ServerError> {
        if self.bug == Bug::NoFence {
            return Ok(0);
        }
        let silent = |error: NetError| silent(address, &error);
        let mut call = self.connect(address).await.map_err(silent)?;
        let list = call.ask(vec![request(&["CLIENT", "LIST"])], CALL_MAX).await.map_err(silent)?;
        let list = list.first().and_then(Value::text).unwrap_or_default().to_owned();
        let older = |line: &str| {
            let field = |name: &str| line.split(' ').find_map(|field| field.strip_prefix(name));
            let (token, made_at) = field("name=codis-proxy:")?.rsplit_once(':')?;
            let older = made_at.parse::<u64>().is_ok_and(|made_at| made_at < epoch);
            (older && tokens.iter().any(|one| one == token))
                .then(|| field("id="))?
                .map(str::to_owned)
        };
        let kill = |id: String| request(&["CLIENT", "KILL", "ID", &id]);
        let kills: Vec<Request> = list.lines().filter_map(older).map(kill).collect();
        let count = kills.len();
        if count > 0 {
            call.ask(kills, CALL_MAX).await.map_err(silent)?;
        }
        Ok(count)
    }

    async fn look(&self, address: &str) -> Result<Seen, ServerError> {
        Err(not_asked(address))
    }

    async fn follow(&self, address: &str, _: Option<&str>, _: Guard) -> Result<(), ServerError> {
        Err(not_asked(address))
    }

    async fn keep_movers_off(&self, address: &str, _: u64) -> Result<(), ServerError> {
        Err(not_asked(address))
    }

    async fn databases(&self, address: &str) -> Result<Option<u32>, ServerError> {
        Err(not_asked(address))
    }
}

impl Seat {
    async fn ask_once(
        &self,
        address: &str,
        requests: Vec<Request>,
    ) -> Result<Vec<Value>, ServerError> {
        let silent = |error: NetError| silent(address, &error);
        let mut call = self.connect(address).await.map_err(silent)?;
        let replies = call.ask(requests, CALL_MAX).await.map_err(silent)?;
        match replies
            .iter()
            .find_map(|reply| if let Value::Error(why) = reply { Some(why) } else { None })
        {
            None => Ok(replies),
            Some(why) => Err(ServerError::Refused {
                address: address.to_owned(),
                what: "a fence",
                why: why.clone(),
            }),
        }
    }
}

fn silent(address: &str, error: &NetError) -> ServerError {
    ServerError::Silent { address: address.to_owned(), why: error.to_string() }
}

/// Promotions and checks of servers are simulated elsewhere.
fn not_asked(address: &str) -> ServerError {
    silent(address, &NetError("the migrator asks for fences alone".into()))
}
