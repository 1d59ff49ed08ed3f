//! Tests of reading and writing checkpoint files.

use std::{fs, sync::mpsc, thread};

use job_poller::{WaitPolicy, machine::Machine};
use tempfile::tempdir;

use super::*;

fn checkpoint(id: &str) -> Checkpoint {
    checkpoint_at(id, 90)
}

fn checkpoint_at(id: &str, seconds: u64) -> Checkpoint {
    let machine = Machine::new(id.parse().unwrap(), WaitPolicy::new());
    Checkpoint::new(machine, Duration::from_secs(seconds))
}

fn ids(ids: &[&str]) -> Vec<JobId> {
    ids.iter().map(|id| id.parse().unwrap()).collect()
}

fn origin() -> Origin {
    Origin { endpoint: "https://cce.eu-de.otc.t-systems.com".into(), project: Some("p1".into()) }
}

/// Opens a file with the settings of [`origin`].
fn open(path: &Path, named: &[&str]) -> anyhow::Result<(CheckpointFile, Vec<Checkpoint>)> {
    CheckpointFile::open(path, &ids(named), &origin())
}

/// Returns the checkpoints by the positions of their jobs.
fn all(checkpoints: &[Checkpoint]) -> BTreeMap<usize, Checkpoint> {
    checkpoints.iter().cloned().enumerate().collect()
}

/// Returns the file as it was written before format 2.
fn whole_file(checkpoints: &[Checkpoint]) -> String {
    serde_json::json!({"origin": origin(), "waits": checkpoints}).to_string()
}

#[tokio::test]
async fn checkpoint_files_round_trip() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("wait.json");
    let (mut file, found) = open(&path, &[]).unwrap();
    assert!(found.is_empty() && !path.exists());
    let checkpoints = vec![checkpoint("a"), checkpoint("b")];
    file.create(all(&checkpoints)).await.unwrap();
    drop(file);
    for named in [&[][..], &["a", "b"], &["b", "c", "a"]] {
        assert_eq!(open(&path, named).unwrap().1, checkpoints, "{named:?}");
    }
    let mut file = open(&path, &[]).unwrap().0;
    file.create(all(&checkpoints[..1])).await.unwrap();
    drop(file);
    let (mut file, found) = open(&path, &[]).unwrap();
    assert_eq!(found, checkpoints[..1]);
    // If no wait is left, the file is removed.
    for _ in 0..2 {
        file.create(BTreeMap::new()).await.unwrap();
        assert!(!path.exists());
    }
    drop(file);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "no other file is left");
}

#[tokio::test]
async fn empty_files_hold_no_waits_and_symlinks_are_kept() {
    let folder = tempdir().unwrap();
    let (path, link) = (folder.path().join("wait.json"), folder.path().join("link.json"));
    fs::write(&path, "").unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let (mut file, found) = open(&link, &["a"]).unwrap();
    assert_eq!(found, []);
    file.create(all(&[checkpoint("a")])).await.unwrap();
    assert!(link.is_symlink() && fs::read(&path).unwrap().len() > 2);
    let other = open(&path, &["a"]).err().unwrap();
    assert!(other.to_string().ends_with("wait.json is in use by another process"), "{other}");
}

#[tokio::test]
async fn a_save_on_a_slow_disk_is_not_joined_by_another() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("wait.json");
    let mut file = open(&path, &[]).unwrap().0;
    file.create(all(&[checkpoint("a")])).await.unwrap();
    let log = file.log.clone();
    let (release, released) = mpsc::channel::<()>();
    let (started, has_started) = mpsc::channel();
    let disk = thread::spawn(move || {
        let _log = log.lock().unwrap();
        started.send(()).unwrap();
        released.recv()
    });
    has_started.recv().unwrap();
    file.add(0, checkpoint("a"), true);
    file.start_save_due();
    file.add(0, checkpoint("a"), true);
    // As if the save had begun long ago.
    file.last_save = None;
    assert!(!file.is_due() && !file.is_idle());
    drop(release);
    disk.join().unwrap().unwrap_err();
    assert_eq!(file.finish_save().await, None);
    assert!(file.is_due());
}

#[tokio::test]
async fn write_failure_is_reported_once() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("gone/wait.json");
    fs::create_dir(path.parent().unwrap()).unwrap();
    let mut file = open(&path, &[]).unwrap().0;
    let saved = async |file: &mut CheckpointFile| {
        assert!(file.is_idle());
        match file.needs_all() {
            true => file.start_save_all(all(&[checkpoint("a")])),
            false => {
                file.add(0, checkpoint("a"), true);
                file.start_save_due();
            }
        }
        let message = file.finish_save().await;
        (message, file.written_path().map(PathBuf::from))
    };
    for _ in 0..2 {
        assert_eq!(saved(&mut file).await, (None, Some(path.clone())));
    }
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    // The file is missing, so all checkpoints are written again. Only that is an error.
    assert_eq!(saved(&mut file).await, (None, Some(path.clone())));
    assert!(file.needs_all());
    let message = saved(&mut file).await.0.unwrap();
    assert!(message.starts_with("cannot save the checkpoint to "), "{message}");
    let expected = "/wait.json; the wait continues: entity not found";
    assert!(message.ends_with(expected), "{message}");
    assert_eq!(saved(&mut file).await, (None, None));
    fs::create_dir(path.parent().unwrap()).unwrap();
    assert_eq!(saved(&mut file).await, (None, Some(path.clone())));
}

#[tokio::test]
async fn changes_of_a_failed_save_are_saved_later() {
    let folder = tempdir().unwrap();
    let (path, away) = (folder.path().join("wait.json"), folder.path().join("away.json"));
    let mut file = open(&path, &[]).unwrap().0;
    file.create(all(&[checkpoint("a"), checkpoint("b")])).await.unwrap();
    // Nothing can be appended to a folder.
    fs::rename(&path, &away).unwrap();
    fs::create_dir(&path).unwrap();
    let newer = checkpoint_at("b", 100);
    file.add(1, newer.clone(), true);
    file.start_save_due();
    let message = file.finish_save().await.unwrap();
    assert!(message.contains("the wait continues"), "{message}");
    assert!(!file.needs_all());
    fs::remove_dir(&path).unwrap();
    fs::rename(&away, &path).unwrap();
    file.start_save_due();
    assert_eq!(file.finish_save().await, None);
    drop(file);
    assert_eq!(open(&path, &[]).unwrap().1, [checkpoint("a"), newer]);
}

#[tokio::test]
async fn unusable_checkpoint_files_are_not_overwritten() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("wait.json");
    let check = |text: &str, named: &[&str], expected: &str| {
        fs::write(&path, text).unwrap();
        let error = open(&path, named).err().unwrap();
        let error = format!("{error:#}").replace(&path.display().to_string(), "FILE");
        assert!(error.starts_with(expected), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    };
    let mut file = open(&path, &[]).unwrap().0;
    file.create(all(&[checkpoint("a"), checkpoint("b")])).await.unwrap();
    drop(file);
    let others = fs::read_to_string(&path).unwrap();
    let whole = whole_file(&[checkpoint("a"), checkpoint("b")]);
    for others in [&others, &whole] {
        check(others, &["a"], "FILE belongs to a wait for another job, b");
    }
    let newer = whole.replace("\"version\":2", "\"version\":4");
    let rows = [
        (&*newer, "checkpoint version 4 is not supported"),
        (&others.replacen("checkpoint 2", "checkpoint 3", 1), "format 3 is not supported, only"),
        (&others.replacen("origin", "Origin", 1), "its first record is damaged"),
        (&others[..others.len() - 1], "record 2 of 2 is damaged"),
        (&whole[..whole.len() - 1], ""),
        (&others[1..], "it does not start with"),
        ("not JSON", "it does not start with"),
        ("[1]", "it does not start with"),
        ("{}", "missing field"),
    ];
    for (text, expected) in rows {
        let expected = format!("FILE is not a checkpoint of this command: {expected}");
        check(text, &["a"], &expected);
    }
    let moved = whole.replace("eu-de", "eu-nl");
    check(
        &moved,
        &[],
        "FILE belongs to project p1 at https://cce.eu-nl.otc.t-systems.com, but this \
        command uses project p1 at https://cce.eu-de.otc.t-systems.com",
    );
    let missing = open(&folder.path().join("no/wait.json"), &[]).err().unwrap();
    let missing = format!("{missing:#}");
    assert!(missing.starts_with("cannot create "), "{missing}");
    assert!(missing.contains("no/wait.json.lock: No such file or directory"), "{missing}");
    let error = format!("{:#}", open(folder.path(), &[]).err().unwrap());
    assert!(error.ends_with(" as a checkpoint: it is a folder, not a regular file"), "{error}");
}

#[tokio::test]
async fn a_file_of_the_old_format_is_resumed_and_rewritten() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("wait.json");
    let checkpoints = [checkpoint("a"), checkpoint("b")];
    fs::write(&path, whole_file(&checkpoints)).unwrap();
    let (mut file, found) = open(&path, &["b", "a"]).unwrap();
    assert_eq!(found, checkpoints);
    file.create(all(&checkpoints)).await.unwrap();
    drop(file);
    assert!(fs::read_to_string(&path).unwrap().starts_with("cce-job-checkpoint 2\n"));
    assert_eq!(open(&path, &[]).unwrap().1, checkpoints);
}

#[test]
fn checkpoints_above_the_size_limit_are_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("wait.json");
    // The file has no content on the disk.
    fs::File::create(&path).unwrap().set_len(MAX_CHECKPOINT_BYTES + 1).unwrap();
    let error = format!("{:#}", open(&path, &[]).err().unwrap());
    assert!(error.ends_with("wait.json: it is larger than 512 MiB"), "{error}");
}

#[test]
fn checkpoints_fit_their_service_and_project() {
    let origin = |endpoint: &str, project: Option<&str>| Origin {
        endpoint: endpoint.into(),
        project: project.map(String::from),
    };
    let saved = origin("https://a", Some("p"));
    let rows = [
        (origin("https://a", Some("p")), true),
        (origin("https://a", None), true),
        (origin("https://a", Some("q")), false),
        (origin("https://b", Some("p")), false),
        (origin("https://b", None), false),
    ];
    for (other, fits) in rows {
        assert_eq!(saved.fits(&other), fits, "{other}");
        assert_eq!(other.fits(&saved), fits, "{other}");
    }
}
