//! The member's one port, as it is served while the member lives.

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::server::{ServeError, Services, Tls, serve};

/// A port that is served. Dropping it ends that at once.
pub(super) struct Port {
    task: JoinHandle<Result<(), ServeError>>,
    closing: Option<oneshot::Sender<()>>,
}

impl Port {
    pub(super) fn open(listener: TcpListener, services: Services, tls: Option<Tls>) -> Self {
        let (closing, closed) = oneshot::channel::<()>();
        let until_closed = async {
            // Dropped or used, it means the same.
            let _ = closed.await;
        };
        let task =
            tokio::spawn(
                async move { serve(listener, services, tls.as_ref(), until_closed).await },
            );
        Self { task, closing: Some(closing) }
    }

    /// Why it is not served any more. Waits as long as it is.
    pub(super) async fn ended(&mut self) -> String {
        match (&mut self.task).await {
            Ok(Err(error)) => error.to_string(),
            _ => "the port is not served any more: see the log".to_owned(),
        }
    }

    /// Takes no more connections, and gives calls under way a moment to end.
    pub(super) async fn close(mut self) {
        self.closing = None;
        // An error is a panic, which has been logged.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.task.abort();
    }
}
