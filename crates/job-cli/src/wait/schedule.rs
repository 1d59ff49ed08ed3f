//! Parses the argument of `--schedule`: `adaptive`, `fixed:10s` or `exponential:1s..30s`.

use std::{str::FromStr, sync::Arc, time::Duration};

use anyhow::{Context, anyhow, ensure};
use job_poller::schedule::{Exponential, Fixed, Schedule};

use crate::terminal::DurationArg;

/// The schedule of all waits.
#[derive(Clone)]
pub(crate) enum ScheduleArg {
    /// Polls when jobs are likely to end, according to the history.
    Adaptive,
    /// Another schedule.
    Custom(Arc<dyn Schedule>),
}

impl FromStr for ScheduleArg {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let form = || anyhow!("expected adaptive, fixed:10s or exponential:1s..30s");
        let pause = |text: &str| {
            let DurationArg(pause) =
                text.parse().with_context(|| format!("invalid delay {text:?}"))?;
            ensure!(pause >= MIN_DELAY, "a delay must be at least {}", DurationArg(MIN_DELAY));
            Ok(pause)
        };
        Ok(Self::Custom(match text.split_once(':') {
            None if text == "adaptive" => return Ok(Self::Adaptive),
            Some(("fixed", gap)) => Arc::new(Fixed::new(pause(gap)?)),
            Some(("exponential", gaps)) => {
                let (floor, cap) = gaps.split_once("..").ok_or_else(form)?;
                let (floor, cap) = (pause(floor)?, pause(cap)?);
                ensure!(floor <= cap, "{} is longer than {}", DurationArg(floor), DurationArg(cap));
                Arc::new(Exponential::new(floor..=cap))
            }
            _ => return Err(form()),
        }))
    }
}

/// Minimum delay. A shorter one is probably a mistaken unit.
const MIN_DELAY: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use job_poller::schedule::PollState;

    use super::*;

    #[test]
    fn schedule_arguments_parse_or_are_rejected() {
        assert!(matches!("adaptive".parse(), Ok(ScheduleArg::Adaptive)));
        let form = "expected adaptive, fixed:10s or exponential:1s..30s";
        let rows = [
            ("fixed:10s", Ok(10..=10)),
            ("exponential:2s..1m", Ok(2..=4)),
            ("exponential:5s..5s", Ok(5..=5)),
            ("exponential:30s..1s", Err("30s is longer than 1s")),
            ("exponential:1s", Err(form)),
            ("fixed", Err(form)),
            ("fixed:10", Err("invalid delay \"10\": add a unit, for example 10s or 10m")),
            ("fixed:1ms", Err("a delay must be at least 10ms")),
            ("Adaptive", Err(form)),
            ("", Err(form)),
        ];
        for (text, expected) in rows {
            let seen = PollState::new(Duration::ZERO, 1);
            match (text.parse::<ScheduleArg>(), expected) {
                (Ok(ScheduleArg::Custom(schedule)), Ok(seconds)) => {
                    let delay = schedule.plan(&seen).delay.as_secs();
                    assert!(seconds.contains(&delay), "{text}: {delay}");
                }
                (Err(error), Err(expected)) => assert_eq!(format!("{error:#}"), expected, "{text}"),
                (parsed, _) => panic!("{text}: {:?}", parsed.err()),
            }
        }
    }
}
