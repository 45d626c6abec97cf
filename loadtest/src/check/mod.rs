//! Whether what is answered can be believed: `codis-loadtest check`.
//!
//! Many clients work on keys that few of them share ([`client`]), with values that nobody else writes, and record what they
//! did and saw ([`history`]). Faults may happen meanwhile ([`faults`]). Then everything is read once more ([`audit`]),
//! and each key's history is judged ([`verdict`]). A request without an answer may have been carried out, late, or never.

mod audit;
mod client;
pub mod faults;
pub mod history;
mod report;
mod request;
pub mod verdict;

pub use audit::Unreadable;
pub use report::{Report, Told};

use client::{CREW, Crew, Shared, Worker};
use history::{Clock, History};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What is checked, and how.
#[derive(Debug, Clone)]
pub struct CheckOptions {
    /// `HOST:PORT` of each proxy or server; clients go on to the next when one is lost.
    pub targets: Vec<String>,
    /// How many clients there are.
    pub clients: usize,
    /// Requests that each sends together.
    pub batch: usize,
    /// The most requests a second, all clients together.
    pub rate: Option<f64>,
    /// How long a client waits for an answer.
    pub timeout: Duration,
    /// How long the last look may take.
    pub patience: Duration,
    /// What random choices follow from.
    pub seed: u64,
}

/// Clients at work.
#[derive(Debug)]
pub struct Check {
    options: CheckOptions,
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<History>>,
}

impl Check {
    /// Lets the clients begin.
    ///
    /// # Errors
    /// When the operating system has no more threads.
    pub fn start(options: CheckOptions) -> std::io::Result<Self> {
        let gap = options
            .rate
            .map(|rate| Duration::from_secs_f64((options.clients * options.batch) as f64 / rate));
        let shared = Arc::new(Shared {
            run: format!("{:x}", fastrand::u32(..)),
            targets: options.targets.clone(),
            clock: Clock::start(),
            stopped: AtomicBool::new(false),
            batch: options.batch,
            gap,
            timeout: options.timeout,
            crews: (0..options.clients.div_ceil(CREW)).map(|_| Crew::default()).collect(),
            done: AtomicU64::new(0),
        });
        let mut check = Self { options, shared, clients: Vec::new() };
        for number in 0..check.options.clients {
            let worker = Worker::new(Arc::clone(&check.shared), number, check.options.seed);
            let name = format!("client-{number}");
            check.clients.push(thread::Builder::new().name(name).spawn(move || worker.run())?);
        }
        Ok(check)
    }

    /// How many requests were answered so far.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.shared.done.load(Relaxed)
    }

    /// Ends the clients; what they did and saw.
    #[must_use]
    pub fn stop(&mut self) -> History {
        self.shared.stopped.store(true, Relaxed);
        let mut history = History::default();
        for client in self.clients.drain(..) {
            // A client does not panic; if one did, its operations would be missing, and the judgement would say so.
            history.add(client.join().unwrap_or_default());
        }
        history
    }

    /// Looks at everything once more, and judges.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn judge(&self, mut history: History) -> Result<Report, Unreadable> {
        audit::audit(&self.shared, &mut history, self.options.patience)?;
        Ok(Report::new(&history, verdict::judge(&history), &self.shared.run))
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Relaxed);
    }
}
