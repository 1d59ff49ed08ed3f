//! Tests that `Arc`, `Box` and references forward to their schedule.

use super::*;

/// Returns values from its input.
struct Echo;

impl Schedule for Echo {
    fn plan(&self, state: &PollState<'_>) -> PollPlan {
        PollPlan::after(state.elapsed).with_urgency(f64::from(state.count))
    }
}

#[test]
fn pointers_forward_to_their_schedule() {
    let schedules: [&dyn Schedule; 3] = [&Echo, &Arc::new(Echo), &Box::new(Echo)];
    let state = PollState::new(Duration::from_secs(5), 7);
    for schedule in schedules {
        assert_eq!(schedule.plan(&state), PollPlan { delay: state.elapsed, urgency: Some(7.0) });
    }
    assert_eq!(Fixed::new(state.elapsed).plan(&state), PollPlan::after(state.elapsed));
}
