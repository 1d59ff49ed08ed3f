//! The retry rules: whether and when a notification is sent again. Reads no clock, performs no I/O.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::notifier::NotifierError;

/// The progress of a delivery, which a driver stores between two tries.
///
/// It has no clock. The driver makes a try when [`next_try_at`](Self::next_try_at) has passed, and
/// reports its result with [`handle_result`](Self::handle_result).
///
/// | result of a try | what follows |
/// |---|---|
/// | `Ok` | [`Delivered`](DeliveryState::Delivered) |
/// | a permanent error | [`Failed`](DeliveryState::Failed) |
/// | a transient error | another try. The delay starts at 1 s, doubles up to 5 min, and is shortened at random by up to a quarter |
/// | a transient error with `Retry-After` | another try, after that delay at the earliest; more than one hour counts as one hour |
/// | a transient error, and the next try would be more than three days after the first | [`Failed`](DeliveryState::Failed) |
///
/// # Examples
///
/// ```
/// use job_notify::{Delivery, DeliveryState, NotifierError};
/// use jiff::{SignedDuration, Timestamp};
///
/// let now = Timestamp::UNIX_EPOCH;
/// let mut delivery = Delivery::new();
/// let error = NotifierError::transient("hooks.example.com/cce answered 503 Service Unavailable");
/// delivery.handle_result(Err(error), now);
/// assert_eq!((delivery.state(), delivery.tries()), (DeliveryState::Pending, 1));
/// assert!(delivery.next_try_at().is_some_and(|at| at <= now + SignedDuration::from_secs(1)));
///
/// delivery.handle_result(Ok(()), now + SignedDuration::from_secs(1));
/// assert_eq!((delivery.state(), delivery.tries()), (DeliveryState::Delivered, 2));
/// assert_eq!(delivery.next_try_at(), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    state: DeliveryState,
    #[serde(default)]
    tries: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_try_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_try_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    /// Shortens the delays, so that deliveries that fail together are not repeated together.
    #[serde(default)]
    seed: u64,
}

/// Whether a notification is delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a driver has to handle each state")]
pub enum DeliveryState {
    /// There was no try yet, or another try follows.
    #[default]
    Pending,
    /// The receiver has accepted the notification.
    Delivered,
    /// The delivery was given up because of its last error.
    Failed,
}

/// The delay after the first try.
const MIN_RETRY_DELAY: Duration = Duration::from_secs(1);

/// The longest delay between two tries, except if the receiver requests a longer one.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(5 * 60);

/// The longest delay that a receiver can request.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// How long a notification is sent again: long enough for a receiver that is down over a weekend.
const MAX_DELIVERY_DURATION: Duration = Duration::from_secs(3 * 24 * 3600);

/// The maximum length of a stored error message, in bytes.
const MAX_ERROR_LEN: usize = 1024;

impl Delivery {
    /// Creates a delivery whose first try is due at once.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the number that the random part of the delays is derived from; 0 by default.
    ///
    /// Use a different number for each notification.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Gives the delivery up for another reason than the result of a try.
    ///
    /// Does nothing if the delivery has ended already.
    pub fn give_up(&mut self, reason: impl Into<String>) {
        if self.state == DeliveryState::Pending {
            self.state = DeliveryState::Failed;
            self.next_try_at = None;
            self.last_error = Some(truncated(reason.into()));
        }
    }

    /// Records the result of a try that ended at `now`.
    ///
    /// Does nothing if the delivery has ended already.
    pub fn handle_result(&mut self, result: Result<(), NotifierError>, now: Timestamp) {
        if self.state != DeliveryState::Pending {
            return;
        }
        self.tries = self.tries.saturating_add(1);
        let first = *self.first_try_at.get_or_insert(now);
        self.next_try_at = None;
        let Err(error) = result else {
            self.state = DeliveryState::Delivered;
            return;
        };
        self.last_error = Some(truncated(error.to_string()));
        let delay =
            self.backoff().max(error.retry_after().unwrap_or_default().min(MAX_RETRY_AFTER));
        let next = now.saturating_add(delay).unwrap_or(Timestamp::MAX);
        let end = first.saturating_add(MAX_DELIVERY_DURATION).unwrap_or(Timestamp::MAX);
        if error.is_permanent() || next > end {
            self.state = DeliveryState::Failed;
        } else {
            self.next_try_at = Some(next);
        }
    }

    /// Returns the delay after the last try, if the receiver requests none.
    fn backoff(&self) -> Duration {
        let doublings = self.tries.saturating_sub(1).min(31);
        let delay = MIN_RETRY_DELAY.saturating_mul(1 << doublings).min(MAX_RETRY_DELAY);
        let random = split_mix(self.seed.wrapping_add(self.tries.into()));
        // The upper 32 bits, as a part of a quarter of the delay.
        delay - (delay / 4).mul_f64((random >> 32) as f64 / 2_f64.powi(32))
    }

    /// Returns whether the notification is delivered.
    #[must_use]
    pub const fn state(&self) -> DeliveryState {
        self.state
    }

    /// Returns the number of tries so far.
    #[must_use]
    pub const fn tries(&self) -> u32 {
        self.tries
    }

    /// Returns when the next try is due, or `None` before the first try and after the last.
    #[must_use]
    pub const fn next_try_at(&self) -> Option<Timestamp> {
        self.next_try_at
    }

    /// Returns the message of the last try that failed, or of [`give_up`](Self::give_up). At most 1 KiB.
    #[must_use]
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }
}

impl DeliveryState {
    /// Returns the state in one word, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// Cuts a message at the last character that fits.
fn truncated(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(MAX_ERROR_LEN));
    message
}

/// Returns a number that looks random and depends on all bits of `seed` (SplitMix64).
const fn split_mix(seed: u64) -> u64 {
    let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap() + SignedDuration::from_secs_f64(seconds)
    }

    fn transient(retry_after: Option<u64>) -> Result<(), NotifierError> {
        Err(NotifierError::transient("busy").with_retry_after(retry_after.map(Duration::from_secs)))
    }

    /// Returns the delay after a failed try that is number `tries`.
    fn delay(seed: u64, tries: u32, retry_after: Option<u64>) -> f64 {
        let mut delivery = Delivery { tries: tries - 1, ..Delivery::new().with_seed(seed) };
        delivery.handle_result(transient(retry_after), at(0.0));
        delivery.next_try_at().unwrap().duration_since(at(0.0)).as_secs_f64()
    }

    #[test]
    fn delays_double_up_to_five_minutes_and_honor_retry_after() {
        // The try, the delay that the receiver requests, and the longest delay.
        let rows = [
            (1, None, 1.0),
            (2, None, 2.0),
            (3, None, 4.0),
            (9, None, 256.0),
            (10, None, 300.0),
            (1000, None, 300.0),
            (u32::MAX, None, 300.0),
        ];
        for (tries, retry_after, longest) in rows {
            let delays: Vec<f64> = (0..100).map(|seed| delay(seed, tries, retry_after)).collect();
            let fits = |delay: &f64| (longest * 0.75..=longest).contains(delay);
            assert!(delays.iter().all(fits), "{tries}: {delays:?}");
            let spread = |a: f64, b: &f64| a.max((b - delays[0]).abs());
            assert!(delays.iter().fold(0.0, spread) > longest * 0.1, "{tries}: {delays:?}");
        }
        let rows = [(1, 30, 30.0), (1, 3600, 3600.0), (1, 86_400, 3600.0), (1000, 3600, 3600.0)];
        for (tries, retry_after, expected) in rows {
            assert_eq!(delay(7, tries, Some(retry_after)), expected);
        }
        // A request for a shorter delay than the usual one changes nothing.
        assert_eq!(delay(7, 1000, Some(30)), delay(7, 1000, None));
    }

    #[test]
    fn results_determine_the_state() {
        use DeliveryState::{Delivered, Failed, Pending};
        /// The results of the tries, and the state and the last error after them.
        type Row = (Vec<Result<(), NotifierError>>, DeliveryState, Option<&'static str>);
        let permanent = || Err(NotifierError::permanent("gone"));
        let rows: [Row; 6] = [
            (vec![], Pending, None),
            (vec![Ok(())], Delivered, None),
            (vec![permanent()], Failed, Some("gone")),
            (vec![transient(None)], Pending, Some("busy")),
            (vec![transient(None), Ok(())], Delivered, Some("busy")),
            (vec![transient(None), transient(Some(9)), permanent()], Failed, Some("gone")),
        ];
        for (results, state, last_error) in rows {
            let mut delivery = Delivery::new();
            let tries = results.len() as u32;
            for result in results {
                delivery.handle_result(result, at(0.0));
            }
            let is_retried = state == Pending && tries > 0;
            assert_eq!((delivery.state(), delivery.last_error()), (state, last_error));
            assert_eq!((delivery.tries(), delivery.next_try_at().is_some()), (tries, is_retried));
            // A driver stores the delivery as text.
            let text = serde_json::to_string(&delivery).unwrap();
            assert_eq!(serde_json::from_str::<Delivery>(&text).unwrap(), delivery);
            // The end of a delivery does not change.
            if state != Pending {
                let before = delivery.clone();
                delivery.handle_result(Ok(()), at(9.0));
                delivery.handle_result(transient(None), at(9.0));
                assert_eq!(delivery, before);
            }
        }
    }

    #[test]
    fn a_pending_delivery_can_be_given_up() {
        let mut delivery = Delivery::new();
        delivery.handle_result(transient(None), at(0.0));
        delivery.give_up("canceled");
        assert_eq!((delivery.state(), delivery.tries()), (DeliveryState::Failed, 1));
        assert_eq!((delivery.last_error(), delivery.next_try_at()), (Some("canceled"), None));
        let mut delivery = Delivery::new();
        delivery.handle_result(Ok(()), at(0.0));
        delivery.give_up("canceled");
        assert_eq!((delivery.state(), delivery.last_error()), (DeliveryState::Delivered, None));
    }

    #[test]
    fn a_delivery_ends_after_three_days() {
        let days = 24.0 * 3600.0;
        for (seconds, expected) in [
            (2.9 * days, DeliveryState::Pending),
            (3.0 * days - 1.0, DeliveryState::Pending),
            (3.0 * days, DeliveryState::Failed),
        ] {
            let mut delivery = Delivery::new();
            delivery.handle_result(transient(None), at(0.0));
            delivery.tries = 0;
            delivery.handle_result(transient(None), at(seconds));
            assert_eq!(delivery.state(), expected, "{seconds}");
        }
    }

    #[test]
    fn long_messages_are_cut() {
        for message in ["x".repeat(5000), "ö".repeat(5000)] {
            let mut delivery = Delivery::new();
            delivery.handle_result(Err(NotifierError::transient(message.clone())), at(0.0));
            let kept = delivery.last_error().unwrap();
            assert!(kept.len() <= MAX_ERROR_LEN && message.starts_with(kept) && kept.len() > 1000);
        }
    }

    proptest! {
        /// A receiver that never answers gets between 860 and 1,200 tries in three days, and the
        /// delivery ends by itself.
        #[test]
        fn tries_are_bounded(seed: u64, retry_after in proptest::option::of(0_u64..200)) {
            let (mut delivery, mut now) = (Delivery::new().with_seed(seed), at(0.0));
            while delivery.state() == DeliveryState::Pending {
                prop_assert!(delivery.tries() < 2000);
                delivery.handle_result(transient(retry_after), now);
                if let Some(next) = delivery.next_try_at() {
                    prop_assert!(next > now);
                    now = next;
                }
            }
            prop_assert!((860..1200).contains(&delivery.tries()), "{}", delivery.tries());
            prop_assert!(now.duration_since(at(0.0)) <= SignedDuration::from_hours(72));
        }
    }
}
