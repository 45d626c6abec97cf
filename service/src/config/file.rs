//! Reading the file: TOML to settings, with every problem of the file reported together.

use super::table::{Change, Configuration, Table};
use super::value::Written;
use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// A file with more lines than this that are not TOML is something else; the rest is not looked at.
const BROKEN_LINES_MAX: usize = 20;

/// A configuration that was read.
#[derive(Debug, Clone)]
pub struct Loaded<C> {
    /// The settings.
    pub config: C,
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
pub fn load<C: Configuration + Default>(path: &Path) -> Result<Loaded<C>, ConfigError> {
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
pub fn parse<C: Configuration + Default>(text: &str, file: &str) -> Result<Loaded<C>, ConfigError> {
    let mut reader = Reader { text, file, problems: Vec::new(), warnings: Vec::new() };
    let sound = reader.without_broken_lines();
    let (table, _) = DeTable::parse_recoverable(&sound);
    let mut config = C::default();
    reader.fill(&mut config, "", 1, table.get_ref());
    let Reader { mut problems, warnings, .. } = reader;
    if problems.is_empty() {
        return Ok(Loaded { config, warnings });
    }
    problems.sort_by_key(|problem| problem.line);
    Err(ConfigError::Problems(problems))
}

/// The text being read and what is wrong with it so far.
struct Reader<'a> {
    text: &'a str,
    file: &'a str,
    problems: Vec<Problem>,
    warnings: Vec<String>,
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

    /// Sets what `table` gives in `config`. `prefix` is what stands before its keys in messages, `start`
    /// the line that a fault of keys that are not given is shown at.
    fn fill(
        &mut self,
        config: &mut dyn Configuration,
        prefix: &str,
        start: usize,
        table: &DeTable<'_>,
    ) {
        let full = |key: &str| format!("{prefix}{key}");
        let mut given: Vec<_> = table.iter().collect();
        given.sort_by_key(|(key, _)| key.span().start);
        let mut lines = HashMap::new();
        for (name, value) in given {
            let (line, name, value) =
                (self.line(name.span().start), name.get_ref(), value.get_ref());
            if let (Some(inside), Some(table)) = (config.section_mut(name), value.as_table()) {
                self.fill(inside, &format!("{name}."), line, table);
                continue;
            }
            let row = config.rows().into_iter().find(|(key, _)| key.name == *name);
            let Some(key) = row.map(|(key, _)| key) else {
                self.problem(line, &full(name), unknown(config, name, value));
                continue;
            };
            lines.insert(key.name, line);
            let setting = config.setting_mut(name).expect("every row of a table can be set");
            if let Err(what) = setting.take(&written(value)) {
                self.problem(line, &full(name), what);
            } else if let Change::Ignored(why) = key.change {
                let warning = format!("{}:{line}: {} is ignored: {why}", self.file, full(name));
                self.warnings.push(warning);
            }
        }
        // A wrong value left its key at the default, so this finds no problem twice.
        for fault in config.check() {
            let key = fault.keys.iter().find(|key| lines.contains_key(*key));
            let key = key.unwrap_or(&fault.keys[0]);
            self.problem(lines.get(key).copied().unwrap_or(start), &full(key), fault.what);
        }
    }
}

/// What to say of a key that is in no table.
fn unknown(config: &dyn Table, name: &str, value: &DeValue<'_>) -> String {
    let sections: Vec<&str> = config.sections().iter().map(|(section, _)| section.name).collect();
    if sections.contains(&name) {
        return format!("is a section: write [{name}], and its keys below");
    }
    if !value.is_table() {
        return format!("unknown key; the nearest known one is {}", nearest(config, name));
    }
    if sections.is_empty() {
        return "unknown section; the keys of this file stand in none".into();
    }
    format!(
        "unknown section; there is [{}], and all other keys stand in none",
        sections.join("], [")
    )
}

/// The known key that is most like `name`.
#[must_use]
pub fn nearest(config: &dyn Table, name: &str) -> &'static str {
    let keys = config.rows().into_iter().map(|(key, _)| key.name);
    keys.min_by_key(|key| strsim::damerau_levenshtein(name, key)).unwrap_or("")
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
        DeValue::Array(items) => {
            Written::List(items.iter().map(|item| written(item.get_ref())).collect())
        }
        DeValue::Table(fields) => {
            let fields = fields.iter();
            let fields =
                fields.map(|(key, value)| (key.get_ref().to_string(), written(value.get_ref())));
            Written::Table(fields.collect())
        }
    }
}
