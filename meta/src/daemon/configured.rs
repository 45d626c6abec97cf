//! A member run as its configuration says.

use std::net::SocketAddr;
use std::path::Path;

use super::{Plan, Times, run_plan};
use crate::config::{MetaConfig, Ticks};
use crate::server::Tls;

/// Runs a member until `shutdown`. `ready` is called with the address of its port once everything is served.
///
/// # Errors
/// Why it cannot run, or cannot go on: a sentence for the operator.
pub async fn run(
    config: MetaConfig,
    ready: impl FnOnce(SocketAddr) + Send,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), String> {
    run_plan(Plan::of(&config)?, |begun| ready(begun.address), shutdown).await
}

impl Plan {
    /// What `config` says.
    ///
    /// # Errors
    /// A sentence for the operator: what of it cannot be done.
    pub fn of(config: &MetaConfig) -> Result<Self, String> {
        let Ticks { tick, election, heartbeat } = config.ticks();
        Ok(Self {
            product: config.product_name.clone(),
            product_auth: config.product_auth.clone(),
            listen: config.listen_addr(),
            data_dir: config.data_dir.clone().into(),
            own: config.own_member(),
            founders: config.founding_members(),
            settings: config.initial_settings(),
            times: Times { tick, heartbeat, election },
            tls: tls(config)?,
        })
    }
}

/// The certificate of the port, if the configuration names one.
fn tls(config: &MetaConfig) -> Result<Option<Tls>, String> {
    if config.tls_certificate.is_empty() {
        return Ok(None);
    }
    let ca = (!config.tls_ca.is_empty()).then(|| Path::new(&config.tls_ca));
    Tls::load(Path::new(&config.tls_certificate), Path::new(&config.tls_key), ca)
        .map(Some)
        .map_err(|error| error.to_string())
}
