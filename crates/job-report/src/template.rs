//! Renders a template.

use askama::Template;

/// Returns the text of a template.
#[expect(
    clippy::expect_used,
    reason = "a template fails only if a value of it fails to format, and texts and numbers do not"
)]
pub(crate) fn render(template: &impl Template) -> String {
    template.render().expect("texts and numbers can be formatted")
}
