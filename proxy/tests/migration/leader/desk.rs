//! What leaders wait for: each of their futures puts an order on the desk, and the world answers it in its time.

use codis_meta::drive::moves::{NetError, Value};
use codis_proto::meta::v1 as pb;
use pb::command::Change;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// What a leader wants done.
#[derive(Debug)]
pub(crate) enum Order {
    Connect {
        address: String,
    },
    /// Bytes to send on a connection, and how many replies are to come back within how long.
    Ask {
        connection: u64,
        bytes: Vec<u8>,
        replies: usize,
        patience: Duration,
    },
    Close {
        connection: u64,
    },
    Sleep(Duration),
    /// To look at the newest state.
    Look,
    Step {
        change: Box<Change>,
        expect_epoch: u64,
    },
    /// To be told when more is applied than this, or when the time is up.
    Beyond {
        index: u64,
        patience: Duration,
    },
}

/// What becomes of an order.
#[derive(Debug)]
pub(crate) enum Answer {
    Connected(Result<u64, NetError>),
    Replies(Result<Vec<Value>, NetError>),
    Done,
    Outcome(pb::Outcome),
    /// The leader leads no more.
    Lost,
}

/// The orders of all leaders.
#[derive(Default)]
pub(crate) struct Desk {
    last: u64,
    pub(crate) orders: Vec<(u64, usize, Order)>,
    answers: BTreeMap<u64, Answer>,
    wakers: BTreeMap<u64, Waker>,
}

/// A desk that leaders and the world have in common.
pub(crate) type SharedDesk = Arc<Mutex<Desk>>;

/// Takes what nobody panics with in hand.
pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().expect("a panic has ended the run")
}

impl Desk {
    /// An order is carried out.
    pub(crate) fn answer(&mut self, id: u64, answer: Answer) {
        if let Some(waker) = self.wakers.remove(&id) {
            self.answers.insert(id, answer);
            waker.wake();
        }
    }
}

/// Orders something for a leader.
pub(crate) fn order(desk: &SharedDesk, leader: usize, order: Order) -> Waiting {
    let mut open = lock(desk);
    open.last += 1;
    let id = open.last;
    open.orders.push((id, leader, order));
    // Nobody may look before it is answered.
    open.wakers.insert(id, Waker::noop().clone());
    Waiting { desk: Arc::clone(desk), id }
}

/// The answer to an order, when it comes.
pub(crate) struct Waiting {
    desk: SharedDesk,
    id: u64,
}

impl Future for Waiting {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let mut desk = lock(&self.desk);
        match desk.answers.remove(&self.id) {
            Some(answer) => Poll::Ready(answer),
            None => {
                desk.wakers.insert(self.id, context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut desk = lock(&self.desk);
        desk.answers.remove(&self.id);
        desk.wakers.remove(&self.id);
    }
}
