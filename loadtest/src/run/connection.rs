//! One connection: what is to be written, and what waits for its reply.

use crate::run::reply::{BadReply, Kind, Scan, Scanner};
use crate::run::transport::Transport;
use std::collections::VecDeque;
use std::io;
use std::time::Instant;

/// A request that waits for its reply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InFlight {
    /// When its latency begins.
    pub(crate) since: Instant,
    /// Its place in the mix.
    pub(crate) command: u32,
    /// Whether it is counted: those of the warm-up and of the greeting are not.
    pub(crate) counted: bool,
}

/// Why a connection has come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    #[error("the server closed the connection")]
    Closed,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    BadReply(#[from] BadReply),
    #[error("a reply came that nobody asked for")]
    Unasked,
    #[error("the server refused the greeting: {0}")]
    Refused(String),
}

/// A connection that is open, or opening.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) transport: Transport,
    scanner: Scanner,
    pub(crate) output: Vec<u8>,
    written: usize,
    pub(crate) in_flight: VecDeque<InFlight>,
    /// Replies to the greeting (HELLO, AUTH, SELECT) that have yet to come.
    pub(crate) greeting: usize,
    /// Whether the operating system has said that it is connected.
    pub(crate) connected: bool,
}

impl Connection {
    pub(crate) fn new(transport: Transport, greeting: &[u8], replies: usize) -> Self {
        Self {
            transport,
            scanner: Scanner::default(),
            output: greeting.to_vec(),
            written: 0,
            in_flight: VecDeque::new(),
            greeting: replies,
            connected: false,
        }
    }

    /// Whether requests may be sent.
    pub(crate) fn is_ready(&self) -> bool {
        self.connected && self.greeting == 0 && self.transport.is_open()
    }

    /// Writes what there is; the number of bytes that the system took.
    pub(crate) fn write(&mut self) -> Result<usize, Lost> {
        let begin = self.written;
        while self.written < self.output.len() {
            match self.transport.send(&self.output[self.written..]) {
                Ok(0) => return Err(Lost::Closed),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        let count = self.written - begin;
        if self.written == self.output.len() {
            self.output.clear();
            self.written = 0;
        }
        self.transport.flush()?;
        Ok(count)
    }

    /// Reads what has come, and hands each reply with its request to `take`; the number of bytes read.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        mut take: impl FnMut(InFlight, Kind, &Scanner),
    ) -> Result<usize, Lost> {
        let mut total = 0;
        loop {
            let count = match self.transport.receive(buffer) {
                Ok(0) => return Err(Lost::Closed),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(total),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            total += count;
            self.replies(&buffer[..count], &mut take)?;
            // With an edge-triggered epoll a short read says that there is no more (see epoll(7)).
            if count < buffer.len() && self.transport.short_read_is_last() {
                return Ok(total);
            }
        }
    }

    #[inline]
    fn replies(
        &mut self,
        bytes: &[u8],
        take: &mut impl FnMut(InFlight, Kind, &Scanner),
    ) -> Result<(), Lost> {
        let mut at = 0;
        while at < bytes.len() {
            match self.scanner.scan(&bytes[at..])? {
                Scan::More => return Ok(()),
                Scan::End(len, Kind::Push) => at += len,
                Scan::End(len, kind) => {
                    at += len;
                    if self.greeting > 0 {
                        self.greeting -= 1;
                        if kind == Kind::Error {
                            return Err(Lost::Refused(self.scanner.error()));
                        }
                        continue;
                    }
                    let request = self.in_flight.pop_front().ok_or(Lost::Unasked)?;
                    take(request, kind, &self.scanner);
                }
            }
        }
        Ok(())
    }
}
