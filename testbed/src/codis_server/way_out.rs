//! The connections by which keys leave. The Redis behind the server makes them, by its MIGRATE, and says by the password
//! where to and in which words; here they become those of then.

use super::{Shared, payload};
use crate::{Client, Value, encode};
use std::io::{self, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

pub(super) fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().filter_map(Result::ok) {
        if shared.closed.load(SeqCst) {
            return;
        }
        let Ok(kept) = stream.try_clone() else { continue };
        shared.state().ways.push(kept);
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let end = stream.try_clone();
            // A move that is cut short is what the source makes of the end of the connection.
            let _ = serve(stream, &shared);
            if let Ok(end) = end {
                let _ = end.shutdown(Shutdown::Both);
            }
        });
    }
}

/// A server that keys go to, and the name of the way there.
struct Way {
    name: Vec<u8>,
    target: Client,
    /// It refused the password, or the database: what comes behind is sent all the same.
    refused: Option<&'static str>,
}

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the way is cut")
}

fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut way: Option<Way> = None;
    loop {
        let Value::Array(words) = Value::read(&mut reader)? else { return Err(lost()) };
        let words: Vec<Vec<u8>> = words
            .into_iter()
            .filter_map(|word| match word {
                Value::Bulk(bytes) => Some(bytes),
                _ => None,
            })
            .collect();
        let reply = match words.first().map(|name| name.to_ascii_uppercase()).as_deref() {
            Some(b"AUTH") => {
                if way.as_ref().is_none_or(|way| way.name != words[1]) {
                    way = Some(Way::to(&words[1], shared)?);
                }
                Value::ok()
            }
            Some(_) => way.as_mut().ok_or_else(lost)?.pass(&words, shared)?,
            None => return Err(lost()),
        };
        let reply = match reply.error() {
            Some(words) => format!("-{words}\r\n"),
            None => "+OK\r\n".to_owned(),
        };
        writer.write_all(reply.as_bytes())?;
    }
}

impl Way {
    /// Connects to a server of the name `plain HOST:PORT` or `codis HOST:PORT`.
    fn to(name: &[u8], shared: &Shared) -> io::Result<Self> {
        let text = String::from_utf8_lossy(name).into_owned();
        let (_, address) = text.split_once(' ').ok_or_else(lost)?;
        let mut way =
            Self { name: name.to_vec(), target: Client::try_connect(address)?, refused: None };
        shared.state().ways.push(way.target.stream()?);
        if way.is_codis() && !shared.password.is_empty() {
            let answer = way.ask(&["AUTH", shared.password])?;
            way.refused = answer.error().map(|_| "ERR auth failed");
        }
        Ok(way)
    }

    fn is_codis(&self) -> bool {
        self.name.starts_with(b"codis")
    }

    fn ask<A: AsRef<[u8]>>(&mut self, request: &[A]) -> io::Result<Value> {
        self.target.try_send(encode(request))?;
        self.target.try_read()
    }

    /// Passes SELECT or RESTORE on.
    fn pass(&mut self, words: &[Vec<u8>], shared: &Shared) -> io::Result<Value> {
        let restores = words[0].eq_ignore_ascii_case(b"restore") && words.len() >= 4;
        let mut request = words.to_vec();
        if restores {
            request[3] = payload::as_of_then(&words[3]);
        }
        if restores && self.is_codis() {
            request.truncate(4);
            request[0] = b"SLOTSRESTORE".to_vec();
        }
        let answer = self.ask(&request)?;
        if !restores && self.is_codis() && answer.error().is_some() {
            self.refused = self.refused.or(Some("ERR select failed"));
        }
        if restores && shared.loses_answers.load(SeqCst) {
            return Err(lost());
        }
        match self.refused {
            Some(words) => Ok(Value::Error(words.as_bytes().to_vec())),
            None => Ok(answer),
        }
    }
}
