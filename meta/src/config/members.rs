//! Who this member is, and which others found the group with it.

use super::MetaConfig;
use crate::state;
use codis_service::address::host_port;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};

/// One entry of `members`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The member's number.
    pub(super) id: u64,
    /// Where it is reached, in the state's spelling.
    pub(super) address: String,
}

impl Entry {
    /// Reads `id@host:port`.
    ///
    /// # Errors
    /// What is wrong, as the end of "`key`: ...".
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Some((digits, address)) = text.split_once('@') else {
            return Err(format!(
                "\"{text}\" is not a member: it wants id@host:port, such as 1@10.0.0.1:18080"
            ));
        };
        // Written back to compare, so that "+1" and "01" are not taken for a number.
        let id = digits.parse::<u32>().ok().filter(|id| *id > 0 && id.to_string() == digits);
        let id = id.ok_or_else(|| {
            format!("\"{text}\" is not a member: its number must be between 1 and {}", u32::MAX)
        })?;
        let address = reachable(address)?;
        Ok(Self { id: u64::from(id), address })
    }
}

/// An address that others can connect to, in the state's spelling.
///
/// # Errors
/// What is wrong, as the end of "`key`: ...".
pub(super) fn reachable(text: &str) -> Result<String, String> {
    let address = state::canonical_address(text).map_err(|refusal| refusal.message)?;
    if is_unspecified(&address) {
        return Err(format!("{text:?} is no address that others can connect to"));
    }
    Ok(address)
}

/// Whether `address` stands for every address of the machine.
fn is_unspecified(address: &str) -> bool {
    host_port(address).is_ok_and(|(host, _)| {
        host.is_empty() || host.parse().is_ok_and(|ip: IpAddr| ip.is_unspecified())
    })
}

impl MetaConfig {
    /// Where to listen: `admin_addr`, whose host may have been left out.
    #[must_use]
    pub fn listen_addr(&self) -> String {
        match host_port(&self.admin_addr) {
            Ok(("", port)) => format!("{}:{port}", Ipv4Addr::UNSPECIFIED),
            _ => self.admin_addr.clone(),
        }
    }

    /// The members that found the group, by number, their addresses in one spelling. Empty for a member
    /// alone: it founds the group as [`own_member`](Self::own_member).
    #[must_use]
    pub fn founding_members(&self) -> BTreeMap<u64, String> {
        self.entries().into_iter().map(|entry| (entry.id, entry.address)).collect()
    }

    /// The number of this member, and where others reach it.
    ///
    /// It looks at this machine's network interfaces, and may ask a name server.
    ///
    /// # Errors
    /// Which of the members this is cannot be told; a sentence that says what to set.
    pub fn own_member(&self) -> Result<(u64, String), String> {
        let interfaces = if_addrs::get_if_addrs()
            .map_err(|error| format!("cannot list this machine's network interfaces: {error}"))?;
        let own: Vec<IpAddr> = interfaces.iter().map(|interface| interface.ip()).collect();
        self.own_member_at(&own)
    }

    /// As [`Self::own_member`], on a machine with the addresses `own`.
    pub(super) fn own_member_at(&self, own: &[IpAddr]) -> Result<(u64, String), String> {
        let entries = self.entries();
        if entries.is_empty() {
            return Ok((u64::from(self.member_id.max(1)), self.address_alone(own)?));
        }
        let all = || self.members.join(", ");
        let id = u64::from(self.member_id);
        if id != 0 {
            let entry = entries.into_iter().find(|entry| entry.id == id);
            let entry =
                entry.ok_or_else(|| format!("member_id {id} is not in members: {}", all()))?;
            return Ok((entry.id, entry.address));
        }
        let named = if self.host_admin.is_empty() { &self.admin_addr } else { &self.host_admin };
        let exact = state::canonical_address(named).ok();
        if let Some(entry) = entries.iter().find(|entry| Some(&entry.address) == exact.as_ref()) {
            return Ok((entry.id, entry.address.clone()));
        }
        let port = host_port(named)?.1;
        let here: Vec<&Entry> =
            entries.iter().filter(|entry| is_here(&entry.address, port, own)).collect();
        match here.as_slice() {
            [entry] => Ok((entry.id, entry.address.clone())),
            [] => Err(format!(
                "none of members is this one: none is {named}, and none has port {port} and an address of \
                 this machine; they are {}. Add this member, or set member_id",
                all()
            )),
            _ => Err(format!(
                "more than one of members could be this one, by their port {port} and the addresses of this \
                 machine; they are {}. Set member_id",
                all()
            )),
        }
    }

    fn entries(&self) -> Vec<Entry> {
        // Loading has refused what is none.
        self.members.iter().filter_map(|text| Entry::parse(text).ok()).collect()
    }

    /// Where others reach a member that is a group by itself.
    fn address_alone(&self, own: &[IpAddr]) -> Result<String, String> {
        if !self.host_admin.is_empty() {
            return reachable(&self.host_admin);
        }
        if !is_unspecified(&self.admin_addr) {
            return reachable(&self.admin_addr);
        }
        let (host, port) = host_port(&self.admin_addr)?;
        let v4_only = host.is_empty() || host.parse::<Ipv4Addr>().is_ok();
        let usable = |ip: &&IpAddr| match ip {
            IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
            IpAddr::V6(ip) => !v4_only && !ip.is_loopback() && !ip.is_unicast_link_local(),
        };
        // Without a network there is still this machine.
        let ip = own.iter().find(usable).copied().unwrap_or(Ipv4Addr::LOCALHOST.into());
        Ok(std::net::SocketAddr::new(ip, port).to_string())
    }
}

/// Whether `address` has that port and a host that is this machine.
fn is_here(address: &str, port: u16, own: &[IpAddr]) -> bool {
    let Ok((host, its_port)) = host_port(address) else { return false };
    if its_port != port {
        return false;
    }
    match host.parse::<IpAddr>() {
        Ok(ip) => own.contains(&ip),
        Err(_name) => (host, port)
            .to_socket_addrs()
            .is_ok_and(|mut found| found.any(|found| own.contains(&found.ip()))),
    }
}
