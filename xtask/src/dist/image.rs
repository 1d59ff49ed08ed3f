//! The container image: the command with the C library and the certificates of Debian. umoci writes it
//! as an OCI image layout, which is packed into one file.

mod layer;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
};

use self::layer::Layer;
use super::{COMMAND, NotMade, Release, VERSION, archive::pack, empty, mebibytes, rfc3339, tools};
use crate::cargo::run;

/// The maximum size of the image in bytes, compressed.
const MAX_IMAGE_SIZE: u64 = 20 << 20;

/// The user and group of the command: those that images without a shell commonly use. Kubernetes only
/// accepts a number for `runAsNonRoot`.
pub(super) const USER: u64 = 65532;

/// The command in the image.
pub(super) const ENTRYPOINT: &str = "/usr/bin/cce-job";

/// The user's folder, in which the command keeps its state.
const HOME: &str = "home/cce-job";

/// Makes the image.
pub(super) fn make(release: &Release) -> Result<PathBuf, NotMade> {
    let architecture = release.architecture()?;
    for (program, package) in [("apt-get", "apt"), ("dpkg-deb", "dpkg"), ("umoci", "umoci")] {
        if !tools::has(program) {
            let reason = format!("needs `{program}` (package {package} of Debian or Ubuntu)");
            return Err(NotMade::Skipped(reason));
        }
    }
    let folder = release.target.join("dist-image");
    empty(&folder)?;
    let mut layer = Layer::default();
    layer.add_debian(&folder.join("packages"))?;
    layer.add_command(&fs::read(release.binary())?);
    let tar = folder.join("layer.tar");
    layer.write(File::create(&tar)?, release.time)?;

    let layout = folder.join("layout");
    write_layout(&layout, &tar, architecture, &rfc3339(release.time))?;
    let image = release.packages.join(format!("{}.oci.tar", release.name()));
    // Tools for images read this file as `oci-archive`.
    pack(release, &layout, Path::new(""), File::create(&image)?)?.sync_all()?;
    let size = fs::metadata(&image)?.len();
    if size > MAX_IMAGE_SIZE {
        let message =
            format!("{:.1} MiB, and {} are allowed", mebibytes(size), MAX_IMAGE_SIZE >> 20);
        return Err(io::Error::other(message).into());
    }
    Ok(image)
}

/// Writes an image layout with one layer.
fn write_layout(layout: &Path, layer: &Path, architecture: &str, time: &str) -> io::Result<()> {
    let umoci = |arguments: &[&str]| {
        let mut umoci = Command::new("umoci");
        umoci.args(arguments);
        umoci
    };
    let tag = format!("{}:{VERSION}", layout.display());
    let created = format!("--history.created={time}");
    let user = format!("--config.user={USER}:{USER}");
    run(umoci(&["init", "--layout"]).arg(layout))?;
    run(&mut umoci(&["new", "--image", &tag]))?;
    let by = "--history.created_by=cargo xtask dist";
    run(umoci(&["raw", "add-layer", "--image", &tag, &created, by]).arg(layer))?;
    let mut config = umoci(&["config", "--image", &tag, &created, by, "--created", time]);
    config.args(["--os=linux", "--architecture", architecture, &user]);
    config.args([
        &format!("--config.entrypoint={ENTRYPOINT}"),
        &format!("--config.workingdir=/{HOME}"),
        &format!("--config.env=HOME=/{HOME}"),
        "--config.env=PATH=/usr/bin",
    ]);
    for (label, value) in [
        ("title", COMMAND),
        ("description", "Waits for jobs of the Cloud Container Engine (CCE) API"),
        ("version", VERSION),
        ("licenses", "MIT OR Apache-2.0"),
    ] {
        config.arg(format!("--config.label=org.opencontainers.image.{label}={value}"));
    }
    run(&mut config)?;
    run(umoci(&["gc", "--layout"]).arg(layout))
}
