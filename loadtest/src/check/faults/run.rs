//! Carrying out a script of faults.

use super::{Action, Fault, Victim};
use crate::cluster::{Cluster, ClusterError, Node};
use codis_testbed::{Client, Relay, encode};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

/// Between two looks at the clock.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long a cluster may take until it is whole again.
const HEAL_PATIENCE: Duration = Duration::from_secs(120);

/// A command of the operator that takes its time, while other faults happen.
struct Operation {
    line: String,
    running: JoinHandle<Result<String, ClusterError>>,
}

/// Does faults to a cluster.
pub struct Nemesis<'a> {
    cluster: &'a mut Cluster,
    /// Between clients and each proxy, where a script cuts those connections.
    relays: &'a [Relay],
    operations: Vec<Operation>,
    /// What happened, for the report.
    pub log: Vec<String>,
}

impl std::fmt::Debug for Nemesis<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nemesis").field("log", &self.log).finish_non_exhaustive()
    }
}

impl<'a> Nemesis<'a> {
    /// Does nothing yet.
    #[must_use]
    pub fn new(cluster: &'a mut Cluster, relays: &'a [Relay]) -> Self {
        Self { cluster, relays, operations: Vec::new(), log: Vec::new() }
    }

    /// Does each fault at its time, until all are done or `stopped` is raised. `told` hears of each.
    ///
    /// # Errors
    /// When a process does not come up again.
    pub fn run(
        &mut self,
        script: &[Fault],
        begun: Instant,
        stopped: &AtomicBool,
        told: &mut dyn FnMut(&str),
    ) -> Result<(), ClusterError> {
        for fault in script {
            while begun.elapsed() < fault.at {
                if stopped.load(Relaxed) {
                    return Ok(());
                }
                self.hear_operations(begun, told);
                sleep(LOOK_EVERY);
            }
            self.tell(begun, &fault.action.to_string(), told);
            self.act(fault.action)?;
        }
        Ok(())
    }

    fn tell(&mut self, begun: Instant, what: &str, told: &mut dyn FnMut(&str)) {
        let line = format!("{:8.3} s  {what}", begun.elapsed().as_secs_f64());
        told(&line);
        self.log.push(line);
    }

    fn act(&mut self, action: Action) -> Result<(), ClusterError> {
        match action {
            Action::Kill(victim) => self.node(victim).kill(),
            Action::Start(victim) => self.node(victim).start_again()?,
            Action::Freeze(victim) => self.node(victim).freeze(),
            Action::Thaw(victim) => self.node(victim).thaw(),
            Action::Cut(Victim::Proxy(number)) => {
                if let Some(relay) = self.relays.get(number - 1) {
                    relay.cut_all();
                }
            }
            Action::Cut(victim) => cut_clients(self.node(victim).address()),
            Action::Migrate { first, last, gid } => {
                self.operate(format!("slots migrate --beg {first} --end {last} --gid {gid}"));
            }
            Action::Promote(number) => {
                let gid = self.cluster.group_of(number);
                let address = self.cluster.servers[number - 1].address().to_owned();
                self.operate(format!("group promote --gid {gid} --addr {address}"));
            }
        }
        Ok(())
    }

    fn node(&mut self, victim: Victim) -> &mut Node {
        // Scripts are read for the cluster's size.
        match victim {
            Victim::Server(number) => &mut self.cluster.servers[number - 1],
            Victim::Proxy(number) => &mut self.cluster.proxies[number - 1],
            Victim::Member(number) => &mut self.cluster.members[number - 1],
        }
    }

    fn operate(&mut self, line: String) {
        let (admin, asked) = (self.cluster.operator(), line.clone());
        let running = thread::spawn(move || {
            let ran = admin.try_run(&asked);
            let said = format!("{}{}", ran.err, ran.out).trim().to_owned();
            if ran.code == Some(0) {
                Ok(said)
            } else {
                Err(ClusterError::Admin { line: asked, why: said })
            }
        });
        self.operations.push(Operation { line, running });
    }

    /// Says how commands of the operator ended. They may fail: something was broken when they were given.
    fn hear_operations(&mut self, begun: Instant, told: &mut dyn FnMut(&str)) {
        while let Some(place) = self.operations.iter().position(|one| one.running.is_finished()) {
            let Operation { line, running } = self.operations.remove(place);
            let text = match running.join() {
                Ok(Ok(_)) => format!("{line}: done"),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("{line}: codis-admin could not be run"),
            };
            self.tell(begun, &text, told);
        }
    }

    /// Lets everything run again, and waits until no slot moves any more.
    ///
    /// # Errors
    /// When something does not come up, or moves do not end.
    pub fn heal(&mut self, begun: Instant, told: &mut dyn FnMut(&str)) -> Result<(), ClusterError> {
        self.tell(begun, "all is to run again", told);
        // Frozen ones first: what starts may need them.
        self.cluster.nodes().for_each(Node::thaw);
        self.cluster.nodes().try_for_each(Node::heal)?;
        let deadline = Instant::now() + HEAL_PATIENCE;
        while !self.operations.is_empty() && Instant::now() < deadline {
            self.hear_operations(begun, told);
            sleep(LOOK_EVERY);
        }
        loop {
            let status = self.cluster.operate("--json slots status");
            let moves = |text: &str| {
                let status: Option<serde_json::Value> = serde_json::from_str(text).ok();
                status?.get("moves")?.as_array().map(Vec::len)
            };
            match &status {
                Ok(text) if moves(text) == Some(0) => break,
                Ok(text) if Instant::now() > deadline => {
                    let (line, why) =
                        ("slots status".to_owned(), format!("slots still move: {text}"));
                    return Err(ClusterError::Admin { line, why });
                }
                Err(_) if Instant::now() > deadline => return status.map(drop),
                _ => sleep(Duration::from_millis(100)),
            }
        }
        self.tell(begun, "all runs, and no slot moves", told);
        Ok(())
    }
}

/// Lets a server cut the connections of all its clients; what it had yet to answer them is lost.
fn cut_clients(address: &str) {
    // A server that does not answer has no connections that would notice.
    if let Ok(mut client) = Client::try_connect(address) {
        client.set_patience(Duration::from_secs(1));
        let asked = client.try_send(encode(&["CLIENT", "KILL", "TYPE", "normal"]));
        let _ = asked.and_then(|()| client.try_read());
    }
}
