//! `cargo xtask dist`: builds the packages of a release: an archive, a Debian package, a Python wheel,
//! a container image and a bill of materials. Does not publish anything.

mod tools;
mod build;
mod archive;
mod deb;
mod wheel;
mod image;
mod sbom;
mod check;
mod rebuild;

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};

use crate::cargo::{output, root};

/// The version of all crates, and therefore of the packages.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The folder for the packages. `cargo package` uses `target/package`.
const PACKAGES: &str = "target/dist-packages";

/// The name of the command.
const COMMAND: &str = "cce-job";

/// Makes one package and returns its path.
type Step = fn(&Release) -> Result<PathBuf, NotMade>;

/// The packages, in the order in which they are made.
const STEPS: [(&str, Step); 5] = [
    ("archive", archive::make),
    ("Debian package", deb::make),
    ("wheel", wheel::make),
    ("image", image::make),
    ("bill of materials", sbom::make),
];

/// Why a package was not made.
#[derive(Debug)]
enum NotMade {
    /// A tool is missing. The text names it, and how to get it.
    Skipped(String),
    /// A tool failed, or a file cannot be read or written.
    Failed(io::Error),
}

impl From<io::Error> for NotMade {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// What was made and what was left out. It is printed at the end.
#[derive(Debug, Default)]
struct Report {
    made: Vec<(PathBuf, Duration)>,
    passed: Vec<String>,
    skipped: Vec<String>,
}

/// A checkout, and the folders for what is built from it.
#[derive(Clone, Debug)]
struct Release {
    /// The folder of the workspace.
    source: PathBuf,
    /// Cargo's target folder.
    target: PathBuf,
    /// The folder for the packages.
    packages: PathBuf,
    /// Cargo's own folder, with the sources of other crates.
    cargo_home: PathBuf,
    /// The target that the command is compiled for, such as `x86_64-unknown-linux-gnu`.
    triple: String,
    /// The time of all files in the packages, in seconds since 1970.
    time: i64,
    /// The folder with the Python tools, or the reason why they are missing.
    python: Result<PathBuf, String>,
}

/// Builds the packages, and with `check` also compares them with those of a second build, installs
/// them and runs the command.
pub(crate) fn run(check: bool) -> ExitCode {
    let mut report = Report::default();
    let result = Release::new().and_then(|release| {
        release.make(&mut report)?;
        if check {
            check::run(&release, &mut report)?;
            rebuild::run(&release, &mut report)?;
        }
        Ok(())
    });
    println!();
    for (package, time) in &report.made {
        let size = fs::metadata(package).map_or(0, |metadata| metadata.len());
        let name = package.file_name().unwrap_or_default().display();
        println!("dist: {:>6.2} MiB {:>6.1} s  {name}", mebibytes(size), time.as_secs_f64());
    }
    for check in &report.passed {
        println!("dist: passed: {check}");
    }
    for skipped in &report.skipped {
        println!("dist: SKIPPED {skipped}");
    }
    match result {
        Ok(()) => {
            println!("dist: the packages are in {PACKAGES}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("dist: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Release {
    /// The release that is built from this workspace.
    fn new() -> io::Result<Self> {
        let source = root().canonicalize()?;
        Ok(Self {
            target: source.join("target"),
            packages: source.join(PACKAGES),
            cargo_home: cargo_home(),
            triple: host_target()?,
            time: release_time(&source)?,
            python: tools::install(&source.join("target/dist-tools")),
            source,
        })
    }

    /// Compiles the command, makes each package, and writes the checksums.
    fn make(&self, report: &mut Report) -> io::Result<()> {
        empty(&self.packages)?;
        let (compiled, time) = timed(|| build::compile(self));
        report.made.push((self.binary(), time));
        report.skipped.extend(compiled?);
        build::stage(self)?;
        let mut sums = String::new();
        for (name, step) in STEPS {
            println!("\n== {name}");
            match timed(|| step(self)) {
                (Ok(package), time) => {
                    let file = package.file_name().unwrap_or_default().display();
                    sums += &format!("{}  {file}\n", sha256(&fs::read(&package)?));
                    report.made.push((package, time));
                }
                (Err(NotMade::Skipped(reason)), _) => report.skip(name, &reason),
                (Err(NotMade::Failed(error)), _) => {
                    return Err(io::Error::other(format!("{name}: {error}")));
                }
            }
        }
        fs::write(self.packages.join("SHA256SUMS"), sums)
    }

    /// The folder of the compiled command. `build::stage` adds its completions and manual pages.
    fn built(&self) -> PathBuf {
        self.target.join(&self.triple).join("dist")
    }

    /// The compiled command.
    fn binary(&self) -> PathBuf {
        self.built().join(format!("{COMMAND}{}", env::consts::EXE_SUFFIX))
    }

    /// The name of the archive without its extension, and of the folder in it. The templates for
    /// `cargo binstall` in the manifest of `job-cli` expand to the same names.
    ///
    /// It ends with `-local` if the command needs the glibc of this machine, so that such an archive
    /// is not published by mistake.
    fn name(&self) -> String {
        let is_local = self.architecture().is_ok() && self.python.is_err();
        format!("{COMMAND}-{VERSION}-{}{}", self.triple, if is_local { "-local" } else { "" })
    }

    /// The target's name in Debian packages and container images, if packages for it are made.
    fn architecture(&self) -> Result<&'static str, NotMade> {
        match self.triple.as_str() {
            "x86_64-unknown-linux-gnu" => Ok("amd64"),
            "aarch64-unknown-linux-gnu" => Ok("arm64"),
            other => Err(NotMade::Skipped(format!(
                "only made on Linux with glibc on x86-64 or 64-bit ARM, and this is {other}"
            ))),
        }
    }

    /// The folder with the Python tools.
    fn python(&self) -> Result<&Path, NotMade> {
        self.python.as_deref().map_err(|reason| NotMade::Skipped(reason.clone()))
    }
}

impl Report {
    fn skip(&mut self, what: &str, reason: &str) {
        println!("SKIPPED {what}: {reason}");
        self.skipped.push(format!("{what}: {reason}"));
    }

    fn pass(&mut self, what: impl Into<String>) {
        let what = what.into();
        println!("passed: {what}");
        self.passed.push(what);
    }
}

/// Returns the folder in which cargo keeps the sources of other crates.
fn cargo_home() -> PathBuf {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    home.unwrap_or_else(|| env::home_dir().unwrap_or_default().join(".cargo"))
}

/// Returns the compiler's host target.
fn host_target() -> io::Result<String> {
    let about = output(Command::new("rustc").arg("-vV"))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(String::from).ok_or_else(|| io::Error::other("`rustc -vV` does not print a host"))
}

/// Returns `SOURCE_DATE_EPOCH`, or else the time of the last commit.
fn release_time(source: &Path) -> io::Result<i64> {
    let time = match env::var("SOURCE_DATE_EPOCH") {
        Ok(time) => time,
        Err(_) => {
            let mut git = Command::new("git");
            output(git.args(["log", "-1", "--format=%ct"]).current_dir(source)).map_err(
                |error| {
                    io::Error::other(format!("set SOURCE_DATE_EPOCH, or build in a clone: {error}"))
                },
            )?
        }
    };
    let seconds = time.trim().parse();
    seconds.map_err(|_| io::Error::other(format!("not a number of seconds: `{}`", time.trim())))
}

/// Formats the release's time as RFC 3339, such as `2026-11-30T10:00:00Z`.
fn rfc3339(time: i64) -> String {
    jiff::Timestamp::from_second(time).unwrap_or_default().to_string()
}

fn sha256(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(&Sha256::digest(bytes))
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Empties a folder, or creates it.
fn empty(folder: &Path) -> io::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)
}

#[expect(clippy::disallowed_methods, reason = "prints how long a step takes")]
fn timed<T>(step: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = step();
    (result, start.elapsed())
}

/// A release for tests. Its folders do not exist.
#[cfg(test)]
fn example(triple: &str) -> Release {
    Release {
        source: "/src".into(),
        target: "/target".into(),
        packages: "/packages".into(),
        cargo_home: "/home/.cargo".into(),
        triple: triple.into(),
        time: 1_796_000_000,
        python: Ok("/tools".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_linux_with_glibc_has_all_packages() {
        for (triple, expected) in [
            ("x86_64-unknown-linux-gnu", Some("amd64")),
            ("aarch64-unknown-linux-gnu", Some("arm64")),
            ("x86_64-unknown-linux-musl", None),
            ("aarch64-apple-darwin", None),
            ("x86_64-pc-windows-msvc", None),
        ] {
            assert_eq!(example(triple).architecture().ok(), expected, "{triple}");
        }
    }

    #[test]
    fn a_command_for_the_glibc_of_this_machine_is_named_local() {
        for (triple, has_python, expected) in [
            ("x86_64-unknown-linux-gnu", true, "x86_64-unknown-linux-gnu"),
            ("x86_64-unknown-linux-gnu", false, "x86_64-unknown-linux-gnu-local"),
            ("aarch64-apple-darwin", false, "aarch64-apple-darwin"),
        ] {
            let mut release = example(triple);
            if !has_python {
                release.python = Err("no Python".into());
            }
            assert_eq!(release.name(), format!("{COMMAND}-{VERSION}-{expected}"));
        }
    }

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_796_066_508), "2026-11-30T19:21:48Z");
    }
}
