//! Renders timelines as Markdown for the summary of a CI run: a sentence, and a Mermaid chart in a
//! fence.

use crate::{
    geometry::truncate,
    mermaid::mermaid,
    overview::{MAX_JOBS_OF_REASON, MAX_REASONS, Overview},
    timeline::Timeline,
};

/// Maximum number of characters of a text of the service.
const MAX_TEXT_CHARS: usize = 500;

/// Renders one or several jobs as Markdown for the summary of a CI run: a sentence, and a Mermaid chart in a fence.
///
/// The text starts with an empty line, so that it can be appended to a file.
///
/// # Examples
///
/// ```
/// use job_report::{Timeline, job_model::Job, markdown};
///
/// let reply = br#"{"spec": {"type": "CreateCluster"}, "status": {"phase": "Running"}}"#;
/// let timeline = Timeline::new(&Job::from_slice(reply)?);
/// assert!(markdown(&[&timeline]).contains("**CreateCluster: Running**"));
/// # Ok::<(), job_report::job_model::DecodeError>(())
/// ```
pub fn markdown(timelines: &[&Timeline]) -> String {
    let mut text = String::from("\n");
    match timelines {
        [timeline] => {
            text += &format!("**{}: {}**\n", escape(&timeline.title()), escape(&timeline.status));
            let lines: String =
                timeline.why_lines().map(|why| format!("- {}\n", escape(why))).collect();
            if !lines.is_empty() {
                text += &format!("\n{lines}");
            }
        }
        _ => {
            let overview = Overview::new(timelines);
            text += &format!("**{}**\n", overview.title());
            let reasons = overview.reasons();
            let lines = reasons.iter().take(MAX_REASONS).map(|reason| {
                let names = reason.jobs.iter().take(MAX_JOBS_OF_REASON);
                let names = names
                    .filter_map(|index| overview.jobs.get(*index))
                    .map(|job| escape(&job.title()));
                let names = names.collect::<Vec<_>>().join(", ");
                let more = reason.jobs.len().saturating_sub(MAX_JOBS_OF_REASON);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                let (count, words) = (reason.jobs.len(), reason.group.words());
                format!("\n- {count} {words}: {}: {names}{more}", escape(reason.text))
            });
            text.extend(lines);
            let more = reasons.len().saturating_sub(MAX_REASONS);
            if more > 0 {
                text += &format!("\n- and {more} more reasons");
            }
            text += "\n";
        }
    }
    text + "\n```mermaid\n" + &mermaid(timelines) + "```\n"
}

/// Escapes a text for Markdown, and truncates it: punctuation becomes character references, because
/// most of it has a meaning there.
fn escape(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || " -.,/()…".contains(c);
    let escape = |c: char| if is_plain(c) { c.to_string() } else { format!("&#{};", u32::from(c)) };
    truncate(text, MAX_TEXT_CHARS).chars().map(escape).collect()
}
