//! A file that the command replaces or removes.

use std::{
    fs::{self, File, FileType, Metadata, OpenOptions},
    io::{self, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
};

use tempfile::{Builder, NamedTempFile};

/// A regular file, or a path at which one can be created. Links are resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TargetFile(PathBuf);

/// Who can read a file that did not exist before. An existing file keeps its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NewFileMode {
    /// Only the user.
    Private,
    /// The users that the umask allows.
    Umask,
}

/// What to do if a file cannot be replaced by one of the same owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnerRule {
    /// Writes into the existing file. If that is interrupted, the content is lost.
    WriteInPlace,
    /// Returns an error.
    Refuse,
}

/// Maximum number of links from a path to its file, as in Linux.
const MAX_LINKS: usize = 40;

impl TargetFile {
    /// How the names of files begin that are not complete yet. A killed process may leave one.
    pub(super) const TEMPORARY_PREFIX: &str = ".tmp";

    /// Finds the file at a path. It need not exist.
    ///
    /// # Errors
    ///
    /// Returns an error if something else than a regular file is at the path, or if the links of
    /// the path cannot be resolved.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(found) => check_regular(&found)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        resolve_links(path).map(Self)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Creates the folder of the file.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder does not exist and cannot be created.
    pub(crate) fn create_folder(&self) -> io::Result<()> {
        fs::create_dir_all(self.folder())
    }

    /// Opens the file for reading; returns `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be opened, or if it is larger than `max_bytes`.
    pub(crate) fn open(&self, max_bytes: u64) -> io::Result<Option<impl Read>> {
        let Some(file) = self.open_file()? else { return Ok(None) };
        if file.metadata()?.len() > max_bytes {
            return Err(super::too_large(max_bytes));
        }
        Ok(Some(file.take(max_bytes)))
    }

    /// Opens the file for reading, however large it is; returns `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be opened.
    pub(crate) fn open_file(&self) -> io::Result<Option<File>> {
        if_exists(open_regular(OpenOptions::new().read(true), &self.0))
    }

    /// Appends to the file, and waits until the disk has stored it. Returns `false` and writes
    /// nothing if the file does not exist, or does not have `len` bytes.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be written. It is cut to its old length then, if that is
    /// possible.
    pub(crate) fn append(&self, len: u64, content: &[u8]) -> io::Result<bool> {
        self.append_with(len, |file| file.write_all(content))
    }

    /// Appends what `write` writes, like [`append`](Self::append).
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub(crate) fn append_with(
        &self,
        len: u64,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<bool> {
        let Some(mut file) = if_exists(open_regular(OpenOptions::new().append(true), &self.0))?
        else {
            return Ok(false);
        };
        if file.metadata()?.len() != len {
            return Ok(false);
        }
        let appended = write(&mut file).and_then(|()| file.sync_data());
        if appended.is_err() {
            let _ = file.set_len(len);
        }
        appended.map(|()| true)
    }

    /// Appends to the file in a single write, and creates it if it does not exist. Other processes may
    /// append at the same time. A process that is killed before or after the write has written nothing or
    /// everything. The write itself takes microseconds, because it only copies to the page cache.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be written. A part of the text that was written is removed,
    /// unless another process has changed the length of the file meanwhile.
    pub(crate) fn append_or_create(&self, content: &[u8]) -> io::Result<()> {
        let mut file = open_regular(OpenOptions::new().create(true).append(true), &self.0)?;
        let len = file.metadata()?.len();
        let written = file.write(content)?;
        if written < content.len() {
            // The disk is full. A part of the text would be worse than nothing, but the text of
            // another process must stay.
            remove_end(&file, len, written);
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        file.sync_data()
    }

    /// Returns the size of the file in bytes, or 0 if it does not exist.
    ///
    /// # Errors
    ///
    /// Returns an error if the size cannot be read.
    pub(crate) fn len(&self) -> io::Result<u64> {
        Ok(self.existing()?.map_or(0, |found| found.len()))
    }

    /// Checks that the file can be written. Creates nothing.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be written, or if it does not exist and its folder does not
    /// allow new files.
    pub(crate) fn check_writable(&self) -> io::Result<()> {
        if if_exists(open_regular(OpenOptions::new().append(true), &self.0))?.is_some() {
            return Ok(());
        }
        #[cfg(unix)]
        rustix::fs::access(
            self.folder(),
            rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
        )?;
        #[cfg(not(unix))]
        fs::metadata(self.folder())?;
        Ok(())
    }

    /// Creates the file with this content, readable only by the user. Returns `false` if it exists
    /// already: of several processes that do this at the same time, exactly one creates the file.
    ///
    /// # Errors
    ///
    /// Returns an error if the file does not exist and cannot be created.
    pub(crate) fn create_private(&self, content: &[u8]) -> io::Result<bool> {
        let mut new = self.temporary(NewFileMode::Private)?;
        new.as_file_mut().write_all(content)?;
        new.as_file().sync_all()?;
        match new.persist_noclobber(&self.0) {
            Ok(_) => Ok(true),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.error),
        }
    }

    /// Writes the file. If possible, replaces it atomically: a reader sees either the old or the
    /// new content, and an error keeps the old one. If it cannot be replaced, `content` may be
    /// called a second time, to write in place.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be written, or is not a regular file anymore.
    pub(crate) fn write(
        &self,
        mode: NewFileMode,
        owner_rule: OwnerRule,
        mut content: impl FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.replace(mode, &mut content) {
            Err(error) if owner_rule == OwnerRule::WriteInPlace && can_write_in_place(&error) => {
                self.write_in_place(&mut content)
            }
            replaced => replaced,
        }
    }

    /// Replaces the file atomically. Does not wait until the disk has stored it, which takes seconds
    /// while other programs write much. After a power failure, the file may be empty.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be replaced by one of the same owner.
    pub(super) fn replace_unsynced(&self, mode: NewFileMode, content: &[u8]) -> io::Result<()> {
        self.new_content(mode, &mut |file| file.write_all(content))?.persist(&self.0)?;
        Ok(())
    }

    fn replace(
        &self,
        mode: NewFileMode,
        content: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let new = self.new_content(mode, content)?;
        new.as_file().sync_all()?;
        new.persist(&self.0)?;
        sync_folder(self.folder());
        Ok(())
    }

    /// Creates a file with this content that can replace the existing one.
    fn new_content(
        &self,
        mode: NewFileMode,
        content: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<NamedTempFile> {
        let existing = self.existing()?;
        let mut new = self.temporary(mode)?;
        if let Some(existing) = existing {
            keep_owner_and_mode(new.as_file(), &existing)?;
        }
        write_buffered(new.as_file_mut(), content)?;
        Ok(new)
    }

    /// Creates a file with a temporary name in the same folder. It is removed on drop.
    fn temporary(&self, mode: NewFileMode) -> io::Result<NamedTempFile> {
        let mut builder = Builder::new();
        builder.prefix(Self::TEMPORARY_PREFIX);
        // Unlike those of `NamedTempFile::new_in`, these errors do not mention the temporary path.
        builder.make_in(self.folder(), |path| create_new(path, mode))
    }

    fn write_in_place(
        &self,
        content: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut file = open_regular(OpenOptions::new().write(true), &self.0)?;
        write_buffered(&mut file, content)?;
        let end = file.stream_position()?;
        file.set_len(end)?;
        file.sync_all()
    }

    /// Removes the file, if there is one.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be removed, or is not a regular file anymore.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match self.existing()? {
            Some(_) => fs::remove_file(&self.0),
            None => Ok(()),
        }
    }

    fn existing(&self) -> io::Result<Option<Metadata>> {
        match fs::symlink_metadata(&self.0) {
            Ok(found) => check_regular(&found).map(|()| Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn folder(&self) -> &Path {
        let folder = self.0.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.unwrap_or_else(|| Path::new("."))
    }
}

/// Shortens a file to `len`, if it has exactly the `written` bytes more. Ignores errors.
pub(super) fn remove_end(file: &File, len: u64, written: usize) {
    let end = u64::try_from(written).ok().and_then(|written| len.checked_add(written));
    if file.metadata().ok().map(|found| found.len()) == end {
        let _ = file.set_len(len);
    }
}

/// Returns `None` for a file that does not exist.
fn if_exists(opened: io::Result<File>) -> io::Result<Option<File>> {
    match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

/// Waits until the disk has stored the names in a folder: otherwise the old file could be back
/// after a power failure. Ignores errors, because some file systems cannot do this.
fn sync_folder(folder: &Path) {
    if cfg!(unix) {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
}

/// Returns the path without links. If the last link points to nothing, returns where it points to.
fn resolve_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::canonicalize(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            resolved => return resolved,
        }
        match (fs::read_link(&path), path.parent()) {
            (Ok(target), Some(folder)) => path = folder.join(target),
            _ => return Ok(path),
        }
    }
    Err(io::Error::other("it is a link with too many levels"))
}

/// Returns an error that names what is there, if it is not a regular file.
fn check_regular(found: &Metadata) -> io::Result<()> {
    if found.is_file() {
        return Ok(());
    }
    let kind = kind_name(found.file_type());
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {kind}, not a regular file")))
}

fn kind_name(found: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if found.is_fifo() {
            return "a named pipe";
        } else if found.is_socket() {
            return "a socket";
        } else if found.is_char_device() {
            return "a character device";
        } else if found.is_block_device() {
            return "a block device";
        }
    }
    if found.is_dir() {
        "a folder"
    } else if found.is_symlink() {
        "a link"
    } else {
        "a special file"
    }
}

/// Opens a regular file. Does not wait for the other end of a pipe, and does not follow a link.
pub(super) fn open_regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
        std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags);
    }
    let file = options.open(path)?;
    check_regular(&file.metadata()?)?;
    Ok(file)
}

fn create_new(path: &Path, mode: NewFileMode) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if mode == NewFileMode::Private {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = mode;
    options.open(path)
}

fn write_buffered(
    file: &mut File,
    content: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut writer = BufWriter::new(file);
    content(&mut writer)?;
    writer.flush()
}

/// Gives a new file the owner, the group and the mode of the file that it replaces.
#[cfg(unix)]
fn keep_owner_and_mode(new: &File, existing: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};

    let created = new.metadata()?;
    let (user, group) = (existing.uid(), existing.gid());
    if (created.uid(), created.gid()) != (user, group) {
        fchown(new, Some(user), Some(group)).map_err(|_| {
            let message = format!("its owner (user {user}, group {group}) cannot be kept");
            io::Error::new(io::ErrorKind::PermissionDenied, message)
        })?;
    }
    // After the owner, because a change of the owner resets parts of the mode.
    new.set_permissions(existing.permissions())
}

#[cfg(not(unix))]
fn keep_owner_and_mode(new: &File, existing: &Metadata) -> io::Result<()> {
    new.set_permissions(existing.permissions())
}

/// Whether a file that cannot be replaced may still be writable: it belongs to another user, it is
/// mounted by itself, or its folder cannot be written.
fn can_write_in_place(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem, ResourceBusy};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem | ResourceBusy)
}
