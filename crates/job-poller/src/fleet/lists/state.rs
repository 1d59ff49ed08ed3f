//! One list: the waits whose jobs are in it, what is known of it, and when it is read.

use std::{collections::HashMap, time::Duration};

use futures_util::future::AbortHandle;
use jiff::Timestamp;
use job_model::JobId;

use crate::{
    budget::UrgencyBucket,
    fleet::hints::HintRecall,
    listing::{ListEvidence, RowState},
    machine::CompactDuration,
    source::ListId,
};

/// One list of jobs.
pub(in crate::fleet) struct ListState {
    pub(in crate::fleet) id: ListId,
    /// The keys of the waits whose jobs belong to the list.
    pub(super) members: Vec<u32>,
    pub(in crate::fleet) evidence: ListEvidence,
    pub(in crate::fleet) activity: ListActivity,
    /// When the activity ends. `Lists::timers` has an entry for it.
    pub(super) timer: Option<CompactDuration>,
    /// How far hints about its jobs can be trusted.
    pub(in crate::fleet) hints: HintRecall,
    /// Whether the list replaces readings of the jobs.
    pub(in crate::fleet) is_covering: bool,
    /// The sums of √*h* and *h* over all waits in the list whose *h* is known.
    pub(in crate::fleet) urgency_sum: f64,
    pub(in crate::fleet) hazard_sum: f64,
    /// The urgency with which the list counts in the budget.
    pub(in crate::fleet) urgency: Option<UrgencyBucket>,
    /// The service's time in the last list that arrived.
    pub(in crate::fleet) last_date: Option<Timestamp>,
    /// Changes that the jobs' own readings have shown, and that the next list has to show.
    pub(in crate::fleet) expected_changes: HashMap<JobId, ExpectedChange>,
    /// The position of the member whose *h* is computed next.
    pub(in crate::fleet) next_refresh: usize,
    pub(in crate::fleet) has_been_read: bool,
}

/// A change that a job's own reading has shown.
#[derive(Clone, Copy, Debug)]
pub(in crate::fleet) struct ExpectedChange {
    pub(in crate::fleet) own: RowState,
    /// When the reading ended. Only a list that is requested later proves anything.
    pub(in crate::fleet) since: Duration,
}

/// Maximum number of changes that wait for the next list.
pub(in crate::fleet) const MAX_EXPECTED_CHANGES: usize = 64;

/// What a fleet does with a list at the moment.
pub(in crate::fleet) enum ListActivity {
    /// It waits for a reason to read the list.
    Idle,
    /// It reads the list at the time of the timer.
    Planned,
    /// It may read the list as soon as the budget and the limit of bytes allow. It is ready since this
    /// time.
    Ready(CompactDuration),
    /// A reading is in flight: its number, a handle to cancel it, and when it began.
    Reading(u64, AbortHandle, Duration),
    /// It does not read the list until the time of the timer.
    Suspended,
}

impl ListState {
    pub(super) fn new(id: ListId) -> Self {
        Self {
            id,
            members: Vec::new(),
            evidence: ListEvidence::new(),
            activity: ListActivity::Idle,
            timer: None,
            hints: HintRecall::new(),
            is_covering: false,
            urgency_sum: 0.0,
            hazard_sum: 0.0,
            urgency: None,
            last_date: None,
            expected_changes: HashMap::new(),
            next_refresh: 0,
            has_been_read: false,
        }
    }

    pub(in crate::fleet) fn has_members(&self) -> bool {
        !self.members.is_empty()
    }

    pub(in crate::fleet) fn has_several_members(&self) -> bool {
        self.members.len() > 1
    }

    /// Returns whether reading the list costs less than reading the jobs one by one.
    pub(in crate::fleet) fn is_cheaper(&self, request_price: f64) -> bool {
        let (urgencies, hazards) = (self.urgency_sum.max(0.0), self.hazard_sum.max(0.0));
        self.evidence.is_list_cheaper(urgencies, hazards, request_price)
    }
}
