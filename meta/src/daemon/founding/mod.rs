//! Whether a member with an empty data directory founds its group, joins one, or must not begin.
//!
//! Nothing is written before that is known. A member that had a log once and lost it must not begin under its old id:
//! it would vote again on what it voted on before, and acknowledged entries would be lost. So it asks the other
//! members of its list, and begins only on an answer that can be relied on: one that a member gives with the state as
//! the whole group has it now, or those of all listed members together.

use std::collections::BTreeMap;
use std::time::Duration;

use codis_proto::member::v1::{HelloReply, HelloRequest};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;

use crate::raft::Founding;
use crate::state::State;
use crate::transport::{Dialer, reasons};

/// How long one member may take to answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(4);

/// How long to wait before all are asked again.
const ASK_PAUSE: Duration = Duration::from_millis(200);

/// How often the log says what is waited for.
const SAY_INTERVAL: Duration = Duration::from_secs(5);

/// Who would found the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Founders {
    /// The product that the group would keep.
    pub product: String,
    /// This member's id.
    pub me: u64,
    /// All founding members with their addresses, this one among them.
    pub members: BTreeMap<u64, String>,
    /// The group that they would found.
    pub group: u64,
}

/// How a member begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// As a founding member.
    Found,
    /// As one that receives its state from a group that exists.
    Join {
        /// The group.
        group: u64,
        /// Whether the group has it as a member already.
        is_member: bool,
    },
}

/// What follows from the answers of the other members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may begin.
    Begin(Beginning),
    /// It must never begin like this.
    Refuse(String),
    /// It has to ask again; what it waits for, a sentence each.
    Wait(Vec<String>),
}

/// A member's answer, or why there is none.
pub type Answer = Result<HelloReply, String>;

impl Founders {
    /// The founders by a member's configuration. Without a list the member is a group by itself, with an id that is
    /// drawn at random.
    #[must_use]
    pub fn new(product: &str, own: (u64, String), listed: BTreeMap<u64, String>) -> Self {
        let (me, address) = own;
        let (product, alone) = (product.to_owned(), listed.is_empty());
        if alone {
            let members = BTreeMap::from([(me, address)]);
            return Self { product, me, members, group: fastrand::u64(1..) };
        }
        let group = group_id(&product, &listed);
        Self { product, me, members: listed, group }
    }

    /// The state that every founding member begins with.
    #[must_use]
    pub fn founding(&self) -> Founding {
        Founding { members: self.members.clone(), snapshot: State::new().snapshot() }
    }

    fn others(&self) -> impl Iterator<Item = (u64, &String)> {
        let others = self.members.iter().filter(|(id, _)| **id != self.me);
        others.map(|(id, address)| (*id, address))
    }
}

/// The group's id, the same on all members that have the same list and product.
fn group_id(product: &str, members: &BTreeMap<u64, String>) -> u64 {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    add(product);
    for (id, address) in members {
        add(&format!("{id}@{address}"));
    }
    let digest = hash.finalize();
    let (first, _) = digest.split_first_chunk().expect("a SHA-256 has 32 bytes");
    // No group has id 0.
    u64::from_le_bytes(*first).max(1)
}

/// What follows from the answers of all other founders.
#[must_use]
pub fn decide(founders: &Founders, answers: &BTreeMap<u64, Answer>) -> Verdict {
    let mut begun: Vec<&HelloReply> = Vec::new();
    let mut waits = Vec::new();
    for (id, address) in founders.others() {
        let named = format!("member {id} at {address}");
        match answers.get(&id) {
            None => waits.push(format!("{named} does not answer")),
            Some(Err(reason)) => waits.push(format!("{named} does not answer: {reason}")),
            Some(Ok(reply)) => match judge(founders, &named, id, reply) {
                Judged::Refuse(reason) => return Verdict::Refuse(reason),
                Judged::Differs(reason) => waits.push(reason),
                Judged::Waits => {}
                Judged::Begun => begun.push(reply),
            },
        }
    }
    if begun.iter().any(|reply| reply.group != begun[0].group) {
        waits.push("members of more than one group are in the list: correct it".to_owned());
    } else if let Some(reply) = begun.iter().find(|reply| reply.fresh) {
        return Verdict::Begin(as_known(founders, reply));
    } else if begun.iter().any(|reply| reply.group != founders.group || !reply.is_member) {
        waits.push("the group that this member is to join has no leader".to_owned());
    }
    if waits.is_empty() { Verdict::Begin(Beginning::Found) } else { Verdict::Wait(waits) }
}

/// What one answer alone says.
enum Judged {
    /// This member must not begin.
    Refuse(String),
    /// It is not one of the same group-to-be.
    Differs(String),
    /// It waits like this one.
    Waits,
    /// It has a log.
    Begun,
}

fn judge(founders: &Founders, named: &str, id: u64, reply: &HelloReply) -> Judged {
    let (product, me) = (&founders.product, founders.me);
    if reply.id != id {
        return Judged::Differs(format!(
            "{named} says that it is member {}: correct members in the configuration of one of them",
            reply.id
        ));
    }
    if reply.begun && reply.product != *product {
        return Judged::Refuse(format!(
            "{named} keeps product {:?}, this one is to keep {product:?}: correct product_name or members",
            reply.product
        ));
    }
    if reply.knows_you {
        return Judged::Refuse(format!(
            "member {me} was in the group before and its data directory is empty now: it lost its log, and could \
             make the group forget what it has acknowledged. Put its data directory back, or remove it \
             (codis-admin meta remove --id {me}) and add it again under a new id"
        ));
    }
    match reply {
        HelloReply { begun: true, .. } => Judged::Begun,
        HelloReply { product: theirs, .. } if theirs != product => Judged::Differs(format!(
            "{named} is to keep product {theirs:?}, this one {product:?}: correct product_name of one of them"
        )),
        HelloReply { group, .. } if *group != founders.group => Judged::Differs(format!(
            "{named} has another list of members: give the same one to all that found a group"
        )),
        _ => Judged::Waits,
    }
}

/// How to begin in a group that knows all that it should of this member, which is that it never began.
fn as_known(founders: &Founders, reply: &HelloReply) -> Beginning {
    if reply.group == founders.group && reply.is_member {
        return Beginning::Found;
    }
    Beginning::Join { group: reply.group, is_member: reply.is_member }
}

/// Asks the others until it is known how to begin. `say` is told what is waited for.
///
/// # Errors
/// Why this member must not begin, a sentence for the operator.
pub async fn settle(
    founders: &Founders,
    dialer: &Dialer,
    say: impl Fn(&str),
) -> Result<Beginning, String> {
    if founders.others().next().is_none() {
        return Ok(Beginning::Found);
    }
    let mut say_at = Instant::now() + SAY_INTERVAL;
    loop {
        match decide(founders, &ask_all(founders, dialer).await) {
            Verdict::Begin(beginning) => return Ok(beginning),
            Verdict::Refuse(reason) => return Err(reason),
            Verdict::Wait(waits) => {
                let waits = waits.join("; ");
                say(&waits);
                if Instant::now() >= say_at {
                    tracing::warn!("waiting to begin: {waits}");
                    say_at = Instant::now() + SAY_INTERVAL;
                }
            }
        }
        sleep(ASK_PAUSE).await;
    }
}

/// Asks all others at the same time.
async fn ask_all(founders: &Founders, dialer: &Dialer) -> BTreeMap<u64, Answer> {
    let mut asked = JoinSet::new();
    for (id, address) in founders.others() {
        let (address, dialer) = (address.clone(), dialer.clone());
        let request = HelloRequest {
            product: founders.product.clone(),
            id: founders.me,
            group: founders.group,
        };
        asked.spawn(async move {
            let answer = timeout(ASK_TIMEOUT, ask(&address, &dialer, request)).await;
            (id, answer.unwrap_or_else(|_elapsed| Err("it takes too long".to_owned())))
        });
    }
    let mut answers = BTreeMap::new();
    while let Some(joined) = asked.join_next().await {
        if let Ok((id, answer)) = joined {
            answers.insert(id, answer);
        }
    }
    answers
}

async fn ask(address: &str, dialer: &Dialer, request: HelloRequest) -> Answer {
    let mut client = dialer.connect(address).await.map_err(|error| reasons(&error))?;
    match client.hello(request).await {
        Ok(reply) => Ok(reply.into_inner()),
        Err(status) if status.code() == Code::Unauthenticated => Err(format!(
            "it has another product_auth ({}): correct it in the configuration of one of them",
            status.message()
        )),
        Err(status) => Err(status.message().to_owned()),
    }
}

#[cfg(test)]
mod tests;
