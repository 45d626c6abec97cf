//! Raft's own log lines, handed on to `tracing`.

use std::fmt;

use slog::{Drain, KV, Key, Level, Logger, Never, OwnedKVList, Record, Serializer};

/// A logger for `raft` that writes to `tracing`, one level lower: what Raft calls information is
/// for whoever looks into an election.
pub(super) fn tracing_logger() -> Logger {
    Logger::root(Tracing, slog::o!())
}

struct Tracing;

impl Drain for Tracing {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        if record.level() > Level::Warning && !tracing::enabled!(tracing::Level::DEBUG) {
            return Ok(());
        }
        let mut fields = Fields(String::new());
        // Writing to a String cannot fail.
        let _ = values.serialize(record, &mut fields);
        let _ = record.kv().serialize(record, &mut fields);
        let message = record.msg();
        match record.level() {
            Level::Critical | Level::Error => tracing::error!("raft: {message}{}", fields.0),
            Level::Warning => tracing::warn!("raft: {message}{}", fields.0),
            Level::Info => tracing::debug!("raft: {message}{}", fields.0),
            Level::Debug | Level::Trace => tracing::trace!("raft: {message}{}", fields.0),
        }
        Ok(())
    }
}

struct Fields(String);

impl Serializer for Fields {
    fn emit_arguments(&mut self, key: Key, value: &fmt::Arguments<'_>) -> slog::Result {
        use fmt::Write as _;
        write!(self.0, " {key}={value}").map_err(|_| slog::Error::Other)
    }
}
