//! The loop: questions, signals, draining, names.

use super::testing::{Manner, Running, Seen, fixture, fixture_with};
use super::{Exit, Signal};
use crate::config::Period;
use crate::messages::{ControlMessage, Question};
use crate::resp::Protocol;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn ask(shard: usize, sequence: u32, question: Question, request: &str) -> ControlMessage {
    let args = request.split(' ').map(|arg| arg.as_bytes().to_vec()).collect();
    let protocol = Protocol::Resp2;
    ControlMessage::Ask { shard, session: 5, client: 1, sequence, question, args, protocol }
}

#[tokio::test(start_paused = true)]
async fn a_question_is_answered_to_the_session_that_asked() {
    let mut running = fixture(&[Manner::Answers, Manner::Answers]).start();
    running.say(ask(1, 9, Question::SlowlogLen, "SLOWLOG LEN"));
    let reply = ":4\r\n".into();
    let answer = Seen::Answer { session: 5, client: 1, sequence: 9, reply };
    assert_eq!(running.next().await, (1, answer));
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_does_not_answer_is_named_and_delays_no_other_question() {
    let mut running = fixture(&[Manner::Answers, Manner::Silent]).start();
    let asked_at = tokio::time::Instant::now();
    running.say(ask(0, 1, Question::Info, "INFO"));
    running.say(ask(0, 2, Question::ConfigGet, "CONFIG GET save"));
    let (_, Seen::Answer { sequence, .. }) = running.next().await else { panic!("no answer") };
    assert_eq!(sequence, 2, "a question that needs no shard is not behind one that waits");
    assert_eq!(asked_at.elapsed(), Duration::ZERO);
    let (_, Seen::Answer { sequence, reply, .. }) = running.next().await else {
        panic!("no answer")
    };
    assert_eq!(sequence, 1);
    assert!(reply.starts_with("-ERR shard 1 did not answer within 1000 ms"), "{reply}");
    assert!(asked_at.elapsed() < Duration::from_millis(1100));
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_has_ended_is_named_at_once() {
    let mut running = fixture(&[Manner::Answers, Manner::Gone]).start();
    let asked_at = tokio::time::Instant::now();
    running.say(ask(0, 1, Question::ClientList, "CLIENT LIST"));
    let (_, Seen::Answer { reply, .. }) = running.next().await else { panic!("no answer") };
    assert_eq!(reply, "-ERR shard 1 has ended; restart the proxy\r\n");
    assert_eq!(asked_at.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn each_of_many_questions_is_answered_exactly_once() {
    let mut running = fixture(&[Manner::Answers, Manner::Answers]).start();
    for sequence in 0..1000 {
        running.say(ask(0, sequence, Question::SlowlogLen, "SLOWLOG LEN"));
    }
    let mut answered = Vec::new();
    for _ in 0..1000 {
        let (_, Seen::Answer { sequence, .. }) = running.next().await else { panic!("no answer") };
        answered.push(sequence);
    }
    answered.sort_unstable();
    assert_eq!(answered, (0..1000).collect::<Vec<_>>());
    running.signal(Signal::End);
    assert_eq!(running.next().await, (0, Seen::Drain), "no answer was sent twice");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_kills_itself_is_still_answered() {
    let mut running = fixture(&[Manner::Answers, Manner::Answers]).start();
    running.say(ask(0, 1, Question::ClientKill, "CLIENT KILL 127.0.0.1:5001"));
    assert_eq!(running.next().await, (0, Seen::Kill { not: None }));
    assert_eq!(running.next().await, (1, Seen::Kill { not: None }));
    let reply = "+OK\r\n".into();
    let answer = Seen::Answer { session: 5, client: 1, sequence: 1, reply };
    assert_eq!(running.next().await, (0, answer));
}

async fn stopped(running: &mut Running) {
    assert_eq!(running.next().await, (0, Seen::Stop));
    assert_eq!(running.next().await, (1, Seen::Stop));
}

#[tokio::test(start_paused = true)]
async fn a_signal_drains_every_shard_and_the_last_to_be_empty_ends_the_proxy() {
    let mut running = fixture(&[Manner::Answers, Manner::Answers]).start();
    running.signal(Signal::End);
    assert_eq!(running.next().await, (0, Seen::Drain));
    assert_eq!(running.next().await, (1, Seen::Drain));
    running.say(ControlMessage::Drained { shard: 1 });
    running.say(ask(0, 1, Question::SlowlogLen, "SLOWLOG LEN"));
    let (_, answer) = running.next().await;
    assert!(matches!(answer, Seen::Answer { .. }), "questions are answered while draining");
    running.say(ControlMessage::Drained { shard: 0 });
    stopped(&mut running).await;
    let exit = running.exit.await.expect("no panic");
    assert_eq!(exit, Exit::Drained);
    assert_eq!(exit.code(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_after_shutdown_timeout() {
    let set = |config: &mut crate::config::ProxyConfig| {
        config.shutdown_timeout = Period::from_millis(2500);
    };
    let mut running = fixture_with(&[Manner::Answers, Manner::Answers], set).start();
    running.signal(Signal::End);
    assert_eq!(running.next().await.1, Seen::Drain);
    assert_eq!(running.next().await.1, Seen::Drain);
    let told_at = tokio::time::Instant::now();
    running.say(ControlMessage::Drained { shard: 1 });
    stopped(&mut running).await;
    assert_eq!(running.exit.await.expect("no panic"), Exit::Cut);
    let took = told_at.elapsed();
    assert!((2500..2600).contains(&took.as_millis()), "{took:?} of virtual time");
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_ends_at_once_with_code_0() {
    let mut running = fixture(&[Manner::Answers, Manner::Answers]).start();
    let start = tokio::time::Instant::now();
    running.signal(Signal::End);
    running.signal(Signal::End);
    assert_eq!(running.next().await.1, Seen::Drain);
    assert_eq!(running.next().await.1, Seen::Drain);
    stopped(&mut running).await;
    let exit = running.exit.await.expect("no panic");
    assert_eq!((exit.code(), exit), (0, Exit::Cut));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_hangup_reopens_the_log_and_ends_nothing() {
    let mut running = fixture(&[Manner::Answers]).start();
    running.signal(Signal::Reopen);
    running.say(ask(0, 1, Question::SlowlogLen, "SLOWLOG LEN"));
    assert!(matches!(running.next().await.1, Seen::Answer { .. }));
    assert_eq!(running.log.reopened.load(Ordering::Relaxed), 1);
    assert!(!running.exit.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_fails_ends_the_proxy_with_its_reason() {
    let mut running = fixture(&[Manner::Answers, Manner::Answers]).start();
    running.say(ControlMessage::Failed { shard: 1, reason: "no memory for the ring".into() });
    stopped(&mut running).await;
    let exit = running.exit.await.expect("no panic");
    assert_eq!(exit.code(), 1);
    assert_eq!(exit, Exit::Failed("shard 1: no memory for the ring".into()));
}

#[tokio::test(start_paused = true)]
async fn the_proxy_ends_when_every_shard_has() {
    let mut running = fixture(&[Manner::Gone]).start();
    let (other, _) = tokio::sync::mpsc::unbounded_channel();
    drop(std::mem::replace(&mut running.shards, other));
    assert_eq!(running.exit.await.expect("no panic"), Exit::Failed("every shard has ended".into()));
}

#[tokio::test]
async fn a_name_is_resolved_for_the_backend_that_wants_it() {
    let mut running = fixture(&[Manner::Answers]).start();
    let resolve = |backend, address: &str| ControlMessage::Resolve {
        shard: 0,
        backend,
        address: address.into(),
    };
    running.say(resolve(3, "127.0.0.1:6379"));
    let address = "127.0.0.1:6379".parse().expect("an address");
    assert_eq!(running.next().await, (0, Seen::Resolved(3, Ok(address))));
    running.say(resolve(4, "without-a-port"));
    let (_, Seen::Resolved(4, Err(error))) = running.next().await else { panic!("not refused") };
    assert!(error.contains("without-a-port"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_proxy_asks_its_shards_nothing() {
    let running = fixture(&[Manner::Answers]).start();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(running.stats_asked.load(Ordering::Relaxed), 0);
    running.say(ask(0, 1, Question::Info, "INFO"));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let after_a_question = running.stats_asked.load(Ordering::Relaxed);
    assert!(after_a_question <= 4, "asked {after_a_question} times with no traffic");
}

#[tokio::test(start_paused = true)]
async fn monitor_is_answered_when_every_shard_knows_and_lines_go_to_the_monitors_of_other_shards() {
    let manners = [Manner::Answers, Manner::Answers];
    let mut running = fixture_with(&manners, |config| config.monitor_max_clients = 1).start();
    running.say(ask(1, 9, Question::Monitor, "MONITOR"));
    for shard in 0..2 {
        assert_eq!(running.next().await, (shard, Seen::Monitoring(vec![1])));
    }
    let ok = Seen::Answer { session: 5, client: 1, sequence: 9, reply: "+OK\r\n".into() };
    assert_eq!(running.next().await, (1, ok));
    for shard in [1, 0] {
        let lines = format!("+of shard {shard}\r\n").into_bytes();
        running.say(ControlMessage::Monitored { shard, lines });
    }
    let lines = Seen::MonitorLines("+of shard 0\r\n".into());
    assert_eq!(running.next().await, (1, lines), "its own lines it has shown already");
    running.say(ask(0, 3, Question::Monitor, "MONITOR"));
    let (shard, Seen::Answer { reply, .. }) = running.next().await else { panic!("no answer") };
    assert!(shard == 0 && reply.contains("monitor_max_clients"), "{reply}");
    running.say(ControlMessage::MonitorEnded { client: 1 });
    for shard in 0..2 {
        assert_eq!(running.next().await, (shard, Seen::Monitoring(vec![])));
    }
}
