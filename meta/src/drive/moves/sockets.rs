//! Servers over sockets, and the machine's clock.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, timeout};

use super::net::{Connection, Net, NetError, Request, Value};
use super::resp::{self, Reader};

/// How long a server may take to accept a connection.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// How much is read at a time.
const READ_BYTES: usize = 64 << 10;

/// See the module's head.
#[derive(Debug)]
pub struct Sockets {
    began: Instant,
}

impl Default for Sockets {
    fn default() -> Self {
        Self { began: Instant::now() }
    }
}

impl Net for Sockets {
    type Connection = Socket;

    async fn connect(&self, address: &str) -> Result<Socket, NetError> {
        let connecting = async {
            let stream: Box<dyn Stream> = if address.starts_with('/') {
                Box::new(UnixStream::connect(address).await?)
            } else {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            };
            Ok(stream)
        };
        let stream = in_time(CONNECT_MAX, connecting).await?;
        Ok(Socket { stream, input: Vec::new(), at: 0, reader: Reader::default() })
    }

    async fn sleep(&self, length: Duration) {
        sleep(length).await;
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection over a socket.
pub struct Socket {
    stream: Box<dyn Stream>,
    input: Vec<u8>,
    /// How much of `input` has been read as replies.
    at: usize,
    reader: Reader,
}

impl Socket {
    async fn reply(&mut self) -> io::Result<Value> {
        loop {
            let next = self.reader.next(&self.input, &mut self.at);
            if let Some(value) = next.map_err(io::Error::other)? {
                return Ok(value);
            }
            if self.at == self.input.len() {
                self.input.clear();
            } else {
                self.input.drain(..self.at);
            }
            self.at = 0;
            self.input.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "it closed the connection",
                ));
            }
        }
    }
}

impl Connection for Socket {
    async fn ask(
        &mut self,
        requests: Vec<Request>,
        patience: Duration,
    ) -> Result<Vec<Value>, NetError> {
        let mut out = Vec::new();
        requests.iter().for_each(|request| resp::encode(request, &mut out));
        let asking = async {
            self.stream.write_all(&out).await?;
            let mut replies = Vec::with_capacity(requests.len());
            for _ in &requests {
                replies.push(self.reply().await?);
            }
            Ok(replies)
        };
        in_time(patience, asking).await
    }

    async fn begin(&mut self, head: Request, length: u64) -> Result<(), NetError> {
        let mut out = Vec::new();
        resp::encode_head(&head, length, &mut out);
        in_time(CONNECT_MAX, self.stream.write_all(&out)).await
    }

    async fn push(&mut self, bytes: Vec<u8>, patience: Duration) -> Result<(), NetError> {
        in_time(patience, self.stream.write_all(&bytes)).await
    }

    async fn finish(&mut self, patience: Duration) -> Result<Value, NetError> {
        let asking = async {
            self.stream.write_all(b"\r\n").await?;
            self.reply().await
        };
        in_time(patience, asking).await
    }
}

async fn in_time<T>(
    patience: Duration,
    doing: impl Future<Output = io::Result<T>>,
) -> Result<T, NetError> {
    match timeout(patience, doing).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(NetError(error.to_string())),
        Err(_) => Err(NetError(format!("no answer within {patience:?}"))),
    }
}
