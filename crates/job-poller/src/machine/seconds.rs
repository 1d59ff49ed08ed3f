//! Durations in JSON: seconds as a number, in whole milliseconds. For `#[serde(with)]`.
//!
//! Up to 30 years, reading gives exactly the milliseconds that were written.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Serializes a duration as seconds, rounded down to milliseconds.
pub(crate) fn serialize<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_millis() as f64 / 1000.0)
}

/// Reads seconds, rounded to microseconds. Rounding to nanoseconds could give a duration just below
/// the millisecond that was written.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    if seconds >= 0.0 {
        Ok(Duration::from_micros((seconds * 1e6).round() as u64))
    } else {
        Err(D::Error::custom(format_args!("expected seconds, not {seconds}")))
    }
}

/// The same for an optional duration, which is null if it is absent.
pub(crate) mod optional {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Seconds(#[serde(with = "super")] Duration);

    pub(crate) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        duration.map(Seconds).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::deserialize(deserializer)?.map(|Seconds(duration)| duration))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Wrapper(#[serde(with = "super")] Duration);

    #[test]
    fn durations_are_rounded_down_to_milliseconds() {
        let rows = [
            (Duration::ZERO, "0.0"),
            (Duration::from_millis(1005), "1.005"),
            (Duration::from_nanos(1_999_999_999), "1.999"),
            (Duration::from_secs(77), "77.0"),
        ];
        for (duration, expected) in rows {
            assert_eq!(serde_json::to_string(&Wrapper(duration)).unwrap(), expected);
        }
        let rows = [("3", Ok(3_000)), ("0.25", Ok(250)), ("-1", Err("expected seconds, not -1"))];
        for (text, expected) in rows {
            let read = serde_json::from_str(text).map_err(|error| error.to_string());
            assert_eq!(
                read.map(|Wrapper(duration)| duration),
                expected.map(Duration::from_millis).map_err(String::from),
            );
        }
    }

    proptest! {
        #[test]
        fn whole_milliseconds_round_trip(milliseconds in 0..30 * 365 * 24 * 3_600_000_u64) {
            let wrapper = Wrapper(Duration::from_millis(milliseconds));
            let text = serde_json::to_string(&wrapper).unwrap();
            prop_assert_eq!(serde_json::from_str::<Wrapper>(&text).unwrap(), wrapper);
        }
    }
}
