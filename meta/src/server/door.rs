//! The members' own service, as it is added to the port.

use codis_proto::member::v1::member_server::Member;
use codis_proto::member::v1::{Delivered, HelloReply, HelloRequest, Packet};
use tonic::{Request, Response, Status, Streaming};

use super::serving::{Services, stopping};
use crate::transport::MemberService;

/// The transport's service, whose streams end when the port is about to be closed: peers keep theirs open for as long as they
/// can, and the port would wait for them.
pub(super) struct Door {
    member: MemberService,
    services: Services,
}

impl Door {
    pub(super) fn new(services: Services) -> Self {
        Self { member: services.member(), services }
    }
}

#[tonic::async_trait]
impl Member for Door {
    async fn hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        self.member.hello(request).await
    }

    async fn deliver(
        &self,
        request: Request<Streaming<Packet>>,
    ) -> Result<Response<Delivered>, Status> {
        tokio::select! {
            delivered = self.member.deliver(request) => delivered,
            () = self.services.stopped() => Err(stopping()),
        }
    }
}
