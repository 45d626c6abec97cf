//! The yes-or-no facts of a session.

/// Yes-or-no facts of a session, as bits: there are many sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Flags(u32);

impl Flags {
    /// May run commands.
    pub(super) const AUTHENTICATED: Self = Self(1);
    /// The client has sent its last byte.
    pub(super) const EOF: Self = Self(1 << 1);
    /// No more requests are read; closed when all replies are out.
    pub(super) const CLOSING: Self = Self(1 << 2);
    /// The connection is being closed at once; replies are dropped.
    pub(super) const DEAD: Self = Self(1 << 3);
    /// The driver has closed the connection; the session stays until nothing in flight names it.
    pub(super) const GONE: Self = Self(1 << 4);
    /// The driver was told to stop reading.
    pub(super) const PAUSED: Self = Self(1 << 5);
    /// In the list of sessions with output.
    pub(super) const DIRTY: Self = Self(1 << 6);
    /// In the list of sessions to go on with.
    pub(super) const RESUMABLE: Self = Self(1 << 7);
    /// CLIENT REPLY OFF.
    pub(super) const REPLY_OFF: Self = Self(1 << 8);
    /// CLIENT REPLY SKIP was just said: the next request gets no reply.
    pub(super) const REPLY_SKIP: Self = Self(1 << 9);
    /// It asked CLIENT KILL and has no answer yet.
    pub(super) const KILLS: Self = Self(1 << 11);
    /// CLIENT NO-EVICT ON.
    pub(super) const NO_EVICT: Self = Self(1 << 10);
    /// What waited in its input is being run.
    pub(super) const RUNNING: Self = Self(1 << 12);
    /// Requests are queued: MULTI was said.
    pub(super) const MULTI: Self = Self(1 << 13);
    /// A part of the reply to the oldest request is out, and the rest has yet to come.
    pub(super) const HALF_OUT: Self = Self(1 << 14);
    /// Subscribed, and in RESP2, where a reply could not be told from a message.
    pub(super) const HEARS_ONLY: Self = Self(1 << 15);
    /// Somebody monitors: its requests are shown.
    pub(super) const WATCHED: Self = Self(1 << 16);
    /// It monitors, or has asked to.
    pub(super) const MONITOR: Self = Self(1 << 17);
    /// CLIENT NO-TOUCH ON.
    pub(super) const NO_TOUCH: Self = Self(1 << 23);

    /// CLIENT CACHING was said, which is about the next request.
    pub(super) const CACHING: Self = Self(1 << 22);
    /// Its user may not do everything.
    pub(super) const RESTRICTED: Self = Self(1 << 18);

    /// Clients are paused: its requests may have to wait.
    pub(super) const HELD: Self = Self(1 << 19);
    /// READONLY: its reads may go to replicas, whatever the settings say.
    pub(super) const READS_REPLICAS: Self = Self(1 << 20);
    /// READWRITE: its reads go to masters, whatever the settings say.
    pub(super) const READS_MASTERS: Self = Self(1 << 21);

    /// Any of these, and a request is looked at before it is routed.
    const SPECIAL: Self = Self(
        Self::MULTI.0
            | Self::HEARS_ONLY.0
            | Self::WATCHED.0
            | Self::MONITOR.0
            | Self::RESTRICTED.0
            | Self::HELD.0
            | Self::CACHING.0,
    );

    /// Whether the session's requests go where they go by themselves.
    #[inline(always)]
    pub(super) fn are_ordinary(self) -> bool {
        self.0 & (Self::AUTHENTICATED.0 | Self::SPECIAL.0) == Self::AUTHENTICATED.0
    }

    #[inline]
    pub(super) fn has(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }

    #[inline]
    pub(super) fn set(&mut self, flag: Self) {
        self.0 |= flag.0;
    }

    #[inline]
    pub(super) fn unset(&mut self, flag: Self) {
        self.0 &= !flag.0;
    }

    /// Sets the flag; answers whether it was unset before.
    #[inline]
    pub(super) fn raise(&mut self, flag: Self) -> bool {
        let fresh = self.0 & flag.0 == 0;
        self.0 |= flag.0;
        fresh
    }
}

impl std::ops::BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_flags_share_a_bit() {
        let all = [
            Flags::AUTHENTICATED,
            Flags::EOF,
            Flags::CLOSING,
            Flags::DEAD,
            Flags::GONE,
            Flags::PAUSED,
            Flags::DIRTY,
            Flags::RESUMABLE,
            Flags::REPLY_OFF,
            Flags::REPLY_SKIP,
            Flags::KILLS,
            Flags::NO_EVICT,
            Flags::NO_TOUCH,
            Flags::RUNNING,
            Flags::MULTI,
            Flags::HALF_OUT,
            Flags::HEARS_ONLY,
            Flags::WATCHED,
            Flags::MONITOR,
            Flags::CACHING,
            Flags::RESTRICTED,
            Flags::HELD,
            Flags::READS_REPLICAS,
            Flags::READS_MASTERS,
        ];
        let together = all.iter().fold(0, |bits, flag| bits | flag.0);
        assert_eq!(together.count_ones() as usize, all.len());
    }
}
