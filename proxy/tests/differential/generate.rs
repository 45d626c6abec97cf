//! Random commands by a seed.

use crate::arguments::Arguments;
use crate::compare::Comparison;
use crate::families::TEMPLATES;
use crate::grammar::{Part, parse};
use std::collections::BTreeSet;

use codis_proxy::command::{self, COMMANDS, CommandId, Route};
use codis_proxy::resp::{Request, Span};
use codis_proxy::slots::slot;
use fastrand::Rng;

/// One time in so many, a command's arguments are spoilt...
const SPOILT: usize = 10;

/// ...and one time in so many, it is any command with any arguments.
const WILD: usize = 12;

/// One command, and how its replies are compared.
#[derive(Debug, Clone)]
pub struct Call {
    pub args: Vec<Vec<u8>>,
    pub comparison: Comparison,
}

impl Call {
    /// Whether it asks for what servers say about themselves, which each version says in its own way.
    pub fn asks_for_words(&self) -> bool {
        let is = |at: usize, word: &str| {
            self.args.get(at).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
        };
        is(0, "COMMAND") || is(1, "HELP")
    }

    /// Of these arguments, compared byte for byte.
    pub fn exact<A: AsRef<[u8]>>(args: &[A]) -> Self {
        let args = args.iter().map(|arg| arg.as_ref().to_vec()).collect();
        Self { args, comparison: Comparison::Exact }
    }

    /// For a person.
    pub fn text(&self) -> String {
        let shown = |arg: &Vec<u8>| arg[..arg.len().min(80)].escape_ascii().to_string();
        self.args.iter().map(shown).collect::<Vec<_>>().join(" ")
    }
}

struct Template {
    commands: Vec<Vec<Part>>,
    comparison: Comparison,
    may_spoil: bool,
}

impl Template {
    fn read(line: &str) -> Self {
        let may_spoil = !line.starts_with('^');
        let line = line.trim_start_matches('^');
        let comparison = line.chars().next().and_then(Comparison::of);
        let rest = if comparison.is_some() { &line[1..] } else { line };
        Self {
            commands: parse(rest),
            comparison: comparison.unwrap_or(Comparison::Exact),
            may_spoil,
        }
    }

    /// The names of its commands, where they are fixed; subcommands are named with their container.
    fn names(&self) -> Vec<String> {
        let name = |parts: &Vec<Part>| {
            let word = |at: usize| match parts.get(at) {
                Some(Part::Word(word)) => Some(word.to_lowercase()),
                _ => None,
            };
            let (name, second) = (word(0)?, word(1));
            let full = second.map(|second| format!("{name}|{second}"));
            let known = |name: &String| COMMANDS.iter().any(|command| command.name == name);
            Some(full.filter(known).unwrap_or(name))
        };
        self.commands.iter().filter_map(name).collect()
    }

    /// The command of it that the proxy does not support.
    fn unsupported(&self) -> Option<String> {
        let refused = |name: &String| {
            COMMANDS
                .iter()
                .any(|command| command.name == name && !command.supported() && !command.container())
        };
        self.names().into_iter().find(refused)
    }
}

/// Makes commands.
pub struct Generator {
    templates: Vec<Template>,
    /// Commands that may be given any arguments.
    wild: Vec<CommandId>,
}

impl Generator {
    /// All templates whose commands the proxy supports and the server knows; the names of what the proxy does not
    /// support are printed.
    pub fn new(known: &BTreeSet<String>) -> Self {
        let all = TEMPLATES.iter().map(|line| Template::read(line));
        let all = all.filter(|template| template.names().iter().all(|name| is_known(known, name)));
        let (templates, out): (Vec<_>, Vec<_>) =
            all.partition(|template| template.unsupported().is_none());
        let out: Vec<String> = out.iter().filter_map(Template::unsupported).collect();
        if !out.is_empty() {
            println!("not supported, and so not compared: {}", out.join(", "));
        }
        let wild = (0..COMMANDS.len() as u16).map(CommandId);
        let wild = wild.filter(|id| is_harmless(*id) && is_known(known, id.command().name));
        let wild = wild.collect();
        Self { templates, wild }
    }

    /// The next commands.
    pub fn next(&self, rng: &mut Rng, tag: &str, dump: &[u8]) -> Vec<Call> {
        loop {
            let mut arguments = Arguments { rng, tag, dump, last_key: Vec::new() };
            let calls = self.draw(&mut arguments);
            // A wrong argument may stand in a key's place, and what has keys of several slots is refused by the proxy alone.
            if calls.iter().all(has_one_slot) {
                return calls;
            }
        }
    }

    fn draw(&self, arguments: &mut Arguments<'_>) -> Vec<Call> {
        if arguments.rng.usize(..WILD) == 0 {
            return vec![self.any_call(arguments)];
        }
        let template = &self.templates[arguments.rng.usize(..self.templates.len())];
        let mut calls = Vec::with_capacity(template.commands.len());
        for (place, parts) in template.commands.iter().enumerate() {
            let mut args = Vec::new();
            write(parts, arguments, &mut args);
            if template.may_spoil
                && template.commands.len() == 1
                && arguments.rng.usize(..SPOILT) == 0
            {
                spoil(&mut args, arguments);
            }
            let comparison = if place == 0 { template.comparison } else { Comparison::Exact };
            calls.push(Call { args, comparison });
        }
        calls
    }

    /// Any command with any arguments, mostly too many or too few.
    fn any_call(&self, arguments: &mut Arguments<'_>) -> Call {
        let id = self.wild[arguments.rng.usize(..self.wild.len())];
        let mut args: Vec<Vec<u8>> =
            id.command().name.split('|').map(|word| word.as_bytes().to_vec()).collect();
        for _ in 0..arguments.rng.usize(..6) {
            args.push(match arguments.rng.usize(..3) {
                0 => arguments.junk(),
                1 => arguments.make("any"),
                _ => arguments.make("field"),
            });
        }
        Call { args, comparison: Comparison::Shape }
    }
}

/// Whether a server of these commands knows this one, or it is one that nobody knows.
fn is_known(known: &BTreeSet<String>, name: &str) -> bool {
    known.contains(name) || COMMANDS.iter().all(|command| command.name != name)
}

/// Whether a command does nothing bad with any arguments: it is about keys, and neither waits nor runs a script.
fn is_harmless(id: CommandId) -> bool {
    let command = id.command();
    let by_key = matches!(command.route, Route::Key | Route::Keys | Route::Split(_));
    let scripts = ["eval", "eval_ro", "evalsha", "evalsha_ro", "fcall", "fcall_ro"];
    // What is drawn by chance would make the servers differ from then on.
    let draws = ["spop"].contains(&command.name);
    by_key
        && !scripts.contains(&command.name)
        && !draws
        && !command.flags.any(command::Flags::BLOCKING)
}

/// Whether all keys of a command are of one slot, or need not be.
fn has_one_slot(call: &Call) -> bool {
    let mut bytes = Vec::new();
    let mut args = Vec::new();
    for arg in &call.args {
        args.push(Span { start: bytes.len() as u32, len: arg.len() as u32 });
        bytes.extend_from_slice(arg);
    }
    let request = Request { bytes: &bytes, args: &args };
    let Ok(id) = command::resolve(&request) else { return true };
    let mut keys = Vec::new();
    if id.command().route != Route::Keys || command::keys(id, &request, &mut keys).is_err() {
        return true;
    }
    let mut slots = keys.iter().map(|key| slot(request.arg(*key as usize)));
    let first = slots.next();
    slots.all(|slot| Some(slot) == first)
}

fn write(parts: &[Part], arguments: &mut Arguments<'_>, args: &mut Vec<Vec<u8>>) {
    for part in parts {
        match part {
            Part::Word(word) if arguments.rng.usize(..8) == 0 => {
                args.push(word.to_lowercase().into_bytes())
            }
            Part::Word(word) => args.push(word.clone().into_bytes()),
            Part::Argument(sort) => args.push(arguments.make(sort)),
            Part::Optional(parts) => {
                if arguments.rng.bool() {
                    write(parts, arguments, args);
                }
            }
            Part::Choice(choices) => {
                let chosen = arguments.rng.usize(..choices.len());
                write(&choices[chosen], arguments, args);
            }
            Part::Repeated(parts) => {
                for _ in 0..arguments.rng.usize(1..4) {
                    write(parts, arguments, args);
                }
            }
        }
    }
}

/// Leaves an argument out, adds one, or puts a wrong one in its place.
fn spoil(args: &mut Vec<Vec<u8>>, arguments: &mut Arguments<'_>) {
    let place = arguments.rng.usize(..args.len());
    let junk = arguments.junk();
    match arguments.rng.usize(..3) {
        0 if args.len() > 1 => {
            args.remove(place.max(1));
        }
        1 => args.push(junk),
        _ => args[place] = junk,
    }
}
