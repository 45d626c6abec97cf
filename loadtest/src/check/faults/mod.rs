//! What goes wrong, and when.
//!
//! A script has one line for each fault: `5s kill server 1`. [`run`] carries it out on a cluster that was started here.

pub mod run;

use std::fmt;
use std::time::Duration;

/// A process of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// A Redis server, counted from 1 over all groups.
    Server(usize),
    /// A proxy.
    Proxy(usize),
    /// A member of the metadata group.
    Member(usize),
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// SIGKILL.
    Kill(Victim),
    /// Starts again what was killed.
    Start(Victim),
    /// SIGSTOP.
    Freeze(Victim),
    /// SIGCONT.
    Thaw(Victim),
    /// Cuts every connection of a server's or a proxy's clients.
    Cut(Victim),
    /// Moves slots, the first and the last included, to a group.
    Migrate {
        /// The first slot.
        first: usize,
        /// The last slot.
        last: usize,
        /// The group's number.
        gid: usize,
    },
    /// Makes a server the master of its group.
    Promote(usize),
}

/// A line of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// When, since the clients began.
    pub at: Duration,
    /// What.
    pub action: Action,
}

/// A script that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}\n  {text}")]
pub struct BadScript {
    line: usize,
    what: String,
    text: String,
}

/// How many there are of each.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Redis servers.
    pub servers: usize,
    /// Proxies.
    pub proxies: usize,
    /// Members.
    pub members: usize,
    /// Groups.
    pub groups: usize,
}

const USAGE: &str = "a line is TIME ACTION, where ACTION is kill, start, freeze or thaw with server N, proxy N or meta N; \
    cut server N or proxy N; migrate FIRST-LAST to GROUP; or promote server N (such as `5s kill server 1`)";

/// Reads a script for a cluster of this size. Blank lines, and what follows a `#`, mean nothing.
///
/// # Errors
/// The line that is wrong, and why.
pub fn parse(script: &str, size: Size) -> Result<Vec<Fault>, BadScript> {
    let mut faults: Vec<Fault> = Vec::new();
    for (number, text) in script.lines().enumerate() {
        let line = text.split('#').next().unwrap_or_default();
        if line.trim().is_empty() {
            continue;
        }
        let bad = |what: String| BadScript { line: number + 1, what, text: text.trim().to_owned() };
        let fault = parse_line(line, size).map_err(bad)?;
        if faults.last().is_some_and(|last| last.at > fault.at) {
            return Err(bad("lines have to be in order of time".to_owned()));
        }
        faults.push(fault);
    }
    Ok(faults)
}

fn parse_line(line: &str, size: Size) -> Result<Fault, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let usage = || USAGE.to_owned();
    let [at, action, rest @ ..] = &words[..] else { return Err(usage()) };
    let at = crate::cli::duration(at)?;
    let action = match (*action, rest) {
        ("migrate", [slots, "to", gid]) => migrate(slots, gid, size)?,
        ("promote", ["server", number]) => Action::Promote(within("server", number, size.servers)?),
        (action, [kind, number]) => {
            let victim = victim(kind, number, size)?;
            match action {
                "kill" => Action::Kill(victim),
                "start" => Action::Start(victim),
                "freeze" => Action::Freeze(victim),
                "thaw" => Action::Thaw(victim),
                "cut" if !matches!(victim, Victim::Member(_)) => Action::Cut(victim),
                _ => return Err(usage()),
            }
        }
        _ => return Err(usage()),
    };
    Ok(Fault { at, action })
}

fn migrate(slots: &str, gid: &str, size: Size) -> Result<Action, String> {
    let wrong = || format!("`{slots}` are no slots: give FIRST-LAST between 0 and 1023");
    let (first, last) = slots.split_once('-').ok_or_else(wrong)?;
    let (first, last) = (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
    if first > last || last > 1023 {
        return Err(wrong());
    }
    Ok(Action::Migrate { first, last, gid: within("group", gid, size.groups)? })
}

fn victim(kind: &str, number: &str, size: Size) -> Result<Victim, String> {
    match kind {
        "server" => Ok(Victim::Server(within(kind, number, size.servers)?)),
        "proxy" => Ok(Victim::Proxy(within(kind, number, size.proxies)?)),
        "meta" => Ok(Victim::Member(within(kind, number, size.members)?)),
        _ => Err(USAGE.to_owned()),
    }
}

fn within(kind: &str, number: &str, count: usize) -> Result<usize, String> {
    let number = number.parse().ok().filter(|number| (1..=count).contains(number));
    number.ok_or_else(|| match count {
        0 => format!("there is no {kind} in this cluster"),
        _ => format!("there is no such {kind}: this cluster has 1 to {count}"),
    })
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(number) => write!(f, "server {number}"),
            Self::Proxy(number) => write!(f, "proxy {number}"),
            Self::Member(number) => write!(f, "meta {number}"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(victim) => write!(f, "kill {victim}"),
            Self::Start(victim) => write!(f, "start {victim}"),
            Self::Freeze(victim) => write!(f, "freeze {victim}"),
            Self::Thaw(victim) => write!(f, "thaw {victim}"),
            Self::Cut(victim) => write!(f, "cut {victim}"),
            Self::Migrate { first, last, gid } => write!(f, "migrate {first}-{last} to {gid}"),
            Self::Promote(number) => write!(f, "promote server {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Size, Victim, parse};
    use std::time::Duration;

    const SIZE: Size = Size { servers: 4, proxies: 2, members: 3, groups: 2 };

    #[test]
    fn every_action_is_read_and_written_in_the_same_words() {
        let script = "\n# faults\n1s kill server 1\n1.5s start server 1 # again\n2s freeze proxy 2\n2500ms thaw proxy 2\n\
            3s cut server 4\n3s migrate 0-511 to 2\n4s promote server 2\n5s kill meta 3\n";
        let faults = parse(script, SIZE).expect("the script is good");
        let words: Vec<String> = faults.iter().map(|fault| fault.action.to_string()).collect();
        assert_eq!(words.len(), 8);
        for (line, words) in script.lines().filter(|line| line.contains('s')).skip(1).zip(words) {
            assert!(line.contains(&words), "{line}: {words}");
        }
        assert_eq!(faults[1].at, Duration::from_millis(1500));
        assert_eq!(faults[3].action, Action::Thaw(Victim::Proxy(2)));
    }

    #[test]
    fn what_is_no_script_is_refused_with_its_line() {
        for (script, part) in [
            ("1s kill", "line 1"),
            ("\nsoon kill server 1", "line 2"),
            ("1s kill server 5", "1 to 4"),
            ("1s kill server 0", "1 to 4"),
            ("1s cut meta 1", "a line is"),
            ("1s migrate 5-3 to 1", "no slots"),
            ("1s migrate 0-1024 to 1", "no slots"),
            ("1s migrate 0-5 to 3", "1 to 2"),
            ("2s kill server 1\n1s start server 1", "order of time"),
        ] {
            let error = parse(script, SIZE).expect_err(script).to_string();
            assert!(error.contains(part), "{script}: {error}");
        }
    }
}
