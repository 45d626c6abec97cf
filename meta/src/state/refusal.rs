//! Refusals: the code that a program decides by, and the sentence that tells a person what to do.

use codis_proto::meta::v1::RefusalCode as Code;

/// Why a command changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind of rule stands against it.
    pub code: Code,
    /// What failed, on what, and what to do.
    pub message: String,
}

impl Refusal {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The error of a rule that does not hold.
    pub(super) fn unless(
        holds: bool,
        code: Code,
        message: impl FnOnce() -> String,
    ) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::new(code, message())) }
    }
}

/// One code, for the documentation.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The code.
    pub code: Code,
    /// When it is given.
    pub when: &'static str,
    /// What the operator, or the program, does about it.
    pub remedy: &'static str,
}

const fn rule(code: Code, when: &'static str, remedy: &'static str) -> Rule {
    Rule { code, when, remedy }
}

/// Every code but `UNSPECIFIED`, in the order of their numbers.
pub const RULES: [Rule; 36] = [
    rule(
        Code::Malformed,
        "the command cannot be read, or lacks a field",
        "report it: a program is at fault",
    ),
    rule(
        Code::UnsupportedVersion,
        "the command is of a newer version than the group agreed on",
        "upgrade every member first",
    ),
    rule(
        Code::RequestReused,
        "the request id was used for a different change",
        "draw a new id for each change",
    ),
    rule(
        Code::EpochConflict,
        "the topology has changed since the sender looked",
        "look again, then decide again",
    ),
    rule(
        Code::NoProduct,
        "no product has been created yet",
        "try again: a member creates it by itself",
    ),
    rule(
        Code::ProductMismatch,
        "the group keeps another product",
        "correct the address or the product's name",
    ),
    rule(
        Code::InvalidValue,
        "a number, name, address or text is not one that can be",
        "correct it as the message says",
    ),
    rule(
        Code::LimitReached,
        "a bound of the state is reached",
        "remove what is not needed, or wait as the message says",
    ),
    rule(Code::GroupExists, "a group with this id exists", "take another id"),
    rule(Code::GroupUnknown, "no group has this id", "list the groups; create it"),
    rule(
        Code::GroupInUse,
        "slots are on the group or move to it",
        "move its slots away, or cancel the actions",
    ),
    rule(
        Code::GroupNotEmpty,
        "a group that is to be removed has servers",
        "remove its servers, the master last",
    ),
    rule(Code::GroupEmpty, "slots are to go to a group without a server", "add a server to it"),
    rule(
        Code::AddressTaken,
        "the address is that of a server, a sentinel or a running proxy",
        "remove it there first",
    ),
    rule(Code::ServerUnknown, "no server of the group has this address", "list the groups"),
    rule(
        Code::ServerIsMaster,
        "the change needs a replica, or would leave a group without its master",
        "promote another server first",
    ),
    rule(
        Code::PromotionUnderWay,
        "the group's master is being changed",
        "wait for its end, or abort it",
    ),
    rule(
        Code::PromotionPhase,
        "no such promotion, or it is in another phase",
        "look at the group's state",
    ),
    rule(Code::SyncUnderWay, "a sync stands in the way", "wait for its end"),
    rule(Code::SyncPhase, "no such sync, or it is in another phase", "look at the group's state"),
    rule(
        Code::SlotOwned,
        "another group has the slot's keys",
        "move the slot, or take it offline and lose them",
    ),
    rule(Code::SlotOffline, "no group has the slot", "assign it"),
    rule(
        Code::SlotBusy,
        "the slot has an action, or a barrier is on its group",
        "wait for its end, or cancel it",
    ),
    rule(
        Code::ActionPhase,
        "the slot has no such action, or it is in another phase",
        "look at the slot's state",
    ),
    rule(Code::ActionTarget, "the slot is on the target already", "name another target"),
    rule(Code::ActionsPaused, "slot actions are paused", "resume them"),
    rule(
        Code::BarrierOpen,
        "proxies have neither acknowledged nor been fenced",
        "wait, fence them, or roll back",
    ),
    rule(Code::ProxyUnknown, "no proxy has this token", "list the proxies; it must register"),
    rule(
        Code::ProxyProcess,
        "another process of this proxy has registered since",
        "register again",
    ),
    rule(Code::ProxyRunning, "the proxy may still serve clients", "stop it, or remove it by force"),
    rule(Code::ProxyTooOld, "the proxy speaks too old a version of the link", "upgrade the proxy"),
    rule(Code::SentinelUnknown, "no sentinel has this address", "list the sentinels"),
    rule(Code::SettingUnknown, "no setting has this name", "list the settings"),
    rule(
        Code::SettingInvalid,
        "the setting cannot have this value",
        "give one in the range that the message names",
    ),
    rule(Code::FenceEpoch, "a fence goes back, or ahead of the state", "take the state's epoch"),
    rule(
        Code::StateNotEmpty,
        "a backup is to be restored into a group that holds groups or proxies",
        "restore it into a new group",
    ),
];

/// The table of the rules as it stands in `docs/meta-state.md`.
#[must_use]
pub fn rules_table() -> String {
    let mut table = String::from("| Code | Given when | What to do |\n|---|---|---|\n");
    for Rule { code, when, remedy } in RULES {
        let name = code.as_str_name().trim_start_matches("REFUSAL_CODE_");
        table.push_str(&format!("| `{name}` | {when} | {remedy} |\n"));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_rule() {
        for (position, rule) in RULES.iter().enumerate() {
            assert_eq!(rule.code as usize, position + 1, "{}", rule.when);
        }
        assert!(Code::try_from(RULES.len() as i32 + 1).is_err(), "a code has no rule");
    }

    #[test]
    fn the_documentation_has_the_rules_as_they_are() {
        let docs = include_str!("../../../docs/meta-state.md");
        assert!(
            docs.contains(&rules_table()),
            "put this in docs/meta-state.md:\n{}",
            rules_table()
        );
    }
}
