//! Users of the configuration, beside a Redis server with the same ones.

use crate::cluster::{Cluster, Pair};
use codis_testbed::{Redis, RedisOptions, Value};

/// SHA-256 of `secret`.
const HASH: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

const COMMANDS: &str = "+@read +@write -del +select +publish +client|id +acl|whoami +subscribe";

fn users() -> String {
    format!(
        "users = [{{ name = \"app\", passwords = [\"{HASH}\"], commands = \"{COMMANDS}\", \
         keys = [\"app:*\", \"%R~shared:*\"], channels = [\"news:*\"] }}, \
         {{ name = \"off\", enabled = false, passwords = [\"{HASH}\"], commands = \"+@all\" }}, \
         {{ name = \"root\", no_password = true, commands = \"+@all\", keys = [\"*\"], \
         channels = [\"*\"] }}]"
    )
}

fn pair() -> Pair {
    let cluster = Cluster::with(|options| options.set(&users()));
    let mut args = vec!["--user".to_owned(), "app".into(), "on".into(), format!("#{HASH}")];
    args.extend(["~app:*", "%R~shared:*", "&news:*"].map(str::to_owned));
    args.extend(COMMANDS.split(' ').map(str::to_owned));
    args.extend(["--user", "off", "off", "+@all"].map(str::to_owned));
    args.push(format!("#{HASH}"));
    args.extend(["--user", "root", "on", "nopass", "~*", "&*", "+@all"].map(str::to_owned));
    Pair::of(cluster, Redis::start_with(RedisOptions { args, ..RedisOptions::default() }))
}

#[test]
fn users_may_do_what_a_redis_server_would_let_them_do() {
    let mut pair = pair();
    for line in [
        "ACL WHOAMI",
        "AUTH x",
        "AUTH nobody x",
        "AUTH app wrong",
        "AUTH off secret",
        "ACL WHOAMI",
        "SET shared:1 x",
        "AUTH app secret",
        "ACL WHOAMI",
        "SET app:1 1",
        "GET app:1",
        "GET other",
        "SET shared:1 y",
        "GET shared:1",
        "DEL app:1",
        "MGET app:1 shared:1",
        "MGET app:1 other",
        "COPY app:1 other",
        "SORT app:1 STORE other",
        "XADD other * f v",
        "CLIENT LIST",
        "CONFIG GET *",
        "BGSAVE",
        "ACL LIST",
        "MULTI",
        "EXEC",
        "SELECT 1",
        "AUTH root anything",
        "ACL WHOAMI",
        "SELECT 0",
        "GET shared:1",
        "MULTI",
        "SET {app:}1 1",
        "EXEC",
        "?ACL CAT",
        "?ACL CAT bitmap",
        "ACL CAT nosuch",
        "ACL CAT a b",
        "?ACL USERS",
        "ACL GETUSER root",
        "ACL GETUSER nobody",
        "ACL DRYRUN app GET app:1",
        "ACL DRYRUN app GET other",
        "ACL DRYRUN app DEL app:1",
        "ACL DRYRUN app CLIENT LIST",
        "ACL DRYRUN app GET",
        "ACL DRYRUN app NOSUCH",
        "ACL DRYRUN nobody GET a",
        "ACL GENPASS x",
        "ACL GENPASS 0",
        "CLIENT KILL USER nobody",
        "RESET",
        "ACL WHOAMI",
        "HELLO 2 AUTH app wrong",
    ] {
        pair.same(line);
    }
    assert_eq!(pair.tested.run("ACL GENPASS 5").text().len(), 2);
    assert_eq!(pair.tested.run("ACL GENPASS").text().len(), 64);
}

#[test]
fn a_refused_command_ends_the_transaction_it_is_in() {
    let cluster = Cluster::with(|options| {
        options.set(&users().replace("+select", "+select +multi +exec +discard"))
    });
    let mut client = cluster.client();
    client.run("AUTH app secret");
    let replies = client.pipeline(&["MULTI", "SET app:1 1", "SET other 1", "EXEC", "GET app:1"]);
    assert!(replies[2].error().is_some_and(|text| text.starts_with("NOPERM")), "{replies:?}");
    assert!(replies[3].error().is_some_and(|text| text.starts_with("EXECABORT")), "{replies:?}");
    assert_eq!(replies[4], Value::NullBulk);
}

#[test]
fn clients_can_be_closed_by_user_and_are_listed_with_it() {
    let cluster = Cluster::with(|options| options.set(&users()).shards(2));
    let (mut app, mut operator) = (cluster.client(), cluster.client());
    app.run("AUTH app secret");
    let list = operator.run("CLIENT LIST").text();
    assert!(list.contains(" user=app ") && list.contains(" user=default "), "{list}");
    assert_eq!(operator.run("CLIENT KILL USER app"), Value::Integer(1));
    assert!(app.is_closed());
    assert_eq!(operator.run("PING"), Value::Simple(b"PONG".to_vec()));
}

#[test]
fn the_default_user_can_be_restricted_and_has_session_auth_for_a_password() {
    let lines = "session_auth = \"pw\"\nusers = [{ name = \"default\", no_password = true, \
                 commands = \"+@read +@connection\", keys = [\"*\"] }]";
    let cluster = Cluster::with(|options| options.set(lines));
    let mut client = cluster.client();
    let noauth = client.run("GET a");
    assert!(noauth.error().is_some_and(|text| text.starts_with("NOAUTH")), "{noauth:?}");
    assert_eq!(client.run("AUTH pw"), Value::ok());
    assert_eq!(client.run("GET a"), Value::NullBulk);
    let refused = client.run("SET a 1");
    assert!(refused.error().is_some_and(|text| text.starts_with("NOPERM")), "{refused:?}");
}
