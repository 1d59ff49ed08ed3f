//! The Python wheel with the command, made by maturin from `pyproject.toml` in `job-cli`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use super::{NotMade, Release, archive::files, build::GLIBC, build::reproducible, empty};
use crate::cargo::run;

/// Compiles the command and packs it as a wheel. With `--zig`, maturin uses cargo-zigbuild as a library.
/// `cargo zigbuild` does not compile the command first, because its linker has another path, and maturin
/// would then compile every crate again.
pub(super) fn compile(release: &Release, commands: &Path) -> io::Result<()> {
    empty(&folder(release))?;
    let mut maturin = Command::new(commands.join("maturin"));
    maturin.args(["build", "--locked", "--profile", "dist", "--target", &release.triple]);
    // Linking fails if the command needs a symbol that this version of glibc does not have.
    maturin.args(["--zig", "--compatibility", &format!("manylinux_{}_{}", GLIBC.0, GLIBC.1)]);
    maturin.args(["--manifest-path", "crates/job-cli/Cargo.toml"]);
    run(reproducible(release, maturin.arg("--out").arg(folder(release))))
}

/// Copies the wheel that was made together with the command.
pub(super) fn make(release: &Release) -> Result<PathBuf, NotMade> {
    release.architecture()?;
    release.python()?;
    let wheels = files(&folder(release))?;
    let wheel = wheels.first().ok_or_else(|| io::Error::other("maturin made no wheel"))?;
    let copy = release.packages.join(wheel.file_name().unwrap_or_default());
    fs::copy(wheel, &copy)?;
    Ok(copy)
}

/// The folder in which maturin writes the wheel.
fn folder(release: &Release) -> PathBuf {
    release.built().join("wheel")
}
