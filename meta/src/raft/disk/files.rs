//! The file system as the log engine sees it.
//!
//! The engine stops the whole process when a sync fails. Here a failed sync is noted instead, and
//! the store refuses everything from then on: what the disk holds is not known any more, so nothing
//! may be acknowledged, but the process may still say why.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use raft_engine::env::{DefaultFileSystem, FileSystem, Handle, Permission, WriteExt};

type Inner = DefaultFileSystem;

/// The default file system, with failed syncs noted.
#[derive(Default)]
pub(super) struct Files {
    sync_failed: Arc<AtomicBool>,
    #[cfg(test)]
    pub(super) disk: Arc<TestDisk>,
}

/// A disk that can be full, for tests.
#[cfg(test)]
#[derive(Default)]
pub(super) struct TestDisk {
    /// Bytes that can be written before it is full; none is no limit.
    pub(super) room: std::sync::Mutex<Option<usize>>,
    pub(super) fail_sync: AtomicBool,
}

#[cfg(test)]
impl TestDisk {
    /// How much of a write of `len` bytes there is room for.
    fn grant(&self, len: usize) -> usize {
        match &mut *self.room.lock().expect("no test panics while it holds the room") {
            None => len,
            Some(room) => {
                let granted = len.min(*room);
                *room -= granted;
                granted
            }
        }
    }
}

impl Files {
    /// Whether a sync has failed; nothing written since the one before can be relied on.
    pub(super) fn sync_failed(&self) -> bool {
        self.sync_failed.load(Ordering::SeqCst)
    }
}

/// An open file of the log.
pub(super) struct LogHandle {
    inner: Arc<<Inner as FileSystem>::Handle>,
    sync_failed: Arc<AtomicBool>,
    #[cfg(test)]
    disk: Arc<TestDisk>,
}

impl Handle for LogHandle {
    fn truncate(&self, offset: usize) -> io::Result<()> {
        // Both the file and the trait of the engine have a method of this name.
        Handle::truncate(&*self.inner, offset)
    }

    fn file_size(&self) -> io::Result<usize> {
        self.inner.file_size()
    }

    fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        if self.disk.fail_sync.load(Ordering::SeqCst) {
            self.sync_failed.store(true, Ordering::SeqCst);
            return Ok(());
        }
        if let Err(error) = self.inner.sync() {
            tracing::error!("a file of the log cannot be synced: {error}");
            self.sync_failed.store(true, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// Writes to a file of the log.
pub(super) struct LogWriter {
    inner: <Inner as FileSystem>::Writer,
    #[cfg(test)]
    disk: Arc<TestDisk>,
}

impl Write for LogWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        #[cfg(test)]
        {
            let granted = self.disk.grant(buf.len());
            if granted < buf.len() {
                self.inner.write_all(&buf[..granted])?;
                // The engine knows a full disk by this word, which is that of its own file system.
                return Err(io::Error::new(io::ErrorKind::StorageFull, "nospace"));
            }
        }
        self.inner.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Seek for LogWriter {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

impl WriteExt for LogWriter {
    fn truncate(&mut self, offset: usize) -> io::Result<()> {
        self.inner.truncate(offset)
    }

    fn allocate(&mut self, offset: usize, size: usize) -> io::Result<()> {
        self.inner.allocate(offset, size)
    }
}

/// Reads a file of the log.
pub(super) struct LogReader(<Inner as FileSystem>::Reader);

impl Read for LogReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Seek for LogReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl Files {
    fn handle(&self, inner: <Inner as FileSystem>::Handle) -> LogHandle {
        LogHandle {
            inner: Arc::new(inner),
            sync_failed: self.sync_failed.clone(),
            #[cfg(test)]
            disk: self.disk.clone(),
        }
    }
}

impl FileSystem for Files {
    type Handle = LogHandle;
    type Reader = LogReader;
    type Writer = LogWriter;

    fn create<P: AsRef<Path>>(&self, path: P) -> io::Result<LogHandle> {
        Inner {}.create(path).map(|inner| self.handle(inner))
    }

    fn open<P: AsRef<Path>>(&self, path: P, permission: Permission) -> io::Result<LogHandle> {
        Inner {}.open(path, permission).map(|inner| self.handle(inner))
    }

    fn delete<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        Inner {}.delete(path)
    }

    fn rename<P: AsRef<Path>>(&self, from: P, to: P) -> io::Result<()> {
        Inner {}.rename(from, to)
    }

    fn new_reader(&self, handle: Arc<LogHandle>) -> io::Result<LogReader> {
        Inner {}.new_reader(handle.inner.clone()).map(LogReader)
    }

    fn new_writer(&self, handle: Arc<LogHandle>) -> io::Result<LogWriter> {
        let inner = Inner {}.new_writer(handle.inner.clone())?;
        Ok(LogWriter {
            inner,
            #[cfg(test)]
            disk: self.disk.clone(),
        })
    }
}
