//! What lists and hints have shown of one wait's job.

use crate::listing::RowState;

/// What lists and hints have shown of one wait's job.
#[derive(Clone, Copy, Default)]
pub(in crate::fleet) struct ListedJob {
    /// The number of the list plus one, and the position among its members. Zero if the job is in
    /// no list.
    pub(super) list: u32,
    pub(super) position: u32,
    /// √*h* at the last computation.
    pub(super) urgency: f32,
    pub(in crate::fleet) presence: Presence,
    /// The last row that a list had since it was last suspended.
    pub(in crate::fleet) row: Option<RowState>,
    pub(in crate::fleet) flags: RowFlags,
    /// A hint came since the last reading of the job.
    pub(in crate::fleet) is_hinted: bool,
    /// A hint came while an attempt was in flight. The job is read again.
    pub(in crate::fleet) is_hinted_in_flight: bool,
}

/// Whether the last list had a row for the job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::fleet) enum Presence {
    /// No list has arrived since the wait began, or since the list was suspended.
    #[default]
    Unknown,
    /// It had one, or the job is new and the next list will have one.
    Listed,
    /// It had none.
    Missing,
}

/// What the last rows of a job have shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(in crate::fleet) struct RowFlags {
    /// The list before the last one had a row for the job.
    pub(in crate::fleet) was_listed: bool,
    /// The last row shows a change, so the job's own reading goes before all others.
    pub(in crate::fleet) is_urgent: bool,
    /// The list showed the last change too late.
    pub(in crate::fleet) was_late: bool,
    /// The job's own reading did not confirm what the last row shows.
    pub(in crate::fleet) is_unconfirmed: bool,
    /// The end of the job was reported as an event.
    pub(in crate::fleet) is_end_reported: bool,
}

impl ListedJob {
    /// Returns the number of the job's list.
    pub(super) fn list(&self) -> Option<usize> {
        (self.list as usize).checked_sub(1)
    }

    /// Returns whether the last list had a row for the job.
    pub(in crate::fleet) fn is_listed(&self) -> bool {
        self.presence == Presence::Listed
    }

    /// Forgets what the list showed, because the list is suspended.
    pub(in crate::fleet) fn forget_rows(&mut self) {
        let is_end_reported = self.flags.is_end_reported;
        self.flags = RowFlags { is_end_reported, ..RowFlags::default() };
        (self.presence, self.row) = (Presence::Unknown, None);
    }
}
