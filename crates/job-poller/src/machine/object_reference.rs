//! Compares waits until objects are ready or gone with a simple model of the service, for random
//! jobs, objects, faults and restarts.

mod world;

use job_model::object::ObjectId;
use job_transport::ErrorClass;
use proptest::prelude::*;

use self::world::{Condition, Trouble, World, worlds};
use super::{outcome::Outcome, script::cases, *};
use crate::schedule::Exponential;

/// What the wait could see: the true condition of each object at each reply about it.
#[derive(Default)]
struct Seen {
    job_was_read: bool,
    /// Whether a reply has shown the success of the job.
    job_succeeded: bool,
    objects: Vec<(ObjectId, Duration, Condition)>,
}

impl Seen {
    fn conditions<'a>(
        &'a self,
        id: &'a ObjectId,
    ) -> impl Iterator<Item = (Duration, Condition)> + 'a {
        self.objects.iter().filter(move |(seen, ..)| seen == id).map(|(_, at, c)| (*at, *c))
    }

    /// Returns whether the object was seen in this condition twice with at least this time between.
    fn twice(&self, id: &ObjectId, condition: Condition, apart: Duration) -> bool {
        let times: Vec<_> = self.conditions(id).filter(|(_, seen)| *seen == condition).collect();
        let first = times.first().map(|(at, _)| *at);
        let last = times.last().map(|(at, _)| *at);
        times.len() > 1 && last.zip(first).is_some_and(|(last, first)| last - first >= apart)
    }
}

static SCHEDULE: Exponential = Exponential::new(Duration::from_secs(2)..=Duration::from_secs(20));

/// Runs a wait in the world, and checks its result.
fn check(mut world: World) {
    let (mut machine, mut now, mut input) = (world.machine(), Duration::ZERO, Input::Wake);
    let (mut seen, mut requests, mut steps) = (Seen::default(), 0, 0_u32);
    let (mut latest_restart, mut request) = (Duration::ZERO, None);
    // After a restart the job, and then each object, is read once more even if the deadline has passed.
    // Lookups of sub-jobs may come in between.
    let attempts = 1 + u32::try_from(world.objects.len()).unwrap();
    let extra = (Duration::from_secs(30) + world.wake_latency) * attempts + Duration::from_secs(10);
    loop {
        steps += 1;
        assert!(steps < 20_000, "the wait does not end");
        if let Some(pause) = world.restarts.get(&steps) {
            let text = serde_json::to_string(&machine).unwrap();
            machine = serde_json::from_str::<Machine>(&text).unwrap().resume();
            now += *pause;
            if let Some(until) = world.until_after_restart.take() {
                world.until = until;
                machine = machine.with_policy(world.policy());
            }
            latest_restart = now;
            // The reply to a request in flight is lost.
            (request, input) = (None, Input::Wake);
        }
        if let Some(request) = request.take() {
            record(&world, &mut seen, &request, &input, now);
        }
        let step = machine.step(&SCHEDULE, now, input);
        match step.action {
            Action::SleepUntil(at) => {
                let is_late = latest_restart > Duration::ZERO && at <= latest_restart + extra;
                assert!(at < world.timeout || is_late, "a sleep past the deadline");
                now = now.max(at) + world.wake_latency;
                input = Input::Wake;
            }
            Action::Finish(result) => {
                let end = world.timeout + world.wake_latency;
                assert!(
                    now <= end
                        || (latest_restart > Duration::ZERO && now <= latest_restart + extra),
                    "{now:?}"
                );
                return check_result(&world, &seen, now, &result);
            }
            action @ (Action::Fetch { .. } | Action::FetchObject { .. }) => {
                let then;
                (input, then) = world.answer(&action, requests, now);
                requests += 1;
                now = then;
                request = Some(action);
            }
        }
    }
}

/// Records what a reply shows, if it is about what was asked for.
fn record(world: &World, seen: &mut Seen, action: &Action, input: &Input, now: Duration) {
    match (action, input) {
        (Action::Fetch { id, .. }, Input::Reading { snapshot, .. })
            if snapshot.job().uid() == Some(id.as_str()) =>
        {
            seen.job_was_read = true;
            seen.job_succeeded |= id.as_str() == "job" && now >= world.job_end && !world.job_fails;
        }
        (Action::FetchObject { id, .. }, Input::Object { object, .. })
            if object.uid.as_deref() == Some(id.as_str()) =>
        {
            assert!(world.ids().contains(id), "{id} is not an object of the job");
            seen.objects.push((id.clone(), now, world.condition(id, now)));
        }
        (Action::FetchObject { id, .. }, Input::Error(error))
            if error.class == ErrorClass::NotFound =>
        {
            seen.objects.push((id.clone(), now, Condition::Missing));
        }
        _ => {}
    }
}

fn check_result(
    world: &World,
    seen: &Seen,
    now: Duration,
    result: &Result<FinishedJob, WaitError>,
) {
    let ids = world.ids();
    match result {
        Ok(finished) => {
            if let Outcome::Failed(_) = finished.outcome {
                assert!(world.job_fails && now >= world.job_end, "the job did not fail");
                return;
            }
            if finished.outcome == Outcome::Succeeded {
                assert!(world.until == Until::Ended && seen.job_succeeded, "no object was read");
                return;
            }
            // The result is about exactly the objects of this job, after its end.
            let shown: Vec<_> = finished.objects.iter().map(|object| object.id.clone()).collect();
            assert_eq!(shown, ids);
            if world.job_type.is_some() {
                assert_eq!(finished.is_job_gone, !seen.job_succeeded, "how the job ended");
                assert!(seen.job_was_read, "the job was never read");
                assert!(seen.job_succeeded || world.is_forgotten(now), "the job is neither");
            }
            let creates = world.job_type.is_some_and(|job_type| job_type.starts_with("Create"));
            if finished.is_job_gone {
                assert_ne!(world.job_type, Some("UpgradeCluster"), "the cluster is not its own");
            }
            let is_late = now + Duration::from_secs(4) >= world.timeout;
            let is_gone = |id| seen.twice(id, Condition::Missing, Duration::from_secs(10));
            let is_broken = |id| seen.twice(id, Condition::Broken, Duration::from_secs(120));
            for (id, object) in ids.iter().zip(&world.objects) {
                let was = |condition| seen.conditions(id).any(|(_, seen)| seen == condition);
                let is_own = !finished.is_job_gone || !creates || object.created_after_job >= -300;
                let was_ready = was(Condition::Ready) && is_own;
                match finished.outcome {
                    Outcome::Ready => {
                        assert!(was_ready && !world.wants_gone(), "{id} was not ready");
                    }
                    Outcome::Gone if world.wants_gone() => assert!(is_gone(id), "{id} is not gone"),
                    // At the deadline, one that has failed is enough.
                    _ => assert!(
                        is_late || was_ready || is_gone(id) || is_broken(id),
                        "the state of {id} is open"
                    ),
                }
            }
            match finished.outcome {
                Outcome::Broken => assert!(ids.iter().any(is_broken), "none is broken"),
                Outcome::Gone => assert!(ids.iter().any(is_gone), "none is gone"),
                _ => {}
            }
        }
        Err(error) => check_error(world, seen, now, error),
    }
}

fn check_error(world: &World, seen: &Seen, now: Duration, error: &WaitError) {
    let is_late = now + Duration::from_secs(4) >= world.timeout;
    match error.kind() {
        WaitErrorKind::NotReady => assert!(is_late && !world.wants_gone(), "not at the deadline"),
        WaitErrorKind::DeadlineExceeded => {
            // There may be no time to confirm that an object is gone.
            let reserve = Duration::from_secs(if world.wants_gone() { 11 } else { 4 });
            assert!(now + reserve >= world.timeout, "not at the deadline");
        }
        WaitErrorKind::NotFound => {
            let was_read = |(_, _, condition): &(ObjectId, Duration, Condition)| {
                *condition != Condition::Missing
            };
            assert!(!seen.job_was_read && !seen.objects.iter().any(was_read), "it was read");
        }
        WaitErrorKind::Vanished => assert!(world.is_forgotten(now), "the job still exists"),
        // A sub-job that is needed was forgotten.
        WaitErrorKind::NoObject => assert!(world.omits_steps, "the job names its objects"),
        WaitErrorKind::Unauthorized
        | WaitErrorKind::Permanent
        | WaitErrorKind::Mismatch
        | WaitErrorKind::Unreadable
        | WaitErrorKind::Unreachable => {
            let has_trouble = |trouble: &Trouble| !matches!(trouble, Trouble::None);
            assert!(world.troubles.iter().any(has_trouble), "{error}");
        }
        WaitErrorKind::TooManyErrors | WaitErrorKind::Stalled | WaitErrorKind::Stopped => {
            panic!("the policy has no such limit: {error}")
        }
    }
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn waits_for_objects_agree_with_the_model_of_the_service(world in worlds()) {
        check(world);
    }
}
