//! Compiles the command so that it runs with glibc 2.17 and its bytes do not depend on the machine's
//! paths.

use std::{fs, io, path::Path, process::Command};

use super::{COMMAND, Release, deb, empty, mebibytes, tools, wheel};
use crate::cargo::{cargo, output, run};

/// The oldest glibc with which the command runs, that of manylinux2014.
pub(super) const GLIBC: (u32, u32) = (2, 17);

/// The maximum size of the command in bytes. If you raise it, give the reason in the commit.
const MAX_BINARY_SIZE: u64 = 13 << 20;

/// The shells, and the file name that each expects for its completions.
pub(super) const COMPLETIONS: [(&str, &str); 5] = [
    ("bash", "cce-job.bash"),
    ("elvish", "cce-job.elv"),
    ("fish", "cce-job.fish"),
    ("powershell", "_cce-job.ps1"),
    ("zsh", "_cce-job"),
];

/// Compiles the command and checks it. Returns which steps were skipped because a tool is missing.
pub(super) fn compile(release: &Release) -> io::Result<Vec<String>> {
    println!("== command");
    let mut skipped = Vec::new();
    let python = if release.architecture().is_ok() { Some(&release.python) } else { None };
    match python {
        Some(Ok(commands)) => wheel::compile(release, commands)?,
        without => {
            let mut build = cargo(&["build", "--locked", "--profile", "dist"]);
            build.args(["--package", "job-cli", "--bin", COMMAND, "--target", &release.triple]);
            run(reproducible(release, &mut build))?;
            if let Some(Err(reason)) = without {
                skipped.push(format!(
                    "the build for glibc {}.{}, so the command needs the glibc of this machine, and \
                     the names of the packages end with `-local`: {reason}",
                    GLIBC.0, GLIBC.1
                ));
            }
        }
    }
    check_size(&release.binary())?;
    if let Some(Ok(_)) = python {
        if tools::has("objdump") {
            check_libraries(&release.binary())?;
        } else {
            skipped.push("the check for glibc: needs `objdump` (Debian package binutils)".into());
        }
    }
    Ok(skipped)
}

fn check_size(binary: &Path) -> io::Result<()> {
    let size = fs::metadata(binary)?.len();
    println!("{COMMAND}: {:.2} MiB, stripped", mebibytes(size));
    if size > MAX_BINARY_SIZE {
        return Err(io::Error::other(format!("{COMMAND} exceeds {} MiB", MAX_BINARY_SIZE >> 20)));
    }
    Ok(())
}

/// Sets the environment with which two builds of one commit give the same bytes: the time, and names
/// that replace the folders of this machine.
pub(super) fn reproducible<'a>(release: &Release, command: &'a mut Command) -> &'a mut Command {
    let folders = [(&release.source, "/cce-jobs"), (&release.cargo_home, "/cargo")];
    let rust = folders.map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    let c = folders.map(|(from, to)| format!("-ffile-prefix-map={}={to}", from.display()));
    if let Ok(commands) = &release.python {
        command.env("PATH", tools::path_with(commands));
    }
    command
        .current_dir(&release.source)
        .env("CARGO_HOME", &release.cargo_home)
        .env("CARGO_TARGET_DIR", &release.target)
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_ENCODED_RUSTFLAGS", rust.join("\x1f"))
        .env(format!("CFLAGS_{}", release.triple.replace('-', "_")), c.join(" "))
        .env("SOURCE_DATE_EPOCH", release.time.to_string())
}

/// Writes the completions, the manual pages and Debian's files to the folder of the command. The
/// packages are made from that folder.
pub(super) fn stage(release: &Release) -> io::Result<()> {
    let (binary, built) = (release.binary(), release.built());
    let (completions, man) = (built.join("completions"), built.join("man"));
    empty(&completions)?;
    empty(&man)?;
    for (shell, file) in COMPLETIONS {
        let text = output(Command::new(&binary).args(["completions", shell]))?;
        fs::write(completions.join(file), text)?;
    }
    run(Command::new(&binary).args(["man", "--folder"]).arg(&man))?;
    deb::stage(&built.join("debian"), &man, release.time)
}

/// Checks that the command needs no symbol of a glibc later than [`GLIBC`], and no other library.
fn check_libraries(binary: &Path) -> io::Result<()> {
    let dump = output(Command::new("objdump").args(["--private-headers", "-T"]).arg(binary))?;
    let others: Vec<&str> = libraries(&dump).filter(|name| !is_glibc(name)).collect();
    if !others.is_empty() {
        return Err(io::Error::other(format!("the command needs {}", others.join(", "))));
    }
    match newest_glibc(&dump) {
        None => Err(io::Error::other("`objdump -T` lists no symbol of glibc")),
        Some(newest) if newest > GLIBC => Err(io::Error::other(format!(
            "the command needs glibc {}.{}: {}",
            newest.0,
            newest.1,
            symbols_of(&dump, newest).join(", ")
        ))),
        Some((major, minor)) => {
            println!("{COMMAND}: needs glibc {major}.{minor} or later, and no other library");
            Ok(())
        }
    }
}

/// Returns the libraries that the output of `objdump --private-headers` lists as needed.
fn libraries(dump: &str) -> impl Iterator<Item = &str> {
    dump.lines().filter_map(|line| line.trim_start().strip_prefix("NEEDED")).map(str::trim)
}

/// Whether a library such as `libpthread.so.0` belongs to glibc.
fn is_glibc(library: &str) -> bool {
    let name = library.split(".so").next().unwrap_or(library);
    name.starts_with("ld-linux") || ["libc", "libdl", "libm", "libpthread", "librt"].contains(&name)
}

/// Returns the newest version of glibc in the output of `objdump -T`.
fn newest_glibc(symbols: &str) -> Option<(u32, u32)> {
    symbols.split_whitespace().filter_map(glibc_version).max()
}

/// Returns the names of the symbols that need this version of glibc.
fn symbols_of(symbols: &str, version: (u32, u32)) -> Vec<&str> {
    let has_version =
        |line: &&str| line.split_whitespace().any(|w| glibc_version(w) == Some(version));
    symbols.lines().filter(has_version).filter_map(|line| line.split_whitespace().last()).collect()
}

/// Reads a version such as `(GLIBC_2.17)` or `GLIBC_2.2.5`.
fn glibc_version(word: &str) -> Option<(u32, u32)> {
    let version = word.trim_matches(['(', ')']).strip_prefix("GLIBC_")?;
    let mut numbers = version.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "\
Dynamic Section:
  NEEDED               libc.so.6
  NEEDED               ld-linux-x86-64.so.2
  NEEDED               libcap.so.2
  FLAGS                0x0000000000000008

Version References:
  required from libc.so.6:
    0x06969191 0x00 02 GLIBC_2.17

DYNAMIC SYMBOL TABLE:
0000000000000000      DF *UND*\t0000000000000000 (GLIBC_2.2.5) write
0000000000000000      DF *UND*\t0000000000000000 (GLIBC_2.9)  epoll_create1
0000000000000000      DF *UND*\t0000000000000000 (GLIBC_2.17) secure_getenv
0000000000000000      DF *UND*\t0000000000000000 (GCC_3.0)    _Unwind_Resume
0000000000000000  w   D  *UND*\t0000000000000000  Base        __gmon_start__
";

    #[test]
    fn the_newest_glibc_is_found_by_number() {
        assert_eq!(newest_glibc(DUMP), Some((2, 17)));
        assert_eq!(newest_glibc("DYNAMIC SYMBOL TABLE:\nno symbols\n"), None);
        assert_eq!(newest_glibc("GLIBC_2.39 GLIBC_3.0 GLIBC_PRIVATE"), Some((3, 0)));
        assert_eq!(symbols_of(DUMP, (2, 9)), ["epoll_create1"]);
    }

    #[test]
    fn libraries_that_are_not_part_of_glibc_are_found() {
        let others: Vec<_> = libraries(DUMP).filter(|name| !is_glibc(name)).collect();
        assert_eq!(others, ["libcap.so.2"]);
        assert!(is_glibc("libpthread.so.0") && is_glibc("libm.so.6") && !is_glibc("libgcc_s.so.1"));
    }

    #[test]
    fn compiler_flags_replace_the_folders_of_this_machine() {
        let mut command = Command::new("cargo");
        reproducible(&super::super::example("x86_64-unknown-linux-gnu"), &mut command);
        let value = |name: &str| {
            let value =
                command.get_envs().find(|(key, _)| *key == name).and_then(|(_, value)| value);
            value.map(|value| value.display().to_string()).unwrap_or_default()
        };
        assert_eq!(
            value("CARGO_ENCODED_RUSTFLAGS"),
            "--remap-path-prefix=/src=/cce-jobs\x1f--remap-path-prefix=/home/.cargo=/cargo"
        );
        assert_eq!(
            value("CFLAGS_x86_64_unknown_linux_gnu"),
            "-ffile-prefix-map=/src=/cce-jobs -ffile-prefix-map=/home/.cargo=/cargo"
        );
        assert_eq!(value("SOURCE_DATE_EPOCH"), "1796000000");
        assert_eq!(value("CARGO_TARGET_DIR"), "/target");
    }
}
