//! The state of waits as one word for a command line: the value of `--state`, which continues the
//! waits without any file.
//!
//! It is the number of the format, and then in base64 a checksum, the most severe exit code so far, and
//! the reduced checkpoints of the waits in the format postcard. It contains the ids and phases of jobs
//! and the last error of each wait, and no credentials.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use job_poller::Checkpoint;

use super::checkpoint_file::Origin;
use crate::exit::Exit;

/// The maximum length. Linux limits a word of a command line to 128 KiB.
const MAX_LENGTH: usize = 120 << 10;

/// The number of the format. Without it, the text could start with a dash, like a flag.
const FORMAT: &str = "1";

const CHECKSUM_BYTES: usize = size_of::<u32>();

/// Returns the state of waits for jobs of this service; `None` if it is too long. `worst` is the most
/// severe exit code of the jobs that are not waited for any more.
pub(crate) fn encode(waits: Vec<Checkpoint>, worst: Exit, origin: &Origin) -> Option<String> {
    let waits: Vec<_> = waits.into_iter().map(Checkpoint::reduced).collect();
    let payload = postcard::to_allocvec(&(worst as u8, waits)).ok()?;
    let checksum = checksum(&payload, origin).to_le_bytes();
    let text = FORMAT.to_owned() + &URL_SAFE_NO_PAD.encode([&checksum[..], &payload].concat());
    (text.len() <= MAX_LENGTH).then_some(text)
}

/// Returns the waits, and the most severe exit code before them. Returns `None` if the text is damaged,
/// or is from another version of the command or about another service.
pub(crate) fn decode(text: &str, origin: &Origin) -> Option<(Vec<Checkpoint>, Exit)> {
    let bytes = URL_SAFE_NO_PAD.decode(text.trim().strip_prefix(FORMAT)?).ok()?;
    let (expected, payload) = bytes.split_first_chunk::<CHECKSUM_BYTES>()?;
    if checksum(payload, origin).to_le_bytes() != *expected {
        return None;
    }
    let (worst, waits) = postcard::from_bytes(payload).ok()?;
    Some((waits, Exit::from_number(worst)?))
}

/// Returns the checksum of the version of this command, the service, and the payload.
fn checksum(payload: &[u8], origin: &Origin) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let project = origin.project.as_deref().unwrap_or_default();
    for part in [env!("CARGO_PKG_VERSION"), &origin.endpoint, project] {
        hasher.update(part.as_bytes());
        hasher.update(b"\0");
    }
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use job_poller::{WaitPolicy, machine::Machine};
    use job_transport::JobSnapshot;

    use super::*;

    fn origin(endpoint: &str) -> Origin {
        Origin { endpoint: endpoint.into(), project: Some("p".into()) }
    }

    fn wait(number: usize) -> Checkpoint {
        let id = format!("354331b2c-229a-11e8-9c75-{number:012}");
        let machine = Machine::new(id.parse().unwrap(), WaitPolicy::new());
        let job = br#"{"spec": {"type": "CreateCluster", "clusterUID": "4d1ecb2c-229a-11e8-9c75-0255ac100ceb"},
            "status": {"phase": "Running", "message": "a long text"}}"#;
        let now = "2027-01-15T08:00:00Z".parse().unwrap();
        Checkpoint::new(machine, Duration::from_secs(540))
            .with_taken_at(now)
            .with_snapshot(Some(JobSnapshot::from_slice(job).unwrap()))
    }

    #[test]
    fn a_state_is_short_and_belongs_to_one_service() {
        let here = origin("https://here");
        let text = encode(vec![wait(1), wait(2)], Exit::JobFailed, &here).unwrap();
        assert!(text.len() < 2 * 400, "{} bytes", text.len());
        assert_eq!(shell_words::quote(&text), text);
        assert!(text.starts_with(char::is_alphanumeric), "{text}");
        let waits = vec![wait(1).reduced(), wait(2).reduced()];
        let expected = Some((waits, Exit::JobFailed));
        assert_eq!(decode(&format!(" {text}\n"), &here), expected);
        assert_eq!(decode(&text, &origin("https://there")), None);
    }

    #[test]
    fn a_damaged_state_is_recognized() {
        let here = origin("https://here");
        let text = encode(vec![wait(1)], Exit::Done, &here).unwrap();
        for at in 0..text.len() {
            let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
            let damaged = [&text[..at], other, &text[at + 1..]].concat();
            assert_eq!(decode(&damaged, &here), None, "{at}");
            assert_eq!(decode(&text[..at], &here), None, "{at}");
        }
    }

    #[test]
    fn a_state_that_no_command_line_can_hold_is_omitted() {
        let here = origin("https://here");
        let waits = |count| (0..count).map(wait).collect::<Vec<_>>();
        assert!(encode(waits(super::super::slice::MAX_JOBS), Exit::Done, &here).is_some());
        assert_eq!(encode(waits(1000), Exit::Done, &here), None);
    }
}
