//! Which of a server's connections a session's requests take: by database, by protocol, and by CLIENT NO-TOUCH.
//!
//! A server answers in the protocol of the connection, so that sessions in RESP3 have connections of their own, made
//! when the first of them needs one. So have those whose requests are not to count as uses of their keys. What is common has a row of shortcuts from slot to connection.

use super::NO_INDEX;
use super::session::{Flags, Session};
use crate::resp::Protocol;
use crate::slots::SLOT_COUNT;

/// What the connections to a server are told apart by, besides the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) database: u16,
    pub(super) protocol: Protocol,
    /// Requests do not count as uses of their keys: CLIENT NO-TOUCH is on.
    pub(super) no_touch: bool,
    /// The session whose own connections these are, because it tracks; or none.
    pub(super) tracker: u32,
}

/// A session's row of shortcuts: where it begins in the table of all, or a number past the table's end
/// where the session has none. So one comparison answers whether there is a shortcut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row(pub(super) u16);

impl Row {
    /// How many there are: database 0 in each protocol.
    pub(super) const COUNT: usize = 2;

    /// No row: each request is routed anew.
    pub(super) const NONE: Self = Self((Self::COUNT * SLOT_COUNT) as u16);
}

impl Lane {
    /// How many tables of shared connections a server has, see [`Lane::table`].
    pub(super) const TABLES: usize = 4;

    /// That of the proxy's own requests: answers in RESP2.
    pub(super) fn own(database: u16) -> Self {
        Self { database, protocol: Protocol::Resp2, no_touch: false, tracker: NO_INDEX }
    }

    /// Which of a server's tables of shared connections has the lane's.
    #[inline]
    pub(super) fn table(self) -> usize {
        self.protocol as usize + 2 * usize::from(self.no_touch)
    }

    /// The row of shortcuts of all sessions that have this lane.
    #[inline]
    pub(super) fn row(self) -> Row {
        match self {
            Self { database: 0, protocol, no_touch: false, tracker: NO_INDEX } => {
                Row(protocol as u16 * SLOT_COUNT as u16)
            }
            _ => Row::NONE,
        }
    }
}

impl Session {
    #[inline]
    pub(super) fn lane(&self) -> Lane {
        let tracking = self.own.as_ref().and_then(|own| own.tracking.as_ref());
        let tracking = tracking.filter(|_| self.protocol == Protocol::Resp3);
        Lane {
            database: self.database,
            protocol: self.protocol,
            no_touch: self.flags.has(Flags::NO_TOUCH),
            tracker: tracking.map_or(NO_INDEX, |tracking| tracking.session()),
        }
    }

    /// Takes another database.
    pub(super) fn select(&mut self, database: u16) {
        self.database = database;
        self.choose_row();
    }

    /// READONLY: reads may go to replicas from now on, also where the settings would not have it; READWRITE: they
    /// do not, also where the settings would. `None`: as the settings say.
    pub(super) fn read_from_replicas(&mut self, replicas: Option<bool>) {
        for (flag, set) in
            [(Flags::READS_REPLICAS, Some(true)), (Flags::READS_MASTERS, Some(false))]
        {
            self.flags.unset(flag);
            if replicas == set {
                self.flags.set(flag);
            }
        }
        self.choose_row();
    }

    /// Its lane may be another one. Shortcuts lead to masters.
    pub(super) fn choose_row(&mut self) {
        self.row = match self.flags.has(Flags::READS_REPLICAS) {
            true => Row::NONE,
            false => self.lane().row(),
        };
    }

    /// CLIENT NO-TOUCH: requests do not count as uses of their keys from now on; or do again.
    pub(super) fn leave_untouched(&mut self, on: bool) {
        if on {
            self.flags.set(Flags::NO_TOUCH);
        } else {
            self.flags.unset(Flags::NO_TOUCH);
        }
        self.choose_row();
    }

    /// Takes another protocol.
    pub(super) fn speak(&mut self, protocol: Protocol) {
        self.protocol = protocol;
        self.choose_row();
        self.note_hears_only();
    }
}
