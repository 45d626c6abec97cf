//! Sockets on one `io_uring`.

use super::StableBytes;
use super::buffers::{Buffers, GROUP};
use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use slab::Slab;
use socket2::SockAddr;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// A socket of a ring. It is free again after its [`Event::Closed`].
pub type Token = u32;

/// How large a ring is.
#[derive(Debug, Clone)]
pub struct RingConfig {
    /// Submission entries. When they are used up within a turn, the turn submits more than once.
    pub submissions: u32,
    /// Completion entries.
    pub completions: u32,
    /// Receive buffers, a power of two.
    pub buffers: u16,
    /// The size of each, in bytes.
    pub buffer_bytes: usize,
}

impl Default for RingConfig {
    fn default() -> Self {
        Self { submissions: 1024, completions: 8192, buffers: 256, buffer_bytes: 16 * 1024 }
    }
}

/// What has happened to a socket. `user` is what the socket was added with.
#[derive(Debug)]
pub enum Event<'a, B> {
    /// A listener has a new connection.
    Accepted(OwnedFd),
    /// A listener could not take a connection; it is asked again by `listen_again`.
    AcceptFailed(io::Error),
    /// The connection that was asked for is there.
    Connected {
        /// The socket's user number.
        user: u64,
    },
    /// Bytes have come.
    Received {
        /// The socket's user number.
        user: u64,
        /// The bytes; they are gone when the event has been handled.
        bytes: &'a [u8],
    },
    /// The peer sends no more.
    Ended {
        /// The socket's user number.
        user: u64,
    },
    /// The socket cannot be used any more; close it.
    Failed {
        /// The socket.
        token: Token,
        /// The socket's user number.
        user: u64,
        /// Why.
        error: io::Error,
    },
    /// Some bytes were sent.
    Sent {
        /// The socket's user number.
        user: u64,
        /// How many.
        bytes: usize,
        /// All of the buffer was sent, and here it is. Nothing is being sent now.
        done: Option<B>,
    },
    /// The socket is closed.
    Closed {
        /// The socket's user number.
        user: u64,
    },
    /// The eventfd was written to.
    Woken,
}

/// What an operation is, in the upper half of its user data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
enum Op {
    Receive = 1,
    Send = 2,
    Connect = 3,
    Accept = 4,
    Wake = 5,
    Cancel = 6,
}

impl Op {
    fn of(user_data: u64) -> Option<Self> {
        [Self::Receive, Self::Send, Self::Connect, Self::Accept, Self::Wake, Self::Cancel]
            .into_iter()
            .find(|op| *op as u64 == user_data >> 32)
    }

    #[inline]
    fn data(self, token: Token) -> u64 {
        (self as u64) << 32 | u64::from(token)
    }
}

#[derive(Debug)]
struct Socket<B> {
    fd: OwnedFd,
    user: u64,
    /// The buffer that the kernel reads from, and how much of it has been sent.
    sending: Option<(B, usize)>,
    /// The address of the connection being made.
    address: Option<Box<SockAddr>>,
    /// Operations that the kernel has and has not completed.
    operations: u8,
    /// A receive is among them.
    receiving: bool,
    /// The owner wants bytes.
    wanted: bool,
    /// The peer has sent its last byte.
    ended: bool,
    /// Nothing more is sent, and what comes is dropped; until when, as the owner said.
    lingering: Option<u64>,
    closing: bool,
}

/// The sockets of a shard. See the module's documentation.
pub struct Ring<B: StableBytes> {
    // Dropped first: after that the kernel touches nothing below.
    ring: IoUring,
    buffers: Buffers,
    sockets: Slab<Socket<B>>,
    listener: Option<OwnedFd>,
    accepting: bool,
    wake: Option<(OwnedFd, Box<u64>)>,
    /// Receives that found no buffer, or that the kernel ended; asked for again at the turn's end.
    rearm: Vec<Token>,
    /// Sockets to be freed at the turn's end.
    closed: Vec<Token>,
    batch: Vec<(u64, i32, u32)>,
}

impl<B: StableBytes> std::fmt::Debug for Ring<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("sockets", &self.sockets.len()).finish_non_exhaustive()
    }
}

impl<B: StableBytes> Drop for Ring<B> {
    fn drop(&mut self) {
        // Closing a ring cancels its operations only some time later, and their memory must outlive
        // them. Where the kernel cannot cancel them now, the memory is never freed.
        let all = io_uring::types::CancelBuilder::any();
        let idle = self.wake.is_none() && self.sockets.is_empty();
        if idle || self.ring.submitter().register_sync_cancel(None, all).is_ok() {
            return;
        }
        for socket in std::mem::take(&mut self.sockets) {
            std::mem::forget(socket);
        }
        std::mem::forget(self.wake.take());
        self.buffers.leak();
    }
}

impl<B: StableBytes> Ring<B> {
    /// A ring for the calling thread, which alone may use it.
    ///
    /// # Errors
    /// What the kernel says; [`super::probe`] puts it into words.
    pub fn new(config: &RingConfig) -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_coop_taskrun()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize(config.completions)
            .build(config.submissions)?;
        let buffers = Buffers::register(&ring.submitter(), config.buffers, config.buffer_bytes)?;
        Ok(Self {
            ring,
            buffers,
            sockets: Slab::new(),
            listener: None,
            accepting: false,
            wake: None,
            rearm: Vec::new(),
            closed: Vec::new(),
            batch: Vec::with_capacity(config.completions as usize),
        })
    }

    /// Takes connections from this listening socket.
    pub fn listen(&mut self, listener: OwnedFd) {
        self.listener = Some(listener);
        self.listen_again();
    }

    /// Asks the listener for connections again after [`Event::AcceptFailed`].
    pub fn listen_again(&mut self) {
        if let Some(listener) = &self.listener
            && !self.accepting
        {
            let entry = opcode::AcceptMulti::new(Fd(listener.as_raw_fd()))
                .flags(rustix::net::SocketFlags::CLOEXEC.bits() as i32)
                .build()
                .user_data(Op::Accept.data(0));
            self.accepting = true;
            self.push(entry);
        }
    }

    /// Takes no more connections.
    pub fn stop_listening(&mut self) {
        if self.accepting {
            self.cancel(Op::Accept.data(0));
        }
        // The kernel holds its own reference until the operation is gone.
        self.listener = None;
    }

    /// Watches an eventfd; each write to it makes one [`Event::Woken`] or more.
    pub fn watch(&mut self, eventfd: OwnedFd) {
        self.wake = Some((eventfd, Box::new(0)));
        self.watch_again();
    }

    fn watch_again(&mut self) {
        let Some((fd, value)) = &mut self.wake else { return };
        let entry = opcode::Read::new(Fd(fd.as_raw_fd()), (&raw mut **value).cast(), 8)
            .build()
            .user_data(Op::Wake.data(0));
        self.push(entry);
    }

    /// Adds a connected socket, and receives from it.
    pub fn add(&mut self, socket: OwnedFd, user: u64) -> Token {
        let token = self.insert(socket, user);
        self.sockets[token as usize].wanted = true;
        self.receive(token);
        token
    }

    /// Adds a socket and connects it; [`Event::Connected`] or [`Event::Failed`] follows. It receives
    /// from then on.
    pub fn connect(&mut self, socket: OwnedFd, address: SockAddr, user: u64) -> Token {
        let token = self.insert(socket, user);
        let target = &mut self.sockets[token as usize];
        let fd = Fd(target.fd.as_raw_fd());
        let address = target.address.insert(Box::new(address));
        let entry = opcode::Connect::new(fd, address.as_ptr().cast(), address.len())
            .build()
            .user_data(Op::Connect.data(token));
        target.operations += 1;
        self.push(entry);
        token
    }

    fn insert(&mut self, fd: OwnedFd, user: u64) -> Token {
        let socket = Socket {
            fd,
            user,
            sending: None,
            address: None,
            operations: 0,
            receiving: false,
            wanted: false,
            ended: false,
            lingering: None,
            closing: false,
        };
        self.sockets.insert(socket) as Token
    }

    /// The socket's descriptor, for questions about its ends.
    #[must_use]
    pub fn descriptor(&self, token: Token) -> Option<&OwnedFd> {
        self.sockets.get(token as usize).map(|socket| &socket.fd)
    }

    /// Whether a buffer may be sent now: one is sent at a time.
    #[inline]
    #[must_use]
    pub fn can_send(&self, token: Token) -> bool {
        let socket = &self.sockets[token as usize];
        socket.sending.is_none() && socket.lingering.is_none() && !socket.closing
    }

    /// Sends a buffer; [`Event::Sent`] gives it back.
    #[inline]
    pub fn send(&mut self, token: Token, bytes: B) {
        debug_assert!(self.can_send(token) && !bytes.is_empty(), "one buffer at a time");
        self.sockets[token as usize].sending = Some((bytes, 0));
        self.send_rest(token);
    }

    #[inline]
    fn send_rest(&mut self, token: Token) {
        let socket = &mut self.sockets[token as usize];
        let Some((bytes, sent)) = &socket.sending else { return };
        let rest = &bytes[*sent..];
        let len = rest.len().min(i32::MAX as usize) as u32;
        let entry = opcode::Send::new(Fd(socket.fd.as_raw_fd()), rest.as_ptr(), len)
            .flags(rustix::net::SendFlags::NOSIGNAL.bits() as i32)
            .build()
            .user_data(Op::Send.data(token));
        socket.operations += 1;
        self.push(entry);
    }

    /// Stops receiving. What the kernel has already received still comes.
    pub fn pause(&mut self, token: Token) {
        let socket = &mut self.sockets[token as usize];
        socket.wanted = false;
        if socket.receiving {
            self.cancel(Op::Receive.data(token));
        }
    }

    /// Receives again.
    pub fn resume(&mut self, token: Token) {
        self.sockets[token as usize].wanted = true;
        self.receive(token);
    }

    #[inline]
    fn receive(&mut self, token: Token) {
        let socket = &mut self.sockets[token as usize];
        if socket.receiving || !socket.wanted || socket.ended || socket.closing {
            return;
        }
        let entry = opcode::RecvMulti::new(Fd(socket.fd.as_raw_fd()), GROUP)
            .build()
            .user_data(Op::Receive.data(token));
        socket.receiving = true;
        socket.operations += 1;
        self.push(entry);
    }

    /// Closes a socket in the way that lets the peer read all that was sent to it: it is told that no
    /// more comes, and what it still sends is read and dropped until it closes its end too. (Closing a
    /// socket with unread bytes resets the connection, and the peer may lose what it has not read.)
    ///
    /// `until` is for the owner: it calls [`Self::close_lingering`] with it when the peer has had time
    /// enough. Answers whether the socket lingers; it is closed at once when nothing can be lost, or
    /// when it cannot be helped.
    pub fn finish(&mut self, token: Token, until: u64) -> bool {
        let socket = &mut self.sockets[token as usize];
        let lingers = !socket.closing
            && !socket.ended
            && socket.sending.is_none()
            && rustix::net::shutdown(&socket.fd, rustix::net::Shutdown::Write).is_ok();
        if !lingers {
            self.close(token);
            return false;
        }
        socket.lingering = Some(until);
        socket.wanted = true;
        self.receive(token);
        true
    }

    /// Closes a socket that has lingered since [`Self::finish`] with the same `until`, if it is still
    /// there.
    pub fn close_lingering(&mut self, token: Token, until: u64) {
        let socket = self.sockets.get(token as usize);
        if socket.is_some_and(|socket| socket.lingering == Some(until)) {
            self.close(token);
        }
    }

    /// Closes a socket; what was not sent is dropped. [`Event::Closed`] follows in a later turn.
    pub fn close(&mut self, token: Token) {
        let socket = &mut self.sockets[token as usize];
        if std::mem::replace(&mut socket.closing, true) {
            return;
        }
        let receiving = socket.receiving;
        let sending = socket.sending.is_some();
        let connecting = socket.address.is_some();
        if socket.operations == 0 {
            return self.free(token);
        }
        for (op, there) in
            [(Op::Receive, receiving), (Op::Send, sending), (Op::Connect, connecting)]
        {
            if there {
                self.cancel(op.data(token));
            }
        }
    }

    /// The kernel has let go of a socket. Its token stays taken until the owner has heard of it:
    /// otherwise the owner could use it for another socket's.
    fn free(&mut self, token: Token) {
        debug_assert!(
            self.sockets[token as usize].operations == 0,
            "the kernel may use its memory"
        );
        self.closed.push(token);
    }

    fn cancel(&mut self, user_data: u64) {
        let entry = opcode::AsyncCancel::new(user_data).build().user_data(Op::Cancel.data(0));
        self.push(entry);
    }

    #[inline]
    fn push(&mut self, entry: squeue::Entry) {
        // SAFETY: every operation's memory (buffers, addresses, the wake value) is owned by `self`
        // and neither moved nor freed before its completion; `Drop` ends the kernel's ring first.
        while unsafe { self.ring.submission().push(&entry) }.is_err() {
            // The queue is full: hand over what is there. An error leaves entries queued, and the
            // next turn's submission reports it.
            if self.ring.submit().is_err() {
                std::thread::yield_now();
            }
        }
    }

    /// Submits what was asked for and waits for a completion, for at most `timeout` (`None`: for as
    /// long as it takes).
    ///
    /// # Errors
    /// What the kernel says, other than that time ran out or a signal came.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.buffers.publish();
        if !self.closed.is_empty() {
            return self.submit_and_wait(Some(Duration::ZERO));
        }
        self.submit_and_wait(timeout)
    }

    fn submit_and_wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let result = match timeout {
            None => self.ring.submit_and_wait(1),
            Some(timeout) => {
                let time = Timespec::new().sec(timeout.as_secs()).nsec(timeout.subsec_nanos());
                let args = SubmitArgs::new().timespec(&time);
                self.ring.submitter().submit_with_args(1, &args)
            }
        };
        match result {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
                Some(
                    rustix::io::Errno::TIME
                    | rustix::io::Errno::INTR
                    | rustix::io::Errno::BUSY
                    | rustix::io::Errno::AGAIN,
                ) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// Hands every completion that is there to `on_event`, in order.
    #[inline]
    pub fn reap(&mut self, mut on_event: impl FnMut(Event<'_, B>)) {
        let mut batch = std::mem::take(&mut self.batch);
        batch
            .extend(self.ring.completion().map(|cqe| (cqe.user_data(), cqe.result(), cqe.flags())));
        for (user_data, result, flags) in batch.drain(..) {
            self.complete(user_data, result, flags, &mut on_event);
        }
        self.batch = batch;
        for token in self.closed.drain(..) {
            let socket = self.sockets.remove(token as usize);
            on_event(Event::Closed { user: socket.user });
        }
        for token in std::mem::take(&mut self.rearm) {
            if self.sockets.contains(token as usize) {
                self.receive(token);
            }
        }
    }

    #[inline]
    fn complete(
        &mut self,
        user_data: u64,
        result: i32,
        flags: u32,
        on_event: &mut impl FnMut(Event<'_, B>),
    ) {
        let token = user_data as u32;
        match Op::of(user_data) {
            Some(Op::Receive) => self.received(token, result, flags, on_event),
            Some(Op::Send) => self.sent(token, result, on_event),
            Some(Op::Connect) => self.connected(token, result, on_event),
            Some(Op::Accept) => self.accepted(result, flags, on_event),
            Some(Op::Wake) => {
                on_event(Event::Woken);
                self.watch_again();
            }
            Some(Op::Cancel) | None => {}
        }
    }

    #[inline]
    fn received(
        &mut self,
        token: Token,
        result: i32,
        flags: u32,
        on_event: &mut impl FnMut(Event<'_, B>),
    ) {
        let socket = &mut self.sockets[token as usize];
        let user = socket.user;
        if !cqueue::more(flags) {
            socket.receiving = false;
            socket.operations -= 1;
        }
        if let Some(buffer) = cqueue::buffer_select(flags) {
            if result > 0 && !socket.closing && socket.lingering.is_none() {
                let bytes = self.buffers.bytes(buffer, result as usize);
                on_event(Event::Received { user, bytes });
            }
            self.buffers.give_back(buffer);
        }
        let socket = &mut self.sockets[token as usize];
        if socket.closing {
            if socket.operations == 0 {
                self.free(token);
            }
            return;
        }
        let over = result == 0 || result < 0 && !is_passing(result);
        if over && socket.lingering.is_some() {
            self.close(token);
        } else if result == 0 {
            socket.ended = true;
            on_event(Event::Ended { user });
        } else if result < 0 && !is_passing(result) {
            on_event(Event::Failed { token, user, error: os_error(result) });
        } else if !socket.receiving {
            self.rearm.push(token);
        }
    }

    #[inline]
    fn sent(&mut self, token: Token, result: i32, on_event: &mut impl FnMut(Event<'_, B>)) {
        let socket = &mut self.sockets[token as usize];
        let user = socket.user;
        socket.operations -= 1;
        if socket.closing {
            if socket.operations == 0 {
                self.free(token);
            }
            return;
        }
        if result < 0 && !is_passing(result) {
            return on_event(Event::Failed { token, user, error: os_error(result) });
        }
        let bytes = result.max(0) as usize;
        let Some((buffer, sent)) = &mut socket.sending else { return };
        *sent += bytes;
        if *sent < buffer.len() {
            on_event(Event::Sent { user, bytes, done: None });
            return self.send_rest(token);
        }
        let done = socket.sending.take().map(|(buffer, _)| buffer);
        on_event(Event::Sent { user, bytes, done });
    }

    fn connected(&mut self, token: Token, result: i32, on_event: &mut impl FnMut(Event<'_, B>)) {
        let socket = &mut self.sockets[token as usize];
        let user = socket.user;
        socket.operations -= 1;
        socket.address = None;
        if socket.closing {
            if socket.operations == 0 {
                self.free(token);
            }
        } else if result < 0 {
            on_event(Event::Failed { token, user, error: os_error(result) });
        } else {
            socket.wanted = true;
            self.receive(token);
            on_event(Event::Connected { user });
        }
    }

    fn accepted(&mut self, result: i32, flags: u32, on_event: &mut impl FnMut(Event<'_, B>)) {
        if !cqueue::more(flags) {
            self.accepting = false;
        }
        if result >= 0 {
            // SAFETY: the kernel has just made this descriptor for us and nobody else knows it.
            let socket = unsafe { OwnedFd::from_raw_fd(result as RawFd) };
            on_event(Event::Accepted(socket));
            self.listen_again();
        } else if result == -rustix::io::Errno::CONNABORTED.raw_os_error() || is_passing(result) {
            // The client was gone before it was taken; the next one is not to blame.
            self.listen_again();
        } else if self.listener.is_some() {
            on_event(Event::AcceptFailed(os_error(result)));
        }
    }
}

/// Whether a completion says only that the operation should be asked for again.
fn is_passing(result: i32) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_raw_os_error(-result);
    matches!(errno, Errno::NOBUFS | Errno::CANCELED | Errno::INTR | Errno::AGAIN)
}

fn os_error(result: i32) -> io::Error {
    io::Error::from_raw_os_error(-result)
}
