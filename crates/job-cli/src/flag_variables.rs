//! The environment variable of each flag: `CCE_JOB_` and the flag's name, such as
//! `CCE_JOB_MAX_RATE` for `--max-rate`. A flag on the command line comes first.

use std::{collections::BTreeSet, env, ffi::OsString};

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, builder::BoolishValueParser,
    parser::ValueSource,
};

const PREFIX: &str = "CCE_JOB_";

/// The commands whose flags have variables. The others use neither the service nor a server.
const COMMANDS: [&str; 8] = ["get", "list", "wait", "config", "watch", "ls", "cancel", "durable"];

/// The clients of `cce-job-server`. Their `--project` is the name of a project there, and has no
/// variable.
const SERVER_COMMANDS: [&str; 3] = ["watch", "ls", "cancel"];

/// The variable with a secret, which has no flag.
const TOKEN_ID: &str = "server_token";

/// The commands that decide which flags have variables.
const DEFINING_COMMANDS: [&str; 3] = ["get", "wait", "ls"];

/// The flags without a variable. They name what to wait for and when to stop, or print something
/// else, so they belong to a single command line.
const WITHOUT_VARIABLE: [&str; 13] = [
    "from",
    "cluster",
    "node",
    "hints",
    "until",
    "all",
    "any",
    "fail_fast",
    "print_id",
    "state",
    "limit",
    "help",
    "version",
];

/// Flags that exclude each other without a rule of clap: `--raw` requires one value of `--output`.
const EXCLUSIVE: [&str; 2] = ["raw", "output"];

/// The values that turn off a flag without a value, as clap reads them.
const OFF: [&str; 6] = ["0", "false", "f", "no", "n", "off"];

/// The variables of the flags, and the flags that are on the command line.
pub(crate) struct Variables<'m> {
    /// The arguments as they are without the environment.
    given: Option<&'m ArgMatches>,
}

impl<'m> Variables<'m> {
    /// Uses all variables, for help texts and manual pages.
    pub(crate) const fn all() -> Self {
        Self { given: None }
    }

    /// Ignores the variable of each flag that excludes a given one, because a flag comes first.
    pub(crate) const fn except_excluded(given: &'m ArgMatches) -> Self {
        Self { given: Some(given) }
    }

    /// Adds the variables to the flags of a command line.
    pub(crate) fn add_to(&self, command: Command) -> Command {
        let mut built = command.clone();
        built.build();
        let defined = defined_ids(&built);
        let global = self.excluded(&built, self.given);
        let command = command.mut_args(|flag| add_variable(flag, &defined, &global));
        command.mut_subcommands(|subcommand| {
            let name = subcommand.get_name().to_owned();
            if !COMMANDS.contains(&&*name) {
                return subcommand;
            }
            let given = self.given.and_then(|given| given.subcommand_matches(&name));
            let excluded = match built.find_subcommand(&name) {
                Some(built) => self.excluded(built, given),
                None => BTreeSet::new(),
            };
            subcommand.mut_args(|flag| {
                let has_no_variable = match flag.get_id().as_str() {
                    // Only `wait` has this format.
                    "output" => name != "wait" && value("output").is_some_and(|one| one == "jsonl"),
                    // `get` waits for replies and not for jobs, so the timeout of `wait` is too long.
                    "timeout" => name == "get",
                    "project" => SERVER_COMMANDS.contains(&&*name),
                    _ => false,
                };
                if has_no_variable { flag } else { add_variable(flag, &defined, &excluded) }
            })
        })
    }

    /// Returns the flags that exclude a given one.
    fn excluded(&self, built: &Command, given: Option<&ArgMatches>) -> BTreeSet<String> {
        let Some(given) = given else { return BTreeSet::new() };
        let is_given = |flag: &Arg| {
            let id = flag.get_id().as_str();
            given.try_contains_id(id).is_ok()
                && given.value_source(id) == Some(ValueSource::CommandLine)
        };
        let flags = built.get_arguments().filter(|flag| flag.get_long().is_some());
        let flags: Vec<&Arg> = flags.collect();
        let conflicts = |one: &Arg, other: &Arg| {
            built.get_arg_conflicts_with(one).iter().any(|found| found.get_id() == other.get_id())
        };
        let excludes = |one: &&Arg, other: &&Arg| {
            let pair = [one, other].map(|flag| flag.get_id().as_str());
            let is_exclusive = pair[0] != pair[1] && pair.iter().all(|id| EXCLUSIVE.contains(id));
            conflicts(one, other) || conflicts(other, one) || is_exclusive
        };
        let given: Vec<_> = flags.iter().filter(|flag| is_given(flag)).collect();
        let excluded = flags.iter().filter(|flag| given.iter().any(|one| excludes(flag, one)));
        excluded.map(|flag| flag.get_id().to_string()).collect()
    }
}

/// Returns the ids of all flags that have a variable.
fn defined_ids(built: &Command) -> BTreeSet<String> {
    let commands = DEFINING_COMMANDS.iter().filter_map(|name| built.find_subcommand(name));
    [built].into_iter().chain(commands).flat_map(flag_ids).collect()
}

/// Returns the ids of a command's flags that have a variable.
fn flag_ids(command: &Command) -> BTreeSet<String> {
    let flags = command.get_arguments().filter(|flag| flag.get_long().is_some());
    let ids = flags.map(|flag| flag.get_id().to_string());
    ids.filter(|id| !WITHOUT_VARIABLE.contains(&&**id)).collect()
}

/// Returns the variable of a flag.
pub(crate) fn variable(id: &str) -> String {
    format!("{PREFIX}{}", id.to_ascii_uppercase().replace('-', "_"))
}

/// Returns the value of a variable. An empty one counts as unset, because CI systems set variables
/// without a value to the empty text.
fn value(id: &str) -> Option<OsString> {
    env::var_os(variable(id)).filter(|value| !value.is_empty())
}

fn add_variable(flag: Arg, defined: &BTreeSet<String>, excluded: &BTreeSet<String>) -> Arg {
    let id = flag.get_id().to_string();
    if flag.get_long().is_none() || !defined.contains(&id) || excluded.contains(&id) {
        return flag;
    }
    let is_switch = matches!(flag.get_action(), ArgAction::SetTrue);
    // An empty variable counts as unset. So does one that turns off a flag, because a rule of clap
    // that needs the flag looks only at whether it is there.
    let is_unset = env::var_os(variable(&id)).is_some_and(|value| {
        value.is_empty() || (is_switch && OFF.iter().any(|off| value.eq_ignore_ascii_case(off)))
    });
    if is_unset {
        return flag;
    }
    let flag = if is_switch { flag.value_parser(BoolishValueParser::new()) } else { flag };
    // A value may contain a password.
    flag.env(variable(&id)).hide_env_values(true)
}

/// Returns the flags whose variables are set, with the variables.
pub(crate) fn used_variables(command: &Command) -> Vec<(String, String)> {
    let of_one = |command: &Command| {
        let flags = command.get_arguments().filter(|flag| flag.get_env().is_some());
        let ids = flags.map(|flag| flag.get_id().to_string());
        ids.filter(|id| value(id).is_some()).collect::<Vec<_>>()
    };
    let mut ids: BTreeSet<String> = of_one(command).into_iter().collect();
    ids.extend(command.get_subcommands().flat_map(of_one));
    ids.iter().map(|id| (flag_name(id), variable(id))).collect()
}

/// Returns the names of the variables that are set and begin like those of flags, but that no flag of
/// the command line has.
pub(crate) fn unknown_variables(mut command: Command) -> Vec<String> {
    command.build();
    let mut known: BTreeSet<_> = defined_ids(&command).iter().map(|id| variable(id)).collect();
    known.insert(variable(TOKEN_ID));
    let set = env::vars_os().filter(|(_, value)| !value.is_empty());
    let names = set.filter_map(|(name, _)| name.into_string().ok());
    let mut unknown: Vec<_> =
        names.filter(|name| name.starts_with(PREFIX) && !known.contains(name)).collect();
    unknown.sort_unstable();
    unknown
}

fn flag_name(id: &str) -> String {
    format!("--{}", id.replace('_', "-"))
}

/// The flags of a command whose values come from variables.
#[derive(Clone, Debug, Default)]
pub(crate) struct FromVariables(BTreeSet<&'static str>);

/// The flags whose source is shown or decides something.
const SOURCED: [&str; 8] =
    ["endpoint", "region", "cloud", "project", "ca_file", "proxy", "server", "server_ca_file"];

impl FromVariables {
    /// Returns the source of a flag's value, such as `CCE_JOB_REGION` or `--region`.
    pub(crate) fn source(&self, id: &str) -> String {
        match self.0.contains(id) {
            true => variable(id),
            false => flag_name(id),
        }
    }
}

impl FromArgMatches for FromVariables {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let is_from_variable = |id: &&str| {
            matches.try_contains_id(id).is_ok()
                && matches.value_source(id) == Some(ValueSource::EnvVariable)
        };
        Ok(Self(SOURCED.into_iter().filter(is_from_variable).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Adds no argument.
impl Args for FromVariables {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}
