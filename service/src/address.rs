//! Addresses as operators write them: `host:port`, `[ipv6]:port`, or the path of a unix socket.
//! Reading only; nothing here asks a name server.

use std::net::{IpAddr, Ipv6Addr};

/// The host and the port of `text`.
///
/// The host may be empty (`:19000`, which Go programs read as "every address"), a name, an IPv4
/// address, or an IPv6 address in brackets, which are taken off.
///
/// # Errors
/// What is wrong, as the end of "`what`: ...".
pub fn host_port(text: &str) -> Result<(&str, u16), String> {
    let wrong = |why: &str| format!("\"{text}\" is not an address: {why}");
    let Some((host, digits)) = text.rsplit_once(':') else {
        return Err(wrong("it wants host:port, such as 127.0.0.1:6379"));
    };
    // Written back to compare, so that "+80" and "080" are not taken for a port.
    let port = digits.parse::<u16>().ok().filter(|port| port.to_string() == digits);
    let Some(port) = port else {
        return Err(wrong(&format!("\"{digits}\" is not a port between 0 and 65535")));
    };
    if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        // A zone (fe80::1%eth0) is for the system to judge.
        let address = inner.split('%').next().unwrap_or(inner);
        return match address.parse::<Ipv6Addr>() {
            Ok(_) => Ok((inner, port)),
            Err(_) => Err(wrong(&format!("\"{inner}\" is not an IPv6 address"))),
        };
    }
    if host.contains(':') {
        return Err(wrong("an IPv6 address wants brackets, such as [::1]:6379"));
    }
    if !host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_')) {
        return Err(wrong("its host has a character that no host name has"));
    }
    // Only digits and dots: meant as IPv4, and a name server would not know it.
    let numeric =
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if numeric && host.parse::<IpAddr>().is_err() {
        return Err(wrong(&format!("\"{host}\" is not an IPv4 address")));
    }
    Ok((host, port))
}

/// Checks the address of a server: as [`check_tcp`], or an absolute path.
///
/// # Errors
/// As [`host_port`].
pub fn check_server(text: &str) -> Result<(), String> {
    if text.starts_with('/') { Ok(()) } else { check_tcp(text) }
}

/// Checks the address of a TCP server: [`host_port`] with a host and a port that can be connected to.
///
/// # Errors
/// As [`host_port`].
pub fn check_tcp(text: &str) -> Result<(), String> {
    match host_port(text)? {
        ("", _) => Err(format!("\"{text}\" is not an address: it has no host")),
        (_, 0) => Err(format!("\"{text}\" is not an address: no server listens on port 0")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hosts_and_ports_are_split_at_the_last_colon() {
        for (text, host, port) in [
            ("127.0.0.1:6379", "127.0.0.1", 6379),
            ("redis-1.example.com:1", "redis-1.example.com", 1),
            ("my_host:65535", "my_host", 65535),
            ("[::1]:80", "::1", 80),
            ("[fe80::1%eth0]:80", "fe80::1%eth0", 80),
            (":19000", "", 19000),
            ("localhost:0", "localhost", 0),
        ] {
            assert_eq!(host_port(text), Ok((host, port)), "{text}");
        }
    }

    #[test]
    fn what_is_not_an_address_is_refused_with_the_reason() {
        for (text, reason) in [
            ("6379", "it wants host:port, such as 127.0.0.1:6379"),
            ("", "it wants host:port, such as 127.0.0.1:6379"),
            ("a:b", "\"b\" is not a port between 0 and 65535"),
            ("a:", "\"\" is not a port between 0 and 65535"),
            ("a:65536", "\"65536\" is not a port between 0 and 65535"),
            ("a:+80", "\"+80\" is not a port between 0 and 65535"),
            ("a:080", "\"080\" is not a port between 0 and 65535"),
            ("::1:80", "an IPv6 address wants brackets, such as [::1]:6379"),
            ("[::g]:80", "\"::g\" is not an IPv6 address"),
            ("a b:80", "its host has a character that no host name has"),
            ("http//x:80", "its host has a character that no host name has"),
            ("256.1.1.1:80", "\"256.1.1.1\" is not an IPv4 address"),
        ] {
            assert_eq!(host_port(text), Err(format!("\"{text}\" is not an address: {reason}")));
        }
    }

    #[test]
    fn a_server_has_a_host_and_a_port_or_is_an_absolute_path() {
        assert_eq!(check_server("/run/redis.sock"), Ok(()));
        assert_eq!(check_server("redis:6379"), Ok(()));
        assert!(check_server("run/redis.sock").is_err());
        assert!(check_tcp("/run/redis.sock").is_err());
        assert_eq!(check_server(":1"), Err("\":1\" is not an address: it has no host".into()));
        assert_eq!(
            check_server("a:0"),
            Err("\"a:0\" is not an address: no server listens on port 0".into())
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[\\[\\]:a-f0-9.%]{0,20}|.*") {
            let _ = host_port(&text);
            let _ = check_server(&text);
        }
    }
}
