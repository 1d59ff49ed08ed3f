//! Tests of reading and writing checkpoint files.

use job_poller::{Machine, WaitPolicy};
use tempfile::tempdir;

use super::*;

fn checkpoint(id: &str) -> Checkpoint {
    let machine = Machine::new(id.parse().unwrap(), WaitPolicy::new());
    Checkpoint::new(machine, std::time::Duration::from_secs(90))
}

fn ids(ids: &[&str]) -> Vec<JobId> {
    ids.iter().map(|id| id.parse().unwrap()).collect()
}

#[test]
fn checkpoint_files_round_trip() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("wait.json");
    let (file, found) = CheckpointFile::open(&path, &[]).unwrap();
    assert!(found.is_empty() && !path.exists());
    let checkpoints = [checkpoint("a"), checkpoint("b")];
    file.write(&checkpoints.each_ref()).unwrap();
    for named in [&[][..], &ids(&["a", "b"]), &ids(&["b", "c", "a"])] {
        assert_eq!(CheckpointFile::open(&path, named).unwrap().1, checkpoints, "{named:?}");
    }
    file.write(&[&checkpoints[0]]).unwrap();
    assert_eq!(CheckpointFile::open(&path, &[]).unwrap().1, checkpoints[..1]);
    // If no wait is left, the file is removed.
    for _ in 0..2 {
        file.write(&[]).unwrap();
        assert!(!path.exists());
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "no other file is left");
}

#[test]
fn empty_files_hold_no_waits_and_symlinks_are_kept() {
    let folder = tempdir().unwrap();
    let (path, link) = (folder.path().join("wait.json"), folder.path().join("link.json"));
    fs::write(&path, "").unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let (file, found) = CheckpointFile::open(&link, &ids(&["a"])).unwrap();
    assert_eq!(found, []);
    file.write(&[&checkpoint("a")]).unwrap();
    assert!(link.is_symlink() && fs::read(&path).unwrap().len() > 2);
}

#[test]
fn write_failure_is_reported_once() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("gone/wait.json");
    fs::create_dir(path.parent().unwrap()).unwrap();
    let mut file = CheckpointFile::open(&path, &[]).unwrap().0;
    let one = checkpoint("a");
    assert_eq!((file.save(&[&one]), file.written_path()), (None, Some(&*path)));
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    let message = file.save(&[&one]).unwrap();
    assert!(message.starts_with("cannot save the checkpoint to "), "{message}");
    let expected = "/wait.json; the wait continues: entity not found";
    assert!(message.ends_with(expected), "{message}");
    assert_eq!((file.save(&[&one]), file.written_path()), (None, None));
    fs::create_dir(path.parent().unwrap()).unwrap();
    assert_eq!((file.save(&[&one]), file.written_path()), (None, Some(&*path)));
}

#[test]
fn unusable_checkpoint_files_are_not_overwritten() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("wait.json");
    let check = |text: &str, named: &[&str], expected: &str| {
        fs::write(&path, text).unwrap();
        let error = CheckpointFile::open(&path, &ids(named)).err().unwrap();
        let error = format!("{error:#}").replace(&path.display().to_string(), "FILE");
        assert!(error.starts_with(expected), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    };
    let others = serde_json::to_string(&[checkpoint("a"), checkpoint("b")]).unwrap();
    let other = "FILE belongs to a wait for another job, b";
    check(&others, &["a"], other);
    let newer = others.replace("\"version\":2", "\"version\":3");
    let unknown = "FILE is not a checkpoint of this command: checkpoint version 3 is not supported";
    check(&newer, &[], unknown);
    for text in ["{}", "not JSON", "[1]"] {
        check(text, &["a"], "FILE is not a checkpoint of this command: ");
    }
    let missing = CheckpointFile::open(&folder.path().join("no/wait.json"), &[]).unwrap().0;
    let error = missing.write(&[&checkpoint("a")]).unwrap_err().to_string();
    assert!(error.starts_with("No such file or directory") && !error.contains("tmp"), "{error}");
    assert!(CheckpointFile::open(folder.path(), &[]).is_err(), "a folder");
}
