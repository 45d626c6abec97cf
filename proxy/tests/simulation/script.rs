//! What a client sends, made request by request, and what it must be answered.

use crate::ledger::{Asked, Join, key};
use crate::plan::Plan;

/// What must come back, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expect {
    /// The answer to this request of the ledger.
    Asked(usize),
    /// Exactly this.
    Exactly(Vec<u8>),
    /// Something that starts so.
    Starts(&'static str),
}

/// How a client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It stays until all is quiet, then says that it has no more to send.
    Stay,
    /// It has no more to send and reads what it is owed.
    Eof,
    /// The same, in the middle of a request.
    EofMidway,
    Quit,
    /// It breaks the protocol.
    Breach,
    /// It turns out to be a web browser.
    Http,
    /// Its host resets the connection.
    Reset,
}

const ENDINGS: [Ending; 8] = [
    Ending::Stay,
    Ending::Stay,
    Ending::Eof,
    Ending::EofMidway,
    Ending::Quit,
    Ending::Breach,
    Ending::Http,
    Ending::Reset,
];

/// One request as bytes, with what it expects.
pub(crate) struct Made {
    pub(crate) bytes: Vec<u8>,
    pub(crate) expect: Option<Expect>,
}

/// The script of one client.
pub(crate) struct Script {
    client: usize,
    rng: fastrand::Rng,
    names: Vec<String>,
    calm: bool,
    large: bool,
    databases: u16,
    password: bool,
    pub(crate) ending: Ending,
    pub(crate) left: usize,
    authenticated: bool,
    database: u16,
    off: bool,
    skip: bool,
    name: String,
    /// Nothing that follows may run.
    over: bool,
}

fn bulk(bytes: &[u8]) -> Vec<u8> {
    let mut out = format!("${}\r\n", bytes.len()).into_bytes();
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
    out
}

/// Bytes that look like RESP and name their request.
pub(crate) fn filler(client: usize, number: usize, len: usize) -> Vec<u8> {
    let pattern = format!("{client}.{number}\r\n$5\r\n*2\r\n-ERR\r\n");
    pattern.bytes().cycle().take(len).collect()
}

impl Script {
    pub(crate) fn new(client: usize, plan: &Plan) -> Self {
        let mut rng =
            fastrand::Rng::with_seed(plan.seed.wrapping_mul(31).wrapping_add(client as u64));
        let ending = if plan.calm {
            [Ending::Stay, Ending::Eof, Ending::EofMidway, Ending::Quit, Ending::Breach]
                [rng.usize(..5)]
        } else {
            ENDINGS[rng.usize(..ENDINGS.len())]
        };
        let names = (0..plan.names)
            .map(|i| if plan.calm { format!("c{client}k{i}") } else { format!("k{i}") });
        Self {
            client,
            names: names.collect(),
            calm: plan.calm,
            large: plan.large,
            databases: plan.databases,
            password: plan.password,
            ending,
            left: rng.usize(0..=plan.requests),
            authenticated: !plan.password,
            database: 0,
            off: false,
            skip: false,
            name: String::new(),
            over: false,
            rng,
        }
    }

    /// Whether the request being made is answered at all.
    fn visible(&mut self) -> bool {
        if self.off || self.skip {
            self.skip = false;
            return false;
        }
        true
    }

    fn made(&mut self, args: &[&[u8]], expect: Expect) -> Made {
        let visible = self.visible();
        Made { bytes: self.encode(args), expect: (visible && !self.over).then_some(expect) }
    }

    fn exactly(&mut self, args: &[&[u8]], reply: &[u8]) -> Made {
        self.made(args, Expect::Exactly(reply.to_vec()))
    }

    fn encode(&mut self, args: &[&[u8]]) -> Vec<u8> {
        let plain = |arg: &&[u8]| {
            !arg.is_empty()
                && arg.len() < 100
                && arg.iter().all(|byte| byte.is_ascii_graphic() && !b"\"'\\".contains(byte))
        };
        if self.rng.u8(..12) == 0 && args.iter().all(plain) && args[0][0] != b'*' {
            let quote: &[u8] = [&b""[..], b"\"", b"'"][self.rng.usize(..3)];
            let words: Vec<Vec<u8>> = args.iter().map(|arg| [quote, arg, quote].concat()).collect();
            return [words.join(&b"  "[..]), [&b"\r\n"[..], b"\n"][self.rng.usize(..2)].to_vec()]
                .concat();
        }
        let mut out = Vec::new();
        if self.rng.u8(..40) == 0 {
            out.extend_from_slice([&b"*0\r\n"[..], b"\r\n", b"*-1\r\n"][self.rng.usize(..3)]);
        }
        out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
        args.iter().for_each(|arg| out.extend_from_slice(&bulk(arg)));
        out
    }

    /// The next request.
    pub(crate) fn next(&mut self, asked: &mut Vec<Asked>, node: usize, epoch: u64) -> Made {
        self.left = self.left.saturating_sub(1);
        if !self.authenticated {
            return self.unauthenticated();
        }
        match self.rng.u8(..100) {
            0..75 => self.keyed(asked, node, epoch),
            75..79 => {
                let database = self.rng.u16(..self.databases);
                self.database = database;
                self.exactly(&[b"SELECT", database.to_string().as_bytes()], b"+OK\r\n")
            }
            79..82 => self.client_reply(),
            82 => self.reset(),
            _ => self.local(),
        }
    }

    fn unauthenticated(&mut self) -> Made {
        match self.rng.u8(..4) {
            0 => self.made(&[b"GET", b"x"], Expect::Starts("-NOAUTH ")),
            1 => self.made(&[b"AUTH", b"wrong"], Expect::Starts("-WRONGPASS ")),
            _ => {
                self.authenticated = true;
                match self.rng.u8(..3) {
                    0 => self.made(
                        &[b"HELLO", b"2", b"AUTH", b"default", b"sesame"],
                        Expect::Starts("*14\r\n"),
                    ),
                    1 => self.exactly(&[b"auth", b"default", b"sesame"], b"+OK\r\n"),
                    _ => self.exactly(&[b"AUTH", b"sesame"], b"+OK\r\n"),
                }
            }
        }
    }

    fn client_reply(&mut self) -> Made {
        match self.rng.u8(..6) {
            0 => {
                self.off = true;
                self.made(&[b"CLIENT", b"REPLY", b"OFF"], Expect::Starts(""))
            }
            1..4 => {
                // The request itself is not answered either.
                self.visible();
                let made =
                    Made { bytes: self.encode(&[b"CLIENT", b"reply", b"skip"]), expect: None };
                self.skip = !self.off;
                made
            }
            _ => {
                self.off = false;
                self.skip = false;
                self.exactly(&[b"client", b"REPLY", b"ON"], b"+OK\r\n")
            }
        }
    }

    fn reset(&mut self) -> Made {
        self.off = false;
        self.skip = false;
        self.database = 0;
        self.name.clear();
        self.authenticated = !self.password;
        self.exactly(&[b"RESET"], b"+RESET\r\n")
    }

    fn local(&mut self) -> Made {
        let tag = format!("{}-{}", self.client, self.left);
        match self.rng.u8(..13) {
            0 => self.exactly(&[b"PING"], b"+PONG\r\n"),
            1 => self.exactly(&[b"ping", tag.as_bytes()], &bulk(tag.as_bytes())),
            2 => self.exactly(&[b"ECHO", tag.as_bytes()], &bulk(tag.as_bytes())),
            3 => {
                self.name.clone_from(&tag);
                self.exactly(&[b"CLIENT", b"SETNAME", tag.as_bytes()], b"+OK\r\n")
            }
            4 => {
                let name = if self.name.is_empty() {
                    b"$-1\r\n".to_vec()
                } else {
                    bulk(self.name.as_bytes())
                };
                self.exactly(&[b"CLIENT", b"GETNAME"], &name)
            }
            5 => {
                self.exactly(&[b"CLIENT", b"ID"], format!(":{}\r\n", 1000 + self.client).as_bytes())
            }
            6 => self.made(&[b"NOSUCH", tag.as_bytes()], Expect::Starts("-ERR unknown command")),
            7 => self.made(&[b"GET"], Expect::Starts("-ERR wrong number of arguments for 'get'")),
            8 => self.made(&[b"SWAPDB", b"0", b"1"], Expect::Starts("-")),
            9 => self.made(&[b"SELECT", b"16"], Expect::Starts("-ERR DB index is out of range")),
            10 if !self.calm => self.made(&[b"TIME"], Expect::Starts("*2\r\n$")),
            11 => self.made(
                &[b"MSET", b"a", b"b", b"c"],
                Expect::Starts("-ERR wrong number of arguments for 'mset'"),
            ),
            // The control thread echoes.
            _ => self.exactly(&[b"INFO", tag.as_bytes()], &bulk(tag.as_bytes())),
        }
    }

    fn value(&mut self, number: usize) -> Vec<u8> {
        let len = match self.rng.u8(..20) {
            0..14 => self.rng.usize(..40),
            14..19 => self.rng.usize(..3_000),
            _ if self.large => self.rng.usize(60_000..400_000),
            _ => self.rng.usize(..8_000),
        };
        filler(self.client, number, len)
    }

    fn many(&mut self, number: usize, count: usize) -> Vec<Vec<u8>> {
        let mut one = |place| {
            let name = self.rng.usize(..self.names.len());
            key(&self.names[name], self.client, number, place)
        };
        (0..count).map(&mut one).collect()
    }

    /// A request that goes to a server.
    fn keyed(&mut self, asked: &mut Vec<Asked>, node: usize, epoch: u64) -> Made {
        let number = asked.len();
        let name = self.rng.usize(..self.names.len());
        let one = key(&self.names[name], self.client, number, 0);
        let count =
            if self.rng.u8(..4) == 0 { self.rng.usize(1..=20) } else { self.rng.usize(1..=4) };
        let mut join = Join::Whole;
        let mut keys = vec![1];
        let mut write = false;
        let mut args: Vec<Vec<u8>> = match self.rng.u8(..16) {
            // A command that only the servers know.
            0 if !self.calm && self.rng.bool() => vec![b"SIM.GET".to_vec(), one],
            0..3 => vec![b"GET".to_vec(), one],
            3..5 => {
                write = true;
                vec![b"set".to_vec(), one, self.value(number)]
            }
            5 => {
                write = true;
                vec![b"APPEND".to_vec(), one, self.value(number)]
            }
            6 => {
                write = true;
                vec![b"INCR".to_vec(), one]
            }
            7 => {
                let len = if self.large && self.rng.bool() {
                    self.rng.usize(..600_000)
                } else {
                    self.rng.usize(..5_000)
                };
                vec![b"GETRANGE".to_vec(), one, b"0".to_vec(), len.to_string().into_bytes()]
            }
            8 => vec![
                b"LRANGE".to_vec(),
                one,
                b"0".to_vec(),
                self.rng.usize(..60).to_string().into_bytes(),
            ],
            9 => {
                // Two keys of one slot.
                let other = key(&self.names[name], self.client, number, 1);
                write = true;
                vec![b"RENAME".to_vec(), one, other]
            }
            10 => {
                write = true;
                keys = vec![3];
                vec![b"EVAL".to_vec(), b"return 1".to_vec(), b"1".to_vec(), one, b"x".to_vec()]
            }
            11..13 => {
                join = Join::Values;
                [vec![b"MGET".to_vec()], self.many(number, count)].concat()
            }
            13 => {
                join = Join::Ok;
                write = true;
                let keys = self.many(number, count);
                let mut args = vec![b"MSET".to_vec()];
                for key in keys {
                    args.push(key);
                    // Of many values none is large, as they stand in one request.
                    let value = self.value(number);
                    args.push(value[..value.len().min(1_000)].to_vec());
                }
                args
            }
            _ => {
                join = Join::Sum;
                let command = [&b"DEL"[..], b"EXISTS", b"unlink", b"TOUCH"][self.rng.usize(..4)];
                write = command == b"DEL" || command == b"unlink";
                [vec![command.to_vec()], self.many(number, count)].concat()
            }
        };
        if join != Join::Whole {
            let stride = if join == Join::Ok { 2 } else { 1 };
            keys = (1..args.len()).step_by(stride).collect();
        }
        if self.rng.u8(..8) == 0 {
            args[0] = args[0]
                .iter()
                .map(|byte| {
                    if byte.is_ascii_alphabetic() && self.rng.bool() { byte ^ 0x20 } else { *byte }
                })
                .collect();
        }
        let visible = self.visible();
        let slices: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        let bytes = self.encode(&slices);
        asked.push(Asked {
            args,
            join,
            runs: (0..if join == Join::Whole { 1 } else { keys.len() }).map(|_| None).collect(),
            keys,
            name,
            write,
            database: self.database,
            node,
            epoch,
            refused: self.over,
        });
        Made { bytes, expect: (visible && !self.over).then_some(Expect::Asked(number)) }
    }

    /// The last bytes of the script, if its ending has any. What follows them must not run.
    pub(crate) fn last(&mut self, asked: &mut Vec<Asked>, node: usize, epoch: u64) -> Vec<Made> {
        let mut last = Vec::new();
        match self.ending {
            Ending::Stay | Ending::Eof | Ending::Reset => return last,
            Ending::EofMidway if !self.authenticated => {
                last.push(Made { bytes: b"*2\r\n$4\r\nAU".to_vec(), expect: None });
                return last;
            }
            Ending::EofMidway => {
                let whole = self.keyed(asked, node, epoch).bytes;
                if let Some(asked) = asked.last_mut() {
                    asked.refused = true;
                }
                let cut = self.rng.usize(..whole.len());
                last.push(Made { bytes: whole[..cut].to_vec(), expect: None });
                return last;
            }
            Ending::Quit => last.push(self.exactly(&[b"QUIT"], b"+OK\r\n")),
            Ending::Breach => {
                let visible = self.visible();
                let bytes: &[u8] = [
                    &b"*abc\r\n"[..],
                    b"*2\r\n$3\r\nGET\r\n:1\r\n",
                    b"get \"k\r\n",
                    b"*1\r\n$-7\r\n",
                ][self.rng.usize(..4)];
                last.push(Made {
                    bytes: bytes.to_vec(),
                    expect: visible.then_some(Expect::Starts("-ERR Protocol error: ")),
                });
            }
            Ending::Http => {
                last.push(Made { bytes: b"POST / HTTP/1.1\r\n".to_vec(), expect: None })
            }
        }
        self.over = true;
        for _ in 0..self.rng.usize(..3) {
            last.push(self.keyed(asked, node, epoch));
        }
        last
    }
}
