//! What the numbers were measured on.

use crate::Kind;
use std::process::Command;

/// How long an idle core of this virtual machine polls before it halts, in nanoseconds, where its kernel can do that.
const HALT_POLL: &str = "/sys/module/haltpoll/parameters/guest_halt_poll_ns";

/// One line: processor, cores, kernel with what was set of it, and the versions of what takes part.
#[must_use]
pub fn describe(contenders: &[Kind]) -> String {
    let processor = std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            line.split_once(':').map(|(_, name)| name.trim().to_owned())
        })
        .unwrap_or_else(|| "unknown processor".to_owned());
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = codis_testbed::cores();
    let redis = first_line("redis-server", "--version");
    let redis =
        redis.split_whitespace().find_map(|word| word.strip_prefix("v=")).unwrap_or("unknown");
    let commit = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let commit = commit.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    let version = |kind: &Kind| match kind {
        Kind::Peer(adapter) => Some(adapter.version()),
        Kind::Codis(_) | Kind::Direct => None,
    };
    let peers: Vec<String> = contenders.iter().filter_map(version).collect();
    let peers = if peers.is_empty() { "no peer".to_owned() } else { peers.join(", ") };
    let poll = std::fs::read_to_string(HALT_POLL).unwrap_or_default();
    let poll = match poll.trim() {
        "" | "0" => String::new(),
        poll => format!(" (guest_halt_poll_ns={poll})"),
    };
    format!(
        "{processor}, {cores} cores, Linux {}{poll}; Redis {redis}; {peers}; commit {}",
        kernel.trim(),
        commit.unwrap_or_default(),
    )
}

fn first_line(program: &str, flag: &str) -> String {
    let Ok(output) = Command::new(program).arg(flag).output() else {
        return format!("no {program}");
    };
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
}
