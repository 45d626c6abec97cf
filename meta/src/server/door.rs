//! The members' own service, as it is added to the port.

use codis_proto::member::v1::member_server::Member;
use codis_proto::member::v1::{Delivered, HelloReply, HelloRequest, Packet};
use tonic::{Request, Response, Status, Streaming};

use super::serving::{Services, stopping};

/// The service `M`, whose streams end when the port is about to be closed: peers keep theirs open for as long as they
/// can, and the port would wait for them.
pub(super) struct Door<M> {
    member: M,
    services: Services,
}

impl<M: Member> Door<M> {
    pub(super) fn new(member: M, services: Services) -> Self {
        Self { member, services }
    }
}

#[tonic::async_trait]
impl<M: Member> Member for Door<M> {
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
