//! Addresses of servers, sentinels and proxies, in one spelling each.

use super::limits::ADDRESS_BYTES_MAX;
use super::refusal::Refusal;
use codis_proto::meta::v1::RefusalCode as Code;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Whether an address may be the path of a unix socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// host:port alone.
    Tcp,
    /// host:port, or an absolute path.
    TcpOrPath,
}

/// The one spelling of `text`: names in lower case, IPv6 addresses shortened. Two texts for one server are
/// so mostly found out; two names of one host are not, as no name server is asked.
pub(super) fn canonical(text: &str, kind: Kind) -> Result<String, Refusal> {
    spell(text, kind).map_err(|why| {
        Refusal::new(Code::InvalidValue, format!("{text:?} is not an address: {why}"))
    })
}

/// The one spelling of a server's address, as the state has it.
///
/// # Errors
/// It is none; the refusal says why.
pub fn server_address(text: &str) -> Result<String, Refusal> {
    canonical(text, Kind::TcpOrPath)
}

/// The one spelling of the `host:port` of a member.
///
/// # Errors
/// It is none; the refusal says why.
pub fn member_address(text: &str) -> Result<String, Refusal> {
    canonical(text, Kind::Tcp)
}

fn spell(text: &str, kind: Kind) -> Result<String, &'static str> {
    if text.len() > ADDRESS_BYTES_MAX {
        return Err("it is longer than 256 bytes");
    }
    if kind == Kind::TcpOrPath && text.starts_with('/') {
        let plain = text.len() > 1 && !text.chars().any(|c| c.is_control() || c.is_whitespace());
        return plain
            .then(|| text.to_owned())
            .ok_or("give the path of a unix socket without spaces");
    }
    let (host, digits) = text.rsplit_once(':').ok_or("give host:port, such as 10.0.0.1:6379")?;
    // Written back to compare, so that "+80" and "080" are not taken for a port.
    let port = digits.parse::<u16>().ok().filter(|port| *port > 0 && port.to_string() == digits);
    let port = port.ok_or("its port is not a number between 1 and 65535")?;
    Ok(format!("{}:{port}", spell_host(host)?))
}

fn spell_host(host: &str) -> Result<String, &'static str> {
    if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let address: Ipv6Addr = inner.parse().map_err(|_| "its host is not an IPv6 address")?;
        return Ok(format!("[{address}]"));
    }
    if host.contains(':') {
        return Err("an IPv6 address wants brackets, such as [::1]:6379");
    }
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if host.is_empty() || !host.bytes().all(known) {
        return Err("its host is neither a name nor an IP address");
    }
    // Only digits and dots: meant as IPv4, and no name server would know it.
    let numeric = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err("its host is not an IPv4 address");
    }
    Ok(host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_spelling() {
        for (text, spelling) in [
            ("10.0.0.1:6379", "10.0.0.1:6379"),
            ("Redis-1.Example.COM:1", "redis-1.example.com:1"),
            ("[0:0::0:1]:80", "[::1]:80"),
            ("/run/Redis.sock", "/run/Redis.sock"),
        ] {
            assert_eq!(canonical(text, Kind::TcpOrPath), Ok(spelling.into()));
            assert_eq!(canonical(spelling, Kind::TcpOrPath), Ok(spelling.into()));
        }
    }

    #[test]
    fn what_is_not_an_address_is_refused_with_the_reason() {
        let long = format!("{}:1", "a".repeat(300));
        for (text, reason) in [
            ("", "give host:port"),
            ("6379", "give host:port"),
            (":6379", "neither a name nor an IP address"),
            ("a b:1", "neither a name nor an IP address"),
            ("a:0", "between 1 and 65535"),
            ("a:+80", "between 1 and 65535"),
            ("a:080", "between 1 and 65535"),
            ("a:65536", "between 1 and 65535"),
            ("256.1.1.1:80", "not an IPv4 address"),
            ("[::g]:80", "not an IPv6 address"),
            ("::1:80", "wants brackets"),
            ("/", "path of a unix socket"),
            ("/a b", "path of a unix socket"),
            (long.as_str(), "longer than"),
        ] {
            let refusal = canonical(text, Kind::TcpOrPath).expect_err(text);
            assert_eq!(refusal.code, Code::InvalidValue);
            assert!(refusal.message.contains(reason), "{text}: {}", refusal.message);
        }
        assert!(canonical("/run/redis.sock", Kind::Tcp).is_err());
    }
}
