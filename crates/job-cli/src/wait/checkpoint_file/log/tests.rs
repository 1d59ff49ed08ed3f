//! Tests of files that were cut off, damaged, changed by somebody else, or have outdated records.

use std::{fs, path::PathBuf, time::Duration};

use job_poller::{Machine, WaitPolicy};
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

/// A checkpoint file in a folder of its own.
struct Fixture {
    _folder: TempDir,
    path: PathBuf,
    log: CheckpointLog,
}

impl Fixture {
    fn new(max_bytes: u64) -> Self {
        let folder = tempdir().unwrap();
        let path = folder.path().join("wait.json");
        let origin = Origin { endpoint: "https://a".into(), project: None };
        let log = CheckpointLog::new(TargetFile::new(&path).unwrap(), origin, max_bytes);
        Self { _folder: folder, path, log }
    }

    fn save_all(&mut self, waits: &[Checkpoint]) {
        let all = waits.iter().cloned().map(Entry::Wait).enumerate().collect();
        self.log.save_all(&all).unwrap();
    }

    fn save(&mut self, index: usize, entry: Entry<Checkpoint>) -> Saved {
        self.log.save_changes(&Changes::from([(index, entry)])).unwrap()
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
