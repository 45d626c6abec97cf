//! Flags of Codis's own codis-admin: whoever types one is told what it is called here.

use std::ffi::OsString;

/// A flag of Codis's codis-admin, and what to type here; the most telling first, as several stand in one line.
const FLAGS: &[(&str, &str)] = &[
    ("--create-group", "group create --gid N"),
    ("--remove-group", "group remove --gid N"),
    ("--list-group", "group list"),
    ("--group-status", "group list"),
    ("--group-add", "group add --gid N --addr HOST:PORT"),
    ("--group-del", "group del --gid N --addr HOST:PORT"),
    ("--replica-groups", "group replica-reads --gid N --addr HOST:PORT --enabled true"),
    ("--promote-server", "group promote --gid N --addr HOST:PORT"),
    ("--sync-action", "group sync --addr HOST:PORT"),
    (
        "--slots-assign",
        "slots assign --beg N --end N --gid N, or: codis-admin slots offline --beg N --end N",
    ),
    ("--slots-status", "slots list"),
    (
        "--slot-action",
        "slots migrate --beg N --end N --gid N, or: --from-gid N --to-gid N --count N; slots cancel, pause, resume, \
         status",
    ),
    ("--rebalance", "slots rebalance"),
    ("--list-proxy", "proxy list"),
    ("--proxy-status", "proxy list"),
    ("--remove-proxy", "proxy remove --token T"),
    ("--config-dump", "meta backup FILE"),
    ("--config-restore", "meta restore FILE"),
    ("--dashboard-list", "status"),
    ("--dashboard", "--meta=HOST:PORT[,...] status"),
];

/// Flags that nothing here answers to, and why.
const GONE: &[(&str, &str)] = &[
    (
        "--create-proxy",
        "a proxy registers by itself: set meta_addr in its proxy.toml, or start it with --meta",
    ),
    (
        "--online-proxy",
        "a proxy registers by itself: set meta_addr in its proxy.toml, or start it with --meta",
    ),
    ("--reinit-proxy", "proxies follow every change by themselves"),
    ("--resync-group", "proxies follow every change by themselves"),
    ("--remove-lock", "the metadata group needs no lock, and leaves none behind"),
    ("--zookeeper", "the metadata group takes the place of ZooKeeper"),
    ("--etcd", "the metadata group takes the place of etcd"),
    ("--proxy", "ask the proxy itself on its admin_addr, or: codis-admin proxy list"),
];

/// What to tell somebody who typed flags of Codis's codis-admin.
pub(crate) fn advice(args: impl IntoIterator<Item = OsString>) -> Option<String> {
    let typed: Vec<String> =
        args.into_iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let typed = |flag: &str| {
        typed.iter().any(|arg| {
            arg.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        })
    };
    let renamed = FLAGS.iter().find(|(flag, _)| typed(flag)).map(|(flag, command)| {
        format!("{flag} is a flag of Codis's codis-admin. Here it is: codis-admin {command}")
    });
    let gone = || {
        GONE.iter().find(|(flag, _)| typed(flag)).map(|(flag, why)| {
            format!("{flag} is a flag of Codis's codis-admin that is not needed here: {why}")
        })
    };
    // --dashboard says only where the others were to be done.
    match renamed {
        Some(advice) if !advice.starts_with("--dashboard ") => Some(advice),
        dashboard => gone().or(dashboard),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory;

    fn advice_for(line: &str) -> Option<String> {
        advice(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn a_flag_of_codis_is_answered_with_the_command_that_does_it() {
        let advice = advice_for("--dashboard=127.0.0.1:18080 --create-group --gid=1").expect("one");
        assert!(advice.ends_with("codis-admin group create --gid N"), "{advice}");
        let advice = advice_for("--dashboard=127.0.0.1:18080").expect("one");
        assert!(advice.contains("--meta=HOST:PORT"), "{advice}");
        let advice = advice_for("--dashboard=a:1 --online-proxy --addr=b:2").expect("one");
        assert!(advice.contains("registers by itself"), "{advice}");
    }

    #[test]
    fn the_commands_of_today_are_left_alone() {
        assert_eq!(advice_for("proxy remove --token=a --force --confirm"), None);
        assert_eq!(advice_for("group list"), None);
    }

    #[test]
    fn no_flag_of_today_is_taken_for_an_old_one() {
        fn check(command: &clap::Command) {
            for long in command.get_arguments().filter_map(clap::Arg::get_long) {
                assert_eq!(advice([format!("--{long}").into()]), None);
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
