//! Calls that only the leader can answer go there, one hop at most.

use codis_proto::admin::v1::admin_client::AdminClient;
use tonic::metadata::MetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::ANSWER_BYTES_MAX;
use super::serving::Serving;
use crate::auth::Token;
use crate::raft::Refusal;

/// Marks a call that another member has passed on.
const FORWARDED_KEY: &str = "codis-forwarded";

/// A client of the member that leads.
pub(super) type Leader = AdminClient<InterceptedService<Channel, Token>>;

/// Where a call is answered.
pub(super) enum Route<T> {
    /// By this member.
    Here(Request<T>),
    /// By the leader.
    Leader(Box<Leader>, Request<T>),
}

/// Decides where a call that wants the leader is answered.
///
/// # Errors
/// `UNAVAILABLE`: there is no leader, or it cannot be reached.
pub(super) fn route<T>(serving: &Serving, mut request: Request<T>) -> Result<Route<T>, Status> {
    let (leader, leads) = {
        let standing = serving.node.standing();
        let standing = standing.borrow();
        (standing.leader, standing.leads)
    };
    if leads {
        return Ok(Route::Here(request));
    }
    // Members that believe in each other's leadership must not play ball with a call.
    if leader == 0 || request.metadata().contains_key(FORWARDED_KEY) {
        return Err(Refusal::NoLeader.into());
    }
    let client = client(serving, leader)?;
    request.metadata_mut().insert(FORWARDED_KEY, MetadataValue::from(serving.node.id()));
    Ok(Route::Leader(Box::new(client), request))
}

fn client(serving: &Serving, leader: u64) -> Result<Leader, Status> {
    let channel = serving.peers.channel_of(leader).ok_or_else(|| {
        Status::unavailable(format!(
            "member {leader} leads, and this one does not know its address: try again, or ask that one"
        ))
    })?;
    let client = AdminClient::with_interceptor(channel, serving.peers.token().clone());
    Ok(client.max_decoding_message_size(ANSWER_BYTES_MAX))
}

/// The error of a call to the leader. One without a code of its own is of the connection to it.
pub(super) fn failed(status: Status) -> Status {
    if status.code() != tonic::Code::Unknown {
        return status;
    }
    Status::unavailable(format!(
        "the connection to the leader broke before it answered ({}): look whether it was done, or repeat it with the \
         same request id",
        status.message()
    ))
}
