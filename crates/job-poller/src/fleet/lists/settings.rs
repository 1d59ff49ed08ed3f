//! Whether and how a fleet reads lists of jobs.

/// Whether a fleet reads lists of jobs, and how many bytes of them.
///
/// A list is one request that shows many jobs. A fleet uses it only to decide which job it reads
/// next; see [`JobSource::fetch_list`](crate::source::JobSource::fetch_list). The picture shows the
/// cost *J* of a job, which is the mean detection delay plus 0.25 s for each request, without a
/// history (log-normal durations, median 540 s, σ 0.35).
///
#[doc = include_str!("lists.svg")]
///
/// The fleet learns how far a list can be trusted: a list proves fresh if it shows a change that a
/// job's own reading has just shown. Until then, each job is also read by itself as often as without
/// a list. A job that a fresh list covers is read at least every 300 s. A list that is stale, takes
/// longer than 5 s, is larger than 4 MiB, is refused or cannot be read is not read for one minute,
/// then for two, and so on up to an hour.
///
/// # Examples
///
/// ```
/// use job_poller::fleet::ListReads;
///
/// let off = ListReads::off();
/// let fast = ListReads::new().bytes_per_second(8 << 20);
/// assert_ne!(off, fast);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListReads {
    is_on: bool,
    bytes_per_second: u32,
}

impl ListReads {
    /// Creates the default settings: lists are read, at most 256 KiB per second.
    #[must_use]
    pub const fn new() -> Self {
        Self { is_on: true, bytes_per_second: 256 << 10 }
    }

    /// Reads no lists.
    #[must_use]
    pub const fn off() -> Self {
        Self { is_on: false, ..Self::new() }
    }

    /// Sets the maximum number of bytes per second of all lists together. The minimum is 1.
    ///
    /// After a list, the next one is requested only when the bytes of the first have been spread
    /// over this rate.
    #[must_use]
    pub const fn bytes_per_second(mut self, bytes: u32) -> Self {
        self.bytes_per_second = if bytes == 0 { 1 } else { bytes };
        self
    }

    pub(in crate::fleet) const fn is_on(self) -> bool {
        self.is_on
    }

    pub(in crate::fleet) fn seconds_for(self, bytes: usize) -> f64 {
        bytes as f64 / f64::from(self.bytes_per_second)
    }
}

impl Default for ListReads {
    fn default() -> Self {
        Self::new()
    }
}
