//! The cores that a process may use, and how many of them it is told to.

use rustix::thread::{CpuSet, sched_getaffinity};

/// The cores that this process may use, in rising order.
///
/// # Errors
/// The system does not tell.
pub fn allowed_cores() -> Result<Vec<usize>, String> {
    let set = sched_getaffinity(None)
        .map_err(|error| format!("cannot read this process's cores: {error}"))?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

/// How many cores to use: `asked` of `--ncpu`, or all in `allowed`, the cores that this process may run
/// on.
///
/// # Errors
/// A sentence that names both numbers, for the operator.
pub fn resolve_ncpu(asked: Option<usize>, allowed: &[usize]) -> Result<usize, String> {
    let cores = allowed.len();
    match asked {
        None if cores == 0 => Err("the system names no core that this process may use".into()),
        None => Ok(cores),
        Some(0) => {
            Err(format!("--ncpu=0 leaves no core to run on; it must be between 1 and {cores}"))
        }
        Some(asked) if asked > cores => Err(format!(
            "--ncpu={asked} is more than the {cores} {} that this process may use; lower it, or allow \
             the process more cores (taskset, cgroup cpuset)",
            if cores == 1 { "core" } else { "cores" }
        )),
        Some(asked) => Ok(asked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_cores_than_there_are_cannot_be_asked_for_and_both_numbers_are_named() {
        assert_eq!(resolve_ncpu(None, &[0, 2, 5]), Ok(3));
        assert_eq!(resolve_ncpu(Some(2), &[0, 2, 5]), Ok(2));
        assert_eq!(resolve_ncpu(Some(3), &[0, 2, 5]), Ok(3));
        assert_eq!(
            resolve_ncpu(Some(4), &[0, 2, 5]),
            Err("--ncpu=4 is more than the 3 cores that this process may use; lower it, or allow the \
                 process more cores (taskset, cgroup cpuset)"
                .into())
        );
        assert_eq!(
            resolve_ncpu(Some(2), &[7]),
            Err("--ncpu=2 is more than the 1 core that this process may use; lower it, or allow the \
                 process more cores (taskset, cgroup cpuset)"
                .into())
        );
        assert_eq!(
            resolve_ncpu(Some(0), &[0, 1]),
            Err("--ncpu=0 leaves no core to run on; it must be between 1 and 2".into())
        );
    }
}
