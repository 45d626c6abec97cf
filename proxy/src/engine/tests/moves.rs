//! Slots that migrate, from `a:1` to `b:1`, with servers that answer what the tests say.

mod big;
mod ends;
mod keys;
mod model;
mod retries;
mod safe;
mod transactions;

use super::*;
use crate::topology::{Durability, MoveRules};
use codis_proto::moves::{SCRIPT, SCRIPT_SHA1};

const RULES: MoveRules = MoveRules {
    timeout_ms: 500,
    durability: Durability::None,
    big_bytes: 1_000_000,
    big_elements: 10_000,
    patience_ms: 200,
    big_patience_ms: 400,
};

/// A request, argument by argument.
pub(super) type Sent = Vec<String>;

/// No request.
pub(super) const NOTHING: [Sent; 0] = [];

/// An engine whose slots migrate.
struct Bed {
    rig: Rig,
    rules: MoveRules,
    replicas: bool,
}

pub(super) fn group(id: u32, master: &str, has_replicas: bool) -> Group {
    Group { id, master: Arc::from(master), replicas: Vec::new(), has_replicas }
}

/// What is in a bulk string.
pub(super) fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// The request as a client sends it.
pub(super) fn request(words: &str) -> Vec<u8> {
    let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    let mut bytes = Vec::new();
    crate::resp::write::request(&mut bytes, &words);
    bytes
}

/// The requests in what was sent.
pub(super) fn requests(mut bytes: &[u8]) -> Vec<Sent> {
    let mut all = Vec::new();
    let limits = settings().limits;
    while !bytes.is_empty() {
        let mut progress = Progress::default();
        let crate::resp::request::Parsed::Complete(len) =
            crate::resp::request::parse(bytes, &mut progress, &limits)
        else {
            panic!("not a request: {}", bytes.escape_ascii());
        };
        let request = crate::resp::Request { bytes: &bytes[..len], args: &progress.args };
        let args = (0..request.len()).map(|arg| String::from_utf8_lossy(request.arg(arg)));
        all.push(args.map(|arg| arg.into_owned()).collect());
        bytes = &bytes[len..];
    }
    all
}

impl Bed {
    fn new() -> Self {
        Self::with(settings(), RULES)
    }

    fn with(settings: Settings, rules: MoveRules) -> Self {
        let mut bed = Self { rig: Rig::new(settings), rules, replicas: false };
        bed.migrate(2, 2);
        bed
    }

    /// A bed whose source has said its run id.
    fn ready() -> Self {
        let mut bed = Self::new();
        bed.learn();
        bed
    }

    /// Moves a key, and so has the source say its run id.
    fn learn(&mut self) {
        self.ask("GET first");
        assert_eq!(self.at_a(), [["INFO", "server"]]);
        self.say_run_id("run1");
        assert_eq!(self.moved_keys(), ["first"]);
        self.script_says(&[0], "");
        assert_eq!(self.at_b(), [["GET", "first"]]);
        self.b_says("$-1\r\n");
        assert_eq!(self.rig.replies(), "$-1\r\n");
    }

    fn topology(&self, epoch: u64, state: SlotState) -> Topology {
        Topology {
            epoch,
            groups: vec![group(1, "a:1", false), group(2, "b:1", self.replicas)],
            slots: vec![Slot { state, locked: false }; SLOT_COUNT],
            moves: Some(self.rules),
        }
    }

    fn install(&mut self, topology: Topology) -> Vec<u64> {
        self.rig.engine.on_topology(&Arc::new(topology));
        self.settled()
    }

    fn settled(&mut self) -> Vec<u64> {
        let effects = self.serve();
        let epoch = |effect| match effect {
            Effect::Settled { epoch } => Some(epoch),
            _ => None,
        };
        effects.into_iter().filter_map(epoch).collect()
    }

    /// All slots migrate from a to b.
    fn migrate(&mut self, epoch: u64, since: u64) -> Vec<u64> {
        let state = SlotState::Migrating { from: GroupIndex(0), to: GroupIndex(1), since };
        let topology = self.topology(epoch, state);
        self.install(topology)
    }

    /// Ends the turn.
    fn serve(&mut self) -> Vec<Effect> {
        let effects = self.rig.serve();
        self.rig.engine.audit().expect("healthy");
        effects
    }

    fn ask(&mut self, words: &str) {
        self.rig.engine.on_client_bytes(self.rig.session, &request(words));
        self.serve();
    }

    /// What the source was sent.
    fn at_a(&mut self) -> Vec<Sent> {
        self.serve();
        let backend = self.rig.backend("a:1", 0);
        requests(&self.rig.sent(backend))
    }

    /// What the target was sent.
    fn at_b(&mut self) -> Vec<Sent> {
        self.serve();
        let backend = self.rig.backend("b:1", 0);
        requests(&self.rig.sent(backend))
    }

    fn a_says(&mut self, reply: &str) {
        let backend = self.rig.backend("a:1", 0);
        self.rig.engine.on_backend_bytes(backend, reply.as_bytes());
        self.serve();
    }

    fn b_says(&mut self, reply: &str) {
        let backend = self.rig.backend("b:1", 0);
        self.rig.engine.on_backend_bytes(backend, reply.as_bytes());
        self.serve();
    }

    fn say_run_id(&mut self, id: &str) {
        self.a_says(&bulk(&format!("# Server\r\nredis_version:7.0.0\r\nrun_id:{id}\r\n")));
    }

    /// The keys of the one call of the move script that the source was sent.
    fn moved_keys(&mut self) -> Vec<String> {
        let sent = self.at_a();
        let [call] = &sent[..] else { panic!("not one call: {sent:?}") };
        keys_of(call)
    }

    /// The source answers a call of the script.
    fn script_says(&mut self, numbers: &[u8], words: &str) {
        let mut reply = format!("*{}\r\n", numbers.len() + 3);
        numbers.iter().for_each(|number| reply += &format!(":{number}\r\n"));
        self.a_says(&format!("{reply}:100\r\n:50\r\n{}", bulk(words)));
    }

    /// Lets milliseconds pass.
    fn pass(&mut self, ms: u64) {
        let now = self.rig.engine.now_us;
        self.rig.to(now + 1000 * ms);
        self.serve();
    }

    fn replies(&mut self) -> String {
        self.serve();
        self.rig.replies()
    }

    /// Another session asks from now on; answers the one that did.
    fn other_session(&mut self) -> u32 {
        let other = self.rig.engine.on_client_open(7, None);
        std::mem::replace(&mut self.rig.session, other)
    }

    /// The one error that the client was sent; nothing was sent to the target.
    fn error(&mut self) -> String {
        let error = self.replies();
        assert!(error.starts_with("-ERR ") && error.lines().count() == 1, "{error:?}");
        assert_eq!(self.at_b(), NOTHING);
        error
    }
}

/// The keys of a call of the move script.
fn keys_of(call: &Sent) -> Vec<String> {
    assert_eq!(call[..2], ["EVALSHA", SCRIPT_SHA1]);
    let count: usize = call[2].parse().expect("a count");
    call[3..3 + count].to_vec()
}
