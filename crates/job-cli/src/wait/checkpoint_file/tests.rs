//! Tests of reading and writing checkpoint files.

use std::fs;

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

fn origin() -> Origin {
    Origin { endpoint: "https://cce.eu-de.otc.t-systems.com".into(), project: Some("p1".into()) }
}

/// Opens a file with the settings of [`origin`].
fn open(path: &Path, named: &[&str]) -> anyhow::Result<(CheckpointFile, Vec<Checkpoint>)> {
    CheckpointFile::open(path, &ids(named), &origin())
}

#[tokio::test]
async fn checkpoint_files_round_trip() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("wait.json");
    let (file, found) = open(&path, &[]).unwrap();
    assert!(found.is_empty() && !path.exists());
    let checkpoints = vec![checkpoint("a"), checkpoint("b")];
    file.write(checkpoints.clone()).await.unwrap();
    drop(file);
    for named in [&[][..], &["a", "b"], &["b", "c", "a"]] {
        assert_eq!(open(&path, named).unwrap().1, checkpoints, "{named:?}");
    }
    let file = open(&path, &[]).unwrap().0;
    file.write(vec![checkpoints[0].clone()]).await.unwrap();
    drop(file);
    let (file, found) = open(&path, &[]).unwrap();
    assert_eq!(found, checkpoints[..1]);
    // If no wait is left, the file is removed.
    for _ in 0..2 {
        file.write(Vec::new()).await.unwrap();
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
    let (file, found) = open(&link, &["a"]).unwrap();
    assert_eq!(found, []);
    file.write(vec![checkpoint("a")]).await.unwrap();
    assert!(link.is_symlink() && fs::read(&path).unwrap().len() > 2);
    let other = open(&path, &["a"]).err().unwrap();
    assert!(other.to_string().ends_with("wait.json is in use by another process"), "{other}");
}

#[tokio::test]
async fn write_failure_is_reported_once() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("gone/wait.json");
    fs::create_dir(path.parent().unwrap()).unwrap();
    let mut file = open(&path, &[]).unwrap().0;
    let saved = async |file: &mut CheckpointFile| {
        assert!(file.is_idle());
        file.start_save(vec![checkpoint("a")]);
        let message = file.finish_save().await;
        (message, file.written_path().map(PathBuf::from))
    };
    assert_eq!(saved(&mut file).await, (None, Some(path.clone())));
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    let message = saved(&mut file).await.0.unwrap();
    assert!(message.starts_with("cannot save the checkpoint to "), "{message}");
    let expected = "/wait.json; the wait continues: entity not found";
    assert!(message.ends_with(expected), "{message}");
    assert_eq!(saved(&mut file).await, (None, None));
    fs::create_dir(path.parent().unwrap()).unwrap();
    assert_eq!(saved(&mut file).await, (None, Some(path.clone())));
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
    let file = open(&path, &[]).unwrap().0;
    file.write(vec![checkpoint("a"), checkpoint("b")]).await.unwrap();
    drop(file);
    let others = fs::read_to_string(&path).unwrap();
    check(&others, &["a"], "FILE belongs to a wait for another job, b");
    let newer = others.replace("\"version\":2", "\"version\":3");
    let unknown = "FILE is not a checkpoint of this command: checkpoint version 3 is not supported";
    check(&newer, &[], unknown);
    for text in ["{}", "not JSON", "[1]", &others[1..], &others[..others.len() - 1]] {
        check(text, &["a"], "FILE is not a checkpoint of this command: ");
    }
    let moved = others.replace("eu-de", "eu-nl");
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
