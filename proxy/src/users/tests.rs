use super::*;
use crate::command::resolve;
use crate::resp::Span;
use codis_service::config::{Setting, Written};

fn users(text: &str) -> Result<Users, String> {
    let loaded = crate::config::parse(text, "proxy.toml").map_err(|error| error.to_string())?;
    Ok(loaded.config.users)
}

fn denied(user: &User, request: &str) -> Option<String> {
    let mut start = 0;
    let spans: Vec<Span> = request
        .split(' ')
        .map(|word| {
            let span = Span { start, len: word.len() as u32 };
            start += span.len + 1;
            span
        })
        .collect();
    let request = Request { bytes: request.as_bytes(), args: &spans };
    let id = resolve(&request).expect("a valid call");
    user.check(id, &request).err().map(|denied| denied.dry())
}

const APP: &str = r#"
    [[users]]
    name = "app"
    passwords = ["2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"]
    commands = "+@read +@write -del +client|id +select +publish +psubscribe"
    keys = ["app:*", "%R~shared:*"]
    channels = ["news:*"]
"#;

#[test]
fn a_user_may_do_what_its_rules_say_and_nothing_else() {
    let users = users(APP).expect("valid");
    let app = users.get(users.find(b"app").expect("it is there"));
    for allowed in [
        "GET app:1",
        "SET app:1 x",
        "GET shared:1",
        "MGET app:1 shared:2",
        "SORT app:1 STORE app:2",
        "CLIENT ID",
        "SELECT 1",
        "PUBLISH news:today x",
        "PSUBSCRIBE news:*",
        "QUIT",
        "AUTH x",
    ] {
        assert_eq!(denied(app, allowed), None, "{allowed}");
    }
    for (forbidden, what) in [
        ("GET foo", "access the 'foo' key"),
        ("GET APP:1", "access the 'APP:1' key"),
        ("DEL app:1", "run the 'del' command"),
        ("SET shared:1 x", "access the 'shared:1' key"),
        ("MSET app:1 x foo y", "access the 'foo' key"),
        ("SORT app:1 STORE foo", "access the 'foo' key"),
        ("CLIENT LIST", "run the 'client|list' command"),
        ("PUBLISH other x", "access the 'other' channel"),
        ("PSUBSCRIBE n*", "access the 'n*' channel"),
        ("SUBSCRIBE news:x", "run the 'subscribe' command"),
        ("BGSAVE", "run the 'bgsave' command"),
    ] {
        let words = format!("This user has no permissions to {what}");
        assert_eq!(denied(app, forbidden), Some(words), "{forbidden}");
    }
}

#[test]
fn a_user_is_let_in_by_any_of_its_passwords_alone() {
    let users = users(APP).expect("valid");
    let app = users.get(users.find(b"app").expect("it is there"));
    assert!(app.lets_in(b"secret"));
    assert!(!app.lets_in(b"secret "));
    assert!(!app.lets_in(b""));
    let off = self::users(&APP.replace("name =", "enabled = false\nname =")).expect("valid");
    assert!(!off.get(1).lets_in(b"secret"));
    let default = users.get(0);
    assert!(default.is_all_powerful() && default.needs_no_password() && default.lets_in(b"any"));
    let locked = users.with_default_password("hunter2");
    assert!(locked.get(0).lets_in(b"hunter2") && !locked.get(0).lets_in(b"any"));
}

#[test]
fn users_are_shown_as_redis_shows_them() {
    let users = users(APP).expect("valid");
    let lines: Vec<String> = users.iter().map(User::line).collect();
    assert_eq!(
        lines,
        [
            "user default on nopass ~* &* +@all",
            "user app on #2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b ~app:* \
             %R~shared:* resetchannels &news:* -@all +@read +@write -del +client|id +select +publish \
             +psubscribe",
        ]
    );
}

#[test]
fn what_cannot_be_meant_is_refused_with_the_user_s_name() {
    for (change, what) in [
        (("name = \"app\"", "name = \"a b\""), "a word without blanks"),
        (("name = \"app\"", ""), "a user has no name"),
        (("[\"2bb8", "[\"x2bb8"), "user \"app\": passwords wants the SHA-256"),
        (("+@read", "+@nosuch"), "no category \"nosuch\""),
        (("+@read", "+nosuch"), "no command \"nosuch\""),
        (("+@read", "@read"), "neither + nor -"),
        (("%R~", "%X~"), "patterns such as"),
        (("keys", "keyz"), "there is no key \"keyz\""),
        (("passwords", "no_password = false #"), "nobody can become it"),
    ] {
        let text = APP.replacen(change.0, change.1, 1);
        let error = users(&text).expect_err(&text);
        assert!(error.contains(what), "{error}");
    }
    let error = users(&APP.repeat(2)).expect_err("two of a name");
    assert!(error.contains("two users \"app\""), "{error}");
    let error = users("users = 1").expect_err("no list");
    assert!(error.contains("[[users]]"), "{error}");
}

#[test]
fn the_hashes_of_passwords_are_not_shown_with_the_settings() {
    let users = users(APP).expect("valid");
    assert!(users.is_secret());
    assert_eq!(users.written(), Written::List(Vec::new()));
}
