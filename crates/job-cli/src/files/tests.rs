//! Tests of targets and locks, with pipes, sockets, folders, devices and links.

use std::{fs, process::Command};

use tempfile::tempdir;

use super::*;

fn write(target: &TargetFile, text: &str) -> io::Result<()> {
    target.write(NewFileMode::Private, OwnerRule::Refuse, |file| file.write_all(text.as_bytes()))
}

fn read(target: &TargetFile) -> Option<String> {
    let mut file = target.open(1 << 20).unwrap()?;
    Some(String::from_utf8(read_stream(&mut file, 1 << 20).unwrap()).unwrap())
}

#[test]
fn reads_are_bounded() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
    assert_eq!(read_bounded(&path, 1 << 20).unwrap().len(), 1 << 20);
    fs::write(&path, vec![b'x'; (1 << 20) + 1]).unwrap();
    let target = TargetFile::new(&path).unwrap();
    let errors = [
        read_bounded(&path, 1 << 20).err(),
        target.open(1 << 20).err(),
        read_stream(&mut io::repeat(0), 1 << 20).err(),
    ];
    for error in errors {
        assert_eq!(error.unwrap().to_string(), "it is larger than 1 MiB");
    }
}

#[test]
fn files_are_created_replaced_and_removed() {
    let folder = tempdir().unwrap();
    let target = TargetFile::new(&folder.path().join("file")).unwrap();
    assert_eq!(read(&target), None);
    for text in ["a", "longer", "b"] {
        write(&target, text).unwrap();
        assert_eq!(read(&target).as_deref(), Some(text));
    }
    let failing = target.write(NewFileMode::Private, OwnerRule::Refuse, |file| {
        file.write_all(b"half")?;
        Err(io::Error::other("no"))
    });
    assert!(failing.is_err());
    assert_eq!(read(&target).as_deref(), Some("b"), "an error keeps the old content");
    for _ in 0..2 {
        target.remove().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "no other file is left");
    }
}

#[test]
fn the_text_of_another_process_is_not_cut() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("file");
    for (text, expected) in
        [("old-half", "old-"), ("old-halfother", "old-halfother"), ("old", "old"), ("", "")]
    {
        fs::write(&path, text).unwrap();
        let file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        target::remove_end(&file, 4, 4);
        assert_eq!(fs::read_to_string(&path).unwrap(), expected, "{text}");
    }
}

#[cfg(unix)]
mod unix {
    use std::{
        os::unix::{
            fs::{MetadataExt, PermissionsExt, chown, symlink},
            net::UnixListener,
        },
        path::PathBuf,
        time::Duration,
    };

    use super::*;

    /// Returns something of each kind that is not a regular file. A device is only made if the
    /// tests may do so.
    fn other_files(folder: &Path) -> Vec<(PathBuf, &'static str)> {
        let path = |name| folder.join(name);
        let run = |program, arguments: &[&str]| {
            let ran = Command::new(program).args(arguments).current_dir(folder).output();
            ran.is_ok_and(|ran| ran.status.success())
        };
        assert!(run("mkfifo", &["pipe"]));
        UnixListener::bind(path("socket")).unwrap();
        fs::create_dir(path("folder")).unwrap();
        symlink("pipe", path("link")).unwrap();
        let mut all = vec![
            (path("pipe"), "a named pipe"),
            (path("socket"), "a socket"),
            (path("folder"), "a folder"),
            (path("link"), "a named pipe"),
        ];
        all.extend(
            run("mknod", &["null", "c", "1", "3"]).then(|| (path("null"), "a character device")),
        );
        all
    }

    #[test]
    fn only_regular_files_are_targets() {
        let folder = tempdir().unwrap();
        for (path, kind) in other_files(folder.path()) {
            let error = TargetFile::new(&path).unwrap_err().to_string();
            assert_eq!(error, format!("it is {kind}, not a regular file"));
        }
    }

    #[test]
    fn what_takes_the_place_of_a_file_is_kept() {
        let (folder, others) = (tempdir().unwrap(), tempdir().unwrap());
        for (other, kind) in other_files(others.path()) {
            let path = folder.path().join("file");
            let target = TargetFile::new(&path).unwrap();
            write(&target, "text").unwrap();
            fs::remove_file(&path).unwrap();
            fs::rename(&other, &path).unwrap();
            let kind = if other.ends_with("link") { "a link" } else { kind };
            let number = fs::symlink_metadata(&path).unwrap().ino();
            let error = write(&target, "new").unwrap_err().to_string();
            assert_eq!(error, format!("it is {kind}, not a regular file"));
            assert!(target.remove().is_err() && target.check_writable().is_err(), "{kind}");
            assert!(target.open(1 << 20).is_err(), "{kind}");
            assert_eq!(fs::symlink_metadata(&path).unwrap().ino(), number, "{kind}");
            fs::rename(&path, &other).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "no other file is left");
    }

    #[test]
    fn links_are_resolved_and_kept() {
        let folder = tempdir().unwrap();
        let path = |name| folder.path().join(name);
        fs::create_dir(path("real")).unwrap();
        symlink("real/file", path("link")).unwrap();
        symlink("link", path("to-link")).unwrap();
        // At first the links point to nothing.
        for text in ["created", "replaced"] {
            write(&TargetFile::new(&path("to-link")).unwrap(), text).unwrap();
            assert_eq!(fs::read_to_string(path("real/file")).unwrap(), text);
        }
        TargetFile::new(&path("link")).unwrap().remove().unwrap();
        assert!(path("link").is_symlink() && path("to-link").is_symlink());
        assert!(!path("real/file").exists());
        symlink("circle", path("circle")).unwrap();
        assert!(TargetFile::new(&path("circle")).is_err());
    }

    #[test]
    fn modes_and_owners_are_kept() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("file");
        let target = TargetFile::new(&path).unwrap();
        let mode = || fs::metadata(&path).unwrap().mode() & 0o7777;
        write(&target, "a").unwrap();
        assert_eq!(mode(), 0o600, "a new private file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
        // Only root can give a file away.
        let given = chown(&path, Some(12_345), Some(12_346)).is_ok();
        write(&target, "b").unwrap();
        assert_eq!(mode(), 0o664);
        if given {
            let found = fs::metadata(&path).unwrap();
            assert_eq!((found.uid(), found.gid()), (12_345, 12_346));
        }
    }

    #[test]
    fn a_lock_excludes_others_until_it_is_dropped() {
        let folder = tempdir().unwrap();
        let target = TargetFile::new(&folder.path().join("file")).unwrap();
        let lock = || target.lock(Duration::ZERO);
        let first = lock().unwrap();
        assert!(target.lock_path().exists());
        assert!(matches!(lock(), Err(LockError::InUse)));
        // A lock file of somebody else is not removed.
        fs::remove_file(target.lock_path()).unwrap();
        let second = lock().unwrap();
        drop(first);
        assert!(matches!(lock(), Err(LockError::InUse)));
        drop(second);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        // A lock file that a killed process left behind does not matter.
        fs::write(target.lock_path(), "").unwrap();
        lock().unwrap();
        assert!(!target.lock_path().exists());
    }

    #[test]
    fn a_lock_file_that_is_not_regular_is_refused() {
        let folder = tempdir().unwrap();
        for (other, kind) in other_files(folder.path()) {
            let target = TargetFile::new(&folder.path().join("file")).unwrap();
            fs::rename(&other, target.lock_path()).unwrap();
            let Err(LockError::Io(error)) = target.lock(Duration::ZERO) else { panic!("{kind}") };
            assert_ne!(error.to_string(), "", "{kind}");
            fs::rename(target.lock_path(), &other).unwrap();
        }
    }
}
