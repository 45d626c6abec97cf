//! The log: to a file that changes its name each day, or to stderr.
//!
//! Whoever logs never waits: lines go to a queue of `QUEUE_LINES`, and one thread writes them. What
//! does not fit into the queue or onto the disk is dropped and counted, as no
//! program must stop for its log.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use time::{Date, OffsetDateTime};
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Registry, fmt as lines, reload};

/// How many lines may wait to be written.
const QUEUE_LINES: usize = 8192;
/// How many bytes of lines are gathered for one write.
const GATHER_BYTES: usize = 64 << 10;

/// The least severe messages that are logged, by the names that Codis gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Level {
    /// Nothing.
    None,
    /// Nothing either: why the process could not go on is written to stderr, whatever the level.
    Panic,
    /// What failed and needs an operator.
    Error,
    /// What an operator should know of.
    Warn,
    /// What the program does.
    #[default]
    Info,
    /// How it does it.
    Debug,
}

impl Level {
    const NAMES: [(&'static str, Self, LevelFilter); 6] = [
        ("NONE", Self::None, LevelFilter::OFF),
        ("DEBUG", Self::Debug, LevelFilter::DEBUG),
        ("INFO", Self::Info, LevelFilter::INFO),
        ("WARN", Self::Warn, LevelFilter::WARN),
        ("ERROR", Self::Error, LevelFilter::ERROR),
        ("PANIC", Self::Panic, LevelFilter::OFF),
    ];

    fn row(self) -> &'static (&'static str, Self, LevelFilter) {
        let row = Self::NAMES.iter().find(|(_, level, _)| *level == self);
        row.expect("every level has a row")
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.row().0)
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let row = Self::NAMES.iter().find(|(name, ..)| name.eq_ignore_ascii_case(text));
        row.map(|&(_, level, _)| level).ok_or_else(|| {
            let names: Vec<&str> = Self::NAMES.iter().map(|(name, ..)| *name).collect();
            format!("it must be one of {}", names.join(", "))
        })
    }
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be written.
    #[error(
        "cannot open the log file {path}: {source}; see that its directory exists and is writable"
    )]
    Open {
        /// The file of today.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The process logs already.
    #[error("the log was started twice")]
    Twice,
}

/// Keeps the log going. Dropping it writes what is queued, so hold it until the process ends.
#[must_use = "dropping it ends the log"]
#[derive(Debug)]
pub struct Logging {
    control: LogControl,
    _guard: WorkerGuard,
}

/// Changes the log while the process runs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogControl {
    filter: reload::Handle<LevelFilter, Registry>,
    shared: Arc<Shared>,
    queue: ErrorCounter,
}

/// What the writing thread and [`LogControl`] share.
#[derive(Debug, Default)]
struct Shared {
    /// The file must be opened anew before the next write.
    reopen: AtomicBool,
    /// Lines that could not be written.
    failed: AtomicU64,
}

impl Logging {
    /// Starts the process's log: to `path` with the day of writing (UTC) added, `path.2026-11-22`, or to
    /// stderr.
    ///
    /// Call it before any thread is pinned: the thread that writes is started here and stays where
    /// its parent may run.
    ///
    /// # Errors
    /// The file cannot be opened, or the log was started before.
    pub fn start(path: Option<&Path>, level: Level) -> Result<Self, LogError> {
        let (subscriber, logging) = Self::build(path, level)?;
        tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Twice)?;
        Ok(logging)
    }

    fn build(
        path: Option<&Path>,
        level: Level,
    ) -> Result<(impl Subscriber + Send + Sync, Self), LogError> {
        let shared = Arc::new(Shared::default());
        let threads = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(QUEUE_LINES)
            .thread_name("log");
        let (writer, guard) = match path {
            Some(path) => threads.finish(DailyFile::open(path, Arc::clone(&shared))?),
            None => threads.finish(Stderr(Arc::clone(&shared))),
        };
        let queue = writer.error_counter();
        let (filter, handle) = reload::Layer::new(level.row().2);
        let colours = path.is_none() && io::stderr().is_terminal();
        let subscriber = Registry::default()
            .with(filter)
            .with(lines::layer().with_writer(writer).with_ansi(colours));
        let control = LogControl { filter: handle, shared, queue };
        Ok((subscriber, Self { control, _guard: guard }))
    }

    /// The handle to change the log with.
    #[must_use]
    pub fn control(&self) -> LogControl {
        self.control.clone()
    }
}

impl LogControl {
    /// Logs from `level` on, at once.
    pub fn set_level(&self, level: Level) {
        // It fails only when the log is gone, and then there is nothing to change.
        let _ = self.filter.reload(level.row().2);
    }

    /// Opens the file anew before the next write. For after something (logrotate) has moved it.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
    }

    /// How many lines were lost since start, because they came faster than they could be written or
    /// because writing failed.
    #[must_use]
    pub fn lost_lines(&self) -> u64 {
        self.shared.failed.load(Ordering::Relaxed) + self.queue.dropped_lines() as u64
    }
}

/// Lines to stderr; those that cannot be written are counted.
struct Stderr(Arc<Shared>);

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if io::stderr().write_all(line).is_err() {
            self.0.failed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that has the day in its name. It never fails once it was opened: what cannot be written is
/// dropped and counted, and the next write tries anew.
struct DailyFile {
    path: PathBuf,
    shared: Arc<Shared>,
    /// The open file and the day in its name.
    open: Option<(Date, File)>,
    /// Lines gathered for the next write.
    gathered: Vec<u8>,
    /// Lines lost since the last write that went well.
    lost: u64,
    /// The day; another in tests.
    today: fn() -> Date,
}

impl DailyFile {
    fn open(path: &Path, shared: Arc<Shared>) -> Result<Self, LogError> {
        let today = || OffsetDateTime::now_utc().date();
        let mut file =
            Self { path: path.into(), shared, open: None, gathered: Vec::new(), lost: 0, today };
        match file.current() {
            Ok(_) => Ok(file),
            Err(source) => Err(LogError::Open { path: file.path_of((file.today)()), source }),
        }
    }

    fn path_of(&self, day: Date) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(format!(".{day}"));
        path.into()
    }

    /// The file to write to now.
    fn current(&mut self) -> io::Result<&mut File> {
        let today = (self.today)();
        let stale = self.shared.reopen.swap(false, Ordering::Acquire);
        let open = match self.open.take() {
            Some((day, file)) if day == today && !stale => (day, file),
            _ => (today, OpenOptions::new().create(true).append(true).open(self.path_of(today))?),
        };
        Ok(&mut self.open.insert(open).1)
    }

    /// Writes what is gathered; what cannot be written is lost.
    fn drain(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        let mut gathered = std::mem::take(&mut self.gathered);
        if self.lost > 0 {
            let note =
                format!("{} lines of this log could not be written and are lost\n", self.lost);
            gathered.splice(0..0, note.into_bytes());
        }
        let mut rest = gathered.as_slice();
        let written = self.current().and_then(|file| write_some(file, &mut rest));
        let lines = rest.iter().filter(|&&byte| byte == b'\n').count() as u64;
        if written.is_ok() {
            self.lost = 0;
        } else {
            // The note about lost lines was no line of the log itself.
            let lines = lines - u64::from(self.lost > 0 && rest.len() == gathered.len());
            self.lost += lines;
            self.shared.failed.fetch_add(lines, Ordering::Relaxed);
        }
        gathered.clear();
        self.gathered = gathered;
    }
}

/// Writes `bytes` to `file` and leaves in `bytes` what was not written.
fn write_some(file: &mut impl Write, bytes: &mut &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => *bytes = &bytes[n..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Write for DailyFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(line);
        if self.gathered.len() >= GATHER_BYTES {
            self.drain();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.drain();
        Ok(())
    }
}

impl Drop for DailyFile {
    fn drop(&mut self) {
        self.drain();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use time::macros::date;

    fn write(file: &mut DailyFile, line: &str) {
        file.write_all(format!("{line}\n").as_bytes()).expect("it never fails");
        file.flush().expect("it never fails");
    }

    /// A log in a new directory, on a day that does not change, and what it shares.
    fn log(directory: &Path) -> (DailyFile, Arc<Shared>) {
        let shared = Arc::new(Shared::default());
        let mut file =
            DailyFile::open(&directory.join("log"), Arc::clone(&shared)).expect("opened");
        file.today = || date!(2026 - 11 - 22);
        (file, shared)
    }

    #[test]
    fn levels_have_codis_names_in_any_case() {
        for (name, level) in [
            ("none", Level::None),
            ("DEBUG", Level::Debug),
            ("Info", Level::Info),
            ("warn", Level::Warn),
            ("ERROR", Level::Error),
            ("panic", Level::Panic),
        ] {
            assert_eq!(name.parse(), Ok(level));
            assert_eq!(level.to_string(), name.to_uppercase());
        }
        let names = "it must be one of NONE, DEBUG, INFO, WARN, ERROR, PANIC";
        assert_eq!("trace".parse::<Level>(), Err(names.into()));
    }

    #[test]
    fn a_new_day_starts_a_new_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut file, _) = log(directory.path());
        write(&mut file, "before midnight");
        file.today = || date!(2026 - 11 - 23);
        write(&mut file, "after midnight");
        let read = |day| fs::read_to_string(directory.path().join(day)).expect("a log of that day");
        assert_eq!(read("log.2026-11-22"), "before midnight\n");
        assert_eq!(read("log.2026-11-23"), "after midnight\n");
    }

    #[test]
    fn after_reopening_lines_go_to_a_new_file_and_not_to_the_moved_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut file, shared) = log(directory.path());
        let path = directory.path().join("log.2026-11-22");
        let moved = directory.path().join("moved");
        write(&mut file, "one");
        fs::rename(&path, &moved).expect("moved");
        write(&mut file, "two");
        shared.reopen.store(true, Ordering::Release);
        write(&mut file, "three");
        assert_eq!(fs::read_to_string(&moved).expect("the moved file"), "one\ntwo\n");
        assert_eq!(fs::read_to_string(&path).expect("the new file"), "three\n");
    }

    #[test]
    fn an_existing_file_is_added_to() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("log.2026-11-22");
        fs::write(&path, "old\n").expect("written");
        let (mut file, _) = log(directory.path());
        write(&mut file, "new");
        assert_eq!(fs::read_to_string(&path).expect("the file"), "old\nnew\n");
    }

    #[test]
    fn a_disk_that_fails_costs_the_lines_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut file, shared) = log(directory.path());
        write(&mut file, "one");
        // Every write to it fails with "no space left on device".
        let full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
        file.open = Some((date!(2026 - 11 - 22), full));
        write(&mut file, "two");
        write(&mut file, "three");
        assert_eq!(shared.failed.load(Ordering::Relaxed), 2);
        file.open = None;
        write(&mut file, "four");
        write(&mut file, "five");
        let path = directory.path().join("log.2026-11-22");
        assert_eq!(
            fs::read_to_string(path).expect("the file"),
            "one\n2 lines of this log could not be written and are lost\nfour\nfive\n"
        );
        assert_eq!(shared.failed.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_refused_with_its_path() {
        let error = Logging::build(Some(Path::new("/no/such/place/log")), Level::Info)
            .map(|_| ())
            .expect_err("no such directory");
        let message = error.to_string();
        assert!(message.starts_with("cannot open the log file /no/such/place/log.20"), "{message}");
        assert!(message.ends_with("see that its directory exists and is writable"), "{message}");
    }

    #[test]
    fn the_level_decides_what_is_written_and_changes_while_running() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("log");
        let (subscriber, logging) = Logging::build(Some(&path), Level::Warn).expect("opened");
        let control = logging.control();
        tracing::subscriber::with_default(subscriber, || {
            for (round, level) in [Level::Warn, Level::Debug, Level::None].into_iter().enumerate() {
                control.set_level(level);
                tracing::debug!("debug {round}");
                tracing::warn!("warn {round}");
            }
        });
        drop(logging);
        let entry = fs::read_dir(directory.path()).expect("listed").next().expect("a file");
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("the log");
        let said: Vec<&str> = text
            .lines()
            .filter_map(|line| line.rsplit_once(": ").map(|(_, message)| message))
            .collect();
        assert_eq!(said, ["warn 0", "debug 1", "warn 1"], "{text}");
        assert_eq!(control.lost_lines(), 0);
    }
}
