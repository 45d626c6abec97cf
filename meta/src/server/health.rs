//! The standard health service, and the one sentence that it stands on.

use std::time::Duration;

use codis_proto::admin::v1::admin_server::AdminServer;
use tokio::time::interval;
use tonic::server::NamedService as _;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::admin::AdminService;
use super::serving::Services;

/// The services whose health is told: the whole port, and the operators'.
const NAMES: [&str; 2] = ["", AdminServer::<AdminService>::NAME];

/// How often a look is taken. The member's standing changes with every entry of the log, so waiting for a change of it
/// would cost more.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Why this member cannot serve, if it cannot: it takes no part in the group, or knows no leader.
pub(super) fn complaint(services: &Services) -> Result<(), String> {
    let serving = services.begun().map_err(|status| status.message().to_owned())?;
    let standing = serving.node.standing();
    let standing = standing.borrow();
    if let Some(fault) = &standing.fault {
        return Err(format!("this member takes no part in the group: {fault}"));
    }
    if standing.removed {
        return Err("this member was removed from the group: stop it".to_owned());
    }
    if standing.leader == 0 {
        return Err("no leader is known: an election is under way, or a majority of the members is out of reach"
            .to_owned());
    }
    Ok(())
}

/// Tells the health service how this member is, for as long as it is served.
pub(super) async fn report(services: Services, reporter: HealthReporter) {
    let mut told = None;
    let mut look = interval(LOOK_INTERVAL);
    loop {
        let status = match complaint(&services) {
            Ok(()) => ServingStatus::Serving,
            Err(_) => ServingStatus::NotServing,
        };
        if told != Some(status) {
            for name in NAMES {
                reporter.set_service_status(name, status).await;
            }
            told = Some(status);
        }
        look.tick().await;
    }
}
