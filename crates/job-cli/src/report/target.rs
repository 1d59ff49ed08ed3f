//! The file of a report. If the file can be replaced, a report is written as a whole or not at all, even
//! if the process is killed. A file that cannot be replaced is written in place, and then a killed
//! process may leave a part. Markdown is appended in a single write.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};

use super::format::{ReportFormat, is_step_summary};
use crate::files::{NewFileMode, OwnerRule, TargetFile};

/// Maximum size of the summary of a step. GitHub drops a larger one as a whole.
const MAX_STEP_SUMMARY_BYTES: u64 = 1 << 20;

/// The file of a report.
pub(crate) struct ReportTarget {
    /// The path that the user gave.
    file: PathBuf,
    target: TargetFile,
}

impl ReportTarget {
    /// Finds the file. It need not exist, and is not created.
    ///
    /// # Errors
    ///
    /// Returns an error if something else than a regular file is at the path.
    pub(crate) fn new(file: &Path) -> anyhow::Result<Self> {
        let target = TargetFile::new(file).with_context(|| error_context(file))?;
        Ok(Self { file: file.into(), target })
    }

    /// Checks that the file can be written, without creating it.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be written.
    pub(crate) fn check_writable(&self) -> anyhow::Result<()> {
        self.target.check_writable().with_context(|| error_context(&self.file))
    }

    /// Writes the text of a report. Markdown is appended, and other formats replace the file.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be written, or if the summary of a step would be too large.
    pub(crate) fn write(&self, text: &str, format: ReportFormat) -> anyhow::Result<()> {
        let written = match format {
            ReportFormat::Markdown => self.append(text),
            ReportFormat::Html | ReportFormat::Svg | ReportFormat::Mermaid => {
                let content = |file: &mut dyn Write| file.write_all(text.as_bytes());
                let written =
                    self.target.write(NewFileMode::Umask, OwnerRule::WriteInPlace, content);
                written.map_err(anyhow::Error::from)
            }
        };
        written.with_context(|| error_context(&self.file))
    }

    fn append(&self, text: &str) -> anyhow::Result<()> {
        if is_step_summary(&self.file) {
            let len = self.target.len()?;
            let total = u64::try_from(text.len()).unwrap_or(u64::MAX).saturating_add(len);
            ensure!(
                total <= MAX_STEP_SUMMARY_BYTES,
                "the summary has {} KiB already; GitHub drops a summary of more than 1 MiB",
                len >> 10
            );
        }
        Ok(self.target.append_or_create(text.as_bytes())?)
    }
}

/// Returns the context of an error from writing a report.
fn error_context(file: &Path) -> String {
    format!("cannot write the report {}", file.display())
}
