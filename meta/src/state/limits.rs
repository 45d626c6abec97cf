//! The upper bounds of the state. With all of them reached a snapshot still fits in memory easily; what a
//! large product really has is far below.

/// How many slots the key space is cut into.
pub const SLOT_COUNT: usize = 1024;
/// The greatest number that a group can have; the least is 1.
pub const GROUP_ID_MAX: u32 = 9999;
/// Servers in one group, the master included.
pub const GROUP_SERVERS_MAX: usize = 64;
/// Proxies, those that are leaving included.
pub const PROXIES_MAX: usize = 10_000;
/// Members that have ever begun.
pub const MEMBERS_SEEN_MAX: usize = 1024;
/// Sentinels.
pub const SENTINELS_MAX: usize = 64;
/// Bytes of an address.
pub const ADDRESS_BYTES_MAX: usize = 256;
/// Bytes of a product's name, a token, a data center.
pub const NAME_BYTES_MAX: usize = 128;
/// Bytes of a text that a proxy tells about itself, and of a setting.
pub const TEXT_BYTES_MAX: usize = 512;
/// Bytes that are kept of the reason of a failure; the rest is cut off.
pub const REASON_BYTES_MAX: usize = 512;
/// Accepted requests that are remembered.
pub const REMEMBERED_MAX: usize = 8192;
/// How long an accepted request is remembered, by the leaders' clocks.
pub const REMEMBERED_MS_MAX: u64 = 10 * 60 * 1000;
/// Bytes of a command. The longest is one that carries a backup.
pub const COMMAND_BYTES_MAX: usize = 8 << 20;

/// The version of the link between proxy and group that a proxy of this release speaks.
pub const PROTOCOL: u32 = 1;
/// The oldest version of it that is still understood.
pub const PROTOCOL_MIN: u32 = 1;

const _: () = assert!(PROTOCOL >= PROTOCOL_MIN, "a release understands itself");
