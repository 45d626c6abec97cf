//! The proxy's configuration.

/// Every setting of the proxy.
#[derive(Debug, Clone)]
pub struct ProxyConfig {}
