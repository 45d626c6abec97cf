//! One process of a cluster.

use super::ClusterError;
use codis_testbed::Process;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a process may take until it takes connections.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How long one is given to end by itself.
const END_PATIENCE: Duration = Duration::from_secs(3);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// One process, which can be ended and started again with the same files on the same port.
#[derive(Debug)]
pub struct Node {
    name: String,
    address: String,
    program: PathBuf,
    args: Vec<String>,
    log: PathBuf,
    process: Option<Process>,
    frozen: bool,
}

impl Node {
    /// Starts `program`, which will listen on `address`.
    pub(super) fn launch(
        name: String,
        address: String,
        program: &Path,
        args: Vec<String>,
        log: PathBuf,
    ) -> Result<Self, ClusterError> {
        let program = program.to_owned();
        let mut node = Self { name, address, program, args, log, process: None, frozen: false };
        node.spawn()?;
        Ok(node)
    }

    fn spawn(&mut self) -> Result<(), ClusterError> {
        let process = Process::try_start(&self.program, &self.args, &self.log);
        self.process = Some(process.map_err(|why| self.cannot_start(why.to_string()))?);
        self.frozen = false;
        Ok(())
    }

    fn cannot_start(&self, why: String) -> ClusterError {
        ClusterError::Start { name: self.name.clone(), why }
    }

    /// What it is, such as `proxy 1`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Its resident memory in bytes; 0 when it does not run.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.process.as_ref().map_or(0, Process::resident_bytes)
    }

    /// Waits until it takes connections.
    ///
    /// # Errors
    /// When it ends instead, or takes too long; with what it printed last.
    pub fn wait_until_it_listens(&mut self) -> Result<(), ClusterError> {
        let deadline = Instant::now() + START_PATIENCE;
        while let Err(error) = TcpStream::connect(&self.address) {
            if let Some(why) = self.end() {
                return Err(self.cannot_start(why));
            }
            if Instant::now() > deadline {
                return Err(self.cannot_start(format!("{}: {error}", self.address)));
            }
            sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// How it has ended, if it has without being asked to.
    pub fn end(&mut self) -> Option<String> {
        let process = self.process.as_mut()?;
        let status = process.ended()?;
        let printed = process.printed();
        let last: Vec<&str> = printed.lines().rev().take(5).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        Some(format!("it ended ({status}); its last words:\n{}", last.join("\n")))
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) {
        self.process = None;
        self.frozen = false;
    }

    /// Starts it again, and waits until it takes connections.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_again(&mut self) -> Result<(), ClusterError> {
        if self.process.is_some() {
            return Ok(());
        }
        // The kernel closes the sockets of a ring some time after its process is gone; a connection that came meanwhile
        // would reach nobody.
        let deadline = Instant::now() + START_PATIENCE;
        while TcpStream::connect(&self.address).is_ok() && Instant::now() < deadline {
            sleep(LOOK_EVERY);
        }
        self.spawn()?;
        self.wait_until_it_listens()
    }

    /// Freezes it (SIGSTOP): its sockets stay open, and nothing in it runs.
    pub fn freeze(&mut self) {
        if let Some(process) = self.process.as_ref().filter(|_| !self.frozen) {
            process.freeze();
            self.frozen = true;
        }
    }

    /// Lets it run again.
    pub fn thaw(&mut self) {
        if let Some(process) = self.process.as_ref().filter(|_| self.frozen) {
            process.thaw();
            self.frozen = false;
        }
    }

    /// Lets it run, whatever was done to it.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn heal(&mut self) -> Result<(), ClusterError> {
        self.thaw();
        self.start_again()
    }

    /// Asks it to end.
    pub(super) fn terminate(&mut self) {
        self.thaw();
        if let Some(process) = self.process.as_mut()
            && process.ended().is_none()
        {
            process.terminate();
        }
    }

    /// Waits a while for it to end, and kills it otherwise.
    pub(super) fn wait_for_end(&mut self) {
        let deadline = Instant::now() + END_PATIENCE;
        while let Some(process) = &mut self.process {
            if process.ended().is_some() || Instant::now() > deadline {
                self.process = None;
            } else {
                sleep(LOOK_EVERY);
            }
        }
    }
}
