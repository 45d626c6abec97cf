//! What a member does by itself from its start on, beside what its group drives.

use std::time::Duration;

use codis_proto::meta::v1 as pb;
use pb::RefusalCode as Code;
use pb::command::Change;
use tokio::time::{Instant, sleep, timeout};

use super::plan::Plan;
use crate::node::{ChangeError, Gone, Node, Standing, unix_ms};
use crate::state::Refusal;

/// How long one attempt may take, and the pause before the next.
const ATTEMPT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(200);

/// Sees to it that the group has a product, and that it is this member's; then says that the member has begun, and
/// watches over it. Ends with the reason for which the process has to.
pub(super) async fn attend(plan: &Plan, node: &Node) -> String {
    match begin(plan, node).await {
        Ok(()) => {}
        Err(Trouble::Fatal(reason)) => return reason,
        Err(Trouble::Gone(_)) => return Gone.to_string(),
    }
    // Its thread ends only with the process, unless it has met what it was not made for.
    let mut standing = node.standing();
    while standing.changed().await.is_ok() {}
    "the member's thread has ended: see the log before this line, and restart the process"
        .to_owned()
}

/// Why a member cannot go on.
enum Trouble {
    Fatal(String),
    Gone(Gone),
}

impl From<Gone> for Trouble {
    fn from(gone: Gone) -> Self {
        Trouble::Gone(gone)
    }
}

async fn begin(plan: &Plan, node: &Node) -> Result<(), Trouble> {
    let mut standing = node.standing();
    loop {
        let product = node.peek(|state| state.data().product.clone()).await?;
        if product == plan.product {
            break;
        }
        if !product.is_empty() {
            return Err(Trouble::Fatal(format!(
                "the group keeps product {product:?}, this member is configured for {:?}: correct product_name, or \
                 the member's data_dir",
                plan.product
            )));
        }
        let leads = standing.borrow_and_update().leads;
        if leads {
            create_product(plan, node).await?;
        }
        // Whatever happens is looked at; where nothing does, the attempt is made again.
        let _ = timeout(PAUSE, standing.changed()).await;
    }
    say_started(node).await;
    Ok(())
}

/// Creates the product, with its first settings. Whether that was done shows in the state.
async fn create_product(plan: &Plan, node: &Node) -> Result<(), Trouble> {
    let change = Change::ProductCreate(pb::ProductCreate {
        name: plan.product.clone(),
        cluster: fastrand::u64(1..),
        settings: plan.settings.clone(),
    });
    match node.change(None, 0, change, Instant::now() + ATTEMPT).await {
        Ok(_) => tracing::info!("product {:?} was created", plan.product),
        // A leader before this one did it, or did it otherwise: the state says.
        Err(ChangeError::Refused(Refusal { code: Code::ProductMismatch, .. })) => {}
        Err(ChangeError::Refused(refusal)) => return Err(Trouble::Fatal(refusal.message)),
        Err(error) => tracing::warn!("product {:?} was not created: {error}", plan.product),
    }
    Ok(())
}

/// Has the group remember that this member has begun, so that it is found out if it loses its log.
async fn say_started(node: &Node) {
    let change = pb::MemberStarted {
        id: node.id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        start_unix_ms: unix_ms(),
    };
    loop {
        let mut standing = node.standing();
        let led = |standing: &Standing| standing.leader != 0;
        if standing.wait_for(led).await.is_err() {
            return;
        }
        let change = Change::MemberStarted(change.clone());
        match node.change(None, 0, change, Instant::now() + ATTEMPT).await {
            Ok(_) => return,
            Err(ChangeError::Refused(Refusal { code: Code::LimitReached, message })) => {
                return tracing::error!("this member is not remembered: {message}");
            }
            Err(ChangeError::Gone(_)) => return,
            Err(error) => tracing::debug!("this member is not remembered yet: {error}"),
        }
        sleep(PAUSE).await;
    }
}
