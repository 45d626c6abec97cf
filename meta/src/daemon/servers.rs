//! The driver, as the port's calls use it.

use std::collections::BTreeMap;
use std::sync::Arc;

use codis_proto::admin::v1::{self as api, ServerFacts};

use crate::drive::{DriveHandle, SlotWeight};
use crate::server::Servers;

#[tonic::async_trait]
impl Servers for DriveHandle {
    async fn check_new_server(&self, gid: u32, addr: &str) -> Result<Vec<String>, String> {
        DriveHandle::check_new_server(self, gid, addr).await
    }

    async fn prepare_master(&self, addr: &str) -> Result<(), String> {
        DriveHandle::prepare_master(self, addr).await
    }

    fn facts(&self) -> Arc<BTreeMap<String, ServerFacts>> {
        DriveHandle::facts(self)
    }

    fn moves(&self) -> api::Moves {
        DriveHandle::moves(self)
    }

    fn want(&self, database: u32, key: Vec<u8>) {
        DriveHandle::want(self, database, key);
    }

    async fn weigh(&self, addr: &str) -> Result<Vec<SlotWeight>, String> {
        DriveHandle::weigh(self, addr).await
    }

    fn troubles(&self) -> Vec<String> {
        DriveHandle::troubles(self)
    }
}
