//! Simulated runs, each made of one seed, by the thousand and on a few threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const THREADS: usize = 2;

/// The runs of one test program.
///
/// `CODIS_SIM_SEED` has one seed run alone, `CODIS_SIM_SEEDS` so many where `all` are the default, from `CODIS_SIM_FIRST_SEED` on.
#[derive(Debug, Clone, Copy)]
pub struct Seeds {
    /// The test program's name.
    pub program: &'static str,
    /// How many seeds its main test runs.
    pub all: u64,
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

impl Seeds {
    /// The first seed of those that are not named one by one.
    pub fn first(&self) -> u64 {
        number("CODIS_SIM_FIRST_SEED").unwrap_or(0)
    }

    /// The seeds to run where `default` of `all` are the rule: the first, and how many.
    fn range(&self, default: u64) -> (u64, u64) {
        match number("CODIS_SIM_SEED") {
            Some(seed) => (seed, 1),
            None => {
                let asked = number("CODIS_SIM_SEEDS");
                (self.first(), asked.map_or(default, |seeds| seeds.div_ceil(self.all / default)))
            }
        }
    }

    /// Runs `one` for each seed and answers how many that were, and the sums of what the runs count.
    ///
    /// # Panics
    /// With the lowest seed that failed, and how to run it alone.
    pub fn run<const N: usize>(
        &self,
        test: &str,
        default: u64,
        one: impl Fn(u64) -> Result<[u64; N], String> + Sync,
    ) -> (u64, [u64; N]) {
        let (first, count) = self.range(default);
        let next = AtomicU64::new(0);
        let sums = [const { AtomicU64::new(0) }; N];
        let failures = Mutex::new(Vec::new());
        let work = || {
            loop {
                let offset = next.fetch_add(1, Ordering::Relaxed);
                if offset >= count {
                    return;
                }
                let seed = first.wrapping_add(offset);
                match one(seed) {
                    Ok(counts) => {
                        for (sum, count) in sums.iter().zip(counts) {
                            sum.fetch_add(count, Ordering::Relaxed);
                        }
                    }
                    Err(why) => {
                        next.store(count, Ordering::Relaxed);
                        failures.lock().expect("no panic under the lock").push((seed, why));
                    }
                }
            }
        };
        std::thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(work))));
        let failures = failures.into_inner().expect("no panic under the lock");
        if let Some((seed, why)) = failures.into_iter().min() {
            panic!(
                "seed {seed}: {why}\nrun it alone: CODIS_SIM_SEED={seed} cargo test -p codis-proxy --test {} \
                 {test} -- --nocapture",
                self.program
            );
        }
        (count, sums.map(AtomicU64::into_inner))
    }
}

/// Does `run`; a panic is a failure like any other.
///
/// # Errors
/// Those of `run`, and the words of a panic.
pub fn caught<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

/// Does `work` for each item on a few threads.
pub fn for_each<T: Copy + Sync>(items: &[T], work: impl Fn(T) + Sync) {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    work(*item);
                }
            });
        }
    });
}
