//! Durations in a configuration: texts such as `90s` or `1h 30m`. For `#[serde(with)]`.
//!
//! The form of serde, `{"secs": 90, "nanos": 0}`, is read too, and it is the form in formats that
//! are not human-readable.

use std::{fmt, time::Duration};

use jiff::fmt::friendly::{Designator, SpanParser, SpanPrinter};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

const EXPECTED: &str = r#"a duration such as "90s" or "1h 30m""#;

pub(super) fn serialize<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    static PRINTER: SpanPrinter = SpanPrinter::new().designator(Designator::Compact);
    if serializer.is_human_readable() {
        serializer.serialize_str(&PRINTER.unsigned_duration_to_string(duration))
    } else {
        duration.serialize(serializer)
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    if deserializer.is_human_readable() {
        deserializer.deserialize_any(DurationVisitor)
    } else {
        Duration::deserialize(deserializer)
    }
}

struct DurationVisitor;

impl<'de> Visitor<'de> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        static PARSER: SpanParser = SpanParser::new();
        PARSER.parse_unsigned_duration(text).map_err(|_| {
            E::custom(format_args!(
                "expected {EXPECTED}, found the text \"{}\"",
                text.escape_debug()
            ))
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Duration, A::Error> {
        Duration::deserialize(MapAccessDeserializer::new(map))
    }
}

/// A duration, or none: `"none"` or null.
pub(super) mod optional {
    use super::{
        Deserialize, Deserializer, Duration, DurationVisitor, Error, MapAccess, Serialize,
        Serializer, Visitor, fmt,
    };

    pub(crate) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            _ if !serializer.is_human_readable() => duration.serialize(serializer),
            Some(duration) => super::serialize(duration, serializer),
            None => serializer.serialize_str("none"),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(OptionVisitor)
        } else {
            Option::deserialize(deserializer)
        }
    }

    struct OptionVisitor;

    impl<'de> Visitor<'de> for OptionVisitor {
        type Value = Option<Duration>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}, or \"none\"", super::EXPECTED)
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            if text == "none" { Ok(None) } else { DurationVisitor.visit_str(text).map(Some) }
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            DurationVisitor.visit_map(map).map(Some)
        }
    }
}
