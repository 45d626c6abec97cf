//! The folder of a cluster, which goes when its owner does.

use super::ClusterError;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Reads from a pipe whose other end only the owner holds: it sees the end of it when the owner is gone, even by SIGKILL.
/// Processes that are still dying may make files meanwhile, so it tries more than once.
const GUARD: &str = "trap '' INT TERM HUP; cat >/dev/null; \
    for i in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- \"$0\" && exit; sleep 0.2; done";

/// A folder that is removed when this is dropped, or its process ends in any other way.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    guard: Option<Child>,
}

impl Folder {
    /// Makes a folder at `path`, or a temporary one. It stays when it is to be kept.
    pub(super) fn make(path: Option<&Path>, keep: bool) -> Result<Self, ClusterError> {
        let path = match path {
            None => tempfile::Builder::new()
                .prefix("codis-cluster-")
                .tempdir()
                .map_err(failed("cannot make a folder in", &std::env::temp_dir()))?
                .keep(),
            Some(path) => {
                make_empty(path)?;
                path.canonicalize().map_err(failed("cannot use", path))?
            }
        };
        let guard = if keep { None } else { Some(guard(&path)?) };
        Ok(Self { path, guard })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a folder in it.
    pub(super) fn subfolder(&self, name: &str) -> Result<PathBuf, ClusterError> {
        let path = self.path.join(name);
        std::fs::create_dir_all(&path).map_err(failed("cannot make", &path))?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            // What remains of it is the guard's to remove, which ends by the end of its input.
            let _ = std::fs::remove_dir_all(&self.path);
            drop(guard.stdin.take());
            let _ = guard.wait();
        }
    }
}

fn make_empty(path: &Path) -> Result<(), ClusterError> {
    std::fs::create_dir_all(path).map_err(failed("cannot make", path))?;
    let mut entries = std::fs::read_dir(path).map_err(failed("cannot read", path))?;
    if entries.next().is_some() { Err(ClusterError::NotEmpty(path.to_owned())) } else { Ok(()) }
}

/// A process of its own session, so that what ends its owner's group does not end it.
fn guard(path: &Path) -> Result<Child, ClusterError> {
    let mut command = Command::new("setsid");
    command.args(["sh", "-c", GUARD]).arg(path);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map_err(failed("cannot start the guard (setsid, sh) of", path))
}

fn failed(what: &'static str, path: &Path) -> impl Fn(io::Error) -> ClusterError {
    let path = path.to_owned();
    move |why| ClusterError::Folder { what, path: path.clone(), why }
}

#[cfg(test)]
mod tests {
    use super::{ClusterError, Folder};

    #[test]
    fn a_folder_goes_with_its_owner_unless_it_is_kept() {
        let outer = tempfile::tempdir().expect("a temporary folder can be made");
        let (gone, kept) = (outer.path().join("gone"), outer.path().join("kept"));
        for (path, keep) in [(&gone, false), (&kept, true)] {
            let folder = Folder::make(Some(path), keep).expect("it can be made");
            folder.subfolder("within").expect("it can be made");
        }
        assert!(!gone.exists() && kept.join("within").exists());
        let refused = Folder::make(Some(&kept), false).expect_err("there is something in it");
        assert!(matches!(refused, ClusterError::NotEmpty(_)), "{refused}");
    }
}
