//! Taking connections in.

use std::time::Duration;

use futures_util::stream::unfold;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_stream::Stream;

/// How long nothing is accepted after the system refused to: there may be no file descriptor left for the moment.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// The connections that come to `listener`, without end. Whatever the system says against one, the port stays open:
/// tonic's own stream of them would end with the first that finds no file descriptor.
pub(super) fn connections(listener: TcpListener) -> impl Stream<Item = TcpStream> {
    unfold((listener, false), async |(listener, mut refused)| {
        loop {
            match listener.accept().await {
                Ok((socket, _)) => {
                    // Without it small messages wait for each other's acknowledgement; they arrive all the same.
                    let _ = socket.set_nodelay(true);
                    return Some((socket, (listener, false)));
                }
                Err(error) => {
                    if !refused {
                        tracing::warn!("a connection could not be accepted: {error}");
                    }
                    refused = true;
                    sleep(REFUSED_PAUSE).await;
                }
            }
        }
    })
}
