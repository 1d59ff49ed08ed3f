//! `cargo xtask dist --check`: builds the packages again in other folders, and compares the bytes.

use std::{fs, io, path::Path, process::Command};

use super::{Release, Report, empty};
use crate::cargo::output;

/// Builds the packages again from a copy of the sources in another folder, with another target folder
/// and another folder for cargo's registry. All packages must be equal byte for byte.
pub(super) fn run(release: &Release, report: &mut Report) -> io::Result<()> {
    println!("\n== second build");
    let folder = release.target.join("dist-second");
    empty(&folder)?;
    let second = Release {
        source: folder.join("source"),
        target: folder.join("built"),
        packages: folder.join("packages"),
        cargo_home: folder.join("cargo"),
        ..release.clone()
    };
    copy_sources(&release.source, &second.source)?;
    link_entries(&release.cargo_home, &second.cargo_home)?;
    second.make(&mut Report::default())?;
    compare(release, &second, report)?;
    fs::remove_dir_all(folder)
}

/// Compares the command and each package.
fn compare(release: &Release, second: &Release, report: &mut Report) -> io::Result<()> {
    let mut differences = Vec::new();
    for (package, _) in &report.made {
        let other = match package.strip_prefix(&release.packages) {
            Ok(name) => second.packages.join(name),
            Err(_) => second.binary(),
        };
        if fs::read(package)? != fs::read(&other)? {
            differences.push(format!("{} and {}", package.display(), other.display()));
        }
    }
    if !differences.is_empty() {
        return Err(io::Error::other(format!("two builds differ: {}", differences.join(", "))));
    }
    report.pass(format!("second build in other folders: {} files are equal", report.made.len()));
    Ok(())
}

/// Copies the files that git knows, and new ones that it does not ignore.
fn copy_sources(from: &Path, to: &Path) -> io::Result<()> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(from);
    for file in output(&mut git)?.split_terminator('\0') {
        let (source, copy) = (from.join(file), to.join(file));
        if source.is_file() {
            fs::create_dir_all(copy.parent().unwrap_or(to))?;
            fs::copy(source, copy)?;
        }
    }
    Ok(())
}

/// Makes a folder with links to everything in another folder.
#[cfg(unix)]
fn link_entries(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        std::os::unix::fs::symlink(&path, to.join(path.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn link_entries(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::Error::other("the second build needs Unix"))
}
