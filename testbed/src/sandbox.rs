//! A network and mounts of a test's own.

use std::path::Path;
use std::process::{Command, Stdio};

/// Names the file by which the test in the sandbox says that it runs there.
const MARK: &str = "CODIS_TESTBED_SANDBOX";

/// Whether a test runs where the network and the mounts are its own.
///
/// Inside, interfaces, addresses and mounts are nobody else's and can be broken at will; the kernel removes all of
/// them when the last process in there has ended, however it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sandbox {
    /// This process is in it.
    Entered,
    /// The test has run in it, as another process, and passed.
    Ran,
    /// This machine allows none; the reason.
    Forbidden(String),
}

impl Sandbox {
    /// Runs the test named `test` (with its modules, as `--exact` takes it) of this program once more in a
    /// sandbox, or finds that this is that run.
    ///
    /// # Panics
    /// When the test fails in the sandbox, or this program has no such test.
    #[must_use]
    pub fn enter(test: &str) -> Self {
        if let Some(mark) = std::env::var_os(MARK) {
            std::fs::write(mark, "entered").expect("the mark can be written");
            ip("link set lo up");
            return Self::Entered;
        }
        match allowed_flags() {
            Ok(flags) => run_again(flags, test),
            Err(reason) => {
                say_forbidden(test, &reason);
                return Self::Forbidden(reason);
            }
        }
        Self::Ran
    }
}

#[allow(clippy::print_stderr, reason = "what a run could not test must be seen")]
fn say_forbidden(test: &str, reason: &str) {
    eprintln!(
        "{test}: no network of its own, as this machine allows none to this user ({reason}); root may have one, \
         and others where the sysctl kernel.unprivileged_userns_clone or user.max_user_namespaces allows it"
    );
}

/// How `unshare` makes a sandbox here: as root, or as anybody where the kernel lets users be root among
/// themselves.
fn allowed_flags() -> Result<&'static [&'static str], String> {
    const WAYS: [&[&str]; 2] = [&["--net", "--mount"], &["--map-root-user", "--net", "--mount"]];
    let mut reason = String::new();
    for flags in WAYS {
        let tried =
            Command::new("unshare").args(flags).args(["ip", "link", "set", "lo", "up"]).output();
        match tried {
            Ok(output) if output.status.success() => return Ok(flags),
            Ok(output) => reason = String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => reason = format!("unshare cannot be run: {error}"),
        }
    }
    Err(reason)
}

fn run_again(flags: &[&str], test: &str) {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let mark = folder.path().join("mark");
    // Setpriv last: the kernel forgets what it asks for when a process becomes another user.
    let status = Command::new("unshare")
        .args(flags)
        .args(["setpriv", "--pdeathsig", "KILL", "--"])
        .arg(std::env::current_exe().expect("this program has a path"))
        .args(["--exact", test, "--include-ignored", "--nocapture"])
        .env(MARK, &mark)
        .stdin(Stdio::null())
        .status()
        .unwrap_or_else(|error| panic!("cannot run unshare: {error}"));
    assert!(status.success(), "{test} failed in its sandbox ({status}); its output is above");
    assert!(mark.exists(), "this program has no test named {test}");
}

/// Runs `ip` with arguments parted by blanks.
///
/// # Panics
/// When it fails.
pub(crate) fn ip(args: &str) {
    run(Command::new("ip").args(args.split(' ')));
}

/// Runs a command to its end.
///
/// # Panics
/// When it fails; with what it printed.
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed ({}): {said}", output.status);
}

/// A small file system of its own that can be filled and emptied. Needs a [`Sandbox`]; gone with it.
#[derive(Debug)]
pub struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// Makes one of `megabytes`.
    ///
    /// # Panics
    /// Outside a sandbox.
    #[must_use]
    pub fn new(megabytes: u32) -> Self {
        let folder =
            tempfile::TempDir::with_prefix("codis-disk-").expect("a temporary folder can be made");
        let size = format!("size={megabytes}m");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "codis"]).arg(folder.path()));
        Self { folder }
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all space that is left.
    pub fn fill(&self) {
        let mut file = std::fs::File::create(self.filler()).expect("an empty file takes no space");
        let zeros = std::io::repeat(0);
        // It ends with the error that there is no space left.
        let filled = std::io::copy(&mut std::io::Read::take(zeros, 1 << 40), &mut file);
        assert!(filled.is_err(), "a disk of less than a terabyte is full at some time");
    }

    /// Gives the space back that [`SmallDisk::fill`] took.
    pub fn empty(&self) {
        // An error means that it was not filled.
        let _ = std::fs::remove_file(self.filler());
    }

    fn filler(&self) -> std::path::PathBuf {
        self.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazy: a process that is about to end may still have files open. The sandbox's end removes what stays.
        let _ = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
    }
}

#[cfg(test)]
mod tests {
    use super::{Sandbox, SmallDisk};
    use std::io::ErrorKind;

    #[test]
    fn a_small_disk_is_full_until_it_is_emptied() {
        let name = "sandbox::tests::a_small_disk_is_full_until_it_is_emptied";
        if Sandbox::enter(name) != Sandbox::Entered {
            return;
        }
        let disk = SmallDisk::new(1);
        let file = disk.path().join("file");
        disk.fill();
        let refused = std::fs::write(&file, [1; 4096]).expect_err("there is no space");
        assert_eq!(refused.kind(), ErrorKind::StorageFull);
        disk.empty();
        std::fs::write(&file, [1; 4096]).expect("there is space");
    }
}
