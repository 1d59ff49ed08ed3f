//! `cargo xtask package`: packs each crate as for the registry, and tests the packages without the
//! workspace.

use std::{
    env, fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};
use tar::Archive;

use super::crate_names;
use crate::cargo::{cargo, root, run as run_command};

/// Cargo leaves this dev-dependency of job-transport out of the package, because job-sim depends on
/// job-transport. Most tests of job-transport need it, so the check adds it again.
const LEFT_OUT: (&str, &str) = ("job-transport", "job-sim");

/// The members of the workspace that are not published. Without them, cargo would choose other
/// features of a few dependencies, and compile most of the others again. Only their manifests are
/// used.
const TOOLS: [&str; 4] = ["xtask", "xtask/api-list", "xtask/hostile", "xtask/soak"];

/// Packs the crates and runs all tests of the packages. Also fails if the packages name the
/// placeholder as their repository, which `check` accepts.
pub(crate) fn run() -> ExitCode {
    let is_passed = check(true);
    match fs::read_to_string(root().join("Cargo.toml")) {
        Ok(workspace) if has_placeholder(&workspace) => {
            println!(
                "package: FAILED: `repository` in the root Cargo.toml is a placeholder; set it to \
                 the address of the source code before a release"
            );
            ExitCode::FAILURE
        }
        Ok(_) if is_passed => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            println!("package: FAILED: Cargo.toml: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether `repository` in the workspace's manifest is an address without source code.
fn has_placeholder(workspace: &str) -> bool {
    let repository = workspace.lines().find_map(|line| line.strip_prefix("repository = "));
    repository.is_none_or(|address| address.contains("//example."))
}

/// Packs the crates and tests the packages. Without `run_all`, runs only the tests of job-model,
/// which are the cheapest, and compiles the others. Returns whether everything succeeded.
pub(crate) fn check(run_all: bool) -> bool {
    let result = unpacked().and_then(|folder| {
        let model: &[&str] = &["--package", "job-model"];
        let others: &[&str] = &["--workspace", "--exclude", "job-model"];
        let compile: &[&str] = &["--workspace", "--no-run"];
        [model, if run_all { others } else { compile }]
            .iter()
            .try_for_each(|selection| run_command(&mut test(&folder, selection)))
    });
    if let Err(error) = &result {
        println!("package: FAILED: {error}");
    }
    result.is_ok()
}

/// Returns a command that tests the packages in this folder. It shares the dependencies that the
/// workspace's tests have compiled.
fn test(folder: &Path, selection: &[&str]) -> Command {
    let mut command = cargo(&["test", "--offline", "--all-features", "--manifest-path"]);
    command.arg(folder.join("Cargo.toml")).args(selection);
    // A snapshot that differs fails the test and is not rewritten.
    command.env("CARGO_TARGET_DIR", root().join("target")).env("INSTA_UPDATE", "no");
    command
}

/// Packs the crates, unpacks them outside the workspace, and returns the folder. It has a manifest,
/// so that the packages find each other instead of asking the registry.
fn unpacked() -> io::Result<PathBuf> {
    let names = crate_names()?;
    pack(&names)?;
    let folder = folder();
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    for name in &names {
        let file = fs::File::open(root().join("target/package").join(package(name) + ".crate"))?;
        let mut archive = Archive::new(GzDecoder::new(file));
        // All files of a package have the same old time, by which cargo would not see a change.
        archive.set_preserve_mtime(false);
        archive.unpack(&folder)?;
    }
    let (name, dependency) = LEFT_OUT;
    let manifest = folder.join(package(name)).join("Cargo.toml");
    let text = fs::read_to_string(&manifest)?;
    let dependency_path = package(dependency);
    let added = format!("\n[dev-dependencies.{dependency}]\npath = \"../{dependency_path}\"\n");
    fs::write(&manifest, text + &added)?;
    for tool in TOOLS {
        fs::create_dir_all(folder.join(tool).join("src"))?;
        fs::copy(root().join(tool).join("Cargo.toml"), folder.join(tool).join("Cargo.toml"))?;
        fs::write(folder.join(tool).join("src/main.rs"), "fn main() {}")?;
    }
    let workspace = fs::read_to_string(root().join("Cargo.toml"))?;
    fs::write(folder.join("Cargo.toml"), manifest_of(&names, &workspace))?;
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    Ok(folder)
}

/// Packs the crates into `target/package`.
///
/// # Errors
///
/// Returns an error if cargo fails or prints a warning.
fn pack(names: &[String]) -> io::Result<()> {
    let mut command = cargo(&["package", "--offline", "--locked", "--allow-dirty", "--no-verify"]);
    command.args(names.iter().flat_map(|name| ["--package", name]));
    // Without these settings, a color may precede the word "warning", or cargo may print none.
    command.env("CARGO_TERM_COLOR", "never").env("CARGO_TERM_QUIET", "false");
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    let mut messages = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut messages)?;
    }
    print!("{messages}");
    if !child.wait()?.success() {
        return Err(io::Error::other("cargo package failed"));
    }
    match warning(&messages) {
        Some(line) => Err(io::Error::other(format!("cargo package printed a warning: {line}"))),
        None => Ok(()),
    }
}

/// Returns the first line of cargo's messages that is a warning. The messages have no colors.
fn warning(messages: &str) -> Option<&str> {
    messages.lines().map(str::trim_start).find(|line| line.starts_with("warning"))
}

/// Returns the manifest of a workspace of the packages and tools: that of the real workspace with
/// other paths. The packages inherit nothing from it.
fn manifest_of(names: &[String], workspace: &str) -> String {
    let packages = names.iter().map(|name| package(name));
    let members: Vec<String> = packages.chain(TOOLS.map(String::from)).collect();
    let members = format!("members = {members:?}");
    let lines = workspace.lines();
    let mut text: String = lines
        .map(|line| if line.starts_with("members = ") { &*members } else { line })
        .flat_map(|line| [line, "\n"])
        .collect();
    text += "\n[patch.crates-io]\n";
    for name in names {
        let package = package(name);
        text = text.replace(&format!("\"crates/{name}\""), &format!("{package:?}"));
        text += &format!("{name}.path = {package:?}\n");
    }
    text
}

/// Returns the name of a crate's package without its extension.
fn package(name: &str) -> String {
    // All crates have the version of the workspace, which is also the version of this crate.
    format!("{name}-{}", env!("CARGO_PKG_VERSION"))
}

/// Returns the folder of the unpacked packages. Each clone has one of its own, with always the same
/// path, because cargo recompiles a package if its path changes.
fn folder() -> PathBuf {
    let root = fs::canonicalize(root()).unwrap_or_else(|_| root().into());
    let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
    let digest = base16ct::lower::encode_string(&digest[..4]);
    env::temp_dir().join(format!("cce-job-packages-{digest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_find_each_other() {
        let workspace = "[workspace]\nmembers = [\"crates/*\"]\n\n\
             [workspace.dependencies]\njob-a = { path = \"crates/job-a\" }\n";
        let manifest = manifest_of(&["job-a".into()], workspace);
        let version = env!("CARGO_PKG_VERSION");
        let expected = format!(
            "[workspace]\nmembers = [\"job-a-{version}\", \"xtask\", \"xtask/api-list\", \"xtask/hostile\", \"xtask/soak\"]\n\n\
             [workspace.dependencies]\njob-a = {{ path = \"job-a-{version}\" }}\n\n\
             [patch.crates-io]\njob-a.path = \"job-a-{version}\"\n"
        );
        assert_eq!(manifest, expected);
    }

    #[test]
    fn every_member_is_listed() {
        let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
        let members = workspace.lines().find(|line| line.starts_with("members = ")).unwrap();
        assert_eq!(members.matches('"').count() / 2, TOOLS.len() + 1, "{members}");
        for tool in TOOLS {
            assert!(members.contains(&format!("\"{tool}\"")), "{members}");
        }
    }

    #[test]
    fn warnings_of_cargo_are_found() {
        let rows = [
            ("   Packaging job-a v0.1.0\n    Packaged 3 files\n", None),
            ("   Packaging a v0.1.0\nwarning: no license\nsee x\n", Some("warning: no license")),
            ("  warning: indented\nwarning: second", Some("warning: indented")),
            ("error: a warning", None),
            ("", None),
        ];
        for (messages, expected) in rows {
            assert_eq!(warning(messages), expected, "{messages}");
        }
    }

    #[test]
    fn a_placeholder_is_not_a_repository() {
        let rows = [
            ("repository = \"https://example.org/cce-jobs\"", true),
            ("repository = \"https://example.com/cce-jobs\"", true),
            ("repository = \"https://code.host/cce-jobs\"", false),
            ("repository = \"https://code.host/example.org\"", false),
            ("", true),
        ];
        for (line, expected) in rows {
            let workspace = format!("[workspace.package]\nversion = \"1\"\n{line}\n");
            assert_eq!(has_placeholder(&workspace), expected, "{line}");
        }
    }
}
