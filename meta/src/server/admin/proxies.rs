//! Proxies as operators see them.

use codis_proto::admin::v1 as api;
use tonic::{Request, Status};

use super::{change, view};
use crate::server::serving::Serving;

pub(super) async fn list(
    serving: &Serving,
    _: Request<api::ListProxiesRequest>,
) -> Result<api::Proxies, Status> {
    let links = std::sync::Arc::clone(&serving.links);
    Ok(serving.node.read(move |state| view::proxies(state.data(), &links)).await?)
}

/// Removes a proxy. One that may still run is shut out of the servers afterwards.
pub(super) async fn remove(
    serving: &Serving,
    request: Request<api::RemoveProxyRequest>,
) -> Result<api::Changed, Status> {
    let token = request.get_ref().token.clone();
    let mut changed = change::one(serving, request).await?;
    let key = token.clone();
    if serving.node.peek(move |state| state.data().leaving.contains_key(&key)).await? {
        changed.notes.push(format!(
            "proxy {token} may still run: it is being shut out of every server, and is listed as leaving until then"
        ));
    }
    Ok(changed)
}
