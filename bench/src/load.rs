//! One run of redis-benchmark.

use crate::Contender;
use std::process::Command;

/// How many keys the load is spread over, so that every server has its share.
const KEYS: u32 = 100_000;

/// One run of redis-benchmark.
#[derive(Debug, Clone, Copy)]
pub struct Bench {
    /// `get` or `set`.
    pub command: &'static str,
    /// How many requests a client sends before it reads the replies.
    pub pipeline: u32,
    /// Requests in all.
    pub requests: u64,
    /// Clients at the same time.
    pub clients: u32,
    /// Bytes of a value.
    pub value_bytes: u32,
    /// The core that redis-benchmark is bound to.
    pub core: usize,
}

/// What one run showed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    /// Requests a second.
    pub per_second: f64,
    /// Half of all requests took at most so long, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 requests took at most so long, in milliseconds.
    pub p99_ms: f64,
    /// CPU time of the proxy a request in user space, in microseconds.
    pub user_us: f64,
    /// CPU time of the proxy a request in the kernel, in microseconds.
    pub system_us: f64,
}

impl Sample {
    /// CPU time of the proxy a request, in microseconds.
    #[must_use]
    pub fn cpu_us(&self) -> f64 {
        self.user_us + self.system_us
    }
}

impl Bench {
    /// Runs it against `contender`.
    ///
    /// # Panics
    /// When redis-benchmark fails or says something unknown.
    #[must_use]
    pub fn run(&self, contender: &Contender) -> Sample {
        let before = contender.process().map(|process| process.cpu_time());
        let printed = self.redis_benchmark(contender.port);
        let used = contender
            .process()
            .zip(before)
            .map(|(process, before)| process.cpu_time().since(before));
        let [per_second, p50_ms, p99_ms] = parse_csv(&printed)
            .unwrap_or_else(|| panic!("redis-benchmark printed no result: {printed}"));
        let (user_us, system_us) = used.map_or((0.0, 0.0), |used| {
            // The scheduler's total is exact; the ticks say how it splits.
            let total_us = used.total_ns as f64 / 1000.0;
            let ticks = (used.user_us + used.system_us).max(1) as f64;
            let user = total_us * used.user_us as f64 / ticks;
            (user / self.requests as f64, (total_us - user) / self.requests as f64)
        });
        Sample { per_second, p50_ms, p99_ms, user_us, system_us }
    }

    fn redis_benchmark(&self, port: u16) -> String {
        let numbers = [
            ("-p", u64::from(port)),
            ("-c", u64::from(self.clients)),
            ("-d", u64::from(self.value_bytes)),
            ("-P", u64::from(self.pipeline)),
            ("-r", u64::from(KEYS)),
            ("-n", self.requests),
        ];
        let mut command = Command::new("taskset");
        command.args(["-c", &self.core.to_string(), "redis-benchmark", "-h", "127.0.0.1"]);
        for (flag, number) in numbers {
            command.args([flag, &number.to_string()]);
        }
        command.args(["-t", self.command, "--csv"]);
        let output = command.output().unwrap_or_else(|error| panic!("redis-benchmark: {error}"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }
}

/// Requests a second, p50 and p99 out of `"SET","100000.00","0.25",min,p50,p95,p99,max`.
fn parse_csv(text: &str) -> Option<[f64; 3]> {
    let line =
        text.lines().rfind(|line| line.starts_with("\"GET\"") || line.starts_with("\"SET\""))?;
    let fields: Vec<f64> =
        line.split(',').skip(1).map_while(|field| field.trim_matches('"').parse().ok()).collect();
    match fields[..] {
        [per_second, _average, _min, p50, _p95, p99, _max] => Some([per_second, p50, p99]),
        _ => None,
    }
}

/// The median of each number on its own.
#[must_use]
pub fn median(samples: &[Sample]) -> Sample {
    let of = |number: fn(&Sample) -> f64| {
        let mut numbers: Vec<f64> = samples.iter().map(number).collect();
        numbers.sort_by(f64::total_cmp);
        numbers.get(numbers.len() / 2).copied().unwrap_or_default()
    };
    Sample {
        per_second: of(|sample| sample.per_second),
        p50_ms: of(|sample| sample.p50_ms),
        p99_ms: of(|sample| sample.p99_ms),
        user_us: of(|sample| sample.user_us),
        system_us: of(|sample| sample.system_us),
    }
}

#[cfg(test)]
mod tests {
    use super::{Sample, median, parse_csv};

    #[test]
    fn the_result_is_found_in_what_redis_benchmark_prints() {
        let text = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\
            \"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"\n\
            \"SET\",\"1250.50\",\"0.9\",\"0.1\",\"0.5\",\"0.7\",\"0.8\",\"3.0\"\n";
        assert_eq!(parse_csv(text), Some([1250.5, 0.5, 0.8]));
        assert_eq!(parse_csv("WARNING: nothing"), None);
    }

    #[test]
    fn the_median_is_taken_of_each_number_on_its_own() {
        let sample = |user_us, p50_ms| Sample { user_us, p50_ms, ..Sample::default() };
        let middle = median(&[sample(3.0, 1.0), sample(1.0, 2.0), sample(2.0, 9.0)]);
        assert!((middle.user_us - 2.0).abs() < 1e-9 && (middle.p50_ms - 2.0).abs() < 1e-9);
    }
}
