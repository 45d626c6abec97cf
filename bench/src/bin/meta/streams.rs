//! Many proxies on one leader: streams that register, follow and acknowledge as a proxy's do.

use crate::calls::toggle;
use crate::group::Group;
use crate::{histogram, ms, record};
use codis_proto::link::v1 as link;
use codis_proto::link::v1::link_client::LinkClient;
use codis_proto::meta::v1 as meta;
use link::member_message::Body as FromMember;
use link::proxy_message::Body as FromProxy;
use prost::Message;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

/// Changes that are made while the streams are open, and the pause between two.
const CHANGES: usize = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// Streams that are being opened at a time: the proxies of a product do not start in the same instant.
const OPENING_MAX: usize = 32;

/// Opens `count` streams and makes changes; prints rows of a table.
pub(crate) async fn measure(group: &Group, count: usize) {
    let before = group.leader_process();
    println!("| resident memory of the leader before, MB | {:.1} |", mb(before.resident_bytes));
    let (reached, mut reports) = mpsc::unbounded_channel();
    let (_keep, stop) = watch::channel(());
    let begin = Instant::now();
    let opening = Arc::new(Semaphore::new(OPENING_MAX));
    for number in 0..count {
        let address = group.leader_address();
        let turn = Arc::clone(&opening);
        tokio::spawn(follow(address, number, turn, reached.clone(), stop.clone()));
    }
    // Each reports the topology that it is welcomed with.
    for _ in 0..count {
        reports.recv().await.expect("the streams are open");
    }
    println!("| all registered and given the topology, ms | {} |", ms(us(begin.elapsed())));
    let open = group.leader_process();
    println!("| resident memory of the leader with them, MB | {:.1} |", mb(open.resident_bytes));

    let mut client = group.client().await;
    let mut times = histogram();
    let begin = Instant::now();
    for number in 0..CHANGES {
        let began = Instant::now();
        let epoch = toggle(&mut client, number as u32, true, 0).await.epoch;
        let mut there = 0;
        while there < count {
            let (_, at) = reports.recv().await.expect("the streams are open");
            there += usize::from(at >= epoch);
        }
        record(&mut times, began.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    let took = begin.elapsed();
    let after = group.leader_process();
    let cpu_us = (after.cpu_ns - open.cpu_ns) / 1000;
    println!("| a change at all of them, p50 ms | {} |", ms(times.value_at_quantile(0.5)));
    println!("| p99 ms | {} |", ms(times.value_at_quantile(0.99)));
    println!("| most ms | {} |", ms(times.max()));
    println!(
        "| CPU of the leader a change, acknowledgements and stats included, ms | {} |",
        ms(cpu_us / CHANGES as u64)
    );
    println!(
        "| CPU of the leader at {:.0} changes/s, of one core | {:.2} |",
        CHANGES as f64 / took.as_secs_f64(),
        cpu_us as f64 / us(took) as f64
    );
    println!("| resident memory of the leader after, MB | {:.1} |", mb(after.resident_bytes));
}

/// One proxy: reports each epoch that it is brought to, and acknowledges it.
async fn follow(
    address: String,
    number: usize,
    turn: Arc<Semaphore>,
    reached: mpsc::UnboundedSender<(usize, u64)>,
    mut stop: watch::Receiver<()>,
) {
    let turn = turn.acquire().await.expect("it is never closed");
    let mut client = LinkClient::connect(format!("http://{address}"))
        .await
        .expect("the leader accepts connections");
    let (sender, messages) = mpsc::channel(16);
    // A full queue only means that the last messages are still on their way.
    let send = |body| sender.try_send(link::ProxyMessage { body: Some(body) }).is_ok();
    send(FromProxy::Register(registration(number)));
    let answer = client.follow(ReceiverStream::new(messages)).await;
    let mut answers = answer.expect("the leader takes the stream").into_inner();
    drop(turn);
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        let message = tokio::select! {
            message = answers.message() => message.expect("the stream goes on"),
            _ = tick.tick() => {
                let stats = link::Stats { ops_total: 1, page: vec![b' '; 2000], ..link::Stats::default() };
                send(FromProxy::Stats(stats));
                continue;
            }
            _ = stop.changed() => return,
        };
        let epoch = match message.and_then(|message| message.body) {
            Some(FromMember::Topology(topology)) => {
                meta::Topology::decode(topology).expect("it is a topology").epoch
            }
            Some(FromMember::Change(change)) => {
                link::TopologyChange::decode(change).expect("it is a change").epoch
            }
            Some(FromMember::Welcome(_)) => continue,
            None => return,
        };
        send(FromProxy::Ack(link::Ack { epoch }));
        if reached.send((number, epoch)).is_err() {
            return;
        }
    }
}

fn registration(number: usize) -> meta::ProxyRegister {
    meta::ProxyRegister {
        product: crate::group::PRODUCT.into(),
        protocol: 1,
        token: format!("{number:032x}"),
        admin_addr: format!("proxy-{number}.example.com:11080"),
        proxy_addr: format!("proxy-{number}.example.com:19000"),
        proto_type: "tcp4".into(),
        start_unix_ms: 1,
        version: "0.1.0".into(),
        hostname: format!("proxy-{number}.example.com"),
        pid: 1,
        shards: 2,
        directory: "/var/lib/codis-proxy".into(),
        system: "Linux".into(),
        ..meta::ProxyRegister::default()
    }
}

fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
