//! The command line: Codis's own flags, and what each does to the settings.
//!
//! Reading only. Opening files, setting limits and starting shards is for `main`.

use crate::config::{Loaded, ProxyConfig, Secret};
use clap::Parser;
use codis_service::flags::{self, CliError, STYLES, secret};
use codis_service::logging::Level;
use std::path::PathBuf;

/// What stands under the flags in the help text.
const EXAMPLES: &str = "\
Examples:
  codis-proxy --default-config > proxy.toml
  codis-proxy --ncpu=4 -c proxy.toml -l /var/log/codis/proxy.log --log-level=WARN
  codis-proxy -c proxy.toml --meta=10.0.0.1:18080,10.0.0.2:18080,10.0.0.3:18080
  codis-proxy --ncpu=2 --fillslots=slots.json --pidfile=/run/codis-proxy.pid

The metadata group says which server has which slot, and codis-admin tells the group. Without a group,
a slots file says which server has which of the 1024 slots:
  [{\"id\":0,\"backend_addr\":\"127.0.0.1:6380\",\"backend_addr_group_id\":1}, ...]

Signals: TERM and INT stop accepting, answer what is in flight (at most shutdown_timeout) and end;
HUP opens the log file anew.";

/// Why a proxy that has its slots from two places does not start.
const TWO_SOURCES: &str = "--fillslots and a metadata group (meta_addr, --meta, or embedded in [meta]) \
                           would both say which server has which slot; choose one";

/// The flags of `codis-proxy`.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "codis-proxy",
    version,
    about = "Makes many Redis servers look like one",
    after_help = EXAMPLES,
    styles = STYLES,
    max_term_width = 100
)]
pub struct Cli {
    /// How many cores to use, one shard (a pinned thread) on each
    ///
    /// Default: every core that this process may run on.
    #[arg(long, value_name = "N")]
    pub ncpu: Option<usize>,

    /// Read settings from this TOML file; without it, all settings have their defaults
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Write the log to FILE.YYYY-MM-DD, a new one each day (UTC); without it, to stderr
    #[arg(short, long, value_name = "FILE")]
    pub log: Option<PathBuf>,

    /// The least severe messages to log: NONE, DEBUG, INFO, WARN, ERROR or PANIC, in any case
    #[arg(long, value_name = "LEVEL", default_value = "INFO")]
    pub log_level: Level,

    /// The admin address to show to others when it is not the one listened on, such as 10.0.0.5:11080
    #[arg(long, value_name = "ADDR")]
    pub host_admin: Option<String>,

    /// The proxy address to show to others when it is not the one listened on, such as 10.0.0.5:19000
    #[arg(long, value_name = "ADDR")]
    pub host_proxy: Option<String>,

    /// Follow the metadata group with these members; overrides meta_addr of the configuration
    #[arg(long, value_name = "HOST:PORT,...", value_delimiter = ',')]
    pub meta: Vec<String>,

    /// Take the slots from this JSON file, without a metadata group, and serve at once
    #[arg(long, value_name = "FILE")]
    pub fillslots: Option<PathBuf>,

    /// How many files and sockets this process must be able to have open, such as 20000
    #[arg(long, value_name = "N")]
    pub ulimit: Option<u64>,

    /// Write the process id to this file; it is removed at the end
    #[arg(long, value_name = "FILE")]
    pub pidfile: Option<PathBuf>,

    /// Overrides product_name of the configuration
    #[arg(long = "product_name", alias = "product-name", value_name = "NAME")]
    pub product_name: Option<String>,

    /// Overrides product_auth: the password of the Redis servers. Others can see a command line; a
    /// file is safer
    #[arg(long = "product_auth", alias = "product-auth", value_name = "PASSWORD", value_parser = secret)]
    pub product_auth: Option<Secret>,

    /// Overrides session_auth: the password that clients must give. Others can see a command line; a
    /// file is safer
    #[arg(long = "session_auth", alias = "session-auth", value_name = "PASSWORD", value_parser = secret)]
    pub session_auth: Option<Secret>,

    /// Print a complete configuration file with every default, and end
    #[arg(long)]
    pub default_config: bool,

    #[command(flatten)]
    retired: Retired,
}

/// Flags of Codis that have no meaning here: accepted, so that existing scripts start, and warned of.
#[derive(Debug, Clone, clap::Args)]
struct Retired {
    #[arg(long, hide = true)]
    max_ncpu: Option<String>,
    #[arg(long, hide = true)]
    dashboard: Option<String>,
    #[arg(long, hide = true)]
    zookeeper: Option<String>,
    #[arg(long, hide = true, value_parser = secret)]
    zookeeper_auth: Option<Secret>,
    #[arg(long, hide = true)]
    etcd: Option<String>,
    #[arg(long, hide = true, value_parser = secret)]
    etcd_auth: Option<Secret>,
    #[arg(long, hide = true)]
    filesystem: Option<String>,
    #[arg(long, hide = true)]
    slots: Option<String>,
}

impl Cli {
    /// The settings that the file and the flags give together; a flag overrides the file. The warnings
    /// are the file's and those for flags without meaning.
    ///
    /// # Errors
    /// The file is wrong, or a flag's value is.
    pub fn settings(&self) -> Result<Loaded, CliError> {
        let mut loaded = match &self.config {
            Some(path) => crate::config::load(path)?,
            None => Loaded { config: ProxyConfig::default(), warnings: Vec::new() },
        };
        let config = &mut loaded.config;
        if let Some(name) = &self.product_name {
            config.product_name.clone_from(name);
        }
        if let Some(password) = &self.product_auth {
            config.product_auth.clone_from(password);
        }
        if let Some(password) = &self.session_auth {
            config.session_auth.clone_from(password);
        }
        if !self.meta.is_empty() {
            config.meta_addr.clone_from(&self.meta);
        }
        // The file was checked, so what is wrong now came from a flag.
        let wrong = config.faults();
        if !wrong.is_empty() {
            return Err(CliError::Flag(wrong.join("; ")));
        }
        if self.fillslots.is_some() && config.follows_group() {
            return Err(CliError::Flag(TWO_SOURCES.into()));
        }
        for (flag, shown) in
            [("--host-admin", &self.host_admin), ("--host-proxy", &self.host_proxy)]
        {
            if let Some(Err(what)) = shown.as_deref().map(crate::address::check_server) {
                return Err(CliError::Flag(format!("{flag}: {what}")));
            }
        }
        loaded.warnings.extend(self.retired.warnings());
        Ok(loaded)
    }
}

impl Retired {
    /// One sentence for each flag that was given.
    fn warnings(&self) -> Vec<String> {
        const COORDINATOR: &str = "the proxy has its slots from the metadata group; name its members with --meta=HOST:PORT[,...]";
        let flags = [
            (
                "--max-ncpu",
                self.max_ncpu.is_some(),
                "the number of shards is fixed at start; see --ncpu",
            ),
            ("--dashboard", self.dashboard.is_some(), COORDINATOR),
            ("--zookeeper", self.zookeeper.is_some(), COORDINATOR),
            ("--zookeeper-auth", self.zookeeper_auth.is_some(), COORDINATOR),
            ("--etcd", self.etcd.is_some(), COORDINATOR),
            ("--etcd-auth", self.etcd_auth.is_some(), COORDINATOR),
            ("--filesystem", self.filesystem.is_some(), COORDINATOR),
            ("--slots", self.slots.is_some(), "give the slots with --fillslots=FILE"),
        ];
        flags::warnings(&flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn cli(flags: &[&str]) -> Cli {
        let all = std::iter::once("codis-proxy").chain(flags.iter().copied());
        Cli::try_parse_from(all).expect("good flags")
    }

    fn refused(flags: &[&str]) -> String {
        let all = std::iter::once("codis-proxy").chain(flags.iter().copied());
        Cli::try_parse_from(all).expect_err("bad flags").to_string()
    }

    #[test]
    fn the_flags_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn codis_own_command_line_is_understood() {
        let cli = cli(&[
            "--ncpu=1",
            "-c",
            "proxy.toml",
            "-l",
            "proxy.log",
            "--log-level=WARN",
            "--host-admin=10.0.0.1:11080",
            "--host-proxy=10.0.0.1:19000",
            "--fillslots=slots.json",
            "--ulimit=20000",
            "--pidfile=proxy.pid",
            "--product_name=p",
            "--product_auth=a",
            "--session_auth=b",
        ]);
        assert_eq!(cli.ncpu, Some(1));
        assert_eq!(cli.config, Some("proxy.toml".into()));
        assert_eq!(cli.log, Some("proxy.log".into()));
        assert_eq!(cli.log_level, Level::Warn);
        assert_eq!(cli.host_admin.as_deref(), Some("10.0.0.1:11080"));
        assert_eq!(cli.host_proxy.as_deref(), Some("10.0.0.1:19000"));
        assert_eq!(cli.fillslots, Some("slots.json".into()));
        assert_eq!(cli.ulimit, Some(20_000));
        assert_eq!(cli.pidfile, Some("proxy.pid".into()));
    }

    #[test]
    fn flags_override_the_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("proxy.toml");
        let text = "product_name = \"file\"\nsession_auth = \"file\"\nproduct_auth = \"file\"\n";
        std::fs::write(&path, text).expect("written");
        let config = format!("--config={}", path.display());
        let given = cli(&[&config, "--product_name=flag", "--session_auth=flag"]);
        let config = given.settings().expect("good settings").config;
        assert_eq!(config.product_name, "flag");
        assert!(config.session_auth.matches(b"flag"));
        assert!(config.product_auth.matches(b"file"));
    }

    #[test]
    fn an_impossible_flag_is_named() {
        let error = cli(&["--product_name=a b"]).settings().expect_err("a bad name");
        assert_eq!(
            error.to_string(),
            "on the command line: product_name: \"a b\" has characters other than letters, digits, \
             '_', '-' and '.'"
        );
        let error = cli(&["--host-proxy=19000"]).settings().expect_err("no host");
        assert_eq!(
            error.to_string(),
            "on the command line: --host-proxy: \"19000\" is not an address: it wants host:port, such \
             as 127.0.0.1:6379"
        );
    }

    #[test]
    fn the_group_on_the_command_line_takes_the_place_of_the_one_in_the_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("proxy.toml");
        std::fs::write(&path, "meta_addr = [\"old:1\"]\n").expect("written");
        let config = format!("--config={}", path.display());
        let given = cli(&[&config, "--meta=10.0.0.1:18080,meta-2:18080"]);
        let settings = given.settings().expect("good settings");
        assert_eq!(settings.config.meta_addr, ["10.0.0.1:18080", "meta-2:18080"]);
        let kept = cli(&[&config]).settings().expect("good settings").config;
        assert_eq!(kept.meta_addr, ["old:1"]);
        let error = cli(&["--meta=10.0.0.1"]).settings().expect_err("no port");
        assert_eq!(
            error.to_string(),
            "on the command line: meta_addr: \"10.0.0.1\" is not an address: it wants host:port, such \
             as 127.0.0.1:6379"
        );
    }

    #[test]
    fn slots_come_from_a_file_or_from_a_group_and_not_from_both() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("proxy.toml");
        std::fs::write(&path, "[meta]\nembedded = true\n").expect("written");
        let config = format!("--config={}", path.display());
        for group in ["--meta=10.0.0.1:18080", &config] {
            let error = cli(&[group, "--fillslots=slots.json"]).settings().expect_err("both");
            assert_eq!(error.to_string(), format!("on the command line: {TWO_SOURCES}"));
            assert!(cli(&[group]).settings().is_ok());
        }
        assert!(cli(&["--fillslots=slots.json"]).settings().is_ok());
    }

    #[test]
    fn flags_that_lost_their_meaning_are_warned_of_and_hidden() {
        let given = cli(&["--max-ncpu=8", "--zookeeper=10.0.0.1:2181"]);
        assert_eq!(
            given.settings().expect("good settings").warnings,
            [
                "--max-ncpu is ignored: the number of shards is fixed at start; see --ncpu",
                "--zookeeper is ignored: the proxy has its slots from the metadata group; name its \
                 members with --meta=HOST:PORT[,...]",
            ]
        );
        let help = Cli::command().render_long_help().to_string();
        assert!(!help.contains("zookeeper") && help.contains("--ncpu <N>"));
    }

    #[test]
    fn a_level_that_does_not_exist_is_refused_with_those_that_do() {
        let message = refused(&["--log-level=loud"]);
        assert!(message.contains("NONE, DEBUG, INFO, WARN, ERROR, PANIC"), "{message}");
    }

    #[test]
    fn debug_shows_no_password() {
        let shown = format!("{:?}", cli(&["--product_auth=hunter2", "--session_auth=hunter2"]));
        assert!(!shown.contains("hunter2"));
    }
}
