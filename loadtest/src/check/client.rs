//! A client that works on its crew's objects and records what it did and saw.

use super::history::{Clock, History, KINDS, Kind, Misfit, Object, Operation, UNKNOWN};
use super::request::{DoesNotFit, Request};
use codis_testbed::{Client, Value, encode};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Objects of each kind that a crew has at a time.
const OBJECTS_EACH: usize = 4;
/// Operations on an object before the next takes its place: so that checking a history stays cheap.
const OPERATIONS_EACH: u64 = 100;
/// Clients that share objects: few, as the orders that have to be tried grow with those that overlap.
pub(crate) const CREW: usize = 4;
/// Where a client can reach nobody, it tries again after this time.
const RETRY_AFTER: Duration = Duration::from_millis(20);
/// How long a client rests after an error.
const ERROR_REST: Duration = Duration::from_millis(5);

/// What all clients have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Parts the keys of runs.
    pub(crate) run: String,
    pub(crate) targets: Vec<String>,
    pub(crate) clock: Clock,
    pub(crate) stopped: AtomicBool,
    /// Requests sent together.
    pub(crate) batch: usize,
    /// A batch of each client takes at least so long.
    pub(crate) gap: Option<Duration>,
    pub(crate) timeout: Duration,
    pub(crate) crews: Vec<Crew>,
    pub(crate) done: AtomicU64,
}

/// Objects that some clients share: how many operations each place has seen.
#[derive(Debug, Default)]
pub(crate) struct Crew {
    counts: [[AtomicU64; OBJECTS_EACH]; KINDS.len()],
}

impl Crew {
    fn object(&self, crew: usize, kind: usize, number: usize) -> Object {
        let count = self.counts[kind][number].fetch_add(1, Relaxed);
        let generation = u32::try_from(count / OPERATIONS_EACH).unwrap_or(u32::MAX);
        Object { kind: KINDS[kind], crew: crew as u16, number: number as u16, generation }
    }
}

/// One client.
#[derive(Debug)]
pub(crate) struct Worker {
    shared: Arc<Shared>,
    number: usize,
    /// Which target it is connected to, or will be.
    target: usize,
    connection: Option<Client>,
    next_value: u64,
    rng: fastrand::Rng,
    history: History,
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, number: usize, seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed.wrapping_add(number as u64));
        // No two clients write the same value, and none writes 0 or 1.
        let next_value = ((number as u64 + 1) << 40) + 1;
        let history = History::default();
        Self { shared, number, target: number, connection: None, next_value, rng, history }
    }

    /// Works until it is stopped; what it did and saw.
    pub(crate) fn run(mut self) -> History {
        while !self.shared.stopped.load(Relaxed) {
            let begun = Instant::now();
            let requests = self.choose();
            self.exchange(requests);
            if let Some(rest) = self.shared.gap.and_then(|gap| gap.checked_sub(begun.elapsed())) {
                sleep(rest);
            }
        }
        self.history
    }

    /// Requests of one batch, no two of which touch the same object: their order is not recorded.
    fn choose(&mut self) -> Vec<Request> {
        let crew_number = self.number / CREW;
        let Self { shared, rng, next_value, .. } = self;
        let mut places: Vec<(usize, usize)> =
            (0..KINDS.len()).flat_map(|kind| (0..OBJECTS_EACH).map(move |n| (kind, n))).collect();
        rng.shuffle(&mut places);
        let crew = &shared.crews[crew_number];
        let mut requests = Vec::with_capacity(shared.batch);
        let mut registers = Vec::new();
        for (kind, number) in places.into_iter().take(shared.batch) {
            let object = crew.object(crew_number, kind, number);
            *next_value += 1;
            // Some registers are read and written together, over as many servers as they are on.
            if object.kind == Kind::Register && rng.u32(0..3) == 0 {
                registers.push(object);
            } else {
                requests.push(Request::one(&shared.run, object, *next_value, rng));
            }
        }
        if !registers.is_empty() {
            let value = rng.bool().then_some(*next_value);
            requests.push(Request::many(&shared.run, &registers, value));
        }
        requests
    }

    /// Sends requests together, and records each with its answer.
    fn exchange(&mut self, mut requests: Vec<Request>) {
        if self.connect().is_err() {
            self.give_up();
            return;
        }
        let bytes: Vec<u8> = requests.iter().flat_map(|request| encode(&request.words)).collect();
        let called = self.shared.clock.now();
        let sent = self.connection.as_mut().map(|client| client.try_send(&bytes));
        let mut lost = sent.and_then(Result::err);
        let mut answers: Vec<String> = Vec::new();
        let errors_before = self.history.errors;
        for place in 0..requests.len() {
            let request = &mut requests[place];
            let mut answered = UNKNOWN;
            match self.next_answer(&lost) {
                Some(Ok(Value::Error(text))) if !is_impossible(&text) => {
                    answers.push(format!("{:?}", Value::Error(text)));
                    self.history.errors += 1;
                }
                Some(Ok(answer)) => {
                    answers.push(format!("{answer:?}"));
                    match request.understand(&answer) {
                        Ok(()) => answered = self.shared.clock.now(),
                        Err(DoesNotFit) => {
                            self.misfit(&requests, &answers);
                            // What follows on this connection may be anybody's.
                            lost = Some(io::ErrorKind::InvalidData.into());
                        }
                    }
                }
                Some(Err(error)) => {
                    if error.kind() == io::ErrorKind::InvalidData {
                        answers.push(error.to_string());
                        self.misfit(&requests, &answers);
                    }
                    lost = Some(error);
                }
                None => {}
            }
            self.record(&requests[place], called, answered);
        }
        if lost.is_some() {
            self.give_up();
        } else if self.history.errors > errors_before {
            // Errors come faster than anything else: a history of little else would say little.
            sleep(ERROR_REST);
        }
    }

    fn connect(&mut self) -> io::Result<()> {
        if self.connection.is_none() {
            let targets = &self.shared.targets;
            let client = Client::try_connect(targets[self.target % targets.len()].as_str())?;
            client.set_patience(self.shared.timeout);
            self.connection = Some(client);
        }
        Ok(())
    }

    /// The next answer; `None` when the connection has been lost.
    fn next_answer(&mut self, lost: &Option<io::Error>) -> Option<io::Result<Value>> {
        if lost.is_some() {
            return None;
        }
        self.connection.as_mut().map(Client::try_read)
    }

    fn record(&mut self, request: &Request, called: u64, answered: u64) {
        if answered != UNKNOWN {
            self.shared.done.fetch_add(1, Relaxed);
        }
        for step in &request.steps {
            let (object, field, what) = (step.object, step.field, step.what);
            let client = self.number as u16;
            let operation = Operation { object, field, client, what, called, answered };
            self.history.operations.push(operation);
        }
    }

    fn misfit(&mut self, requests: &[Request], answers: &[String]) {
        let words = requests.iter().map(|request| request.words.join(" "));
        let answers_and_none = answers.iter().cloned().chain(std::iter::repeat(String::new()));
        self.history.misfits.push(Misfit {
            client: self.number as u16,
            at: self.shared.clock.now(),
            exchanges: words.zip(answers_and_none).collect(),
            culprit: answers.len() - 1,
        });
    }

    /// Goes to the next target.
    fn give_up(&mut self) {
        self.connection = None;
        self.target += 1;
        self.history.lost_connections += 1;
        sleep(RETRY_AFTER);
    }
}

/// Whether an error says that the request was none that this client sends.
fn is_impossible(text: &[u8]) -> bool {
    let starts = [&b"WRONGTYPE"[..], b"ERR wrong number", b"ERR unknown command", b"ERR Protocol"];
    starts.iter().any(|start| text.starts_with(start))
}
