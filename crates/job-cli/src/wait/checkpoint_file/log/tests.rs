//! Tests of files that were cut off, damaged, changed by somebody else, or have outdated records.

use std::{cell::Cell, fs, path::PathBuf, rc::Rc, time::Duration};

use job_poller::{WaitPolicy, machine::Machine};
use job_transport::JobSnapshot;
use tempfile::{TempDir, tempdir};

use super::*;
use crate::wait::checkpoint_file::log_format;

/// The waits of a file, in order.
type Waits = Vec<Checkpoint>;

fn checkpoint(id: &str, seconds: u64, reason: &str) -> Checkpoint {
    let machine = Machine::new(id.parse().unwrap(), WaitPolicy::new());
    let job = format!("{{\"status\": {{\"phase\": \"Running\", \"reason\": \"{reason}\"}}}}");
    let snapshot = JobSnapshot::from_slice(job.as_bytes()).unwrap().without_job();
    Checkpoint::new(machine, Duration::from_secs(seconds)).with_snapshot(Some(snapshot))
}

fn plan(checkpoint: &Checkpoint) -> Entry<Checkpoint> {
    Entry::Plan(checkpoint.clone().with_snapshot(None))
}

/// A disk.
struct Disk {
    /// The bytes that fit on it.
    size: Cell<u64>,
    /// How often a second copy of the file was begun.
    copies: Cell<u32>,
}

/// The only file on a disk.
struct DiskFile {
    file: TargetFile,
    disk: Rc<Disk>,
}

impl DiskFile {
    fn free(&self) -> io::Result<u64> {
        let len =
            self.file.open_file()?.map_or(Ok(0), |file| file.metadata().map(|it| it.len()))?;
        Ok(self.disk.size.get().saturating_sub(len))
    }
}

impl LogFile for DiskFile {
    fn append(&self, len: u64, content: &[u8]) -> io::Result<bool> {
        let mut left = self.free()?;
        self.file.append_with(len, |to| LimitedWriter { to, left: &mut left }.write_all(content))
    }

    fn replace(&self, mut content: impl FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        self.disk.copies.set(self.disk.copies.get() + 1);
        let mut left = self.free()?;
        LogFile::replace(&self.file, |to| content(&mut LimitedWriter { to, left: &mut left }))
    }

    fn open(&self) -> io::Result<Option<File>> {
        LogFile::open(&self.file)
    }

    fn remove(&self) -> io::Result<()> {
        LogFile::remove(&self.file)
    }
}

/// Writes until no space is left.
struct LimitedWriter<'a> {
    to: &'a mut dyn Write,
    left: &'a mut u64,
}

impl Write for LimitedWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = len_u64(bytes.len()).min(*self.left);
        if len == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        *self.left -= len;
        self.to.write(&bytes[..usize::try_from(len).unwrap()])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A checkpoint file in a folder of its own.
struct Fixture {
    _folder: TempDir,
    path: PathBuf,
    disk: Rc<Disk>,
    log: CheckpointLog<DiskFile>,
}

impl Fixture {
    fn new(max_bytes: u64) -> Self {
        let folder = tempdir().unwrap();
        let path = folder.path().join("wait.json");
        let origin = Origin { endpoint: "https://a".into(), project: None };
        let disk = Rc::new(Disk { size: Cell::new(u64::MAX), copies: Cell::default() });
        let file = DiskFile { file: TargetFile::new(&path).unwrap(), disk: disk.clone() };
        let log = CheckpointLog::new(file, origin, max_bytes);
        Self { _folder: folder, path, disk, log }
    }

    fn save_all(&mut self, waits: &[Checkpoint]) {
        let all = waits.iter().cloned().map(Entry::Wait).enumerate().collect();
        self.log.save_all(&all).unwrap();
    }

    fn save(&mut self, index: usize, entry: Entry<Checkpoint>) -> Saved {
        self.try_save(index, entry).unwrap()
    }

    fn try_save(&mut self, index: usize, entry: Entry<Checkpoint>) -> Result<Saved, io::ErrorKind> {
        let saved = self.log.save_changes(&Changes::from([(index, entry)]));
        saved.map_err(|error| error.kind())
    }

    /// Sets the free space of the disk.
    fn set_free(&self, bytes: usize) {
        self.disk.size.set(len_u64(self.text().len() + bytes));
    }

    fn text(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }

    fn waits(&self) -> Waits {
        read(&self.text()).unwrap().unwrap()
    }
}

fn read(text: &[u8]) -> io::Result<Option<Waits>> {
    Ok(log_format::read::<Origin>(text)?.map(|content| content.waits))
}

/// Returns a file with three waits and three appended records. Also returns the lengths that it had
/// after each save, with the waits that it had then.
fn grown_file() -> (Vec<u8>, Vec<(usize, Waits)>) {
    let mut fixture = Fixture::new(1 << 20);
    let mut waits: Waits = ["a", "b", "c"].map(|id| checkpoint(id, 1, "old")).into();
    fixture.save_all(&waits);
    let mut steps = vec![(fixture.text().len(), waits.clone())];
    for (index, id, is_wait) in [(1, "b", true), (0, "a", false), (1, "b", false)] {
        let reason = if index == 1 { "new" } else { "old" };
        waits[index] = checkpoint(id, 2 + u64::try_from(steps.len()).unwrap(), reason);
        let change = waits[index].clone();
        let entry = if is_wait { Entry::Wait(change) } else { plan(&change) };
        assert_eq!(fixture.save(index, entry), Saved::Done);
        steps.push((fixture.text().len(), waits.clone()));
    }
    (fixture.text(), steps)
}

/// Checks what is read of a changed file. `whole` is the number of bytes before the change.
fn check_rest(text: &[u8], whole: usize, steps: &[(usize, Waits)], name: &str) {
    match (read(text), steps.iter().rev().find(|(len, _)| *len <= whole)) {
        (Ok(waits), Some((_, expected))) => assert_eq!(waits.as_ref(), Some(expected), "{name}"),
        (Ok(waits), None) => assert!(waits.is_none() && text.is_empty(), "{name}"),
        (Err(error), before) => {
            assert_eq!((error.kind(), before), (io::ErrorKind::InvalidData, None), "{name}");
        }
    }
}

#[test]
fn a_file_cut_off_at_any_byte_has_the_states_before_the_cut() {
    let (text, steps) = grown_file();
    for len in 0..=text.len() {
        check_rest(&text[..len], len, &steps, &format!("{len} bytes"));
        // Some file systems keep the length and lose the content.
        let zeros = [&text[..len], &vec![0; text.len() - len]].concat();
        check_rest(&zeros, len, &steps, &format!("{len} bytes, then zeros"));
    }
}

#[test]
fn a_damaged_byte_never_changes_a_state() {
    let (mut text, steps) = grown_file();
    for at in 0..text.len() {
        for bit in [1, 32] {
            text[at] ^= bit;
            check_rest(&text, at, &steps, &format!("bit {bit} of byte {at}"));
            text[at] ^= bit;
        }
    }
}

#[test]
fn a_file_stays_below_twice_its_live_size_and_a_mebibyte() {
    let mut fixture = Fixture::new(u64::MAX);
    let ids = ["a", "b", "c", "d", "e"];
    let mut waits: Waits = ids.map(|id| checkpoint(id, 0, "")).into();
    fixture.save_all(&waits);
    let (mut random, mut len, mut rewritten) = (fastrand::Rng::with_seed(1), 0, 0);
    for second in 1..120 {
        let index = random.usize(..ids.len());
        let is_wait = random.u8(..4) > 0;
        let reason = "x".repeat(random.usize(..200_000));
        let newer = checkpoint(ids[index], second, &reason);
        let entry = if is_wait {
            waits[index] = newer;
            Entry::Wait(waits[index].clone())
        } else {
            let snapshot = waits[index].machine().snapshot().cloned();
            waits[index] = newer.with_snapshot(snapshot);
            plan(&waits[index])
        };
        assert_eq!(fixture.save(index, entry), Saved::Done);
        let (before, live) = (len, whole_len(&waits));
        len = fixture.text().len();
        // A plan of at most 1 KiB per wait may be apart from its job.
        assert!(len <= 2 * (live + (ids.len() << 10)) + (1 << 20), "{len} bytes, {live} live");
        rewritten += usize::from(len < before);
        if len < before || second % 10 == 0 {
            assert_eq!(fixture.waits(), waits);
        }
    }
    assert!((3..40).contains(&rewritten), "rewritten {rewritten} times");
}

/// Returns the length of a new file with these waits.
fn whole_len(waits: &[Checkpoint]) -> usize {
    let mut fixture = Fixture::new(u64::MAX);
    fixture.save_all(waits);
    fixture.text().len()
}

#[test]
fn a_file_that_somebody_else_changed_needs_all_states() {
    let changed = |text: &[u8]| {
        let mut text = text.to_vec();
        let end = text.len() - 2;
        text[end] ^= 1;
        text
    };
    type Change = fn(&PathBuf, &[u8], &dyn Fn(&[u8]) -> Vec<u8>);
    let rows: [(&str, Change); 4] = [
        ("removed", |path, _, _| fs::remove_file(path).unwrap()),
        ("shorter", |path, text, _| fs::write(path, &text[1..]).unwrap()),
        ("longer", |path, text, _| fs::write(path, [text, b"x"].concat()).unwrap()),
        ("same length", |path, text, changed| fs::write(path, changed(text)).unwrap()),
    ];
    for (name, change) in rows {
        let mut fixture = Fixture::new(1 << 30);
        let waits: Waits = ["a", "b"].map(|id| checkpoint(id, 1, "old")).into();
        fixture.save_all(&waits);
        change(&fixture.path, &fixture.text(), &changed);
        // Enough bytes for the file to be rewritten, if it exists.
        let (large, largest) = (checkpoint("a", 2, &"x".repeat(2 << 20)), "x".repeat(4 << 20));
        if name == "same length" {
            assert_eq!(fixture.save(0, Entry::Wait(checkpoint("a", 2, &largest))), Saved::Done);
        }
        let before = fs::read(&fixture.path).ok();
        assert_eq!(fixture.save(0, Entry::Wait(large.clone())), Saved::AllNeeded, "{name}");
        assert_eq!(fs::read(&fixture.path).ok(), before, "{name}");
        assert_eq!(fixture.save(0, Entry::Wait(large.clone())), Saved::AllNeeded, "{name}");
        let waits = [large, waits[1].clone()];
        fixture.save_all(&waits);
        assert_eq!(fixture.waits(), waits, "{name}");
    }
}

#[test]
fn states_above_the_readable_size_are_written_again_once() {
    let mut fixture = Fixture::new(10_000);
    let mut waits: Waits = ["a", "b"].map(|id| checkpoint(id, 1, "old")).into();
    fixture.save_all(&waits);
    waits[0] = checkpoint("a", 2, &"x".repeat(20_000));
    assert_eq!(fixture.save(0, Entry::Wait(waits[0].clone())), Saved::AllNeeded);
    fixture.save_all(&waits);
    waits[1] = checkpoint("b", 3, "new");
    assert_eq!(fixture.save(1, Entry::Wait(waits[1].clone())), Saved::Done);
    assert_eq!(fixture.waits(), waits);
}

#[test]
fn changes_that_did_not_fit_on_the_disk_are_appended_when_there_is_space() {
    let mut fixture = Fixture::new(1 << 30);
    let mut waits: Waits = ["a", "b"].map(|id| checkpoint(id, 1, "old")).into();
    fixture.save_all(&waits);
    let text = fixture.text();
    waits[1] = checkpoint("b", 2, "new");
    for free in [0, 1, 500] {
        fixture.set_free(free);
        let changes = [Entry::Wait(waits[1].clone()), plan(&waits[1])];
        for entry in changes {
            let saved = fixture.try_save(1, entry);
            assert_eq!(saved, Err(io::ErrorKind::StorageFull), "{free} bytes");
            assert_eq!(fixture.text(), text, "{free} bytes");
        }
    }
    fixture.set_free(5_000);
    assert_eq!(fixture.save(1, Entry::Wait(waits[1].clone())), Saved::Done);
    waits[0] = checkpoint("a", 3, "old");
    assert_eq!(fixture.save(0, plan(&waits[0])), Saved::Done);
    assert_eq!((fixture.waits(), fixture.disk.copies.get()), (waits, 1));
}

#[test]
fn a_disk_without_space_for_a_second_copy_still_takes_changes() {
    let state = |id, seconds, len| checkpoint(id, seconds, &"x".repeat(len));
    // The maximum size of a file that can be read; the number of changes of 900 KB that are appended
    // before the file has to be rewritten; the result of the next one without space for a copy.
    let rows = [
        (1 << 30, 4, Ok(Saved::Done)),
        // The file must not become too large to be read again.
        (4 << 20, 1, Err(io::ErrorKind::StorageFull)),
    ];
    for (max_bytes, appended, expected) in rows {
        let mut fixture = Fixture::new(max_bytes);
        let mut waits: Waits = vec![state("a", 0, 900_000), state("b", 0, 2_000_000)];
        fixture.save_all(&waits);
        for seconds in 1..=appended {
            waits[0] = state("a", seconds, 900_000);
            assert_eq!(fixture.save(0, Entry::Wait(waits[0].clone())), Saved::Done);
        }
        let before = (fixture.text(), fixture.disk.copies.get());
        assert_eq!(before.1, 1);
        fixture.set_free(1_500_000);
        let newer = state("a", 100, 900_000);
        assert_eq!(fixture.try_save(0, Entry::Wait(newer.clone())), expected);
        assert_eq!(fixture.disk.copies.get(), 2, "a copy was tried");
        if expected.is_err() {
            assert_eq!(fixture.text(), before.0);
        } else {
            // The next copy is tried when the file has grown by another MiB.
            waits[0] = newer;
            for (seconds, copies) in [(101, 2), (102, 3)] {
                assert_eq!(fixture.waits(), waits);
                fixture.disk.size.set(u64::MAX);
                waits[0] = state("a", seconds, 900_000);
                assert_eq!(fixture.save(0, Entry::Wait(waits[0].clone())), Saved::Done);
                assert_eq!(fixture.disk.copies.get(), copies);
            }
            assert!(fixture.text().len() < 3_000_000, "it was rewritten");
        }
        fixture.disk.size.set(u64::MAX);
        waits[0] = state("a", 200, 900_000);
        assert_eq!(fixture.save(0, Entry::Wait(waits[0].clone())), Saved::Done);
        assert_eq!(fixture.waits(), waits);
    }
}

#[test]
fn a_file_that_cannot_be_rewritten_grows_only_while_it_can_be_read() {
    let state = |id, seconds, len| checkpoint(id, seconds, &"x".repeat(len));
    let mut fixture = Fixture::new(8_000_000);
    let mut waits: Waits = vec![state("a", 0, 900_000), state("b", 0, 2_000_000)];
    fixture.save_all(&waits);
    // The fifth change needs a copy, and the sixth would make the file too large.
    for seconds in 1..=5 {
        fixture.set_free(1_500_000);
        waits[0] = state("a", seconds, 900_000);
        assert_eq!(fixture.save(0, Entry::Wait(waits[0].clone())), Saved::Done);
    }
    fixture.set_free(1_500_000);
    let newer = state("a", 6, 900_000);
    let saved = fixture.try_save(0, Entry::Wait(newer));
    assert_eq!(saved, Err(io::ErrorKind::StorageFull));
    assert_eq!(fixture.waits(), waits);
}
