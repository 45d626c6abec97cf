//! How a proxy that follows a metadata group begins: its directory, the member inside where there is one, the
//! link, and the wait for the first topology. What is begun here runs on in [`crate::control`] and [`crate::member`].

use crate::config::ProxyConfig;
use crate::control::{Begin, FIRST_WAIT, Facts, Kept, Link, LinkConfig, Signals};
use crate::member::Member;
use crate::saved::{DataDir, SavedTopology};
use crate::topology::Topology;
use codis_meta::config::MetaConfig;
use codis_service::address::host_port;
use std::path::Path;
use std::sync::Arc;
use tracing::{info, warn};

/// A proxy's group, and what it serves clients by at first.
pub struct Following {
    /// The link to the group.
    pub link: Link,
    /// What the shards begin with.
    pub topology: Arc<Topology>,
    /// The member in this process, to be kept until the group was told that the proxy stops.
    pub member: Option<Member>,
}

/// Begins to follow the group that `config` names, as the proxy whose token the data directory has, which from then on
/// stands in `facts`. A member inside keeps to the cores `spare`. `None` when the process was told to end meanwhile.
///
/// # Errors
/// A sentence: what cannot be used, or why the group refuses this proxy.
pub fn begin(
    config: &ProxyConfig,
    facts: &mut Facts,
    signals: &mut Signals,
    spare: Vec<usize>,
) -> Result<Option<Following>, String> {
    let dir = DataDir::open(Path::new(&config.data_dir), &facts.token);
    let dir = dir.map_err(|error| error.to_string())?;
    dir.token().clone_into(&mut facts.token);
    let topology = saved_topology(&dir, &config.product_name);
    let kept = Kept { dir: Arc::new(dir), topology };
    let meta = config.meta_config();
    let link = LinkConfig { addresses: addresses(config, meta.as_ref()), tls_ca: tls_ca(config)? };
    let mut member = meta.map(|meta| start_member(meta, spare)).transpose()?;
    let mut link = signals.follow(link, config, facts, kept)?;
    let failed = async {
        match &mut member {
            Some(member) => member.failed().await,
            None => std::future::pending().await,
        }
    };
    match signals.first_topology(&mut link, FIRST_WAIT, failed) {
        Begin::Serve(topology) => Ok(Some(Following { link, topology, member })),
        Begin::Refused(reason) => Err(reason),
        Begin::End => Ok(None),
    }
}

fn start_member(config: MetaConfig, spare: Vec<usize>) -> Result<Member, String> {
    let ready = |address| info!("the metadata member in this process serves at {address}");
    Member::start(spare, move |shutdown| codis_meta::daemon::run(config, ready, shutdown))
}

/// The topology in `dir`, where it is whole and of this product.
fn saved_topology(dir: &DataDir, product: &str) -> Option<SavedTopology> {
    match dir.load() {
        Ok(Some(saved)) if saved.product != product => {
            warn!(
                "the saved topology in {} is of product {:?}, not of {product:?}: it is left aside",
                dir.topology_path().display(),
                saved.product
            );
            None
        }
        Ok(saved) => saved,
        Err(error) => {
            warn!(
                "the saved topology is left aside, and written anew once the group has sent one: {error}"
            );
            None
        }
    }
}

/// Where members are: the one inside first, then those that the configuration names.
fn addresses(config: &ProxyConfig, meta: Option<&MetaConfig>) -> Vec<String> {
    let mut addresses = Vec::new();
    if let Some(meta) = meta {
        // Its certificate may name no loopback address.
        if meta.tls_certificate.is_empty() {
            addresses.extend(loopback(&meta.listen_addr()));
        }
        addresses.extend(meta.own_member().ok().map(|(_, address)| address));
        addresses.extend(meta.founding_members().into_values());
    }
    addresses.extend(config.meta_addr.iter().cloned());
    let mut seen = std::collections::HashSet::new();
    addresses.retain(|address| seen.insert(address.clone()));
    addresses
}

/// How this machine itself reaches what listens at `listen`.
fn loopback(listen: &str) -> Option<String> {
    let (host, port) = host_port(listen).ok()?;
    Some(match host {
        "" | "0.0.0.0" => format!("127.0.0.1:{port}"),
        "::" => format!("[::1]:{port}"),
        _ => listen.to_owned(),
    })
}

/// The CA to check members by: the proxy's own setting, else that of the member inside.
fn tls_ca(config: &ProxyConfig) -> Result<Option<Vec<u8>>, String> {
    let inside = config.meta_config();
    let of_member = inside.as_ref().map_or("", |member| member.tls_ca.as_str());
    let (key, path) = match config.meta_tls_ca.as_str() {
        "" => ("meta.tls_ca", of_member),
        path => ("meta_tls_ca", path),
    };
    if path.is_empty() {
        let needed = inside.is_some_and(|member| !member.tls_certificate.is_empty());
        return if needed {
            Err("the member inside has a certificate: name the CA to check it by, in meta_tls_ca"
                .into())
        } else {
            Ok(None)
        };
    }
    std::fs::read(path).map(Some).map_err(|error| format!("cannot read {key} {path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(toml: &str) -> ProxyConfig {
        crate::config::parse(toml, "proxy.toml").expect("a good file").config
    }

    fn addresses_of(toml: &str) -> Vec<String> {
        let config = config(toml);
        addresses(&config, config.meta_config().as_ref())
    }

    #[test]
    fn the_member_inside_is_asked_first() {
        let addresses = addresses_of(
            "meta_addr = [\"far:1\", \"10.0.0.2:18080\"]\n[meta]\nembedded = true\nadmin_addr = \"10.0.0.1:18080\"\n\
             members = [\"1@10.0.0.1:18080\", \"2@10.0.0.2:18080\", \"3@10.0.0.3:18080\"]\n",
        );
        assert_eq!(addresses, ["10.0.0.1:18080", "10.0.0.2:18080", "10.0.0.3:18080", "far:1"]);
    }

    #[test]
    fn a_member_that_listens_everywhere_is_reached_by_the_loopback() {
        let addresses = addresses_of("[meta]\nembedded = true\nadmin_addr = \"0.0.0.0:18099\"\n");
        assert_eq!(addresses[0], "127.0.0.1:18099");
        assert_eq!(loopback("[::]:1").as_deref(), Some("[::1]:1"));
    }

    #[test]
    fn without_a_member_inside_the_listed_ones_are_asked() {
        assert_eq!(addresses_of("meta_addr = [\"a:1\", \"b:2\", \"a:1\"]\n"), ["a:1", "b:2"]);
    }

    #[test]
    fn a_ca_that_cannot_be_read_is_named() {
        let error = tls_ca(&config("meta_tls_ca = \"/nowhere/ca.pem\"\n")).expect_err("no file");
        assert!(error.starts_with("cannot read meta_tls_ca /nowhere/ca.pem: "), "{error}");
        assert_eq!(tls_ca(&config("")), Ok(None));
    }

    #[test]
    fn a_saved_topology_of_another_product_is_left_aside() {
        let temp = tempfile::TempDir::new().expect("a directory");
        let dir = DataDir::open(temp.path(), &"0".repeat(32)).expect("it opens");
        let saved = SavedTopology {
            cluster: 1,
            product: "one".into(),
            saved_unix_ms: 1,
            topology: codis_meta::state::State::new().topology().clone(),
        };
        dir.save(saved.clone()).expect("it is written");
        assert_eq!(saved_topology(&dir, "one"), Some(saved));
        assert_eq!(saved_topology(&dir, "other"), None);
        std::fs::write(dir.topology_path(), "damaged").expect("written");
        assert_eq!(saved_topology(&dir, "one"), None);
    }
}
