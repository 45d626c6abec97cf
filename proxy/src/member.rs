//! A member of the metadata group inside the proxy's process.
//!
//! It has a thread and a runtime of its own, off the shards' cores where there are cores to spare, so that clients
//! do not wait for it. It shares nothing with the proxy, which follows it over its port as it would any other member; when
//! it fails, the proxy goes on.

use rustix::thread::{CpuSet, sched_setaffinity};
use std::sync::mpsc;
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::{error, info, warn};

/// How long the member may take to hand its leadership over and to close its log.
const STOP_MAX: Duration = Duration::from_secs(5);

/// Ends with the process's wish that the member ends.
pub type Shutdown = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// The running member; dropping it stops it and waits for its end.
#[derive(Debug)]
pub struct Member {
    shutdown: Option<oneshot::Sender<()>>,
    failure: Option<oneshot::Receiver<String>>,
    /// Closed when the thread has ended.
    ended: mpsc::Receiver<()>,
}

impl Member {
    /// Starts a thread for `run`, on the cores `spare`; on any where there are none.
    ///
    /// # Errors
    /// A sentence: the system refuses a thread or a runtime.
    pub fn start<F>(
        spare: Vec<usize>,
        run: impl FnOnce(Shutdown) -> F + Send + 'static,
    ) -> Result<Self, String>
    where
        F: Future<Output = Result<(), String>>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name("meta-blocking")
            .build()
            .map_err(|error| format!("cannot start the metadata member: {error}"))?;
        let (shutdown, told) = oneshot::channel();
        let (failed, failure) = oneshot::channel();
        let (end, ended) = mpsc::channel();
        let thread = std::thread::Builder::new().name("meta".into()).spawn(move || {
            let _end: mpsc::Sender<()> = end;
            keep_off_shards(&spare);
            let shutdown: Shutdown = Box::pin(async move { drop(told.await) });
            let result = runtime.block_on(run(shutdown));
            // Without waiting for look-ups that hang in the system's resolver.
            runtime.shutdown_background();
            if let Err(reason) = result {
                error!("the metadata member in this process ends, the proxy goes on: {reason}");
                // Nobody waits for it any more once the proxy serves.
                let _ = failed.send(reason);
            }
        });
        thread.map_err(|error| format!("cannot make a thread for the metadata member: {error}"))?;
        Ok(Self { shutdown: Some(shutdown), failure: Some(failure), ended })
    }

    /// Waits until the member fails, and says why; for ever where it does not.
    pub async fn failed(&mut self) -> String {
        if let Some(failure) = &mut self.failure {
            let reason = failure.await;
            self.failure = None;
            if let Ok(reason) = reason {
                return reason;
            }
        }
        std::future::pending().await
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(shutdown) = self.shutdown.take() {
            // If it is not heard, the member has ended.
            let _ = shutdown.send(());
        }
        match self.ended.recv_timeout(STOP_MAX) {
            Err(mpsc::RecvTimeoutError::Timeout) => {
                warn!("the metadata member did not end within {STOP_MAX:?}: it is cut off");
            }
            _ => info!("the metadata member in this process has ended"),
        }
    }
}

/// Binds the calling thread, and those that it will start, to the cores `spare`.
fn keep_off_shards(spare: &[usize]) {
    if spare.is_empty() {
        return;
    }
    let mut set = CpuSet::new();
    for &core in spare.iter().filter(|core| **core < CpuSet::MAX_CPU) {
        set.set(core);
    }
    if let Err(errno) = sched_setaffinity(None, &set) {
        warn!(
            "the metadata member shares the shards' cores: it cannot be bound to {spare:?}: {errno}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::thread::sched_getaffinity;
    use std::future::ready;

    #[test]
    fn a_member_runs_until_the_proxy_lets_go_of_it() {
        let (sender, receiver) = mpsc::channel();
        let run = move |shutdown: Shutdown| async move {
            let name = std::thread::current().name().map(str::to_owned);
            sender.send(name).expect("the test waits");
            shutdown.await;
            sender.send(None).expect("the test waits");
            Ok(())
        };
        let member = Member::start(Vec::new(), run).expect("it starts");
        assert_eq!(receiver.recv().expect("it runs").as_deref(), Some("meta"));
        drop(member);
        assert_eq!(receiver.try_recv(), Ok(None), "it had ended before it was let go");
    }

    #[tokio::test]
    async fn why_a_member_fails_is_told_to_the_one_who_waits() {
        let run = |_| ready(Err("its log is damaged".to_string()));
        let mut member = Member::start(Vec::new(), run).expect("it starts");
        assert_eq!(member.failed().await, "its log is damaged");
    }

    #[test]
    fn a_member_keeps_to_the_cores_that_are_spare() {
        let allowed = sched_getaffinity(None).expect("this thread's cores");
        let spare = (0..CpuSet::MAX_CPU).find(|core| allowed.is_set(*core)).expect("a core");
        let (sender, receiver) = mpsc::channel();
        let run = move |_| {
            let cores = sched_getaffinity(None).expect("its cores");
            sender.send((cores.count(), cores.is_set(spare))).expect("the test waits");
            ready(Ok(()))
        };
        let _member = Member::start(vec![spare], run).expect("it starts");
        assert_eq!(receiver.recv(), Ok((1, true)));
    }
}
