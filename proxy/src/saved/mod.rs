//! What a proxy keeps on disk: its token, and the last topology that it took from the metadata group.
//!
//! ```text
//! LOCK       held for as long as the process uses the directory
//! token      what names this proxy within its product; made once
//! topology   the last topology; see `file`
//! ```
//!
//! The token is the proxy's identity: the group counts on it that the process that bears it has, on this disk, the
//! newest topology that was acknowledged under it. So the directory belongs to one process at a time, and a file
//! is replaced as a whole or not at all. Calls block; nothing here knows the group or the shards.

mod file;
#[cfg(test)]
mod tests;

pub use file::{Damage, SavedTopology};

use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const LOCK: &str = "LOCK";
const TOKEN: &str = "token";
const TOPOLOGY: &str = "topology";

/// A token is this many hexadecimal digits.
const TOKEN_DIGITS: usize = 32;

/// The directory cannot be used, or a file in it cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// Another process uses it.
    #[error("{} is in use by another process: give this proxy a directory of its own with data_dir", .0.display())]
    InUse(PathBuf),
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
    /// The saved topology is not one.
    #[error("{}: {damage}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        damage: Damage,
    },
}

/// A proxy's data directory, locked against other processes.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    token: String,
    /// Held until the process ends; the kernel lets go of it even when the process is killed.
    _lock: File,
}

impl DataDir {
    /// Opens the directory, which is made where it is missing, as is the token: `fresh_token` is what it is then.
    ///
    /// # Errors
    /// Another process uses it, or the system refuses.
    pub fn open(path: &Path, fresh_token: &str) -> Result<Self, SavedError> {
        fs::create_dir_all(path).map_err(io_error("make the directory", path))?;
        let lock = lock(path)?;
        let token = match read_token(path)? {
            Some(token) => token,
            None => {
                replace(path, TOKEN, format!("{fresh_token}\n").as_bytes())?;
                fresh_token.to_owned()
            }
        };
        Ok(Self { path: path.to_path_buf(), token, _lock: lock })
    }

    /// What names this proxy within its product.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Where the topology is kept, for messages.
    #[must_use]
    pub fn topology_path(&self) -> PathBuf {
        self.path.join(TOPOLOGY)
    }

    /// The saved topology; `None` where none has been saved yet.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn load(&self) -> Result<Option<SavedTopology>, SavedError> {
        let path = self.topology_path();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("read", &path)(error)),
        };
        let saved = file::decode(&bytes);
        saved.map(Some).map_err(|damage| SavedError::Damaged { path, damage })
    }

    /// Replaces the saved topology. When this returns, a restart finds the new one, whatever happens to the machine.
    ///
    /// # Errors
    /// The system refuses, which leaves the old one in place.
    pub fn save(&self, saved: SavedTopology) -> Result<(), SavedError> {
        replace(&self.path, TOPOLOGY, &file::encode(saved))
    }
}

fn io_error(what: &'static str, path: &Path) -> impl Fn(io::Error) -> SavedError {
    move |error| SavedError::Io { what, path: path.to_path_buf(), error }
}

fn lock(dir: &Path) -> Result<File, SavedError> {
    let path = dir.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(io_error("open", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(SavedError::InUse(dir.to_path_buf())),
        Err(errno) => Err(io_error("lock", &path)(errno.into())),
    }
}

/// The token, if there is one that can be.
fn read_token(dir: &Path) -> Result<Option<String>, SavedError> {
    let path = dir.join(TOKEN);
    let text = match fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).trim_end().to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("read", &path)(error)),
    };
    if text.len() == TOKEN_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Some(text));
    }
    tracing::warn!(
        "{} holds no token: the proxy takes a new one, and the group will know it as another proxy",
        path.display()
    );
    Ok(None)
}

/// Makes `bytes` the content of the file `name` of `dir`: written beside it, synced, then renamed.
fn replace(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), SavedError> {
    let beside = dir.join(format!("{name}.new"));
    let path = dir.join(name);
    let written = write_synced(&beside, bytes).map_err(io_error("write", &beside));
    let renamed =
        written.and_then(|()| fs::rename(&beside, &path).map_err(io_error("replace", &path)));
    if renamed.is_err() {
        // Half a file helps nobody, and takes room where there may be none.
        let _ = fs::remove_file(&beside);
    }
    renamed?;
    // Without this the new name may not be there after a loss of power.
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(io_error("sync", dir))
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
