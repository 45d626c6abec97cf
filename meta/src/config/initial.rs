//! Settings of the product as a file gives them: what a new product starts with.

use super::MetaConfig;
use crate::state::settings::{SPECS, Setting, Spec, Values};
use codis_service::config::{self, ByteSize, Period, Written};
use std::collections::BTreeMap;

/// One setting of the product, in its canonical spelling. What it can be is the state's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initial {
    setting: Setting,
    value: String,
}

impl Initial {
    /// The setting with its default.
    #[must_use]
    pub fn of(setting: Setting) -> Self {
        Self { setting, value: SPECS[setting as usize].default.into() }
    }

    /// The value, as the state spells it.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    fn spec(&self) -> &'static Spec {
        &SPECS[self.setting as usize]
    }
}

impl config::Setting for Initial {
    fn take(&mut self, given: &Written) -> Result<(), String> {
        let spec = self.spec();
        let wanted = || format!("wants {}, not {}", spec.values.describe(), given.kind());
        let text = match (given, spec.values) {
            // Files may say "32m" and "1.5s", which the state does not spell so.
            (Written::Text(_) | Written::Integer(_) | Written::Float(_), Values::Size(..)) => {
                let size: ByteSize = given.plain().parse().map_err(|error| format!("{error}"))?;
                size.0.to_string()
            }
            (Written::Text(_) | Written::Integer(_) | Written::Float(_), Values::Time(..)) => {
                let period: Period = given.plain().parse().map_err(|error| format!("{error}"))?;
                format!("{}us", period.0.as_micros())
            }
            (Written::Integer(_), Values::Number(..))
            | (Written::Truth(_), Values::Flag)
            | (Written::Text(_), Values::Choice(_) | Values::Text) => given.plain(),
            _ => return Err(wanted()),
        };
        self.value = spec.values.canonical(&text).ok_or_else(|| {
            format!("{given} is not possible: it must be {}", spec.values.describe())
        })?;
        Ok(())
    }

    fn written(&self) -> Written {
        let text = || Written::Text(self.value.clone());
        match self.spec().values {
            Values::Number(..) => self.value.parse().map_or_else(|_| text(), Written::Integer),
            Values::Flag => Written::Truth(self.value == "true"),
            Values::Size(..) | Values::Time(..) | Values::Choice(_) | Values::Text => text(),
        }
    }
}

impl MetaConfig {
    /// The settings of the product that differ from their defaults, for the state of a new product.
    #[must_use]
    pub fn initial_settings(&self) -> BTreeMap<String, String> {
        let all = [
            &self.migration_method,
            &self.migration_parallel_slots,
            &self.migration_async_maxbulks,
            &self.migration_async_maxbytes,
            &self.migration_async_numkeys,
            &self.migration_timeout,
            &self.sentinel_client_timeout,
            &self.sentinel_quorum,
            &self.sentinel_parallel_syncs,
            &self.sentinel_down_after,
            &self.sentinel_failover_timeout,
            &self.sentinel_notification_script,
            &self.sentinel_client_reconfig_script,
        ];
        let differing = all.into_iter().filter(|initial| initial.value != initial.spec().default);
        differing.map(|initial| (initial.spec().name.to_owned(), initial.value.clone())).collect()
    }
}
