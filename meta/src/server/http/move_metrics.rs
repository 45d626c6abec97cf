//! The part of `/metrics` that tells how moves of slots are doing; on the leader alone.

use codis_proto::admin::v1 as api;

use super::exposition::Kind::{Counter, Gauge};
use super::exposition::Page;

/// Writes the leader's figures. Counters begin anew with each leader.
pub(super) fn write(page: &mut Page, moves: &api::Moves) {
    for (name, help, value) in [
        ("slots", "Slots that have ended their move since this leader leads.", moves.slots_done),
        ("keys", "Keys that this leader has moved.", moves.keys_moved),
        ("bytes", "Bytes of the keys that this leader has moved.", moves.bytes_moved),
    ] {
        page.single(Counter, &format!("codis_moves_{name}_total"), help, value);
    }
    let help = "The longest time that a barrier of this leader held clients up.";
    let slowest = seconds(moves.slowest_barrier_us);
    page.single(Gauge, "codis_moves_slowest_barrier_seconds", help, slowest);
    type Figure = fn(&api::MoveSource) -> f64;
    let families: [(&str, &str, Figure); 6] = [
        ("keys_per_second", "Keys that left a group in the last second.", |source| {
            source.keys_a_second as f64
        }),
        ("bytes_per_second", "Bytes that left a group in the last second.", |source| {
            source.bytes_a_second as f64
        }),
        (
            "keys_left",
            "Keys that are still to leave a group, of the slots that move now.",
            |source| source.keys_total.saturating_sub(source.keys_moved) as f64,
        ),
        ("batch_keys", "Keys in one step.", |source| source.batch_keys as f64),
        ("longest_step_seconds", "The longest step of the last second.", |source| {
            seconds(source.longest_step_us)
        }),
        ("waiting", "Whether something is in the way of the slots that leave a group.", |source| {
            f64::from(u8::from(!source.trouble.is_empty()))
        }),
    ];
    for (name, help, figure) in families {
        let sample =
            |source: &api::MoveSource| (vec![("group", source.gid.to_string())], figure(source));
        let samples = moves.sources.iter().map(sample);
        page.family(Gauge, &format!("codis_moves_{name}"), help, samples);
    }
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}
