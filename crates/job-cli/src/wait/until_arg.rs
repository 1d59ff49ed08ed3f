//! The argument of `--until`: `ended`, `ready` or `gone`.

use std::str::FromStr;

use anyhow::anyhow;
use job_poller::Until;

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UntilArg(pub(crate) Until);

impl FromStr for UntilArg {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let known = [Until::Ended, Until::Ready, Until::Gone];
        let found = known.into_iter().find(|until| until.as_str() == text);
        found.map(Self).ok_or_else(|| anyhow!("expected ended, ready or gone"))
    }
}
