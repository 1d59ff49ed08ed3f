//! Defines the metadata of clusters and nodes.

use alloc::string::String;

use super::common::debug_without_raw_text;
use crate::{
    decode::{RawFields, json_object},
    job::Timestamp,
};

/// An object's name, id and timestamps.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ObjectMetadata {
    /// `name`: the name of the object.
    pub name: Option<String>,
    /// `uid`: the object's id. It is opaque text.
    pub uid: Option<String>,
    /// `creationTimestamp`: when the object was created.
    pub creation_timestamp: Option<Timestamp>,
    /// `updateTimestamp`: when the object last changed.
    pub update_timestamp: Option<Timestamp>,
    /// Fields kept as JSON text: unknown fields, and known fields with unexpected values.
    pub raw_fields: RawFields,
}

json_object! {
    ObjectMetadata {
        name: "name",
        uid: "uid",
        creation_timestamp: "creationTimestamp",
        update_timestamp: "updateTimestamp",
    }
}

debug_without_raw_text!(ObjectMetadata { name, uid, creation_timestamp, update_timestamp });
