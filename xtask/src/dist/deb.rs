//! The Debian package, made by cargo-deb. Its contents are listed in the manifest of `job-cli`.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};

use super::{COMMAND, NotMade, Release, VERSION, archive::files, build::reproducible, empty};
use crate::cargo::{cargo, has_subcommand, run};

/// Makes the package from the compiled command. Skips a command that needs the glibc of this machine,
/// because the package states glibc 2.17.
pub(super) fn make(release: &Release) -> Result<PathBuf, NotMade> {
    let package = release.packages.join(file_name(release.architecture()?));
    release.python()?;
    if !has_subcommand("deb") {
        let install = "needs cargo-deb: `cargo install --locked cargo-deb`";
        return Err(NotMade::Skipped(install.into()));
    }
    let mut deb = cargo(&["deb", "--quiet", "--locked", "--no-build", "--no-strip"]);
    deb.args(["--package", "job-cli", "--profile", "dist", "--target", &release.triple]);
    run(reproducible(release, deb.arg("--output").arg(&package)))?;
    Ok(package)
}

/// The name that Debian's tools expect.
fn file_name(architecture: &str) -> String {
    format!("{COMMAND}_{VERSION}-1_{architecture}.deb")
}

/// Writes the files that only this package has: the compressed manual pages, and Debian's changelog.
pub(super) fn stage(folder: &Path, man: &Path, time: i64) -> io::Result<()> {
    empty(folder)?;
    let pages = folder.join("man");
    fs::create_dir(&pages)?;
    for page in files(man)? {
        let name = format!("{}.gz", page.file_name().unwrap_or_default().display());
        fs::write(pages.join(name), gzip(&fs::read(&page)?)?)?;
    }
    fs::write(folder.join("changelog.Debian.gz"), gzip(changelog(time).as_bytes())?)
}

/// Compresses bytes with gzip. The header contains no file name and no time, so equal bytes give equal
/// results.
fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes)?;
    gzip.finish()
}

/// Returns Debian's changelog. It only names the version, because the archive and the sources contain
/// the changes.
fn changelog(time: i64) -> String {
    let time = jiff::Timestamp::from_second(time).unwrap_or_default();
    let date = time.strftime("%a, %d %b %Y %H:%M:%S +0000");
    format!(
        "{COMMAND} ({VERSION}-1) unstable; urgency=medium\n\n  * Release {VERSION}.\n\n \
         -- {MAINTAINER}  {date}\n"
    )
}

/// As in the manifest of `job-cli`.
const MAINTAINER: &str = "The cce-job maintainers <cce-job@example.org>";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::build::{COMPLETIONS, GLIBC};

    fn metadata() -> toml::Value {
        let manifest = include_str!("../../../crates/job-cli/Cargo.toml");
        let manifest: toml::Table = manifest.parse().unwrap();
        manifest["package"]["metadata"]["deb"].clone()
    }

    #[test]
    fn the_changelog_has_the_format_of_debian() {
        assert_eq!(
            changelog(1_796_066_508),
            format!(
                "cce-job ({VERSION}-1) unstable; urgency=medium\n\n  * Release {VERSION}.\n\n \
                 -- {MAINTAINER}  Mon, 30 Nov 2026 19:21:48 +0000\n"
            )
        );
        assert_eq!(metadata()["maintainer"].as_str(), Some(MAINTAINER));
        assert_eq!(metadata()["name"].as_str(), Some(COMMAND));
        assert_eq!(file_name("arm64"), format!("cce-job_{VERSION}-1_arm64.deb"));
    }

    #[test]
    fn the_package_states_the_version_of_glibc() {
        let (major, minor) = GLIBC;
        assert_eq!(metadata()["depends"].as_str(), Some(&*format!("libc6 (>= {major}.{minor})")));
    }

    #[test]
    fn the_package_has_the_completions_of_debians_shells() {
        let metadata = metadata();
        let assets = metadata["assets"].as_array().unwrap();
        for (shell, file) in COMPLETIONS {
            let source = format!("target/release/completions/{file}");
            let is_packed = assets.iter().any(|asset| asset[0].as_str() == Some(&*source));
            assert_eq!(is_packed, ["bash", "fish", "zsh"].contains(&shell), "{shell}");
        }
    }
}
