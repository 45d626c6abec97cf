//! Where the keys of a request are, against COMMAND GETKEYS and against the commands themselves.

use crate::Call;
use crate::redis::Redis;
use crate::server::Value;
use codis_proxy::command::{
    COMMANDS, Command, KeysError, Local, Route, ids, keys, refusal, reply, resolve,
};
use codis_proxy::resp::Protocol;

/// Words that a random request is made of: keys, numbers, and every keyword that decides where
/// keys are.
const WORDS: &[&str] = &[
    "a",
    "b",
    "{t}k",
    "key",
    "1",
    "2",
    "3",
    "1",
    "2",
    "3",
    "0",
    "-1",
    "01",
    "1x",
    " 2",
    "99",
    "",
    "#",
    "*",
    "store",
    "STOREDIST",
    "by",
    "get",
    "limit",
    "STREAMS",
    "streams",
    "block",
    "count",
    "group",
    "keys",
    "auth",
    "AUTH2",
    "noack",
    "set",
    "u8",
    "m",
    "left",
    "MIN",
    ">",
];

/// A random request of the command, its number of arguments mostly right.
fn random_call(command: &Command, rng: &mut fastrand::Rng) -> Call {
    let mut args: Vec<&str> = command.name.split('|').collect();
    let least = usize::from(command.arity.unsigned_abs()).saturating_sub(args.len());
    let extra = if command.arity > 0 { rng.usize(..20) / 19 } else { rng.usize(..9) };
    for _ in 0..least + extra {
        args.push(WORDS[rng.usize(..WORDS.len())]);
    }
    Call::new(&args)
}

/// The commands with keys that the server has.
fn with_keys(redis: &mut Redis) -> impl Iterator<Item = &'static Command> + use<> {
    let known = redis.commands();
    COMMANDS.iter().filter(move |c| !c.specs.is_empty() && known.contains(c.name))
}

#[test]
fn command_getkeys_answers_any_request_as_the_server_does() {
    let Some(mut redis) = Redis::start_of_the_table_s_version() else {
        return;
    };
    let mut rng = fastrand::Rng::with_seed(4);
    for command in with_keys(&mut redis) {
        // The more ways there are to place keys, the more requests.
        let rounds = if command.route == Route::Key { 60 } else { 600 };
        for _ in 0..rounds {
            let call = random_call(command, &mut rng);
            for (name, local) in [
                ("GETKEYS", Local::CommandGetKeys),
                ("GETKEYSANDFLAGS", Local::CommandGetKeysAndFlags),
            ] {
                let mut args = vec![b"COMMAND".to_vec(), name.into()];
                args.extend(call.args.clone());
                if resolve(&Call::new(&args).request()).is_err() {
                    continue;
                }
                let mut ours = Vec::new();
                assert!(reply(local, &Call::new(&args).request(), Protocol::Resp2, &mut ours));
                let mut theirs = Vec::new();
                redis.ask(&args).encode(&mut theirs);
                let (ours, theirs) =
                    (ours.escape_ascii().to_string(), theirs.escape_ascii().to_string());
                assert_eq!(ours, theirs, "{name} {}", call.text());
            }
        }
    }
}

#[test]
fn command_getkeys_refuses_what_has_no_keys_as_the_server_does() {
    let Some(mut redis) = Redis::start_of_the_table_s_version() else {
        return;
    };
    for inner in [
        &["ping", "x"][..],
        &["nosuch", "x"],
        &["client", "nosuch"],
        &["client", "list"],
        &["spublish", "channel", "message"],
        &["get", "a", "b"],
        &["mget", "a", "b"],
        &["pfmerge", "a"],
        &["eval", "script", "0"],
    ] {
        let args = [&["COMMAND", "GETKEYS"], inner].concat();
        let mut ours = Vec::new();
        reply(Local::CommandGetKeys, &Call::new(&args).request(), Protocol::Resp2, &mut ours);
        let mut theirs = Vec::new();
        redis.ask(&args).encode(&mut theirs);
        assert_eq!(ours.escape_ascii().to_string(), theirs.escape_ascii().to_string(), "{args:?}");
    }
}

/// What `keys` finds.
fn found(call: &Call) -> Result<Vec<Vec<u8>>, KeysError> {
    let id = resolve(&call.request()).expect("a valid call");
    let mut out = vec![7];
    keys(id, &call.request(), &mut out)?;
    Ok(out.iter().map(|at| call.args[*at as usize].clone()).collect())
}

/// Whether the server's COMMAND GETKEYS is known to be wrong about this request.
fn misleads(call: &Call) -> bool {
    let is = |word: &str| {
        call.args.iter().filter(|arg| arg.eq_ignore_ascii_case(word.as_bytes())).count()
    };
    match call.args[0].as_slice() {
        // It takes the first STREAMS after the group's usual place, and the first of several STORE,
        // be they options or names.
        b"xread" => is("streams") > 1,
        b"xreadgroup" => is("streams") > 1 || !call.args[1].eq_ignore_ascii_case(b"group"),
        b"georadius" | b"georadiusbymember" => is("store") + is("storedist") > 1 || is("count") > 0,
        // It takes the name of a destination for another option.
        b"sort" => is("store") > 1,
        b"pfmerge" => call.args.len() == 2,
        _ => false,
    }
}

#[test]
fn the_keys_found_are_those_of_the_server_and_errors_are_the_command_s_own() {
    let Some(mut redis) = Redis::start_of_the_table_s_version() else {
        return;
    };
    let library = "#!lua name=l\nredis.register_function{function_name='fkey', \
                   callback=function() return 1 end, flags={'no-writes'}}";
    assert_eq!(redis.ask(&["FUNCTION", "LOAD", library]), Value::bulk("l"));
    let mut rng = fastrand::Rng::with_seed(5);
    let (mut compared, mut refused) = (0, 0);
    for command in with_keys(&mut redis)
        .filter(|c| matches!(c.route, Route::Keys | Route::Split(_) | Route::Key))
    {
        let rounds = if command.route == Route::Key { 20 } else { 500 };
        for _ in 0..rounds {
            let mut call = random_call(command, &mut rng);
            if command.name.starts_with("fcall") && call.args.len() > 1 {
                call.args[1] = b"fkey".to_vec();
                call = Call::new(&call.args);
            }
            let Ok(id) = resolve(&call.request()) else {
                continue;
            };
            match found(&call) {
                Err(error) => {
                    let reply = redis.ask(&call.args);
                    let expected = Value::Error(error.to_string().into_bytes());
                    assert_eq!(reply, expected, "{}", call.text());
                    refused += 1;
                }
                Ok(keys) if misleads(&call) || refusal(id, &call.request()).is_some() => drop(keys),
                Ok(keys) => {
                    let args = [vec![b"COMMAND".to_vec(), b"GETKEYS".to_vec()], call.args.clone()]
                        .concat();
                    let expected: Vec<Vec<u8>> = match redis.ask(&args) {
                        Value::Array(keys) => keys
                            .into_iter()
                            .map(|key| if let Value::Bulk(key) = key { key } else { Vec::new() })
                            .collect(),
                        reply => panic!("{}: {reply:?}", call.text()),
                    };
                    assert_eq!(keys, expected, "{}", call.text());
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 10_000 && refused > 3_000, "{compared} {refused}");
}

#[test]
fn keys_are_found_where_getkeys_goes_astray() {
    for (request, expected) in [
        ("XREADGROUP COUNT 1 GROUP streams c STREAMS k1 k2 > >", vec!["k1", "k2"]),
        ("XREADGROUP GROUP g streams STREAMS streams >", vec!["streams"]),
        ("XREAD COUNT 1 STREAMS streams streams 0 0", vec!["streams", "streams"]),
        ("XREADGROUP NEWER 5 GROUP g c STREAMS k >", vec!["k"]),
        ("GEORADIUS k 1 1 1 m STORE a STORE b", vec!["k", "b"]),
        ("GEORADIUS k 1 1 1 m STORE a STOREDIST b", vec!["k", "b"]),
        ("GEORADIUSBYMEMBER k x 1 m COUNT 3 STORE d", vec!["k", "d"]),
        ("SORT k BY store GET limit LIMIT 0 1 STORE d", vec!["k", "d"]),
        ("SORT k STORE store", vec!["k", "store"]),
        ("SORT k STORE store STORE by STORE d", vec!["k", "d"]),
        ("PFMERGE d", vec!["d"]),
        ("EVAL s 0 a", vec![]),
        ("MSET a 1 b 2", vec!["a", "b"]),
        ("ZUNIONSTORE d 2 a b WEIGHTS 1 2", vec!["d", "a", "b"]),
    ] {
        let args: Vec<&str> = request.split(' ').collect();
        let expected: Vec<Vec<u8>> =
            expected.into_iter().map(|key| key.as_bytes().to_vec()).collect();
        assert_eq!(found(&Call::new(&args)), Ok(expected), "{request}");
    }
}

#[test]
fn a_command_of_one_key_has_it_at_argument_1() {
    for command in COMMANDS.iter().filter(|command| command.route == Route::Key) {
        let mut args = vec![command.name];
        args.resize(usize::from(command.arity.unsigned_abs()), "x");
        args[1] = "the key";
        let call = Call::new(&args);
        let id = resolve(&call.request()).expect("the least number of arguments");
        let mut out = Vec::new();
        assert_eq!(
            (keys(id, &call.request(), &mut out), out),
            (Ok(()), vec![1]),
            "{}",
            command.name
        );
    }
    assert_eq!(ids::GET.command().route, Route::Key);
}
