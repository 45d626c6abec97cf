//! SCAN's cursor: a number that holds where the walk over all groups is, so that any proxy can go on with it.

/// How many low bits of an epoch a cursor has.
const EPOCH_BITS: u32 = 14;

/// How many bits say how far back a pass looks for changes.
const REACH_BITS: u32 = 4;

/// How many bits number the group.
const GROUP_BITS: u32 = 14;

/// How many bits of the server's own cursor there is room for: those of a table of two thousand million buckets.
const SERVER_BITS: u32 = 63 - EPOCH_BITS - REACH_BITS - GROUP_BITS;

/// The reach of a pass that visits all groups though it is not the first.
const EVERYTHING: u8 = 15;

/// How far another proxy's topology may be ahead of this one's.
const AHEAD_MAX: u64 = 1 << 10;

/// One walk over the groups: the first one visits all of them, later ones those that have keys which may have been missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pass {
    /// The topology's epoch when it began.
    pub(super) epoch: u64,
    /// 0: the first pass. From 1 to 14: it looks for slots that were busy after `epoch - 2^(reach-1)`.
    reach: u8,
}

impl Pass {
    /// The first one.
    pub(super) fn first(epoch: u64) -> Self {
        Self { epoch, reach: 0 }
    }

    /// One that follows a pass; `since` is when that one began, if all is known that happened after it.
    pub(super) fn after(epoch: u64, since: Option<u64>) -> Self {
        let reach = since.map_or(EVERYTHING, |since| {
            let distance = epoch.saturating_sub(since).max(1);
            let reach = 1 + distance.next_power_of_two().trailing_zeros();
            u8::try_from(reach).unwrap_or(EVERYTHING).min(EVERYTHING)
        });
        Self { epoch, reach }
    }

    /// It visits the groups of slots that were busy after this epoch; `None`: all groups.
    pub(super) fn since(self) -> Option<u64> {
        match self.reach {
            0 | EVERYTHING => None,
            reach => Some(self.epoch.saturating_sub(1 << (reach - 1))),
        }
    }
}

/// Where a SCAN goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) pass: Pass,
    /// The number of the group, never 0.
    pub(super) group: u16,
    /// The cursor of the group's master.
    pub(super) server: u64,
}

fn low(value: u64, bits: u32) -> u64 {
    value & ((1 << bits) - 1)
}

impl Cursor {
    /// As the client is given it: below 2^63, and small as long as the server's own one is, since some
    /// clients keep it in a floating point number. `None` where the server's does not fit.
    pub(super) fn encode(self) -> Option<u64> {
        if self.server >> SERVER_BITS != 0 {
            return None;
        }
        let mut value = self.server;
        value = value << EPOCH_BITS | low(self.pass.epoch, EPOCH_BITS);
        value = value << REACH_BITS | u64::from(self.pass.reach);
        Some(value << GROUP_BITS | low(u64::from(self.group), GROUP_BITS))
    }

    /// Reads what a client gives back, at this epoch. `None` for what no proxy has given it.
    pub(super) fn decode(value: u64, now: u64) -> Option<Self> {
        let group = low(value, GROUP_BITS) as u16;
        let value_of_pass = value >> GROUP_BITS;
        let reach = low(value_of_pass, REACH_BITS) as u8;
        let epoch = unwrapped(low(value_of_pass >> REACH_BITS, EPOCH_BITS), now);
        let server = value_of_pass >> REACH_BITS >> EPOCH_BITS;
        let valid = group != 0 && server >> SERVER_BITS == 0;
        valid.then_some(Self { pass: Pass { epoch, reach }, group, server })
    }
}

/// The epoch with these low bits that is nearest to the present one, which it may be a little ahead of.
fn unwrapped(bits: u64, now: u64) -> u64 {
    let period = 1 << EPOCH_BITS;
    let epoch = now - low(now, EPOCH_BITS) + bits;
    if epoch > now + AHEAD_MAX && epoch >= period {
        epoch - period
    } else if epoch + period <= now + AHEAD_MAX {
        epoch + period
    } else {
        epoch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_comes_back_as_it_was_given(
            epoch in 0_u64..1 << 40,
            later in 0_u64..(1 << 14) - AHEAD_MAX - 1,
            ahead in 0_u64..AHEAD_MAX,
            back in proptest::option::of(0_u64..1 << 15),
            group in 1_u16..1 << 14,
            server in 0_u64..1 << 31,
        ) {
            let pass = match back {
                None => Pass::first(epoch),
                Some(back) => Pass::after(epoch, epoch.checked_sub(back)),
            };
            let cursor = Cursor { pass, group, server };
            let value = cursor.encode().expect("it fits");
            prop_assert!(value > 0 && value < 1 << 63);
            prop_assert_eq!(Cursor::decode(value, epoch + later), Some(cursor));
            prop_assert_eq!(Cursor::decode(value, epoch.saturating_sub(ahead)), Some(cursor));
        }

        #[test]
        fn any_number_is_read_without_harm(value: u64, now in 0_u64..1 << 50) {
            if let Some(cursor) = Cursor::decode(value, now) {
                prop_assert!(cursor.group > 0);
                prop_assert_eq!(cursor.encode(), Some(value));
            }
        }

        #[test]
        fn a_later_pass_looks_back_at_least_as_far_as_the_one_before_began(
            since in 0_u64..1 << 30,
            distance in 0_u64..1 << 16,
        ) {
            let pass = Pass::after(since + distance, Some(since));
            prop_assert!(pass.reach > 0);
            prop_assert!(pass.since().is_none_or(|looks| looks <= since));
            prop_assert!(distance > 1 << 13 || pass.since().is_some());
        }
    }

    #[test]
    fn a_servers_cursor_that_has_no_room_is_told() {
        let cursor = |server| Cursor { pass: Pass::first(1), group: 1, server };
        assert!(cursor((1 << 31) - 1).encode().is_some());
        assert_eq!(cursor(1 << 31).encode(), None);
    }

    #[test]
    fn the_cursors_of_a_server_of_two_million_keys_are_exact_as_floating_point_numbers() {
        let pass = Pass::after(u64::MAX >> 20, None);
        let cursor = Cursor { pass, group: (1 << 14) - 1, server: (1 << 21) - 1 };
        assert!(cursor.encode().expect("it fits") < 1 << 53);
    }

    #[test]
    fn what_nobody_gave_out_is_no_cursor() {
        assert_eq!(Cursor::decode(0, 5), None);
        assert_eq!(Cursor::decode(1 << 14, 5), None);
        assert_eq!(Cursor::decode(u64::MAX, 5), None);
    }
}
