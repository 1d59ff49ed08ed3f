//! The file formats of a report.

use std::{env, path::Path};

use anyhow::anyhow;
use clap::ValueEnum;
use job_report::{Timeline, html, markdown, mermaid, svg};

/// The format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// Self-contained HTML page
    Html,
    /// SVG image
    Svg,
    /// Mermaid Gantt chart
    Mermaid,
    /// Mermaid chart in a block of Markdown, which is appended to the file
    Markdown,
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
            Some("md" | "markdown") => Ok(Self::Markdown),
            _ if is_step_summary(file) => Ok(Self::Markdown),
            _ => {
                let file = file.display();
                Err(anyhow!("unknown format of {file}; name it .html, .svg, .mmd or .md"))
            }
        }
    }

    /// Renders one or several timelines in this format.
    pub(crate) fn render(self, timelines: &[&Timeline]) -> String {
        match self {
            Self::Html => html(timelines),
            Self::Svg => svg(timelines),
            Self::Mermaid => mermaid(timelines),
            Self::Markdown => markdown(timelines),
        }
    }
}

/// The variable of GitHub Actions with the file for the summary of a step.
const STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// Whether a file is the summary of the current step of GitHub Actions. Its name has no extension.
pub(crate) fn is_step_summary(file: &Path) -> bool {
    env::var_os(STEP_SUMMARY)
        .is_some_and(|summary| !summary.is_empty() && file == Path::new(&summary))
}
