//! What can be typed. Slots and their moves are in `slots`.

mod slots;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use codis_service::flags::STYLES;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use slots::{By, Follow, SlotsCommand, Which};

const EXAMPLES: &str = "\
Examples:
  codis-admin status
  codis-admin --meta=10.0.0.1:18080,10.0.0.2:18080,10.0.0.3:18080 group list
  codis-admin group create --gid 1
  codis-admin group add --gid 1 --addr 10.0.1.1:6379
  codis-admin slots assign --beg 0 --end 1023 --gid 1
  CODIS_META=10.0.0.1:18080 CODIS_AUTH=secret codis-admin --json status | jq .epoch

Exit codes: 0 done, 1 failed, 2 the command line was not understood.";

/// The command line of `codis-admin`.
#[derive(Debug, Parser)]
#[command(
    name = "codis-admin",
    version,
    about = "Looks at a product of Codis and changes it, through its metadata group",
    after_help = EXAMPLES,
    styles = STYLES,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) group: Group,

    /// Print JSON for scripts
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the group is, and how it is spoken to.
#[derive(Debug, Args)]
pub(crate) struct Group {
    /// Members of the metadata group, HOST:PORT each; any one that runs will do
    #[arg(
        long,
        value_name = "HOST:PORT,...",
        env = "CODIS_META",
        default_value = "127.0.0.1:18080",
        value_delimiter = ',',
        global = true
    )]
    pub(crate) meta: Vec<String>,

    /// The product's password (product_auth). Others can see a command line; --auth-file or the environment's CODIS_AUTH
    /// is safer
    // Not by clap: what the environment has would stand in the way of --auth-file.
    #[arg(long, value_name = "TOKEN", global = true)]
    pub(crate) auth: Option<String>,

    /// Read the product's password from this file
    #[arg(long, value_name = "FILE", conflicts_with = "auth", global = true)]
    pub(crate) auth_file: Option<PathBuf>,

    /// Encrypt, and check the members' certificates against this authority's (PEM)
    #[arg(long, value_name = "FILE", env = "CODIS_TLS_CA", global = true)]
    pub(crate) tls_ca: Option<PathBuf>,

    /// How many seconds the group may be away, through elections and all
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds, global = true)]
    pub(crate) timeout: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || "give a number of seconds, such as 10 or 0.5".to_owned();
    let number: f64 = text.parse().map_err(|_| wrong())?;
    let time = Duration::try_from_secs_f64(number).map_err(|_| wrong())?;
    if time.is_zero() || time > Duration::from_secs(24 * 3600) { Err(wrong()) } else { Ok(time) }
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show members, groups, slots and proxies, and what is wrong with them
    #[command(after_help = "Example:\n  codis-admin status")]
    Status,
    /// Groups of Redis servers: a master and its replicas each
    #[command(subcommand, after_help = "Example:\n  codis-admin group list")]
    Group(GroupCommand),
    /// Which group has which of the 1024 slots
    #[command(subcommand, after_help = "Example:\n  codis-admin slots list")]
    Slots(SlotsCommand),
    /// The proxies that follow the group
    #[command(subcommand, after_help = "Example:\n  codis-admin proxy list")]
    Proxy(ProxyCommand),
    /// The members of the metadata group, and backups
    #[command(subcommand, after_help = "Example:\n  codis-admin meta status")]
    Meta(MetaCommand),
    /// The product's settings
    #[command(subcommand, after_help = "Example:\n  codis-admin config get")]
    Config(ConfigCommand),
    /// Print each change as it is made, until Ctrl-C
    #[command(after_help = "Example:\n  codis-admin watch\n  codis-admin --json watch --all")]
    Watch {
        /// Also what the leader does by itself many times a second
        #[arg(long)]
        all: bool,
    },
    /// Print the completions of a shell
    #[command(
        after_help = "Example:\n  codis-admin completion bash > /etc/bash_completion.d/codis-admin"
    )]
    Completion {
        /// The shell
        shell: Shell,
    },
}

/// How long a change waits for proxies.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Wait {
    /// Do not wait for the proxies to work by the change
    #[arg(long)]
    pub(crate) no_wait: bool,
}

/// The consent to what cannot be undone.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Consent {
    /// Do it without a question
    #[arg(long)]
    pub(crate) confirm: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// Create a group without servers
    #[command(after_help = "Example:\n  codis-admin group create --gid 1")]
    Create {
        /// The group's number, 1 to 9999
        #[arg(long)]
        gid: u32,
        #[command(flatten)]
        wait: Wait,
    },
    /// Remove a group that has no servers and no slots
    #[command(after_help = "Example:\n  codis-admin group remove --gid 1 --confirm")]
    Remove {
        /// The group's number
        #[arg(long)]
        gid: u32,
        #[command(flatten)]
        consent: Consent,
        #[command(flatten)]
        wait: Wait,
    },
    /// List the groups with their servers as they answer
    #[command(after_help = "Example:\n  codis-admin group list")]
    List,
    /// Add a server; the first one of a group is its master
    #[command(
        after_help = "Example:\n  codis-admin group add --gid 1 --addr 10.0.1.1:6379 --datacenter east"
    )]
    Add {
        /// The group's number
        #[arg(long)]
        gid: u32,
        /// The server: host:port, or the path of a unix socket
        #[arg(long)]
        addr: String,
        /// The data center that it is in: proxies read from replicas of their own first
        #[arg(long, default_value = "", hide_default_value = true)]
        datacenter: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Take a server out of its group; its data stays where it is
    #[command(
        after_help = "Example:\n  codis-admin group del --gid 1 --addr 10.0.1.2:6379 --confirm"
    )]
    Del {
        /// The group's number
        #[arg(long)]
        gid: u32,
        /// The server
        #[arg(long)]
        addr: String,
        #[command(flatten)]
        consent: Consent,
        #[command(flatten)]
        wait: Wait,
    },
    /// Make a replica the master of its group; no acknowledged write is lost
    #[command(after_help = "Example:\n  codis-admin group promote --gid 1 --addr 10.0.1.2:6379")]
    Promote {
        /// The group's number
        #[arg(long)]
        gid: u32,
        /// The replica
        #[arg(long)]
        addr: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Make a server a replica of its group's master; its own data is replaced
    #[command(after_help = "Example:\n  codis-admin group sync --addr 10.0.1.2:6379 --confirm")]
    Sync {
        /// The server
        #[arg(long)]
        addr: String,
        /// Begin it and end: `group list` shows how far it is
        #[arg(long)]
        detach: bool,
        #[command(flatten)]
        consent: Consent,
    },
    /// Move all slots of a group to the others, evenly: to take its servers away afterwards
    #[command(after_help = "Examples:
  codis-admin group drain --gid 3                      # shows the plan, and asks
  codis-admin group drain --gid 3 --by bytes --confirm --wait")]
    Drain {
        /// The group's number
        #[arg(long)]
        gid: u32,
        /// What the other groups should have an even part of
        #[arg(long, value_enum, default_value_t = By::Slots)]
        by: By,
        #[command(flatten)]
        consent: Consent,
        #[command(flatten)]
        follow: Follow,
    },
    /// Let a server answer reads while it is a replica, or not
    #[command(
        after_help = "Example:\n  codis-admin group replica-reads --gid 1 --addr 10.0.1.2:6379 --enabled true"
    )]
    ReplicaReads {
        /// The group's number
        #[arg(long)]
        gid: u32,
        /// The server
        #[arg(long)]
        addr: String,
        /// Whether it does
        #[arg(long, action = clap::ArgAction::Set)]
        enabled: bool,
        #[command(flatten)]
        wait: Wait,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProxyCommand {
    /// List the proxies with their counters
    #[command(after_help = "Example:\n  codis-admin proxy list")]
    List,
    /// Take a proxy off the list: one that has stopped, or with --force any one
    #[command(
        after_help = "Example:\n  codis-admin proxy remove --token 7738f5daf6bbba450447fa879c0ea079 --confirm"
    )]
    Remove {
        /// The proxy's token, as `proxy list` shows it
        #[arg(long)]
        token: String,
        /// Also one that may still run: it is shut out of every server
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        consent: Consent,
        #[command(flatten)]
        wait: Wait,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MetaCommand {
    /// Show the members and how far each is
    #[command(after_help = "Example:\n  codis-admin meta status")]
    Status,
    /// Add a member: start it first, with the whole list of members in its configuration
    #[command(after_help = "Example:\n  codis-admin meta add --id 4 --addr 10.0.0.4:18080")]
    Add {
        /// Its id, which no member has or had
        #[arg(long)]
        id: u64,
        /// Where the others reach it
        #[arg(long)]
        addr: String,
        /// How many seconds to wait until it has caught up and votes
        #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
        wait: Duration,
    },
    /// Remove a member
    #[command(after_help = "Example:\n  codis-admin meta remove --id 4 --confirm")]
    Remove {
        /// Its id
        #[arg(long)]
        id: u64,
        #[command(flatten)]
        consent: Consent,
    },
    /// Hand leadership over to another member
    #[command(after_help = "Example:\n  codis-admin meta transfer --to 2")]
    Transfer {
        /// Who is to lead
        #[arg(long)]
        to: u64,
    },
    /// Write the whole state to a file
    #[command(after_help = "Example:\n  codis-admin meta backup codis-$(date +%F).backup")]
    Backup {
        /// The file; - for standard output
        file: PathBuf,
        /// Replace a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Put a backup into a group that holds nothing yet
    #[command(
        after_help = "Example:\n  codis-admin meta restore codis-2026-01-31.backup --confirm"
    )]
    Restore {
        /// The file; - for standard input
        file: PathBuf,
        #[command(flatten)]
        consent: Consent,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show settings, all of them where none is named
    #[command(after_help = "Example:\n  codis-admin config get barrier_deadline")]
    Get {
        /// Names of settings
        names: Vec<String>,
    },
    /// Set settings, all or none; an empty value sets the default again
    #[command(
        after_help = "Example:\n  codis-admin config set barrier_deadline=3s migration_interval="
    )]
    Set {
        /// NAME=VALUE, or NAME VALUE for a single one as in Redis
        #[arg(required = true, value_name = "NAME=VALUE")]
        settings: Vec<String>,
        #[command(flatten)]
        wait: Wait,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_flags_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        fn look(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "{} has none", command.get_name());
            command.get_subcommands().for_each(look);
        }
        look(&Cli::command());
    }

    #[test]
    fn every_command_is_in_the_documentation() {
        fn look(command: &clap::Command, path: &str) {
            let docs = include_str!("../../../../../docs/codis-admin.md");
            for sub in command.get_subcommands() {
                let path = format!("{path} {}", sub.get_name());
                assert!(docs.contains(path.trim()), "docs/codis-admin.md lacks {path}");
                look(sub, &path);
            }
        }
        look(&Cli::command(), "");
    }

    #[test]
    fn members_are_a_list_and_may_follow_the_command() {
        let cli = Cli::try_parse_from(["codis-admin", "status", "--meta=a:1,b:2"]).expect("good");
        assert_eq!(cli.group.meta, ["a:1", "b:2"]);
    }

    #[test]
    fn slots_to_migrate_are_a_range_or_a_number_of_one_groups() {
        let parse = |line: &str| {
            let words = ["codis-admin", "slots", "migrate"].into_iter().chain(line.split(' '));
            Cli::try_parse_from(words).map(|_| ())
        };
        for line in ["--beg 0 --end 9 --gid 2", "--from-gid 1 --to-gid 2 --count 5 --wait"] {
            assert!(parse(line).is_ok(), "{line}");
        }
        for line in [
            "--wait",
            "--beg 0 --end 9",
            "--gid 2",
            "--from-gid 1 --to-gid 2",
            "--to-gid 2 --count 5",
            "--beg 0 --end 9 --gid 2 --count 5",
            "--beg 0 --end 9 --gid 2 --from-gid 1 --to-gid 2 --count 5",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_timeout_is_a_number_of_seconds() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["0", "-1", "x", "nan", "1e9"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
