//! The product's settings.

use codis_proto::admin::v1 as api;
use codis_proto::meta::v1 as pb;
use tonic::{Request, Status};

use crate::server::serving::Serving;
use crate::state::settings::{SPECS, Spec, text};

pub(super) async fn list(
    serving: &Serving,
    _: Request<api::GetSettingsRequest>,
) -> Result<api::Settings, Status> {
    let settings = |data: &pb::State| SPECS.iter().map(|spec| setting(data, spec)).collect();
    let settings = serving.node.read(move |state| settings(state.data())).await?;
    Ok(api::Settings { settings })
}

fn setting(data: &pb::State, spec: &Spec) -> api::Setting {
    api::Setting {
        name: spec.name.to_owned(),
        value: text(data, spec.setting).to_owned(),
        default: spec.default.to_owned(),
        values: spec.values.describe(),
        about: spec.about.to_owned(),
    }
}
