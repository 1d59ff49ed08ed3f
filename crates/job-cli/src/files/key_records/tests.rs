//! Tests of the records' files: their content, their locks, and which of them are removed.

use std::{collections::BTreeSet, thread};

use jiff::Timestamp;
use job_transport::request::RefusalCause;
use tempfile::{TempDir, tempdir};
use tokio::time::timeout;

use super::*;

const KEY: KeyId = KeyId::new([7; 32]);

/// Long enough for many attempts to get a lock.
const SHORT_TIME: Duration = Duration::from_millis(100);

fn blocked() -> KeyRecord {
    KeyRecord::blocked(Timestamp::constant(1_580_631_160, 0), RefusalCause::WrongSignature)
}

fn proven() -> KeyRecord {
    KeyRecord::proven(Timestamp::constant(1_580_631_160, 0))
}

fn open(folder: &TempDir) -> KeyRecordFiles {
    KeyRecordFiles::open(&folder.path().join("state/keys")).unwrap()
}

async fn lock(records: &KeyRecordFiles, key: KeyId) -> Box<dyn LockedKeyRecord> {
    records.lock(key).await.unwrap()
}

async fn store(records: &KeyRecordFiles, key: KeyId, record: KeyRecord) {
    lock(records, key).await.store(record).await.unwrap();
}

async fn read(records: &KeyRecordFiles, key: KeyId) -> KeyRecord {
    lock(records, key).await.record()
}

/// Returns the names of the files, except lock files that are about to be removed.
fn names(records: &KeyRecordFiles) -> BTreeSet<String> {
    let files = fs::read_dir(&records.0.path).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.ends_with(".lock")).collect()
}

fn path(records: &KeyRecordFiles, key: KeyId) -> PathBuf {
    records.0.path.join(records.0.record_name(&key))
}

#[tokio::test]
async fn processes_share_the_records_of_each_key() {
    let folder = tempdir().unwrap();
    let (one, other) = (open(&folder), open(&folder));
    let other_key = KeyId::new([8; 32]);
    assert_eq!(read(&one, KEY).await, KeyRecord::Unproven);
    for (key, record) in [(KEY, blocked()), (other_key, proven()), (KEY, proven())] {
        store(&one, key, record).await;
        assert_eq!(read(&other, key).await, record);
    }
    store(&other, KEY, KeyRecord::Unproven).await;
    assert_eq!(read(&one, KEY).await, KeyRecord::Unproven);
    assert_eq!(read(&one, other_key).await, proven());
    assert_eq!(names(&one).len(), 3, "the local key and two records");
}

#[tokio::test]
async fn files_do_not_reveal_the_key_and_are_private() {
    let folder = tempdir().unwrap();
    let records = open(&folder);
    store(&records, KEY, blocked()).await;
    let elsewhere = tempdir().unwrap();
    let elsewhere = open(&elsewhere);
    store(&elsewhere, KEY, blocked()).await;
    let own = names(&records);
    assert_eq!(own.intersection(&names(&elsewhere)).collect::<Vec<_>>(), ["local-key"]);
    let hex = base16ct::lower::encode_string(KEY.as_bytes());
    for name in own {
        let path = records.0.path.join(&name);
        let content = fs::read(&path).unwrap();
        assert!(!name.contains(&hex), "{name}");
        assert!(!content.windows(32).any(|bytes| bytes == KEY.as_bytes()), "{name}");
        assert!(!String::from_utf8_lossy(&content).contains(&hex), "{name}");
        #[cfg(unix)]
        assert_eq!(mode(&path), 0o600, "{name}");
    }
    #[cfg(unix)]
    for created in ["state", "state/keys"] {
        assert_eq!(mode(&folder.path().join(created)), 0o700, "{created}");
    }
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn unreadable_and_forged_records_are_unproven() {
    let folder = tempdir().unwrap();
    let records = open(&folder);
    let other_key = KeyId::new([8; 32]);
    store(&records, KEY, proven()).await;
    store(&records, other_key, blocked()).await;
    let file = path(&records, KEY);
    let genuine = fs::read_to_string(&file).unwrap();
    assert_eq!(read(&records, KEY).await, proven());
    let (code, json) = genuine.split_once('\n').unwrap();
    let later = json.replace("2020", "2030");
    assert_ne!(later, json);
    let forged = [
        String::new(),
        "\n".into(),
        code.into(),
        json.into(),
        format!("{code}\n{later}"),
        format!("{code} {json}"),
        format!("{}\n{json}", "0".repeat(code.len())),
        format!("{code}\n{json} "),
        genuine.repeat(2),
        "x".repeat(1 << 20),
        // The record of another key.
        fs::read_to_string(path(&records, other_key)).unwrap(),
    ];
    for text in forged {
        fs::write(&file, &text).unwrap();
        assert_eq!(read(&records, KEY).await, KeyRecord::Unproven, "{text:.200}");
    }
    // It is replaced as any other record.
    store(&records, KEY, blocked()).await;
    assert_eq!(read(&records, KEY).await, blocked());
    // Another local key makes all records worthless.
    let local_key = records.0.path.join(LOCAL_KEY_NAME);
    fs::remove_file(local_key).unwrap();
    assert_eq!(read(&open(&folder), KEY).await, KeyRecord::Unproven);
}

#[test]
fn processes_that_start_together_agree_on_the_local_key() {
    for _ in 0..20 {
        let folder = tempdir().unwrap();
        let names: BTreeSet<String> = thread::scope(|scope| {
            let opened: Vec<_> = (0..8).map(|_| scope.spawn(|| open(&folder))).collect();
            let opened = opened.into_iter().map(|thread| thread.join().unwrap());
            opened.map(|records| records.0.record_name(&KEY)).collect()
        });
        assert_eq!(names.len(), 1);
    }
}

#[tokio::test]
async fn a_lock_excludes_others_until_it_is_dropped_or_stored() {
    let folder = tempdir().unwrap();
    let (one, other) = (open(&folder), open(&folder));
    for is_stored in [false, true] {
        let held = lock(&one, KEY).await;
        assert!(timeout(SHORT_TIME, other.lock(KEY)).await.is_err());
        // The record of another key is not locked.
        drop(lock(&other, KeyId::new([8; 32])).await);
        if is_stored {
            held.store(blocked()).await.unwrap();
        } else {
            drop(held);
        }
        drop(lock(&other, KEY).await);
    }
}

#[tokio::test]
async fn a_dropped_wait_for_a_lock_releases_it() {
    let folder = tempdir().unwrap();
    let records = open(&folder);
    for _ in 0..20 {
        // Usually, the other thread takes the lock when nobody waits for it anymore.
        drop(timeout(Duration::ZERO, records.lock(KEY)).await);
        drop(lock(&records, KEY).await);
    }
}

#[tokio::test]
async fn a_write_that_is_not_awaited_keeps_the_old_or_the_new_record() {
    let folder = tempdir().unwrap();
    let records = open(&folder);
    store(&records, KEY, proven()).await;
    for _ in 0..20 {
        let before = read(&records, KEY).await;
        let written = if before == proven() { blocked() } else { proven() };
        let impatient = timeout(Duration::ZERO, lock(&records, KEY).await.store(written)).await;
        let after = read(&records, KEY).await;
        assert!(after == before || after == written, "{after:?}");
        assert!(impatient.is_err() || after == written, "{after:?}");
    }
}

#[tokio::test]
async fn old_files_are_removed() {
    let folder = tempdir().unwrap();
    let records = open(&folder);
    let key = |number| KeyId::new([number; 32]);
    for number in 0..5 {
        store(&records, key(number), proven()).await;
    }
    let lock_file = |number| path(&records, key(number)).with_extension("record.lock");
    let temporary = records.0.path.join(".tmp123456");
    let foreign = records.0.path.join("notes.txt");
    for file in [&lock_file(2), &temporary, &foreign] {
        fs::write(file, "").unwrap();
    }
    let make_old = |file: &Path| {
        let written = now() - MAX_RECORD_AGE - Duration::from_secs(60);
        File::options().append(true).open(file).unwrap().set_modified(written).unwrap();
    };
    for number in [0, 1] {
        make_old(&path(&records, key(number)));
    }
    for file in [&lock_file(2), &temporary, &foreign, &records.0.path.join(LOCAL_KEY_NAME)] {
        make_old(file);
    }
    // A locked record is being used.
    let held = TargetFile::new(&path(&records, key(1))).unwrap().lock(Duration::ZERO).unwrap();
    let opened = open(&folder);
    drop(held);
    let kept = [1, 2, 3, 4].map(|number| records.0.record_name(&key(number)));
    let kept = kept.into_iter().chain(["local-key".into(), "notes.txt".into()]).collect();
    assert_eq!(names(&opened), kept);
    assert!(!lock_file(2).exists(), "the lock file of a killed process is removed");
    assert_eq!(read(&opened, key(1)).await, proven());
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_used_is_an_error() {
    use std::os::unix::fs::{PermissionsExt, chown};

    let error = |prepare: &dyn Fn(&Path)| {
        let folder = tempdir().unwrap();
        let keys = folder.path().join("keys");
        KeyRecordFiles::open(&keys).unwrap();
        prepare(&keys);
        let error = KeyRecordFiles::open(&keys).err().map(|error| format!("{error:#}"));
        error.map(|error| error.replace(&folder.path().display().to_string(), "STATE"))
    };
    let replace_key = |path: &Path, content: &[u8]| {
        fs::write(path.join(LOCAL_KEY_NAME), content).unwrap();
    };
    let damaged = Some("cannot use STATE/keys/local-key: it is damaged; delete it");
    for content in [&[][..], &[0; 31], &[0; 33]] {
        assert_eq!(error(&|path| replace_key(path, content)).as_deref(), damaged);
    }
    let readable = |path: &Path| {
        let mode = fs::Permissions::from_mode(0o640);
        fs::set_permissions(path.join(LOCAL_KEY_NAME), mode).unwrap();
    };
    let expected = "cannot use STATE/keys/local-key: other users may read it; delete it";
    assert_eq!(error(&readable).as_deref(), Some(expected));
    // Only root can give a file away.
    let given = error(&|path| drop(chown(path.join(LOCAL_KEY_NAME), Some(12_345), None)));
    let expected = "cannot use STATE/keys/local-key: it belongs to another user; delete it";
    assert!(given.is_none_or(|error| error == expected));
    let folder_as_key = |path: &Path| {
        fs::remove_file(path.join(LOCAL_KEY_NAME)).unwrap();
        fs::create_dir(path.join(LOCAL_KEY_NAME)).unwrap();
    };
    let expected = "cannot use STATE/keys/local-key: it is a folder, not a regular file";
    assert_eq!(error(&folder_as_key).as_deref(), Some(expected));
    let file_as_folder = |path: &Path| {
        fs::remove_dir_all(path).unwrap();
        fs::write(path, "").unwrap();
    };
    let found = error(&file_as_folder).unwrap();
    assert!(found.starts_with("cannot use STATE/keys: "), "{found}");
}
