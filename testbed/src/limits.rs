//! What this machine allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises this process's limit of open files to at least `count`; children inherit it.
///
/// # Panics
/// When the machine forbids it, with the limit that is in the way.
pub fn need_open_files(count: u64) {
    try_open_files(count).unwrap_or_else(|why| panic!("{why}"));
}

/// Raises this process's limit of open files to at least `count`; children inherit it.
///
/// # Errors
/// A sentence, when the machine forbids it, with the limit that is in the way.
pub fn try_open_files(count: u64) -> Result<(), String> {
    let limit = getrlimit(Resource::Nofile);
    let enough = |value: Option<u64>| value.is_none_or(|value| value >= count);
    if enough(limit.current) {
        return Ok(());
    }
    let maximum = if enough(limit.maximum) { limit.maximum } else { Some(count) };
    let wanted = Rlimit { current: maximum, maximum };
    setrlimit(Resource::Nofile, wanted).map_err(|error| {
        format!(
            "this needs {count} open files, but the hard limit is {:?} and raising it failed ({error}): \
             raise it with `ulimit -Hn {count}` as root, or LimitNOFILE= of the service",
            limit.maximum
        )
    })
}

/// How many cores this process may use.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
