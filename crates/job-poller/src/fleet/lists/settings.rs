//! Whether and how a fleet reads lists of jobs.

/// Whether a fleet reads lists of jobs, and how many bytes of them.
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
