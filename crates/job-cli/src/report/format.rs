//! The file formats of a report.

use std::path::Path;

use anyhow::anyhow;
use clap::ValueEnum;

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// One page, with all it needs
    Html,
    /// A picture
    Svg,
    /// A Gantt chart in Mermaid's words
    Mermaid,
}

impl ReportFormat {
    /// Returns the format that the ending of a file name selects.
    ///
    /// # Errors
    ///
    /// Returns a usage error if the file name has another ending.
    pub(crate) fn from_path(file: &Path) -> anyhow::Result<Self> {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("html" | "htm") => Ok(Self::Html),
            Some("svg") => Ok(Self::Svg),
            Some("mmd" | "mermaid") => Ok(Self::Mermaid),
            _ => Err(anyhow!("{} ends neither in .html nor .svg nor .mmd", file.display())),
        }
    }
}
