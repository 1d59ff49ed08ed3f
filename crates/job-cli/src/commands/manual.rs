//! `cce-job man`: manual pages, generated from the definition of the command line.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use anyhow::{Context, anyhow};
use clap::{Args, Command};
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use crate::{
    exit::{Exit, OrExit},
    files::{NewFileMode, OwnerRule, TargetFile},
    terminal::print,
};

/// The section of `man --help` below the flags.
pub(crate) const HELP: &str = "\
Examples:
  cce-job man | man -l -
  cce-job man wait | man -l -
  cce-job man --folder /usr/local/share/man/man1";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Print the page of this subcommand instead of the main page
    #[arg(conflicts_with = "folder")]
    command: Option<String>,
    /// Write all manual pages into this existing folder
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Prints a manual page, or writes all of them to a folder.
///
/// # Errors
///
/// Returns a usage error if there is no such subcommand, or if a page cannot be written.
pub(crate) fn run(arguments: &Arguments, mut command: Command) -> anyhow::Result<Exit> {
    if let Some(folder) = &arguments.folder {
        // The `help` subcommand would add a second page for each subcommand.
        command = command.disable_help_subcommand(true);
        command.build();
        let below: Vec<_> = command.get_subcommands().cloned().collect();
        for command in [command].into_iter().chain(below) {
            let name = command.get_display_name().unwrap_or_else(|| command.get_name());
            let file = folder.join(format!("{name}.1"));
            let page = man_page(command)?;
            let page = |file: &mut dyn Write| file.write_all(&page);
            TargetFile::new(&file)
                .and_then(|file| file.write(NewFileMode::Umask, OwnerRule::WriteInPlace, page))
                .with_context(|| format!("cannot write {}", file.display()))
                .or_exit(Exit::Usage)?;
        }
        return Ok(Exit::Done);
    }
    command.build();
    let command = match &arguments.command {
        None => command,
        Some(name) => {
            let found = command.find_subcommand(name).cloned();
            found
                .ok_or_else(|| {
                    anyhow!("no such command: {name}; `cce-job --help` lists all commands")
                })
                .or_exit(Exit::Usage)?
        }
    };
    print::write_stdout(man_page(command)?)?;
    Ok(Exit::Done)
}

/// Returns the page of a command. The sections below the flags are preformatted, because they have
/// columns.
fn man_page(command: Command) -> io::Result<Vec<u8>> {
    let notes = command.get_after_long_help().or_else(|| command.get_after_help());
    let notes = notes.map(ToString::to_string);
    let mut page = Vec::new();
    Man::new(command.after_help(None).after_long_help(None)).render(&mut page)?;
    if let Some(notes) = notes {
        let mut roff = Roff::new();
        roff.control("SH", ["NOTES"]).control("nf", []).text([roman(notes)]).control("fi", []);
        roff.to_writer(&mut page)?;
    }
    Ok(page)
}
