//! A checkpoint file on the disk: appends the states of waits that changed, and rewrites the file
//! if too much of it is outdated. Blocks on the disk.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    mem,
};

use job_poller::Checkpoint;

use super::{
    Origin,
    log_format::{Entry, Head, encode_record, is_record, len_u64, write_first_line},
};
use crate::files::{NewFileMode, OwnerRule, TargetFile};

/// The file may have this many bytes more than twice its live size.
const MAX_EXTRA_BYTES: u64 = 1 << 20;

/// The file of a log. Tests replace it by one on a full disk.
pub(super) trait LogFile {
    /// See [`TargetFile::append`].
    fn append(&self, len: u64, content: &[u8]) -> io::Result<bool>;

    /// See [`TargetFile::write`]. An error keeps the old file.
    fn replace(&self, content: impl FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()>;

    /// See [`TargetFile::open_file`].
    fn open(&self) -> io::Result<Option<File>>;

    /// See [`TargetFile::remove`].
    fn remove(&self) -> io::Result<()>;
}

impl LogFile for TargetFile {
    fn append(&self, len: u64, content: &[u8]) -> io::Result<bool> {
        self.append(len, content)
    }

    fn replace(&self, content: impl FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        // Writing in place could leave half a file, so this is an error if the owner cannot be kept.
        self.write(NewFileMode::Private, OwnerRule::Refuse, content)
    }

    fn open(&self) -> io::Result<Option<File>> {
        self.open_file()
    }

    fn remove(&self) -> io::Result<()> {
        self.remove()
    }
}

/// States to save, by the position of the job on the command line.
pub(crate) type Changes = BTreeMap<usize, Entry<Checkpoint>>;

/// A checkpoint file, and where its records are.
pub(super) struct CheckpointLog<F = TargetFile> {
    file: F,
    origin: Origin,
    /// The most severe exit code of the jobs that earlier slices waited for.
    worst: u8,
    /// A larger file cannot be read again.
    max_bytes: u64,
    /// The records in the file; `None` if it was not written yet, or if somebody else changed it.
    stored: Option<Stored>,
    /// The length of the file above which it is rewritten again, after that has failed.
    retry_len: u64,
}

/// The records in a file.
#[derive(Clone, Debug, Default)]
struct Stored {
    /// The length of the file.
    len: u64,
    /// The length that the file would have without outdated records.
    live_len: u64,
    slots: BTreeMap<usize, Slot>,
}

/// The part of [`Stored`] that a save changes, before that save.
struct Before {
    len: u64,
    live_len: u64,
    slots: Vec<(usize, Option<Slot>)>,
}

/// The newest records of a wait.
#[derive(Clone, Copy, Debug)]
struct Slot {
    wait: Span,
    /// The plan, if it is newer than `wait`.
    plan: Option<Span>,
}

/// The place of a record in the file.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u64,
    len: u64,
}

/// Whether a save succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Saved {
    Done,
    /// Nothing was saved, because the states of all waits are needed to write the file.
    AllNeeded,
}

impl<F: LogFile> CheckpointLog<F> {
    pub(super) const fn new(file: F, origin: Origin, max_bytes: u64) -> Self {
        Self { file, origin, worst: 0, max_bytes, stored: None, retry_len: 0 }
    }

    /// Sets the most severe exit code so far. The next [`save_all`](Self::save_all) writes it.
    pub(super) const fn set_worst(&mut self, worst: u8) {
        self.worst = worst;
    }

    /// Removes the file, if there is one.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be removed.
    pub(super) fn remove(&mut self) -> io::Result<()> {
        self.stored = None;
        self.file.remove()
    }

    /// Replaces the file by one with these states. An error keeps the old file.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be written.
    pub(super) fn save_all(&mut self, all: &Changes) -> io::Result<()> {
        self.stored = None;
        let mut record = Vec::new();
        self.rewrite(all.len(), |file| {
            all.iter().try_for_each(|(index, entry)| {
                record.clear();
                encode_record(entry, &mut record)?;
                file.push(*index, entry.is_wait(), &record)
            })
        })
    }

    /// Saves the states of waits that changed. The file is then at most twice as long as its live
    /// records, plus 1 MiB. If it cannot be rewritten, for example because the disk has no space for
    /// a second copy, the states are appended nevertheless, and rewriting is tried again when the
    /// file has grown by another MiB.
    ///
    /// If the file is missing, if somebody else changed it, or if it was not written before, saves
    /// nothing and reports that the states of all waits are needed. It does so too when the live
    /// records first exceed `max_bytes`, because the states in memory have a lower limit.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be written. It has its old content then, and the same
    /// changes can be saved later.
    pub(super) fn save_changes(&mut self, changes: &Changes) -> io::Result<Saved> {
        let Some(mut stored) = self.stored.take() else { return Ok(Saved::AllNeeded) };
        let before = stored.before(changes);
        let saved = self.save_to(&mut stored, changes);
        if saved.is_err() {
            stored.undo(before);
            self.stored = Some(stored);
        }
        saved
    }

    /// Saves changes to the file with the records `stored`.
    fn save_to(&mut self, stored: &mut Stored, changes: &Changes) -> io::Result<Saved> {
        let (old_len, old_live_len) = (stored.len, stored.live_len);
        let mut text = Vec::new();
        for (index, entry) in changes {
            let start = text.len();
            encode_record(entry, &mut text)?;
            if !stored.push(*index, entry.is_wait(), len_u64(text.len() - start)) {
                return Ok(Saved::AllNeeded);
            }
        }
        if stored.live_len > self.max_bytes && old_live_len <= self.max_bytes {
            return Ok(Saved::AllNeeded);
        }
        // A file that is too large to be read again is of no use.
        let max_readable_len = stored.max_readable_len(self.max_bytes);
        let max_len = stored.max_len(self.max_bytes).max(self.retry_len).min(max_readable_len);
        if stored.len > max_len {
            match self.compact(stored, old_len, &text) {
                Err(error) if stored.len > max_readable_len => return Err(error),
                Err(_) => self.retry_len = stored.len + MAX_EXTRA_BYTES,
                saved => return saved,
            }
        }
        if !self.file.append(old_len, &text)? {
            return Ok(Saved::AllNeeded);
        }
        self.stored = Some(mem::take(stored));
        Ok(Saved::Done)
    }

    /// Rewrites the file without outdated records. The records up to `old_len` are in the file, and
    /// the later ones in `appended`.
    fn compact(&mut self, stored: &Stored, old_len: u64, appended: &[u8]) -> io::Result<Saved> {
        let Some(mut old) = self.file.open()? else { return Ok(Saved::AllNeeded) };
        let mut record = Vec::new();
        let mut copy = |index, is_wait, span: Span, file: &mut RecordWriter<'_>| {
            match span.start.checked_sub(old_len) {
                None => read_span(&mut old, span, &mut record)?,
                Some(start) => span.within(start, appended).clone_into(&mut record),
            }
            if !is_record(&record) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            file.push(index, is_wait, &record)
        };
        let rewritten = self.rewrite(stored.records(), |file| {
            stored.slots.iter().try_for_each(|(index, slot)| {
                copy(*index, true, slot.wait, file)?;
                slot.plan.map_or(Ok(()), |plan| copy(*index, false, plan, file))
            })
        });
        match rewritten.map_err(|error| (error.kind(), error)) {
            Ok(()) => Ok(Saved::Done),
            // Somebody else changed the file.
            Err((io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof, _)) => {
                Ok(Saved::AllNeeded)
            }
            Err((_, error)) => Err(error),
        }
    }

    /// Replaces the file by one with the records that `write` pushes.
    fn rewrite(
        &mut self,
        records: usize,
        mut write: impl FnMut(&mut RecordWriter<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut head = Vec::new();
        let content = Head { origin: &self.origin, records: len_u64(records), worst: self.worst };
        encode_record(&content, &mut head)?;
        let mut stored = Stored::default();
        self.file.replace(|to| {
            let head_len = write_first_line(to)? + len_u64(head.len());
            to.write_all(&head)?;
            stored = Stored { len: head_len, live_len: head_len, slots: BTreeMap::new() };
            write(&mut RecordWriter { to, stored: &mut stored })
        })?;
        self.stored = Some(stored);
        self.retry_len = 0;
        Ok(())
    }
}

/// Writes records into a new file.
struct RecordWriter<'a> {
    to: &'a mut dyn Write,
    stored: &'a mut Stored,
}

impl RecordWriter<'_> {
    fn push(&mut self, index: usize, is_wait: bool, record: &[u8]) -> io::Result<()> {
        self.stored.push(index, is_wait, len_u64(record.len()));
        self.to.write_all(record)
    }
}

impl Stored {
    /// Adds a record at the end of the file. Returns `false` if it is the plan of a wait that is
    /// not in the file.
    fn push(&mut self, index: usize, is_wait: bool, len: u64) -> bool {
        let span = Span { start: self.len, len };
        let before = self.slots.get(&index).copied();
        let slot = match (is_wait, before) {
            (true, _) => Slot { wait: span, plan: None },
            (false, Some(before)) => Slot { plan: Some(span), ..before },
            (false, None) => return false,
        };
        self.len += len;
        self.live_len += slot.len();
        self.live_len -= before.map_or(0, |before| before.len());
        self.slots.insert(index, slot);
        true
    }

    /// Returns what [`push`](Self::push) changes when it adds records of these waits.
    fn before(&self, changes: &Changes) -> Before {
        let slots = changes.keys().map(|index| (*index, self.slots.get(index).copied()));
        Before { len: self.len, live_len: self.live_len, slots: slots.collect() }
    }

    /// Removes the records that were added since.
    fn undo(&mut self, before: Before) {
        (self.len, self.live_len) = (before.len, before.live_len);
        for (index, slot) in before.slots {
            match slot {
                Some(slot) => self.slots.insert(index, slot),
                None => self.slots.remove(&index),
            };
        }
    }

    /// Returns the number of records without the outdated ones.
    fn records(&self) -> usize {
        self.slots.len() + self.slots.values().filter(|slot| slot.plan.is_some()).count()
    }

    /// Returns the length above which the file is rewritten.
    fn max_len(&self, max_bytes: u64) -> u64 {
        (2 * self.live_len + MAX_EXTRA_BYTES).min(self.max_readable_len(max_bytes))
    }

    /// Returns the maximum length of the file. A file of up to `max_bytes` can be read again.
    fn max_readable_len(&self, max_bytes: u64) -> u64 {
        max_bytes.max(self.live_len + MAX_EXTRA_BYTES)
    }
}

impl Slot {
    fn len(&self) -> u64 {
        self.wait.len + self.plan.map_or(0, |plan| plan.len)
    }
}

impl Span {
    /// Returns the part of `bytes` that has this length and begins at `start`.
    fn within(self, start: u64, bytes: &[u8]) -> &[u8] {
        let range = usize::try_from(start).ok().zip(usize::try_from(start + self.len).ok());
        range.and_then(|(start, end)| bytes.get(start..end)).unwrap_or_default()
    }
}

fn read_span(file: &mut File, span: Span, to: &mut Vec<u8>) -> io::Result<()> {
    to.clear();
    file.seek(SeekFrom::Start(span.start))?;
    file.take(span.len).read_to_end(to).map(drop)
}

#[cfg(test)]
mod tests;
