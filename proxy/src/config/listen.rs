//! Where the proxy listens.

use super::{ProxyConfig, Written};
use crate::address::host_port;
use codis_service::config::{Setting, take_text};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

/// What the proxy listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ProtoType {
    /// TCP over IPv4 or IPv6, as the address says.
    Tcp,
    /// TCP over IPv4.
    #[default]
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// A unix socket; the address is its path.
    Unix,
}

impl ProtoType {
    /// Every type, with the name that the file gives it.
    const NAMES: [(&'static str, Self); 4] =
        [("tcp", Self::Tcp), ("tcp4", Self::Tcp4), ("tcp6", Self::Tcp6), ("unix", Self::Unix)];
}

impl Setting for ProtoType {
    fn take(&mut self, given: &Written) -> Result<(), String> {
        take_text(self, given, "one of \"tcp\", \"tcp4\", \"tcp6\", \"unix\"", false)
    }

    fn written(&self) -> Written {
        Written::Text(self.to_string())
    }
}

impl fmt::Display for ProtoType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::NAMES.iter().find(|(_, proto)| proto == self);
        f.write_str(named.expect("every type has a name").0)
    }
}

impl FromStr for ProtoType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::NAMES.iter().find(|(name, _)| *name == text);
        named.map(|&(_, proto)| proto).ok_or_else(|| {
            format!("\"{text}\" is not one of \"tcp\", \"tcp4\", \"tcp6\", \"unix\"")
        })
    }
}

/// Where the proxy listens for clients: `proto_type` and `proxy_addr` together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A TCP port.
    Tcp {
        /// Which addresses are meant when `host` has several.
        proto: ProtoType,
        /// A name, an address, or empty for every address of this machine.
        host: String,
        /// The port; 0 lets the system choose.
        port: u16,
    },
    /// A unix socket.
    Unix(PathBuf),
}

/// The longest path that a unix socket can have, without the byte that ends it (`sun_path`).
const UNIX_PATH_MAX: usize = 107;

impl Listen {
    /// Reads `addr` as `proto` wants it.
    ///
    /// # Errors
    /// What is wrong, as the end of "`key`: ...".
    pub fn parse(proto: ProtoType, addr: &str) -> Result<Self, String> {
        if proto == ProtoType::Unix {
            return match addr.len() {
                0 => Err("is empty; proto_type \"unix\" wants the path of a socket".into()),
                1..=UNIX_PATH_MAX => Ok(Self::Unix(addr.into())),
                _ => Err(format!(
                    "\"{addr}\" is longer than a unix socket's path can be (107 bytes)"
                )),
            };
        }
        let (host, port) = host_port(addr)?;
        let ip = host.parse::<IpAddr>().ok();
        match (proto, ip) {
            (ProtoType::Tcp4, Some(IpAddr::V6(_))) => {
                Err(format!("\"{addr}\" is an IPv6 address, and proto_type \"tcp4\" wants IPv4"))
            }
            (ProtoType::Tcp6, Some(IpAddr::V4(_))) => {
                Err(format!("\"{addr}\" is an IPv4 address, and proto_type \"tcp6\" wants IPv6"))
            }
            _ => Ok(Self::Tcp { proto, host: host.to_owned(), port }),
        }
    }

    /// The addresses to try in turn until one can be bound; none for a unix socket.
    ///
    /// # Errors
    /// The name could not be resolved, or has no address of the kind that `proto_type` wants.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let Self::Tcp { proto, host, port } = self else {
            return Ok(Vec::new());
        };
        let wanted = |address: &SocketAddr| match proto {
            ProtoType::Tcp4 => address.is_ipv4(),
            ProtoType::Tcp6 => address.is_ipv6(),
            _ => true,
        };
        let all: Vec<SocketAddr> = if host.is_empty() {
            // IPv6 first, as it takes IPv4 clients too where the system does not forbid that.
            vec![(Ipv6Addr::UNSPECIFIED, *port).into(), (Ipv4Addr::UNSPECIFIED, *port).into()]
        } else {
            (host.as_str(), *port).to_socket_addrs()?.collect()
        };
        let chosen: Vec<SocketAddr> = all.into_iter().filter(wanted).collect();
        if chosen.is_empty() {
            let why = format!("{host} has no address that proto_type \"{proto}\" can use");
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, why));
        }
        Ok(chosen)
    }
}

impl ProxyConfig {
    /// Where the proxy listens for clients.
    ///
    /// # Errors
    /// As [`Listen::parse`]; not for a configuration that was loaded, as loading checks it.
    pub fn listen(&self) -> Result<Listen, String> {
        Listen::parse(self.proto_type, &self.proxy_addr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_the_other_family_is_refused() {
        assert_eq!(
            Listen::parse(ProtoType::Tcp4, "[::1]:1"),
            Err("\"[::1]:1\" is an IPv6 address, and proto_type \"tcp4\" wants IPv4".into())
        );
        assert_eq!(
            Listen::parse(ProtoType::Tcp6, "127.0.0.1:1"),
            Err("\"127.0.0.1:1\" is an IPv4 address, and proto_type \"tcp6\" wants IPv6".into())
        );
        assert!(Listen::parse(ProtoType::Tcp, "[::1]:1").is_ok());
    }

    #[test]
    fn an_empty_host_means_every_address_of_the_family() {
        let addresses = |proto| {
            let listen = Listen::parse(proto, ":7").expect("an address");
            listen.addresses().expect("no name to resolve")
        };
        let v4: SocketAddr = "0.0.0.0:7".parse().expect("an address");
        let v6: SocketAddr = "[::]:7".parse().expect("an address");
        assert_eq!(addresses(ProtoType::Tcp4), [v4]);
        assert_eq!(addresses(ProtoType::Tcp6), [v6]);
        assert_eq!(addresses(ProtoType::Tcp), [v6, v4]);
    }

    #[test]
    fn a_unix_socket_has_a_path_that_the_system_can_hold() {
        assert_eq!(
            Listen::parse(ProtoType::Unix, "/run/proxy.sock"),
            Ok(Listen::Unix("/run/proxy.sock".into()))
        );
        assert!(Listen::parse(ProtoType::Unix, "").is_err());
        assert!(Listen::parse(ProtoType::Unix, &"x".repeat(108)).is_err());
    }
}
