//! The members' own service. It is there before the member is: others ask it whether to found a group.

use codis_proto::member::v1::member_server::Member;
use codis_proto::member::v1::{Delivered, HelloReply, HelloRequest, Packet};
use tonic::{Request, Response, Status, Streaming};

use super::serving::{Services, stopping};

/// Hands each call to what answers it at the moment.
pub(super) struct Door {
    services: Services,
}

impl Door {
    pub(super) fn new(services: Services) -> Self {
        Self { services }
    }
}

#[tonic::async_trait]
impl Member for Door {
    async fn hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        self.services.member().hello(request).await
    }

    async fn deliver(
        &self,
        request: Request<Streaming<Packet>>,
    ) -> Result<Response<Delivered>, Status> {
        let member = self.services.member();
        tokio::select! {
            delivered = member.deliver(request) => delivered,
            () = self.services.stopped() => Err(stopping()),
        }
    }
}
