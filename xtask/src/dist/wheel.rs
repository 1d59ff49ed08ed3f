//! The Python wheel with the command, made by maturin from `pyproject.toml` in `job-cli`.

use std::{path::PathBuf, process::Command};

use super::{NotMade, Release, VERSION, build::reproducible};
use crate::cargo::run;

/// Makes the wheel. Cargo does not compile the command again, because the build is the same.
pub(super) fn make(release: &Release) -> Result<PathBuf, NotMade> {
    release.architecture()?;
    let mut maturin = Command::new(release.python()?.join("maturin"));
    maturin.args(["build", "--locked", "--profile", "dist", "--zig"]);
    maturin.args(["--target", &release.triple, "--compatibility", "manylinux2014"]);
    maturin.args(["--manifest-path", "crates/job-cli/Cargo.toml"]);
    run(reproducible(release, maturin.arg("--out").arg(&release.packages)))?;
    Ok(release.packages.join(file_name(&release.triple)))
}

/// The name by which pip knows which machines the wheel is for: those with glibc 2.17, with any Python.
fn file_name(triple: &str) -> String {
    let machine = triple.split('-').next().unwrap_or(triple);
    format!("cce_job-{VERSION}-py3-none-manylinux_2_17_{machine}.manylinux2014_{machine}.whl")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::build::GLIBC;

    #[test]
    fn the_wheels_name_states_the_machine_and_glibc() {
        let name = file_name("aarch64-unknown-linux-gnu");
        assert_eq!(
            name,
            format!("cce_job-{VERSION}-py3-none-manylinux_2_17_aarch64.manylinux2014_aarch64.whl")
        );
        assert!(name.contains(&format!("manylinux_{}_{}", GLIBC.0, GLIBC.1)));
    }
}
