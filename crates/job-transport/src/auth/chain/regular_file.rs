//! Opens files with credentials without waiting for the other end of a pipe.

use std::{fs::File, io, path::Path};

/// Opens a regular file for reading.
///
/// # Errors
///
/// Returns an error if the file cannot be opened, or is something else than a regular file: a pipe
/// without a writer would block the thread, and cannot be read again when the key is renewed.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
    }
    let file = options.open(path)?;
    let found = file.metadata()?;
    if found.is_file() {
        return Ok(file);
    }
    let message = match found.is_dir() {
        true => "it is a folder, not a file",
        false => "it is a pipe or a device, not a regular file; copy its content into a file",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

#[cfg(all(test, unix))]
mod tests {
    use std::{env, fs, os::unix::net::UnixListener, process::Command};

    use super::*;

    #[test]
    fn only_regular_files_are_opened() {
        let folder = env::temp_dir().join(format!("job-transport-{}-kinds", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = |name: &str| folder.join(name);
        fs::write(path("file"), "text").unwrap();
        fs::create_dir(path("folder")).unwrap();
        UnixListener::bind(path("socket")).unwrap();
        // A pipe without a writer: opening it for reading waits for one.
        assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
        std::os::unix::fs::symlink("pipe", path("link")).unwrap();
        let open = |path: &Path| open_regular(path).map_err(|error| error.to_string());
        assert!(open(&path("file")).is_ok());
        let pipe = "it is a pipe or a device, not a regular file; copy its content into a file";
        let rows = [
            (path("folder"), "it is a folder, not a file"),
            (path("pipe"), pipe),
            (path("link"), pipe),
            ("/dev/null".into(), pipe),
        ];
        for (path, expected) in rows {
            assert_eq!(open(&path).unwrap_err(), expected, "{}", path.display());
        }
        assert!(open(&path("socket")).is_err());
        fs::remove_dir_all(folder).unwrap();
    }
}
