//! What this machine allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises this process's limit of open files to at least `count`; children inherit it.
///
/// # Panics
/// When the machine forbids it, with the limit that is in the way.
pub fn need_open_files(count: u64) {
    let limit = getrlimit(Resource::Nofile);
    let enough = |value: Option<u64>| value.is_none_or(|value| value >= count);
    if enough(limit.current) {
        return;
    }
    let maximum = if enough(limit.maximum) { limit.maximum } else { Some(count) };
    let wanted = Rlimit { current: maximum, maximum };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        panic!(
            "this needs {count} open files, but the hard limit is {:?} and raising it failed ({error}): \
             raise it with `ulimit -Hn {count}` as root, or LimitNOFILE= of the service",
            limit.maximum
        );
    }
}

/// How many cores this process may use.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
