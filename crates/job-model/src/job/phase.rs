//! Defines the phase of a job: the four documented phases, or any other text.

use alloc::string::String;
use core::{convert::Infallible, fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

use crate::{
    decode::{DeviationKind, StringField},
    printable::{Quoted, pad},
};

/// The state of a job (reference page, table 6).
///
/// ```
/// use job_model::Phase;
///
/// assert_eq!(Phase::from("SUCCESS"), Phase::Success);
/// assert!(Phase::from("Failed").is_terminal());
/// assert!(!Phase::from("Upgrading").is_terminal());
/// assert_eq!("running".parse(), Ok(Phase::Running));
/// assert_eq!(format!("{:>8}|", Phase::Failed), "  Failed|");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "every other phase is `Unknown`, so a caller's match needs no wildcard"
)]
pub enum Phase {
    /// The job has been created but has not started.
    Initializing,
    /// The job is running. This holds even if all its sub-jobs have ended.
    Running,
    /// The job failed. Terminal.
    Failed,
    /// The job succeeded. Terminal.
    Success,
    /// Any other text, as the service sent it. Never terminal.
    Unknown(String),
}

impl Phase {
    const KNOWN_PHASES: [Self; 4] =
        [Self::Initializing, Self::Running, Self::Failed, Self::Success];

    /// Returns `true` if the job has ended. Only `Success` and `Failed` are terminal.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Success | Self::Failed)
    }

    /// Returns the phase in the service's spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Initializing => "Initializing",
            Self::Running => "Running",
            Self::Failed => "Failed",
            Self::Success => "Success",
            Self::Unknown(text) => text,
        }
    }
}

/// Parses a known phase in any ASCII case. An empty string becomes `Unknown` here, but in a job it
/// is read as an absent phase.
impl From<&str> for Phase {
    fn from(text: &str) -> Self {
        Self::KNOWN_PHASES
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(text))
            .unwrap_or_else(|| Self::Unknown(text.into()))
    }
}

/// Parses a known phase like [`Phase::from`] a `&str`, and otherwise keeps the string.
impl From<String> for Phase {
    fn from(text: String) -> Self {
        match Self::from(&*text) {
            Self::Unknown(_) => Self::Unknown(text),
            known => known,
        }
    }
}

/// Never fails, because any other text is [`Phase::Unknown`].
impl FromStr for Phase {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

/// Reads an empty string as an absent phase.
impl StringField for Phase {
    fn read(text: &str) -> (Option<Self>, Option<DeviationKind>) {
        let phase = Self::from(text);
        let odd = matches!(phase, Self::Unknown(_)) || phase.as_str() != text;
        ((!text.is_empty()).then_some(phase), odd.then_some(DeviationKind::UnrecognizedPhase))
    }

    fn as_text(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Quoted and escaped, because an unknown text may contain control characters.
            Self::Unknown(text) => pad(f, format_args!("{}", Quoted(text))),
            known => f.pad(known.as_str()),
        }
    }
}

impl Serialize for Phase {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Phase {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(PhaseVisitor)
    }
}

/// Parses the borrowed string, so that a known phase does not allocate.
struct PhaseVisitor;

impl Visitor<'_> for PhaseVisitor {
    type Value = Phase;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a phase")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Phase, E> {
        Ok(Phase::from(text))
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn phases_parse_and_display_with_a_width() {
        let rows = [
            ("SUCCESS", Phase::Success, "Success   |Suc"),
            ("running", Phase::Running, "Running   |Run"),
            ("Failed", Phase::Failed, "Failed    |Fai"),
            ("initializing", Phase::Initializing, "Initializing|Ini"),
            ("a\n", Phase::Unknown("a\n".into()), "\"a\\n\"     |\"a\\"),
            ("", Phase::Unknown("".into()), "\"\"        |\"\""),
        ];
        for (text, phase, shown) in rows {
            assert_eq!(text.parse(), Ok(phase.clone()));
            assert_eq!(Phase::from(String::from(text)), phase);
            assert_eq!(format!("{phase:10}|{phase:.3}"), shown);
        }
    }
}
