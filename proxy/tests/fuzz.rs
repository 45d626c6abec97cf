//! A little of what the fuzzers do, with fixed seeds: random bytes, and good streams with a few bytes
//! changed. `make fuzz` does it at length.

#[allow(unreachable_pub, reason = "public in the fuzzing crate")]
#[path = "../fuzz/src/engine.rs"]
mod engine;
#[allow(unreachable_pub, reason = "public in the fuzzing crate")]
#[path = "../fuzz/src/replies.rs"]
mod replies;
#[allow(unreachable_pub, reason = "public in the fuzzing crate")]
#[path = "../fuzz/src/requests.rs"]
mod requests;

const GOOD_REQUESTS: &[&[u8]] = &[
    b"\x00*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n*1\r\n$4\r\nPING\r\n",
    b"\x04*0\r\n\r\nGET \"a\\x41\" 'b\\''\r\n*5\r\n$4\r\nEVAL\r\n$1\r\nx\r\n$1\r\n1\r\n$1\r\nk\r\n$1\r\na\r\n",
    b"\x01*6\r\n$4\r\nSORT\r\n$1\r\na\r\n$2\r\nby\r\n$1\r\n*\r\n$5\r\nstore\r\n$1\r\nb\r\n*3\r\n$6\r\nclient\r\n$5\r\nreply\r\n$2\r\non\r\n",
    b"\x00+\n*2\r1\r1\r",
    b"\x07*-1\r\n*2\r\n$3\r\nget\r\n$10\r\n0123456789\r\n",
];

const GOOD_REPLIES: &[&[u8]] = &[
    b"\x00+OK\r\n-ERR no\r\n:12\r\n$3\r\nabc\r\n$-1\r\n*-1\r\n*0\r\n",
    b"\x02*3\r\n$1\r\na\r\n*2\r\n:1\r\n*1\r\n+x\r\n$-1\r\n$10\r\n0123456789\r\n",
    b"\x05$0\r\n\r\n*1\r\n*1\r\n*1\r\n$2\r\n\r\n\r\n",
];

/// Changes a few bytes: sets, drops, doubles, or copies a piece of another place.
fn mutate(rng: &mut fastrand::Rng, bytes: &mut Vec<u8>) {
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(..bytes.len());
        match rng.u8(..6) {
            0 => bytes[at] = rng.u8(..),
            1 => bytes[at] = b"*$+-:0123456789\r\n"[rng.usize(..17)],
            2 if bytes.len() > 2 => _ = bytes.remove(at),
            3 => bytes.insert(at, bytes[at]),
            _ => {
                let from = rng.usize(..bytes.len());
                let len = rng.usize(..=(bytes.len() - from).min(12));
                let piece = bytes[from..from + len].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
}

fn random(rng: &mut fastrand::Rng, len_max: usize) -> Vec<u8> {
    (0..rng.usize(1..len_max)).map(|_| rng.u8(..)).collect()
}

#[test]
fn requests_read_the_same_however_a_stream_is_cut() {
    let mut rng = fastrand::Rng::with_seed(1);
    for round in 0..200_000 {
        let mut bytes = GOOD_REQUESTS[round % GOOD_REQUESTS.len()].to_vec();
        mutate(&mut rng, &mut bytes);
        requests::run(&bytes);
        requests::run(&random(&mut rng, 60));
    }
}

#[test]
fn replies_end_at_the_same_places_however_a_stream_is_cut() {
    let mut rng = fastrand::Rng::with_seed(2);
    for round in 0..200_000 {
        let mut bytes = GOOD_REPLIES[round % GOOD_REPLIES.len()].to_vec();
        mutate(&mut rng, &mut bytes);
        replies::run(&bytes);
        replies::run(&random(&mut rng, 60));
    }
}

#[test]
fn any_order_of_events_leaves_the_engine_whole() {
    let mut rng = fastrand::Rng::with_seed(3);
    for _ in 0..8_000 {
        engine::run(&random(&mut rng, 600));
    }
}
