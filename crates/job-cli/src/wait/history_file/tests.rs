//! Tests opening and saving the history file.

use std::{fs, time::Duration};

use tempfile::tempdir;

use super::*;

/// Opens the file for a service on another machine.
fn open(file: &Path) -> anyhow::Result<HistoryFile> {
    HistoryFile::open(Some(file), &"https://cce.example".parse().unwrap())
}

fn observation(seconds: u64) -> JobObservation {
    JobObservation::new("CreateNode", Duration::ZERO, Duration::from_secs(seconds), true)
}

#[test]
fn histories_of_concurrent_commands_are_merged() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("state/history.json");
    let mut both = [(); 2].map(|()| open(&file).unwrap());
    for one in &mut both {
        one.add(None);
        one.save().unwrap();
        assert!(!file.exists(), "there was nothing to save");
        one.add(Some(observation(200)));
    }
    both.iter().for_each(|one| one.save().unwrap());
    let history = open(&file).unwrap().history;
    assert!((history.jobs("CreateNode") - 1.96).abs() < 1e-3, "{}", history.jobs("CreateNode"));
}

#[test]
fn saving_history_never_writes_another_history_file() {
    let folder = tempdir().unwrap();
    let [file, beside] = ["h.lock", "h.toml"].map(|name| folder.path().join(name));
    fs::write(&file, "").unwrap();
    for file in [&file, &beside] {
        for _ in 0..2 {
            let mut one = open(file).unwrap();
            one.add(Some(observation(200)));
            one.save().unwrap();
        }
        let history = open(file).unwrap().history;
        assert!(history.jobs("CreateNode") > 1.9, "{}", file.display());
    }
}

#[test]
fn an_invalid_history_file_is_not_overwritten() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("history.json");
    fs::write(&file, "{}").unwrap();
    let error = open(&file).err().unwrap();
    assert!(format!("{error:#}").contains("is not a history file; delete it"), "{error:#}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "{}");
    let mut none = open(Path::new("none")).unwrap();
    none.add(Some(observation(1)));
    none.save().unwrap();
}

#[test]
fn a_locked_history_is_skipped() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("history.json");
    let mut one = open(&file).unwrap();
    one.add(Some(observation(200)));
    let lock = TargetFile::new(&file).unwrap().lock(Duration::ZERO).unwrap();
    for (jobs, expected) in [
        (1, "so this job's duration is not saved"),
        (2, "so the durations of these jobs are not saved"),
    ] {
        let error = one.save().unwrap_err().to_string();
        assert!(error.contains("is in use by another process, "), "{error}");
        assert!(error.ends_with(expected), "{jobs}: {error}");
        one.add(Some(observation(200)));
    }
    assert!(!file.exists());
    drop(lock);
    one.save().unwrap();
    assert!(open(&file).unwrap().history.jobs("CreateNode") > 2.8);
}

#[test]
fn a_history_above_the_size_limit_is_refused() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("history.json");
    fs::File::create(&file).unwrap().set_len(MAX_HISTORY_BYTES + 1).unwrap();
    let error = format!("{:#}", open(&file).err().unwrap());
    assert!(error.ends_with("history.json: it is larger than 64 MiB"), "{error}");
}

#[test]
fn each_host_has_its_own_history() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("history.json");
    let open = |endpoint: &str| HistoryFile::open(Some(&file), &endpoint.parse().unwrap()).unwrap();
    let mut one = open("https://CCE.example:8443/prefix");
    one.add(Some(observation(200)));
    one.save().unwrap();
    for (endpoint, jobs) in [
        ("https://cce.example", 1.0),
        ("https://cce.example/autopilot", 1.0),
        ("https://other.example", 0.0),
    ] {
        assert_eq!(open(endpoint).history.jobs("CreateNode"), jobs, "{endpoint}");
    }
}

/// A named file is read, because the user chose it for this service.
#[test]
fn nothing_is_saved_for_a_service_on_this_machine() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("history.json");
    let mut one = open(&file).unwrap();
    one.add(Some(observation(200)));
    one.save().unwrap();
    let before = fs::read(&file).unwrap();
    for endpoint in
        ["https://127.0.0.1:9", "https://localhost:9", "http://[::1]:9/x", "https://127.9.0.1"]
    {
        let endpoint: Endpoint = endpoint.parse().unwrap();
        let mut local = HistoryFile::open(Some(&file), &endpoint).unwrap();
        local.add(Some(observation(1)));
        local.save().unwrap();
        assert_eq!(fs::read(&file).unwrap(), before, "{endpoint}");
        assert!(HistoryFile::open(Some(folder.path()), &endpoint).is_err(), "{endpoint}");
        assert!(HistoryFile::open(None, &endpoint).unwrap().file.is_none(), "{endpoint}");
    }
}

#[test]
fn a_file_of_an_earlier_version_is_read_and_extended() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("history.json");
    let old = include_bytes!("../../../fixtures/histories/format-1.json");
    fs::write(&file, old).unwrap();
    let before = open(&file).unwrap().history.jobs("CreateCluster");
    assert!(before > 2.0, "{before}");
    let mut one = open(&file).unwrap();
    one.add(Some(observation(200)));
    one.save().unwrap();
    let local = "https://127.0.0.1:9".parse().unwrap();
    for history in [open(&file), HistoryFile::open(Some(&file), &local)] {
        assert_eq!(history.unwrap().history.jobs("CreateCluster"), before);
    }
}
