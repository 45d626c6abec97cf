//! What a client sends, made request by request, and what it must be answered.

mod begun;
mod keyed;

use crate::ledger::Asked;
use crate::plan::Plan;
use crate::transactions::Transaction;
use begun::Begun;

/// What must come back, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expect {
    /// The answer to this request of the ledger.
    Asked(usize),
    /// The answer to EXEC of this transaction of the ledger.
    Executed(usize),
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
    resp3: bool,
    begun: Begun,
    /// The one name that keys may have.
    only: Option<usize>,
    /// Nothing that follows may run.
    over: bool,
}

/// Where what a client asks for is noted.
pub(crate) struct Sheet<'a> {
    pub(crate) asked: &'a mut Vec<Asked>,
    pub(crate) transactions: &'a mut Vec<Transaction>,
    pub(crate) node: usize,
    /// That of its proxy.
    pub(crate) epoch: u64,
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
            resp3: false,
            begun: Begun::Nothing,
            only: None,
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
    pub(crate) fn next(&mut self, sheet: &mut Sheet<'_>) -> Made {
        self.left = self.left.saturating_sub(1);
        if !self.authenticated {
            return self.unauthenticated();
        }
        if self.has_begun() {
            return self.go_on(sheet);
        }
        match self.rng.u8(..100) {
            0..71 => self.keyed(sheet),
            71..75 if !self.off && !self.skip => self.begin(sheet),
            71..75 => self.keyed(sheet),
            75..79 => {
                let database = self.rng.u16(..self.databases);
                self.database = database;
                self.exactly(&[b"SELECT", database.to_string().as_bytes()], b"+OK\r\n")
            }
            79..82 => self.client_reply(),
            82 => self.reset(),
            83 | 84 => self.hello(),
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

    fn hello(&mut self) -> Made {
        self.resp3 = self.rng.u8(..3) != 0;
        match self.resp3 {
            true => self.made(&[b"HELLO", b"3"], Expect::Starts("%7\r\n")),
            false => self.made(&[b"hello", b"2"], Expect::Starts("*14\r\n")),
        }
    }

    fn reset(&mut self) -> Made {
        self.resp3 = false;
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
                let name = match self.name.is_empty() {
                    true if self.resp3 => b"_\r\n".to_vec(),
                    true => b"$-1\r\n".to_vec(),
                    false => bulk(self.name.as_bytes()),
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

    /// The last bytes of the script, if its ending has any. What follows them must not run.
    pub(crate) fn last(&mut self, sheet: &mut Sheet<'_>) -> Vec<Made> {
        let mut last = Vec::new();
        self.leave_begun(sheet);
        match self.ending {
            Ending::Stay | Ending::Eof | Ending::Reset => return last,
            Ending::EofMidway if !self.authenticated => {
                last.push(Made { bytes: b"*2\r\n$4\r\nAU".to_vec(), expect: None });
                return last;
            }
            Ending::EofMidway => {
                let whole = self.keyed(sheet).bytes;
                if let Some(asked) = sheet.asked.last_mut() {
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
            last.push(self.keyed(sheet));
        }
        last
    }
}
