//! What a proxy begins with.

use super::super::testing::*;
use super::super::*;
use super::nobody;
use crate::control::Signal;
use crate::topology::SlotState;
use std::future::pending;
use tokio::sync::mpsc;
use tonic::Status as Rpc;

/// Far longer than any test waits for what comes.
const LONG: Duration = Duration::from_secs(60);

/// Long enough to find out that nobody is there.
const SHORT: Duration = Duration::from_millis(100);

/// A control thread that hears no real signals.
fn thread() -> Signals {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (sender, signals) = mpsc::unbounded_channel();
    Signals { runtime: runtime.expect("a runtime"), sender, signals }
}

fn serves(begin: Begin) -> Arc<Topology> {
    match begin {
        Begin::Serve(topology) => topology,
        other => panic!("it does not serve: {other:?}"),
    }
}

#[test]
fn a_proxy_begins_with_the_groups_topology_and_not_with_the_saved_one() {
    let mut thread = thread();
    let mut proxy = thread.runtime.block_on(async {
        let mut member = Member::start().await;
        let proxy = Proxy::start(&[&member.address], Some(saved(topology(3, 1))));
        tokio::spawn(async move {
            let _open = member.welcome(&topology(4, 2)).await;
            pending::<()>().await;
        });
        proxy
    });
    let begun = serves(thread.first_topology(&mut proxy.link, LONG, pending()));
    assert_eq!(begun.epoch, 4);
}

#[test]
fn a_proxy_whose_group_is_away_begins_with_the_saved_topology_and_is_not_ended_any_more() {
    let mut thread = thread();
    let member = nobody();
    let kept = Some(saved(topology(3, 1)));
    let mut proxy = thread.runtime.block_on(async { Proxy::start(&[&member], kept) });
    let begun = serves(thread.first_topology(&mut proxy.link, SHORT, pending()));
    assert_eq!(begun.epoch, 3);
    assert_ne!(begun.slots[0].state, SlotState::Offline);
    thread.runtime.block_on(async {
        let address = member.parse().expect("an address");
        let mut member = Member::start_at(address).await;
        member.call().await.refuse(Rpc::failed_precondition("no such product"));
        let (register, _stream) = member.welcome(&topology(5, 1)).await;
        assert_eq!(register.epoch, 3);
        proxy.receives(5).await;
    });
}

#[test]
fn a_proxy_without_group_and_saved_topology_begins_with_every_slot_offline() {
    let mut thread = thread();
    let mut proxy = thread.runtime.block_on(async { Proxy::start(&[&nobody()], None) });
    let begun = serves(thread.first_topology(&mut proxy.link, SHORT, pending()));
    assert_eq!(*begun, Topology::offline());
}

#[test]
fn a_proxy_that_is_refused_does_not_begin() {
    let mut thread = thread();
    let mut proxy = thread.runtime.block_on(async {
        let mut member = Member::start().await;
        let proxy = Proxy::start(&[&member.address], Some(saved(topology(3, 1))));
        tokio::spawn(async move {
            member.call().await.refuse(Rpc::unauthenticated("the token is wrong"));
            pending::<()>().await;
        });
        proxy
    });
    let begin = thread.first_topology(&mut proxy.link, LONG, pending());
    let Begin::Refused(reason) = begin else { panic!("it begins: {begin:?}") };
    assert!(reason.contains("the token is wrong"), "{reason}");
}

#[test]
fn a_proxy_whose_member_inside_fails_does_not_begin() {
    let mut thread = thread();
    let mut proxy = thread.runtime.block_on(async { Proxy::start(&[&nobody()], None) });
    let failed = std::future::ready("its log is damaged".to_string());
    let begin = thread.first_topology(&mut proxy.link, LONG, failed);
    assert_eq!(begin, Begin::Refused("its log is damaged".into()));
}

#[test]
fn a_signal_ends_the_wait_and_a_hangup_does_not() {
    let mut thread = thread();
    let mut proxy = thread.runtime.block_on(async { Proxy::start(&[&nobody()], None) });
    for signal in [Signal::Reopen, Signal::End] {
        thread.sender.send(signal).expect("it is heard");
    }
    assert_eq!(thread.first_topology(&mut proxy.link, LONG, pending()), Begin::End);
    assert_eq!(
        thread.signals.try_recv(),
        Ok(Signal::Reopen),
        "the control plane opens the log anew"
    );
}
