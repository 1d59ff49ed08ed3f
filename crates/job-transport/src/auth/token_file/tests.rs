//! Tests token files with valid and invalid contents.

use std::{env, error::Error, fs};

use super::*;
use crate::auth::secret_file::MAX_SECRET_FILE_BYTES;
#[cfg(any(feature = "hyper", feature = "credential-chain"))]
use crate::auth::secret_file::read_secret_file;

/// Writes a file that only its owner can read.
fn write(path: &std::path::Path, text: impl AsRef<[u8]>) {
    fs::write(path, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn token_files_yield_a_token_or_an_error() {
    let folder = env::temp_dir().join(format!("job-transport-{}-token", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("token");
    let read = || match TokenFile::new(&file).read() {
        Ok(provided) => format!("{provided:?}"),
        Err(error) => {
            assert_eq!(error.class(), ErrorClass::Transient);
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            format!("{error}: {cause}").replace(&file.display().to_string(), "FILE")
        }
    };
    let rows = [
        (None, "cannot read FILE: No such file or directory (os error 2)"),
        (
            Some("canary"),
            "ProvidedCredential { credential: Token(..), lifetime: None, expires_at: None, recheck_after: None, project: None }",
        ),
        (
            Some(" canary\r\n"),
            "ProvidedCredential { credential: Token(..), lifetime: None, expires_at: None, recheck_after: None, project: None }",
        ),
        (Some("\n"), "no valid token in FILE: the token or key is empty"),
        (
            Some("canary canary"),
            "no valid token in FILE: the token or key contains a space, a line break or another \
             invalid character; check that it was copied correctly",
        ),
    ];
    for (text, expected) in rows {
        if let Some(text) = text {
            write(&file, text);
        }
        assert_eq!(read(), expected, "{text:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn token_files_above_the_size_limit_are_refused() {
    let file = env::temp_dir().join(format!("job-transport-{}-long-token", std::process::id()));
    let limit = usize::try_from(MAX_SECRET_FILE_BYTES).unwrap();
    for (size, is_read) in [(limit, true), (limit + 1, false)] {
        write(&file, vec![b' '; size]);
        let error = TokenFile::new(&file).read().unwrap_err();
        let cause = error.source().unwrap().to_string();
        assert_eq!(cause != "it is larger than 1 MiB", is_read, "{cause}");
    }
    fs::remove_file(file).unwrap();
}

#[cfg(all(unix, any(feature = "hyper", feature = "credential-chain")))]
#[test]
fn files_that_other_users_can_read_or_change_are_refused() {
    use std::os::unix::fs::{PermissionsExt, chown};

    let path = env::temp_dir().join(format!("job-transport-{}-modes", std::process::id()));
    fs::write(&path, "canary").unwrap();
    let is_root = rustix::process::geteuid().is_root();
    let readable = "every user can read it; remove this permission (chmod o-r)";
    let changeable = "every user can change it; remove this permission (chmod o-w)";
    let foreign = "it belongs to another user (uid 65534), who can change it; it must belong to root \
                   or to this user (uid 0)";
    // The owner, if the tests may set it, the mode, and the refusal.
    let rows = [
        (None, 0o600, None),
        (None, 0o640, None),
        // Each file of root is accepted if every user can only read it.
        (None, 0o644, Some(readable).filter(|_| !is_root)),
        (None, 0o646, Some(changeable)),
        (None, 0o666, Some(changeable)),
        (Some(65_534), 0o600, Some(foreign)),
        (Some(65_534), 0o666, Some(foreign)),
    ];
    for (owner, mode, expected) in rows {
        // Only root can give a file to another user.
        if owner.is_some() && !is_root {
            continue;
        }
        chown(&path, owner, None).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let refusal = TokenFile::new(&path).read().err().map(|error| {
            assert_eq!(error.class(), ErrorClass::Permanent, "{error}");
            assert_eq!(error.to_string(), format!("cannot use {}", path.display()));
            error.source().unwrap().to_string()
        });
        assert_eq!(refusal.as_deref(), expected, "{owner:?} {mode:o}");
        // Other secrets have the same rule.
        let refusal = read_secret_file(&path).err().map(|error| {
            assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{error}");
            error.to_string()
        });
        assert_eq!(refusal.as_deref(), expected, "{owner:?} {mode:o}");
    }
    fs::remove_file(path).unwrap();
}

#[cfg(all(unix, feature = "tokio"))]
mod pipes {
    use std::{io::Write, process::Command, thread, time::Duration};

    use super::*;

    /// A pipe without a writer. It is removed on drop.
    struct Pipe(PathBuf);

    impl Pipe {
        fn new(name: &str) -> Self {
            let name = format!("job-transport-{}-{name}", std::process::id());
            let path = env::temp_dir().join(name);
            assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
            Self(path)
        }

        /// Writes a text. Waits until somebody opens the pipe for reading.
        fn write(&self, text: &str) {
            let mut writer = File::options().write(true).open(&self.0).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
    }

    impl Drop for Pipe {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[tokio::test]
    async fn a_pipe_without_a_writer_blocks_no_task_and_one_thread() {
        let pipe = Pipe::new("slow-pipe");
        let file = TokenFile::new(&pipe.0);
        // The current task continues, although the token is not there yet.
        let impatient = tokio::time::timeout(Duration::ZERO, file.provide()).await;
        assert!(impatient.is_err(), "{impatient:?}");
        let error = file.clone().provide().await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Transient);
        assert!(error.to_string().starts_with("still waiting for the token in "), "{error}");
        pipe.write("canary\n");
        // The read whose future was dropped still delivers the token.
        let provided = loop {
            match file.provide().await {
                Ok(provided) => break provided,
                Err(error) => assert_eq!(error.class(), ErrorClass::Transient, "{error}"),
            }
            thread::yield_now();
        };
        assert!(format!("{provided:?}").contains("Token(..)"), "{provided:?}");
        let error = file.provide().await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unauthorized);
        assert!(error.to_string().contains("which can be read only once"), "{error}");
    }

    #[tokio::test]
    async fn an_empty_pipe_is_a_permanent_error() {
        let pipe = Pipe::new("empty-pipe");
        let file = TokenFile::new(&pipe.0);
        thread::scope(|scope| {
            scope.spawn(|| pipe.write(""));
            let error = file.read().unwrap_err();
            assert_eq!(error.class(), ErrorClass::Permanent);
            assert!(error.to_string().starts_with("no valid token in "), "{error}");
        });
    }
}
