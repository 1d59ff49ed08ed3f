//! Implements the methods that clusters and nodes have in common.

use super::ObjectKind;

/// Returns whether a `kind` is that of an object. Its case varies between documents.
pub(crate) fn is_kind(text: &str, kind: ObjectKind) -> bool {
    text.eq_ignore_ascii_case(kind.as_str())
}

/// Implements `Debug` for a part of an object. Raw fields can contain user data and keys, so it shows
/// only their names and sizes.
macro_rules! debug_without_raw_text {
    ($part:ident { $($field:ident),+ }) => {
        impl core::fmt::Debug for $part {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let Self { $($field,)+ raw_fields } = self;
                f.debug_struct(stringify!($part))
                    $(.field(stringify!($field), $field))+
                    .field("raw_fields", &raw_fields.sizes())
                    .finish()
            }
        }
    };
}

pub(super) use debug_without_raw_text;

/// Implements what clusters and nodes have in common. Takes the type, its status and its phase.
macro_rules! object_methods {
    ($object:ident, $status:ident, $phase:ident, $noun:literal) => {
        impl $crate::decode::Body for $object {
            const NOUN: &'static str = concat!("a ", $noun);

            const FIELD_NAMES: &'static $crate::decode::KnownNames = &[
                <$object as $crate::decode::JsonObject>::NAMES,
                <$crate::object::ObjectMetadata as $crate::decode::JsonObject>::NAMES,
                <$status as $crate::decode::JsonObject>::NAMES,
                &["spec"],
            ];
        }

        impl $object {
            #[doc = concat!("Creates a ", $noun, " without any field.")]
            #[must_use]
            pub fn new() -> Self {
                Self::default()
            }

            #[doc = concat!("Decodes a ", $noun, " and drops the deviations.")]
            ///
            /// The rules are those of [`Decoded::from_slice`](crate::Decoded::from_slice). Any JSON
            /// object is accepted; see [`is_foreign`](Self::is_foreign).
            ///
            /// # Errors
            ///
            /// Returns an error if the body is not valid JSON, is truncated, is not an object, or
            /// has a known field twice in one object.
            pub fn from_slice(body: &[u8]) -> Result<Self, $crate::decode::DecodeError> {
                Self::decode(body).map(|decoded| decoded.object)
            }

            #[doc = concat!("Decodes a ", $noun, ", and lists the deviations of its body.")]
            ///
            /// # Errors
            ///
            /// Returns an error in the same cases as [`from_slice`](Self::from_slice).
            pub fn decode(
                body: &[u8],
            ) -> Result<$crate::object::DecodedObject<Self>, $crate::decode::DecodeError> {
                let (object, deviations) = $crate::decode::decode(body, Default::default())?;
                Ok($crate::object::DecodedObject { object, deviations })
            }

            #[doc = concat!("Returns `true` if the decoded body is not a ", $noun, ".")]
            ///
            #[doc = concat!("Decoding accepts every object. This one is not a ", $noun, " if")]
            ///
            #[doc = concat!("- its `kind` is something else than ", $noun, ", in any ASCII case;")]
            /// - it has none of `metadata`, `spec` and `status`. If it has no `kind`, one of them must
            ///   be an object;
            /// - it has no `status`, and is a list: `items` is an array.
            ///
            /// [`ForeignBody::from_object_body`](crate::reply::ForeignBody::from_object_body)
            /// describes what it is.
            #[must_use]
            pub fn is_foreign(&self) -> bool {
                // An unknown field can be repeated. Each one that is not null counts.
                let has_raw = |name, is_it: fn(&str) -> bool| {
                    let is_given = |json: &str| json != "null" && is_it(json);
                    self.raw_fields.iter().any(|(known, json)| known == name && is_given(json))
                };
                let has_kind = match &self.kind {
                    Some(kind) if !$crate::object::is_kind(kind, Self::KIND) => return true,
                    _ if has_raw("kind", |_| true) => return true,
                    kind => kind.is_some(),
                };
                let has_status = self.status.is_some() || has_raw("status", |_| true);
                if !has_status && has_raw("items", |json| json.starts_with('[')) {
                    return true;
                }
                let is_part = |name| match has_kind {
                    true => has_raw(name, |_| true),
                    false => has_raw(name, |json| json.starts_with('{')),
                };
                let has_parts = self.metadata.is_some()
                    || self.status.is_some()
                    || ["metadata", "spec", "status"].into_iter().any(is_part);
                !has_parts
            }

            /// Returns the phase, or `None` if the service omitted it or sent an empty string.
            #[must_use]
            pub fn phase(&self) -> Option<&$phase> {
                self.status.as_ref()?.phase.as_ref()
            }

            /// Returns the object's id.
            #[must_use]
            pub fn uid(&self) -> Option<&str> {
                self.metadata.as_ref()?.uid.as_deref()
            }

            /// Returns the object's name.
            #[must_use]
            pub fn name(&self) -> Option<&str> {
                self.metadata.as_ref()?.name.as_deref()
            }

            /// Returns `creationTimestamp`, or `None` if it is missing or not a time.
            #[must_use]
            pub fn created_at(&self) -> Option<jiff::Timestamp> {
                self.metadata.as_ref()?.creation_timestamp.as_ref()?.instant()
            }

            /// Returns `updateTimestamp`, or `None` if it is missing or not a time.
            #[must_use]
            pub fn updated_at(&self) -> Option<jiff::Timestamp> {
                self.metadata.as_ref()?.update_timestamp.as_ref()?.instant()
            }

            /// Returns `status.reason`, a short reason for the phase, if it is not empty.
            #[must_use]
            pub fn reason(&self) -> Option<&str> {
                self.status.as_ref()?.reason.as_deref().filter(|text| !text.is_empty())
            }

            /// Returns `status.message`, the details of the reason, if it is not empty.
            #[must_use]
            pub fn message(&self) -> Option<&str> {
                self.status.as_ref()?.message.as_deref().filter(|text| !text.is_empty())
            }

            /// Returns `status.jobID`, the job that changes the object, if it is not empty.
            #[must_use]
            pub fn job_id(&self) -> Option<&str> {
                self.status.as_ref()?.job_id.as_deref().filter(|text| !text.is_empty())
            }

            /// Sets `metadata.uid`.
            #[must_use]
            pub fn with_uid(mut self, uid: impl Into<String>) -> Self {
                self.metadata.get_or_insert_default().uid = Some(uid.into());
                self
            }

            /// Sets `metadata.name`.
            #[must_use]
            pub fn with_name(mut self, name: impl Into<String>) -> Self {
                self.metadata.get_or_insert_default().name = Some(name.into());
                self
            }

            /// Sets `metadata.creationTimestamp` to a text in the service's format, or to an instant.
            #[must_use]
            pub fn with_creation_timestamp(
                mut self,
                time: impl Into<$crate::job::Timestamp>,
            ) -> Self {
                self.metadata.get_or_insert_default().creation_timestamp = Some(time.into());
                self
            }

            /// Sets `status.phase`. An empty text removes the phase.
            #[must_use]
            pub fn with_phase(mut self, phase: impl Into<$phase>) -> Self {
                let status = self.status.get_or_insert_default();
                status.raw_fields.remove("phase");
                status.phase = match phase.into() {
                    $phase::Unknown(text) if text.is_empty() => None,
                    $phase::Unknown(text) => Some($phase::from(text)),
                    known => Some(known),
                };
                self
            }

            /// Sets `status.reason`.
            #[must_use]
            pub fn with_reason(mut self, reason: impl Into<String>) -> Self {
                self.status.get_or_insert_default().reason = Some(reason.into());
                self
            }

            /// Sets `status.message`.
            #[must_use]
            pub fn with_message(mut self, message: impl Into<String>) -> Self {
                self.status.get_or_insert_default().message = Some(message.into());
                self
            }

            /// Sets `status.jobID`.
            #[must_use]
            pub fn with_job_id(mut self, job_id: impl Into<String>) -> Self {
                self.status.get_or_insert_default().job_id = Some(job_id.into());
                self
            }
        }

        #[doc = concat!("Decodes a ", $noun, " that is part of a larger document, with the same rules as")]
        #[doc = concat!("[`", stringify!($object), "::from_slice`].")]
        ///
        /// The [formats](crate::Job#formats) are those of a job. Deviations are not reported.
        impl<'de> serde::Deserialize<'de> for $object {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::decode::deserialize(deserializer)
            }
        }

        /// Shows the most important fields, or all of them with `{:#?}`. Of raw fields it shows only the
        /// names and sizes.
        impl core::fmt::Debug for $object {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                if f.alternate() {
                    let Self { kind, api_version, metadata, status, raw_fields } = self;
                    return f
                        .debug_struct(stringify!($object))
                        .field("kind", kind)
                        .field("api_version", api_version)
                        .field("metadata", metadata)
                        .field("status", status)
                        .field("raw_fields", &raw_fields.sizes())
                        .finish();
                }
                f.debug_struct(stringify!($object))
                    .field("uid", &self.uid())
                    .field("name", &self.name())
                    .field("phase", &self.phase())
                    .finish_non_exhaustive()
            }
        }
    };
}

pub(super) use object_methods;
