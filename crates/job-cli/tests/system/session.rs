//! Records transcripts of command lines that run against a simulated service.

use std::{
    io::Write,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use job_sim::{Plan, Sim, SimServer, TimeSource};

use crate::support::{CommandResult, Folder, command, sleep, wait_for_exit};

/// The endpoint, without and with a schedule that needs no patience. `SERVICE` stands for its URL.
pub(crate) const ENDPOINT_ARG: &str = "--endpoint SERVICE";
pub(crate) const FAST_POLL_ARGS: &str = "--endpoint SERVICE --schedule fixed:10ms";

/// A service, a working folder, and the transcript so far.
pub(crate) struct Transcript {
    pub(crate) sim: Arc<Sim>,
    server: SimServer,
    pub(crate) folder: Folder,
    pub(crate) text: String,
}

impl Transcript {
    /// Starts a service whose job advances by half a second with each request.
    pub(crate) async fn new(plan: Plan) -> Self {
        let sim = Arc::new(Sim::new(plan, TimeSource::PerRequest(Duration::from_millis(500))));
        let server = SimServer::start(sim.clone()).await.unwrap();
        let folder = Folder::new();
        folder.write("ca.pem", server.ca_pem());
        Self { sim, server, folder, text: String::new() }
    }

    /// Returns the endpoint of the service.
    pub(crate) fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// Returns the command, with the credentials of the service.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = command();
        command
            .env("OS_TOKEN", self.sim.account().token)
            .env("OS_PROJECT_ID", self.sim.project().as_str())
            .env("OS_CACERT", "ca.pem")
            .current_dir(self.folder.file(""));
        let line = line.replace("SERVICE", &self.server.endpoint());
        let line = line.replace("JOB", self.sim.job().as_str());
        command.args(shell_words::split(&line).unwrap());
        command
    }

    /// Runs a command line. `SERVICE` and `JOB` in it are replaced by the service's endpoint and
    /// job id.
    pub(crate) async fn run(&mut self, line: &str) -> CommandResult {
        self.run_with(line, "", |command| command).await
    }

    /// Runs a command line for several jobs, and sorts the lines of jobs, whose order varies.
    pub(crate) async fn run_sorted(&mut self, line: &str, stdin: &str) {
        let mut ran = self.execute(line, stdin, |command| command).await;
        for text in [&mut ran.stdout, &mut ran.stderr] {
            // A hint stays below its line.
            let mut lines = Vec::<String>::new();
            for line in text.lines() {
                match lines.last_mut().filter(|_| line.starts_with(' ')) {
                    Some(last) => *last += &format!("{line}\n"),
                    None => lines.push(format!("{line}\n")),
                }
            }
            let jobs = lines.iter().take_while(|line| !line.starts_with(['|', 'c'])).count();
            lines[..jobs].sort();
            *text = lines.concat();
        }
        self.record(line, &ran);
    }

    /// Runs a command line, and removes a text from its stderr. Whether it prints that text depends
    /// on which of two replies arrives first.
    pub(crate) async fn run_without(&mut self, line: &str, text: &str) {
        let mut ran = self.execute(line, "", |command| command).await;
        ran.stderr = ran.stderr.replace(text, "");
        self.record(line, &ran);
    }

    /// Runs a command line with this stdin, and with changes to the command such as its
    /// environment.
    pub(crate) async fn run_with(
        &mut self,
        line: &str,
        stdin: &str,
        change: impl Fn(&mut Command) -> &mut Command,
    ) -> CommandResult {
        let ran = self.execute(line, stdin, change).await;
        self.record(line, &ran);
        ran
    }

    async fn execute(
        &self,
        line: &str,
        stdin: &str,
        change: impl Fn(&mut Command) -> &mut Command,
    ) -> CommandResult {
        let mut command = self.command(line);
        change(&mut command).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Fails if the command does not read stdin and has ended.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        wait_for_exit(child).await
    }

    /// Starts a command line, and returns it after its first request.
    pub(crate) async fn spawn_until_first_request(&self, line: &str) -> Child {
        self.spawn_with_stdout(line, Stdio::piped()).await
    }

    /// Starts a command line with this stdout, and waits until the service has received a request.
    pub(crate) async fn spawn_with_stdout(&self, line: &str, stdout: Stdio) -> Child {
        let before = self.sim.requests();
        let mut command = self.command(line);
        let child = command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped()).spawn();
        while self.sim.requests() == before {
            sleep(Duration::from_millis(10)).await;
        }
        child.unwrap()
    }

    /// Adds a command line and its result to the transcript.
    pub(crate) fn record(&mut self, line: &str, ran: &CommandResult) {
        let CommandResult { code, stdout, stderr } = ran;
        self.text += &format!("$ cce-job {line}\n{stdout}");
        if !stderr.is_empty() {
            self.text += &stderr.lines().map(|line| format!("2> {line}\n")).collect::<String>();
        }
        self.text += &format!("[exit {}]\n\n", code.unwrap_or(-1));
    }

    /// Compares the transcript with a snapshot, without values that differ between runs, such as
    /// times, ports and request ids.
    pub(crate) fn check_snapshot(self, compare: impl FnOnce(&str)) {
        let shown = self.text.replace(&self.server.endpoint(), "SERVICE");
        let shown = shown.replace(self.sim.job().as_str(), "JOB");
        let shown = shown.replace(&self.folder.file("").display().to_string(), "FOLDER/");
        assert!(!shown.contains("simulated-token") && !shown.contains("canary"), "{shown}");
        let mut settings = insta::Settings::clone_current();
        settings.add_filter(r"\b\d+(\.\d)? ?m?s\b", "<time>");
        settings.add_filter(r#""(at|next|elapsed|duration)":[\d.]+"#, r#""$1":<s>"#);
        // The job's time advances with requests, so its end may be later than the date of the
        // reply.
        settings.add_filter(r#""detection_delay":(null|[\d.]+)"#, r#""detection_delay":<s>"#);
        settings.add_filter(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?", "<timestamp>");
        settings.add_filter(r"127\.0\.0\.1:\d+", "127.0.0.1:<port>");
        settings.add_filter(r"\(os error \d+\)", "(os error)");
        settings.add_filter(r"request id \d+", "request id <id>");
        settings.add_filter(r"(before the reply was complete): .*", "$1");
        settings.add_filter(r"> +<time>", "> <time>");
        settings.add_filter(r"\| <time> +\|", "| <time> |");
        // It depends on the date of the reply, too.
        settings.add_filter(r", detected <time> later", "");
        settings.add_filter(r"(?m)\| (-|<time>) *\| (\d+) +\|$", "| <delay> | $2 |");
        settings.bind(|| compare(&shown));
    }
}
