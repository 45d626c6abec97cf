//! What the processes of a cluster are started with.

use super::{ClusterOptions, local};
use std::path::Path;

/// Arguments of a redis-server.
pub(super) fn redis_args(port: u16, folder: &Path, persistent: bool) -> Vec<String> {
    let (port, folder) = (port.to_string(), folder.display().to_string());
    let mut args = vec!["--port", &port, "--bind", "127.0.0.1", "--dir", &folder, "--save", ""];
    args.extend(["--maxclients", "20000"]);
    if persistent {
        // With `no`, what a turn did is written before it is answered, always; with `everysec` a sync that takes long
        // lets answers go out before. What was written outlives a SIGKILL: the machine does not crash here.
        args.extend(["--appendonly", "yes", "--appendfsync", "no"]);
        args.extend(["--auto-aof-rewrite-percentage", "0"]);
    }
    args.into_iter().map(str::to_owned).collect()
}

/// The configuration of a member; it is the one on `port`.
pub(super) fn member_config(product: &str, folder: &Path, port: u16, all: &[u16]) -> String {
    let named = |(i, port): (usize, &u16)| format!("{}@{}", i + 1, local(*port));
    // A member that is alone names nobody.
    let names: Vec<String> = match all {
        [_] => Vec::new(),
        _ => all.iter().enumerate().map(named).collect(),
    };
    format!(
        "product_name = {product:?}\nadmin_addr = \"{}\"\ndata_dir = {:?}\nmembers = {names:?}\n",
        local(port),
        folder.join("data")
    )
}

/// Lines of a proxy's configuration that give it a member of its own.
pub(super) fn inner_member(address: &str, folder: &Path) -> String {
    format!(
        "[meta]\nembedded = true\nadmin_addr = {address:?}\ndata_dir = {:?}\n",
        folder.join("data")
    )
}

/// The configuration of a proxy; `meta` are its lines about the metadata group, and come last, as they may begin a table.
pub(super) fn proxy_config(
    options: &ClusterOptions,
    folder: &Path,
    port: u16,
    admin: u16,
    meta: &str,
) -> String {
    format!(
        "{}\nproduct_name = {:?}\nproto_type = \"tcp4\"\nproxy_addr = \"{}\"\nadmin_addr = \"{}\"\n\
         data_dir = {:?}\n{meta}",
        options.proxy_config,
        options.product,
        local(port),
        local(admin),
        folder.join("data")
    )
}
