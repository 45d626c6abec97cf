//! The link against a member that the test plays: one stream after the other, the start of a proxy, and the control
//! plane around it.

mod plane;
mod start;
mod stream;

/// Somewhere nobody listens.
fn nobody() -> String {
    format!("127.0.0.1:{}", codis_testbed::free_port())
}
