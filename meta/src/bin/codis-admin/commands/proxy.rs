//! `codis-admin proxy ...`

use super::Session;
use crate::cli::ProxyCommand;
use crate::{Failure, confirm, output};
use codis_proto::admin::v1 as api;

impl Session {
    pub(super) async fn proxy(&mut self, command: ProxyCommand) -> Result<(), Failure> {
        match command {
            ProxyCommand::List => {
                let request = api::ListProxiesRequest {};
                let call = self.client.call(request, async |api, q| api.list_proxies(q).await);
                let proxies = call.await?;
                self.output
                    .answer("codis.admin.v1.Proxies", &proxies, || output::proxies(&proxies, None))
            }
            ProxyCommand::Remove { token, force, consent, wait } => {
                let what = match force {
                    true => format!("this shuts proxy {token} out of every server"),
                    false => format!("this removes proxy {token}"),
                };
                confirm::ask(&what, consent.confirm)?;
                let call = self.change(wait);
                let request = api::RemoveProxyRequest { call, token: token.clone(), force };
                let call = self.client.call(request, async |api, q| api.remove_proxy(q).await);
                let changed = call.await?;
                self.changed(&format!("proxy {token} is removed"), &changed)
            }
        }
    }
}
