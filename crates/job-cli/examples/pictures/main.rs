//! Makes the pictures of the README: the live tree of a wait, and the report of the same wait.
//!
//! `cargo xtask pictures` builds the command and runs this. The arguments are the path of the
//! command and the folder for the pictures.

#[cfg(unix)]
mod recording;
#[cfg(unix)]
mod svg;

#[cfg(unix)]
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    use std::{env, fs, path::Path};

    use anyhow::Context;

    let mut arguments = env::args_os().skip(1);
    let command = arguments.next().context("the path of the command is missing")?;
    let folder = arguments.next().context("the folder for the pictures is missing")?;
    let folder = Path::new(&folder);
    let recording = recording::record(Path::new(&command)).await?;
    fs::write(folder.join("live-tree.svg"), svg::render(&recording.prompt, &recording.screen))?;
    fs::write(folder.join("report.svg"), recording.report)?;
    Ok(())
}

#[cfg(not(unix))]
fn main() -> anyhow::Result<()> {
    anyhow::bail!("cannot make the pictures, because this platform has no pseudo-terminals")
}
