//! The format of a checkpoint file: a line that names the format, then records.
//!
//! ```text
//! cce-job-checkpoint 2
//! 0000005b 5d2a1b0c {"origin":{"endpoint":"https://cce.example","project":"p"},"records":1}
//! 00000a31 77c08f3e {"wait":{"version":2,..,"machine":{"id":"4a5b",..}}}
//! 000001f0 0123abcd {"plan":{"version":2,..,"machine":{"id":"4a5b",..,"snapshot":null}}}
//! ```
//!
//! Each record is a line: the length of its JSON in bytes, the CRC-32 of its JSON (as in zlib), and
//! the JSON. Both numbers have eight hexadecimal digits. The first record is the [`Head`]. The
//! `records` records after it were written together with it, and the file was put in place only
//! when they were complete. Later records were appended, and the newest record of a wait counts. A
//! crash can cut off the appended records at any byte: the first one that is not whole ends the
//! file.
//!
//! Before format 2, a file was one JSON object with all waits.
//!
//! The fuzz targets contain this file, so it uses no other file of the command.

use std::{
    collections::HashMap,
    io::{self, BufRead, Read, Write},
    str,
};

use job_model::JobId;
use job_poller::Checkpoint;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The first line, without the format's number.
const FIRST_LINE_PREFIX: &str = "cce-job-checkpoint ";

/// The number of this format.
const FORMAT: &str = "2";

/// Bytes of a record before its JSON: two numbers, each followed by a space.
const PREFIX_LEN: usize = 18;

/// The first record of a file. `O` describes the service and the project of the jobs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Head<O> {
    pub(crate) origin: O,
    /// The number of records that were written together with this one.
    pub(crate) records: u64,
    /// The most severe exit code of the jobs that earlier slices waited for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) worst: u8,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// The content of a record after the head. `C` is a [`Checkpoint`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry<C> {
    /// The whole state of a wait.
    Wait(C),
    /// A newer state of a wait, without the job as last read. The job has not changed since the
    /// last [`Wait`](Self::Wait) record of this wait.
    Plan(C),
}

impl<C> Entry<C> {
    pub(crate) const fn is_wait(&self) -> bool {
        matches!(self, Self::Wait(_))
    }
}

/// What a file contains: the newest state of each wait, in the order of their first records.
///
/// Before format 2, this was encoded as the whole file.
#[derive(Debug, Deserialize)]
pub(crate) struct Content<O> {
    pub(crate) origin: O,
    pub(crate) waits: Vec<Checkpoint>,
    /// The most severe exit code of the jobs that earlier slices waited for.
    #[serde(default)]
    pub(crate) worst: u8,
}

/// Writes the first line. Returns its length.
///
/// # Errors
///
/// Returns an error if it cannot be written.
pub(crate) fn write_first_line(to: &mut dyn Write) -> io::Result<u64> {
    let line = format!("{FIRST_LINE_PREFIX}{FORMAT}\n");
    to.write_all(line.as_bytes())?;
    Ok(len_u64(line.len()))
}

/// Appends a record to `to`.
///
/// # Errors
///
/// Returns an error if the content cannot be encoded, or has more than 4 GiB.
pub(crate) fn encode_record(content: &impl Serialize, to: &mut Vec<u8>) -> io::Result<()> {
    let start = to.len();
    to.resize(start + PREFIX_LEN, b' ');
    serde_json::to_writer(&mut *to, content)?;
    let json = &to[start + PREFIX_LEN..];
    let len = u32::try_from(json.len()).map_err(|_| invalid("a record has more than 4 GiB"))?;
    let prefix = format!("{len:08x} {:08x} ", crc32fast::hash(json));
    to[start..start + PREFIX_LEN].copy_from_slice(prefix.as_bytes());
    to.push(b'\n');
    Ok(())
}

/// Whether these bytes are one whole record.
pub(crate) fn is_record(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    matches!(read_record(&mut rest, &mut Vec::new()), Ok(true)) && rest.is_empty()
}

/// Reads the JSON of the next record into `json`. Returns `false` at the end of the file, and if
/// the rest of the file does not start with a whole record.
fn read_record(from: &mut impl Read, json: &mut Vec<u8>) -> io::Result<bool> {
    json.clear();
    from.take(len_u64(PREFIX_LEN)).read_to_end(json)?;
    let Some((len, checksum)) = parse_prefix(json) else { return Ok(false) };
    json.clear();
    // Grows as it reads, because the length may be wrong.
    from.take(u64::from(len) + 1).read_to_end(json)?;
    let is_whole = json.len() == usize::try_from(len).unwrap_or(usize::MAX).saturating_add(1)
        && json.pop() == Some(b'\n');
    Ok(is_whole && crc32fast::hash(json) == checksum)
}

/// Returns the length and the checksum of a record.
fn parse_prefix(prefix: &[u8]) -> Option<(u32, u32)> {
    let (len, rest) = prefix.split_at_checked(8)?;
    let checksum = rest.strip_prefix(b" ")?.strip_suffix(b" ")?;
    Some((parse_hex(len)?, parse_hex(checksum)?))
}

fn parse_hex(digits: &[u8]) -> Option<u32> {
    let is_lower_hex = digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let digits = str::from_utf8(digits).ok().filter(|digits| is_lower_hex && digits.len() == 8)?;
    u32::from_str_radix(digits, 16).ok()
}

/// Reads a file of this format or of the one before. Returns `None` if it is empty.
///
/// # Errors
///
/// Returns an error if the file cannot be read. If it is not a checkpoint file, or if one of the
/// records is damaged that were written when the file was created, the error is
/// [`InvalidData`](io::ErrorKind::InvalidData) or [`UnexpectedEof`](io::ErrorKind::UnexpectedEof).
pub(crate) fn read<O: DeserializeOwned>(mut from: impl BufRead) -> io::Result<Option<Content<O>>> {
    match from.fill_buf()?.first() {
        // `mktemp` creates an empty file.
        None => Ok(None),
        Some(b'{') => Ok(Some(serde_json::from_reader(from)?)),
        Some(_) => read_records(from).map(Some),
    }
}

fn read_records<O: DeserializeOwned>(mut from: impl BufRead) -> io::Result<Content<O>> {
    read_first_line(&mut from)?;
    let mut json = Vec::new();
    if !read_record(&mut from, &mut json)? {
        return Err(invalid("its first record is damaged"));
    }
    let Head { origin, records, worst } = serde_json::from_slice(&json)?;
    let mut waits = Waits::default();
    let mut read = 0;
    while read_record(&mut from, &mut json)? {
        waits.add(serde_json::from_slice(&json)?)?;
        read += 1;
    }
    if read < records {
        return Err(invalid(&format!("record {} of {records} is damaged", read + 1)));
    }
    Ok(Content { origin, waits: waits.all, worst })
}

fn read_first_line(from: &mut impl BufRead) -> io::Result<()> {
    /// A line with a number of this format or a later one is shorter.
    const MAX_LEN: u64 = 64;
    let mut line = Vec::new();
    from.take(MAX_LEN).read_until(b'\n', &mut line)?;
    let number = str::from_utf8(&line).ok().and_then(|line| line.strip_prefix(FIRST_LINE_PREFIX));
    match number.and_then(|number| number.strip_suffix('\n')) {
        Some(FORMAT) => Ok(()),
        Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => Err(invalid(&format!(
            "format {number} is not supported, only format {FORMAT} and older ones are"
        ))),
        _ => Err(invalid("it does not start with \"cce-job-checkpoint\"")),
    }
}

/// The newest state of each wait.
#[derive(Default)]
struct Waits {
    all: Vec<Checkpoint>,
    by_id: HashMap<JobId, usize>,
}

impl Waits {
    fn add(&mut self, entry: Entry<Checkpoint>) -> io::Result<()> {
        let (Entry::Wait(newer) | Entry::Plan(newer)) = &entry;
        let before = self.by_id.get(newer.job_id()).map(|index| &mut self.all[*index]);
        match (entry, before) {
            (Entry::Wait(newer), Some(before)) => *before = newer,
            (Entry::Plan(newer), Some(before)) => {
                let snapshot = before.machine().snapshot().cloned();
                *before = newer.with_snapshot(snapshot);
            }
            (Entry::Wait(first), None) => {
                self.by_id.insert(first.job_id().clone(), self.all.len());
                self.all.push(first);
            }
            (Entry::Plan(newer), None) => {
                let id = newer.job_id();
                return Err(invalid(&format!("the first record of job {id} is missing")));
            }
        }
        Ok(())
    }
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

pub(crate) fn len_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
