//! One member's connection to another for Raft's messages, made again whenever it is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use codis_proto::member::v1::{Delivered, Packet};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::Me;
use super::dial::{Client, Dialer, reasons};
use super::service::FROM_KEY;

/// Messages that wait for a connection, or for it to take them.
const QUEUE_PACKETS: usize = 4096;

/// Bytes of them. One message alone may be longer.
const QUEUE_BYTES: usize = 16 << 20;

/// Messages between the queue and the connection: what is lost with it.
const WINDOW_PACKETS: usize = 16;

/// Connecting, with what comes after TCP, takes no longer than this.
const DIAL_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection that lasted so long worked.
const WORKS_AFTER: Duration = Duration::from_secs(1);

/// How long what is left to say may take when the peer is no member any more.
const FAREWELL: Duration = Duration::from_secs(1);

/// The pause after a first failure, and the longest: a member that comes back is found soon.
const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_millis(500);

/// The sending end. The connection ends after what is queued when this is dropped.
pub(super) struct Link {
    pub(super) address: String,
    queue: mpsc::Sender<Packet>,
    bytes: Arc<AtomicUsize>,
}

impl Link {
    /// Starts to connect to member `to` at `address`.
    pub(super) fn start(
        me: &Me,
        to: u64,
        address: String,
        dialer: Dialer,
        runtime: &Handle,
    ) -> Self {
        let (queue, packets) = mpsc::channel(QUEUE_PACKETS);
        let bytes = Arc::new(AtomicUsize::new(0));
        let line = Line {
            from: format!("{}@{}", me.id, me.address),
            to,
            address: address.clone(),
            dialer,
            packets,
            bytes: bytes.clone(),
            trouble: None,
            works: false,
        };
        runtime.spawn(line.run());
        Self { address, queue, bytes }
    }

    /// Queues a message, or drops it where too many wait.
    pub(super) fn send(&self, envelope: Bytes) {
        let len = envelope.len();
        let waiting = self.bytes.fetch_add(len, Ordering::Relaxed);
        let room = waiting == 0 || waiting + len <= QUEUE_BYTES;
        if !room || self.queue.try_send(Packet { envelope }).is_err() {
            self.bytes.fetch_sub(len, Ordering::Relaxed);
        }
    }
}

/// How a connection ended.
enum Ended {
    /// Nothing is to be sent any more.
    Done,
    /// It was lost, or not made, or the peer refused it.
    Lost(String),
}

/// The task behind a [`Link`].
struct Line {
    from: String,
    to: u64,
    address: String,
    dialer: Dialer,
    packets: mpsc::Receiver<Packet>,
    bytes: Arc<AtomicUsize>,
    /// What the log says of this connection at the moment.
    trouble: Option<String>,
    /// The current connection has lasted for a while.
    works: bool,
}

impl Line {
    async fn run(mut self) {
        let mut failures = 0;
        loop {
            self.works = false;
            let Ended::Lost(reason) = self.connect_and_send().await else { return };
            failures = if self.works { 0 } else { failures + 1 };
            self.note(Some(reason));
            sleep(pause(failures)).await;
            // What waited for a peer that is not there says nothing of use later.
            while let Ok(packet) = self.packets.try_recv() {
                self.taken(&packet);
            }
            if self.packets.is_closed() {
                return;
            }
        }
    }

    async fn connect_and_send(&mut self) -> Ended {
        let dialed = timeout(DIAL_TIMEOUT, self.dialer.connect(&self.address)).await;
        let client = match dialed {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => return Ended::Lost(reasons(&error)),
            Err(_elapsed) => return Ended::Lost("it does not answer".to_owned()),
        };
        let (sender, receiver) = mpsc::channel(WINDOW_PACKETS);
        let mut request = Request::new(ReceiverStream::new(receiver));
        match self.from.parse() {
            Ok(from) => drop(request.metadata_mut().insert(FROM_KEY, from)),
            Err(_) => return Ended::Lost("this member's own address is no text".to_owned()),
        }
        let call = deliver(client, request);
        tokio::pin!(call);
        let works = sleep(WORKS_AFTER);
        tokio::pin!(works);
        loop {
            tokio::select! {
                ended = &mut call => return lost(ended),
                () = &mut works, if !self.works => {
                    self.works = true;
                    self.note(None);
                }
                packet = next(&mut self.packets, &sender) => match packet {
                    Some((packet, permit)) => {
                        self.bytes.fetch_sub(packet.envelope.len(), Ordering::Relaxed);
                        permit.send(packet);
                    }
                    None => break,
                },
            }
        }
        drop(sender);
        // However it ends: nobody waits for it.
        let _ = timeout(FAREWELL, call).await;
        Ended::Done
    }

    fn taken(&self, packet: &Packet) {
        self.bytes.fetch_sub(packet.envelope.len(), Ordering::Relaxed);
    }

    /// Logs what is wrong with the connection, each thing once.
    fn note(&mut self, trouble: Option<String>) {
        let Line { to, address, .. } = self;
        match &trouble {
            Some(reason) if self.trouble.as_ref() != Some(reason) => {
                tracing::warn!("member {to} at {address} gets no messages: {reason}");
            }
            None if self.trouble.is_some() => {
                tracing::info!("member {to} at {address} gets messages again");
            }
            _ => {}
        }
        self.trouble = trouble;
    }
}

/// The next message, once the connection has room for it. Nothing is lost when this is dropped half-way.
async fn next<'a>(
    packets: &mut mpsc::Receiver<Packet>,
    sender: &'a mpsc::Sender<Packet>,
) -> Option<(Packet, mpsc::Permit<'a, Packet>)> {
    let Ok(permit) = sender.reserve().await else {
        // The connection is lost; the call is about to say why.
        return std::future::pending().await;
    };
    Some((packets.recv().await?, permit))
}

async fn deliver(
    mut client: Client,
    request: Request<ReceiverStream<Packet>>,
) -> Result<Response<Delivered>, Status> {
    client.deliver(request).await
}

fn lost(ended: Result<Response<Delivered>, Status>) -> Ended {
    Ended::Lost(match ended {
        Ok(_) => "it ended the connection".to_owned(),
        Err(status) if status.message().is_empty() => reasons(&status),
        Err(status) => status.message().to_owned(),
    })
}

/// Doubles with each failure; half of it is chance, so that members do not call in step.
fn pause(failures: u32) -> Duration {
    let whole = BACKOFF_MAX.min(BACKOFF_MIN * 2u32.pow(failures.min(8)));
    whole.div_f64(2.0).mul_f64(1.0 + fastrand::f64())
}
