//! Defines the phases of clusters and nodes, and the table of what each phase means.

use alloc::string::String;
use core::{convert::Infallible, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    decode::{BorrowedText, DeviationKind, StringField},
    printable::{Quoted, pad},
};

/// What the phase of an object means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a wait must handle each state")]
pub enum ObjectState {
    /// The object can be used.
    Ready,
    /// The object is changing, or its phase has no known meaning.
    UnderWay,
    /// The object is in an error state. It can still recover.
    Broken,
    /// The object does not exist: the service answers 404. No phase has this state.
    Gone,
}

impl ObjectState {
    /// Returns the name of the state as it is serialized, such as `under_way`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::UnderWay => "under_way",
            Self::Broken => "broken",
            Self::Gone => "gone",
        }
    }
}

/// Writes for example `under way`.
impl fmt::Display for ObjectState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::UnderWay => "under way",
            Self::Ready | Self::Broken | Self::Gone => self.as_str(),
        })
    }
}

/// Defines the phases of a kind of objects. Each phase is named like the service's text, and has its
/// state beside it.
macro_rules! phases {
    ($(#[$docs:meta])+ $phases:ident {
        $($(#[$phase_docs:meta])+ $phase:ident => $state:ident),+ $(,)?
    }) => {
        $(#[$docs])+
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $phases {
            $($(#[$phase_docs])+ $phase,)+
            /// Any other text, as the service sent it.
            Unknown(String),
        }

        impl $phases {
            const KNOWN_PHASES: &'static [Self] = &[$(Self::$phase),+];

            /// Returns what the phase means. An unknown phase is under way.
            #[must_use]
            pub const fn state(&self) -> ObjectState {
                match self {
                    $(Self::$phase => ObjectState::$state,)+
                    Self::Unknown(_) => ObjectState::UnderWay,
                }
            }

            /// Returns the phase in the service's spelling.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$phase => stringify!($phase),)+
                    Self::Unknown(text) => text,
                }
            }
        }

        /// Parses a known phase in any ASCII case. An empty string becomes `Unknown` here, but in an
        /// object it is read as an absent phase.
        impl From<&str> for $phases {
            fn from(text: &str) -> Self {
                let is_text = |known: &&Self| known.as_str().eq_ignore_ascii_case(text);
                let known = Self::KNOWN_PHASES.iter().find(is_text);
                known.cloned().unwrap_or_else(|| Self::Unknown(text.into()))
            }
        }

        /// Parses a known phase like a `&str`, and otherwise keeps the string.
        impl From<String> for $phases {
            fn from(text: String) -> Self {
                match Self::from(&*text) {
                    Self::Unknown(_) => Self::Unknown(text),
                    known => known,
                }
            }
        }

        /// Never fails, because any other text is `Unknown`.
        impl FromStr for $phases {
            type Err = Infallible;

            fn from_str(text: &str) -> Result<Self, Infallible> {
                Ok(text.into())
            }
        }

        /// Reads an empty string as an absent phase.
        impl StringField for $phases {
            fn read(text: &str) -> (Option<Self>, Option<DeviationKind>) {
                let phase = Self::from(text);
                let is_odd = matches!(phase, Self::Unknown(_)) || phase.as_str() != text;
                let deviation = is_odd.then_some(DeviationKind::UnrecognizedPhase);
                ((!text.is_empty()).then_some(phase), deviation)
            }

            fn as_text(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Display for $phases {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    // Quoted and escaped, because an unknown text may contain control characters.
                    Self::Unknown(text) => pad(f, format_args!("{}", Quoted(text))),
                    known => f.pad(known.as_str()),
                }
            }
        }

        impl Serialize for $phases {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $phases {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let BorrowedText(text) = BorrowedText::deserialize(deserializer)?;
                Ok(Self::from(&*text))
            }
        }
    };
}

phases! {
    /// The phase of a cluster.
    ///
    /// ```
    /// use job_model::object::{ClusterPhase, ObjectState};
    ///
    /// assert_eq!(ClusterPhase::from("available").state(), ObjectState::Ready);
    /// assert_eq!(ClusterPhase::from("Moving").state(), ObjectState::UnderWay);
    /// ```
    ClusterPhase {
        /// The cluster is in its normal state.
        Available => Ready,
        /// The cluster does not work. The vendor's documents say that it must be deleted by hand; a
        /// wait still gives it two minutes to recover.
        Unavailable => Broken,
        /// Nodes are being added.
        ScalingUp => UnderWay,
        /// Nodes are being removed.
        ScalingDown => UnderWay,
        /// The cluster is being created.
        Creating => UnderWay,
        /// The cluster is being deleted.
        Deleting => UnderWay,
        /// The cluster is being upgraded.
        Upgrading => UnderWay,
        /// The cluster's size is being changed.
        Resizing => UnderWay,
        /// The cluster's size could not be changed.
        ResizeFailed => Broken,
        /// An upgrade is being rolled back.
        RollingBack => UnderWay,
        /// An upgrade could not be rolled back.
        RollbackFailed => Broken,
        /// The cluster is being hibernated.
        Hibernating => UnderWay,
        /// The cluster is hibernated. It is neither ready nor broken, so a wait goes on until its
        /// deadline.
        Hibernation => UnderWay,
        /// The cluster is waking from hibernation.
        Awaking => UnderWay,
        /// The cluster is being frozen, for example because of arrears. It is neither ready nor
        /// broken, so a wait goes on until its deadline.
        Freezing => UnderWay,
        /// The cluster has no resources. The service calls this phase deprecated.
        Empty => UnderWay,
        /// The cluster's resources have an error.
        Error => Broken,
    }
}

phases! {
    /// The phase of a node.
    ///
    /// It has no meaning if the service has not checked the node for a while
    /// ([`Node::state_at`](super::Node::state_at)).
    ///
    /// ```
    /// use job_model::object::{NodePhase, ObjectState};
    ///
    /// assert_eq!(NodePhase::from("Active").state(), ObjectState::Ready);
    /// assert_eq!(NodePhase::from("Abnormal").state(), ObjectState::Broken);
    /// ```
    NodePhase {
        /// The node is in its normal state.
        Active => Ready,
        /// The node is being created.
        Build => UnderWay,
        /// The node is being added to the cluster.
        Installing => UnderWay,
        /// The node is being upgraded.
        Upgrading => UnderWay,
        /// The node is being deleted.
        Deleting => UnderWay,
        /// The node is being repaired.
        Repairing => UnderWay,
        /// The node could not be repaired.
        RepairFailed => Broken,
        /// The node is not in its normal state.
        Abnormal => Broken,
        /// The node has an error.
        Error => Broken,
    }
}

#[cfg(test)]
mod tests;
