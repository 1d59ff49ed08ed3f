//! The Python tools of a release, in a virtual environment, and how to get the other tools.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::cargo::{run, succeeds};

/// A C compiler and linker for old versions of glibc, the build with it (maturin contains
/// cargo-zigbuild), and the check of a bill of materials. Exact versions, so that the same commit gives
/// the same bytes.
const PYTHON_TOOLS: [&str; 3] =
    ["ziglang==0.17.1", "maturin==1.16.0", "cyclonedx-python-lib[json-validation]==11.12.0"];

/// Installs the Python tools in a folder, if they are not there. Returns the folder with their
/// commands, or the reason why they are missing.
pub(super) fn install(folder: &Path) -> Result<PathBuf, String> {
    let commands = folder.join("bin");
    let list = PYTHON_TOOLS.join("\n");
    let installed = folder.join("installed");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == list) {
        return Ok(commands);
    }
    if !cfg!(unix) || !succeeds(Command::new("python3").args(["-m", "venv", "--help"])) {
        return Err("needs Python 3 with venv (Debian package python3-venv)".into());
    }
    println!("== tools from PyPI");
    let python = commands.join("python3");
    let install = || {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PYTHON_TOOLS))?;
        fs::write(&installed, &list)
    };
    install().map_err(|error| format!("cannot install {}: {error}", PYTHON_TOOLS.join(", ")))?;
    Ok(commands)
}

/// Returns `PATH` with the Python tools first, so that they find each other.
pub(super) fn path_with(commands: &Path) -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(commands.to_path_buf()).chain(env::split_paths(&path));
    env::join_paths(folders).unwrap_or(path)
}

/// Whether a program can be started.
pub(super) fn has(program: &str) -> bool {
    succeeds(Command::new(program).arg("--version"))
}
