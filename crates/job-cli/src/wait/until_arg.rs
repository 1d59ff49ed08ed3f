//! The argument of `--until`: `ended`, `ready` or `gone`.

use clap::{ValueEnum, builder::PossibleValue};
use job_poller::Until;

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UntilArg(pub(crate) Until);

impl ValueEnum for UntilArg {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self(Until::Ended), Self(Until::Ready), Self(Until::Gone)]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.as_str()))
    }
}
