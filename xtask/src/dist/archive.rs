//! The archive: the command, its completions, manual pages, README and licenses.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use tar::{Builder, Header};

use super::{NotMade, Release, empty};

/// Files that are copied into the archive unchanged.
const COPIED_FILES: [&str; 4] =
    ["LICENSE-MIT", "LICENSE-APACHE", "CHANGELOG.md", "crates/job-cli/README.md"];

/// Packs the archive.
pub(super) fn make(release: &Release) -> Result<PathBuf, NotMade> {
    let folder = release.built().join("archive");
    empty(&folder)?;
    let copied = COPIED_FILES.iter().map(|file| release.source.join(file));
    for file in copied.chain([release.binary()]) {
        fs::copy(&file, folder.join(file.file_name().unwrap_or_default()))?;
    }
    for name in ["completions", "man"] {
        fs::create_dir(folder.join(name))?;
        for file in files(&release.built().join(name))? {
            fs::copy(&file, folder.join(name).join(file.file_name().unwrap_or_default()))?;
        }
    }
    let archive = release.packages.join(format!("{}.tar.gz", release.name()));
    let gzip = GzEncoder::new(File::create(&archive)?, Compression::best());
    pack(release, &folder, Path::new(&release.name()), gzip)?.finish()?.sync_all()?;
    Ok(archive)
}

/// Writes the files of a folder as a tar archive, in which they are in the folder `top`. The same files
/// always produce the same bytes. The command can be executed.
pub(super) fn pack<W: Write>(release: &Release, folder: &Path, top: &Path, to: W) -> io::Result<W> {
    let mut tar = Builder::new(to);
    let command = release.binary();
    for file in files(folder)? {
        let mut header = Header::new_gnu();
        header.set_mode(if file.file_name() == command.file_name() { 0o755 } else { 0o644 });
        header.set_size(fs::metadata(&file)?.len());
        header.set_mtime(release.time.unsigned_abs());
        let within = top.join(file.strip_prefix(folder).unwrap_or(&file));
        tar.append_data(&mut header, within, File::open(&file)?)?;
    }
    tar.into_inner()
}

/// Returns all files below a folder, sorted by path.
pub(super) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files.extend(self::files(&path)?) } else { files.push(path) }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use tar::Archive;

    use super::*;
    use crate::dist::{COMMAND, VERSION, example};

    /// Fills the placeholders of a template for `cargo binstall`, except that of the repository.
    fn expand(template: &str, triple: &str) -> String {
        [("version", VERSION), ("target", triple), ("bin", COMMAND), ("binary-ext", "")]
            .iter()
            .fold(template.into(), |text, (name, value)| {
                text.replace(&format!("{{ {name} }}"), value)
            })
    }

    #[test]
    fn binstall_finds_the_archive_and_the_command_in_it() {
        let manifest = include_str!("../../../crates/job-cli/Cargo.toml");
        let manifest: toml::Table = manifest.parse().unwrap();
        let binstall = &manifest["package"]["metadata"]["binstall"];
        let release = example("aarch64-unknown-linux-gnu");
        let expand = |key: &str| expand(binstall[key].as_str().unwrap(), &release.triple);

        let url = expand("pkg-url");
        let folder = format!("{{ repo }}/releases/download/v{VERSION}/");
        assert_eq!(url.strip_prefix(&folder), Some(&*format!("{}.tar.gz", release.name())));
        assert_eq!(expand("bin-dir"), format!("{}/{COMMAND}", release.name()));
        assert_eq!(binstall["pkg-fmt"].as_str(), Some("tgz"));
    }

    #[test]
    fn equal_files_give_equal_archives() {
        let folder = std::env::temp_dir().join(format!("xtask-pack-{}", std::process::id()));
        let mut archives = Vec::new();
        for (place, names) in
            [("a", ["cce-job", "man/x.1", "README.md"]), ("b", ["README.md", "man/x.1", "cce-job"])]
        {
            let files = folder.join(place);
            fs::create_dir_all(files.join("man")).unwrap();
            for name in names {
                fs::write(files.join(name), name).unwrap();
            }
            let release = example("x86_64-unknown-linux-gnu");
            archives.push(pack(&release, &files, Path::new("cce-job-1.0"), Vec::new()).unwrap());
        }
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(archives[0], archives[1]);

        let mut archive = Archive::new(&archives[0][..]);
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            (path, entry.header().mode().unwrap(), entry.header().mtime().unwrap())
        });
        let expected = [("README.md", 0o644), ("cce-job", 0o755), ("man/x.1", 0o644)]
            .map(|(name, mode)| (format!("cce-job-1.0/{name}"), mode, 1_796_000_000));
        assert_eq!(entries.collect::<Vec<_>>(), expected);
    }
}
