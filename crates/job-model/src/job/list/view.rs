//! Reads the most important fields of a row that has the form of the reference page, without an
//! allocation. Rejects every other row without a reason; it is then decoded into a job.

use alloc::borrow::Cow;
use core::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::Column;
use crate::{
    decode::{BorrowedText, Field, Limits, RemainingLimits},
    job::{Job, SubJobs},
};

/// The texts of a row that can be read without decoding it, by column.
pub(super) type Texts<'a> = [Option<Cow<'a, str>>; Column::COUNT];

/// A row. If it can be read, it can be decoded into a job: no known field is given twice, and the
/// sub-jobs are valid and within the limits. Some fields are only read to notice a duplicate.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct View<'a> {
    kind: Option<IgnoredAny>,
    api_version: Option<IgnoredAny>,
    #[serde(borrow)]
    metadata: Option<Map<MetadataView<'a>>>,
    #[serde(borrow)]
    spec: Option<Map<SpecView<'a>>>,
    #[serde(borrow)]
    status: Option<Map<StatusView<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct MetadataView<'a> {
    #[serde(borrow)]
    uid: Option<BorrowedText<'a>>,
    #[serde(borrow)]
    creation_timestamp: Option<BorrowedText<'a>>,
    #[serde(borrow)]
    update_timestamp: Option<BorrowedText<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SpecView<'a> {
    #[serde(borrow, rename = "type")]
    job_type: Option<BorrowedText<'a>>,
    #[serde(borrow, rename = "clusterUID", alias = "clusteruid")]
    cluster_uid: Option<BorrowedText<'a>>,
    #[serde(borrow, rename = "resourceID", alias = "resourceid")]
    resource_id: Option<BorrowedText<'a>>,
    #[serde(borrow, alias = "resourcename")]
    resource_name: Option<BorrowedText<'a>>,
    #[serde(alias = "extendparam")]
    extend_param: Option<IgnoredAny>,
    #[serde(alias = "subjobs")]
    sub_jobs: Option<ValidSubJobs>,
    owner_job: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct StatusView<'a> {
    #[serde(borrow, alias = "status")]
    phase: Option<BorrowedText<'a>>,
    reason: Option<IgnoredAny>,
    message: Option<IgnoredAny>,
    #[serde(borrow)]
    completion_time: Option<BorrowedText<'a>>,
}

/// An object. A derived implementation also accepts an array.
#[derive(Default)]
pub(super) struct Map<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Map<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MapVisitor(PhantomData)).map(Self)
    }
}

struct MapVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for MapVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// Sub-jobs that were decoded, to find out whether they can be.
struct ValidSubJobs;

impl<'de> Deserialize<'de> for ValidSubJobs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut remaining = RemainingLimits::new(Limits::default());
        SubJobs::decode_fast(&mut None, deserializer, &mut remaining).map(|()| Self)
    }
}

impl<'a> View<'a> {
    pub(super) fn into_texts(self) -> Texts<'a> {
        let text = |text: Option<BorrowedText<'a>>| text.map(|BorrowedText(text)| text);
        let Map(metadata) = self.metadata.unwrap_or_default();
        let Map(spec) = self.spec.unwrap_or_default();
        let Map(status) = self.status.unwrap_or_default();
        [
            text(metadata.uid),
            text(metadata.creation_timestamp),
            text(metadata.update_timestamp),
            text(spec.job_type),
            text(spec.cluster_uid),
            text(spec.resource_id),
            text(spec.resource_name),
            text(status.phase),
            text(status.completion_time),
        ]
    }
}

/// Returns the same texts of a decoded job.
pub(super) fn texts(job: &Job) -> Texts<'_> {
    let (metadata, spec, status) = (job.metadata.as_ref(), job.spec.as_ref(), job.status.as_ref());
    let texts = [
        metadata.and_then(|metadata| metadata.uid.as_deref()),
        metadata.and_then(|metadata| Some(metadata.creation_timestamp.as_ref()?.as_str())),
        metadata.and_then(|metadata| Some(metadata.update_timestamp.as_ref()?.as_str())),
        spec.and_then(|spec| spec.job_type.as_deref()),
        spec.and_then(|spec| spec.cluster_uid.as_deref()),
        spec.and_then(|spec| spec.resource_id.as_deref()),
        spec.and_then(|spec| spec.resource_name.as_deref()),
        status.and_then(|status| Some(status.phase.as_ref()?.as_str())),
        status.and_then(|status| Some(status.completion_time.as_ref()?.as_str())),
    ];
    texts.map(|text| text.map(Cow::Borrowed))
}
