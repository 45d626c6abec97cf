//! Looking up host names for the shards, which must not wait for a name server themselves.

use crate::config::ProtoType;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::time::timeout;

/// How long a look-up may take. The system's resolver gives up on one name server after 5 s.
const LOOKUP_MAX: Duration = Duration::from_secs(6);

/// The address of `address` (`host:port`): the first of the family that clients connect by, or the
/// first at all.
///
/// # Errors
/// A sentence that names the address.
pub(super) async fn resolve(address: &str, proto: ProtoType) -> Result<SocketAddr, String> {
    let found = match timeout(LOOKUP_MAX, lookup_host(address)).await {
        Ok(Ok(found)) => found.collect::<Vec<_>>(),
        Ok(Err(error)) => return Err(format!("cannot resolve {address}: {error}")),
        Err(_elapsed) => {
            return Err(format!("cannot resolve {address}: no answer within {LOOKUP_MAX:?}"));
        }
    };
    choose(&found, proto).ok_or_else(|| format!("cannot resolve {address}: it has no address"))
}

/// IPv4 unless the operator uses IPv6: a name such as `localhost` often has both, while most servers
/// listen on IPv4 alone.
fn choose(found: &[SocketAddr], proto: ProtoType) -> Option<SocketAddr> {
    let wants_v6 = proto == ProtoType::Tcp6;
    let of_family = found.iter().find(|address| address.is_ipv6() == wants_v6);
    of_family.or(found.first()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn ipv4_is_preferred_unless_clients_connect_by_ipv6() {
        let (v4, v6) = (address("127.0.0.1:1"), address("[::1]:1"));
        assert_eq!(choose(&[v6, v4], ProtoType::Tcp4), Some(v4));
        assert_eq!(choose(&[v6, v4], ProtoType::Unix), Some(v4));
        assert_eq!(choose(&[v4, v6], ProtoType::Tcp6), Some(v6));
        assert_eq!(choose(&[v6], ProtoType::Tcp4), Some(v6));
        assert_eq!(choose(&[], ProtoType::Tcp4), None);
    }

    #[tokio::test]
    async fn an_address_that_is_no_name_resolves_to_itself() {
        assert_eq!(resolve("127.0.0.1:6379", ProtoType::Tcp4).await, Ok(address("127.0.0.1:6379")));
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_resolved_is_named_in_the_error() {
        let error = resolve("no port here", ProtoType::Tcp4).await.expect_err("not an address");
        assert!(error.starts_with("cannot resolve no port here: "), "{error}");
    }
}
