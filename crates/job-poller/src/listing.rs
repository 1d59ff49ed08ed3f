//! What a list of jobs proves, and what it saves. Reads no clock, performs no I/O.

mod evidence;
mod row_state;

use std::time::Duration;

pub use self::{
    evidence::ListEvidence,
    row_state::{RowAge, RowState},
};
use crate::schedule::BudgetShare;

/// The longest gap between two readings of a job that a list shows. An end that the list never shows
/// is found after this time.
pub(crate) const MAX_LISTED_GAP: Duration = Duration::from_secs(300);

/// Returns the share of a wait whose job a list shows. A request is worth less to it, because it only
/// finds the changes that the list misses.
pub(crate) fn listed_share(share: BudgetShare, miss_probability: f64) -> BudgetShare {
    if miss_probability >= 1.0 {
        return share;
    }
    let price = share.request_price.as_secs_f64() / miss_probability;
    let price = Duration::try_from_secs_f64(price).unwrap_or(Duration::MAX);
    BudgetShare::new(price, share.max_gap.max(MAX_LISTED_GAP))
}
