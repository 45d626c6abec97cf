//! The control plane and real signals. They go to the whole process, so this test has a program of its
//! own, and is the only one in it.

use codis_proxy::config::ProxyConfig;
use codis_proxy::control::{Control, Exit, Facts, Log, ShardGone, ShardMailbox, Signals, run};
use codis_proxy::logging::Level;
use codis_proxy::messages::{ControlMessage, ShardMessage};
use codis_proxy::topology::Topology;
use rustix::process::{Signal, getpid, kill_process};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A shard that passes on what it gets.
struct Shard(Sender<ShardMessage>);

impl ShardMailbox for Shard {
    fn send(&self, message: ShardMessage) -> Result<(), ShardGone> {
        self.0.send(message).map_err(|_| ShardGone)
    }
}

/// A log that says when it is reopened.
struct Reopened(Mutex<Sender<()>>);

impl Log for Reopened {
    fn reopen(&self) {
        let _ = self.0.lock().expect("no panic").send(());
    }

    fn set_level(&self, _: Level) {}

    fn lost_lines(&self) -> u64 {
        0
    }
}

/// What must come, unless something hangs.
fn next<T>(receiver: &Receiver<T>) -> T {
    receiver.recv_timeout(Duration::from_secs(60)).expect("it comes")
}

#[test]
fn a_hangup_reopens_the_log_and_a_term_drains_the_shards() {
    let (shard, messages) = channel();
    let (reopened, reopens) = channel();
    let (to_control, inbox) = tokio::sync::mpsc::unbounded_channel();
    let admin = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = admin.local_addr().expect("a bound socket");
    let control = Control {
        shards: vec![Box::new(Shard(shard))],
        inbox,
        config: Arc::new(ProxyConfig::default()),
        topology: Arc::new(Topology::offline()),
        admin,
        log: Box::new(Reopened(Mutex::new(reopened))),
        facts: Facts::gather(address, "127.0.0.1:19000", vec![2, 3], None),
        link: None,
    };
    let signals = Signals::watch().expect("signals can be watched");
    let control = std::thread::spawn(move || run(control, signals));
    // An answer to a name shows that the loop runs, and signals are watched already.
    let resolve = ControlMessage::Resolve { shard: 0, backend: 1, address: "127.0.0.1:1".into() };
    to_control.send(resolve).expect("the control plane runs");
    assert!(matches!(next(&messages), ShardMessage::Resolved { backend: 1, result: Ok(_) }));

    kill_process(getpid(), Signal::HUP).expect("a signal to ourselves");
    next(&reopens);
    kill_process(getpid(), Signal::TERM).expect("a signal to ourselves");
    assert!(matches!(next(&messages), ShardMessage::Drain));
    to_control.send(ControlMessage::Drained { shard: 0 }).expect("the control plane runs");
    assert!(matches!(next(&messages), ShardMessage::Stop));
    assert_eq!(control.join().expect("no panic"), Exit::Drained);
    assert!(TcpStream::connect(address).is_err(), "the admin pages are gone");
}
