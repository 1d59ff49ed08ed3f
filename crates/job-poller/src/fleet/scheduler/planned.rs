//! The waits whose next attempt the schedule planned. They may send it earlier, so that no request
//! of the budget stays unused.

use std::{mem, time::Duration};

use super::Scheduler;
use crate::fleet::job::JobActivity;

impl Scheduler {
    /// Lets a wait sleep until its next attempt is due, which the schedule planned after `delay`.
    pub(super) fn plan(&mut self, now: Duration, key: usize, due: Duration, delay: Duration) {
        let time = self.poll_clock.after(now, delay);
        self.jobs[key].activity = JobActivity::Planned(time);
        self.planned.insert((time, key));
        self.set_timer(key, Some(due));
    }

    /// Adapts the poll clock to the price. While the service throttles, the price is unusually
    /// high, and no attempt is advanced.
    pub(super) fn update_poll_clock(&mut self, now: Duration) {
        if self.budget.recovered_at() <= now {
            self.poll_clock.set_speed(now, self.budget.poll_rate_factor());
        }
    }

    /// Takes the wait that is planned next, if its attempt is advanced: because the budget is used
    /// up, or because the price has fallen and the attempt would be due by now.
    pub(super) fn take_planned(&mut self, now: Duration) -> Option<usize> {
        loop {
            let &(time, key) = self.planned.first()?;
            if self.next_advance()? > now {
                return None;
            }
            self.planned.pop_first();
            let job = &mut self.jobs[key];
            job.activity = JobActivity::Sleep;
            match (job.earliest_attempt(), job.timer) {
                (Some(earliest), _) if earliest <= now => {
                    self.poll_clock.skip_to(now, time);
                    job.machine.advance_attempt(job.elapsed(now));
                    return Some(key);
                }
                (Some(earliest), Some(due)) if earliest < due.get() => {
                    job.activity = JobActivity::Cooling(time, due);
                    self.set_timer(key, Some(earliest));
                }
                // It cannot be advanced, and sleeps until it is due.
                _ => {}
            }
        }
    }

    /// Returns when an attempt may be advanced, if a request may be sent then.
    pub(super) fn next_advance(&self) -> Option<Duration> {
        let &(time, _) = self.planned.first()?;
        let due = if self.budget.is_binding() {
            Duration::ZERO
        } else {
            self.poll_clock.fleet_time(time)
        };
        Some(due.max(self.budget.next_early_slot()))
    }

    /// Ends the sleep of a wait whose timer has expired. Returns whether its attempt is due.
    pub(super) fn wake(&mut self, key: usize) -> bool {
        match mem::replace(&mut self.jobs[key].activity, JobActivity::Sleep) {
            JobActivity::Planned(time) => _ = self.planned.remove(&(time, key)),
            JobActivity::Cooling(time, due) => {
                self.jobs[key].activity = JobActivity::Planned(time);
                self.planned.insert((time, key));
                self.set_timer(key, Some(due.get()));
                return false;
            }
            _ => {}
        }
        true
    }
}
