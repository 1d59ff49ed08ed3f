//! Measures what the process uses, and how much of it grows.

use std::{fmt, fs, time::Duration};

use anyhow::Context;
use tokio::runtime::Handle;

/// Number of samples of a part, in addition to the one at its beginning.
pub(crate) const SAMPLES: usize = 100;

/// What the process uses at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    /// The number of polls or fleets so far.
    pub(crate) count: u32,
    /// The resident memory.
    pub(crate) memory_kib: u64,
    /// The number of open file descriptors.
    pub(crate) descriptors: u64,
    /// The number of tasks of the runtime that have not ended.
    pub(crate) tasks: u64,
}

impl Sample {
    /// Measures the process. Must be called inside the runtime.
    pub(crate) fn take(count: u32) -> anyhow::Result<Self> {
        let status = fs::read_to_string("/proc/self/status").context("/proc is needed")?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|line| line.trim().strip_suffix(" kB"));
        let tasks = Handle::current().metrics().num_alive_tasks();
        Ok(Self {
            count,
            memory_kib: resident
                .context("VmRSS is missing in /proc/self/status")?
                .trim()
                .parse()?,
            descriptors: fs::read_dir("/proc/self/fd")?.count() as u64,
            tasks: tasks as u64,
        })
    }
}

/// How long dropped connections and tasks may take to end, and the time between two looks.
const SETTLE_TIME: Duration = Duration::from_secs(10);
const SETTLE_INTERVAL: Duration = Duration::from_millis(1);

impl Sample {
    /// Measures the process when no more descriptors and tasks are open than in `idle`, or else
    /// after the time in which that must happen.
    pub(crate) async fn take_settled(count: u32, idle: &Self) -> anyhow::Result<Self> {
        let mut waited = Duration::ZERO;
        loop {
            let sample = Self::take(count)?;
            if sample.has_settled(idle) || waited >= SETTLE_TIME {
                return Ok(sample);
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "nothing reports the end of a connection"
            )]
            tokio::time::sleep(SETTLE_INTERVAL).await;
            waited += SETTLE_INTERVAL;
        }
    }

    /// Whether no more descriptors and tasks are open than in `idle`.
    pub(crate) const fn has_settled(&self, idle: &Self) -> bool {
        self.tasks <= idle.tasks && self.descriptors <= idle.descriptors
    }
}

/// How much a part used at most, above what it used after its first fifth. The first fifth fills
/// caches and pools.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Growth {
    pub(crate) memory_kib: u64,
    pub(crate) descriptors: u64,
    pub(crate) tasks: u64,
}

impl Growth {
    pub(crate) fn from_samples(samples: &[Sample]) -> Self {
        let [first, rest @ ..] = &samples[samples.len() / 5..] else {
            return Self { memory_kib: 0, descriptors: 0, tasks: 0 };
        };
        let most = |amount: fn(&Sample) -> u64| {
            let most = rest.iter().map(amount).max().unwrap_or_default();
            most.saturating_sub(amount(first))
        };
        Self {
            memory_kib: most(|sample| sample.memory_kib),
            descriptors: most(|sample| sample.descriptors),
            tasks: most(|sample| sample.tasks),
        }
    }

    pub(crate) const fn is_within(self, max: Self) -> bool {
        self.memory_kib <= max.memory_kib
            && self.descriptors <= max.descriptors
            && self.tasks <= max.tasks
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { memory_kib, descriptors, tasks } = self;
        write!(f, "{memory_kib} KiB, {descriptors} descriptors, {tasks} tasks")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Growth = Growth { memory_kib: 1_000, descriptors: 2, tasks: 0 };

    /// Returns the samples of a process that uses `usage(i)` of memory, descriptors and tasks.
    fn samples(usage: fn(u64) -> (u64, u64, u64)) -> Vec<Sample> {
        let sample = |index: u32| {
            let (memory_kib, descriptors, tasks) = usage(index.into());
            Sample { count: index, memory_kib, descriptors, tasks }
        };
        (0..=100).map(sample).collect()
    }

    #[test]
    fn growth_counts_after_the_first_fifth() {
        type Row = (fn(u64) -> (u64, u64, u64), [u64; 3], bool);
        let rows: [Row; 7] = [
            (|_| (9_000, 20, 3), [0, 0, 0], true),
            // Grows at first, and then stays.
            (|i| (9_000 + 500 * i.min(20), 20 + i.min(20), 3 + i.min(20)), [0, 0, 0], true),
            (|i| (9_000 + 12 * i, 20, 3), [960, 0, 0], true),
            (|i| (9_000 + 13 * i, 20, 3), [1_040, 0, 0], false),
            (|i| (9_000, 20 + i % 4, 3), [0, 3, 0], false),
            (|i| (9_000, 20, 3 + i / 100), [0, 0, 1], false),
            // Shrinks.
            (|i| (9_000 - i, 20, 3), [0, 0, 0], true),
        ];
        for (usage, [memory_kib, descriptors, tasks], is_within) in rows {
            let growth = Growth::from_samples(&samples(usage));
            assert_eq!(growth, Growth { memory_kib, descriptors, tasks });
            assert_eq!(growth.is_within(MAX), is_within, "{growth}");
        }
    }

    #[test]
    fn a_growth_without_samples_is_zero() {
        assert!(Growth::from_samples(&[]).is_within(Growth {
            memory_kib: 0,
            descriptors: 0,
            tasks: 0
        }));
    }
}
