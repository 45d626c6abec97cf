//! A member's data directory: `raft-engine` for the log, one file for the image.
//!
//! ```text
//! LOCK            held for as long as the process uses the directory
//! identity        group, member and format; see `identity`
//! image-<i>-<t>   the state at index i; see `images`
//! log/            the engine's files; looked at by `scan` before the engine opens them
//! ```
//!
//! A write is one batch of the engine, which takes effect as a whole or not at all, followed by one
//! sync. An image is written to its own file first; the batch then names it.
//!
//! What an unclean end leaves is told apart from damage. A half-done write at the very end is cut
//! off with a warning: it was not acknowledged. Damage before that is a refusal to open: entries
//! that others rely on are gone, and only the rest of the group has them. (Damage to the very last
//! write looks like a half-done one and is cut too. The member then says that it lost what it had
//! acknowledged, and fetches it from the leader.)

mod files;
mod identity;
mod images;
mod scan;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use raft::eraftpb::{ConfState, Entry, HardState};
use raft_engine::{Command, Engine, LogBatch, MessageExt, ReadableSize, RecoveryMode};

use super::member::image as layout;
use super::message::{Decoder, Encoder};
use super::store::{Compacted, Image, Loaded, LogStore, StoreError, Write};
pub use identity::Identity;

use files::Files;
use identity::Found;

/// The engine keeps many logs apart by number; a data directory has one.
const LOG: u64 = 1;

const KEY_HARD_STATE: &[u8] = b"hard_state";
const KEY_IMAGE: &[u8] = b"image";
const KEY_COMPACTED: &[u8] = b"compacted";
const KEY_PROBE: &[u8] = b"probe";

/// A file of the log is closed and a new one begun at this size.
const FILE_BYTES: u64 = 8 << 20;

/// Old files are looked at for removal once the log takes this much.
const PURGE_BYTES: u64 = 32 << 20;

/// Space that must be free before a member whose disk was full takes part again.
const FREE_BYTES_MIN: u64 = 16 << 20;

/// What to do about a directory whose content is lost.
const LOST_MEMBER: &str = "acknowledged entries may be lost. If the other members are a majority: remove this member from the group, empty its \
     data directory and add it again under a new id. If it is the only member: restore a backup into a new group";

/// The first state of a group; every founding member begins with the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Founding {
    /// The founding members, all of them voters, with their addresses.
    pub members: BTreeMap<u64, String>,
    /// The state machine's snapshot when nothing has been applied.
    pub snapshot: Vec<u8>,
}

impl Founding {
    /// The image that a founding member starts from. It stands for entry 1 of term 1.
    fn image(&self) -> Image {
        let conf_state =
            ConfState { voters: self.members.keys().copied().collect(), ..ConfState::default() };
        Image::new(1, 1, conf_state, layout::encode(&self.members, &self.snapshot))
    }

    /// What a store of a founding member holds.
    pub(in crate::raft) fn loaded(&self) -> Loaded {
        let hard_state = HardState { term: 1, commit: 1, ..HardState::default() };
        let compacted = Compacted { index: 1, term: 1, whole_log: false };
        Loaded { hard_state, image: self.image(), compacted, entries: Vec::new() }
    }
}

/// A data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses it.
    #[error("the data directory {} is in use by another process: stop that one, or give this member a directory of its own", .0.display())]
    Locked(PathBuf),
    /// It belongs to another member.
    #[error(
        "the data directory {} belongs to member {} of group {:016x}, not to member {} of group {:016x}: correct data_dir, or the member's id and the product in the configuration",
        .dir.display(), .found.member, .found.group, .expected.member, .expected.group
    )]
    OtherMember {
        /// The directory.
        dir: PathBuf,
        /// Whose it is.
        found: Identity,
        /// Whose it should be.
        expected: Identity,
    },
    /// It is of another release's format.
    #[error("the data directory {} is of format {found}, this release knows {known}: run the release that wrote it", .dir.display())]
    Format {
        /// The directory.
        dir: PathBuf,
        /// Its format.
        found: u64,
        /// The format that this release reads and writes.
        known: u64,
    },
    /// Something in it is damaged or missing.
    #[error("{}: {what}; {advice}", .path.display())]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// What to do.
        advice: &'static str,
    },
    /// The operating system refuses.
    #[error("cannot {what} {}: {error}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
    /// The log engine refuses.
    #[error("the log in {} cannot be opened: {error}", .path.display())]
    Engine {
        /// The log's directory.
        path: PathBuf,
        /// What it says.
        error: raft_engine::Error,
    },
}

impl OpenError {
    fn io(what: &'static str, path: &Path, error: io::Error) -> OpenError {
        OpenError::Io { what, path: path.to_owned(), error }
    }
}

/// A member's log and image in a directory of their own.
pub struct DiskStore {
    dir: PathBuf,
    engine: Engine<Files>,
    files: Arc<Files>,
    _lock: File,
}

struct Entries;

impl MessageExt for Entries {
    type Entry = Entry;

    fn index(entry: &Entry) -> u64 {
        entry.index
    }
}

impl DiskStore {
    /// Opens a member's data directory, and makes it where there is none: as a founding member's
    /// with `founding`, else as that of a member that joins a group and receives its state there.
    ///
    /// # Errors
    ///
    /// The directory is locked, another member's, damaged or not accessible.
    pub fn open(
        dir: &Path,
        expected: Identity,
        founding: Option<&Founding>,
    ) -> Result<(DiskStore, Loaded), OpenError> {
        Self::open_with(dir, expected, founding, Arc::new(Files::default()))
    }

    fn open_with(
        dir: &Path,
        expected: Identity,
        founding: Option<&Founding>,
        files: Arc<Files>,
    ) -> Result<(DiskStore, Loaded), OpenError> {
        fs::create_dir_all(dir).map_err(|error| OpenError::io("create", dir, error))?;
        let lock = lock(dir)?;
        let log_dir = dir.join("log");
        let begun = match Self::identity(dir)? {
            Some(found) if found != expected => {
                return Err(OpenError::OtherMember { dir: dir.to_owned(), found, expected });
            }
            Some(_) => true,
            None => {
                identity::write(dir, Found { identity: expected, begun: false })?;
                false
            }
        };
        if !begun && log_dir.exists() {
            // The first start was interrupted; the member has not spoken to anybody yet.
            fs::remove_dir_all(&log_dir)
                .map_err(|error| OpenError::io("remove", &log_dir, error))?;
        }
        let engine = open_engine(&log_dir, files.clone())?;
        let mut store = DiskStore { dir: dir.to_owned(), engine, files, _lock: lock };
        if !begun {
            store.begin(founding)?;
            identity::write(dir, Found { identity: expected, begun: true })?;
        }
        let loaded = store.load()?;
        Ok((store, loaded))
    }

    /// Whose data directory it is. None where no member has begun there: one whose first start was interrupted may
    /// as well begin as another.
    ///
    /// # Errors
    ///
    /// The file that says so is damaged, gone, of another format or not accessible.
    pub fn identity(dir: &Path) -> Result<Option<Identity>, OpenError> {
        match identity::read(dir)? {
            Some(Found { identity, begun }) => Ok(begun.then_some(identity)),
            None if dir.join("log").exists() => Err(OpenError::Damaged {
                path: dir.join("identity"),
                what: "there is a log, but no file that says whose it is".to_owned(),
                advice: LOST_MEMBER,
            }),
            None => Ok(None),
        }
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes the first write.
    fn begin(&mut self, founding: Option<&Founding>) -> Result<(), OpenError> {
        let loaded = founding.map(Founding::loaded).unwrap_or_default();
        let image = (loaded.image.index > 0).then_some(loaded.image);
        let write = Write {
            hard_state: Some(loaded.hard_state),
            image,
            compacted: Some(loaded.compacted),
            sync: true,
            ..Write::default()
        };
        self.write(&write)
            .map_err(|error| OpenError::io("begin the log in", &self.dir, io::Error::other(error)))
    }

    fn load(&self) -> Result<Loaded, OpenError> {
        let damaged = |what: &str| OpenError::Damaged {
            path: self.dir.join("log"),
            what: what.to_owned(),
            advice: LOST_MEMBER,
        };
        let hard_state = self
            .engine
            .get(LOG, KEY_HARD_STATE)
            .ok_or_else(|| damaged("the log is gone, or its beginning is"))?;
        let hard_state = parse::<HardState>(&hard_state)
            .ok_or_else(|| damaged("term and vote cannot be read"))?;
        let pair = |key: &[u8]| match self.engine.get(LOG, key) {
            None => Ok((0, 0)),
            Some(value) => parse_pair(&value).ok_or_else(|| {
                damaged("the place of the image or the log's beginning cannot be read")
            }),
        };
        let (image, (index, term)) = (pair(KEY_IMAGE)?, pair(KEY_COMPACTED)?);
        let image = match image {
            (0, _) => Image::default(),
            (index, term) => images::read(&self.dir, index, term)?,
        };
        images::remove_others(&self.dir, image.index, image.term);
        let entries = self.load_entries(index)?;
        Ok(Loaded {
            hard_state,
            image,
            compacted: Compacted { index, term, whole_log: false },
            entries,
        })
    }

    /// The entries after `compacted`. Whether one is missing is seen at start, with the image.
    ///
    /// They are read in a thread of their own: the engine keeps the last block that it read for each
    /// thread by its place in its file, and would take another log's block, or one of before the
    /// log's end was cut, for this one's.
    fn load_entries(&self, compacted: u64) -> Result<Vec<Entry>, OpenError> {
        let (Some(first), Some(last)) = (self.engine.first_index(LOG), self.engine.last_index(LOG))
        else {
            return Ok(Vec::new());
        };
        let begin = first.max(compacted + 1);
        if begin > last {
            return Ok(Vec::new());
        }
        let path = self.dir.join("log");
        let read = || {
            let mut entries = Vec::new();
            self.engine
                .fetch_entries_to::<Entries>(LOG, begin, last + 1, None, &mut entries)
                .map(|_| entries)
        };
        match std::thread::scope(|scope| scope.spawn(read).join()) {
            Ok(read) => read.map_err(|error| OpenError::Engine { path, error }),
            // The engine asserts that an entry has the index under which it is kept.
            Err(_) => Err(OpenError::Damaged {
                path,
                what: "its entries are not in order".to_owned(),
                advice: LOST_MEMBER,
            }),
        }
    }

    /// The engine's batch for a write.
    fn batch(write: &Write, end: Option<u64>) -> raft_engine::Result<LogBatch> {
        let mut batch = LogBatch::default();
        if let Some(compacted) = write.compacted {
            // The engine forgets what is before this index.
            let begin = match compacted.whole_log {
                true => end.unwrap_or(0).max(compacted.index) + 1,
                false => compacted.index + 1,
            };
            batch.add_command(LOG, Command::Compact { index: begin });
            batch.put(LOG, KEY_COMPACTED.to_vec(), pair(compacted.index, compacted.term))?;
        }
        if let Some(image) = &write.image {
            batch.put(LOG, KEY_IMAGE.to_vec(), pair(image.index, image.term))?;
        }
        if let Some(hard_state) = &write.hard_state {
            batch.put_message(LOG, KEY_HARD_STATE.to_vec(), hard_state)?;
        }
        batch.add_entries::<Entries>(LOG, &write.entries)?;
        Ok(batch)
    }

    /// Hands a batch to the engine, and sees whether it really is where it should be.
    fn commit(&mut self, mut batch: LogBatch, sync: bool) -> Result<(), StoreError> {
        if self.files.sync_failed() {
            return Err(StoreError::Failed("an earlier sync of the disk failed".to_owned()));
        }
        let written = self.engine.write(&mut batch, sync);
        if self.files.sync_failed() {
            return Err(StoreError::Failed("a sync of the disk failed".to_owned()));
        }
        match written {
            Ok(_) => Ok(()),
            // The engine takes back what it wrote of a batch that it could not write in full.
            Err(raft_engine::Error::Io(error)) if is_full(&error) => Err(self.full(&error)),
            Err(raft_engine::Error::TryAgain(_)) => {
                Err(self.full(&io::ErrorKind::StorageFull.into()))
            }
            Err(error) => Err(StoreError::Failed(error.to_string())),
        }
    }

    fn full(&self, error: &io::Error) -> StoreError {
        StoreError::Full(format!("{} in {}", error, self.dir.display()))
    }

    /// Removes files of the log that hold nothing any more. A failure only leaves them there.
    fn purge(&self) {
        if let Err(error) = self.engine.purge_expired_files() {
            tracing::warn!(
                "old files of the log in {} cannot be removed: {error}",
                self.dir.display()
            );
        }
    }
}

impl LogStore for DiskStore {
    fn write(&mut self, write: &Write) -> Result<(), StoreError> {
        if let Some(image) = &write.image {
            images::write(&self.dir, image).map_err(|error| match is_full(&error) {
                true => self.full(&error),
                false => StoreError::Failed(error.to_string()),
            })?;
        }
        let batch = Self::batch(write, self.engine.last_index(LOG))
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        self.commit(batch, write.sync)?;
        if let Some(image) = &write.image {
            images::remove_others(&self.dir, image.index, image.term);
            self.purge();
        }
        Ok(())
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        let free = rustix::fs::statvfs(&self.dir)
            .map(|space| space.f_bavail.saturating_mul(space.f_frsize));
        if let Ok(free) = free
            && free < FREE_BYTES_MIN
        {
            let dir = self.dir.display();
            return Err(StoreError::Full(format!(
                "{free} bytes are free for {dir}, {FREE_BYTES_MIN} are needed to go on"
            )));
        }
        let mut batch = LogBatch::default();
        batch
            .put(LOG, KEY_PROBE.to_vec(), vec![0; 64])
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        self.commit(batch, true)
    }
}

/// Locks the directory for as long as the file is open.
fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("LOCK");
    let file = File::create(&path).map_err(|error| OpenError::io("create", &path, error))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::Locked(dir.to_owned())),
        Err(error) => Err(OpenError::io("lock", &path, error.into())),
    }
}

/// Checks the log's files, says what will be cut, and opens the engine on them.
fn open_engine(dir: &Path, files: Arc<Files>) -> Result<Engine<Files>, OpenError> {
    fs::create_dir_all(dir).map_err(|error| OpenError::io("create", dir, error))?;
    let found = scan::check(dir)?;
    for hollow in &found.hollow {
        tracing::info!("removing {}, which was begun on a full disk", hollow.display());
        fs::remove_file(hollow).map_err(|error| OpenError::io("remove", hollow, error))?;
    }
    for torn in found.torn.iter().filter(|torn| torn.bytes > 0) {
        tracing::warn!(
            "the log ends in a write that was not completed: cutting {} after byte {} ({} bytes of it were written)",
            torn.path.display(),
            torn.offset,
            torn.bytes
        );
    }
    let config = raft_engine::Config {
        dir: dir.to_string_lossy().into_owned(),
        recovery_mode: RecoveryMode::TolerateTailCorruption,
        recovery_threads: 1,
        // The byte that says whether a batch is compressed has no checksum; see `scan`.
        batch_compression_threshold: ReadableSize(0),
        target_file_size: ReadableSize(FILE_BYTES),
        purge_threshold: ReadableSize(PURGE_BYTES),
        enable_log_recycle: false,
        ..raft_engine::Config::default()
    };
    let engine = Engine::open_with_file_system(config, files)
        .map_err(|error| OpenError::Engine { path: dir.to_owned(), error })?;
    // The engine makes the names of its later files durable, but not that of the first.
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|error| OpenError::io("sync", dir, error))?;
    Ok(engine)
}

/// Whether an error says that there is no space left, on the disk or in a quota or limit.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

fn pair(index: u64, term: u64) -> Vec<u8> {
    let mut out = Encoder::default();
    out.u64(index);
    out.u64(term);
    out.bytes
}

fn parse_pair(bytes: &[u8]) -> Option<(u64, u64)> {
    let mut input = Decoder { bytes };
    Some((input.u64().ok()?, input.u64().ok()?))
}

fn parse<T: protobuf::Message + Default>(bytes: &[u8]) -> Option<T> {
    let mut message = T::default();
    message.merge_from_bytes(bytes).ok()?;
    Some(message)
}
