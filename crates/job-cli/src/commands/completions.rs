//! `cce-job completions`: prints the script that completes command lines in a shell.
//!
//! clap_complete generates the scripts. Three things are added here, because its scripts offer file
//! names wherever they know nothing better: what each value is, the positional arguments in fish, and
//! a function around the one for bash.

use anyhow::Context;
use clap::{Arg, Args, Command, ValueHint, builder::PossibleValuesParser};
use clap_complete::Shell;

use crate::{exit::Exit, terminal::print};

/// The section of `completions --help` below the flags.
pub(crate) const HELP: &str = "\
Examples:
  cce-job completions bash > ~/.local/share/bash-completion/completions/cce-job
  cce-job completions zsh > ~/.zfunc/_cce-job
  cce-job completions fish > ~/.config/fish/completions/cce-job.fish";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Shell to print completions for
    shell: Shell,
}

const NAME: &str = "cce-job";

/// The name in the script for bash. With a hyphen in it, clap_complete gives each subcommand two
/// different names, and the script completes nothing after a subcommand.
const BASH_NAME: &str = "cce_job";

/// The values that are offered for arguments that also accept other values.
const SUGGESTED_VALUES: [(&str, &[&str]); 3] =
    [("cloud", &["huawei", "otc"]), ("proxy", &["env", "none"]), ("schedule", &["adaptive"])];

/// Prints the completions of a shell.
///
/// # Errors
///
/// Returns an error if the script cannot be generated, or if writing to stdout fails.
pub(crate) fn run(arguments: &Arguments, command: Command) -> anyhow::Result<Exit> {
    let command = with_value_hints(command);
    let script = match arguments.shell {
        Shell::Bash => bash_script(command)?,
        Shell::Fish => fish_script(command)?,
        shell => generate(shell, command, NAME)?,
    };
    print::write_stdout(script)?;
    Ok(Exit::Done)
}

/// Generates into memory first, because clap_complete panics if writing fails.
fn generate(shell: Shell, mut command: Command, name: &str) -> anyhow::Result<String> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    String::from_utf8(script).context("the generated script is not valid UTF-8")
}

/// Sets what the values of each argument are, so that file names are only offered for files.
fn with_value_hints(command: Command) -> Command {
    let names: Vec<_> = command.get_subcommands().map(|one| one.get_name().to_owned()).collect();
    let command = command.mut_args(with_value_hint);
    command.mut_subcommands(|subcommand| {
        let subcommand = subcommand.mut_args(with_value_hint);
        match subcommand.get_name() {
            "man" => subcommand.mut_arg("command", |name| {
                name.value_parser(PossibleValuesParser::new(names.clone()))
            }),
            _ => subcommand,
        }
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

/// The values of a subcommand's first positional argument.
enum Positional {
    Files,
    Values(Vec<String>),
    Other,
}

impl Positional {
    fn of_command(command: &Command) -> Self {
        let Some(argument) = command.get_positionals().next() else { return Self::Other };
        let values = argument.get_possible_values();
        if !values.is_empty() {
            return Self::Values(values.iter().map(|one| one.get_name().to_owned()).collect());
        }
        match argument.get_value_hint() {
            ValueHint::FilePath => Self::Files,
            _ => Self::Other,
        }
    }
}

/// The function that bash calls: the generated one completes values and flags. `FILE_COMMANDS` are
/// the subcommands whose positional argument is a file.
const BASH_FUNCTION: &str = r#"
_cce_job_complete() {
    local previous="$3" word candidates=()
    # Bash splits `--flag=value` at the `=`.
    if [[ "${previous}" == "=" ]]; then
        previous="${COMP_WORDS[COMP_CWORD-2]}"
    fi
    _cce_job "$1" "$2" "${previous}"
    if [[ "$2" == -* ]]; then
        return
    fi
    # Flags are offered after a `-`.
    for word in "${COMPREPLY[@]}"; do
        if [[ "${word}" != -* ]]; then
            candidates+=("${word}")
        fi
    done
    COMPREPLY=("${candidates[@]}")
    if [[ ${#COMPREPLY[@]} -gt 0 ]]; then
        return
    fi
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "${word}" in
            FILE_COMMANDS)
                local IFS=$'\n'
                COMPREPLY=($(compgen -f -- "$2"))
                if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
                    compopt -o filenames
                fi
                return
                ;;
            OTHER_COMMANDS)
                return
                ;;
        esac
    done
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _cce_job_complete -o nosort -o bashdefault cce-job
else
    complete -F _cce_job_complete -o bashdefault cce-job
fi
"#;

fn bash_script(command: Command) -> anyhow::Result<String> {
    let (file_commands, other_commands): (Vec<_>, Vec<_>) = command
        .get_subcommands()
        .map(|one| (one.get_name().to_owned(), Positional::of_command(one)))
        .partition(|(_, positional)| matches!(positional, Positional::Files));
    let pattern = |commands: Vec<(String, Positional)>| {
        commands.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join("|")
    };
    let function = BASH_FUNCTION
        .replace("FILE_COMMANDS", &pattern(file_commands))
        .replace("OTHER_COMMANDS", &pattern(other_commands));
    let script = generate(Shell::Bash, command, BASH_NAME)?;
    // Without its last lines, which register the generated function.
    let (generated, _) =
        script.rsplit_once("\n}\n").context("the generated script has no function")?;
    Ok(format!("{generated}\n}}\n{function}"))
}

/// The generated script has no positional arguments.
fn fish_script(command: Command) -> anyhow::Result<String> {
    let subcommands: Vec<_> = command.get_subcommands().cloned().collect();
    let mut script = generate(Shell::Fish, command, NAME)?;
    for subcommand in subcommands {
        let positional = match Positional::of_command(&subcommand) {
            Positional::Files => continue,
            Positional::Values(values) => format!(" -a \"{}\"", values.join(" ")),
            Positional::Other => String::new(),
        };
        script += &format!(
            "complete -c {NAME} -n \"__fish_cce_job_using_subcommand {}\" -f{positional}\n",
            subcommand.get_name()
        );
    }
    Ok(script)
}
