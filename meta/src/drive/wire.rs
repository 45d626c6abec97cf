//! Redis servers over sockets.
//!
//! What may be repeated shares one connection a server, kept from call to call and given up at the first failure. What
//! makes a server follow has a connection of its own, as WATCH belongs to one.

use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use codis_proto::{CLEAN_KEY, COPIES_KEY, FENCE_KEY, MOVER_KEY, ORDER_KEY, WAIT_KEY};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo, RedisError,
    RedisResult, Value, cmd, pipe,
};
use tokio::time::timeout;

use super::info;
use super::moves::older_mover;
use super::server::{Guard, Marks, Seen, ServerError, Servers};

/// How long a server may take for one call, connecting included.
const CALL_MAX: Duration = Duration::from_secs(1);

/// Raises each key to at least its argument, and tells what they hold.
///
/// The DEL is for a master that is full: it refuses a script's SET for lack of memory, unless the script has
/// written before. An epoch must get through, and takes no memory to speak of.
pub(super) const RAISE: &str = "\
local held = {}
for i, key in ipairs(KEYS) do
  local now = redis.call('GET', key) or '0'
  if (tonumber(now) or 0) < tonumber(ARGV[i]) then
    redis.call('DEL', key)
    redis.call('SET', key, ARGV[i])
    now = ARGV[i]
  end
  held[i] = now
end
return held";

/// See the module's head.
pub(super) struct RedisServers {
    password: String,
    connections: Mutex<HashMap<String, MultiplexedConnection>>,
}

impl RedisServers {
    /// `password` is empty where the servers ask for none.
    pub(super) fn new(password: String) -> Self {
        Self { password, connections: Mutex::default() }
    }

    async fn connect(&self, address: &str) -> RedisResult<MultiplexedConnection> {
        let address = match address.strip_prefix('/') {
            Some(_) => ConnectionAddr::Unix(PathBuf::from(address)),
            None => {
                let (host, port) = host_and_port(address).ok_or_else(|| {
                    RedisError::from((ErrorKind::InvalidClientConfig, "not an address"))
                })?;
                ConnectionAddr::Tcp(host.to_owned(), port)
            }
        };
        let mut info = address.into_connection_info()?;
        let mut settings = info.redis_settings().clone().set_skip_set_lib_name();
        if !self.password.is_empty() {
            settings = settings.set_password(&self.password);
        }
        info = info.set_redis_settings(settings);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CALL_MAX))
            .set_response_timeout(Some(CALL_MAX));
        Client::open(info)?.get_multiplexed_async_connection_with_config(&config).await
    }

    /// The kept connection to a server, or a new one.
    async fn kept(&self, address: &str) -> RedisResult<MultiplexedConnection> {
        let found = self.lock().get(address).cloned();
        if let Some(connection) = found {
            return Ok(connection);
        }
        let connection = self.connect(address).await?;
        self.lock().insert(address.to_owned(), connection.clone());
        Ok(connection)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, MultiplexedConnection>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call on the kept connection.
    async fn call<T, F: Future<Output = RedisResult<T>>>(
        &self,
        address: &str,
        what: &'static str,
        call: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<T, ServerError> {
        let result = in_time(address, what, async { call(self.kept(address).await?).await }).await;
        if result.is_err() {
            self.lock().remove(address);
        }
        result
    }
}

impl Servers for RedisServers {
    async fn look(&self, address: &str) -> Result<Seen, ServerError> {
        self.call(address, "INFO", async |mut connection| {
            let mut questions = pipe();
            questions.cmd("INFO").cmd("MGET").arg(FENCE_KEY).arg(ORDER_KEY);
            let of_moves = [MOVER_KEY, CLEAN_KEY, WAIT_KEY, COPIES_KEY];
            questions.cmd("EXISTS").arg(&of_moves);
            let of_codis = ["slotsmgrttagone", "slotsrestore"];
            questions.cmd("COMMAND").arg("INFO").arg(&of_codis).ignore_errors();
            let answers: Vec<RedisResult<Value>> = questions.query_async(&mut connection).await?;
            let mut answers = answers.into_iter();
            let info: String = redis::from_redis_value(next(&mut answers)?)?;
            let marks = next(&mut answers).ok().and_then(|value| read_marks(value).ok());
            let keys_of_moves = next(&mut answers).ok();
            let keys_of_moves = keys_of_moves.and_then(|value| redis::from_redis_value(value).ok());
            let keys_of_moves = keys_of_moves.unwrap_or(0);
            let codis = next(&mut answers).is_ok_and(|about| knows_all(&about));
            Ok(Seen { facts: info::parse(&info), marks, keys_of_moves, codis })
        })
        .await
    }

    async fn raise(&self, address: &str, marks: Marks) -> Result<Marks, ServerError> {
        self.call(address, "the script that raises its reserved keys", async |mut connection| {
            let mut script = cmd("EVAL");
            script.arg(RAISE).arg(2).arg(FENCE_KEY).arg(ORDER_KEY);
            script.arg(marks.fence).arg(marks.order);
            read_marks(script.query_async(&mut connection).await?)
        })
        .await
    }

    async fn follow(
        &self,
        address: &str,
        master: Option<&str>,
        guard: Guard,
    ) -> Result<(), ServerError> {
        let mut connection = in_time(address, "AUTH", self.connect(address)).await?;
        let word = in_time(address, "COMMAND", replicaof(&mut connection)).await?;
        in_time(address, "WATCH", watch(&mut connection))
            .await
            .and_then(|held| refuse_outranked(address, held, guard))?;
        let change = change_of_master((word, &self.password), master, address)?;
        let ran: Option<Vec<Value>> =
            in_time(address, "REPLICAOF", change.query_async(&mut connection)).await?;
        if ran.is_none() {
            let held = in_time(address, "GET", watch(&mut connection)).await?;
            let (Guard::Exactly(order) | Guard::AtMost(order)) = guard;
            return Err(ServerError::Outranked { address: address.to_owned(), held, order });
        }
        // So that it still follows after a restart. A server without a configuration file cannot.
        let rewrite = cmd("CONFIG").arg("REWRITE").to_owned();
        let _ = in_time(address, "CONFIG REWRITE", rewrite.exec_async(&mut connection)).await;
        Ok(())
    }

    async fn kill_older(
        &self,
        address: &str,
        tokens: &[String],
        epoch: u64,
    ) -> Result<usize, ServerError> {
        self.call(address, "CLIENT KILL", async |mut connection| {
            let list = cmd("CLIENT").arg("LIST").to_owned();
            let list: String = list.query_async(&mut connection).await?;
            let mut killed = 0;
            for id in list.lines().filter_map(|line| older_connection(line, tokens, epoch)) {
                killed += kill(id).query_async::<usize>(&mut connection).await?;
            }
            Ok(killed)
        })
        .await
    }

    async fn keep_movers_off(&self, address: &str, term: u64) -> Result<(), ServerError> {
        let what = "the script that raises its mark of moves";
        let held = self.call(address, what, async |mut connection| {
            let mut script = cmd("EVAL");
            script.arg(RAISE).arg(1).arg(MOVER_KEY).arg(term);
            let held: Vec<u64> = script.query_async(&mut connection).await?;
            let list = cmd("CLIENT").arg("LIST").to_owned();
            let list: String = list.query_async(&mut connection).await?;
            for id in list.lines().filter_map(|line| older_mover(line, term)) {
                kill(&id.to_string()).query_async::<usize>(&mut connection).await?;
            }
            Ok(held.first().copied().unwrap_or(0))
        });
        let held = held.await?;
        if held > term {
            let why = format!("{MOVER_KEY} is {held}, the leader of term {term} has a newer one");
            return Err(ServerError::Refused { address: address.to_owned(), what, why });
        }
        Ok(())
    }

    async fn databases(&self, address: &str) -> Result<Option<u32>, ServerError> {
        let answer = self.call(address, "CONFIG GET", async |mut connection| {
            let ask = cmd("CONFIG").arg("GET").arg("databases").to_owned();
            let pairs: Vec<String> = ask.query_async(&mut connection).await?;
            Ok(pairs.get(1).and_then(|count| count.parse().ok()))
        });
        match answer.await {
            // A server whose CONFIG has been renamed.
            Err(ServerError::Refused { .. }) => Ok(None),
            answer => answer,
        }
    }
}

/// Host and port of an address, an IPv6 one without its brackets.
fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some((host, port.parse().ok()?))
}

/// Waits for a call, and says what a failure of it means.
async fn in_time<T>(
    address: &str,
    what: &'static str,
    call: impl Future<Output = RedisResult<T>>,
) -> Result<T, ServerError> {
    let address = address.to_owned();
    match timeout(CALL_MAX, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(match error.kind() {
            ErrorKind::AuthenticationFailed => {
                let why = format!("{error}: product_auth must be the server's requirepass");
                ServerError::Refused { address, what: "AUTH", why }
            }
            ErrorKind::Server(_) | ErrorKind::Extension => {
                ServerError::Refused { address, what, why: error.to_string() }
            }
            _ => ServerError::Silent { address, why: error.to_string() },
        }),
        Err(_) => Err(ServerError::Silent { address, why: format!("not within {CALL_MAX:?}") }),
    }
}

fn next(answers: &mut impl Iterator<Item = RedisResult<Value>>) -> RedisResult<Value> {
    let missing = || Err(RedisError::from((ErrorKind::Parse, "an answer is missing")));
    answers.next().unwrap_or_else(missing)
}

/// What is no number counts as none.
fn read_marks(value: Value) -> RedisResult<Marks> {
    let (fence, order): (Option<String>, Option<String>) = redis::from_redis_value(value)?;
    let number = |text: Option<String>| text.and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(Marks { fence: number(fence), order: number(order) })
}

/// Watches the order on a server; answers it.
async fn watch(connection: &mut MultiplexedConnection) -> RedisResult<u64> {
    let mut look = pipe();
    look.cmd("WATCH").arg(ORDER_KEY).ignore().cmd("GET").arg(ORDER_KEY);
    let (held,): (Option<String>,) = look.query_async(connection).await?;
    Ok(held.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Whether an answer to COMMAND INFO has something of each command.
fn knows_all(about: &Value) -> bool {
    matches!(about, Value::Array(all) if all.iter().all(|one| matches!(one, Value::Array(one) if !one.is_empty())))
}

/// What the server calls REPLICAOF, which has that name since Redis 5.0.
async fn replicaof(connection: &mut MultiplexedConnection) -> RedisResult<&'static str> {
    let ask = cmd("COMMAND").arg("INFO").arg("replicaof").to_owned();
    match ask.query_async::<Value>(connection).await {
        Ok(about) if !knows_all(&about) => Ok("SLAVEOF"),
        Err(error) if error.is_io_error() => Err(error),
        _ => Ok("REPLICAOF"),
    }
}

fn refuse_outranked(address: &str, held: u64, guard: Guard) -> Result<(), ServerError> {
    if guard.admits(held) {
        return Ok(());
    }
    let (Guard::Exactly(order) | Guard::AtMost(order)) = guard;
    Err(ServerError::Outranked { address: address.to_owned(), held, order })
}

/// The transaction that changes whom a server follows.
fn change_of_master(
    (word, password): (&str, &str),
    master: Option<&str>,
    address: &str,
) -> Result<redis::Pipeline, ServerError> {
    let mut change = pipe();
    change.atomic();
    let Some(master) = master else {
        change.cmd(word).arg("NO").arg("ONE");
        return Ok(change);
    };
    let (host, port) = host_and_port(master).ok_or_else(|| ServerError::Refused {
        address: address.to_owned(),
        what: "REPLICAOF",
        why: format!("{master} is not an address that a server can follow"),
    })?;
    // Also an empty one: a master without a password refuses a replica that gives one.
    change.cmd("CONFIG").arg("SET").arg("masterauth").arg(password);
    change.cmd(word).arg(host).arg(port);
    Ok(change)
}

/// The id of the connection that a line of CLIENT LIST is about, if it is one of `tokens` older than `epoch`.
fn older_connection<'a>(line: &'a str, tokens: &[String], epoch: u64) -> Option<&'a str> {
    let field = |name: &str| line.split(' ').find_map(|field| field.strip_prefix(name));
    let (token, made_at) = field("name=codis-proxy:")?.rsplit_once(':')?;
    let older = made_at.parse::<u64>().is_ok_and(|made_at| made_at < epoch);
    (older && tokens.iter().any(|one| one == token)).then(|| field("id="))?
}

fn kill(id: &str) -> Cmd {
    cmd("CLIENT").arg("KILL").arg("ID").arg(id).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_connections_are_those_of_the_tokens_with_a_lower_epoch() {
        let line =
            |name: &str| format!("id=7 addr=10.0.0.1:5 laddr=10.0.0.2:6379 fd=8 name={name} age=1");
        let tokens = ["a".to_owned(), "b.c-1".to_owned()];
        for (name, older) in [
            ("codis-proxy:a:4", true),
            ("codis-proxy:b.c-1:0", true),
            ("codis-proxy:a:5", false),
            ("codis-proxy:other:4", false),
            ("codis-proxy:a:", false),
            ("codis-proxy:a", false),
            ("a", false),
            ("", false),
        ] {
            let line = line(name);
            assert_eq!(older_connection(&line, &tokens, 5), older.then_some("7"), "{name}");
        }
    }

    #[test]
    fn an_address_is_taken_apart_as_a_server_wants_it() {
        assert_eq!(host_and_port("[::1]:6379"), Some(("::1", 6379)));
        assert_eq!(host_and_port("redis-1:1"), Some(("redis-1", 1)));
        assert_eq!(host_and_port("/run/redis.sock"), None);
    }
}
