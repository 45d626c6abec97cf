//! Child processes that never outlive the one that started them.

use crate::PATIENCE;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

/// A running program. Dropping it kills it; so does the death of this process, however it dies.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// CPU time that a process has used, all of its threads together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuTime {
    /// In user space, in microseconds; the kernel counts it in ticks of 10 ms.
    pub user_us: u64,
    /// In the kernel, in microseconds; counted in the same ticks.
    pub system_us: u64,
    /// Both together, in nanoseconds, as the scheduler measured it: far finer than the ticks.
    pub total_ns: u64,
}

impl CpuTime {
    /// What was used since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            user_us: self.user_us - earlier.user_us,
            system_us: self.system_us - earlier.system_us,
            total_ns: self.total_ns.saturating_sub(earlier.total_ns),
        }
    }
}

impl Process {
    /// Starts `program` with `args`; what it prints goes to the file `log`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(program: &Path, args: &[String], log: &Path) -> Self {
        Self::try_start(program, args, log).unwrap_or_else(|error| {
            panic!("cannot start {} through setpriv: {error}", program.display())
        })
    }

    /// Starts `program` with `args`; what it prints goes to the file `log`.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn try_start(program: &Path, args: &[String], log: &Path) -> io::Result<Self> {
        let name =
            program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        let out = File::options().create(true).append(true).open(log)?;
        let err = out.try_clone()?;
        // A program started by setpriv gets SIGKILL from the kernel when its parent thread ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).args(args);
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        Ok(Self { name, child: spawn_from_lasting_thread(command)?, log: log.to_owned() })
    }

    /// Starts `program` so that it, and what it starts, runs on one core only.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_on_core(core: usize, program: &Path, args: &[String], log: &Path) -> Self {
        let mut bound = vec!["-c".to_owned(), core.to_string(), program.display().to_string()];
        bound.extend_from_slice(args);
        Self::start(Path::new("taskset"), &bound, log)
    }

    /// The process's id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    #[must_use]
    pub fn printed(&self) -> String {
        std::fs::read(&self.log).map_or_else(
            |error| format!("(no output: {error})"),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// Freezes it (SIGSTOP): its sockets stay open, nothing in it runs. Returns when it stands still.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        crate::eventually("the process stops", || self.state() == Some('T'));
    }

    /// Lets it run again after [`Process::freeze`].
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Asks it to open its log again (SIGHUP).
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// When it does not within [`PATIENCE`].
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            let printed = || self.printed();
            assert!(
                Instant::now() < deadline,
                "{} did not end; it printed: {}",
                self.name,
                printed()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its resident memory in bytes.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let status = self.proc_file("status");
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_else(|| {
                panic!("{} has ended; it printed: {}", self.name, self.printed());
            });
        let kib = line.trim().trim_end_matches("kB").trim().parse::<u64>();
        kib.expect("VmRSS is a number of kB") * 1024
    }

    /// The CPU time that it has used.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn cpu_time(&self) -> CpuTime {
        const TICK_US: u64 = 10_000; // USER_HZ is 100 on every architecture that we run on.
        let ticks =
            |field: usize| self.stat_field(field).parse::<u64>().expect("ticks are a number");
        CpuTime {
            user_us: ticks(14) * TICK_US,
            system_us: ticks(15) * TICK_US,
            total_ns: self.scheduled_ns(),
        }
    }

    fn scheduled_ns(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id())).expect("it runs");
        let used = |path: PathBuf| -> u64 {
            // A thread may end between the two looks.
            let text = std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
            text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
        };
        tasks.filter_map(Result::ok).map(|task| used(task.path())).sum()
    }

    /// `R`, `S`, `T` and so on; `None` when it has ended.
    fn state(&self) -> Option<char> {
        self.stat_field(3).chars().next()
    }

    /// A field of /proc/PID/stat, numbered from 1 as in proc(5); 3 and up.
    fn stat_field(&self, number: usize) -> String {
        let stat = self.proc_file("stat");
        // The second field is the name in parentheses, which may hold spaces.
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        rest.split_whitespace().nth(number - 3).unwrap_or_default().to_owned()
    }

    fn proc_file(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.id())).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).expect("process ids fit an i32");
        let pid = Pid::from_raw(id).expect("a process id is not 0");
        kill_process(pid, signal)
            .unwrap_or_else(|error| panic!("cannot signal {} ({id}): {error}", self.name));
    }
}

#[allow(clippy::print_stderr, reason = "a test that fails prints what its servers said")]
impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = std::fs::read(&self.log).unwrap_or_default();
            let tail = &log[log.len().saturating_sub(4096)..];
            eprintln!("--- the last words of {}:\n{}", self.name, String::from_utf8_lossy(tail));
        }
    }
}

/// The program `name` in the folder of the program `binary`: where cargo puts everything of a workspace.
///
/// # Panics
/// When it is not there, with what builds it.
#[must_use]
pub fn beside(binary: &Path, name: &str) -> PathBuf {
    let program = binary.with_file_name(name);
    assert!(
        program.exists(),
        "{} is missing: build it with `cargo build --workspace --bins`, or run every test by `make test`",
        program.display()
    );
    program
}

type Job = (Command, Sender<io::Result<Child>>);

/// Spawns from a thread that lives as long as this process: the kernel's parent-death signal means
/// the death of the *thread* that made the child, and a test's thread ends with its test.
fn spawn_from_lasting_thread(command: Command) -> io::Result<Child> {
    static SPAWNER: LazyLock<Mutex<Sender<Job>>> = LazyLock::new(|| {
        let (jobs, inbox) = channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                // The asker waits for the answer, so it is there.
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(jobs)
    });
    let (answer, result) = channel();
    let spawner = SPAWNER.lock().expect("nothing panics while it holds the lock");
    spawner.send((command, answer)).expect("the spawner never ends");
    drop(spawner);
    result.recv().expect("the spawner always answers")
}

#[cfg(test)]
mod tests {
    use super::Process;
    use std::path::Path;
    use std::process::Command;
    use tempfile::TempDir;

    /// What the next test kills: a process that has a child of its own.
    #[test]
    #[ignore = "not a test by itself: run by `children_die_with_the_process_that_is_killed`"]
    fn parent_that_waits() {
        let folder = std::env::var_os("CODIS_TESTBED_FOLDER").expect("the other test has set it");
        let folder = Path::new(&folder);
        let child = Process::start(Path::new("sleep"), &["600".to_owned()], &folder.join("output"));
        std::fs::write(folder.join("written"), child.id().to_string()).expect("it can be written");
        std::fs::rename(folder.join("written"), folder.join("id")).expect("it can be renamed");
        std::thread::sleep(crate::PATIENCE);
    }

    #[test]
    fn children_die_with_the_process_that_is_killed() {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let mut parent = Command::new(std::env::current_exe().expect("this program has a path"))
            .args(["--ignored", "--exact", "process::tests::parent_that_waits"])
            .env("CODIS_TESTBED_FOLDER", folder.path())
            .spawn()
            .expect("this program can be run");
        let id_file = folder.path().join("id");
        crate::eventually("the child is started", || id_file.exists());
        let id = std::fs::read_to_string(id_file).expect("it was written");
        let runs = || {
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            stat.contains("(sleep)") && !stat.contains(") Z")
        };
        crate::eventually("the child runs", runs);
        parent.kill().expect("it can be killed");
        parent.wait().expect("it can be waited for");
        crate::eventually("the child is gone", || !runs());
    }
}
