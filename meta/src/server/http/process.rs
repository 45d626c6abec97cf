//! What the kernel says of this process.

use std::fs;

/// Its use of the machine. Zero where /proc cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Process {
    /// Time on a core, in seconds.
    pub(super) cpu_s: f64,
    /// Memory held, in bytes.
    pub(super) resident_bytes: u64,
    pub(super) threads: u64,
}

impl Process {
    pub(super) fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let ticks = rustix::param::clock_ticks_per_second().max(1);
        Self::parse(&stat, ticks, rustix::param::page_size() as u64)
    }

    /// Reads `/proc/<pid>/stat`, its fields numbered as in proc(5).
    fn parse(stat: &str, ticks_per_second: u64, page_bytes: u64) -> Self {
        // The second field is a name in brackets that may hold spaces and brackets.
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let field = |number: usize| -> u64 {
            rest.split_whitespace().nth(number - 3).and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        Self {
            cpu_s: (field(14) + field(15)) as f64 / ticks_per_second as f64,
            resident_bytes: field(24) * page_bytes,
            threads: field(20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_any_name() {
        let stat = "7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 150 50 13 14 15 16 4 18 19 20 21 22";
        let expected = Process { cpu_s: 2.0, resident_bytes: 21 * 4096, threads: 4 };
        assert_eq!(Process::parse(stat, 100, 4096), expected);
        assert_eq!(Process::parse("", 100, 4096), Process::default());
    }

    #[test]
    fn this_process_holds_memory() {
        assert!(Process::read().resident_bytes > 0);
    }
}
