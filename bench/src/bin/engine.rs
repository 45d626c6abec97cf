//! The engine in time, without sockets: the load that `bench/instructions.sh` counts the instructions of.

use codis_proxy as _;
use criterion::{Criterion, Throughput};
use driver::{Driver, Load, SESSIONS, TURN_US};

#[path = "../../../proxy/examples/engine_load/driver.rs"]
mod driver;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("engine");
    for name in ["get", "set", "mget"] {
        let Some(load) = Load::named(name) else { continue };
        let (mut driver, mut turn) = (Driver::new(), 0);
        let requests = u64::from(SESSIONS) * load.requests_a_session as u64;
        group.throughput(Throughput::Elements(requests));
        group.bench_function(name, |bench| {
            bench.iter(|| {
                turn += 1;
                driver.turn_at(turn * TURN_US, &load)
            });
        });
    }
    group.finish();
    criterion.final_summary();
}
