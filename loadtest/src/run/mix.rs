//! Which commands are sent, and how often each.

use crate::run::template::{BadTemplate, Template};
use std::str::FromStr;

/// The commands that have a name here: what each sends.
pub const COMMANDS: &[(&str, &str)] = &[
    ("get", "GET {key}"),
    ("set", "SET {key} {value}"),
    ("setex", "SETEX {key} 60 {value}"),
    ("mget", "MGET [{key}]*10"),
    ("mset", "MSET [{key} {value}]*10"),
    ("del", "DEL {key}"),
    ("exists", "EXISTS {key}"),
    ("append", "APPEND text:{key} {value}"),
    ("incr", "INCR counter:{key}"),
    ("lpush", "LPUSH list:{key} {value}"),
    ("rpush", "RPUSH list:{key} {value}"),
    ("lpop", "LPOP list:{key}"),
    ("rpop", "RPOP list:{key}"),
    ("lrange", "LRANGE list:{key} 0 9"),
    ("sadd", "SADD set:{key} {field}"),
    ("srem", "SREM set:{key} {field}"),
    ("sismember", "SISMEMBER set:{key} {field}"),
    ("smembers", "SMEMBERS set:{key}"),
    ("hset", "HSET hash:{key} {field} {value}"),
    ("hget", "HGET hash:{key} {field}"),
    ("hdel", "HDEL hash:{key} {field}"),
    ("hgetall", "HGETALL hash:{key}"),
    ("zadd", "ZADD zset:{key} {number} {field}"),
    ("zscore", "ZSCORE zset:{key} {field}"),
    ("zrange", "ZRANGE zset:{key} 0 9"),
    ("xadd", "XADD stream:{key} MAXLEN ~ 100 * {field} {value}"),
    ("xrange", "XRANGE stream:{key} - + COUNT 10"),
    ("ping", "PING"),
    ("echo", "ECHO {value}"),
];

/// A part of a mix, as it is typed: `get=80`, `mget:5=10`, or a name alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The command's name.
    pub name: String,
    /// How often words in brackets are repeated, where that is said.
    pub repeat: Option<usize>,
    /// How often it is sent, beside the others.
    pub weight: u32,
}

/// What is wrong with a mix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMix {
    /// Not of the form NAME=WEIGHT.
    #[error(
        "`{0}` is no part of a mix: NAME, NAME=WEIGHT or NAME:KEYS=WEIGHT, such as get=80 or mget:5=10"
    )]
    Form(String),
    /// No command of this name.
    #[error(
        "there is no command named `{name}`: define it by --command '{name}=...', or take one of {known}"
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A count for a command that takes one key.
    #[error("`{0}` takes no number of keys")]
    NoRepeat(String),
    /// Nothing is sent.
    #[error("a mix needs at least one command with a weight above 0")]
    Nothing,
    /// A command that was defined badly.
    #[error("the command `{name}`: {why}")]
    Template {
        /// Its name.
        name: String,
        /// What is wrong.
        why: BadTemplate,
    },
}

impl FromStr for Share {
    type Err = BadMix;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadMix::Form(text.to_owned());
        let (head, weight) = match text.split_once('=') {
            Some((head, weight)) => (head, weight.parse().map_err(|_| bad())?),
            None => (text, 1),
        };
        let (name, repeat) = match head.split_once(':') {
            Some((name, count)) => (name, Some(count.parse().map_err(|_| bad())?)),
            None => (head, None),
        };
        if name.is_empty() {
            Err(bad())
        } else {
            Ok(Self { name: name.to_owned(), repeat, weight })
        }
    }
}

/// A command that the user has defined: `NAME=TEMPLATE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    name: String,
    template: String,
}

impl FromStr for Definition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, template)) if !name.trim().is_empty() => {
                Ok(Self { name: name.trim().to_owned(), template: template.to_owned() })
            }
            _ => Err("give NAME=COMMAND, such as 'touch=EXPIRE {key} 60'".to_owned()),
        }
    }
}

/// The commands of a run.
#[derive(Debug, Clone)]
pub struct Mix {
    commands: Vec<Command>,
    total: u64,
}

#[derive(Debug, Clone)]
struct Command {
    name: String,
    template: Template,
    weight: u64,
}

impl Mix {
    /// Makes the requests of `shares`, out of the known commands and `definitions`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(shares: &[Share], definitions: &[Definition], prefix: &str) -> Result<Self, BadMix> {
        let mut commands = Vec::new();
        for share in shares.iter().filter(|share| share.weight > 0) {
            let text = text_of(share, definitions)?;
            let template = Template::compile(&text, prefix)
                .map_err(|why| BadMix::Template { name: share.name.clone(), why })?;
            let (name, weight) = (share.name.clone(), u64::from(share.weight));
            commands.push(Command { name, template, weight });
        }
        let total = commands.iter().map(|command| command.weight).sum();
        if total == 0 { Err(BadMix::Nothing) } else { Ok(Self { commands, total }) }
    }

    /// The names of the commands, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.commands.iter().map(|command| command.name.as_str())
    }

    /// How many commands there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.commands.len()
    }

    /// Chooses the next command: its place, and its template.
    #[inline]
    pub(crate) fn next(&self, rng: &mut fastrand::Rng) -> (usize, &Template) {
        if let [only] = &self.commands[..] {
            return (0, &only.template);
        }
        let mut left = rng.u64(0..self.total);
        for (place, command) in self.commands.iter().enumerate() {
            match left.checked_sub(command.weight) {
                Some(rest) => left = rest,
                None => return (place, &command.template),
            }
        }
        unreachable!("the weights sum up to the total")
    }
}

fn text_of(share: &Share, definitions: &[Definition]) -> Result<String, BadMix> {
    let Share { name, repeat, .. } = share;
    let defined = definitions.iter().find(|definition| definition.name == *name);
    let known = COMMANDS.iter().find(|(known, _)| known == name).map(|(_, text)| *text);
    let text = defined.map(|definition| definition.template.as_str()).or(known);
    let text = text.ok_or_else(|| BadMix::Unknown {
        name: name.clone(),
        known: COMMANDS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
    })?;
    match (repeat, text.split_once("]*")) {
        (None, _) => Ok(text.to_owned()),
        (Some(count), Some((before, behind))) => {
            let rest = behind.trim_start_matches(|c: char| c.is_ascii_digit());
            Ok(format!("{before}]*{count}{rest}"))
        }
        (Some(_), None) => Err(BadMix::NoRepeat(name.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::{BadMix, COMMANDS, Mix, Share};

    fn mix(text: &str) -> Result<Mix, BadMix> {
        let shares = text.split(',').map(str::parse).collect::<Result<Vec<Share>, _>>()?;
        let definition = "touch=EXPIRE {key} 60".parse().expect("it is a definition");
        Mix::new(&shares, &[definition], "key:")
    }

    #[test]
    fn every_known_command_makes_requests() {
        for (name, _) in COMMANDS {
            assert!(mix(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn commands_come_as_often_as_their_weights_say() {
        let mix = mix("get=80,set=15,touch=5").expect("the mix is good");
        let mut rng = fastrand::Rng::with_seed(3);
        let mut counts = [0; 3];
        (0..100_000).for_each(|_| counts[mix.next(&mut rng).0] += 1);
        assert!((79_000..81_000).contains(&counts[0]) && (4_700..5_300).contains(&counts[2]));
    }

    #[test]
    fn a_number_of_keys_can_be_given() {
        let text = format!("{:?}", mix("mget:3").expect("the mix is good"));
        assert_eq!(text.matches("Key").count(), 3, "{text}");
    }

    #[test]
    fn what_is_no_mix_is_refused_in_words() {
        assert!(matches!(mix("get=x"), Err(BadMix::Form(_))));
        assert!(matches!(mix("=3"), Err(BadMix::Form(_))));
        assert!(matches!(mix("gte=3"), Err(BadMix::Unknown { .. })));
        assert!(matches!(mix("get:3"), Err(BadMix::NoRepeat(_))));
        assert!(matches!(mix("get=0"), Err(BadMix::Nothing)));
    }
}
