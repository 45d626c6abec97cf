//! Requests that name no command or have the wrong number of arguments.

use crate::Call;
use crate::redis::Redis;
use crate::server::Value;
use codis_proxy::command::{COMMANDS, LookupError, resolve};

/// Asserts that the proxy refuses the call in the server's words, if it refuses it at all.
fn check(redis: &mut Redis, call: &Call) -> bool {
    let Err(error) = resolve(&call.request()) else {
        return false;
    };
    let text = error.text(&call.request());
    let reply = redis.ask(&call.args);
    let Value::Error(expected) = reply else { panic!("{}: {reply:?}", call.text()) };
    assert_eq!(
        text.escape_ascii().to_string(),
        expected.escape_ascii().to_string(),
        "{}",
        call.text()
    );
    true
}

/// Bytes of any kind, many of them of the kinds that need care.
fn noise(rng: &mut fastrand::Rng, len: usize) -> Vec<u8> {
    (0..len)
        .map(|_| if rng.u8(..) < 32 { b"\0\r\n'\" @"[rng.usize(..7)] } else { rng.u8(..) })
        .collect()
}

#[test]
fn an_unknown_command_is_refused_in_redis_s_words() {
    let Some(mut redis) = Redis::start_of_the_table_s_version() else {
        return;
    };
    let mut rng = fastrand::Rng::with_seed(1);
    let mut refused = 0;
    for name in ["foo", "", "get\r", "get ", "a\0b", "config|get", "client|list"] {
        refused += usize::from(check(&mut redis, &Call::new(&[name, "a", "b c", ""])));
        refused += usize::from(check(&mut redis, &Call::new(&[name])));
    }
    for _ in 0..3_000 {
        let lens = [rng.usize(..8), rng.usize(..40), rng.usize(120..140), rng.usize(..300)];
        let count = 1 + rng.usize(..8);
        let args: Vec<Vec<u8>> = (0..count)
            .map(|_| {
                let len = lens[rng.usize(..lens.len())];
                noise(&mut rng, len)
            })
            .collect();
        refused += usize::from(check(&mut redis, &Call::new(&args)));
    }
    assert!(refused > 3_000);
}

#[test]
fn an_unknown_subcommand_is_refused_in_redis_s_words() {
    let Some(mut redis) = Redis::start_of_the_table_s_version() else {
        return;
    };
    let mut rng = fastrand::Rng::with_seed(2);
    let known = redis.commands();
    for container in COMMANDS.iter().filter(|c| c.container() && known.contains(c.name)) {
        for len in [0, 1, 5, 127, 128, 129, 200] {
            let subcommand = noise(&mut rng, len);
            let call = Call::new(&[container.name.as_bytes(), &subcommand, b"arg"]);
            assert_eq!(resolve(&call.request()), Err(LookupError::UnknownSubcommand));
            check(&mut redis, &call);
        }
    }
}

#[test]
fn a_wrong_number_of_arguments_is_refused_in_redis_s_words() {
    let Some(mut redis) = Redis::start_of_the_table_s_version() else {
        return;
    };
    let known = redis.commands();
    let mut refused = 0;
    for command in &COMMANDS {
        if !known.contains(command.name) {
            continue;
        }
        let name: Vec<&str> = command.name.split('|').collect();
        for extra in 0..8 {
            let call = Call::new(&[name.clone(), vec!["1"; extra]].concat());
            refused += usize::from(check(&mut redis, &call));
        }
    }
    assert!(refused > 1_000, "{refused}");
}
