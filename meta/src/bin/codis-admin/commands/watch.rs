//! `codis-admin watch`

use super::Session;
use crate::{Failure, output};
use codis_proto::admin::v1 as api;
use std::time::Duration;

/// How long a watch may last.
const WATCH_TIMEOUT: Duration = Duration::from_secs(30 * 24 * 3600);

impl Session {
    /// Prints changes until the reader or the operator has had enough; goes on at another member when this one goes.
    pub(super) async fn watch(&mut self, all: bool) -> Result<(), Failure> {
        loop {
            let mut events = self
                .client
                .call(api::WatchRequest { all }, async |api, mut q| {
                    q.set_timeout(WATCH_TIMEOUT);
                    api.watch(q).await
                })
                .await?;
            while let Ok(Some(event)) = events.message().await {
                self.output.line("codis.admin.v1.WatchEvent", &event, || output::event(&event))?;
            }
        }
    }
}
