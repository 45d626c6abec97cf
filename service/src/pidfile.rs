//! The file that tells scripts which process runs.

use std::path::{Path, PathBuf};

/// A file that holds the process's id while it runs.
#[must_use = "dropping it removes the file"]
#[derive(Debug)]
pub struct Pidfile(PathBuf);

impl Pidfile {
    /// Writes the id of this process to `path`; dropping the answer removes the file.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn write(path: &Path) -> Result<Self, String> {
        std::fs::write(path, format!("{}\n", std::process::id()))
            .map_err(|error| format!("cannot write --pidfile {}: {error}", path.display()))?;
        Ok(Self(path.to_path_buf()))
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_the_id_for_as_long_as_the_process_runs() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("pid");
        let pidfile = Pidfile::write(&path).expect("written");
        let text = std::fs::read_to_string(&path).expect("the file");
        assert_eq!(text, format!("{}\n", std::process::id()));
        drop(pidfile);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        assert_eq!(
            Pidfile::write(Path::new("/no/such/pid")).expect_err("no such directory"),
            "cannot write --pidfile /no/such/pid: No such file or directory (os error 2)"
        );
    }
}
