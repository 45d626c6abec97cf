use super::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

const SMALL: RingConfig =
    RingConfig { submissions: 8, completions: 64, buffers: 4, buffer_bytes: 1024 };

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let ours = TcpStream::connect(listener.local_addr().expect("bound")).expect("connects");
    (ours, listener.accept().expect("accepts").0)
}

fn segment(bytes: &[u8]) -> Segment {
    Segment::Owned(bytes.to_vec())
}

/// Turns the ring until `done`, or panics after a long time.
fn turn_until(
    ring: &mut Ring<Segment>,
    mut on_event: impl FnMut(Event<'_, Segment>),
    mut done: impl FnMut() -> bool,
) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(30), "nothing more happens");
        ring.wait(Some(Duration::from_millis(20))).expect("waits");
        ring.reap(&mut on_event);
    }
}

#[test]
fn more_bytes_than_all_buffers_hold_arrive_in_order() {
    let mut ring = Ring::new(&SMALL).expect("a ring");
    let (mut ours, theirs) = pair();
    ring.add(OwnedFd::from(theirs), 7);
    let sent: Vec<u8> = (0..200_000_u32).map(|i| (i % 251) as u8).collect();
    let writer = {
        let sent = sent.clone();
        std::thread::spawn(move || {
            ours.write_all(&sent).expect("writes");
            ours
        })
    };
    let got = std::cell::RefCell::new(Vec::new());
    turn_until(
        &mut ring,
        |event| {
            if let Event::Received { user, bytes } = event {
                assert_eq!(user, 7);
                got.borrow_mut().extend_from_slice(bytes);
            }
        },
        || got.borrow().len() >= sent.len(),
    );
    assert!(*got.borrow() == sent);
    drop(writer.join().expect("writer"));
}

#[test]
fn a_buffer_larger_than_the_socket_takes_is_sent_whole_and_comes_back() {
    let mut ring = Ring::new(&SMALL).expect("a ring");
    let (mut ours, theirs) = pair();
    let token = ring.add(OwnedFd::from(theirs), 1);
    let bytes: Vec<u8> = (0..20_000_000_u32).map(|i| (i % 253) as u8).collect();
    let expected = bytes.clone();
    let reader = std::thread::spawn(move || {
        let mut got = vec![0; 20_000_000];
        std::thread::sleep(Duration::from_millis(50));
        ours.read_exact(&mut got).expect("reads");
        (got, ours)
    });
    ring.send(token, Segment::Owned(bytes));
    assert!(!ring.can_send(token));
    let returned = std::cell::RefCell::new(None);
    let mut total = 0;
    turn_until(
        &mut ring,
        |event| {
            if let Event::Sent { bytes, done, .. } = event {
                total += bytes;
                *returned.borrow_mut() = done;
            }
        },
        || returned.borrow().is_some(),
    );
    assert_eq!(total, expected.len());
    assert!(reader.join().expect("reader").0 == expected);
    assert!(ring.can_send(token));
}

#[test]
fn a_paused_socket_receives_nothing_until_it_is_resumed() {
    let mut ring = Ring::new(&SMALL).expect("a ring");
    let (mut ours, theirs) = pair();
    let token = ring.add(OwnedFd::from(theirs), 1);
    ring.wait(Some(Duration::ZERO)).expect("waits");
    ring.pause(token);
    for _ in 0..5 {
        ring.wait(Some(Duration::from_millis(1))).expect("waits");
        ring.reap(|_| {});
    }
    ours.write_all(b"later").expect("writes");
    for _ in 0..5 {
        ring.wait(Some(Duration::from_millis(2))).expect("waits");
        ring.reap(|event| assert!(!matches!(event, Event::Received { .. }), "paused"));
    }
    ring.resume(token);
    let got = std::cell::Cell::new(false);
    turn_until(
        &mut ring,
        |event| {
            if let Event::Received { bytes, .. } = event {
                assert_eq!(bytes, b"later");
                got.set(true);
            }
        },
        || got.get(),
    );
}

#[test]
fn a_socket_is_closed_only_when_the_kernel_has_let_go_of_its_buffer() {
    let mut ring = Ring::new(&SMALL).expect("a ring");
    let (ours, theirs) = pair();
    let token = ring.add(OwnedFd::from(theirs), 9);
    // Nobody reads, so this send cannot end.
    ring.send(token, Segment::Owned(vec![1; 50_000_000]));
    ring.wait(Some(Duration::from_millis(1))).expect("waits");
    ring.reap(|_| {});
    ring.close(token);
    let closed = std::cell::Cell::new(false);
    turn_until(
        &mut ring,
        |event| {
            if let Event::Closed { user } = event {
                assert_eq!(user, 9);
                closed.set(true);
            }
        },
        || closed.get(),
    );
    assert!(ring.descriptor(token).is_none());
    drop(ours);
}

#[test]
fn a_token_is_not_used_again_before_its_owner_knows_that_it_is_free() {
    let mut ring: Ring<Segment> = Ring::new(&SMALL).expect("a ring");
    let (_ours, theirs) = pair();
    let token = ring.add(OwnedFd::from(theirs), 1);
    ring.pause(token);
    for _ in 0..5 {
        ring.wait(Some(Duration::from_millis(1))).expect("waits");
        ring.reap(|_| {});
    }
    // Paused, it has no operation left: closing it has nothing to wait for.
    ring.close(token);
    let (_ours, theirs) = pair();
    assert_ne!(ring.add(OwnedFd::from(theirs), 2), token);
    assert!(!ring.can_send(token));
    let mut closed = Vec::new();
    ring.wait(Some(Duration::ZERO)).expect("waits");
    ring.reap(|event| {
        if let Event::Closed { user } = event {
            closed.push(user);
        }
    });
    assert_eq!(closed, [1]);
}

#[test]
fn connections_are_made_and_refused() {
    let mut ring: Ring<Segment> = Ring::new(&SMALL).expect("a ring");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    for (address, user) in [(listener.local_addr().expect("bound"), 1), (free, 2)] {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("one");
        ring.connect(socket.into(), address.into(), user);
    }
    let (good, bad) = (std::cell::Cell::new(false), std::cell::Cell::new(false));
    turn_until(
        &mut ring,
        |event| match event {
            Event::Connected { user: 1 } => good.set(true),
            Event::Failed { user: 2, error, .. } => {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
                bad.set(true);
            }
            other => panic!("{other:?}"),
        },
        || good.get() && bad.get(),
    );
}

#[test]
fn a_listener_takes_connections_until_it_is_stopped() {
    let mut ring: Ring<Segment> = Ring::new(&SMALL).expect("a ring");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    ring.listen(listener.into());
    let mut clients = Vec::new();
    let accepted = std::cell::Cell::new(0);
    for _ in 0..20 {
        clients.push(TcpStream::connect(address).expect("connects"));
    }
    turn_until(
        &mut ring,
        |event| {
            if let Event::Accepted(_) = event {
                accepted.set(accepted.get() + 1);
            }
        },
        || accepted.get() == 20,
    );
    ring.stop_listening();
    let start = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(start.elapsed() < Duration::from_secs(30), "still listening");
        ring.wait(Some(Duration::from_millis(5))).expect("waits");
        ring.reap(|_| {});
    }
}

#[test]
fn an_eventfd_wakes_the_ring_again_and_again() {
    let mut ring: Ring<Segment> = Ring::new(&SMALL).expect("a ring");
    let eventfd =
        rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).expect("an eventfd");
    let ours = eventfd.try_clone().expect("a copy");
    ring.watch(eventfd);
    for _ in 0..3 {
        rustix::io::write(&ours, &1_u64.to_ne_bytes()).expect("writes");
        let woken = std::cell::Cell::new(false);
        turn_until(
            &mut ring,
            |event| {
                if let Event::Woken = event {
                    woken.set(true);
                }
            },
            || woken.get(),
        );
    }
    assert_eq!(&*segment(b"x"), b"x");
}

#[test]
fn a_finished_socket_says_so_and_drops_what_still_comes_until_its_peer_closes() {
    let mut ring: Ring<Segment> = Ring::new(&SMALL).expect("a ring");
    let (mut ours, theirs) = pair();
    let token = ring.add(OwnedFd::from(theirs), 5);
    ours.write_all(&[b'x'; 10_000]).expect("writes");
    assert!(ring.finish(token, 1));
    assert!(!ring.can_send(token));
    let mut end = [0; 1];
    assert_eq!(ours.read(&mut end).expect("no reset"), 0);
    let writer = std::thread::spawn(move || ours.write_all(&[b'x'; 3_000_000]));
    let closed = std::cell::Cell::new(false);
    turn_until(
        &mut ring,
        |event| match event {
            Event::Closed { user: 5 } => closed.set(true),
            other => panic!("{other:?}"),
        },
        || closed.get(),
    );
    assert!(writer.join().expect("no panic").is_ok());
}

#[test]
fn a_finished_socket_is_closed_when_its_peer_does_not_close_in_time() {
    let mut ring: Ring<Segment> = Ring::new(&SMALL).expect("a ring");
    let (ours, theirs) = pair();
    let token = ring.add(OwnedFd::from(theirs), 5);
    assert!(ring.finish(token, 1));
    // Another one's time is up.
    ring.close_lingering(token, 2);
    ring.wait(Some(Duration::from_millis(5))).expect("waits");
    ring.reap(|event| panic!("{event:?}"));
    ring.close_lingering(token, 1);
    let closed = std::cell::Cell::new(false);
    turn_until(
        &mut ring,
        |event| closed.set(matches!(event, Event::Closed { user: 5 })),
        || closed.get(),
    );
    drop(ours);
}
