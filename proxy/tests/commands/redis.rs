//! A `redis-server` of the test's own.

use crate::facts;
use crate::server::{Client, Value};
use codis_proxy::command::REDIS_VERSION;
use codis_proxy::resp::Protocol;
use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A running server; it ends with this value.
pub(crate) struct Redis {
    child: Child,
    /// A connection to it.
    pub(crate) client: Client<UnixStream>,
    /// Where its socket is.
    _folder: TempDir,
}

impl Redis {
    /// Starts a server on a unix socket: unlike a port, nobody else can take it.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let path = folder.path().join("redis.sock");
        let mut child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("these tests need redis-server on the PATH");
        loop {
            if let Ok(socket) = UnixStream::connect(&path) {
                return Self { child, client: Client::new(socket), _folder: folder };
            }
            let ended = child.try_wait().expect("the server is our child");
            assert!(ended.is_none(), "redis-server ended: {ended:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts a server, if it is of the version that the table was made from (7.0 of any patch
    /// level): others have other commands and other words.
    pub(crate) fn start_of_the_table_s_version() -> Option<Self> {
        let mut redis = Self::start();
        let version = facts::version(&mut redis.client).expect("INFO");
        let minor = |version: &str| version.rsplit_once('.').map(|(minor, _)| minor.to_owned());
        if minor(&version) == minor(REDIS_VERSION) {
            return Some(redis);
        }
        let notice =
            format!("not compared: the table is of redis {REDIS_VERSION}, not {version}\n");
        std::io::stderr().write_all(notice.as_bytes()).expect("stderr is open");
        None
    }

    /// Lets the server answer in this protocol from now on.
    pub(crate) fn speak(&mut self, protocol: Protocol) {
        self.ask(&["HELLO", &protocol.version().to_string()]);
    }

    /// The names of all its commands. The table has more: those of newer servers, and Codis's.
    pub(crate) fn commands(&mut self) -> BTreeSet<String> {
        let list = self.ask(&["COMMAND", "LIST"]);
        list.items().iter().map(|name| name.text().to_owned()).collect()
    }

    /// One request and its reply.
    pub(crate) fn ask<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Value {
        self.client.ask(args).expect("the server answers")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended by itself; either way there is nothing left to do about it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
