//! Reads job ids from what API calls printed: replies one after the other, arrays, bare ids, and
//! the headers and the status that curl prints beside a reply.

use anyhow::anyhow;
use job_model::{
    JobId, ServiceError,
    reply::{ForeignBody, SubmissionError},
};

use super::{
    ids::{is_missing_value, parse_id},
    parts::{Part, Parts, is_bare_id},
    submitted::Submitted,
    text,
};

/// Why an input has no job id, and what to do about it. Contains no part of the input, except the
/// code and the message of an error, and the title of an HTML page.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) error: anyhow::Error,
    pub(super) hint: Option<String>,
}

impl Problem {
    fn new(error: anyhow::Error, hint: &str) -> Self {
        Self { error, hint: Some(hint.to_owned()).filter(|hint| !hint.is_empty()) }
    }
}

const EMPTY_HINT: &str = "The API call printed nothing. Hibernating and waking a cluster create no \
    job; wait with --cluster CLUSTER_ID.\nOtherwise check the call, for example with \
    `curl --fail-with-body -sS`, and that no other program has read its output.";
const ORDER_HINT: &str = "The cluster or node is prepaid: the service creates the job when the order \
    is paid.\nPay it in the console, and then wait for its job, which `cce-job list` shows, or with \
    --cluster CLUSTER_ID.";
const TRUNCATED_HINT: &str =
    "The service may have accepted the call; `cce-job list` shows its job.";
const PAGE_HINT: &str = "A proxy or a gateway sent this page; check the URL of the call.";
const VERBOSE_HINT: &str = "This is what `curl -v` prints on stderr; remove `2>&1`.";
const PROGRESS_HINT: &str = "This is curl's progress on stderr; remove `2>&1`, or add -sS.";
const YAML_HINT: &str = "This looks like YAML or like a table; print JSON instead, or only the id.";
const MISSING_HINT: &str = "A call has no job, or its job id was not found in the reply.";
const SEPARATOR_HINT: &str = "Separate ids with spaces or line breaks.";
const TEXT_HINT: &str = "Give the reply as JSON, or only the id. With `curl -w`, print only \
    '%{http_code}' after the reply.";
const NO_REPLY_HINT: &str =
    "curl prints the status 000 if it gets no reply; `curl -sS` shows the reason.";

/// Reads the submitted jobs of an input, in its order.
pub(super) fn read_submitted(bytes: &[u8]) -> Result<Vec<Submitted>, Problem> {
    let bytes = text::decode(bytes);
    if let Some((what, hint)) = text::describe_binary(&bytes) {
        return Err(Problem::new(anyhow!(what), hint));
    }
    let mut parts = Parts::new(&bytes).peekable();
    let mut jobs = Vec::new();
    let (mut is_first, mut status) = (true, None);
    while let Some((line, part)) = parts.next() {
        // The status is in the headers before a reply, or printed after it.
        let is_reply = matches!(part, Part::Json(_) | Part::Array(_) | Part::Id(_));
        if let Some((_, Part::Status(after))) = parts.peek().filter(|_| is_reply) {
            status = status.or(Some(*after));
            parts.next();
        }
        let of_reply = if is_reply { status.take() } else { status };
        let read = match part {
            Part::Headers(found) => {
                // With some kinds of login, curl prints the headers of two replies.
                let before = status.filter(|before| !matches!(before, 401 | 407));
                status = found;
                check_empty_reply(before)
            }
            Part::Status(found) => {
                status = Some(found);
                check_empty_reply(status)
            }
            Part::Json(reply) => read_reply(reply, of_reply).map(|job| jobs.push(job)),
            Part::Array(elements) => read_array(elements).map(|found| jobs.extend(found)),
            Part::Id(id) => read_id(&id).map(|job| jobs.push(job)),
            Part::Page(page) => Err(page_problem(page, of_reply)),
            Part::Text(text) => Err(text_problem(&text)),
        };
        // Names the line, except for an input that is only one reply.
        let is_only = is_first && parts.peek().is_none();
        read.map_err(|problem| match is_only {
            true => problem,
            false => Problem { error: anyhow!("line {line}: {:#}", problem.error), ..problem },
        })?;
        is_first = false;
    }
    check_empty_reply(status)?;
    match (jobs.is_empty(), status) {
        (false, _) => Ok(jobs),
        (true, None) => Err(Problem::new(anyhow!(text::describe_blank(&bytes)), EMPTY_HINT)),
        (true, Some(status)) => Err(Problem::new(
            anyhow!("the reply has status {status} and an empty body"),
            EMPTY_HINT,
        )),
    }
}

/// Checks the status of a reply without a body.
fn check_empty_reply(status: Option<u16>) -> Result<(), Problem> {
    match status {
        Some(0) => Err(Problem::new(anyhow!("the API call got no reply"), NO_REPLY_HINT)),
        Some(status @ 400..) => Err(Problem::new(
            anyhow!("the API call failed with status {status} and an empty body"),
            "",
        )),
        _ => Ok(()),
    }
}

/// Reads an id that stands by itself.
fn read_id(id: &str) -> Result<Submitted, Problem> {
    parse_id::<JobId>(id).map(Submitted::from).map_err(|error| Problem::new(error, ""))
}

/// Reads a reply that is a JSON object.
fn read_reply(reply: &[u8], status: Option<u16>) -> Result<Submitted, Problem> {
    let error = match JobId::from_submission(reply) {
        // A reply with an id like `null` or one in quotation marks shows a mistake, too.
        Ok(id) => return read_id(id.as_str()).map(|job| job.with_resource_of(reply)),
        Err(error) => error,
    };
    // The most common cause is that the call failed. Then the reply contains the reason.
    let failed = status.filter(|status| *status >= 400);
    let service_error = ServiceError::from_body(failed.unwrap_or(0), None, reply)
        .filter(|error| failed.is_some() || error.code().is_some());
    if let Some(service_error) = service_error {
        let status = failed.map(|status| format!(" with status {status}")).unwrap_or_default();
        let message = anyhow!("the API call failed{status}: {service_error}");
        return Err(Problem::new(message, ""));
    }
    Err(match error {
        SubmissionError::Order => Problem::new(error.into(), ORDER_HINT),
        SubmissionError::Unreadable(_) => Problem::new(error.into(), TRUNCATED_HINT),
        SubmissionError::Absent => {
            let hint = ForeignBody::from_body(reply, &[]).map(|body| {
                format!(
                    "The reply is {body}. Give the reply of the call that creates, changes or \
                     deletes a cluster or nodes.\nIf that call has no job, wait with --cluster \
                     CLUSTER_ID."
                )
            });
            Problem { error: error.into(), hint }
        }
        error => Problem::new(error.into(), ""),
    })
}

/// Reads the jobs of an array of replies or of ids.
fn read_array(elements: &[u8]) -> Result<Vec<Submitted>, Problem> {
    let mut jobs = Vec::new();
    for (index, (_, part)) in Parts::within_array(elements).enumerate() {
        let read = match part {
            Part::Json(reply) => read_reply(reply, None),
            Part::Id(id) if is_missing_value(&id) => {
                Err(Problem::new(anyhow!("it is `{id}`, and not an id"), MISSING_HINT))
            }
            Part::Id(id) => read_id(&id),
            _ => Err(Problem::new(anyhow!("it is not a reply or an id"), "")),
        };
        jobs.push(read.map_err(|problem| Problem {
            error: anyhow!("element {} of the array: {:#}", index + 1, problem.error),
            ..problem
        })?);
    }
    if jobs.is_empty() {
        return Err(Problem::new(anyhow!("the array is empty"), ""));
    }
    Ok(jobs)
}

fn page_problem(page: &[u8], status: Option<u16>) -> Problem {
    let page = ForeignBody::from_body(page, &[]).map(|page| page.to_string());
    let page = page.unwrap_or_else(|| "an HTML page".into());
    let status = status.map(|status| format!(" with status {status}")).unwrap_or_default();
    Problem::new(anyhow!("the reply{status} is {page}"), PAGE_HINT)
}

/// Returns the problem of a line that is not JSON and not an id. The line is not shown, because it may
/// contain a secret.
fn text_problem(line: &str) -> Problem {
    let trimmed = line.trim_start();
    let curl_log = ["* ", "> ", "< ", "{ [", "} ["];
    if trimmed.starts_with("curl: (") {
        return Problem::new(anyhow!("it is an error message of curl"), NO_REPLY_HINT);
    }
    if curl_log.iter().any(|start| trimmed.starts_with(start)) {
        return Problem::new(anyhow!("it is curl's log, not a reply"), VERBOSE_HINT);
    }
    if trimmed.starts_with("% Total") {
        return Problem::new(anyhow!("it is curl's progress, not a reply"), PROGRESS_HINT);
    }
    if trimmed.split([',', ';']).all(|word| word.trim().is_empty() || is_bare_id(word.trim())) {
        return Problem::new(anyhow!("there are commas or semicolons between ids"), SEPARATOR_HINT);
    }
    let hint = if trimmed.contains([':', '|']) || trimmed.starts_with("+-") {
        YAML_HINT
    } else {
        TEXT_HINT
    };
    Problem::new(anyhow!("it is not JSON, and not a job id"), hint)
}

#[cfg(test)]
mod tests;
