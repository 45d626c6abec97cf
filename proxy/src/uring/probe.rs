//! Whether this machine lets us have the ring, and if not, which setting forbids it.

use super::ring::{Ring, RingConfig};
use crate::engine::Segment;
use std::io;

const DISABLED: &str = "/proc/sys/kernel/io_uring_disabled";

/// Makes a ring as the shards will, and drops it.
///
/// # Errors
/// One sentence: what forbids it and what to set.
pub fn probe(config: &RingConfig) -> Result<(), String> {
    Ring::<Segment>::new(config).map(drop).map_err(|error| explain(&error))
}

/// What an error of the ring's making means to the operator.
fn explain(error: &io::Error) -> String {
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let disabled = std::fs::read_to_string(DISABLED).unwrap_or_default();
    let disabled = disabled.trim();
    match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
        Some(rustix::io::Errno::NOSYS) => format!(
            "io_uring is not there: kernel {kernel} was built without it, or a seccomp profile hides \
             it (Docker: run with --security-opt seccomp=unconfined, or a profile that allows \
             io_uring_setup, io_uring_enter and io_uring_register)"
        ),
        Some(rustix::io::Errno::PERM | rustix::io::Errno::ACCESS)
            if matches!(disabled, "1" | "2") =>
        {
            format!(
                "io_uring is forbidden by the sysctl kernel.io_uring_disabled = {disabled}: set it \
                 to 0 (sysctl -w kernel.io_uring_disabled=0), or to 1 and add this user to the group \
                 of kernel.io_uring_group"
            )
        }
        Some(rustix::io::Errno::PERM | rustix::io::Errno::ACCESS) => {
            "io_uring is forbidden, most likely by a seccomp profile (Docker's default one): run \
             with --security-opt seccomp=unconfined, or a profile that allows io_uring_setup, \
             io_uring_enter and io_uring_register"
                .to_string()
        }
        Some(rustix::io::Errno::INVAL) => format!(
            "kernel {kernel} is too old: codis-proxy needs Linux 6.1 or newer (io_uring with \
             DEFER_TASKRUN, provided buffer rings and multishot receive)"
        ),
        Some(rustix::io::Errno::NOMEM) => {
            "there is not enough locked memory for io_uring: raise the memlock limit (ulimit -l \
             unlimited, or LimitMEMLOCK=infinity in the systemd unit)"
                .to_string()
        }
        _ => format!("io_uring cannot be set up on kernel {kernel}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn each_obstacle_is_named_with_what_to_set() {
        for (errno, word) in [
            (Errno::NOSYS, "seccomp"),
            (Errno::PERM, "seccomp"),
            (Errno::INVAL, "6.1"),
            (Errno::NOMEM, "memlock"),
        ] {
            let text = explain(&errno.into());
            assert!(text.contains(word), "{text}");
        }
    }
}
