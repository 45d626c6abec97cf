//! The fence on servers, and the keys that are not the clients'.

use super::*;

impl Rig {
    /// Loses the connection to a:1 and has it made again.
    fn reconnect(&mut self) -> u32 {
        let backend = self.backend("a:1", 0);
        self.engine.on_backend_closed(backend, "gone");
        // The longest pause after a first failure.
        self.to(self.engine.now_us + 20_000);
        self.serve();
        backend
    }

    fn is_ready(&self, backend: u32) -> bool {
        self.engine.backends[backend as usize].state == backend::State::Ready
    }

    /// What a request that cannot be sent is answered.
    fn refusal(&mut self) -> String {
        self.ask(GET);
        self.serve();
        self.replies()
    }
}

fn following() -> Settings {
    let mut settings = settings();
    settings.follows_group = true;
    settings.reconnect_us_max = 1_000_000;
    settings
}

#[test]
fn the_fence_is_read_after_the_name_is_given_and_before_the_database_is_chosen() {
    let mut settings = settings();
    settings.product_auth = "secret".into();
    let mut rig = Rig::new(settings);
    rig.ask("*2 $6 SELECT $1 3 ");
    rig.ask(GET);
    rig.engine.finish_turn();
    let effects = rig.engine.take_effects(Vec::new());
    let [Effect::Connect { backend, .. }] = effects[..] else { panic!("{effects:?}") };
    rig.engine.on_backend_open(backend);
    let greeting = String::from_utf8(rig.sent(backend)).expect("text");
    let expected = "*2 $4 AUTH $6 secret *3 $6 CLIENT $7 SETNAME $19 codis-proxy:token:1 \
                    *2 $3 GET $15 __codis_fence__ *2 $6 SELECT $1 3 ";
    assert_eq!(greeting, expected.replace(' ', "\r\n"));
    for reply in ["+OK\r\n", "+OK\r\n", "$-1\r\n"] {
        rig.engine.on_backend_bytes(backend, reply.as_bytes());
        assert!(!rig.is_ready(backend));
    }
    rig.engine.on_backend_bytes(backend, b"+OK\r\n");
    assert!(rig.is_ready(backend));
}

#[test]
fn a_fence_that_is_not_ahead_lets_the_connection_be_used() {
    let mut rig = Rig::new(following());
    rig.fence = "$1\r\n1\r\n".into();
    let backend = rig.reconnect();
    assert!(rig.is_ready(backend));
}

#[test]
fn a_fence_that_is_ahead_keeps_the_proxy_out_until_it_has_that_topology() {
    let mut rig = Rig::new(following());
    rig.fence = "$1\r\n3\r\n".into();
    let backend = rig.reconnect();
    assert_eq!(
        rig.refusal(),
        "-ERR backend a:1 is down: the server's fence is at epoch 3, this proxy has the topology of \
         epoch 1: waiting for a newer topology\r\n"
    );
    rig.install("a:1", &[]);
    assert!(!rig.is_ready(backend), "epoch 2 is not enough");
    // Without any time passing.
    rig.install("a:1", &[]);
    assert!(rig.is_ready(backend));
}

#[test]
fn a_topology_that_comes_while_a_fenced_connection_is_being_closed_lets_it_in_too() {
    let mut rig = Rig::new(following());
    rig.fence = "$1\r\n2\r\n".into();
    let backend = rig.backend("a:1", 0);
    rig.engine.on_backend_closed(backend, "gone");
    rig.to(1_000_000);
    rig.engine.finish_turn();
    assert!(matches!(rig.engine.take_effects(Vec::new())[..], [Effect::Connect { .. }]));
    rig.engine.on_backend_open(backend);
    rig.engine.on_backend_bytes(backend, b"+OK\r\n$1\r\n2\r\n");
    rig.engine.on_topology(&one_group(2, "a:1", &[]));
    assert_eq!(rig.engine.backends[backend as usize].state, backend::State::Closing);
    rig.serve();
    assert!(rig.is_ready(backend));
}

#[test]
fn requests_that_waited_for_a_connection_count_by_the_topology_that_sent_them_there() {
    let mut rig = Rig::new(following());
    // A second connection, on its first attempt: requests wait for it.
    rig.ask("*2 $6 SELECT $1 3 ");
    rig.ask(GET);
    rig.engine.finish_turn();
    let effects = rig.engine.take_effects(Vec::new());
    let [Effect::Connect { backend, .. }] = effects[..] else { panic!("{effects:?}") };
    rig.engine.on_topology(&one_group(2, "b:1", &["a:1"]));
    rig.engine.on_backend_open(backend);
    rig.engine.on_backend_bytes(backend, b"+OK\r\n$1\r\n2\r\n+OK\r\n");
    assert!(!rig.is_ready(backend));
    rig.serve();
    let replies = rig.replies();
    assert!(replies.contains("the server's fence is at epoch 2"), "{replies}");
    rig.engine.audit().expect("healthy");
}

#[test]
fn a_proxy_that_follows_no_group_says_so_when_it_meets_a_fence() {
    let mut rig = Rig::new(settings());
    rig.fence = "$2\r\n17\r\n".into();
    rig.reconnect();
    let refusal = rig.refusal();
    assert!(
        refusal.contains("belongs to a metadata group, and this proxy follows none"),
        "{refusal}"
    );
}

#[test]
fn a_fence_that_is_no_number_is_named() {
    let mut rig = Rig::new(following());
    rig.fence = "$5\r\nhello\r\n".into();
    rig.reconnect();
    let refusal = rig.refusal();
    assert!(refusal.contains("the reserved key __codis_fence__ on the server holds \"hello\""));
}

#[test]
fn a_server_that_is_loading_fails_the_handshake_with_its_own_words() {
    let mut rig = Rig::new(following());
    rig.fence = "-LOADING Redis is loading the dataset in memory\r\n".into();
    rig.reconnect();
    let refusal = rig.refusal();
    assert!(refusal.contains("the server refused the handshake: -LOADING Redis is loading"));
}

#[test]
fn a_reply_to_the_handshake_that_does_not_end_is_not_gathered_for_ever() {
    let mut rig = Rig::new(following());
    rig.fence = "$1000000\r\n".into();
    let backend = rig.reconnect();
    for _ in 0..20 {
        rig.engine.on_backend_bytes(backend, &[b'7'; 10_000]);
    }
    assert!(rig.refusal().contains("does not end"));
}

#[test]
fn the_reserved_keys_are_refused_however_they_are_named() {
    let mut rig = Rig::new(settings());
    let backend = rig.backend("a:1", 0);
    for key in [
        "__codis_fence__",
        "__codis_order__",
        "__codis_mover__",
        "__codis_clean__",
        "__codis_wait__",
        "__codis_copies__",
        "{__codis_big__}:7:1",
        "{__codis_big__}:",
    ] {
        // A neighbour in the same slot first: what it leaves behind must not let the key through.
        let tag = String::from_utf8_lossy(crate::slots::tag(key.as_bytes())).into_owned();
        let neighbour = format!("{{{tag}}}");
        let mut requests = Vec::new();
        for request in [
            "GET @",
            "SET @ 1",
            "DEL @",
            "MGET a @",
            "MSET a 1 @ 2",
            "RENAME @ {#}x",
            "EVAL x 1 @",
            "SORT {#}x STORE @",
        ] {
            let args: Vec<String> =
                request.split(' ').map(|arg| arg.replace('@', key).replace('#', &tag)).collect();
            let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
            let mut bytes = Vec::new();
            crate::resp::write::request(&mut bytes, &args);
            requests.push(bytes);
        }
        for request in requests {
            rig.ask(&format!("*2 $3 GET ${} {neighbour} ", neighbour.len()));
            assert!(!rig.sent(backend).is_empty());
            rig.engine.on_backend_bytes(backend, b"$-1\r\n");
            rig.engine.on_client_bytes(rig.session, &request);
            assert_eq!(rig.replies(), "$-1\r\n-ERR the key is reserved by codis\r\n");
            assert!(rig.sent(backend).is_empty());
        }
    }
}
