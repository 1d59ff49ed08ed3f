//! Colors texts, if the stream supports colors.

use anstream::{AutoStream, ColorChoice, stream::RawStream};
use anstyle::{AnsiColor, Effects, Style};

/// Colors for the texts of one stream, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Styles(bool);

impl Styles {
    /// Enables colors if the stream is a terminal, unless `NO_COLOR` or `--color` disables them.
    pub(crate) fn for_stream(stream: &impl RawStream) -> Self {
        Self(AutoStream::choice(stream) != ColorChoice::Never)
    }

    /// Adds no colors.
    #[cfg(test)]
    pub(crate) const DISABLED: Self = Self(false);

    pub(crate) const fn is_enabled(self) -> bool {
        self.0
    }

    pub(crate) fn success(self, text: &str) -> String {
        self.apply(AnsiColor::Green.on_default(), text)
    }

    pub(crate) fn error(self, text: &str) -> String {
        self.apply(AnsiColor::Red.on_default() | Effects::BOLD, text)
    }

    pub(crate) fn warning(self, text: &str) -> String {
        self.apply(AnsiColor::Yellow.on_default(), text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.apply(Style::new() | Effects::DIMMED, text)
    }

    fn apply(self, style: Style, text: &str) -> String {
        if self.0 { format!("{style}{text}{style:#}") } else { text.into() }
    }
}
