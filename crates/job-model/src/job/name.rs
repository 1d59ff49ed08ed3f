//! Defines the texts by which a job is shown to people.

use alloc::borrow::Cow;

use super::Job;

/// The number of characters of a uid that are shown.
const SHORT_ID_CHARS: usize = 8;

impl Job {
    /// Returns the name of this job's resource, or else the first 8 characters of its uid.
    ///
    /// Returns `None` if the job has neither, or only blank texts. The name distinguishes the steps of
    /// a node pool: hundreds of them have the same type.
    ///
    /// The text comes from the service. Escape it before you show it
    /// ([`is_unprintable`](crate::is_unprintable)).
    ///
    /// ```
    /// use job_model::Job;
    ///
    /// let step = Job::new().with_uid("2f4b5d6e-229a-11e8-9c75-0255ac100ceb");
    /// assert_eq!(step.display_name().as_deref(), Some("2f4b5d6e"));
    /// let step = step.with_resource_name("pool-blue-nodes-00017");
    /// assert_eq!(step.display_name().as_deref(), Some("pool-blue-nodes-00017"));
    /// ```
    #[must_use]
    pub fn display_name(&self) -> Option<Cow<'_, str>> {
        let short_id = || {
            let uid = self.uid()?.trim();
            Some(prefix(uid, SHORT_ID_CHARS)).filter(|id| !id.is_empty())
        };
        self.resource_name().or_else(short_id).map(Cow::Borrowed)
    }

    /// Returns the name of the job's resource, such as that of a node, or `None` if it is missing or
    /// blank.
    #[must_use]
    pub fn resource_name(&self) -> Option<&str> {
        let name = self.spec.as_ref()?.resource_name.as_deref()?.trim();
        Some(name).filter(|name| !name.is_empty())
    }
}

/// Returns the first characters of a text.
fn prefix(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resource_name_is_shown_or_a_short_uid() {
        let uid = "2f4b5d6e-229a-11e8-9c75-0255ac100ceb";
        for (resource_name, uid, expected) in [
            (Some("pool-blue-0"), Some(uid), Some("pool-blue-0")),
            (Some(" pool-blue-0\n"), None, Some("pool-blue-0")),
            (Some(""), Some(uid), Some("2f4b5d6e")),
            (Some(" \t"), Some(uid), Some("2f4b5d6e")),
            (None, Some(uid), Some("2f4b5d6e")),
            (None, Some("12345678"), Some("12345678")),
            (None, Some("1234567"), Some("1234567")),
            (None, Some(" 123456789"), Some("12345678")),
            (None, Some("äöüäöüäöü"), Some("äöüäöüäö")),
            (Some(" "), Some("  "), None),
            (Some(""), Some(""), None),
            (None, None, None),
        ] {
            let mut job = Job::new();
            job.spec.get_or_insert_default().resource_name = resource_name.map(Into::into);
            job.metadata.get_or_insert_default().uid = uid.map(Into::into);
            assert_eq!(job.display_name().as_deref(), expected, "{resource_name:?}, {uid:?}");
        }
        assert_eq!(Job::new().display_name(), None);
    }

    #[test]
    fn both_spellings_of_the_resource_name_are_shown() {
        for body in
            [r#"{"spec": {"resourceName": "node-1"}}"#, r#"{"spec": {"resourcename": "node-1"}}"#]
        {
            let job = Job::from_slice(body.as_bytes()).unwrap();
            assert_eq!(job.display_name().as_deref(), Some("node-1"));
        }
    }
}
