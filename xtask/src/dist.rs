//! `cargo xtask dist`: builds the release archive with the command, its completions and manual
//! pages, and a checksum. Does not publish anything.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};
use tar::{Builder, Header};

use crate::cargo::{cargo, output, root, run as run_command};

/// The maximum size of the command in bytes. If you raise it, give the reason in the commit.
const MAX_BINARY_SIZE: u64 = 12 << 20;

/// The shells, and the file name that each expects for its completions.
const COMPLETIONS: [(&str, &str); 5] = [
    ("bash", "cce-job.bash"),
    ("elvish", "cce-job.elv"),
    ("fish", "cce-job.fish"),
    ("powershell", "_cce-job.ps1"),
    ("zsh", "_cce-job"),
];

/// Files that are copied into the archive unchanged.
const COPIED_FILES: [&str; 4] =
    ["LICENSE-MIT", "LICENSE-APACHE", "CHANGELOG.md", "crates/job-cli/README.md"];

/// Builds the command and packs it.
pub(crate) fn run() -> ExitCode {
    match build_archive() {
        Ok(archive) => {
            println!("dist: {}", archive.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("dist: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn build_archive() -> io::Result<PathBuf> {
    let build =
        ["build", "--locked", "--profile", "dist", "--package", "job-cli", "--bin", "cce-job"];
    run_command(&mut cargo(&build))?;
    let name = format!("cce-job{}", std::env::consts::EXE_SUFFIX);
    let binary = root().join("target/dist").join(&name);
    let size = fs::metadata(&binary)?.len();
    println!("dist: {name}: {:.2} MiB, stripped", size as f64 / f64::from(1 << 20));
    if size > MAX_BINARY_SIZE {
        return Err(io::Error::other(format!("{name} exceeds {} MiB", MAX_BINARY_SIZE >> 20)));
    }

    let version = output(Command::new(&binary).arg("--version"))?;
    let version = version.trim().replace(' ', "-");
    let name = format!("{version}-{}", host_target()?);
    let folder = root().join("target/package").join(&name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    for name in ["completions", "man"] {
        fs::create_dir_all(folder.join(name))?;
    }
    for file in COPIED_FILES.iter().map(|file| root().join(file)).chain([binary.clone()]) {
        fs::copy(&file, folder.join(file.file_name().unwrap_or_default()))?;
    }
    for (shell, file) in COMPLETIONS {
        let completions = output(Command::new(&binary).args(["completions", shell]))?;
        fs::write(folder.join("completions").join(file), completions)?;
    }
    run_command(Command::new(&binary).args(["man", "--folder"]).arg(folder.join("man")))?;

    let archive = folder.with_file_name(format!("{name}.tar.gz"));
    pack(&folder, &archive)?;
    let sums = format!("{}  {name}.tar.gz\n", sha256(&archive)?);
    print!("dist: {sums}");
    fs::write(folder.with_file_name("SHA256SUMS"), sums)?;
    Ok(archive)
}

/// Packs a folder. The same files always produce the same bytes.
fn pack(folder: &Path, archive: &Path) -> io::Result<()> {
    let mut tar = Builder::new(GzEncoder::new(File::create(archive)?, Compression::best()));
    let top = Path::new(folder.file_name().unwrap_or_default());
    for file in files(folder)? {
        let mut header = Header::new_gnu();
        let is_command = file.file_stem() == Some(OsStr::new("cce-job"))
            && file.parent() == Some(folder)
            && file.extension().is_none_or(|extension| extension == "exe");
        header.set_mode(if is_command { 0o755 } else { 0o644 });
        header.set_size(fs::metadata(&file)?.len());
        let within = top.join(file.strip_prefix(folder).unwrap_or(&file));
        tar.append_data(&mut header, within, File::open(&file)?)?;
    }
    tar.into_inner()?.finish()?.sync_all()
}

/// Returns all files below a folder, sorted by path.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files.extend(self::files(&path)?) } else { files.push(path) }
    }
    files.sort();
    Ok(files)
}

fn sha256(file: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(file)?.read_to_end(&mut bytes)?;
    Ok(base16ct::lower::encode_string(&Sha256::digest(&bytes)))
}

/// Returns the compiler's host target.
fn host_target() -> io::Result<String> {
    let about = output(Command::new("rustc").arg("-vV"))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(String::from).ok_or_else(|| io::Error::other("`rustc -vV` does not print a host"))
}
