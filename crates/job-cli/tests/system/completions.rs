//! Completes command lines in bash, zsh and fish, each with the script that `completions` prints.

use std::{path::Path, process::Command};

use crate::{
    pseudo_terminal::Terminal,
    support::{Folder, command, is_installed, run},
};

/// What is typed before the Tab key, and the line after it. A line that stays the same has no
/// candidates: no file name is offered, although `zz-reply.json` exists.
const ROWS: [(&str, &str); 35] = [
    ("cce-job wai", "cce-job wait "),
    ("cce-job comp", "cce-job completions "),
    ("cce-job wait --progr", "cce-job wait --progress "),
    ("cce-job -q wait --no-l", "cce-job -q wait --no-list "),
    ("cce-job get --time", "cce-job get --timeout "),
    ("cce-job wait --progress pl", "cce-job wait --progress plain "),
    ("cce-job wait --progress=pl", "cce-job wait --progress=plain "),
    ("cce-job wait --until g", "cce-job wait --until gone "),
    ("cce-job wait -o jsonl", "cce-job wait -o jsonl "),
    ("cce-job wait --auth pod", "cce-job wait --auth pod-identity "),
    ("cce-job wait --cloud h", "cce-job wait --cloud huawei "),
    ("cce-job wait --schedule ad", "cce-job wait --schedule adaptive "),
    ("cce-job list --region eu-de --auto", "cce-job list --region eu-de --autopilot "),
    ("cce-job wait --color alw", "cce-job wait --color always "),
    ("cce-job report --format me", "cce-job report --format mermaid "),
    ("cce-job man wai", "cce-job man wait "),
    ("cce-job wat", "cce-job watch "),
    ("cce-job ls --state ov", "cce-job ls --state overdue "),
    (
        "cce-job cancel --server-token-file zz-r",
        "cce-job cancel --server-token-file zz-reply.json ",
    ),
    ("cce-job help rep", "cce-job help report "),
    ("cce-job completions z", "cce-job completions zsh "),
    ("cce-job show zz-r", "cce-job show zz-reply.json "),
    ("cce-job wait --from zz-r", "cce-job wait --from zz-reply.json "),
    ("cce-job wait --from=zz-r", "cce-job wait --from=zz-reply.json "),
    ("cce-job man --folder zz-f", "cce-job man --folder zz-folder/"),
    ("cce-job man --folder zz-r", "cce-job man --folder zz-r"),
    ("cce-job zz-r", "cce-job zz-r"),
    ("cce-job wait zz-r", "cce-job wait zz-r"),
    ("cce-job get zz-r", "cce-job get zz-r"),
    ("cce-job get one zz-r", "cce-job get one zz-r"),
    ("cce-job wait --project zz-r", "cce-job wait --project zz-r"),
    ("cce-job wait --timeout zz-r", "cce-job wait --timeout zz-r"),
    ("cce-job wait --progress zz-r", "cce-job wait --progress zz-r"),
    ("cce-job completions zz-r", "cce-job completions zz-r"),
    ("cce-job man zz-r", "cce-job man zz-r"),
];

/// Prints the script for a shell into a folder with a file and a folder to complete.
async fn prepare(shell: &str, script: &str) -> Folder {
    let folder = Folder::new();
    folder.write("work/zz-reply.json", "{}");
    folder.write("work/zz-folder/file", "");
    let mut completions = command();
    completions.args(["completions", shell]);
    let printed = run(completions).await;
    assert_eq!((printed.code, &*printed.stderr), (Some(0), ""), "{printed:?}");
    folder.write(script, &printed.stdout);
    folder
}

/// Returns the PATH with the command.
fn path() -> String {
    let beside = Path::new(env!("CARGO_BIN_EXE_cce-job")).parent().unwrap();
    format!("{}:{}", beside.display(), std::env::var("PATH").unwrap())
}

/// Types each line and the Tab key in an interactive shell, and compares the lines.
async fn check_interactive(mut shell: Command, setup: &str) {
    shell.env("PATH", path()).env("HOME", "/nonexistent").env("LC_ALL", "C.UTF-8");
    let terminal = Terminal::start(&shell, (50, 160));
    terminal.send_keys(&format!("{setup}; PS1='> '; clear; echo re''ady\r"));
    terminal.wait_until("ready", |screen| screen.contains("ready\n>")).await;
    let mut wrong = Vec::new();
    for (number, (typed, expected)) in ROWS.into_iter().enumerate() {
        // The shell reads the keys after the Tab only when it has completed the line.
        let end = format!("@{number}@");
        terminal.send_keys(&format!("{typed}\t{end}"));
        terminal.wait_until(typed, |screen| screen.contains(&end)).await;
        let screen = terminal.screen();
        let line = screen.lines().rfind(|line| line.contains(&end)).unwrap();
        if line != format!("> {expected}{end}") {
            wrong.push(format!("{typed:?}: {line:?}, expected {expected:?}"));
        }
        // Clears the line.
        terminal.send_keys("\u{15}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", terminal.screen());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bash_completes_subcommands_flags_and_values() {
    if !is_installed("bash", "--version") {
        return;
    }
    let folder = prepare("bash", "cce-job.bash").await;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "--noprofile", "-i"]);
    let (work, script) = (folder.file("work"), folder.file("cce-job.bash"));
    let setup = format!("cd {}; source {}", work.display(), script.display());
    check_interactive(bash, &setup).await;
}

/// zsh loads the script as a function, as the help says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zsh_completes_subcommands_flags_and_values() {
    if !is_installed("zsh", "--version") {
        return;
    }
    let folder = prepare("zsh", "functions/_cce-job").await;
    let mut zsh = Command::new("zsh");
    zsh.args(["-f", "-i"]);
    let (work, functions) = (folder.file("work"), folder.file("functions"));
    let setup = format!(
        "bindkey -e; unsetopt PROMPT_SP; fpath=({} $fpath); autoload -U compinit; compinit -u -D; cd {}",
        functions.display(),
        work.display()
    );
    check_interactive(zsh, &setup).await;
}

/// fish prints the candidates of a line. It replaces the last word if there is only one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fish_completes_subcommands_flags_and_values() {
    if !is_installed("fish", "--version") {
        return;
    }
    let folder = prepare("fish", "cce-job.fish").await;
    let lines = ROWS.map(|(typed, _)| format!("'{typed}'")).join(" ");
    let script = format!(
        "source {}; for line in {lines}; echo \"== $line\"; complete -C $line; end",
        folder.file("cce-job.fish").display()
    );
    let mut fish = Command::new("fish");
    fish.args(["--no-config", "-c", &script]).current_dir(folder.file("work"));
    fish.env_clear().env("PATH", path()).env("HOME", folder.file("home"));
    let ran = run(fish).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let mut sections = ran.stdout.split("== ").skip(1);
    for (typed, expected) in ROWS {
        let section = sections.next().unwrap_or_else(|| panic!("{typed}: {ran:?}"));
        let mut candidates = section.lines();
        assert_eq!(candidates.next(), Some(typed));
        let candidates: Vec<_> =
            candidates.map(|line| line.split('\t').next().unwrap_or_default()).collect();
        let word = expected.trim_end().rsplit(' ').next().unwrap();
        match expected == typed {
            true => assert!(!candidates.contains(&"zz-reply.json"), "{typed}: {candidates:?}"),
            false => assert_eq!(candidates, [word], "{typed}"),
        }
    }
}
