//! Checks which users can read and change a file with credentials.

use std::{fs::File, io, path::Path};

/// Which users can read and change a file with credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileAccess {
    /// Only its owner, who is this user or root, and perhaps a group.
    Restricted,
    /// Every user can read it, and it belongs to root or is on a read-only mount. Mounted secrets
    /// of Kubernetes have this form (mode 0644).
    ReadableAsMounted,
    /// Every user can read it.
    ReadableByAll,
    /// Every user can change it.
    WritableByAll,
    /// It belongs to a user other than this one (`you`) and root, who can change it.
    OtherOwner { owner: u32, you: u32 },
}

impl FileAccess {
    /// Reads the permissions of an open file. Its path may refer to another file by now.
    #[cfg(unix)]
    pub(crate) fn from_file(file: &File) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;

        use rustix::fs::StatVfsMountFlags;

        let found = file.metadata()?;
        let is_mounted_read_only = || {
            let mount = rustix::fs::fstatvfs(file);
            mount.is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::RDONLY))
        };
        let you = rustix::process::geteuid().as_raw();
        Ok(Self::from_mode(found.mode(), found.uid(), you, is_mounted_read_only))
    }

    /// Other systems have no such permissions.
    #[cfg(not(unix))]
    pub(crate) fn from_file(_: &File) -> io::Result<Self> {
        Ok(Self::Restricted)
    }

    /// Judges a mode and an owner. A group may read and change the file, because mounted secrets
    /// and shared folders often belong to one.
    #[cfg(unix)]
    fn from_mode(
        mode: u32,
        owner: u32,
        you: u32,
        is_mounted_read_only: impl FnOnce() -> bool,
    ) -> Self {
        const ROOT: u32 = 0;
        if owner != you && owner != ROOT {
            Self::OtherOwner { owner, you }
        } else if mode & 0o002 != 0 {
            Self::WritableByAll
        } else if mode & 0o004 == 0 {
            Self::Restricted
        } else if owner == ROOT || is_mounted_read_only() {
            Self::ReadableAsMounted
        } else {
            Self::ReadableByAll
        }
    }

    /// Returns why a file that other users can change must not be used.
    pub(crate) fn changeable_by_others(self) -> Option<String> {
        match self {
            Self::WritableByAll => {
                Some("every user can change it; remove this permission (chmod o-w)".into())
            }
            Self::OtherOwner { owner, you } => Some(format!(
                "it belongs to another user (uid {owner}), who can change it; it must belong to \
                 root or to this user (uid {you})"
            )),
            Self::Restricted | Self::ReadableAsMounted | Self::ReadableByAll => None,
        }
    }

    /// Returns why a file with a secret must not be used.
    pub(crate) fn refusal(self) -> Option<String> {
        match self {
            Self::ReadableByAll => {
                Some("every user can read it; remove this permission (chmod o-r)".into())
            }
            _ => self.changeable_by_others(),
        }
    }

    /// Logs a warning if every user can read a file with a secret, and it is used anyway.
    ///
    /// The event has a target of its own, so that a program that prints
    /// `CredentialChainWarning`s can omit it.
    pub(crate) fn warn_if_readable(self, file: &Path) {
        if self == Self::ReadableAsMounted {
            tracing::warn!(
                target: "job_transport::file_access",
                file = %file.display(),
                "the file contains a secret and is readable by every user; it is used because it \
                 belongs to root or is on a read-only mount"
            );
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn modes_owners_and_mounts_determine_the_access() {
        use FileAccess::*;
        const ME: u32 = 1000;
        // The mode, the owner, whether the mount is read-only, and the access.
        let rows = [
            (0o600, ME, false, Restricted),
            (0o400, ME, false, Restricted),
            (0o640, ME, false, Restricted),
            (0o660, ME, false, Restricted),
            (0o644, ME, false, ReadableByAll),
            (0o604, ME, false, ReadableByAll),
            (0o644, ME, true, ReadableAsMounted),
            (0o644, 0, false, ReadableAsMounted),
            (0o640, 0, false, Restricted),
            (0o644, 0, true, ReadableAsMounted),
            (0o646, ME, false, WritableByAll),
            (0o602, ME, false, WritableByAll),
            (0o602, 0, true, WritableByAll),
            (0o666, 0, false, WritableByAll),
            (0o600, 1001, false, OtherOwner { owner: 1001, you: ME }),
            (0o644, 1001, true, OtherOwner { owner: 1001, you: ME }),
            (0o666, 1001, false, OtherOwner { owner: 1001, you: ME }),
        ];
        for (mode, owner, is_read_only, expected) in rows {
            let access = FileAccess::from_mode(mode, owner, ME, || is_read_only);
            assert_eq!(access, expected, "{mode:o} {owner} {is_read_only}");
            let is_refused = !matches!(expected, Restricted | ReadableAsMounted);
            assert_eq!(access.refusal().is_some(), is_refused, "{mode:o} {owner}");
        }
        // For root, its own files are files of root, and those of others are not.
        assert_eq!(FileAccess::from_mode(0o644, 0, 0, || false), ReadableAsMounted);
        let other = OtherOwner { owner: ME, you: 0 };
        assert_eq!(FileAccess::from_mode(0o600, ME, 0, || false), other);
    }
}
