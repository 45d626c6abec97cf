//! The settings that the engine reads, in the units it computes in.

use crate::config::ProxyConfig;
use crate::resp::request::Limits;
use std::time::Duration;

/// What the engine needs to know of the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Names this proxy to its backends, unique among the proxies of a product.
    pub token: String,
    /// Whether topologies come from a metadata group.
    pub follows_group: bool,
    /// The password of the backends; empty for none.
    pub product_auth: String,
    /// Who clients can be, `session_auth` being the default one's password.
    pub users: crate::users::Users,
    /// Limits on one request.
    pub limits: Limits,
    /// See `session_max_pipeline`.
    pub session_requests_max: u32,
    /// See `session_output_soft`.
    pub output_bytes_soft: usize,
    /// See `session_output_hard`.
    pub output_bytes_hard: usize,
    /// See `monitor_output_max`.
    pub monitor_output_bytes_max: usize,
    /// See `session_input_max`.
    pub input_bytes_max: usize,
    /// See `session_recv_timeout`; seconds, 0 for ever.
    pub session_recv_timeout_s: u32,
    /// See `session_send_timeout`; seconds, 0 for ever.
    pub session_send_timeout_s: u32,
    /// See `session_break_on_failure`.
    pub break_on_failure: bool,
    /// See `session_redis_version`.
    pub redis_version: Box<str>,
    /// See `backend_max_pipeline`.
    pub backend_requests_max: usize,
    /// See `backend_output_max`.
    pub backend_output_bytes_max: usize,
    /// See `backend_recv_timeout`; 0 for ever.
    pub recv_timeout_us: u64,
    /// See `backend_send_timeout`; 0 for ever.
    pub send_timeout_us: u64,
    /// See `backend_connect_timeout`.
    pub connect_timeout_us: u64,
    /// See `backend_reconnect_max`.
    pub reconnect_us_max: u64,
    /// See `backend_ping_period`; 0 for never.
    pub ping_us: u64,
    /// See `backend_primary_only`.
    pub primary_only: bool,
    /// See `backend_primary_parallel`.
    pub primary_parallel: usize,
    /// See `backend_replica_parallel`.
    pub replica_parallel: usize,
    /// See `backend_admin_commands`.
    pub backend_admin_commands: bool,
    /// See `backend_dedicated_max`.
    pub dedicated_max: usize,
    /// See `backend_number_databases`.
    pub databases: u16,
    /// Requests that take at least this long are logged; `u32::MAX` for none.
    pub slow_us: u32,
    /// How many of them are kept.
    pub slowlog_len_max: usize,
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX / 4)
}

/// Whole seconds, rounded up, so that a short timeout does not become "for ever".
fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}

impl Settings {
    /// The engine's settings from the proxy's.
    #[must_use]
    pub fn new(config: &ProxyConfig, token: &str) -> Self {
        let input_bytes_max = config.session_input_max.as_usize().min(u32::MAX as usize);
        Self {
            token: token.to_string(),
            follows_group: config.follows_group(),
            product_auth: config.product_auth.expose().to_string(),
            users: config.users.with_default_password(config.session_auth.expose()),
            limits: Limits {
                bulk_bytes_max: config.proto_max_bulk.0,
                args_max: Limits::ARGS_MAX,
                request_bytes_max: input_bytes_max,
                unauthenticated: false,
            },
            session_requests_max: u32::try_from(config.session_max_pipeline)
                .unwrap_or(u32::MAX / 2),
            output_bytes_soft: config.session_output_soft.as_usize(),
            output_bytes_hard: config.session_output_hard.as_usize(),
            monitor_output_bytes_max: config.monitor_output_max.as_usize(),
            input_bytes_max,
            session_recv_timeout_s: whole_seconds(config.session_recv_timeout.0),
            session_send_timeout_s: whole_seconds(config.session_send_timeout.0),
            break_on_failure: config.session_break_on_failure,
            redis_version: config.session_redis_version.as_str().into(),
            backend_requests_max: config.backend_max_pipeline,
            backend_output_bytes_max: config.backend_output_max.as_usize(),
            recv_timeout_us: us(config.backend_recv_timeout.0),
            send_timeout_us: us(config.backend_send_timeout.0),
            connect_timeout_us: us(config.backend_connect_timeout.0),
            reconnect_us_max: us(config.backend_reconnect_max.0),
            ping_us: us(config.backend_ping_period.0),
            primary_only: config.backend_primary_only,
            primary_parallel: config.backend_primary_parallel,
            replica_parallel: config.backend_replica_parallel,
            backend_admin_commands: config.backend_admin_commands,
            dedicated_max: config.backend_dedicated_max,
            databases: u16::try_from(config.backend_number_databases).unwrap_or(u16::MAX),
            slow_us: config
                .slowlog_log_slower_than
                .0
                .map_or(u32::MAX, |limit| u32::try_from(limit.as_micros()).unwrap_or(u32::MAX)),
            slowlog_len_max: config.slowlog_max_len,
        }
    }
}
