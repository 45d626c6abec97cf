//! Reports, to receivers on real sockets.

use super::super::testing::{Manner, Running, fixture_with};
use super::pause;
use crate::config::ProxyConfig;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    (listener, address)
}

fn running(set: impl FnOnce(&mut ProxyConfig)) -> Running {
    fixture_with(&[Manner::Answers, Manner::Answers], set).start()
}

/// Takes one POST and answers it with `status`; its head and body.
async fn take_post(listener: &TcpListener, status: &str) -> (String, String) {
    let (mut stream, _) = listener.accept().await.expect("a connection");
    let mut got = Vec::new();
    loop {
        stream.read_buf(&mut got).await.expect("a request");
        let text = String::from_utf8_lossy(&got);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let len = head.split("Content-Length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        let len: usize = len.and_then(|len| len.parse().ok()).expect("a length");
        if body.len() < len {
            continue;
        }
        assert_eq!(body.len(), len, "nothing follows the body");
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.expect("the client waits");
        return (head.to_owned(), body.to_owned());
    }
}

#[tokio::test]
async fn the_overview_is_posted_as_json_also_after_a_refusal() {
    let (listener, address) = listener().await;
    let running = running(|config| config.metrics_report_server = format!("http://{address}/in"));
    take_post(&listener, "500 No").await;
    let (head, body) = take_post(&listener, "200 OK").await;
    assert!(head.starts_with("POST /in HTTP/1.1\r\n"), "{head}");
    let overview: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(overview["model"]["token"], running.token.as_str());
    assert_eq!(overview["stats"]["ops"]["total"], 200);
    assert!(!body.contains("pw-of-the-product"));
}

#[tokio::test]
async fn a_line_is_posted_to_influxdb_with_user_and_database() {
    let (listener, address) = listener().await;
    let running = running(|config| {
        config.metrics_report_influxdb_server = format!("http://{address}");
        config.metrics_report_influxdb_username = "u".into();
        config.metrics_report_influxdb_password = "p".into();
        config.metrics_report_influxdb_database = "d b".into();
    });
    let (head, body) = take_post(&listener, "204 No Content").await;
    assert!(head.starts_with("POST /write?db=d%20b&precision=ns HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nAuthorization: Basic dTpw\r\n"), "{head}");
    let start = format!("codis_usage,token={},product_name=codis-demo,", running.token);
    assert!(body.starts_with(&start), "{body}");
    assert!(body.contains(" ops_total=200i,ops_fails=6i,ops_redis_errors=4i,"), "{body}");
}

#[tokio::test]
async fn gauges_are_sent_to_statsd() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let address = socket.local_addr().expect("a bound socket");
    let _running = running(|config| {
        config.metrics_report_statsd_server = address.to_string();
        config.metrics_report_statsd_prefix = "pre".into();
    });
    let mut packet = [0; 4096];
    let len = socket.recv(&mut packet).await.expect("a packet");
    let packet = std::str::from_utf8(&packet[..len]).expect("text");
    assert!(packet.starts_with("pre.codis-demo.127_0_0_1_"), "{packet}");
    assert!(packet.contains("_19000.sessions_alive:10|g\n"), "{packet}");
    assert_eq!(packet.lines().count(), 8);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_without_a_receiver() {
    let running = running(|_| {});
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(running.stats_asked.load(Ordering::Relaxed), 0);
}

#[test]
fn a_dead_receiver_is_tried_less_and_less_often_but_never_given_up() {
    let seconds = |n| Duration::from_secs(n);
    let pauses: Vec<_> = [0, 1, 2, 3, 4, u32::MAX].map(|n| pause(seconds(1), n)).into();
    assert_eq!(pauses, [1, 2, 4, 8, 15, 15].map(seconds));
    assert_eq!(pause(seconds(60), 0), seconds(60));
    assert_eq!(pause(seconds(60), 5), seconds(60));
}
