//! A client that speaks RESP byte by byte.

use crate::{PATIENCE, Value};
use std::fmt::Debug;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// One connection to a Redis server or to the proxy.
#[derive(Debug)]
pub struct Client {
    reader: BufReader<Socket>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Client {
    /// Connects.
    ///
    /// # Panics
    /// When nothing listens there.
    pub fn connect(address: impl ToSocketAddrs + Debug) -> Self {
        Self::try_connect(&address)
            .unwrap_or_else(|error| panic!("cannot connect to {address:?}: {error}"))
    }

    /// Connects.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn try_connect(address: impl ToSocketAddrs) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let client = Self { reader: BufReader::with_capacity(64 << 10, Socket::Tcp(stream)) };
        client.set_patience(PATIENCE);
        Ok(client)
    }

    /// Connects with a small reading buffer, for tests that open thousands.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn try_connect_small(address: impl ToSocketAddrs) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        let client = Self { reader: BufReader::with_capacity(128, Socket::Tcp(stream)) };
        client.set_patience(PATIENCE);
        Ok(client)
    }

    /// Connects to a unix socket.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn try_connect_unix(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        let client = Self { reader: BufReader::new(Socket::Unix(stream)) };
        client.set_patience(PATIENCE);
        Ok(client)
    }

    /// How long a read or a write may take before it fails.
    pub fn set_patience(&self, patience: Duration) {
        let (read, write) = match self.reader.get_ref() {
            Socket::Tcp(s) => {
                (s.set_read_timeout(Some(patience)), s.set_write_timeout(Some(patience)))
            }
            Socket::Unix(s) => {
                (s.set_read_timeout(Some(patience)), s.set_write_timeout(Some(patience)))
            }
        };
        read.and(write).expect("a timeout can be set on an open socket");
    }

    /// `ip:port` of this end, as CLIENT LIST shows it.
    #[must_use]
    pub fn local_address(&self) -> String {
        match self.reader.get_ref() {
            Socket::Tcp(stream) => stream.local_addr().expect("it is connected").to_string(),
            Socket::Unix(_) => String::new(),
        }
    }

    /// A second handle on the same connection, for writing only.
    #[must_use]
    pub fn writer(&self) -> impl Write + Send + 'static {
        match self.reader.get_ref() {
            Socket::Tcp(stream) => {
                Socket::Tcp(stream.try_clone().expect("a socket can be duplicated"))
            }
            Socket::Unix(stream) => {
                Socket::Unix(stream.try_clone().expect("a socket can be duplicated"))
            }
        }
    }

    /// Another handle on its connection, which is one of TCP.
    pub(crate) fn stream(&self) -> io::Result<TcpStream> {
        match self.reader.get_ref() {
            Socket::Tcp(stream) => stream.try_clone(),
            Socket::Unix(_) => Err(ErrorKind::Unsupported.into()),
        }
    }

    /// Writes all that comes to `sink`, until the peer closes.
    pub(crate) fn copy_to(&mut self, sink: &mut impl Write) -> io::Result<u64> {
        io::copy(&mut self.reader, sink)
    }

    /// Sends any bytes.
    ///
    /// # Panics
    /// When the connection is lost.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the peer takes what is sent");
    }

    /// Sends any bytes.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes.as_ref())
    }

    /// Says that nothing more will be sent.
    pub fn finish_sending(&mut self) {
        // An error means that the peer has closed already.
        let _ = match self.reader.get_ref() {
            Socket::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Socket::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    /// Reads exactly one reply.
    ///
    /// # Panics
    /// When none comes in time or the connection is lost.
    pub fn read(&mut self) -> Value {
        self.try_read().unwrap_or_else(|error| panic!("no reply: {error}"))
    }

    /// Reads exactly one reply.
    ///
    /// # Errors
    /// Those of the operating system, and `UnexpectedEof` when the peer has closed.
    pub fn try_read(&mut self) -> io::Result<Value> {
        Value::read(&mut self.reader)
    }

    /// Whether a reply (or the end of the connection) comes within `wait`. Reads nothing away.
    pub fn something_comes_within(&mut self, wait: Duration) -> bool {
        use std::io::BufRead;
        self.set_patience(wait);
        let came = self.reader.fill_buf().is_ok();
        self.set_patience(PATIENCE);
        came
    }

    /// Reads all bytes until the peer closes.
    ///
    /// # Panics
    /// When it does not close in time.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.reader.read_to_end(&mut bytes) {
            Ok(_) => {}
            // A peer that closes with unread bytes of ours in its socket resets the connection.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => {
                panic!("the connection was not closed: {error}; read {} bytes", bytes.len())
            }
        }
        bytes
    }

    /// Whether the peer closes without another byte.
    pub fn is_closed(&mut self) -> bool {
        self.read_to_end().is_empty()
    }

    /// Sends one command and reads its reply.
    ///
    /// # Panics
    /// When the connection is lost or no reply comes.
    pub fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Value {
        self.send(encode(args));
        self.read()
    }

    /// Sends one command, written as one would type it into redis-cli, and reads its reply.
    ///
    /// # Panics
    /// When the connection is lost or no reply comes.
    pub fn run(&mut self, line: &str) -> Value {
        self.send(encode(&split_words(line)));
        self.try_read().unwrap_or_else(|error| panic!("no reply to `{line}`: {error}"))
    }

    /// Sends all commands at once, then reads as many replies.
    ///
    /// # Panics
    /// When the connection is lost or a reply does not come.
    pub fn pipeline(&mut self, lines: &[&str]) -> Vec<Value> {
        let bytes: Vec<u8> = lines.iter().flat_map(|line| encode(&split_words(line))).collect();
        self.send(bytes);
        lines.iter().map(|_| self.read()).collect()
    }
}

/// One request: an array of bulk strings.
#[must_use]
pub fn encode<A: AsRef<[u8]>>(args: &[A]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        let arg = arg.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Words parted by blanks; a word in double quotes may hold blanks.
///
/// # Panics
/// When a quote is not closed.
#[must_use]
pub fn split_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                quoted.split_once('"').unwrap_or_else(|| panic!("an open quote in `{line}`"))
            }
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{encode, split_words};

    #[test]
    fn a_line_is_cut_into_words_and_quotes_keep_blanks() {
        assert_eq!(split_words(r#"SET k "a b"  "" c"#), ["SET", "k", "a b", "", "c"]);
    }

    #[test]
    fn a_request_is_an_array_of_bulk_strings() {
        assert_eq!(encode(&["GET", ""]), b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n");
    }
}
