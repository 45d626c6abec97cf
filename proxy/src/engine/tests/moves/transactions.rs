//! Transactions on keys of a slot that migrates.

use super::*;

impl Bed {
    /// What the connection to the target is sent that a session has to itself.
    fn at_watcher(&mut self) -> Vec<Sent> {
        self.serve();
        let mut backends = self.rig.engine.backends.iter();
        let watcher = backends.find(|(_, backend)| backend.role == backend::Role::Dedicated);
        let Some((index, _)) = watcher else { return Vec::new() };
        requests(&self.rig.sent(index as u32))
    }

    fn watcher_says(&mut self, reply: &str) {
        let mut backends = self.rig.engine.backends.iter();
        let watcher = backends.find(|(_, backend)| backend.role == backend::Role::Dedicated);
        let (index, _) = watcher.expect("a connection for the watch");
        self.rig.engine.on_backend_bytes(index as u32, reply.as_bytes());
        self.serve();
    }
}

#[test]
fn a_transaction_leaves_when_all_its_keys_have_left_the_source() {
    let mut bed = Bed::ready();
    for words in ["MULTI", "INCR {t}1", "INCR {t}2", "EXEC"] {
        bed.ask(words);
    }
    assert_eq!(bed.moved_keys(), ["{t}1", "{t}2"]);
    assert_eq!(bed.at_b(), NOTHING);
    bed.script_says(&[0, 0], "");
    let names: Vec<String> = bed.at_b().into_iter().map(|sent| sent[0].clone()).collect();
    assert_eq!(names, ["MULTI", "INCR", "INCR", "EXEC"]);
}

#[test]
fn a_watched_transaction_waits_for_keys_that_are_not_watched() {
    let mut bed = Bed::ready();
    bed.ask("WATCH {t}1");
    assert_eq!(bed.moved_keys(), ["{t}1"]);
    bed.script_says(&[0], "");
    assert_eq!(bed.at_watcher(), [["WATCH", "{t}1"]]);
    bed.watcher_says("+OK\r\n");
    for words in ["MULTI", "INCR {t}2", "EXEC"] {
        bed.ask(words);
    }
    assert_eq!(bed.moved_keys(), ["{t}2"]);
    assert_eq!(bed.at_watcher(), NOTHING);
    bed.script_says(&[0], "");
    let names: Vec<String> = bed.at_watcher().into_iter().map(|sent| sent[0].clone()).collect();
    assert_eq!(names, ["MULTI", "INCR", "EXEC"]);
    bed.watcher_says("+OK\r\n+QUEUED\r\n*1\r\n:5\r\n");
    assert!(bed.replies().ends_with("*1\r\n:5\r\n"));
}
