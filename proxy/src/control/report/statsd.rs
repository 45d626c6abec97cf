//! Stats as gauges of statsd, named as Codis named them: `prefix.product.admin_addr.proxy_addr.figure`,
//! with the dots and colons of addresses as `_`.

use super::super::state::State;
use super::{Figure, Number, Stats, figures};
use std::fmt::Write;
use std::sync::Arc;
use tokio::net::{UdpSocket, lookup_host};

/// Sends one packet. All figures together are under 1,432 bytes (what an Ethernet frame holds) for any
/// sensible prefix; a longer packet is cut up by the network.
pub(super) async fn send(state: Arc<State>) -> Result<(), String> {
    let snapshot = state.snapshot().await;
    let (facts, config) = (&state.facts, &snapshot.config);
    let server = &config.metrics_report_statsd_server;
    let segments = [
        config.metrics_report_statsd_prefix.clone(),
        config.product_name.clone(),
        facts.admin_addr.replace(['.', ':'], "_"),
        facts.proxy_addr.replace(['.', ':'], "_"),
    ];
    let packet = packet(&segments, &figures(&Stats::of(&state, &snapshot, false)));
    let failed = |error: std::io::Error| format!("{server}: {error}");
    let mut addresses = lookup_host(server).await.map_err(failed)?;
    let address = addresses.next().ok_or_else(|| format!("{server} has no address"))?;
    let any = if address.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(any).await.map_err(failed)?;
    socket.send_to(packet.as_bytes(), address).await.map_err(failed)?;
    Ok(())
}

fn packet(segments: &[String], figures: &[Figure]) -> String {
    let mut prefix = String::new();
    for segment in segments.iter().filter(|segment| !segment.is_empty()) {
        prefix.push_str(segment);
        prefix.push('.');
    }
    let mut packet = String::new();
    for (name, value) in figures {
        // Writing to a String cannot fail.
        let _ = match value {
            Number::Whole(number) => writeln!(packet, "{prefix}{name}:{number}|g"),
            Number::Fraction(number) => writeln!(packet, "{prefix}{name}:{number}|g"),
        };
    }
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_are_named_by_prefix_product_and_addresses() {
        let segments = ["", "codis-demo", "127_0_0_1_11080", "127_0_0_1_19000"].map(String::from);
        let figures = [("ops_total", Number::Whole(7)), ("rusage_cpu", Number::Fraction(0.25))];
        assert_eq!(
            packet(&segments, &figures),
            "codis-demo.127_0_0_1_11080.127_0_0_1_19000.ops_total:7|g\n\
             codis-demo.127_0_0_1_11080.127_0_0_1_19000.rusage_cpu:0.25|g\n"
        );
    }
}
