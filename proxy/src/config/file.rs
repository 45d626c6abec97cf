//! Reading the file: TOML to settings, with every problem of the file reported together.

use super::check::faults;
use super::table::{Change, Key};
use super::value::Written;
use super::{KEYS, ProxyConfig};
use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// A file with more lines than this that are not TOML is something else; the rest is not looked at.
const BROKEN_LINES_MAX: usize = 20;

/// A configuration that was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub config: ProxyConfig,
    /// One sentence for each key that is accepted and ignored.
    pub warnings: Vec<String>,
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// What the file says is wrong: every problem, in the order of the lines.
    #[error("{}", lines(.0))]
    Problems(Vec<Problem>),
}

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The key; empty where the line is not TOML.
    pub key: String,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, key, what } = self;
        if key.is_empty() {
            write!(f, "{file}:{line}: {what}")
        } else {
            write!(f, "{file}:{line}: {key}: {what}")
        }
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

/// Reads the file at `path`.
///
/// # Errors
/// The file cannot be read, or has an unknown key, a wrong type, an impossible value or a line that is
/// not TOML; all of them are in the error.
pub fn load(path: &Path) -> Result<Loaded, ConfigError> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text, &name),
        Err(source) => Err(ConfigError::Read { path: name, source }),
    }
}

/// Reads `text`, which messages call `file`.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, file: &str) -> Result<Loaded, ConfigError> {
    let mut reader = Reader { text, file, problems: Vec::new() };
    let sound = reader.without_broken_lines();
    let (table, _) = DeTable::parse_recoverable(&sound);
    let mut given: Vec<_> = table.get_ref().iter().collect();
    given.sort_by_key(|(key, _)| key.span().start);
    let mut config = ProxyConfig::default();
    let mut found = HashMap::new();
    let mut warnings = Vec::new();
    for (name, value) in given {
        let line = reader.line(name.span().start);
        let Some(key) = Key::find(name.get_ref()) else {
            reader.unknown(line, name.get_ref(), value.get_ref());
            continue;
        };
        found.insert(key.name, line);
        if let Err(what) = (key.get_mut)(&mut config).take(&written(value.get_ref())) {
            reader.problem(line, key.name, what);
        } else if let Change::Ignored(why) = key.change {
            warnings.push(format!("{file}:{line}: {} is ignored: {why}", key.name));
        }
    }
    // A wrong value left its key at the default, so this finds no problem twice.
    for fault in faults(&config) {
        let key = fault.keys.iter().find(|key| found.contains_key(*key)).unwrap_or(&fault.keys[0]);
        reader.problem(found.get(key).copied().unwrap_or(1), key, fault.what);
    }
    reader.finish(Loaded { config, warnings })
}

/// The text being read and what is wrong with it so far.
struct Reader<'a> {
    text: &'a str,
    file: &'a str,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    /// The line that the byte at `offset` is on, from 1.
    fn line(&self, offset: usize) -> usize {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        1 + before.iter().filter(|&&byte| byte == b'\n').count()
    }

    fn problem(&mut self, line: usize, key: &str, what: String) {
        self.problems.push(Problem { file: self.file.into(), line, key: key.into(), what });
    }

    /// The text with each line that is not TOML blanked and its problem noted, so that the lines after
    /// it are looked at too. The TOML reader alone gives up at some of them.
    fn without_broken_lines(&mut self) -> String {
        let mut lines: Vec<String> = self.text.split('\n').map(str::to_owned).collect();
        loop {
            let text = lines.join("\n");
            let (_, errors) = DeTable::parse_recoverable(&text);
            let Some(error) = errors.first() else { return text };
            let start = error.span().map_or(text.len(), |span| span.start).min(text.len());
            let at = text.as_bytes()[..start].iter().filter(|&&byte| byte == b'\n').count();
            self.problem(at + 1, "", error.message().to_owned());
            if lines[at].trim().is_empty() || self.problems.len() >= BROKEN_LINES_MAX {
                return String::new();
            }
            // As many blanks as there were bytes: what comes later keeps its place.
            lines[at] = " ".repeat(lines[at].len());
        }
    }

    fn unknown(&mut self, line: usize, name: &str, value: &DeValue<'_>) {
        let what = if value.is_table() {
            "unknown section; the keys of this file stand in none".into()
        } else {
            format!("unknown key; the nearest known one is {}", nearest(name))
        };
        self.problem(line, name, what);
    }

    fn finish(mut self, loaded: Loaded) -> Result<Loaded, ConfigError> {
        if self.problems.is_empty() {
            return Ok(loaded);
        }
        self.problems.sort_by_key(|problem| problem.line);
        Err(ConfigError::Problems(self.problems))
    }
}

/// The known key that is most like `name`.
pub(super) fn nearest(name: &str) -> &'static str {
    let distance = |key: &&Key| strsim::damerau_levenshtein(name, key.name);
    KEYS.iter().min_by_key(distance).map_or("", |key| key.name)
}

/// The value as our settings take it.
fn written(value: &DeValue<'_>) -> Written {
    match value {
        DeValue::String(text) => Written::Text(text.to_string()),
        DeValue::Integer(n) => match i64::from_str_radix(n.as_str(), n.radix()) {
            Ok(n) => Written::Integer(n),
            Err(_) => Written::Other("a number that great"),
        },
        DeValue::Float(n) => match n.as_str().parse::<f64>() {
            Ok(n) if n.is_finite() => Written::Float(n),
            _ => Written::Other("such a number"),
        },
        DeValue::Boolean(truth) => Written::Truth(*truth),
        DeValue::Datetime(_) => Written::Other("a date"),
        DeValue::Array(_) => Written::Other("an array"),
        DeValue::Table(_) => Written::Other("a section"),
    }
}
