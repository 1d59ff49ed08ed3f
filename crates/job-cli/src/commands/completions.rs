//! `cce-job completions`: prints a script with which a shell completes command lines. The script
//! calls the command for each word, so that it never differs from the command line.
//!
//! clap_complete's static scripts are not used. The one for bash completes nothing after a
//! subcommand, because it gives two names to a command with a hyphen, and that for fish offers file
//! names for every positional argument.

use std::{
    env,
    ffi::{OsStr, OsString},
    io::Write,
};

use anyhow::Context;
use clap::{Arg, Args, Command, ValueHint, builder::PossibleValuesParser};
use clap_complete::{Shell, engine, env::Shells};

use crate::{exit::Exit, terminal::print};

/// The section of `completions --help` below the flags.
pub(crate) const HELP: &str = "\
Examples:
  cce-job completions bash > ~/.local/share/bash-completion/completions/cce-job
  cce-job completions zsh > ~/.zfunc/_cce-job
  cce-job completions fish > ~/.config/fish/completions/cce-job.fish

The script calls `cce-job`, which has to be in the PATH. Print it again after an update.";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Shell to print completions for
    shell: Shell,
}

const NAME: &str = "cce-job";

/// The variable with the shell that asks for completions.
const VARIABLE: &str = "_CCE_JOB_COMPLETE";

/// The variables of clap_complete's script for bash: the index of the word to complete, and the
/// separator of the candidates.
const INDEX_VARIABLE: &str = "_CLAP_COMPLETE_INDEX";
const SEPARATOR_VARIABLE: &str = "_CLAP_IFS";

/// Completes the first word, too, if zsh loads the script from `$fpath`. Without this, the script
/// only registers itself then.
const ZSH_AUTOLOAD: &str = r#"
if [ "$funcstack[1]" = "_cce-job" ]; then
    _clap_dynamic_completer_cce_job "$@"
fi
"#;

/// The values that are offered for arguments that also accept other values.
const SUGGESTED_VALUES: [(&str, &[&str]); 3] =
    [("cloud", &["huawei", "otc"]), ("proxy", &["env", "none"]), ("schedule", &["adaptive"])];

/// Prints the script for a shell.
///
/// # Errors
///
/// Returns an error if writing to stdout fails.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let shell = arguments.shell.to_string();
    let shells = Shells::builtins();
    let completer = shells.completer(&shell).context("the shell is not supported")?;
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, NAME, NAME, NAME, &mut script)?;
    if arguments.shell == Shell::Zsh {
        script.extend_from_slice(ZSH_AUTOLOAD.as_bytes());
    }
    print::write_stdout(script)?;
    Ok(Exit::Done)
}

/// Prints the candidates if a completion script has started this process. Otherwise returns `None`.
pub(crate) fn complete(command: Command) -> Option<anyhow::Result<Exit>> {
    let shell = env::var(VARIABLE).ok()?;
    // The words of the command line follow `--`.
    let words = env::args_os().skip_while(|word| word != "--").skip(1).collect();
    Some(candidates(&shell, with_value_hints(command), words).and_then(|text| {
        print::write_stdout(text)?;
        Ok(Exit::Done)
    }))
}

fn candidates(shell: &str, mut command: Command, words: Vec<OsString>) -> anyhow::Result<Vec<u8>> {
    let folder = env::current_dir().ok();
    let mut text = Vec::new();
    if shell == "bash" {
        let index = env::var(INDEX_VARIABLE).ok().and_then(|index| index.parse().ok());
        let (words, index) = join_flags(words, index.unwrap_or_default());
        let found = engine::complete(&mut command, words, index, folder.as_deref())?;
        let separator = env::var(SEPARATOR_VARIABLE).unwrap_or_else(|_| "\n".into());
        let found: Vec<_> = found.iter().map(|one| one.get_value().to_string_lossy()).collect();
        text.write_all(found.join(&*separator).as_bytes())?;
        return Ok(text);
    }
    let shells = Shells::builtins();
    let completer = shells.completer(shell).context("the shell is not supported")?;
    // The completers expect at least one word.
    let words = if words.is_empty() { vec![NAME.into()] } else { words };
    completer.write_complete(&mut command, words, folder.as_deref(), &mut text)?;
    Ok(text)
}

/// Removes each `=` between a flag and its value, at which bash splits `--flag=value`. Returns the
/// words and the index of the word to complete.
fn join_flags(words: Vec<OsString>, index: usize) -> (Vec<OsString>, usize) {
    let is_flag = |word: &OsString| word.as_encoded_bytes().starts_with(b"--");
    let (mut joined, mut joined_index) = (Vec::<OsString>::new(), index);
    for (at, word) in words.into_iter().enumerate() {
        if word == OsStr::new("=") && at < index && joined.last().is_some_and(is_flag) {
            joined_index -= 1;
        } else {
            joined.push(word);
        }
    }
    (joined, joined_index)
}

/// Sets what the values of each argument are. File names are only offered for files.
fn with_value_hints(command: Command) -> Command {
    let names: Vec<_> = command.get_subcommands().map(|one| one.get_name().to_owned()).collect();
    command.mut_args(with_value_hint).mut_subcommands(|subcommand| {
        let subcommand = subcommand.mut_args(with_value_hint);
        if subcommand.get_name() != "man" {
            return subcommand;
        }
        let names = PossibleValuesParser::new(names.clone());
        subcommand.mut_arg("command", |name| name.value_parser(names))
    })
}

fn with_value_hint(argument: Arg) -> Arg {
    let id = argument.get_id().as_str();
    if let Some((_, values)) = SUGGESTED_VALUES.iter().find(|(name, _)| *name == id) {
        return argument.value_parser(PossibleValuesParser::new(*values));
    }
    if !argument.get_action().takes_values() {
        return argument;
    }
    let hint = match argument.get_value_names() {
        Some([name]) if name == "FILE" => ValueHint::FilePath,
        Some([name]) if name == "FOLDER" => ValueHint::DirPath,
        _ => ValueHint::Other,
    };
    argument.value_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bash_words_of_one_flag_are_joined() {
        let rows: [(&[&str], usize, &[&str], usize); 5] = [
            (&["a", "--f", "=", "v"], 3, &["a", "--f", "v"], 2),
            (&["a", "--f", "=", "v", "w"], 4, &["a", "--f", "v", "w"], 3),
            (&["a", "--f", ""], 2, &["a", "--f", ""], 2),
            (&["a", "=", "v"], 2, &["a", "=", "v"], 2),
            (&[], 0, &[], 0),
        ];
        for (words, index, expected, expected_index) in rows {
            let words: Vec<_> = words.iter().map(OsString::from).collect();
            let expected: Vec<_> = expected.iter().map(OsString::from).collect();
            assert_eq!(join_flags(words, index), (expected, expected_index));
        }
    }
}
