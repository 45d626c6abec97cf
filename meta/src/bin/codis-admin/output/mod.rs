//! Answers, for people or for scripts.
//!
//! `tables` draws what there is and `moves` what moves, `words` says what happened, `progress` shows how far a sync is
//! and `waiting` how far moves are. JSON is made of the
//! messages themselves, by their descriptions in the .proto files: field names are as they stand there.

mod moves;
mod progress;
mod tables;
mod waiting;
mod words;

use crate::Failure;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use std::io::Write as _;

pub(crate) use moves::{moves, plan};
pub(crate) use progress::SyncBar;
pub(crate) use tables::{groups, members, proxies, ranges, settings, slots, status};
pub(crate) use waiting::{MoveBar, Progress};
pub(crate) use words::{changed, event};

/// Where answers go, and in which form.
pub(crate) struct Output {
    /// How to read messages, where they are to be JSON.
    json: Option<DescriptorPool>,
}

impl Output {
    /// Answers as JSON, or for people.
    pub(crate) fn new(json: bool) -> Self {
        let pool = || {
            DescriptorPool::decode(codis_proto::DESCRIPTORS)
                .expect("the build wrote descriptions of its own messages")
        };
        Self { json: json.then(pool) }
    }

    /// Whether people read it.
    pub(crate) fn is_for_people(&self) -> bool {
        self.json.is_none()
    }

    /// Prints an answer: the message of type `name` as JSON, or what `text` makes of it.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn answer<M: Message>(
        &self,
        name: &str,
        message: &M,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        self.print(name, message, true, text)
    }

    /// Prints one of many answers, on a line of its own.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn line<M: Message>(
        &self,
        name: &str,
        message: &M,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        self.print(name, message, false, text)
    }

    /// Says a sentence to people.
    pub(crate) fn said(&self, sentence: &str) {
        if self.is_for_people() {
            println!("{sentence}");
        }
    }

    fn print<M: Message>(
        &self,
        name: &str,
        message: &M,
        pretty: bool,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let text = match &self.json {
            Some(pool) => json(pool, name, message, pretty)?,
            None => text(),
        };
        let mut out = std::io::stdout().lock();
        match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
            // Whoever reads it has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                std::process::exit(0);
            }
            written => {
                written.map_err(|error| Failure::Said(format!("cannot write the answer: {error}")))
            }
        }
    }
}

fn json<M: Message>(
    pool: &DescriptorPool,
    name: &str,
    message: &M,
    pretty: bool,
) -> Result<String, Failure> {
    let failed = |error: String| Failure::Said(format!("the answer cannot be made JSON: {error}"));
    let descriptor =
        pool.get_message_by_name(name).ok_or_else(|| failed(format!("no message {name}")))?;
    let message = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())
        .map_err(|error| failed(error.to_string()))?;
    let options = SerializeOptions::new()
        .stringify_64_bit_integers(false)
        .use_proto_field_name(true)
        .skip_default_fields(false);
    let value = message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(|error| failed(error.to_string()))?;
    let text = if pretty { serde_json::to_string_pretty(&value) } else { Ok(value.to_string()) };
    text.map_err(|error| failed(error.to_string()))
}

/// Says why a command failed.
pub(crate) fn complain(failure: &Failure, json: bool) {
    if !json {
        eprintln!("codis-admin: {failure}");
        return;
    }
    let (code, rule) = match failure {
        Failure::Call(error) => (error.code(), error.rule()),
        Failure::Said(_) => ("FAILED".to_owned(), None),
    };
    let error = serde_json::json!({ "error": failure.to_string(), "code": code, "refusal": rule });
    eprintln!("{error}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use codis_proto::admin::v1 as api;

    #[test]
    fn json_has_the_names_of_the_proto_files_and_numbers_that_are_numbers() {
        let pool = Output::new(true).json.expect("it is JSON");
        let changed = api::Changed { index: 5, epoch: 1 << 40, ..api::Changed::default() };
        let text = json(&pool, "codis.admin.v1.Changed", &changed, false).expect("it can be JSON");
        let value: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        assert_eq!(value["epoch"], 1_u64 << 40);
        assert_eq!(value["proxies_waiting"], serde_json::json!([]));
    }
}
