//! What the kernel says about this process, from /proc.

use std::fs;
use std::time::Duration;

/// The process's use of CPU and memory at one moment. All zero where /proc cannot be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Process {
    /// CPU time spent in user space, in steps of the kernel's clock tick (10 ms).
    pub(super) cpu_user: Duration,
    /// CPU time spent in the kernel, in the same steps.
    pub(super) cpu_system: Duration,
    /// The same two for children that have been waited for.
    pub(super) children_user: Duration,
    /// See `children_user`.
    pub(super) children_system: Duration,
    /// Threads.
    pub(super) threads: u64,
    /// Address space, in bytes.
    pub(super) virtual_bytes: u64,
    /// Memory held, in bytes.
    pub(super) resident_bytes: u64,
    /// The most memory held so far, in bytes.
    pub(super) resident_peak_bytes: u64,
}

impl Process {
    /// Reads /proc/self.
    pub(super) fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ticks = rustix::param::clock_ticks_per_second().max(1);
        Self::parse(&stat, &status, ticks, rustix::param::page_size() as u64)
    }

    /// Takes the fields out of the two files, as proc(5) numbers them.
    fn parse(stat: &str, status: &str, ticks_per_second: u64, page_bytes: u64) -> Self {
        // The name (field 2) stands in brackets and may hold spaces and brackets itself.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<u64> =
            after_name.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        let field = |number: usize| fields.get(number - 3).copied().unwrap_or(0);
        let time = |number| Duration::from_micros(field(number) * 1_000_000 / ticks_per_second);
        Self {
            cpu_user: time(14),
            cpu_system: time(15),
            children_user: time(16),
            children_system: time(17),
            threads: field(20),
            virtual_bytes: field(23),
            resident_bytes: field(24) * page_bytes,
            resident_peak_bytes: status_kb(status, "VmHWM:") * 1024,
        }
    }

    /// User and system time together.
    pub(super) fn cpu(&self) -> Duration {
        self.cpu_user + self.cpu_system
    }
}

/// The value in kB of one line of /proc/self/status.
fn status_kb(status: &str, key: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|value| value.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_a_name_with_brackets_and_spaces() {
        let stat = "4242 (codis) (x y) S 1 4242 4242 0 -1 4194560 900 0 0 0 250 125 3 4 20 0 7 0 9000 \
                    1719013376 45020 18446744073709551615 1 1";
        let process = Process::parse(stat, "VmPeak:\t 9 kB\nVmHWM:\t  200000 kB\n", 100, 4096);
        assert_eq!(process.cpu_user, Duration::from_millis(2500));
        assert_eq!(process.cpu_system, Duration::from_millis(1250));
        assert_eq!(process.children_user, Duration::from_millis(30));
        assert_eq!(process.children_system, Duration::from_millis(40));
        assert_eq!(process.threads, 7);
        assert_eq!(process.virtual_bytes, 1_719_013_376);
        assert_eq!(process.resident_bytes, 45_020 * 4096);
        assert_eq!(process.resident_peak_bytes, 200_000 * 1024);
        assert_eq!(process.cpu(), Duration::from_millis(3750));
    }

    #[test]
    fn this_process_has_threads_and_memory() {
        let process = Process::read();
        assert!(process.threads >= 1);
        assert!(process.resident_bytes > 0);
        assert!(process.resident_peak_bytes >= process.resident_bytes / 2);
    }

    #[test]
    fn a_file_that_cannot_be_understood_gives_zeros() {
        assert_eq!(Process::parse("", "", 100, 4096), Process::default());
    }
}
