//! A connection to the server: each request is refused, handed on to the Redis behind, or made of what that can do.

use super::commands::{self, Command};
use super::{Shared, VERSION, payload};
use crate::{Client, Value, encode};
use std::io::{self, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

/// Makes connections, in the order in which they come.
pub(super) fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().filter_map(Result::ok) {
        if shared.closed.load(SeqCst) {
            return;
        }
        let Ok(mut session) = Session::begin(stream, shared) else { continue };
        thread::spawn(move || {
            // The end of either connection is that of the other.
            let _ = session.serve();
            session.end();
        });
    }
}

struct Session {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
    inside: Client,
    shared: Arc<Shared>,
    /// Its number there.
    id: i64,
    authenticated: bool,
    database: u32,
    in_transaction: bool,
    over: bool,
}

/// The words of an error.
fn error(words: &str) -> Value {
    Value::Error(words.as_bytes().to_vec())
}

fn not_as_expected() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not what a client sends")
}

type Request = Vec<Vec<u8>>;

const SYNTAX: Option<&str> = Some("ERR syntax error");

impl Session {
    fn begin(stream: TcpStream, shared: &Arc<Shared>) -> io::Result<Self> {
        let mut inside = Client::try_connect(&shared.inside)?;
        inside.try_send(encode(&["CLIENT", "ID"]))?;
        let Value::Integer(id) = inside.try_read()? else { return Err(not_as_expected()) };
        shared.state().last.insert(id, "NULL".to_owned());
        stream.set_nodelay(true)?;
        Ok(Self {
            reader: BufReader::new(stream.try_clone()?),
            writer: stream,
            inside,
            shared: Arc::clone(shared),
            id,
            authenticated: shared.password.is_empty(),
            database: 0,
            in_transaction: false,
            over: false,
        })
    }

    fn end(&self) {
        self.shared.state().last.remove(&self.id);
        // An error means that it is closed already.
        let _ = self.writer.shutdown(Shutdown::Both);
    }

    fn serve(&mut self) -> io::Result<()> {
        while !self.over {
            let Value::Array(words) = Value::read(&mut self.reader)? else {
                return Err(not_as_expected());
            };
            let word = |word: Value| match word {
                Value::Bulk(bytes) => Ok(bytes),
                _ => Err(not_as_expected()),
            };
            let request: Request = words.into_iter().map(word).collect::<io::Result<_>>()?;
            let reply = self.answer(request)?;
            if !self.over {
                self.writer.write_all(&bytes_of(&reply))?;
            }
        }
        Ok(())
    }

    fn answer(&mut self, request: Request) -> io::Result<Value> {
        let Some(first) = request.first() else { return Err(not_as_expected()) };
        let name = String::from_utf8_lossy(first).to_ascii_lowercase();
        self.shared.state().last.insert(self.id, name.clone());
        let Some(command) = commands::find(&name) else {
            return self.refuse(&format!("ERR unknown command '{name}'"));
        };
        if !command.takes(request.len()) {
            return self.refuse(&format!("ERR wrong number of arguments for '{name}' command"));
        }
        if name == "auth" {
            return Ok(self.authenticate(&request[1]));
        }
        if !self.authenticated {
            return Ok(error("NOAUTH Authentication required."));
        }
        match refusal_of_arguments(&name, &request) {
            Some(words) => self.refuse(words),
            None => self.run(&name, request),
        }
    }

    fn authenticate(&mut self, password: &[u8]) -> Value {
        if self.shared.password.is_empty() {
            return error("ERR Client sent AUTH, but no password is set");
        }
        self.authenticated = password == self.shared.password.as_bytes();
        if self.authenticated { Value::ok() } else { error("ERR invalid password") }
    }

    /// Answers an error, which also ends a transaction that is being queued.
    fn refuse(&mut self, words: &str) -> io::Result<Value> {
        if self.in_transaction {
            self.ask(&[b"CODIS-UNKNOWN".to_vec()])?;
        }
        Ok(error(words))
    }

    fn ask<A: AsRef<[u8]>>(&mut self, request: &[A]) -> io::Result<Value> {
        self.inside.try_send(encode(request))?;
        self.inside.try_read()
    }

    fn run(&mut self, name: &str, request: Request) -> io::Result<Value> {
        match name {
            "command" => Ok(about_commands(&request)),
            "info" => Ok(map_text(self.ask(&request)?, |text| self.shared.info(text))),
            "client" if request[1].eq_ignore_ascii_case(b"list") => {
                Ok(map_text(self.ask(&request)?, |text| self.shared.client_list(text)))
            }
            "dump" => Ok(match self.ask(&request)? {
                Value::Bulk(dump) => Value::Bulk(payload::as_of_then(&dump)),
                other => other,
            }),
            "slotsrestore" => self.take_all(&request),
            "eval" => self.eval(&request[1].clone(), &request[2..]),
            "evalsha" => {
                let text = self.shared.state().scripts.get(&request[1]).cloned();
                match text {
                    Some(text) => self.eval(&text, &request[2..]),
                    None => Ok(error("NOSCRIPT No matching script. Please use EVAL.")),
                }
            }
            "script" if request[1].eq_ignore_ascii_case(b"load") => self.learn(&request[2]),
            "migrate" | "slotsmgrtone" | "slotsmgrttagone" => {
                let text = "redis.replicate_commands() return redis.pcall(unpack(ARGV))";
                let args = [&[b"0".to_vec()][..], &request].concat();
                self.eval(text.as_bytes(), &args)
            }
            "psync" => self.feed_replica(),
            "sync" | "subscribe" | "psubscribe" | "monitor" => self.pass_on(&request),
            _ => self.hand_on(name, &request),
        }
    }

    fn hand_on(&mut self, name: &str, request: &Request) -> io::Result<Value> {
        let reply = self.ask(request)?;
        let well = reply.error().is_none();
        match name {
            "select" if well && !self.in_transaction => {
                let number = std::str::from_utf8(&request[1]).ok().and_then(|n| n.parse().ok());
                self.database = number.unwrap_or(0);
            }
            "multi" if well => self.in_transaction = true,
            "exec" | "discard" => self.in_transaction = false,
            _ => {}
        }
        Ok(reply)
    }

    /// SLOTSRESTORE: all of its keys or none, and over whatever there is.
    fn take_all(&mut self, request: &Request) -> io::Result<Value> {
        if request.len() % 3 != 1 {
            return Ok(error("ERR wrong number of arguments for 'slotsrestore' command"));
        }
        if !request[1..].chunks(3).all(|entry| payload::is_readable(&entry[2])) {
            return Ok(error("ERR dump payload version or checksum are wrong"));
        }
        for entry in request[1..].chunks(3) {
            let restore = [&[b"RESTORE".to_vec()][..], entry, &[b"REPLACE".to_vec()]].concat();
            let reply = self.ask(&restore)?;
            if reply.error().is_some() {
                return Ok(reply);
            }
        }
        Ok(Value::ok())
    }

    /// Remembers a script; answers its hash.
    fn learn(&mut self, text: &[u8]) -> io::Result<Value> {
        let hash = [&b"EVAL"[..], b"return redis.sha1hex(ARGV[1])", b"0", text];
        let Value::Bulk(hash) = self.ask(&hash)? else { return Err(not_as_expected()) };
        self.shared.state().scripts.insert(hash.clone(), text.to_vec());
        Ok(Value::Bulk(hash))
    }

    /// Runs a script as Redis 3.2 does.
    fn eval(&mut self, text: &[u8], args: &[Vec<u8>]) -> io::Result<Value> {
        if !self.in_transaction {
            self.learn(text)?;
        }
        let prelude = commands::prelude(self.database, self.shared.way_out);
        let text = [prelude.as_bytes(), text].concat();
        let eval = [&[b"EVAL".to_vec(), text][..], args].concat();
        self.ask(&eval)
    }

    /// PSYNC: a replica gets everything, and this server's run id to know it by.
    fn feed_replica(&mut self) -> io::Result<Value> {
        let begun = self.ask(&["PSYNC", "?", "-1"])?;
        let Value::Simple(words) = &begun else { return Ok(begun) };
        let words = String::from_utf8_lossy(words).into_owned();
        let offset = words.rsplit(' ').next().unwrap_or_default();
        let run_id = self.shared.state().run_id.clone();
        let begun = Value::Simple(format!("FULLRESYNC {run_id} {offset}").into_bytes());
        self.writer.write_all(&bytes_of(&begun))?;
        self.go_between()
    }

    /// Passes a request on, and then all that comes.
    fn pass_on(&mut self, request: &Request) -> io::Result<Value> {
        self.inside.try_send(encode(request))?;
        self.go_between()
    }

    /// From here on what comes on either side goes to the other.
    fn go_between(&mut self) -> io::Result<Value> {
        self.over = true;
        let mut up = self.inside.writer();
        let mut from_client = self.reader.get_ref().try_clone()?;
        let upwards = thread::spawn(move || {
            // The end of either side is that of both.
            let _ = io::copy(&mut from_client, &mut up);
        });
        let mut down = self.writer.try_clone()?;
        let copied = self.inside.copy_to(&mut down);
        let _ = self.writer.shutdown(Shutdown::Both);
        let _ = upwards.join();
        copied.map(|_| Value::Null)
    }
}

/// Why Redis 3.2 does not take these arguments.
fn refusal_of_arguments(name: &str, request: &Request) -> Option<&'static str> {
    let known = |options: &[Vec<u8>], names: &[&str], with_value: &[&str]| {
        let mut options = options.iter().map(|option| String::from_utf8_lossy(option));
        while let Some(option) = options.next() {
            let option = option.to_ascii_uppercase();
            if with_value.contains(&option.as_str()) {
                options.next();
            } else if !names.contains(&option.as_str()) {
                return false;
            }
        }
        true
    };
    match name {
        "client" => {
            let subs = ["LIST", "KILL", "GETNAME", "SETNAME", "PAUSE", "REPLY"];
            let is_known = known(&request[1..2], &subs, &[]);
            let words =
                "ERR Syntax error, try CLIENT (LIST | KILL | GETNAME | SETNAME | PAUSE | REPLY)";
            (!is_known).then_some(words)
        }
        "scan" if !known(&request[2..], &[], &["MATCH", "COUNT"]) => SYNTAX,
        "set" if !known(&request[3..], &["NX", "XX"], &["EX", "PX"]) => SYNTAX,
        "restore" if !known(&request[4..], &["REPLACE"], &[]) => SYNTAX,
        "restore" if !payload::is_readable(&request[3]) => {
            Some("ERR DUMP payload version or checksum are wrong")
        }
        _ => None,
    }
}

fn about_commands(request: &Request) -> Value {
    let about = |command: Command| {
        let (name, arity) = (Value::bulk(command.name), Value::Integer(command.arity));
        let keys = [1, 1, 1].map(Value::Integer);
        Value::Array([&[name, arity, Value::Array(vec![])][..], &keys].concat())
    };
    let asked = request.get(2..).unwrap_or_default();
    if asked.is_empty() {
        return Value::Array(commands::all().map(about).collect());
    }
    let one = |name: &Vec<u8>| {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        commands::find(&name).map_or(Value::NullArray, about)
    };
    Value::Array(asked.iter().map(one).collect())
}

fn map_text(reply: Value, change: impl FnOnce(&str) -> String) -> Value {
    match reply {
        Value::Bulk(text) => Value::bulk(change(&String::from_utf8_lossy(&text))),
        other => other,
    }
}

impl Shared {
    /// What INFO says of it.
    fn info(&self, text: &str) -> String {
        let mut info = String::new();
        for line in text.lines() {
            let line = match line.split_once(':').map(|(name, _)| name) {
                Some("redis_version") => format!("redis_version:{VERSION}"),
                Some("tcp_port") => format!("tcp_port:{}", self.port),
                Some("master_replid" | "master_replid2" | "second_repl_offset") => continue,
                _ => line.to_owned(),
            };
            info += &line;
            info += "\r\n";
        }
        info
    }

    /// Each connection with the command that it sent to this server.
    fn client_list(&self, text: &str) -> String {
        let state = self.state();
        let last = |line: &str| {
            let id = line.split(' ').find_map(|field| field.strip_prefix("id="))?;
            state.last.get(&id.parse().ok()?)
        };
        let changed = |line: &str| {
            let last = last(line);
            let field = |field: &str| match (field.strip_prefix("cmd="), last) {
                (Some(_), Some(last)) => format!("cmd={last}"),
                _ => field.to_owned(),
            };
            let fields: Vec<String> = line.split(' ').map(field).collect();
            fields.join(" ") + "\n"
        };
        text.lines().map(changed).collect()
    }
}

/// A reply as it is sent.
fn bytes_of(reply: &Value) -> Vec<u8> {
    let line = |kind: &str, text: &[u8]| [kind.as_bytes(), text, b"\r\n"].concat();
    match reply {
        Value::Simple(text) => line("+", text),
        Value::Error(text) => line("-", text),
        Value::Integer(number) => line(":", number.to_string().as_bytes()),
        Value::Bulk(bytes) => {
            let mut all = line("$", bytes.len().to_string().as_bytes());
            all.extend(line("", bytes));
            all
        }
        Value::NullArray => line("*", b"-1"),
        Value::Array(items) => {
            let mut all = line("*", items.len().to_string().as_bytes());
            all.extend(items.iter().flat_map(bytes_of));
            all
        }
        // What is left has no place in the protocol of then.
        _ => line("$", b"-1"),
    }
}
