//! Operators who change settings, slots and groups all at the same time, and note what they are told.

use crate::calls::Caller;
use crate::journal::Journal;
use crate::promoter;
use crate::registers::{Clock, Register};
use codis_proto::admin::v1::{
    AssignSlotsRequest, Call, Changed, CreateGroupRequest, GetSettingsRequest, ListGroupsRequest,
    ListSlotsRequest, OfflineSlotsRequest, RemoveGroupRequest, SetSettingsRequest,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tonic::Status;

/// Settings that any whole number up to a million is good for, and that nothing here depends on.
const SETTINGS: [&str; 2] = ["migration_async_maxbulks", "migration_async_numkeys"];

/// Runs of slots that belong to one operator each: nobody else changes them, and no traffic is on them.
pub const RANGES: [RangeInclusive<u32>; 3] = [900..=915, 916..=916, 917..=1023];

/// The groups with servers, which slots can be given to.
const TARGETS: [u32; 2] = [1, 2];

/// Operators who change settings; each slot range and each run of groups has one as well.
const SETTERS: usize = 3;
const GROUPERS: u32 = 2;

/// Groups that belong to one operator.
const GROUPS_EACH: u32 = 20;

/// What all operators of a round share.
pub struct Books {
    pub journal: Arc<Journal>,
    clock: Clock,
    settings: [Register; SETTINGS.len()],
    /// The group that has a range's slots, 0 for none.
    slots: [Register; RANGES.len()],
    /// Draws values that no other write has.
    values: AtomicU64,
    stop: AtomicBool,
}

/// What the operators of a round know at its end.
pub struct Truth {
    /// How many changes of masters came to an end.
    pub promotions: u32,
    /// By range: the group that has its slots; 0 for none.
    pub slots: Vec<u32>,
}

impl Books {
    pub fn new(journal: Arc<Journal>) -> Arc<Self> {
        Arc::new(Self {
            journal,
            clock: Clock::default(),
            settings: Default::default(),
            slots: Default::default(),
            values: AtomicU64::new(1),
            stop: AtomicBool::new(false),
        })
    }

    /// Operators finish what they have begun, look once more, and end.
    pub fn stop(&self) {
        self.stop.store(true, SeqCst);
    }

    /// Checks what was seen of settings and slots; answers how many operations that were.
    ///
    /// # Panics
    /// When a history cannot be explained.
    pub fn check(&self) -> usize {
        let settings = SETTINGS.iter().map(|name| (*name).to_owned()).zip(&self.settings);
        let slots = RANGES.iter().map(|range| format!("slots {range:?}")).zip(&self.slots);
        let mut operations = 0;
        for (name, register) in settings.chain(slots) {
            assert!(
                register.is_linearizable(),
                "{name}: the history is not linearizable: {register:?}"
            );
            operations += register.len();
        }
        operations
    }

    /// Whether it is time to end.
    pub fn stopped(&self) -> bool {
        self.stop.load(SeqCst)
    }
}

/// Runs every operator until [`Books::stop`]; `promotes` says whether masters are changed, too.
pub async fn run(
    books: Arc<Books>,
    addresses: Vec<String>,
    mut rng: fastrand::Rng,
    promotes: bool,
) -> Truth {
    let mut caller = || Caller::new(&addresses, &mut rng);
    let mut first = caller();
    prepare(&mut first, &books).await;
    let mut others = Vec::new();
    for _ in 0..SETTERS {
        others.push(tokio::spawn(set_settings(Arc::clone(&books), caller())));
    }
    for number in 0..GROUPERS {
        let own = 100 * (number + 1)..100 * (number + 1) + GROUPS_EACH;
        others.push(tokio::spawn(create_and_remove_groups(Arc::clone(&books), caller(), own)));
    }
    let owners: Vec<_> = (0..RANGES.len())
        .map(|range| tokio::spawn(assign_slots(Arc::clone(&books), caller(), range)))
        .collect();
    let promoter = promotes.then(|| tokio::spawn(promoter::promote(Arc::clone(&books), caller())));
    let mut slots = Vec::new();
    for owner in owners {
        slots.push(owner.await.expect("an operator that fails ends the test"));
    }
    for other in others {
        other.await.expect("an operator that fails ends the test");
    }
    read_settings(&mut first, &books).await;
    read_slots(&mut first, &books).await;
    let promotions = match promoter {
        Some(promoter) => promoter.await.expect("an operator that fails ends the test"),
        None => 0,
    };
    Truth { promotions, slots }
}

/// Brings everything to where a round begins: each register has a value that is known.
async fn prepare(caller: &mut Caller, books: &Books) {
    for setting in 0..SETTINGS.len() {
        write_setting(caller, books, setting).await;
    }
    let slots =
        caller.call("ListSlots", |mut m| async move { m.list_slots(ListSlotsRequest {}).await });
    let slots = slots.await.expect("slots can be listed").slots;
    for range in RANGES {
        let first = usize::try_from(*range.start()).expect("there are 1024 slots");
        if slots[first].group != 0 {
            let name = caller.name();
            change_slots(caller, books, name, range, 0)
                .await
                .expect("its slots can be taken offline");
        }
    }
}

async fn pause(caller: &mut Caller) {
    let ms = caller.rng().u64(5..25);
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

async fn set_settings(books: Arc<Books>, mut caller: Caller) {
    while !books.stopped() {
        match caller.rng().usize(..2 * SETTINGS.len()) {
            setting if setting < SETTINGS.len() => {
                write_setting(&mut caller, &books, setting).await;
            }
            _ => read_settings(&mut caller, &books).await,
        }
        pause(&mut caller).await;
    }
    read_settings(&mut caller, &books).await;
}

async fn write_setting(caller: &mut Caller, books: &Books, setting: usize) {
    let value = books.values.fetch_add(1, SeqCst);
    let values = BTreeMap::from([(SETTINGS[setting].to_owned(), value.to_string())]);
    let name = caller.name();
    let request = SetSettingsRequest { call: Some(name), values };
    let called = books.clock.now();
    let changed = caller.call("SetSettings", |mut member| {
        let request = request.clone();
        async move { member.set_settings(request).await }
    });
    let changed = changed.await.expect("a setting that is in its range can be set");
    books.settings[setting].wrote(value, called, books.clock.now());
    note(books, name, &changed);
}

/// One look at every setting, which therefore is one at each.
async fn read_settings(caller: &mut Caller, books: &Books) {
    let called = books.clock.now();
    let read = caller
        .call("GetSettings", |mut m| async move { m.get_settings(GetSettingsRequest {}).await });
    let settings = read.await.expect("settings can be read").settings;
    let answered = books.clock.now();
    for (name, register) in SETTINGS.iter().zip(&books.settings) {
        let setting = settings.iter().find(|setting| setting.name == *name);
        let value = &setting.unwrap_or_else(|| panic!("{name} is not among the settings")).value;
        let value = value.parse().unwrap_or_else(|_| panic!("{name} is {value:?}"));
        register.read(value, called, answered);
    }
}

/// Gives the range to one group or another, takes it offline again, and so on. Answers who has it at the end.
async fn assign_slots(books: Arc<Books>, mut caller: Caller, range: usize) -> u32 {
    let mut owner = 0;
    while !books.stopped() {
        if caller.rng().bool() {
            let target = TARGETS[caller.rng().usize(..TARGETS.len())];
            let next = if owner == 0 { target } else { 0 };
            let called = books.clock.now();
            let name = caller.name();
            match change_slots(&mut caller, &books, name, RANGES[range].clone(), next).await {
                Ok(()) => {
                    books.slots[range].wrote(next.into(), called, books.clock.now());
                    owner = next;
                }
                // Nothing was changed.
                Err(status) if is_locked(&status) => {}
                Err(status) => panic!("slots {:?} to {next}: {status}", RANGES[range]),
            }
        } else {
            read_slots(&mut caller, &books).await;
        }
        pause(&mut caller).await;
    }
    owner
}

/// Whether a change of slots was refused as the master of their group is being changed.
fn is_locked(status: &Status) -> bool {
    let rule = status.metadata().get("codis-refusal");
    rule.is_some_and(|rule| ["PROMOTION_UNDER_WAY", "SLOT_BUSY"].iter().any(|name| rule == name))
}

async fn change_slots(
    caller: &mut Caller,
    books: &Books,
    name: Call,
    range: RangeInclusive<u32>,
    gid: u32,
) -> Result<(), Status> {
    let (beg, end) = range.into_inner();
    let call = Some(name);
    let changed = caller.call("a change of slots", |mut member| async move {
        match gid {
            0 => member.offline_slots(OfflineSlotsRequest { call, beg, end }).await,
            gid => member.assign_slots(AssignSlotsRequest { call, beg, end, gid }).await,
        }
    });
    note(books, name, &changed.await?);
    Ok(())
}

/// One look at all slots: those of a range change together.
async fn read_slots(caller: &mut Caller, books: &Books) {
    let called = books.clock.now();
    let read =
        caller.call("ListSlots", |mut m| async move { m.list_slots(ListSlotsRequest {}).await });
    let slots = read.await.expect("slots can be listed").slots;
    let answered = books.clock.now();
    for (range, register) in RANGES.into_iter().zip(&books.slots) {
        let owners = range.clone().map(|slot| slots[slot as usize].group);
        let owners: BTreeSet<u32> = owners.collect();
        assert_eq!(owners.len(), 1, "slots {range:?} changed in part: {owners:?}");
        let owner = owners.first().expect("there is one");
        register.read((*owner).into(), called, answered);
    }
}

/// Creates groups and removes them. A change that ran twice would be refused the second time, and one that was
/// acknowledged and lost would be missing.
async fn create_and_remove_groups(
    books: Arc<Books>,
    mut caller: Caller,
    own: std::ops::Range<u32>,
) {
    let mut there = groups(&mut caller, &own).await;
    while !books.stopped() {
        let gid = caller.rng().u32(own.clone());
        let name = caller.name();
        let call = Some(name);
        let removes = there.contains(&gid);
        let changed = caller.call("a change of groups", |mut member| async move {
            match removes {
                true => member.remove_group(RemoveGroupRequest { call, gid }).await,
                false => member.create_group(CreateGroupRequest { call, gid }).await,
            }
        });
        let changed = changed.await.unwrap_or_else(|status| {
            panic!("group {gid}, removes: {removes}: refused, so it ran twice or an earlier one was lost: {status}")
        });
        note(&books, name, &changed);
        if !there.remove(&gid) {
            there.insert(gid);
        }
        if caller.rng().u8(..4) == 0 {
            assert_eq!(
                groups(&mut caller, &own).await,
                there,
                "left is there, right was acknowledged"
            );
        }
        pause(&mut caller).await;
    }
    assert_eq!(groups(&mut caller, &own).await, there, "left is there, right was acknowledged");
}

async fn groups(caller: &mut Caller, own: &std::ops::Range<u32>) -> BTreeSet<u32> {
    let read =
        caller.call("ListGroups", |mut m| async move { m.list_groups(ListGroupsRequest {}).await });
    let all = read.await.expect("groups can be listed").groups;
    all.iter().map(|group| group.gid).filter(|gid| own.contains(gid)).collect()
}

fn note(books: &Books, name: Call, changed: &Changed) {
    books.journal.acknowledged(name.id.expect("every change has a name"), changed);
}
