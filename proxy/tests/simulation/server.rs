//! Model Redis servers: each connection's requests are read, run in order, and answered after a
//! delay. What they run is checked against what was asked.

use crate::ledger::{Checked, Ledger, Runner, read_key};
use crate::pipe::Pipe;
use crate::plan::Bug;
use crate::script::filler;
use crate::waits::Waits;
use codis_proxy::engine::Segment;
use std::collections::{HashMap, VecDeque};

/// One server. Servers of one home hold the same data.
pub(crate) struct Server {
    pub(crate) home: usize,
    pub(crate) address: String,
    /// Refuses connections.
    pub(crate) down: bool,
    /// Lets connections hang.
    pub(crate) hangs: bool,
    /// Neither reads nor writes.
    pub(crate) frozen: bool,
    /// Answers the first request of a connection with an error.
    pub(crate) refuses: bool,
    /// Refuses writes.
    pub(crate) full: bool,
    /// Whether it has ever failed in any way.
    pub(crate) faulty: bool,
}

/// A database and a name.
pub(crate) type Slot = (u16, String);

/// What a home has, by database and name; lists beside values, so that there are no wrong types.
#[derive(Default)]
pub(crate) struct Store {
    pub(crate) values: HashMap<Slot, Vec<u8>>,
    pub(crate) lists: HashMap<Slot, VecDeque<Vec<u8>>>,
    /// How often each value was changed, or might have been.
    versions: HashMap<Slot, u64>,
}

impl Store {
    pub(crate) fn version(&self, slot: &Slot) -> u64 {
        self.versions.get(slot).copied().unwrap_or(0)
    }
}

/// How far a connection has come, as the driver sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Connecting,
    Open,
    /// The engine was told that it is closed.
    Over,
}

/// A connection between a proxy and a server, with what both ends know of it.
pub(crate) struct Conn {
    pub(crate) node: usize,
    pub(crate) backend: u32,
    pub(crate) server: usize,
    pub(crate) stage: Stage,
    pub(crate) to_server: Pipe,
    pub(crate) to_proxy: Pipe,
    /// What the driver is sending, and how much of it is sent.
    pub(crate) sending: Option<(Segment, usize)>,
    pub(crate) last_sent: Vec<u8>,
    /// The engine has asked for its end.
    pub(crate) closing: bool,
    /// The server's end is gone.
    pub(crate) lost: bool,
    pub(crate) reading: bool,
    pub(crate) stepping: bool,
    pub(crate) answering: bool,
    /// When it was last seen to be alive, or to have nothing to do.
    pub(crate) quiet_since: u64,
    input: Vec<u8>,
    pub(crate) database: u16,
    greeted: u8,
    pub(crate) resp3: bool,
    /// Its place among all; CLIENT ID answers one more.
    id: usize,
    /// It has asked for that: it is lent from one session to the next.
    is_lent: bool,
    /// What was queued since MULTI.
    pub(crate) queued: Option<Vec<Vec<Vec<u8>>>>,
    pub(crate) watched: Vec<(Slot, u64)>,
    /// The BLPOP that it waits with; nothing more is read.
    pub(crate) waiting: Option<u64>,
    pub(crate) replies: VecDeque<(u64, Vec<u8>)>,
    pub(crate) output: Pipe,
}

impl Conn {
    pub(crate) fn new(
        node: usize,
        backend: u32,
        server: usize,
        socket_bytes: usize,
        now: u64,
        id: usize,
    ) -> Self {
        Self {
            node,
            backend,
            server,
            stage: Stage::Connecting,
            to_server: Pipe::new(socket_bytes),
            to_proxy: Pipe::new(socket_bytes),
            sending: None,
            last_sent: Vec::new(),
            closing: false,
            lost: false,
            reading: false,
            stepping: false,
            answering: false,
            quiet_since: now,
            input: Vec::new(),
            database: 0,
            greeted: 0,
            resp3: false,
            id,
            is_lent: false,
            queued: None,
            watched: Vec::new(),
            waiting: None,
            replies: VecDeque::new(),
            output: Pipe::new(usize::MAX),
        }
    }
}

/// What a server needs to know of the world to run a request.
pub(crate) struct Context<'a> {
    pub(crate) server: &'a Server,
    pub(crate) store: &'a mut Store,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) epoch: u64,
    /// The oldest epoch by which anything may still come here.
    pub(crate) oldest: u64,
    /// The fence on the server.
    pub(crate) fence: u64,
    pub(crate) auth: &'a str,
    pub(crate) token: &'a str,
    pub(crate) primary_only: bool,
    pub(crate) bug: Bug,
    pub(crate) rng: &'a mut fastrand::Rng,
    /// The proxy has given the connection up.
    pub(crate) given_up: bool,
    pub(crate) waits: &'a mut Waits,
}

pub(crate) fn bulk(bytes: &[u8]) -> Vec<u8> {
    let mut out = format!("${}\r\n", bytes.len()).into_bytes();
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
    out
}

/// Reads one array of bulk strings; the proxy sends nothing else to a server.
fn read_request(input: &[u8]) -> Checked<Option<(Vec<Vec<u8>>, usize)>> {
    let Some((count, mut at)) = read_number(input, b'*')? else {
        return Ok(None);
    };
    let mut args = Vec::with_capacity(count);
    for _ in 0..count {
        let Some((len, header)) = read_number(&input[at..], b'$')? else {
            return Ok(None);
        };
        let start = at + header;
        if input.len() < start + len + 2 {
            return Ok(None);
        }
        if &input[start + len..start + len + 2] != b"\r\n" {
            return Err("a server was sent a bulk string without its end".into());
        }
        args.push(input[start..start + len].to_vec());
        at = start + len + 2;
    }
    Ok(Some((args, at)))
}

fn read_number(bytes: &[u8], kind: u8) -> Checked<Option<(usize, usize)>> {
    let Some(end) = bytes.iter().take(24).position(|byte| *byte == b'\n') else {
        return Ok(None);
    };
    let text = bytes[..end].strip_prefix(&[kind]).and_then(|text| text.strip_suffix(b"\r"));
    let number = text.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
    match number {
        Some(number) => Ok(Some((number, end + 1))),
        None => Err(format!("a server was sent {}", bytes[..=end].escape_ascii())),
    }
}

impl Conn {
    /// Runs what has come; answers the replies.
    pub(crate) fn serve(
        &mut self,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) -> Checked<Vec<Vec<u8>>> {
        self.input.extend_from_slice(bytes);
        let mut replies = Vec::new();
        let mut at = 0;
        while at < self.input.len() && self.waiting.is_none() {
            let Some((args, len)) = read_request(&self.input[at..])? else {
                break;
            };
            at += len;
            replies.extend(self.run(&args, context)?);
        }
        self.input.drain(..at);
        Ok(replies)
    }

    /// Runs a request; there is no reply yet if it waits.
    fn run(&mut self, args: &[Vec<u8>], context: &mut Context<'_>) -> Checked<Option<Vec<u8>>> {
        let name = args[0].to_ascii_uppercase();
        match (&name[..], self.greeted, &mut self.queued) {
            (b"BLPOP", 3.., None) => {
                self.greeted = 4;
                self.wait(args, context)
            }
            (b"EXEC", 3.., Some(_)) => self.execute(context).map(Some),
            (_, 3.., Some(queued)) => {
                queued.push(args.to_vec());
                Ok(Some(b"+QUEUED\r\n".to_vec()))
            }
            _ => self.answer(&name, args, context).map(Some),
        }
    }

    fn answer(
        &mut self,
        name: &[u8],
        args: &[Vec<u8>],
        context: &mut Context<'_>,
    ) -> Checked<Vec<u8>> {
        match (name, self.greeted) {
            (b"AUTH", 0) if !context.auth.is_empty() => {
                if args[1] != context.auth.as_bytes() {
                    return Err("a server was given the wrong password".into());
                }
                self.greeted = 1;
                Ok(self.greeting(context))
            }
            (b"HELLO", greeted) if (greeted == 0) == context.auth.is_empty() && greeted < 2 => {
                self.resp3 = args.get(1).is_some_and(|version| version == b"3");
                Ok(match context.server.refuses {
                    true => self.greeting(context),
                    false => b"%1\r\n$5\r\nproto\r\n:3\r\n".to_vec(),
                })
            }
            (b"CLIENT", greeted) if (greeted == 0) == context.auth.is_empty() && greeted < 2 => {
                let expected = format!("codis-proxy:{}:", context.token);
                if !args[2].starts_with(expected.as_bytes()) {
                    return Err(format!("a connection named itself {}", args[2].escape_ascii()));
                }
                self.greeted = 2;
                Ok(self.greeting(context))
            }
            (b"GET", 2) if args[1] == b"__codis_fence__" && args.len() == 2 => {
                self.greeted = 3;
                Ok(match context.fence {
                    _ if context.server.refuses => self.greeting(context),
                    0 => self.nil(),
                    fence => bulk(fence.to_string().as_bytes()),
                })
            }
            (b"CLIENT", 3..) if args[1].eq_ignore_ascii_case(b"ID") => {
                self.is_lent = true;
                Ok(format!(":{}\r\n", self.id + 1).into_bytes())
            }
            (b"CLIENT", 3..) => {
                let id = String::from_utf8_lossy(&args[2]).parse::<usize>().unwrap_or(0);
                let ended = id > 0 && context.waits.unblock(self.server, id - 1);
                Ok(format!(":{}\r\n", u8::from(ended)).into_bytes())
            }
            (b"MULTI", 3..) => {
                self.greeted = 4;
                self.queued = Some(Vec::new());
                Ok(b"+OK\r\n".to_vec())
            }
            (b"UNWATCH", 3..) => {
                self.watched.clear();
                Ok(b"+OK\r\n".to_vec())
            }
            // Later only on what is lent from one session to the next.
            (b"SELECT", 3..) if self.greeted == 3 || self.is_lent => {
                let number = String::from_utf8_lossy(&args[1]).parse();
                self.database = number.map_err(|_| "SELECT of no number".to_string())?;
                if context.bug == Bug::WrongDatabase {
                    self.database = 0;
                }
                Ok(b"+OK\r\n".to_vec())
            }
            (b"COMMAND", 3..) => Ok(match &args[2][..] {
                b"sim.get" => {
                    b"*1\r\n*6\r\n$7\r\nsim.get\r\n:2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n"
                        .to_vec()
                }
                _ => b"*1\r\n*-1\r\n".to_vec(),
            }),
            (b"PING", 3..) => Ok(b"+PONG\r\n".to_vec()),
            (_, 3..) => {
                self.greeted = 4;
                self.run_asked(name, args, context)
            }
            _ => Err(format!("{} came before the greeting", name.escape_ascii())),
        }
    }

    pub(crate) fn id(&self) -> usize {
        self.id
    }

    fn greeting(&mut self, context: &Context<'_>) -> Vec<u8> {
        if context.server.refuses {
            b"-LOADING Redis is loading the dataset in memory\r\n".to_vec()
        } else {
            b"+OK\r\n".to_vec()
        }
    }

    pub(crate) fn nil(&self) -> Vec<u8> {
        if self.resp3 { b"_\r\n".to_vec() } else { b"$-1\r\n".to_vec() }
    }

    /// The request that this is, checked in every respect.
    pub(crate) fn identify(
        &self,
        args: &[Vec<u8>],
        context: &Context<'_>,
    ) -> Checked<(usize, usize, Vec<usize>)> {
        let runner = Runner {
            address: &context.server.address,
            database: self.database,
            epoch: context.epoch,
            oldest: context.oldest,
            node: self.node,
            primary_only: context.primary_only,
            resp3: self.resp3,
            in_transaction: self.queued.is_some(),
        };
        context.ledger.identify(args, &runner)
    }

    pub(crate) fn run_asked(
        &mut self,
        name: &[u8],
        args: &[Vec<u8>],
        context: &mut Context<'_>,
    ) -> Checked<Vec<u8>> {
        let (client, number, places) = self.identify(args, context)?;
        if name == b"WATCH" {
            return self.watch(args, client, number, context);
        }
        let write = context.ledger.asked[client][number].write;
        for place in places.iter().filter(|_| write) {
            let asked = &context.ledger.asked[client][number];
            let slot = (self.database, read_key(&asked.args[asked.keys[*place]])?.0.to_string());
            *context.store.versions.entry(slot).or_default() += 1;
        }
        let split = matches!(name, b"MGET" | b"MSET" | b"DEL" | b"EXISTS" | b"UNLINK" | b"TOUCH");
        if context.bug == Bug::WriteNotRun && name == b"SET" && context.rng.u8(..4) == 0 {
            return Ok(b"+OK\r\n".to_vec());
        }
        if context.server.full && write {
            let error = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n".to_vec();
            for place in places {
                context.ledger.ran(client, number, place, error.clone());
            }
            return Ok(error);
        }
        if !split {
            let reply = self.run_one(name, args, client, number, context)?;
            context.ledger.ran(client, number, 0, reply.clone());
            return Ok(reply);
        }
        let stride = if name == b"MSET" { 2 } else { 1 };
        let mut whole = Vec::new();
        let mut sum = 0;
        let shares = args[1..].chunks(stride);
        let count = shares.len();
        for (share, place) in shares.zip(places) {
            let slot = (self.database, read_key(&share[0])?.0.to_string());
            let reply = match name {
                b"MGET" => context.store.values.get(&slot).map_or(self.nil(), |value| bulk(value)),
                b"MSET" => {
                    context.store.values.insert(slot, share[1].clone());
                    b"+OK\r\n".to_vec()
                }
                b"DEL" | b"UNLINK" => {
                    format!(":{}\r\n", u8::from(context.store.values.remove(&slot).is_some()))
                        .into_bytes()
                }
                _ => format!(":{}\r\n", u8::from(context.store.values.contains_key(&slot)))
                    .into_bytes(),
            };
            sum += usize::from(reply == b":1\r\n");
            whole.extend_from_slice(&reply);
            context.ledger.ran(client, number, place, reply);
        }
        Ok(match name {
            b"MGET" => [format!("*{count}\r\n").into_bytes(), whole].concat(),
            b"MSET" => b"+OK\r\n".to_vec(),
            _ => format!(":{sum}\r\n").into_bytes(),
        })
    }

    fn run_one(
        &mut self,
        name: &[u8],
        args: &[Vec<u8>],
        client: usize,
        number: usize,
        context: &mut Context<'_>,
    ) -> Checked<Vec<u8>> {
        let key_at = if name == b"EVAL" { 3 } else { 1 };
        let slot = (self.database, read_key(&args[key_at])?.0.to_string());
        let integer = |value: usize| format!(":{value}\r\n").into_bytes();
        let count = |arg: &[u8]| String::from_utf8_lossy(arg).parse::<usize>().unwrap_or(0);
        Ok(match name {
            b"GET" | b"SIM.GET" => {
                context.store.values.get(&slot).map_or(self.nil(), |value| bulk(value))
            }
            b"SET" => {
                context.store.values.insert(slot, args[2].clone());
                b"+OK\r\n".to_vec()
            }
            b"APPEND" => {
                let value = context.store.values.entry(slot).or_default();
                if value.len() < 500_000 {
                    value.extend_from_slice(&args[2]);
                }
                integer(value.len())
            }
            b"INCR" => {
                let value = context.store.values.entry(slot).or_insert_with(|| b"0".to_vec());
                match String::from_utf8_lossy(value).parse::<usize>() {
                    Ok(old) => {
                        *value = (old + 1).to_string().into_bytes();
                        integer(old + 1)
                    }
                    Err(_) => b"-ERR value is not an integer or out of range\r\n".to_vec(),
                }
            }
            b"GETRANGE" => bulk(&filler(client, number, count(&args[3]))),
            b"LRANGE" => {
                let len = count(&args[3]);
                let mut out = format!("*{len}\r\n").into_bytes();
                for i in 0..len {
                    match i % 4 {
                        0 => out
                            .extend_from_slice(&bulk(format!("{client}.{number}.{i}").as_bytes())),
                        1 => out.extend_from_slice(
                            format!("*2\r\n:{i}\r\n*1\r\n+{client}.{number}\r\n").as_bytes(),
                        ),
                        2 => out.extend_from_slice(&self.nil()),
                        _ => out.extend_from_slice(b"*0\r\n"),
                    }
                }
                out
            }
            b"RPUSH" => {
                let list = context.store.lists.entry(slot).or_default();
                list.push_back(args[2].clone());
                integer(list.len())
            }
            b"RENAME" => format!("+renamed {client}.{number}\r\n").into_bytes(),
            b"EVAL" => format!(":{}\r\n", client * 1000 + number).into_bytes(),
            _ => return Err(format!("a server was sent {}", name.escape_ascii())),
        })
    }
}
