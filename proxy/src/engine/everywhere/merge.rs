//! Putting the replies of several masters together.

use super::{Part, read};
use crate::resp::{Protocol, write};
use std::collections::BTreeSet;

/// How replies become one. An error of any of them is the answer, unless the rule says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// All did the same: what the first one says.
    Alike,
    /// The sum of the numbers.
    Sum,
    /// The least of the numbers.
    Least,
    /// The texts one after the other, each under its group's number.
    Text,
    /// The elements of all arrays in one.
    List,
    /// The same, without doubles.
    Names,
    /// Arrays of names and numbers, the same names in the same order: the sum of the numbers of each name.
    Counts,
    /// The greatest of the numbers.
    Most,
    /// One of them ran something that was ended: OK; none did: what the first one says.
    Kill,
    /// What the one says that runs a function, else the first one.
    Running,
}

impl Rule {
    pub(super) fn merge(self, parts: &[Part], protocol: Protocol) -> Vec<u8> {
        if self == Self::Kill {
            return killed(parts);
        }
        if let Some(failed) = parts.iter().find(|part| read::error(&part.reply).is_some()) {
            return failed.reply.clone();
        }
        let merged = match self {
            Self::Alike | Self::Kill => None,
            Self::Sum => numbers(parts).map(|numbers| number(numbers.iter().sum())),
            Self::Least => numbers(parts).and_then(|all| all.into_iter().min()).map(number),
            Self::Text => texts(parts, protocol),
            Self::List => list(parts),
            Self::Names => names(parts),
            Self::Counts => counts(parts),
            Self::Most => numbers(parts).and_then(|all| all.into_iter().max()).map(number),
            Self::Running => running(parts, protocol),
        };
        merged.unwrap_or_else(|| parts.first().map_or_else(Vec::new, |part| part.reply.clone()))
    }
}

fn number(value: i64) -> Vec<u8> {
    let mut out = Vec::new();
    write::integer(&mut out, value);
    out
}

/// The numbers, if all are.
fn numbers(parts: &[Part]) -> Option<Vec<i64>> {
    parts.iter().map(|part| read::integer(&part.reply)).collect()
}

/// SCRIPT KILL and FUNCTION KILL: that most masters have nothing to kill is no error.
fn killed(parts: &[Part]) -> Vec<u8> {
    let idle = |part: &&Part| part.reply.starts_with(b"-NOTBUSY");
    let told = parts.iter().find(|part| !idle(part) && read::error(&part.reply).is_some());
    let killed = parts.iter().find(|part| !idle(part));
    let first = told.or(killed).or(parts.first());
    first.map_or_else(Vec::new, |part| part.reply.clone())
}

fn texts(parts: &[Part], protocol: Protocol) -> Option<Vec<u8>> {
    if parts.len() == 1 {
        return None;
    }
    let mut whole = Vec::new();
    for part in parts {
        whole.extend_from_slice(format!("# group {}\n", part.group).as_bytes());
        whole.extend_from_slice(read::text(&part.reply)?);
        if !whole.ends_with(b"\n") {
            whole.push(b'\n');
        }
    }
    let mut out = Vec::with_capacity(whole.len() + 32);
    write::verbatim(&mut out, protocol, &whole);
    Some(out)
}

fn list(parts: &[Part]) -> Option<Vec<u8>> {
    let mut elements = Vec::new();
    for part in parts {
        elements.extend(read::elements(&part.reply)?);
    }
    let mut out = Vec::new();
    write::array(&mut out, elements.len());
    elements.iter().for_each(|element| out.extend_from_slice(element));
    Some(out)
}

fn names(parts: &[Part]) -> Option<Vec<u8>> {
    let mut names = BTreeSet::new();
    for part in parts {
        names.extend(read::elements(&part.reply)?);
    }
    let mut out = Vec::new();
    write::array(&mut out, names.len());
    names.iter().for_each(|name| out.extend_from_slice(name));
    Some(out)
}

fn counts<'a>(parts: &'a [Part]) -> Option<Vec<u8>> {
    let elements = |part: &'a Part| Some(read::elements(&part.reply)?.collect::<Vec<&[u8]>>());
    let all: Vec<Vec<&[u8]>> = parts.iter().map(elements).collect::<Option<_>>()?;
    let first = all.first()?;
    let mut out = Vec::new();
    write::array(&mut out, first.len());
    for (place, name) in first.iter().enumerate().step_by(2) {
        out.extend_from_slice(name);
        let counts = all.iter().map(|elements| read::integer(elements.get(place + 1)?));
        write::integer(&mut out, counts.sum::<Option<i64>>()?);
    }
    Some(out)
}

/// The reply to FUNCTION STATS. It was asked on a connection in RESP2.
fn running(parts: &[Part], protocol: Protocol) -> Option<Vec<u8>> {
    let busy = parts.iter().find(|part| runs(&part.reply)).or(parts.first())?;
    match protocol {
        Protocol::Resp2 => Some(busy.reply.clone()),
        Protocol::Resp3 => {
            let mut out = Vec::with_capacity(busy.reply.len());
            map(&busy.reply, &mut out)?;
            Some(out)
        }
    }
}

/// Writes a map of RESP2, and those that are its values, as RESP3 has them.
fn map(reply: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let elements: Vec<&[u8]> = read::elements(reply)?.collect();
    write::map(out, Protocol::Resp3, elements.len() / 2);
    for pair in elements.chunks_exact(2) {
        out.extend_from_slice(pair[0]);
        match pair[1] {
            b"$-1\r\n" | b"*-1\r\n" => write::null(out, Protocol::Resp3),
            // What is called is an array.
            array if array[0] == b'*' && read::text(pair[0]) != Some(b"command") => {
                map(array, out)?
            }
            value => out.extend_from_slice(value),
        }
    }
    Some(())
}

/// Whether a reply to FUNCTION STATS names a function that runs.
fn runs(reply: &[u8]) -> bool {
    const NAME: &[u8] = b"running_script\r\n";
    let Some(at) = memchr::memmem::find(reply, NAME) else { return false };
    let value = &reply[at + NAME.len()..];
    !["$-1\r", "*-1\r", "_\r"].iter().any(|null| value.starts_with(null.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(rule: Rule, replies: &[&str]) -> String {
        let part = |(group, reply): (u16, &&str)| Part { group, reply: reply.as_bytes().to_vec() };
        let parts: Vec<Part> = (1..).zip(replies).map(part).collect();
        String::from_utf8(rule.merge(&parts, Protocol::Resp2)).expect("text")
    }

    #[test]
    fn an_error_of_any_is_the_answer() {
        for rule in [Rule::Alike, Rule::Sum, Rule::Least, Rule::Text, Rule::List, Rule::Running] {
            assert_eq!(merged(rule, &[":1\r\n", "-ERR b\r\n", "-ERR c\r\n"]), "-ERR b\r\n");
        }
    }

    #[test]
    fn numbers_are_added_and_compared() {
        assert_eq!(merged(Rule::Sum, &[":1\r\n", ":2\r\n", ":-4\r\n"]), ":-1\r\n");
        assert_eq!(merged(Rule::Least, &[":7\r\n", ":5\r\n", ":6\r\n"]), ":5\r\n");
    }

    #[test]
    fn texts_of_several_groups_are_told_apart_and_a_single_one_is_as_it_is() {
        assert_eq!(merged(Rule::Text, &["$1\r\na\r\n"]), "$1\r\na\r\n");
        let both = "# group 1\na\n# group 2\nb\n";
        let expected = format!("${}\r\n{both}\r\n", both.len());
        assert_eq!(merged(Rule::Text, &["$1\r\na\r\n", "$2\r\nb\n\r\n"]), expected);
    }

    #[test]
    fn arrays_become_one() {
        assert_eq!(
            merged(Rule::List, &["*1\r\n:1\r\n", "*0\r\n", "*1\r\n:2\r\n"]),
            "*2\r\n:1\r\n:2\r\n"
        );
    }

    #[test]
    fn names_come_once_and_their_numbers_are_added() {
        let (a, b) = ("$1\r\na\r\n", "$1\r\nb\r\n");
        let replies = [format!("*2\r\n{a}{b}"), format!("*1\r\n{b}"), "*0\r\n".to_owned()];
        let replies: Vec<&str> = replies.iter().map(String::as_str).collect();
        assert_eq!(merged(Rule::Names, &replies), format!("*2\r\n{a}{b}"));
        let replies = [format!("*4\r\n{a}:1\r\n{b}:0\r\n"), format!("*4\r\n{a}:2\r\n{b}:5\r\n")];
        let replies: Vec<&str> = replies.iter().map(String::as_str).collect();
        assert_eq!(merged(Rule::Counts, &replies), format!("*4\r\n{a}:3\r\n{b}:5\r\n"));
        assert_eq!(merged(Rule::Counts, &["*0\r\n", "*0\r\n"]), "*0\r\n");
        assert_eq!(merged(Rule::Most, &[":1\r\n", ":3\r\n", ":2\r\n"]), ":3\r\n");
    }

    #[test]
    fn a_kill_is_one_that_any_server_had_something_to_kill_for() {
        let idle = "-NOTBUSY No scripts in execution right now.\r\n";
        assert_eq!(merged(Rule::Kill, &[idle, "+OK\r\n"]), "+OK\r\n");
        assert_eq!(merged(Rule::Kill, &[idle, idle]), idle);
        let never = "-UNKILLABLE it has written\r\n";
        assert_eq!(merged(Rule::Kill, &[idle, "+OK\r\n", never]), never);
    }

    #[test]
    fn the_master_that_runs_a_function_speaks_for_all() {
        let idle = "*2\r\n$14\r\nrunning_script\r\n$-1\r\n";
        let busy = "*2\r\n$14\r\nrunning_script\r\n*2\r\n+name\r\n$1\r\nf\r\n";
        assert_eq!(merged(Rule::Running, &[idle, busy]), busy);
        assert_eq!(merged(Rule::Running, &[idle, idle]), idle);
        let part = Part { group: 1, reply: idle.as_bytes().to_vec() };
        let resp3 = Rule::Running.merge(&[part], Protocol::Resp3);
        assert_eq!(resp3, b"%1\r\n$14\r\nrunning_script\r\n_\r\n");
    }
}
