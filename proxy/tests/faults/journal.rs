//! What each member says has happened, and what operators were told.

use crate::calls::{Member, connect};
use codis_proto::admin::v1::watch_event::{Change, Current, Event};
use codis_proto::admin::v1::{Changed, RequestId, WatchRequest};
use codis_proto::meta::v1::Topology;
use prost::Message as _;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long a look at a member may take.
const LOOK: Duration = Duration::from_secs(2);

/// The pause between two looks at a member's whole topology.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Everything that was told, by members and to operators, since the run began.
#[derive(Debug, Default)]
pub struct Journal(Mutex<Pages>);

#[derive(Debug, Default)]
struct Pages {
    /// By epoch: the topology, and the member that showed it first.
    topologies: BTreeMap<u64, (usize, Vec<u8>)>,
    /// By index: the command, the epoch after it, and the member that told it first.
    commands: BTreeMap<u64, (usize, u64, Vec<u8>)>,
    /// By the request's client and number: the index where it ran.
    ran: HashMap<(u64, u64), u64>,
    /// By the request's client and number: the index and the epoch that an operator was told.
    acknowledged: HashMap<(u64, u64), (u64, u64)>,
    /// How many looks at each member came to something.
    looks: BTreeMap<usize, u64>,
    /// What must not be.
    contradictions: Vec<String>,
}

/// How much a journal holds.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    pub acknowledged: usize,
    pub commands: usize,
    pub epochs: usize,
}

impl Journal {
    /// An operator was told that a change was made.
    pub fn acknowledged(&self, id: RequestId, changed: &Changed) {
        let mut pages = self.pages();
        pages.acknowledged.insert((id.client, id.request), (changed.index, changed.epoch));
    }

    /// Follows every member for as long as the tasks live.
    pub fn follow(self: &Arc<Self>, addresses: &[String]) -> Vec<tokio::task::JoinHandle<()>> {
        let mut tasks = Vec::new();
        for (number, member) in connect(addresses).into_iter().enumerate() {
            tasks.push(tokio::spawn(follow_changes(Arc::clone(self), number, member.clone())));
            tasks.push(tokio::spawn(look_again_and_again(Arc::clone(self), number, member)));
        }
        tasks
    }

    /// Fails where members contradict each other, or what an operator was told.
    ///
    /// # Panics
    /// With what contradicts what.
    pub fn check(&self) -> Extent {
        let pages = self.pages();
        let mut wrong = pages.contradictions.clone();
        for (id, (index, epoch)) in &pages.acknowledged {
            let told =
                format!("request {id:x?} was acknowledged at index {index} and epoch {epoch}");
            match pages.ran.get(id) {
                Some(ran) if ran != index => wrong.push(format!("{told}, but ran at index {ran}")),
                Some(_) if pages.commands[index].1 != *epoch => {
                    wrong.push(format!(
                        "{told}, but that index has epoch {}",
                        pages.commands[index].1
                    ));
                }
                // No watcher need have seen it; the state at the end tells whether it ran.
                _ => {}
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(pages.looks.len(), 3, "not every member was looked at: {:?}", pages.looks);
        Extent {
            acknowledged: pages.acknowledged.len(),
            commands: pages.commands.len(),
            epochs: pages.topologies.len(),
        }
    }

    fn pages(&self) -> std::sync::MutexGuard<'_, Pages> {
        self.0.lock().expect("nothing panics under this lock")
    }

    fn saw_topology(&self, member: usize, topology: &Topology) {
        let mut pages = self.pages();
        *pages.looks.entry(member).or_default() += 1;
        let bytes = topology.encode_to_vec();
        let epoch = topology.epoch;
        let (first, known) =
            pages.topologies.entry(epoch).or_insert_with(|| (member, bytes.clone()));
        if *known != bytes {
            let what = format!("members {first} and {member} differ at epoch {epoch}");
            pages.contradictions.push(what);
        }
    }

    fn saw_change(&self, member: usize, change: &Change) {
        let mut pages = self.pages();
        let Change { index, epoch, command } = change;
        let Some(command) = command else {
            pages
                .contradictions
                .push(format!("member {member} told of no command at index {index}"));
            return;
        };
        let bytes = command.encode_to_vec();
        let entry = pages.commands.entry(*index);
        let (first, known_epoch, known) = entry.or_insert_with(|| (member, *epoch, bytes.clone()));
        if *known != bytes || known_epoch != epoch {
            let what = format!("members {first} and {member} differ at index {index}: {command:?}");
            pages.contradictions.push(what);
        }
        if command.client != 0 {
            let id = (command.client, command.request);
            let ran = *pages.ran.entry(id).or_insert(*index);
            if ran != *index {
                pages
                    .contradictions
                    .push(format!("request {id:x?} ran at indexes {ran} and {index}"));
            }
        }
    }
}

async fn follow_changes(journal: Arc<Journal>, number: usize, mut member: Member) {
    loop {
        if let Ok(Ok(stream)) = timeout(LOOK, member.watch(WatchRequest { all: true })).await {
            let mut stream = stream.into_inner();
            // A member that is frozen sends nothing for a while; the connection's pings end it if it stays so.
            while let Ok(Some(message)) = stream.message().await {
                match message.event {
                    Some(Event::Change(change)) => journal.saw_change(number, &change),
                    Some(Event::Current(current)) => saw_current(&journal, number, &current),
                    None => {}
                }
            }
        }
        sleep(BETWEEN_LOOKS).await;
    }
}

async fn look_again_and_again(journal: Arc<Journal>, number: usize, mut member: Member) {
    loop {
        if let Ok(Some(current)) = timeout(LOOK, look(&mut member)).await {
            saw_current(&journal, number, &current);
        }
        sleep(BETWEEN_LOOKS).await;
    }
}

fn saw_current(journal: &Journal, number: usize, current: &Current) {
    if let Some(topology) = &current.topology {
        journal.saw_topology(number, topology);
    }
}

/// Where a member stands, by itself.
pub async fn look(member: &mut Member) -> Option<Current> {
    let stream = member.watch(WatchRequest { all: false }).await.ok()?;
    match stream.into_inner().message().await.ok()??.event? {
        Event::Current(current) => Some(current),
        Event::Change(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Journal;
    use codis_proto::admin::v1::watch_event::Change;
    use codis_proto::admin::v1::{Changed, RequestId};
    use codis_proto::meta::v1::{Command, Topology};

    fn change(index: u64, request: u64) -> Change {
        let command = Command { client: 7, request, ..Command::default() };
        Change { index, epoch: 1, command: Some(command) }
    }

    /// A journal of three members that agree.
    fn journal() -> Journal {
        let journal = Journal::default();
        for member in 0..3 {
            journal.saw_topology(member, &Topology { epoch: 1, ..Topology::default() });
            journal.saw_change(member, &change(5, 1));
        }
        journal
    }

    #[test]
    fn members_that_agree_pass() {
        let journal = journal();
        let id = RequestId { client: 7, request: 1 };
        journal.acknowledged(id, &Changed { index: 5, epoch: 1, ..Changed::default() });
        assert_eq!(journal.check().commands, 1);
    }

    #[test]
    #[should_panic(expected = "differ at epoch 1")]
    fn two_topologies_at_one_epoch_are_found_out() {
        let journal = journal();
        journal.saw_topology(2, &Topology { epoch: 1, removals: 1, ..Topology::default() });
        journal.check();
    }

    #[test]
    #[should_panic(expected = "differ at index 5")]
    fn two_commands_at_one_index_are_found_out() {
        let journal = journal();
        journal.saw_change(1, &change(5, 2));
        journal.check();
    }

    #[test]
    #[should_panic(expected = "ran at indexes 5 and 6")]
    fn a_request_that_runs_twice_is_found_out() {
        let journal = journal();
        journal.saw_change(0, &change(6, 1));
        journal.check();
    }

    #[test]
    #[should_panic(expected = "but ran at index 5")]
    fn an_acknowledgement_of_another_index_is_found_out() {
        let journal = journal();
        let id = RequestId { client: 7, request: 1 };
        journal.acknowledged(id, &Changed { index: 6, epoch: 1, ..Changed::default() });
        journal.check();
    }
}
