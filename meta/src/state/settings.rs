//! Settings of the product: Codis's `migration_*` and `sentinel_*` keys and our own, with their ranges.
//!
//! The state holds those that differ from their defaults, each in one spelling.

use super::limits::TEXT_BYTES_MAX;
use super::refusal::Refusal;
use super::text as texts;
use codis_proto::meta::v1 as pb;
use pb::RefusalCode as Code;
use std::collections::BTreeMap;

/// A setting; its number is its place in [`SPECS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
#[allow(missing_docs, reason = "each is described in its row of SPECS")]
pub enum Setting {
    BarrierDeadline,
    MigrationMethod,
    MigrationParallelSlots,
    MigrationAsyncMaxbulks,
    MigrationAsyncMaxbytes,
    MigrationAsyncNumkeys,
    MigrationTimeout,
    MigrationInterval,
    MigrationDisabled,
    MigrationDurability,
    MigrationBatchTime,
    MigrationBigBytes,
    MigrationBigElements,
    SentinelClientTimeout,
    SentinelQuorum,
    SentinelParallelSyncs,
    SentinelDownAfter,
    SentinelFailoverTimeout,
    SentinelNotificationScript,
    SentinelClientReconfigScript,
}

/// What values a setting can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// A whole number from the first to the second.
    Number(u64, u64),
    /// Bytes: the least and the most.
    Size(u64, u64),
    /// Microseconds: the least and the most.
    Time(u64, u64),
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any text without control characters.
    Text,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// Which it is.
    pub setting: Setting,
    /// Its name, Codis's where Codis has it.
    pub name: &'static str,
    /// What it can be.
    pub values: Values,
    /// Its canonical spelling unless set.
    pub default: &'static str,
    /// What it does.
    pub about: &'static str,
}

const MS: u64 = 1_000;
const SECOND: u64 = 1_000 * MS;
const HOUR: u64 = 3_600 * SECOND;
const GB: u64 = 1 << 30;

macro_rules! specs {
    ($($setting:ident $name:literal $values:expr, $default:literal, $about:literal;)*) => {
        [$(Spec {
            setting: Setting::$setting, name: $name, values: $values, default: $default, about: $about,
        }),*]
    };
}

/// Every setting, by name within its family.
pub const SPECS: [Spec; 20] = specs! {
    BarrierDeadline "barrier_deadline" Values::Time(100 * MS, 60 * SECOND), "2s",
        "How long clients of a slot wait at a barrier before the change is rolled back";
    MigrationMethod "migration_method" Values::Choice(&["sync", "semi-async"]), "semi-async",
        "Taken for Codis's sake; keys always move in batches";
    MigrationParallelSlots "migration_parallel_slots" Values::Number(1, 1024), "1024",
        "How many slots may prepare or migrate at a time";
    MigrationAsyncMaxbulks "migration_async_maxbulks" Values::Number(1, 1_000_000), "200",
        "The most elements of a big key in one step";
    MigrationAsyncMaxbytes "migration_async_maxbytes" Values::Size(1, GB), "32mb",
        "The most bytes in one step";
    MigrationAsyncNumkeys "migration_async_numkeys" Values::Number(1, 1_000_000), "500",
        "The most keys in one step";
    MigrationTimeout "migration_timeout" Values::Time(MS, HOUR), "30s",
        "How long a client may wait for a big key that is moving";
    MigrationInterval "migration_interval" Values::Time(0, SECOND), "0s",
        "The pause between steps";
    MigrationDisabled "migration_disabled" Values::Flag, "false",
        "No further slot begins to move, and those that move are left to what clients ask for";
    MigrationDurability "migration_durability" Values::Choice(&["replica", "aof", "none"]), "replica",
        "Where a moved key must be before its old copy goes";
    MigrationBatchTime "migration_batch_time" Values::Time(MS / 10, SECOND), "225us",
        "How long a step keeps the source as a rule; the number of keys in one follows from it";
    MigrationBigBytes "migration_big_bytes" Values::Size(1 << 10, GB), "1mb",
        "A larger key moves in pieces";
    MigrationBigElements "migration_big_elements" Values::Number(100, 1_000_000_000), "10000",
        "A key of more elements moves in pieces";
    SentinelClientTimeout "sentinel_client_timeout" Values::Time(MS, HOUR), "10s",
        "How long a sentinel may take to answer";
    SentinelQuorum "sentinel_quorum" Values::Number(1, 1000), "2",
        "How many sentinels must find a master down";
    SentinelParallelSyncs "sentinel_parallel_syncs" Values::Number(1, 1000), "1",
        "How many replicas follow a new master at a time";
    SentinelDownAfter "sentinel_down_after" Values::Time(MS, 24 * HOUR), "30s",
        "How long a server must be silent to be down";
    SentinelFailoverTimeout "sentinel_failover_timeout" Values::Time(MS, 24 * HOUR), "5m",
        "How long a failover may take";
    SentinelNotificationScript "sentinel_notification_script" Values::Text, "",
        "The sentinels' own setting, handed on";
    SentinelClientReconfigScript "sentinel_client_reconfig_script" Values::Text, "",
        "The sentinels' own setting, handed on";
};

/// Units of time in microseconds and of size in bytes, the greatest first.
const TIME_UNITS: [(&str, u64); 5] =
    [("h", HOUR), ("m", 60 * SECOND), ("s", SECOND), ("ms", MS), ("us", 1)];
const SIZE_UNITS: [(&str, u64); 4] = [("gb", GB), ("mb", 1 << 20), ("kb", 1 << 10), ("b", 1)];

impl Values {
    /// What may be given, for a sentence.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Number(min, max) => format!("a whole number from {min} to {max}"),
            Self::Size(min, max) => format!(
                "a size from {} to {}",
                with_unit(*min, &SIZE_UNITS),
                with_unit(*max, &SIZE_UNITS)
            ),
            Self::Time(min, max) => format!(
                "a time from {} to {}",
                with_unit(*min, &TIME_UNITS),
                with_unit(*max, &TIME_UNITS)
            ),
            Self::Flag => "true or false".into(),
            Self::Choice(words) => words.join(" or "),
            Self::Text => format!("a text of at most {TEXT_BYTES_MAX} bytes"),
        }
    }

    /// The canonical spelling of `text`, if it is a value.
    #[must_use]
    pub fn canonical(&self, text: &str) -> Option<String> {
        match self {
            Self::Number(min, max) => {
                let number = digits(text)?;
                (*min..=*max).contains(&number).then(|| number.to_string())
            }
            Self::Size(min, max) => {
                let bytes = parse_unit(text, &SIZE_UNITS, 1)?;
                (*min..=*max).contains(&bytes).then(|| with_unit(bytes, &SIZE_UNITS))
            }
            Self::Time(min, max) => {
                let micros = parse_unit(text, &TIME_UNITS, SECOND)?;
                (*min..=*max).contains(&micros).then(|| with_unit(micros, &TIME_UNITS))
            }
            Self::Flag => ["true", "false"].contains(&text).then(|| text.into()),
            Self::Choice(words) => words.contains(&text).then(|| text.into()),
            Self::Text => {
                texts::check_text("setting", text, TEXT_BYTES_MAX).is_ok().then(|| text.into())
            }
        }
    }
}

/// A number without sign: "+1" is none.
fn digits(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

/// "30s" and the like; a plain number counts in `plain`.
fn parse_unit(text: &str, units: &[(&str, u64)], plain: u64) -> Option<u64> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(end);
    let unit = match unit.to_ascii_lowercase().as_str() {
        "" => plain,
        unit => units.iter().find(|(name, _)| *name == unit)?.1,
    };
    digits(number)?.checked_mul(unit)
}

/// In the greatest unit that it is a whole number of; 0 in the middle one.
fn with_unit(value: u64, units: &[(&str, u64)]) -> String {
    let fits = |(_, unit): &&(&str, u64)| value != 0 && value.is_multiple_of(*unit);
    let (name, unit) = units.iter().find(fits).unwrap_or(&units[units.len() / 2]);
    format!("{}{name}", value / unit)
}

/// The setting of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Spec> {
    SPECS.iter().find(|spec| spec.name == name)
}

/// The value of a setting, in its canonical spelling.
#[must_use]
pub fn text(data: &pb::State, setting: Setting) -> &str {
    let spec = &SPECS[setting as usize];
    data.settings.get(spec.name).map_or(spec.default, String::as_str)
}

/// The value of a number, of a size in bytes, or of a time in microseconds.
#[must_use]
pub fn number(data: &pb::State, setting: Setting) -> u64 {
    let text = text(data, setting);
    let value = match SPECS[setting as usize].values {
        Values::Number(..) => digits(text),
        Values::Size(..) => parse_unit(text, &SIZE_UNITS, 1),
        Values::Time(..) => parse_unit(text, &TIME_UNITS, SECOND),
        Values::Flag | Values::Choice(_) | Values::Text => None,
    };
    value.expect("the state holds numbers under the names of numbers")
}

/// Whether a flag is set.
#[must_use]
pub fn flag(data: &pb::State, setting: Setting) -> bool {
    text(data, setting) == "true"
}

pub(super) fn set(data: &mut pb::State, change: &pb::SettingsSet) -> Result<(), Refusal> {
    set_values(data, &change.values)
}

/// Sets all of `values`, or none.
pub(super) fn set_values(
    data: &mut pb::State,
    values: &BTreeMap<String, String>,
) -> Result<(), Refusal> {
    let mut canonical = Vec::with_capacity(values.len());
    for (name, value) in values {
        let spec = find(name).ok_or_else(|| {
            let message = format!("there is no setting {name:?}: see the list of settings");
            Refusal::new(Code::SettingUnknown, message)
        })?;
        let value = if value.is_empty() { spec.default } else { value };
        let value = spec.values.canonical(value).ok_or_else(|| {
            let message = format!("{name} cannot be {value:?}: give {}", spec.values.describe());
            Refusal::new(Code::SettingInvalid, message)
        })?;
        canonical.push((spec, value));
    }
    for (spec, value) in canonical {
        if value == spec.default {
            data.settings.remove(spec.name);
        } else {
            data.settings.insert(spec.name.into(), value);
        }
    }
    Ok(())
}

/// The table of the settings as it stands in `docs/meta-state.md`.
#[must_use]
pub fn settings_table() -> String {
    let mut table = String::from("| Name | Values | Default | What it does |\n|---|---|---|---|\n");
    for spec in SPECS {
        let (name, values, about) = (spec.name, spec.values.describe(), spec.about);
        table.push_str(&format!("| `{name}` | {values} | `\"{}\"` | {about} |\n", spec.default));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_its_row_with_a_default_in_range() {
        for (place, spec) in SPECS.iter().enumerate() {
            assert_eq!(spec.setting as usize, place, "{}", spec.name);
            assert_eq!(spec.values.canonical(spec.default).as_deref(), Some(spec.default));
        }
    }

    #[test]
    fn values_have_one_spelling_and_a_range() {
        let time = Values::Time(MS, HOUR);
        for (text, spelling) in
            [("30", "30s"), ("60s", "1m"), ("1500MS", "1500ms"), ("1000us", "1ms")]
        {
            assert_eq!(time.canonical(text).as_deref(), Some(spelling));
        }
        for text in ["", "s", "999us", "2h", "-1s", "+1s", "1 s", "1d", "99999999999999999999s"] {
            assert_eq!(time.canonical(text), None, "{text}");
        }
        let size = Values::Size(1, GB);
        assert_eq!(size.canonical("2048").as_deref(), Some("2kb"));
        assert_eq!(size.canonical("0"), None);
        assert_eq!(size.canonical("2gb"), None);
        assert_eq!(Values::Time(0, SECOND).canonical("0us").as_deref(), Some("0s"));
        assert_eq!(Values::Number(1, 5).canonical("+2"), None);
        assert_eq!(Values::Text.canonical("a\nb"), None);
    }

    #[test]
    fn the_documentation_has_the_settings_as_they_are() {
        let docs = include_str!("../../../docs/meta-state.md");
        assert!(
            docs.contains(&settings_table()),
            "put this in docs/meta-state.md:\n{}",
            settings_table()
        );
    }
}
