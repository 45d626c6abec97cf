//! Ports that nothing listens on.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the range that the kernel takes the ports of outgoing connections from (32768 and up), so
/// that no connection made between the look and the server's own bind can take the port.
const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// A port on which nothing listens, neither on IPv4 nor on IPv6, and that this process has not
/// handed out before.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Processes that run at the same time begin at places far from each other.
    let start = std::process::id().wrapping_mul(7919);
    for _ in 0..COUNT {
        let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = u16::try_from(FIRST + offset).expect("FIRST + COUNT is below 65536");
        if TcpListener::bind(("0.0.0.0", port)).is_ok() && !taken_on_ipv6(port) {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT);
}

fn taken_on_ipv6(port: u16) -> bool {
    use std::io::ErrorKind::AddrInUse;
    matches!(TcpListener::bind(("::1", port)), Err(error) if error.kind() == AddrInUse)
}

#[cfg(test)]
mod tests {
    use super::free_port;

    #[test]
    fn no_port_is_handed_out_twice() {
        assert_ne!(free_port(), free_port());
    }
}
