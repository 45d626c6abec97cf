//! The scripts that servers are sent, run by Lua itself.
//!
//! A script is a coroutine that yields at each `redis.call`, so that a MIGRATE in the middle of it takes the time that the
//! target takes.

use super::reply::Reply;
use mlua::{Function, Lua, MultiValue, Thread, Value};
use std::collections::HashMap;

/// What scripts find, as Redis has it.
const PRELUDE: &str = "
local yield, type = coroutine.yield, type
redis = {}
function redis.pcall(...) return yield(...) end
function redis.call(...)
  local answer = yield(...)
  -- Nobody catches it here, so that it ends the script.
  if type(answer) == 'table' and answer.err then yield('raise', answer.err) end
  return answer
end
function redis.error_reply(words) return { err = words } end
function redis.status_reply(words) return { ok = words } end
";

/// One interpreter for all servers of a run: scripts share nothing but what they are given.
pub(crate) struct Scripts {
    lua: Lua,
    known: HashMap<Vec<u8>, Function>,
}

/// A script under way.
#[derive(Debug)]
pub(crate) struct Running(Thread);

/// What became of a script for now.
pub(crate) enum Step {
    /// It calls a command.
    Calls(Vec<Vec<u8>>),
    Answers(Reply),
}

/// The model is wrong about Lua: a fault of the test.
fn sound<T>(result: mlua::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("a script cannot be run: {error}"))
}

impl Scripts {
    pub(crate) fn new() -> Self {
        let lua = Lua::new();
        sound(lua.load(PRELUDE).exec());
        Self { lua, known: HashMap::new() }
    }

    fn strings(&self, parts: &[Vec<u8>]) -> mlua::Table {
        let strings = parts.iter().map(|part| sound(self.lua.create_string(part)));
        sound(self.lua.create_sequence_from(strings))
    }

    /// Begins a script, up to its first call.
    pub(crate) fn begin(
        &mut self,
        text: &[u8],
        keys: &[Vec<u8>],
        args: &[Vec<u8>],
    ) -> (Running, Step) {
        if !self.known.contains_key(text) {
            let chunk = [b"local KEYS, ARGV = ... ", text].concat();
            let function = sound(self.lua.load(chunk).into_function());
            self.known.insert(text.to_vec(), function);
        }
        let thread = sound(self.lua.create_thread(self.known[text].clone()));
        let running = Running(thread);
        let step = self.resume(&running, (self.strings(keys), self.strings(args)));
        (running, step)
    }

    /// Goes on with the answer to a call.
    pub(crate) fn go_on(&self, running: &Running, answer: &Reply) -> Step {
        self.resume(running, self.value(answer))
    }

    fn resume(&self, running: &Running, args: impl mlua::IntoLuaMulti) -> Step {
        match running.0.resume::<MultiValue>(args) {
            Ok(values) if running.0.is_resumable() => {
                let call: Vec<Vec<u8>> = values.iter().map(argument).collect();
                match call.as_slice() {
                    [raise, words] if raise == b"raise" => {
                        Step::Answers(Reply::Error(String::from_utf8_lossy(words).into_owned()))
                    }
                    _ => Step::Calls(call),
                }
            }
            Ok(values) => Step::Answers(values.front().map_or(Reply::Nil, reply)),
            Err(error) => panic!("a script fails: {error}"),
        }
    }

    fn value(&self, reply: &Reply) -> Value {
        let table = |key: &str, text: &str| {
            let table = sound(self.lua.create_table());
            sound(table.set(key, text));
            Value::Table(table)
        };
        match reply {
            Reply::Nil => Value::Boolean(false),
            Reply::Int(number) => Value::Number(*number as f64),
            Reply::Bulk(bytes) => Value::String(sound(self.lua.create_string(bytes))),
            Reply::Status(text) => table("ok", text),
            Reply::Error(text) => table("err", text),
            Reply::Array(items) | Reply::Map(items) | Reply::Push(items) => {
                let items = items.iter().map(|item| self.value(item));
                Value::Table(sound(self.lua.create_sequence_from(items)))
            }
        }
    }
}

fn argument(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.as_bytes().to_vec(),
        Value::Integer(number) => number.to_string().into_bytes(),
        Value::Number(number) => number.to_string().into_bytes(),
        other => panic!("a script calls a command with {other:?}"),
    }
}

fn reply(value: &Value) -> Reply {
    match value {
        Value::Boolean(true) => Reply::Int(1),
        Value::Integer(number) => Reply::Int(*number),
        Value::Number(number) => Reply::Int(*number as i64),
        Value::String(text) => Reply::Bulk(text.as_bytes().to_vec()),
        Value::Table(table) => {
            let field = |name: &str| table.get::<Option<String>>(name).ok().flatten();
            if let Some(words) = field("err") {
                return Reply::Error(words);
            }
            if let Some(words) = field("ok") {
                return Reply::Status(words);
            }
            let items = table.sequence_values::<Value>().map(|item| reply(&sound(item)));
            Reply::Array(items.collect())
        }
        _ => Reply::Nil,
    }
}
