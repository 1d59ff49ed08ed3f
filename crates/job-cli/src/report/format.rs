//! The file formats of a report.

use std::path::Path;

use anyhow::anyhow;
use clap::ValueEnum;

/// The format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// Self-contained HTML page
    Html,
    /// SVG image
    Svg,
    /// Mermaid Gantt chart
    Mermaid,
}

impl ReportFormat {
    /// Returns the format for the extension of a file.
    ///
    /// # Errors
    ///
    /// Returns an error if the extension is unknown.
    pub(crate) fn from_path(file: &Path) -> anyhow::Result<Self> {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("html" | "htm") => Ok(Self::Html),
            Some("svg") => Ok(Self::Svg),
            Some("mmd" | "mermaid") => Ok(Self::Mermaid),
            _ => Err(anyhow!("unknown format of {}; name it .html, .svg or .mmd", file.display())),
        }
    }
}
