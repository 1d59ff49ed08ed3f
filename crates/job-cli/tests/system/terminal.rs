//! Tests of the live tree on terminals: on a pseudo-terminal with a terminal emulator (vt100), and
//! in tmux, which reflows lines when its width changes.

use std::{collections::BTreeMap, fs, process::Command, sync::Arc, time::Duration};

use http::Response;
use job_model::JobId;
use job_sim::{Fault, Plan, Sim, SimServer, SimTransport, TimeSource};
use rustix::process::{Signal, kill_process};
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    pseudo_terminal::Terminal,
    support::{Folder, command, is_installed, sleep, wait_command},
};

/// A service, and a wait for its first job, which has advanced by half a second for each of
/// `readings`.
struct TerminalFixture {
    sim: Arc<Sim>,
    _server: SimServer,
    folder: Folder,
    command: Command,
}

impl TerminalFixture {
    async fn new(plan: Plan, readings: u32, schedule: &str) -> Self {
        let sim = Arc::new(Sim::new(plan, TimeSource::PerRequest(Duration::from_millis(500))));
        let client =
            sim.client("https://cce.example".parse().unwrap(), SimTransport::new(sim.clone()));
        for _ in 0..readings {
            client.job(sim.job()).await.unwrap();
        }
        let server = SimServer::start(sim.clone()).await.unwrap();
        let folder = Folder::new();
        let mut command = wait_command(&sim, &server.endpoint(), server.ca_pem(), &folder);
        command.args(["--schedule", schedule, sim.job().as_str()]);
        Self { sim, _server: server, folder, command }
    }

    /// Returns a screen without values that differ between runs.
    fn redact(&self, screen: &str) -> String {
        let shown = screen.replace(self.sim.job().as_str(), "JOB");
        shown.lines().map(|line| format!("|{line}\n")).collect()
    }
}

fn check_screen(name: &str, shown: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\b(\d+h( \d+m)?( \d+s)?|\d+m( \d+s)?|\d+(\.\d)?m?s)\b", "<time>");
    settings.add_filter(r" +<time>", " <time>");
    settings.add_filter(r", detected <time> later", "");
    settings.bind(|| insta::assert_snapshot!(name, shown));
}

/// Returns the number of rows of a running job. The label may be shortened.
fn job_rows(screen: &str) -> usize {
    screen.lines().filter(|row| row.starts_with("Create") && row.contains("Running")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_at_three_sizes() {
    let plan = || Plan::create_cluster().with_failure("flavor c3.large.2 is sold out in eu-de-01");
    let mut shown = String::new();
    for size in [(24, 100), (12, 48), (5, 30)] {
        // The first step is done and the second has failed, but the job itself is still running.
        let fixture = TerminalFixture::new(plan(), 9, "fixed:1h").await;
        let mut terminal = Terminal::start(&fixture.command, size);
        terminal.wait_until("read", |screen| job_rows(screen) == 1).await;
        terminal
            .wait_until("planned", |screen| size.0 < 6 || screen.contains("next attempt in"))
            .await;
        shown += &format!("{size:?}\n{}", fixture.redact(&terminal.screen()));
        terminal.send_keys("\u{3}");
        assert_eq!(terminal.wait_for_exit().await, 130);
        let screen = terminal.screen();
        assert!(!screen.contains("CreateCluster"), "{screen}");
        if size.0 > 5 {
            // The next line contains paths, whose length differs between machines.
            let hint = screen.split("to resume,").next().unwrap();
            shown += &format!("and after Ctrl-C\n{}", fixture.redact(hint));
        }
        assert!(!terminal.is_cursor_hidden());
    }
    check_screen("a_tree_at_three_sizes", &shown);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_result_remains_on_screen_at_the_end() {
    let mut shown = String::new();
    for more in
        [&[][..], &["-o", "jsonl", "--progress", "tree"], &["--summary", "--color", "always"]]
    {
        let mut fixture = TerminalFixture::new(Plan::create_cluster(), 0, "fixed:50ms").await;
        fixture.sim.inject_faults([None, None, Some(Fault::ErrorReply(503.try_into().unwrap()))]);
        fixture.command.args(more);
        let mut terminal = Terminal::start(&fixture.command, (24, 140));
        assert_eq!(terminal.wait_for_exit().await, 0);
        let screen = terminal.screen();
        let ends: String = screen
            .lines()
            .filter(|line| !line.contains("\"event\":\""))
            .map(|line| format!("{line}\n"))
            .collect();
        let ends = if more.contains(&"jsonl") { "(events)\n".into() } else { ends };
        shown += &format!("{more:?}\n{}", fixture.redact(&ends));
        // The tree was drawn, and was removed at the end.
        assert!(terminal.bytes().contains("InstallMaster  0"), "{}", terminal.bytes());
        assert!(!screen.contains("InstallMaster  0"), "{screen}");
    }
    check_screen("only_the_result_remains_on_screen_at_the_end", &shown);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resizing_shows_one_tree() {
    let fixture = TerminalFixture::new(Plan::create_cluster(), 6, "fixed:1h").await;
    let mut terminal = Terminal::start(&fixture.command, (20, 80));
    let is_drawn = |screen: &str| screen.contains("next attempt in");
    terminal.wait_until("drawn", is_drawn).await;
    for size in [(20, 50), (20, 120), (8, 30), (20, 80)] {
        terminal.resize(size);
        let before = terminal.bytes().len();
        terminal.wait_until("drawn again", |_| terminal.bytes().len() > before).await;
        terminal.wait_until("whole", is_drawn).await;
        let screen = terminal.screen();
        assert_eq!(job_rows(&screen), 1, "{size:?}\n{screen}");
        assert!(screen.starts_with("$ before\n"), "{size:?}\n{screen}");
    }
    terminal.send_keys("\u{3}");
    assert_eq!(terminal.wait_for_exit().await, 130);
    let screen = terminal.screen();
    assert!(!screen.contains("CreateCluster"), "{screen}");
    assert!(screen.starts_with("$ before\ncce-job: stopped by SIGINT"), "{screen}");
}

/// A tmux server with one window.
struct Tmux(String);

impl Tmux {
    /// Runs a script in a window with 80 columns and this number of rows. `LINE` in the script is
    /// replaced by the command line.
    fn start(name: &str, rows: &str, command: &Command, script: &str) -> Self {
        let tmux = Self(format!("cce-job-{name}-{}", std::process::id()));
        let words = [command.get_program()].into_iter().chain(command.get_args());
        let line = shell_words::join(words.map(|word| word.to_str().unwrap()));
        let variables = command.get_envs().map(|(name, value)| {
            format!("{}={}", name.display(), shell_words::quote(value.unwrap().to_str().unwrap()))
        });
        let line = format!("{} {line}", variables.collect::<Vec<_>>().join(" "));
        let script = script.replace("LINE", &line);
        tmux.run(&["new-session", "-d", "-x", "80", "-y", rows, "sh", "-c", &script]);
        tmux
    }

    fn run(&self, arguments: &[&str]) -> String {
        let mut tmux = Command::new("tmux");
        tmux.env_clear().env("TERM", "screen").env("PATH", std::env::var_os("PATH").unwrap());
        tmux.args(["-L", &self.0, "-f", "/dev/null"]).args(arguments);
        String::from_utf8(tmux.output().unwrap().stdout).unwrap()
    }

    /// Returns the scrollback and the screen.
    fn screen(&self) -> String {
        self.run(&["capture-pane", "-p", "-S", "-"])
    }

    async fn wait_until(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        let found = timeout(Duration::from_secs(30), async {
            while !is_so(&self.screen()) {
                sleep(Duration::from_millis(50)).await;
            }
        });
        assert!(found.await.is_ok(), "never {what}:\n{}", self.screen());
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redrawing_leaves_nothing_in_scrollback() {
    if !is_installed("tmux", "-V") {
        return;
    }
    let mut fixture = TerminalFixture::new(Plan::create_cluster(), 6, "fixed:1h").await;
    let more: Vec<_> = (0..12).map(|_| fixture.sim.add(Plan::create_cluster())).collect();
    fixture.command.args(more.iter().map(|id| id.as_str()));
    let ids = [&[fixture.sim.job().clone()][..], &more].concat();
    let tmux = Tmux::start("first", "14", &fixture.command, "trap : INT; LINE; exec cat");
    let first = |screen: &str| screen.lines().next().map(String::from);
    let is_drawn = |screen: &str| screen.contains("of 13 jobs ended");
    // The row of a job that was not read yet does not end with the job id.
    let is_read = |screen: &str| is_drawn(screen) && !screen.contains("not read yet");
    tmux.wait_until("drawn, and each row read", is_read).await;
    let mut orders = Vec::new();
    for _ in 0..3 {
        let before = first(&tmux.screen());
        tmux.wait_until("drawn again", |screen| first(screen) != before).await;
        // The row of a job ends with its id, truncated to the width. The rows of steps have no id.
        let screen = tmux.screen();
        let named = |line: &str| ids.iter().position(|id| line.contains(&id.as_str()[..9]));
        orders.push(screen.lines().filter_map(named).collect::<Vec<_>>());
    }
    assert_eq!(tmux.run(&["display-message", "-p", "#{history_size}"]), "0\n");
    // The jobs are always in the order of the command line.
    assert_eq!(orders, [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]; 3]);
    tmux.run(&["send-keys", "C-c"]);
    tmux.wait_until("stopped", |screen| screen.contains("to resume")).await;
    assert!(tmux.screen().starts_with("cce-job: stopped by SIGINT"), "{}", tmux.screen());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reflow_on_resize_shows_one_tree() {
    if !is_installed("tmux", "-V") {
        return;
    }
    // All rows fit into all widths, because tmux scrolls reflowed rows into the scrollback, where
    // they cannot be cleared.
    let fixture = TerminalFixture::new(Plan::create_cluster(), 6, "fixed:1h").await;
    let before = "above above above above above above";
    // Ctrl-C also reaches the shell, which ignores it and continues.
    let script = format!("trap : INT; echo '{before}'; LINE; echo exit $?; exec cat");
    let tmux = Tmux::start("reflow", "20", &fixture.command, &script);
    let one_tree = |screen: &str| {
        let mut lines = screen.lines().map(str::trim_end).filter(|line| !line.is_empty());
        // Names are shortened, and columns are left out, to the width of the terminal.
        [(before, ""), ("Create", "Running"), ("  Install", "Running"), ("  next attempt in", "")]
            .iter()
            .all(|(start, phase)| {
                lines.next().is_some_and(|line| line.starts_with(start) && line.contains(phase))
            })
            && lines.next().is_none()
    };
    tmux.wait_until("drawn", one_tree).await;
    for width in ["70", "120", "65", "80"] {
        tmux.run(&["resize-window", "-x", width]);
        // Wait for a redraw after the resize, which shows another time.
        let time = |screen: &str| screen.lines().nth(1).map(String::from);
        let before = time(&tmux.screen());
        let is_drawn = |screen: &str| one_tree(screen) && time(screen) != before;
        tmux.wait_until(&format!("one tree at {width}"), is_drawn).await;
    }
    tmux.run(&["send-keys", "C-c"]);
    tmux.wait_until("stopped", |screen| screen.contains("exit 130")).await;
    let screen = tmux.screen();
    assert!(screen.starts_with(&format!("{before}\ncce-job: stopped by SIGINT")), "{screen}");
}

/// Stops the output of a terminal.
const CTRL_S: &str = "\u{13}";
/// Continues the output of a terminal.
const CTRL_Q: &str = "\u{11}";

/// A service, and a command that waits for a job that does not end and three others, which end after
/// 10, 20 and 30 polls each.
async fn start_waits_that_end() -> (TerminalFixture, Vec<JobId>) {
    let plan = Plan::create_cluster().slower(1000);
    let mut fixture = TerminalFixture::new(plan, 0, "fixed:20ms").await;
    let ending = [1, 2, 3].map(|times| fixture.sim.add(Plan::create_cluster().slower(times)));
    fixture.command.args(ending.iter().map(JobId::as_str));
    (fixture, ending.into())
}

/// Waits until the service has received this number of further requests.
async fn wait_for_requests(sim: &Sim, requests: u32) {
    let before = sim.requests();
    let polled = timeout(Duration::from_secs(30), async {
        while sim.requests() < before + requests {
            sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(polled.await.is_ok(), "{} requests", sim.requests() - before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_terminal_does_not_delay_polls() {
    let (fixture, ending) = start_waits_that_end().await;
    let mut terminal = Terminal::start(&fixture.command, (24, 80));
    terminal.wait_until("drawn", |screen| screen.contains("0 of 4 jobs ended")).await;
    terminal.send_keys(CTRL_S);
    // The tree is drawn at least once a second, so after these requests a drawing has begun.
    wait_for_requests(&fixture.sim, 60).await;
    let drawn = terminal.bytes();
    assert!(!drawn.contains("succeeded"), "a job ended too early: {drawn}");
    // Results and warnings are printed above the tree.
    wait_for_requests(&fixture.sim, 100).await;
    let odd = r#"{"kind": "Job", "status": {"phase": "Running", "reason": 5}}"#;
    fixture.sim.inject_fault(Fault::Reply(Response::new(odd.into())));
    wait_for_requests(&fixture.sim, 20).await;
    assert_eq!(terminal.bytes(), drawn, "the terminal accepts nothing");
    terminal.send_keys(CTRL_Q);
    terminal.wait_until("drawn again", |screen| screen.contains("3 of 4 jobs ended")).await;
    let screen = terminal.screen();
    let lines = |text: &str| screen.lines().filter(|line| line.contains(text)).count();
    assert_eq!(lines("warning: status.reason"), 1, "{screen}");
    for id in ending {
        assert_eq!(lines(&format!("{id} succeeded in ")), 1, "{screen}");
    }
    terminal.send_keys("\u{3}");
    assert_eq!(terminal.wait_for_exit().await, 130);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_terminal_does_not_prevent_the_last_save_and_the_exit() {
    for progress in ["tree", "plain"] {
        // No job ends, because the file only keeps the waits that are still running.
        let plan = || Plan::create_cluster().slower(1000);
        let mut fixture = TerminalFixture::new(plan(), 0, "fixed:20ms").await;
        fixture.command.args([1, 2, 3].map(|_| fixture.sim.add(plan()).to_string()));
        let file = fixture.folder.file("wait.json");
        fixture.command.args(["--progress", progress, "--checkpoint"]).arg(&file);
        let mut terminal = Terminal::start(&fixture.command, (24, 80));
        terminal.wait_until("started", |screen| screen.contains("cluster-name")).await;
        terminal.send_keys(CTRL_S);
        wait_for_requests(&fixture.sim, 150).await;
        kill_process(terminal.pid(), Signal::TERM).unwrap();
        assert_eq!(timeout(Duration::from_secs(20), terminal.wait_for_exit()).await, Ok(143));
        // The file has the last state of each wait.
        let mut attempts = BTreeMap::new();
        for record in fs::read_to_string(&file).unwrap().lines().skip(2) {
            let record: Value = serde_json::from_str(&record[18..]).unwrap();
            let machine = &record.as_object().unwrap().values().next().unwrap()["machine"];
            attempts.insert(machine["id"].to_string(), machine["attempts"].as_u64().unwrap());
        }
        let saved = attempts.values().sum::<u64>();
        // The last attempt may have been in flight.
        assert!(saved.abs_diff(fixture.sim.requests().into()) <= 1, "{progress}: {attempts:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tab_progress_is_shown_and_cleared_at_the_end() {
    for (program, shown) in [("WezTerm", true), ("other", false)] {
        let mut fixture = TerminalFixture::new(Plan::create_cluster(), 6, "fixed:1h").await;
        fixture.command.env("TERM_PROGRAM", program);
        let mut terminal = Terminal::start(&fixture.command, (24, 80));
        terminal.wait_until("drawn", |screen| screen.contains("next attempt in")).await;
        terminal.send_keys("\u{3}");
        assert_eq!(terminal.wait_for_exit().await, 130);
        let bytes = terminal.bytes();
        let states: Vec<_> = bytes.split("\u{1b}]9;4;").skip(1).collect();
        let states: Vec<_> =
            states.iter().filter_map(|state| state.split('\u{1b}').next()).collect();
        if shown {
            assert_eq!((states.first(), states.last()), (Some(&"3;"), Some(&"0;")), "{states:?}");
            assert!(states.contains(&"1;50"), "{states:?}");
        } else {
            assert!(states.is_empty(), "{states:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_megabyte_texts_emit_no_control_sequences() {
    let reason = "\u{1b}]0;title\u{7}\u{9b}2J\u{1b}[2J\u{202e}\r\n".repeat(50_000);
    let mut fixture =
        TerminalFixture::new(Plan::create_cluster().with_failure(reason), 9, "fixed:50ms").await;
    fixture.command.args(["--summary", "--color", "never"]);
    let mut terminal = Terminal::start(&fixture.command, (24, 80));
    assert_eq!(terminal.wait_for_exit().await, 5);
    let bytes = terminal.bytes();
    assert!(bytes.len() < 100_000, "{}", bytes.len());
    // The command's own sequences move the cursor by rows, return it to the first column, and clear
    // a row.
    let own = ["\u{1b}[1A", "\u{1b}[2A", "\u{1b}[3A", "\u{1b}[1B", "\u{1b}[2K", "\r", "\n"];
    let rest = own.iter().fold(bytes, |bytes, own| bytes.replace(own, ""));
    let hostile = rest.chars().find(|c| job_model::is_unprintable(*c));
    assert_eq!(
        hostile,
        None,
        "{:?}",
        rest.find(job_model::is_unprintable).map(|at| &rest[at..at + 20])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dumb_terminal_gets_plain_lines() {
    let mut fixture = TerminalFixture::new(Plan::create_cluster(), 0, "fixed:50ms").await;
    fixture.command.env("TERM", "dumb");
    let mut terminal = Terminal::start(&fixture.command, (24, 80));
    assert_eq!(terminal.wait_for_exit().await, 0);
    let bytes = terminal.bytes();
    assert!(
        bytes.contains("CreatePSMCert 00000001: Running") && !bytes.contains('\u{1b}'),
        "{bytes:?}"
    );
    let mut demo = command();
    demo.args(["demo", "--speed", "50"]).env("NO_COLOR", "1");
    let mut terminal = Terminal::start(&demo, (24, 80));
    assert_eq!(terminal.wait_for_exit().await, 0);
    assert!(!terminal.bytes().contains("\u{1b}[32m"), "{:?}", terminal.bytes());
}
