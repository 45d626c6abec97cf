//! `codis-admin watch`

use super::Session;
use crate::{Failure, output};
use codis_meta::client::{ClientError, Verdict};
use codis_proto::admin::v1 as api;
use std::time::Duration;

/// How long a watch may last.
const WATCH_TIMEOUT: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long to wait before a stream that ended is opened anew.
const REOPEN_PAUSE: Duration = Duration::from_millis(100);

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
            loop {
                match events.message().await {
                    Ok(Some(event)) => {
                        let name = "codis.admin.v1.WatchEvent";
                        self.output.line(name, &event, || output::event(&event))?;
                    }
                    Err(status) if Verdict::of(&status) == Verdict::Final => {
                        return Err(ClientError::Refused(Box::new(status)).into());
                    }
                    Ok(None) | Err(_) => break,
                }
            }
            // A member that ends each stream at once is not asked in a loop.
            tokio::time::sleep(REOPEN_PAUSE).await;
        }
    }
}
