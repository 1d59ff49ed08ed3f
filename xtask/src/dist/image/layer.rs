//! The files of the container image: the command, its user, and what it needs from Debian.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::Path,
    process::{Command, Stdio},
};

use tar::{Archive, Builder, EntryType, Header};

use super::{ENTRYPOINT, HOME, USER};
use crate::{
    cargo::run,
    dist::{archive::files, empty},
};

/// The packages of Debian in the image.
const PACKAGES: [&str; 3] = ["libc6", "libgcc-s1", "ca-certificates"];

/// The file with all certificates, at the path where TLS libraries read it.
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

/// The small files of the image.
const TEXTS: [(&str, &str); 3] = [
    ("etc/group", "root:x:0:\ncce-job:x:65532:\n"),
    ("etc/nsswitch.conf", "hosts: files dns\n"),
    (
        "etc/passwd",
        "root:x:0:0:root:/:/nonexistent\ncce-job:x:65532:65532::/home/cce-job:/nonexistent\n",
    ),
];

/// The files of the image by path.
#[derive(Debug, Default)]
pub(super) struct Layer(BTreeMap<String, Node>);

#[derive(Debug, PartialEq)]
enum Node {
    Folder { mode: u32, owner: u64 },
    File { mode: u32, bytes: Vec<u8> },
    Link(String),
}

impl Layer {
    /// Adds what the command needs from Debian's packages, which are downloaded to a folder.
    pub(super) fn add_debian(&mut self, folder: &Path) -> io::Result<()> {
        fs::create_dir(folder)?;
        download(folder, &PACKAGES)?;
        for package in files(folder)? {
            self.add_package(&package)?;
        }
        // The license of some packages is in another one, which their documentation links to.
        let linked = folder.join("linked");
        for package in self.linked_licenses() {
            empty(&linked)?;
            download(&linked, &[&package])?;
            for package in files(&linked)? {
                self.add_package(&package)?;
            }
        }
        Ok(())
    }

    fn add_package(&mut self, package: &Path) -> io::Result<()> {
        let mut dpkg = Command::new("dpkg-deb");
        dpkg.arg("--fsys-tarfile").arg(package).stdout(Stdio::piped());
        let mut dpkg = dpkg.spawn()?;
        if let Some(tar) = dpkg.stdout.take() {
            self.add_files(Archive::new(tar))?;
        }
        let status = dpkg.wait()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("dpkg-deb: {status}"))) }
    }

    fn add_files(&mut self, mut package: Archive<impl Read>) -> io::Result<()> {
        for entry in package.entries()? {
            let mut entry = entry?;
            let path = entry.path()?.display().to_string();
            let Some(place) = place(&path) else { continue };
            let kind = entry.header().entry_type();
            if kind == EntryType::Symlink {
                let target = entry.link_name()?.map(|target| target.display().to_string());
                self.0.insert(place, Node::Link(target.unwrap_or_default()));
            } else if kind == EntryType::Regular {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes)?;
                if path.ends_with(".crt") {
                    self.add_certificate(&bytes);
                } else {
                    let mode = entry.header().mode()? & 0o755;
                    self.0.insert(place, Node::File { mode, bytes });
                }
            }
        }
        Ok(())
    }

    fn add_certificate(&mut self, certificate: &[u8]) {
        let empty = Node::File { mode: 0o644, bytes: Vec::new() };
        let bundle = self.0.entry(CERTIFICATES.into()).or_insert(empty);
        if let Node::File { bytes, .. } = bundle {
            bytes.extend_from_slice(certificate.trim_ascii_end());
            bytes.push(b'\n');
        }
    }

    /// The packages that have the license of another package.
    fn linked_licenses(&self) -> Vec<String> {
        let links = self.0.iter().filter(|(path, _)| path.starts_with("usr/share/doc/"));
        let targets = links.filter_map(|(_, node)| match node {
            Node::Link(target) => Some(target.clone()),
            Node::Folder { .. } | Node::File { .. } => None,
        });
        targets.filter(|target| !self.0.contains_key(&license_of(target))).collect()
    }

    /// Adds the command, its user and its folders.
    pub(super) fn add_command(&mut self, command: &[u8]) {
        for (path, text) in TEXTS {
            self.0.insert(path.into(), Node::File { mode: 0o644, bytes: text.into() });
        }
        let entrypoint = ENTRYPOINT.trim_start_matches('/');
        self.0.insert(entrypoint.into(), Node::File { mode: 0o755, bytes: command.into() });
        self.0.insert(HOME.into(), Node::Folder { mode: 0o755, owner: USER });
        self.0.insert("tmp".into(), Node::Folder { mode: 0o1777, owner: 0 });
        for folder in ["lib", "lib64"] {
            if self.0.keys().any(|path| path.starts_with(&format!("usr/{folder}/"))) {
                self.0.insert(folder.into(), Node::Link(format!("usr/{folder}")));
            }
        }
        let paths: Vec<String> = self.0.keys().cloned().collect();
        for folder in paths.iter().flat_map(|path| Path::new(path).ancestors().skip(1)) {
            if folder != Path::new("") {
                let node = Node::Folder { mode: 0o755, owner: 0 };
                self.0.entry(folder.display().to_string()).or_insert(node);
            }
        }
    }

    /// Writes the files as an archive. The same files always give the same bytes.
    pub(super) fn write(&self, file: impl io::Write, time: i64) -> io::Result<()> {
        let mut tar = Builder::new(file);
        for (path, node) in &self.0 {
            let mut header = Header::new_gnu();
            header.set_mtime(time.unsigned_abs());
            header.set_size(0);
            match node {
                Node::Folder { mode, owner } => {
                    header.set_entry_type(EntryType::Directory);
                    header.set_mode(*mode);
                    header.set_uid(*owner);
                    header.set_gid(*owner);
                    tar.append_data(&mut header, format!("{path}/"), io::empty())?;
                }
                Node::File { mode, bytes } => {
                    header.set_mode(*mode);
                    header.set_size(bytes.len() as u64);
                    tar.append_data(&mut header, path, &bytes[..])?;
                }
                Node::Link(target) => {
                    header.set_entry_type(EntryType::Symlink);
                    header.set_mode(0o777);
                    tar.append_link(&mut header, path, target)?;
                }
            }
        }
        tar.finish()
    }
}

/// Returns the path in the image of a file of a Debian package, or `None` if the image does not contain
/// it. The image has libraries, in `usr/lib` as in newer releases of Debian, licenses, and certificates.
fn place(path: &str) -> Option<String> {
    let path = path.strip_prefix("./").unwrap_or(path).trim_end_matches('/');
    let path = if path.starts_with("lib") { format!("usr/{path}") } else { path.into() };
    let is_library = path.starts_with("usr/lib") && path.contains(".so.");
    let license = path.strip_prefix("usr/share/doc/").unwrap_or_default();
    let is_license =
        !license.is_empty() && (!license.contains('/') || license.ends_with("/copyright"));
    let is_certificate = path.starts_with("usr/share/ca-certificates/") && path.ends_with(".crt");
    (is_library || is_license || is_certificate).then_some(path)
}

fn license_of(package: &str) -> String {
    format!("usr/share/doc/{package}/copyright")
}

/// Downloads Debian's packages to a folder, in the version that this machine would install. `apt-get`
/// checks their signatures.
fn download(folder: &Path, packages: &[&str]) -> io::Result<()> {
    run(Command::new("apt-get").args(["-qq", "download"]).args(packages).current_dir(folder))
        .map_err(|error| io::Error::other(format!("{error}; run `apt-get update` first")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_libraries_licenses_and_certificates_are_taken() {
        for (path, expected) in [
            ("./lib/x86_64-linux-gnu/libc.so.6", Some("usr/lib/x86_64-linux-gnu/libc.so.6")),
            ("./usr/lib/x86_64-linux-gnu/libc.so.6", Some("usr/lib/x86_64-linux-gnu/libc.so.6")),
            ("./lib64/ld-linux-x86-64.so.2", Some("usr/lib64/ld-linux-x86-64.so.2")),
            ("./usr/share/doc/libc6/copyright", Some("usr/share/doc/libc6/copyright")),
            ("./usr/share/doc/libgcc-s1", Some("usr/share/doc/libgcc-s1")),
            ("./usr/share/doc/libc6/NEWS.gz", None),
            ("./usr/lib/x86_64-linux-gnu/gconv/BIG5.so", None),
            ("./usr/sbin/update-ca-certificates", None),
            ("./usr/share/doc/", None),
            ("./", None),
        ] {
            assert_eq!(place(path).as_deref(), expected, "{path}");
        }
        assert!(place("./usr/share/ca-certificates/mozilla/A.crt").is_some());
    }

    /// A package with a library, a link to a license, and two certificates.
    fn package() -> Archive<io::Cursor<Vec<u8>>> {
        let mut tar = Builder::new(Vec::new());
        for (path, text) in [
            ("lib64/ld-linux.so.2", "loader"),
            ("usr/share/ca-certificates/mozilla/A.crt", "A\n\n"),
            ("usr/share/ca-certificates/mozilla/B.crt", "B"),
            ("usr/share/man/man1/x.1", "page"),
        ] {
            let mut header = Header::new_gnu();
            header.set_mode(0o755);
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, path, text.as_bytes()).unwrap();
        }
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, "usr/share/doc/libgcc-s1", "gcc-12-base").unwrap();
        Archive::new(io::Cursor::new(tar.into_inner().unwrap()))
    }

    fn layer() -> Layer {
        let mut layer = Layer::default();
        layer.add_files(package()).unwrap();
        layer.add_command(b"command");
        layer
    }

    #[test]
    fn the_layer_has_the_command_and_its_user() {
        let layer = layer();
        let bundle = Node::File { mode: 0o644, bytes: b"A\nB\n".into() };
        assert_eq!(layer.0[CERTIFICATES], bundle);
        assert_eq!(
            layer.0["usr/bin/cce-job"],
            Node::File { mode: 0o755, bytes: b"command".into() }
        );
        assert_eq!(layer.0["home/cce-job"], Node::Folder { mode: 0o755, owner: USER });
        assert_eq!(layer.0["lib64"], Node::Link("usr/lib64".into()));
        assert_eq!(layer.linked_licenses(), ["gcc-12-base"]);
        assert!(!layer.0.contains_key("lib") && !layer.0.contains_key("usr/share/man"));
        let user = format!(":{USER}:{USER}:");
        assert!(TEXTS.iter().any(|(path, text)| *path == "etc/passwd" && text.contains(&user)));
    }

    #[test]
    fn folders_come_before_their_files_and_times_are_fixed() {
        let mut bytes = Vec::new();
        layer().write(&mut bytes, 1_796_000_000).unwrap();
        let mut seen = Vec::new();
        for entry in Archive::new(&bytes[..]).entries().unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.header().mtime().unwrap(), 1_796_000_000);
            let path = entry.path().unwrap().into_owned();
            let parent = path.parent().unwrap().to_path_buf();
            assert!(parent == Path::new("") || seen.contains(&parent), "{}", path.display());
            seen.push(path);
        }
        let mut again = Vec::new();
        layer().write(&mut again, 1_796_000_000).unwrap();
        assert_eq!(bytes, again);
    }
}
