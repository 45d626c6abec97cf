//! The section `[meta]`: a member of the metadata group inside the proxy's process.

use super::ProxyConfig;
use codis_meta::config::MetaConfig;
use codis_service::config::{Change, Configuration, Fault, Key, Setting, Table};

/// What `[meta]` says: whether there is a member inside, and its settings under the names of meta.toml.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Embedded {
    /// Whether the proxy runs a member of the metadata group.
    pub embedded: bool,
    /// The member's settings; its product is not among them, see [`ProxyConfig::meta_config`].
    pub member: MetaConfig,
}

static EMBEDDED: Key = Key {
    name: "embedded",
    doc: &[" Whether the proxy runs a member of the metadata group."],
    change: Change::Restart,
};

/// What the member has from the proxy's own keys.
const OF_THE_PROXY: [&str; 2] = ["product_name", "product_auth"];

/// Whether a key of meta.toml stands in the section. No file with such a section ever had a coordinator.
fn belongs(key: &Key) -> bool {
    !key.is_ignored() && !OF_THE_PROXY.contains(&key.name)
}

impl Table for Embedded {
    fn rows(&self) -> Vec<(&'static Key, &dyn Setting)> {
        let switch: (&'static Key, &dyn Setting) = (&EMBEDDED, &self.embedded);
        let member = self.member.rows().into_iter().filter(|(key, _)| belongs(key));
        std::iter::once(switch).chain(member).collect()
    }

    fn setting_mut(&mut self, name: &str) -> Option<&mut dyn Setting> {
        if name == EMBEDDED.name {
            return Some(&mut self.embedded);
        }
        let (key, _) = self.member.rows().into_iter().find(|(key, _)| key.name == name)?;
        if belongs(key) { self.member.setting_mut(name) } else { None }
    }
}

impl Configuration for Embedded {
    fn check(&self) -> Vec<Fault> {
        self.member.check()
    }
}

impl ProxyConfig {
    /// The configuration of the member inside the proxy, which has the proxy's product; `None` where there
    /// is no member inside.
    #[must_use]
    pub fn meta_config(&self) -> Option<MetaConfig> {
        self.meta.embedded.then(|| MetaConfig {
            product_name: self.product_name.clone(),
            product_auth: self.product_auth.clone(),
            ..self.meta.member.clone()
        })
    }

    /// Whether the proxy has its slots from a metadata group: one that `meta_addr` names, or the one of the
    /// member inside.
    #[must_use]
    pub fn follows_group(&self) -> bool {
        !self.meta_addr.is_empty() || self.meta.embedded
    }
}
