//! Schedules behind a pointer.

use super::*;

/// Returns what it was asked about.
struct Echo;

impl Schedule for Echo {
    fn pause(&self, state: &PollState<'_>) -> Duration {
        state.elapsed
    }

    fn urgency(&self, state: &PollState<'_>) -> Option<f64> {
        Some(f64::from(state.count))
    }
}

#[test]
fn pointers_forward_to_their_schedule() {
    let schedules: [&dyn Schedule; 3] = [&Echo, &Arc::new(Echo), &Box::new(Echo)];
    let state = PollState::new(Duration::from_secs(5), 7);
    for schedule in schedules {
        assert_eq!(schedule.pause(&state), state.elapsed);
        assert_eq!(schedule.urgency(&state), Some(7.0));
    }
    assert_eq!(Fixed::new(state.elapsed).urgency(&state), None, "unless it is implemented");
}
