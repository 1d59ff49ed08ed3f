//! Compares a row of a list with what the job's own reading showed. Reads no clock, performs no I/O.
//!
//! A fleet compares at each reading of a job, and keeps in memory which changes the next list has to
//! show. A store compares only when a list arrives. So it needs no memory beyond one column, and an
//! attempt costs nothing more. What both share is in `job_poller::durable`.

use jiff::Timestamp;
use job_poller::durable::{RowAge, RowState};
use serde::{Deserialize, Serialize};

/// Maximum lag of a list behind a change, in seconds. The service's times are whole seconds.
const MAX_LAG_SECS: i64 = 2;

/// By how much the time of a job may be ahead of the reply's `Date`, in seconds. A time further ahead
/// is wrong and proves nothing.
const MAX_AHEAD_SECS: i64 = 5;

/// The last row of a job, as stored with its wait.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Listed {
    row: RowState,
    /// What the job's own reading had shown by then.
    own: Option<RowState>,
    news: News,
}

/// Whether the row shows a change that the job's own reading lacks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum News {
    None,
    /// The row shows a change, so the job is read next. It has been read when the tick is at least
    /// `read_at_tick`.
    Some {
        read_at_tick: i64,
        is_late: bool,
    },
    /// The row shows a change, but a reading of the job since then did not confirm it.
    Unconfirmed,
}

/// A wait whose job is in the list.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListedWait {
    pub(super) before: Option<Listed>,
    /// What the job's own reading has shown.
    pub(super) own: Option<RowState>,
    /// Changes at the beginning and at the end of an attempt.
    pub(super) tick: i64,
    pub(super) is_in_flight: bool,
}

/// What follows from a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Comparison {
    pub(super) listed: Listed,
    /// Whether the list has shown a change that the job's own reading showed. `None` if there was no
    /// change, or if it is too recent or has no time.
    pub(super) evidence: Option<bool>,
    /// Whether the job is read next.
    pub(super) is_hint: bool,
    /// Whether the row and the job's own reading agree, so that the list may replace readings.
    pub(super) agrees: bool,
}

impl ListedWait {
    /// Compares the job with its row. `previous_date` and `date` are the times of the service in the
    /// list before and in this one.
    pub(super) fn compare(
        self,
        row: RowState,
        previous_date: Option<Timestamp>,
        date: Option<Timestamp>,
    ) -> Comparison {
        let Self { before, own, .. } = self;
        let Some(own) = own else {
            let listed = Listed { row, own: None, news: News::None };
            return Comparison { listed, evidence: None, is_hint: false, agrees: false };
        };
        let age = row.age_relative_to(own);
        let is_missing = age == RowAge::Older && own.was_updated_before(date, MAX_LAG_SECS);
        let is_plausible = own.was_updated_before(date, -MAX_AHEAD_SECS);
        let is_expected = before
            .and_then(|before| before.own)
            .is_some_and(|before| own.age_relative_to(before) == RowAge::Newer)
            && is_plausible;
        // If the list lags only a little, the next one has to show the change.
        let is_judged = is_expected && (is_missing || age != RowAge::Older);
        let was_late =
            before.is_some_and(|before| matches!(before.news, News::Some { is_late: true, .. }));
        let news =
            if age == RowAge::Newer { self.news(row, own, previous_date) } else { News::None };
        Comparison {
            listed: Listed {
                row,
                own: if is_expected && !is_judged {
                    before.and_then(|before| before.own)
                } else {
                    Some(own)
                },
                news,
            },
            evidence: is_judged.then_some(!is_missing && !was_late),
            is_hint: matches!(news, News::Some { .. })
                && before.is_none_or(|before| before.row != row),
            agrees: match age {
                RowAge::Older => is_plausible && !is_missing,
                RowAge::Same => true,
                RowAge::Newer => news != News::Unconfirmed,
            },
        }
    }

    /// Returns what follows from a row that shows a change. Each row causes at most one request, and
    /// none after a row that the job's own reading did not confirm.
    fn news(self, row: RowState, own: RowState, previous_date: Option<Timestamp>) -> News {
        // An attempt that is in flight may have begun too early. The one after it counts.
        let read_at_tick = self.tick + 2 + i64::from(self.is_in_flight);
        let Some(before) = self.before else { return News::Some { read_at_tick, is_late: false } };
        let was_confirmed = before.row.age_relative_to(own) != RowAge::Newer;
        let was_read = match before.news {
            News::None => false,
            News::Some { read_at_tick, .. } => self.tick >= read_at_tick,
            News::Unconfirmed => true,
        };
        match before.news {
            _ if was_read && !was_confirmed => News::Unconfirmed,
            News::Some { .. } if before.row == row => before.news,
            _ => {
                let is_late =
                    before.row != row && row.was_updated_before(previous_date, MAX_LAG_SECS);
                News::Some { read_at_tick, is_late }
            }
        }
    }
}

#[cfg(test)]
mod tests;
