//! The programs that a cluster runs.

use super::ClusterError;
use std::path::{Path, PathBuf};

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// codis-proxy.
    pub proxy: PathBuf,
    /// codis-meta.
    pub meta: PathBuf,
    /// codis-admin.
    pub admin: PathBuf,
    /// redis-server; looked for in PATH when it is a name alone.
    pub redis_server: PathBuf,
}

impl Programs {
    /// Codis's programs in `folder`; by default where this program is.
    #[must_use]
    pub fn in_folder(folder: Option<&Path>) -> Self {
        let own = std::env::current_exe().ok();
        let folder = folder.or_else(|| own.as_deref()?.parent()).unwrap_or(Path::new("."));
        Self {
            proxy: folder.join("codis-proxy"),
            meta: folder.join("codis-meta"),
            admin: folder.join("codis-admin"),
            redis_server: PathBuf::from("redis-server"),
        }
    }

    /// Whether all of them are there.
    pub(super) fn check(&self) -> Result<(), ClusterError> {
        for program in [&self.proxy, &self.meta, &self.admin] {
            if !program.is_file() {
                return Err(ClusterError::Program(format!(
                    "{} is missing: build it with `cargo build --workspace --bins`, or name its folder with --bin-dir",
                    program.display()
                )));
            }
        }
        for program in [&self.redis_server, Path::new("setpriv"), Path::new("setsid")] {
            if !is_found(program) {
                return Err(ClusterError::Program(format!(
                    "{} is not installed (or not in PATH)",
                    program.display()
                )));
            }
        }
        Ok(())
    }
}

fn is_found(program: &Path) -> bool {
    if program.components().count() > 1 {
        return program.is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
