//! Peers, by a small file each that says how to start them: `bench/peers/*.toml`.
//!
//! In arguments and in the configuration these are filled in: `@PORT@` (where it shall listen), `@OTHER_PORT@` (a second
//! one), `@FOLDER@`, `@THREADS@`, and `@SERVERS@`, which is the text `server` once for each server with its `@ADDRESS@`,
//! `@HOST@`, `@SERVER_PORT@` and `@NUMBER@`.

use codis_testbed::free_port;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How a peer is started.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adapter {
    /// Its name in tables.
    pub name: String,
    /// Its program, looked for in PATH.
    pub program: PathBuf,
    /// Arguments with which it says its version.
    pub version: Vec<String>,
    /// Debian's package of it, if there is one.
    #[serde(default)]
    pub package: String,
    /// Whether it can have several threads.
    pub threads: bool,
    /// Its arguments.
    pub args: Vec<String>,
    /// What stands for one server in its configuration.
    pub server: String,
    /// The name of the file with its configuration: some tell its language by that.
    #[serde(default = "plain")]
    pub file: String,
    /// Its configuration.
    pub config: String,
}

fn plain() -> String {
    "config".to_owned()
}

/// A peer's arguments and configuration, filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filled {
    pub(crate) port: u16,
    pub(crate) args: Vec<String>,
    pub(crate) config: String,
}

impl Adapter {
    /// Reads an adapter.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Whether its program is installed.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(&self.program).is_file())
    }

    /// What it says of its version.
    #[must_use]
    pub fn version(&self) -> String {
        let Ok(output) = Command::new(&self.program).args(&self.version).output() else {
            return self.name.clone();
        };
        // Some print it where errors go.
        let text = [output.stdout, output.stderr].concat();
        match version_in(&String::from_utf8_lossy(&text)) {
            Some(version) => format!("{} {version}", self.name),
            None => self.name.clone(),
        }
    }

    pub(crate) fn fill(&self, servers: &[String], threads: usize, folder: &Path) -> Filled {
        let (port, other) = (free_port(), free_port());
        let server = |(number, address): (usize, &String)| {
            let (host, server_port) = address.rsplit_once(':').unwrap_or((address, ""));
            self.server
                .replace("@ADDRESS@", address)
                .replace("@HOST@", host)
                .replace("@SERVER_PORT@", server_port)
                .replace("@NUMBER@", &(number + 1).to_string())
        };
        let servers: Vec<String> = servers.iter().enumerate().map(server).collect();
        let fill = |text: &str| {
            text.replace("@PORT@", &port.to_string())
                .replace("@OTHER_PORT@", &other.to_string())
                .replace("@THREADS@", &threads.to_string())
                .replace("@FOLDER@", &folder.display().to_string())
                .replace("@SERVERS@", &servers.join("\n"))
        };
        let args = self.args.iter().map(|arg| fill(arg)).collect();
        Filled { port, args, config: fill(&self.config) }
    }
}

/// The first word that is a version, such as `1.40.0` in `envoy  version: 9e55/1.40.0/Clean`.
fn version_in(text: &str) -> Option<&str> {
    let mut words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.'));
    words.find(|word| {
        let mut parts = word.split('.');
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        word.contains('.') && parts.all(is_number)
    })
}

/// The adapters in a folder, by name.
///
/// # Errors
/// What is wrong with one, in a sentence.
pub fn adapters(folder: &Path) -> Result<Vec<Adapter>, String> {
    let entries = std::fs::read_dir(folder)
        .map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let tomls = paths.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let mut all = tomls.map(|path| Adapter::read(&path)).collect::<Result<Vec<_>, _>>()?;
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::{adapters, version_in};
    use std::path::Path;

    #[test]
    fn a_version_is_found_in_what_programs_print_of_themselves() {
        for (text, version) in [
            ("This is nutcracker-0.5.0\n", Some("0.5.0")),
            ("\nenvoy  version: 9e55/1.40.0/Clean/RELEASE/BoringSSL", Some("1.40.0")),
            ("usage: it has none...", None),
        ] {
            assert_eq!(version_in(text), version, "{text}");
        }
    }

    #[test]
    fn every_adapter_names_its_servers_and_leaves_nothing_to_fill_in() {
        let all = adapters(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/peers")));
        let all = all.expect("all can be read");
        assert!(all.iter().any(|adapter| adapter.name == "nutcracker"));
        let servers = ["127.0.0.1:7001".to_owned(), "127.0.0.1:7002".to_owned()];
        for adapter in all {
            let filled = adapter.fill(&servers, 2, Path::new("/folder"));
            let text = format!("{} {}", filled.args.join(" "), filled.config);
            let has = |part: &str| assert!(text.contains(part), "{part} is missing in {text}");
            ["7001", "7002", "/folder", &filled.port.to_string()].into_iter().for_each(has);
            let left = text.split('@').skip(1).filter(|word| word.starts_with(char::is_uppercase));
            assert_eq!(left.count(), 0, "{text}");
        }
    }
}
