//! `slots ...`, and what other commands that move slots share with it.

use super::{Consent, Wait};
use clap::{Args, Subcommand, ValueEnum};
use codis_proto::admin::v1 as api;

/// Slots, the first and the last included.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Range {
    /// The first slot, 0 to 1023
    #[arg(long)]
    pub(crate) beg: u32,
    /// The last slot, 0 to 1023
    #[arg(long)]
    pub(crate) end: u32,
}

/// The slots that move, and where to.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Which {
    /// The first slot, 0 to 1023; slots that are on the group already are passed over
    #[arg(
        long,
        requires_all = ["end", "gid"],
        required_unless_present = "from_gid",
        conflicts_with_all = ["from_gid", "to_gid", "count"]
    )]
    pub(crate) beg: Option<u32>,
    /// The last slot, 0 to 1023
    #[arg(long, requires = "beg")]
    pub(crate) end: Option<u32>,
    /// The group that they go to
    #[arg(long, requires = "beg")]
    pub(crate) gid: Option<u32>,
    /// Or: a group that gives slots away, the lowest of those that do not move already
    #[arg(long, value_name = "GID", requires_all = ["to_gid", "count"])]
    pub(crate) from_gid: Option<u32>,
    /// The group that gets them
    #[arg(long, value_name = "GID", requires = "from_gid")]
    pub(crate) to_gid: Option<u32>,
    /// How many at most
    #[arg(long, requires = "from_gid", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) count: Option<u32>,
}

/// Staying until moves are over.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Follow {
    /// Stay until the slots have moved, and show how far they are
    #[arg(long)]
    pub(crate) wait: bool,
}

/// What groups should have an even part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// Slots
    Slots,
    /// Bytes of memory; walks all keys of every master
    Bytes,
    /// Keys; walks all keys of every master
    Keys,
}

impl From<By> for api::rebalance_request::By {
    fn from(by: By) -> Self {
        match by {
            By::Slots => Self::Slots,
            By::Bytes => Self::Bytes,
            By::Keys => Self::Keys,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum SlotsCommand {
    /// List which group has which slots
    #[command(after_help = "Example:\n  codis-admin slots list")]
    List,
    /// Give slots that are offline to a group
    #[command(after_help = "Example:\n  codis-admin slots assign --beg 0 --end 511 --gid 1")]
    Assign {
        #[command(flatten)]
        range: Range,
        /// The group's number
        #[arg(long)]
        gid: u32,
        #[command(flatten)]
        wait: Wait,
    },
    /// Take slots offline: their keys stay on their servers, out of reach
    #[command(after_help = "Example:\n  codis-admin slots offline --beg 0 --end 511 --confirm")]
    Offline {
        #[command(flatten)]
        range: Range,
        #[command(flatten)]
        consent: Consent,
        #[command(flatten)]
        wait: Wait,
    },
    /// Move slots with their keys to another group, while clients use them
    #[command(after_help = "Examples:
  codis-admin slots migrate --beg 0 --end 511 --gid 2
  codis-admin slots migrate --from-gid 1 --to-gid 2 --count 100 --wait

The moves are queued and go on without this command. See `codis-admin slots status`.")]
    Migrate {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        follow: Follow,
    },
    /// Plan the fewest moves that even the groups out, show them, and make them
    #[command(after_help = "Examples:
  codis-admin slots rebalance                          # shows the plan, and asks
  codis-admin slots rebalance --by bytes --confirm --wait

Without a terminal and without --confirm the plan is shown and nothing moves.")]
    Rebalance {
        /// What the groups should have an even part of
        #[arg(long, value_enum, default_value_t = By::Slots)]
        by: By,
        #[command(flatten)]
        consent: Consent,
        #[command(flatten)]
        follow: Follow,
    },
    /// Forget moves that have not begun to move keys
    #[command(after_help = "Example:\n  codis-admin slots cancel --beg 0 --end 1023")]
    Cancel {
        #[command(flatten)]
        range: Range,
    },
    /// Let no further slot begin to move, and the keys of those that move rest
    #[command(after_help = "Example:\n  codis-admin slots pause")]
    Pause,
    /// Let slots move again
    #[command(after_help = "Example:\n  codis-admin slots resume")]
    Resume,
    /// Show the slots that move or wait to, how fast they go and what is in their way
    #[command(after_help = "Examples:
  codis-admin slots status
  codis-admin --json slots status | jq '.moves | length'")]
    Status,
}
