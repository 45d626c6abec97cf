//! How a proxy introduces itself to the group.

use super::super::facts::{CODIS_VERSION, Facts};
use crate::config::ProxyConfig;
use codis_meta::state::limits::{PROTOCOL, TEXT_BYTES_MAX};
use codis_proto::meta::v1 as pb;

/// The registration of this process; what it works by is filled in each time.
pub(super) fn registration(config: &ProxyConfig, facts: &Facts) -> pb::ProxyRegister {
    pb::ProxyRegister {
        product: config.product_name.clone(),
        protocol: PROTOCOL,
        token: facts.token.clone(),
        admin_addr: facts.admin_addr.clone(),
        proxy_addr: facts.proxy_addr.clone(),
        proto_type: config.proto_type.to_string(),
        datacenter: config.proxy_datacenter.clone(),
        start_unix_ms: u64::try_from(facts.started.unix_timestamp_nanos() / 1_000_000).unwrap_or(0),
        version: CODIS_VERSION.into(),
        hostname: shown(&facts.hostname),
        pid: facts.pid,
        shards: u32::try_from(facts.cores.len()).unwrap_or(u32::MAX),
        directory: shown(&facts.pwd),
        system: shown(&facts.sys),
        epoch: 0,
        cluster: 0,
    }
}

/// `text` as the group takes it: a directory with an odd name is no reason to be refused.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let mut end = shown.len().min(TEXT_BYTES_MAX);
    while !shown.is_char_boundary(end) {
        end -= 1;
    }
    shown.truncate(end);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use codis_meta::state::{State, VERSION};
    use pb::command::Change;
    use pb::outcome::Result as Answer;

    #[test]
    fn the_group_accepts_what_a_proxy_says_of_itself() {
        let admin = "127.0.0.1:11080".parse().expect("an address");
        let mut facts = Facts::gather(admin, "127.0.0.1:19000", vec![0, 1], None);
        facts.pwd = format!("/srv/\n{}", "\u{e9}".repeat(TEXT_BYTES_MAX));
        let register = registration(&ProxyConfig::default(), &facts);
        assert_eq!((register.shards, register.pid), (2, std::process::id()));
        let mut state = State::new();
        let mut answer = |index, change| {
            let command = pb::Command {
                version: VERSION,
                time_unix_ms: 1,
                change: Some(change),
                ..Default::default()
            };
            state.apply_command(index, &command).result
        };
        let product = pb::ProductCreate {
            name: register.product.clone(),
            cluster: 1,
            ..pb::ProductCreate::default()
        };
        answer(1, Change::ProductCreate(product));
        let outcome = answer(2, Change::ProxyRegister(register));
        assert!(!matches!(outcome, Some(Answer::Refused(_)) | None), "{outcome:?}");
    }
}
