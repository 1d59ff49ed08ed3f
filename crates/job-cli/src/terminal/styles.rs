//! Colours, where the stream takes them. Writes to no stream.

use anstream::{AutoStream, ColorChoice, stream::RawStream};
use anstyle::{AnsiColor, Effects, Style};

/// Paints the texts of one stream, or leaves them as they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(bool);

impl Paint {
    /// Paints where this stream shows colours: a terminal, unless `NO_COLOR` or `--color` say
    /// otherwise.
    pub(crate) fn of(stream: &impl RawStream) -> Self {
        Self(AutoStream::choice(stream) != ColorChoice::Never)
    }

    /// Paints nothing.
    #[cfg(test)]
    pub(crate) const NONE: Self = Self(false);

    pub(crate) const fn is_on(self) -> bool {
        self.0
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.with(AnsiColor::Green.on_default(), text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.with(AnsiColor::Red.on_default() | Effects::BOLD, text)
    }

    pub(crate) fn odd(self, text: &str) -> String {
        self.with(AnsiColor::Yellow.on_default(), text)
    }

    pub(crate) fn faint(self, text: &str) -> String {
        self.with(Style::new() | Effects::DIMMED, text)
    }

    fn with(self, style: Style, text: &str) -> String {
        if self.0 { format!("{style}{text}{style:#}") } else { text.into() }
    }
}
