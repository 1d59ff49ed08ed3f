//! `cargo xtask dist --check`: installs each package and runs the command.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use flate2::read::GzDecoder;
use serde_json::Value;
use tar::Archive;

use super::{
    COMMAND, Release, Report, VERSION,
    build::COMPLETIONS,
    empty,
    image::{ENTRYPOINT, USER},
    tools,
};
use crate::cargo::{output, run as run_command};

/// Validates a file with the schema of CycloneDX 1.5.
const VALIDATE: &str = "\
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(sys.argv[1]).read())
sys.exit(error and str(error))
";

/// Checks every package that was made.
pub(super) fn run(release: &Release, report: &mut Report) -> io::Result<()> {
    let folder = release.target.join("dist-check");
    empty(&folder)?;
    for (what, suffix, check) in CHECKS {
        let Some(package) = report.package(suffix) else {
            report.skip(&format!("the check of the {what}"), "it was not made");
            continue;
        };
        println!("\n== check of the {what}");
        let folder = folder.join(what.replace(' ', "-"));
        empty(&folder)?;
        let check = check(&Package { release, file: &package, folder: &folder }, report);
        check.map_err(|error| io::Error::other(format!("{what}: {error}")))?;
    }
    Ok(())
}

/// Checks one package.
type Check = fn(&Package<'_>, &mut Report) -> io::Result<()>;

/// The kinds of packages, the suffixes of their names, and their checks.
const CHECKS: [(&str, &str, Check); 5] = [
    ("archive", ".tar.gz", archive),
    ("Debian package", ".deb", deb),
    ("wheel", ".whl", wheel),
    ("image", ".oci.tar", image),
    ("bill of materials", ".cdx.json", bill),
];

/// A package and an empty folder for its check.
#[derive(Debug)]
struct Package<'a> {
    release: &'a Release,
    file: &'a Path,
    folder: &'a Path,
}

impl Report {
    /// Returns the package whose name ends with `suffix`.
    fn package(&self, suffix: &str) -> Option<PathBuf> {
        let mut packages = self.made.iter().map(|(package, _)| package);
        packages.find(|path| path.to_string_lossy().ends_with(suffix)).cloned()
    }
}

fn archive(package: &Package<'_>, report: &mut Report) -> io::Result<()> {
    Archive::new(GzDecoder::new(File::open(package.file)?)).unpack(package.folder)?;
    let folder = package.folder.join(package.release.name());
    demo(Command::new(folder.join(COMMAND)).env_clear().env("HOME", package.folder))?;
    for (_, file) in COMPLETIONS {
        is_filled(&folder.join("completions").join(file))?;
    }
    is_filled(&folder.join("man").join(format!("{COMMAND}.1")))?;
    report.pass("archive: unpacked, `cce-job demo`, completions and manual pages");
    Ok(())
}

/// Installs the package in a folder with an empty database of dpkg, and removes it.
fn deb(package: &Package<'_>, report: &mut Report) -> io::Result<()> {
    if !tools::has("dpkg") {
        report.skip("the check of the Debian package", "needs the Debian package dpkg");
        return Ok(());
    }
    let root = package.folder.join("root");
    let database = root.join("var/lib/dpkg");
    for folder in ["info", "updates", "triggers"] {
        fs::create_dir_all(database.join(folder))?;
    }
    fs::write(database.join("status"), "")?;
    run_command(dpkg(&root).arg("--install").arg(package.file))?;
    let command = root.join("usr/bin").join(COMMAND);
    demo(Command::new(&command).env_clear().env("HOME", package.folder))?;
    installed_texts(&root.join("usr/share"))?;
    run_command(dpkg(&root).args(["--purge", COMMAND]))?;
    if command.exists() || root.join("usr/share/doc").join(COMMAND).exists() {
        return Err(io::Error::other("files are left after `dpkg --purge`"));
    }
    report.pass("Debian package: installed, `cce-job demo`, completions, manual pages, purged");
    lintian(package.file, report)
}

/// Returns a command that runs dpkg in a user namespace, in which it can set the owners of files without
/// being root.
fn dpkg(root: &Path) -> Command {
    let mut dpkg = Command::new("unshare");
    dpkg.args(["--map-root-user", "dpkg", "--log=/dev/null", "--root"]).arg(root);
    dpkg.args(["--force-depends", "--force-bad-path", "--force-script-chrootless"]);
    dpkg
}

/// Checks that the completions, the manual pages and the documents are at their places, and that bash
/// can load its completions.
fn installed_texts(share: &Path) -> io::Result<()> {
    let bash = share.join("bash-completion/completions/cce-job");
    for file in [
        bash.clone(),
        share.join("zsh/vendor-completions/_cce-job"),
        share.join("fish/vendor_completions.d/cce-job.fish"),
        share.join("doc/cce-job/copyright"),
        share.join("doc/cce-job/changelog.Debian.gz"),
    ] {
        is_filled(&file)?;
    }
    let page = File::open(share.join("man/man1/cce-job.1.gz"))?;
    if !io::read_to_string(GzDecoder::new(page))?.contains(".TH") {
        return Err(io::Error::other("cce-job.1.gz is not a manual page"));
    }
    let load = format!("source '{}' && complete -p {COMMAND}", bash.display());
    run_command(Command::new("bash").args(["-c", &load]).stdout(Stdio::null()))
}

/// Runs lintian, which must print nothing. `packaging/lintian-overrides` lists the exceptions.
fn lintian(package: &Path, report: &mut Report) -> io::Result<()> {
    if !tools::has("lintian") {
        report.skip("lintian", "needs the Debian package lintian");
        return Ok(());
    }
    // It fails if it finds errors, which it prints.
    let output = Command::new("lintian").arg("--allow-root").arg(package).output()?;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if !output.status.success() || !text.trim().is_empty() {
        return Err(io::Error::other(format!("lintian: {}\n{text}", output.status)));
    }
    report.pass("Debian package: lintian finds nothing");
    Ok(())
}

/// Installs the wheel in a new virtual environment.
fn wheel(package: &Package<'_>, report: &mut Report) -> io::Result<()> {
    run_command(Command::new("python3").args(["-m", "venv"]).arg(package.folder))?;
    let commands = package.folder.join("bin");
    let mut pip = Command::new(commands.join("python3"));
    pip.args(["-m", "pip", "--disable-pip-version-check", "install", "--no-index", "--quiet"]);
    run_command(pip.arg(package.file))?;
    let command = commands.join(COMMAND);
    demo(Command::new(&command).env_clear().env("HOME", package.folder))?;
    if fs::read(&command)? != fs::read(package.release.binary())? {
        return Err(io::Error::other("its command is not the one of the archive"));
    }
    report.pass("wheel: installed with pip, `cce-job demo`");
    Ok(())
}

/// Unpacks the image and runs its command as its user, with nothing but the files of the image.
fn image(package: &Package<'_>, report: &mut Report) -> io::Result<()> {
    let (layout, bundle) = (package.folder.join("layout"), package.folder.join("bundle"));
    Archive::new(File::open(package.file)?).unpack(&layout)?;
    let is_root = output(Command::new("id").arg("-u"))?.trim() == "0";
    let mut umoci = Command::new("umoci");
    umoci.arg("unpack").args(if is_root { &[][..] } else { &["--rootless"] });
    umoci.arg("--image").arg(format!("{}:{VERSION}", layout.display()));
    run_command(umoci.arg(&bundle))?;

    let config: Value = serde_json::from_slice(&fs::read(bundle.join("config.json"))?)?;
    let process = &config["process"];
    let user = process["user"]["uid"].as_u64();
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(Into::into).collect()
    };
    let arguments = texts(&process["args"]);
    if user != Some(USER) || arguments != [ENTRYPOINT] {
        return Err(io::Error::other(format!("it runs {arguments:?} as the user {user:?}")));
    }
    let mut command = if is_root {
        let mut chroot = Command::new("chroot");
        chroot.args([&format!("--userspec={USER}:{USER}"), "--groups="]).arg(bundle.join("rootfs"));
        chroot
    } else {
        let mut unshare = Command::new("unshare");
        unshare.args([&format!("--map-user={USER}"), &format!("--map-group={USER}"), "--root"]);
        unshare.arg(bundle.join("rootfs"));
        unshare
    };
    command.env_clear().args(&arguments);
    let environment = texts(&process["env"]);
    command.envs(environment.iter().filter_map(|variable| variable.split_once('=')));
    // The first PATH finds `chroot` and `unshare`, which are not in the image.
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    demo(&mut command)?;
    report.pass(format!("image: unpacked with umoci, `cce-job demo` as the user {USER}"));
    Ok(())
}

fn bill(package: &Package<'_>, report: &mut Report) -> io::Result<()> {
    let Ok(python) = &package.release.python else {
        report.skip("the schema of the bill of materials", "needs Python 3 with venv");
        return Ok(());
    };
    let mut validate = Command::new(python.join("python3"));
    run_command(validate.args(["-c", VALIDATE]).arg(package.file))?;
    report.pass("bill of materials: valid by the schema of CycloneDX 1.5");
    Ok(())
}

/// Runs `cce-job demo`, which waits for a simulated job, and prints its output only if it fails.
fn demo(command: &mut Command) -> io::Result<()> {
    let output = command.arg("demo").stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    Err(io::Error::other(format!("{command:?}: {}\n{text}", output.status)))
}

/// Checks that a file exists and is not empty.
fn is_filled(file: &Path) -> io::Result<()> {
    match fs::metadata(file) {
        Ok(metadata) if metadata.len() > 0 => Ok(()),
        Ok(_) => Err(io::Error::other(format!("{} is empty", file.display()))),
        Err(error) => Err(io::Error::other(format!("{}: {error}", file.display()))),
    }
}
