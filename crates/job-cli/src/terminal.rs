//! Output: streams, colors, and the formatting of texts, durations and JSON.

pub(crate) mod printer;
pub(crate) mod stderr;
mod styles;
pub(crate) mod text;
mod duration;
pub(crate) mod table;
pub(crate) mod json;
pub(crate) mod print;

pub(crate) use duration::{DurationArg, TimeoutArg, format_duration};
pub(crate) use print::{PrintArgs, PrintFormat, RAW_REQUIRES_JSON};
pub(crate) use styles::Styles;
