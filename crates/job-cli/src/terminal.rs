//! What is printed, and how: streams, styles, texts, durations, JSON.

pub(crate) mod stderr;
mod styles;
pub(crate) mod text;
mod duration;
pub(crate) mod json;
pub(crate) mod print;

pub(crate) use duration::{Span, Timeout, told};
pub(crate) use print::{Format, RAW_IS_JSON};
pub(crate) use styles::Paint;
