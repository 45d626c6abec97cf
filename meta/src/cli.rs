//! The command line of `codis-meta`: the flags of Codis's dashboard, and what each does to the settings.
//!
//! Reading only. Starting the log, the threads and the member is for the program.

use crate::config::{self, Configuration, Loaded, MetaConfig, Secret};
use clap::Parser;
use codis_service::flags::{self, CliError, STYLES, secret};
use codis_service::logging::Level;
use std::path::PathBuf;

/// What stands under the flags in the help text.
const EXAMPLES: &str = "\
Examples:
  codis-meta --default-config > meta.toml
  codis-meta -c meta.toml -l /var/log/codis/meta.log --log-level=WARN
  codis-meta -c dashboard.toml --ncpu=2 --pidfile=/run/codis-meta.pid

A group of three has the same line in the configuration of each member:
  members = [\"1@10.0.0.1:18080\", \"2@10.0.0.2:18080\", \"3@10.0.0.3:18080\"]
Without it, a member is a group by itself.

Signals: TERM and INT hand leadership over and end; HUP opens the log file anew.";

/// The flags of `codis-meta`.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "codis-meta",
    version,
    about = "One member of the group that holds a product's topology and drives its changes",
    after_help = EXAMPLES,
    styles = STYLES,
    max_term_width = 100
)]
pub struct Cli {
    /// How many cores to use at most
    ///
    /// Default: every core that this process may run on.
    #[arg(long, value_name = "N")]
    pub ncpu: Option<usize>,

    /// Read settings from this TOML file (a dashboard.toml of Codis will do); without it, all settings have
    /// their defaults
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Write the log to FILE.YYYY-MM-DD, a new one each day (UTC); without it, to stderr
    #[arg(short, long, value_name = "FILE")]
    pub log: Option<PathBuf>,

    /// The least severe messages to log: NONE, DEBUG, INFO, WARN, ERROR or PANIC, in any case
    #[arg(long, value_name = "LEVEL", default_value = "INFO")]
    pub log_level: Level,

    /// Overrides host_admin: where others reach this member when that is not the address listened on, such as
    /// 10.0.0.5:18080
    #[arg(long, value_name = "ADDR")]
    pub host_admin: Option<String>,

    /// Write the process id to this file; it is removed at the end
    #[arg(long, value_name = "FILE")]
    pub pidfile: Option<PathBuf>,

    /// Overrides product_name of the configuration
    #[arg(long = "product_name", alias = "product-name", value_name = "NAME")]
    pub product_name: Option<String>,

    /// Overrides product_auth: the password of the product. Others can see a command line; a file is safer
    #[arg(long = "product_auth", alias = "product-auth", value_name = "PASSWORD", value_parser = secret)]
    pub product_auth: Option<Secret>,

    /// Print a complete configuration file with every default, and end
    #[arg(long)]
    pub default_config: bool,

    #[command(flatten)]
    retired: Retired,
}

/// Flags of Codis's dashboard that have no meaning here: accepted, so that existing scripts start, and
/// warned of.
#[derive(Debug, Clone, clap::Args)]
struct Retired {
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
    remove_lock: bool,
}

impl Cli {
    /// The settings that the file and the flags give together; a flag overrides the file. The warnings
    /// are the file's and those for flags without meaning.
    ///
    /// # Errors
    /// The file is wrong, or a flag's value is.
    pub fn settings(&self) -> Result<Loaded, CliError> {
        let mut loaded = match &self.config {
            Some(path) => config::load(path)?,
            None => Loaded { config: MetaConfig::default(), warnings: Vec::new() },
        };
        let config = &mut loaded.config;
        if let Some(name) = &self.product_name {
            config.product_name.clone_from(name);
        }
        if let Some(password) = &self.product_auth {
            config.product_auth.clone_from(password);
        }
        if let Some(address) = &self.host_admin {
            config.host_admin.clone_from(address);
        }
        // The file was checked, so what is wrong now came from a flag.
        let wrong: Vec<String> = config.check().iter().map(ToString::to_string).collect();
        if !wrong.is_empty() {
            return Err(CliError::Flag(wrong.join("; ")));
        }
        loaded.warnings.extend(self.retired.warnings());
        Ok(loaded)
    }
}

impl Retired {
    /// One sentence for each flag that was given.
    fn warnings(&self) -> Vec<String> {
        const COORDINATOR: &str = "ZooKeeper, etcd and the file system are no longer needed: the group's \
                                   members keep the topology themselves, in data_dir";
        const LOCK: &str = "a member leaves no lock behind when it dies";
        flags::warnings(&[
            ("--zookeeper", self.zookeeper.is_some(), COORDINATOR),
            ("--zookeeper-auth", self.zookeeper_auth.is_some(), COORDINATOR),
            ("--etcd", self.etcd.is_some(), COORDINATOR),
            ("--etcd-auth", self.etcd_auth.is_some(), COORDINATOR),
            ("--filesystem", self.filesystem.is_some(), COORDINATOR),
            ("--remove-lock", self.remove_lock, LOCK),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn cli(flags: &[&str]) -> Cli {
        let all = std::iter::once("codis-meta").chain(flags.iter().copied());
        Cli::try_parse_from(all).expect("good flags")
    }

    #[test]
    fn the_flags_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_command_line_of_codis_dashboard_is_understood() {
        let cli = cli(&[
            "--ncpu=1",
            "-c",
            "dashboard.toml",
            "-l",
            "meta.log",
            "--log-level=warn",
            "--host-admin=10.0.0.1:18080",
            "--pidfile=meta.pid",
            "--product_name=p",
            "--product_auth=a",
        ]);
        assert_eq!(cli.ncpu, Some(1));
        assert_eq!(cli.config, Some("dashboard.toml".into()));
        assert_eq!(cli.log, Some("meta.log".into()));
        assert_eq!(cli.log_level, Level::Warn);
        assert_eq!(cli.pidfile, Some("meta.pid".into()));
        assert_eq!(cli.product_name.as_deref(), Some("p"));
    }

    #[test]
    fn flags_override_the_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("meta.toml");
        let text = "product_name = \"file\"\nproduct_auth = \"file\"\nhost_admin = \"file:1\"\n";
        std::fs::write(&path, text).expect("written");
        let config = format!("--config={}", path.display());
        let given = cli(&[&config, "--product_name=flag", "--host-admin=flag:2"]);
        let config = given.settings().expect("good settings").config;
        assert_eq!(config.product_name, "flag");
        assert!(config.product_auth.matches(b"file"));
        assert_eq!(config.own_member(), Ok((1, "flag:2".into())));
    }

    #[test]
    fn an_impossible_flag_is_named() {
        let error = cli(&["--host-admin=18080"]).settings().expect_err("no host");
        assert_eq!(
            error.to_string(),
            "on the command line: host_admin: \"18080\" is not an address: give host:port, such as \
             10.0.0.1:6379"
        );
    }

    #[test]
    fn flags_that_lost_their_meaning_are_warned_of_and_hidden() {
        let given = cli(&["--zookeeper=10.0.0.1:2181", "--remove-lock"]);
        assert_eq!(
            given.settings().expect("good settings").warnings,
            [
                "--zookeeper is ignored: ZooKeeper, etcd and the file system are no longer needed: the \
                 group's members keep the topology themselves, in data_dir",
                "--remove-lock is ignored: a member leaves no lock behind when it dies",
            ]
        );
        let help = Cli::command().render_long_help().to_string();
        assert!(!help.contains("zookeeper") && help.contains("--ncpu <N>"));
    }

    #[test]
    fn debug_shows_no_password() {
        let shown = format!("{:?}", cli(&["--product_auth=hunter2", "--zookeeper-auth=hunter2"]));
        assert!(!shown.contains("hunter2"));
    }
}
