//! A product of Codis that moves over in place: its servers serve, give their slots to each other and to servers of
//! today, and are replaced by their replicas, while clients work.

use crate::bed::{Bed, key_of};
use crate::moves::has_all;
use codis_proxy::slots::slot;
use codis_testbed::{Client, CodisServer, Traffic, Value, eventually};

const PASSWORD: &str = "correct horse";

/// The slots of the server of Codis, and its group.
const MOVED: std::ops::RangeInclusive<u16> = 0..=511;
const GID: u32 = 3;

/// Puts a server of Codis into the place of group 1.
fn take_place(bed: &Bed, server: &CodisServer) {
    add_group(bed, GID, server);
    bed.admin.run("slots offline --beg 0 --end 511 --confirm");
    bed.admin.run(&format!("slots assign --beg 0 --end 511 --gid {GID}"));
}

fn add_group(bed: &Bed, gid: u32, server: &CodisServer) {
    bed.admin.run(&format!("group create --gid {gid}"));
    let said = bed.admin.run(&format!("group add --gid {gid} --addr {}", server.address()));
    assert!(said.contains("server of Codis"), "{said}");
}

fn move_all(bed: &Bed, gid: u32) {
    bed.admin.run(&format!("slots migrate --beg 0 --end 511 --gid {gid} --wait"));
}

/// Keys of the slots that move, in two databases; a big one is among them.
fn fill(server: &CodisServer) -> Vec<(usize, String, Value)> {
    let mut client = server.client();
    let names = (0..).map(|n| format!("data:{n}"));
    let names = names.filter(|name| MOVED.contains(&slot(name.as_bytes()))).take(600);
    let mut all = Vec::new();
    for (number, name) in names.enumerate() {
        let database = [0, 9][number % 2];
        client.call(&["SELECT", &database.to_string()]);
        let value = format!("{number:0>100}");
        assert_eq!(client.call(&["SET", &name, &value, "EX", "100000"]), Value::ok());
        all.push((database, name, Value::bulk(value)));
    }
    client.run("SELECT 0");
    let big = key_of(11);
    let fill = "for i=1,ARGV[1] do redis.call('HSET',KEYS[1],'field'..i,'value'..i) end";
    assert!(client.call(&["EVAL", fill, "1", &big, "30000"]).error().is_none());
    all
}

/// The server has them, with their times to live, and the other one nothing of them.
fn assert_moved(all: &[(usize, String, Value)], mut from: Client, mut to: Client) {
    for (database, name, value) in all {
        for client in [&mut from, &mut to] {
            client.call(&["SELECT", &database.to_string()]);
        }
        assert_eq!(&to.call(&["GET", name]), value, "{name}");
        assert!(to.call(&["TTL", name]).integer() > 90_000, "{name}");
        assert_eq!(from.call(&["EXISTS", name]), Value::Integer(0), "{name}");
    }
    to.run("SELECT 0");
    from.run("SELECT 0");
    let big = key_of(11);
    assert_eq!(to.call(&["HLEN", &big]), Value::Integer(30_000));
    assert_eq!(from.call(&["EXISTS", &big]), Value::Integer(0));
}

/// All slots have moved from one server to the other while clients worked, who go on.
fn moved_under_load(
    bed: &Bed,
    all: &[(usize, String, Value)],
    from: &CodisServer,
    to: &CodisServer,
) -> Traffic {
    let traffic = bed.traffic();
    eventually("there is load", || traffic.answered() > 500);
    move_all(bed, 4);
    assert_moved(all, from.client(), to.client());
    let moved = traffic.answered();
    eventually("there is load", || traffic.answered() > moved + 500);
    traffic
}

#[test]
fn slots_move_from_servers_of_codis_to_one_of_today_under_load_and_no_client_notices() {
    let bed = Bed::start(1);
    let [one, other] = [(); 2].map(|()| CodisServer::start());
    take_place(&bed, &one);
    add_group(&bed, 4, &other);
    let all = fill(&one);
    let traffic = moved_under_load(&bed, &all, &one, &other);
    move_all(&bed, 1);
    assert_moved(&all, other.client(), bed.servers[0][0].client());
    traffic.stop();
}

#[test]
fn with_a_password_slots_move_among_servers_of_codis_by_their_own_command() {
    let bed = Bed::start_with_password(1, PASSWORD);
    let [one, other] = [(); 2].map(|()| CodisServer::start_with_password(PASSWORD));
    take_place(&bed, &one);
    add_group(&bed, 4, &other);
    let all = fill(&one);
    let traffic = moved_under_load(&bed, &all, &one, &other);
    // Its end comes in the middle of a step, again and again.
    bed.admin.run(&format!("slots migrate --beg 0 --end 511 --gid {GID}"));
    for _ in 0..10 {
        other.cut_ways_out();
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    eventually("all have moved", || has_all(&bed, u64::from(GID)));
    assert_moved(&all, other.client(), one.client());
    traffic.stop();
}

#[test]
fn a_server_of_codis_is_replaced_by_a_replica_of_today_and_no_client_notices() {
    let bed = Bed::start(1);
    let server = CodisServer::start();
    take_place(&bed, &server);
    let all = fill(&server);
    let traffic = bed.traffic();
    let replica = &bed.servers[1][1];
    let address = replica.address();
    bed.admin.run(&format!("group add --gid {GID} --addr {address}"));
    bed.admin.run(&format!("group sync --addr {address} --confirm"));
    let before = traffic.answered();
    eventually("there is load", || traffic.answered() > before + 500);
    bed.admin.run(&format!("group promote --gid {GID} --addr {address}"));
    bed.admin.run(&format!("group del --gid {GID} --addr {} --confirm", server.address()));
    let before = traffic.answered();
    eventually("there is load", || traffic.answered() > before + 500);
    traffic.stop();
    let mut client = replica.client();
    for (database, name, value) in &all {
        client.call(&["SELECT", &database.to_string()]);
        assert_eq!(&client.call(&["GET", name]), value, "{name}");
    }
}

#[test]
fn clients_of_a_server_of_codis_have_transactions_and_waits() {
    let bed = Bed::start(1);
    let server = CodisServer::start();
    take_place(&bed, &server);
    let key = key_of(5);
    let mut client = bed.proxies[0].client();
    assert_eq!(client.run("MULTI"), Value::ok());
    client.call(&["RPUSH", &key, "a"]);
    assert_eq!(client.run("EXEC"), Value::Array(vec![Value::Integer(1)]));
    let pair = |element: &str| Value::Array(vec![Value::bulk(&key), Value::bulk(element)]);
    assert_eq!(client.call(&["BLPOP", &key, "0"]), pair("a"));
    client.send(codis_testbed::encode(&["BLPOP", &key, "0"]));
    let mut other = bed.proxies[1].client();
    assert_eq!(other.call(&["RPUSH", &key, "b"]), Value::Integer(1));
    assert_eq!(client.read(), pair("b"));
    let words = client.call(&["UNLINK", &key]).error().unwrap_or_default();
    assert!(words.contains("unknown command"), "{words}");
    assert_eq!(client.run("PING"), Value::Simple(b"PONG".to_vec()));
}
