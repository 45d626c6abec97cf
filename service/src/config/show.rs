//! Writing settings back: the default file, CONFIG GET, the JSON page.

use super::table::Table;
use super::value::Written;
use serde_json::{Map, Value};
use std::fmt::Write;

/// How values are written, as the default file says after its first line.
const UNITS: &str = "\
#
# Sizes are written as \"128kb\", \"64mb\", \"1gb\" or as a number of bytes, times as \"30m\", \"75s\",
# \"500ms\" or as a number of seconds.
";

/// A complete file with the settings of `defaults`, each key under what it means. It reads back to them.
/// `program` names whose file it is.
#[must_use]
pub fn default_toml(program: &str, defaults: &dyn Table) -> String {
    let mut text = format!("# {program}: every setting with its default.\n{UNITS}");
    push_rows(&mut text, defaults);
    text.push_str("\n# Keys of Codis that are accepted with a warning and do nothing:\n");
    for (key, _) in defaults.rows().into_iter().filter(|(key, _)| key.is_ignored()) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "#   {}", key.name);
    }
    for (section, inside) in defaults.sections() {
        text.push('\n');
        push_doc(&mut text, section.doc);
        let _ = writeln!(text, "[{}]", section.name);
        push_rows(&mut text, inside);
    }
    text
}

fn push_rows(text: &mut String, table: &dyn Table) {
    for (key, setting) in table.rows().into_iter().filter(|(key, _)| !key.is_ignored()) {
        text.push('\n');
        push_doc(text, key.doc);
        let _ = writeln!(text, "{} = {}", key.name, setting.written());
    }
}

fn push_doc(text: &mut String, doc: &[&str]) {
    for line in doc {
        text.push('#');
        text.push_str(line);
        text.push('\n');
    }
}

/// Every setting that has a meaning and is no secret, as CONFIG GET shows it: (key, value). Keys of a
/// section have its name and a dot before them.
#[must_use]
pub fn entries(config: &dyn Table) -> Vec<(String, String)> {
    let shown =
        config.rows().into_iter().filter(|(key, set)| !key.is_ignored() && !set.is_secret());
    let mut all: Vec<_> =
        shown.map(|(key, setting)| (key.name.to_owned(), setting.written().plain())).collect();
    for (section, inside) in config.sections() {
        let named = entries(inside).into_iter();
        all.extend(named.map(|(key, value)| (format!("{}.{key}", section.name), value)));
    }
    all
}

/// The `config` object of Codis's pages: sizes and times as text, keys without meaning as they were given,
/// a section as an object. Secrets are left out, except that those without meaning, which Codis's
/// pages show, are there and empty.
#[must_use]
pub fn to_json(config: &dyn Table) -> Value {
    let mut object = Map::new();
    for (key, setting) in config.rows() {
        if !setting.is_secret() || key.is_ignored() {
            object.insert(key.name.to_owned(), json(setting.written()));
        }
    }
    for (section, inside) in config.sections() {
        object.insert(section.name.to_owned(), to_json(inside));
    }
    Value::Object(object)
}

fn json(written: Written) -> Value {
    match written {
        Written::Text(text) => Value::from(text),
        Written::Integer(n) => Value::from(n),
        Written::Float(n) => Value::from(n),
        Written::Truth(truth) => Value::from(truth),
        Written::List(items) => items.into_iter().map(json).collect(),
        Written::Table(fields) => {
            fields.into_iter().map(|(key, value)| (key, json(value))).collect()
        }
        Written::Other(what) => Value::from(what),
    }
}
