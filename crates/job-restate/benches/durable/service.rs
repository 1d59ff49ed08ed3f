//! A process of `cce-job durable`, its log and its pages.

use std::{fs, path::PathBuf, process::Command};

use bytes::Bytes;
use http::{Request, StatusCode};
use job_transport::{hyper::HyperTransport, transport::Transport};

use crate::process::Process;

/// A service, which registers itself with the engine under the address of its load balancer.
pub(crate) struct Service {
    pub(crate) process: Process,
    port: u16,
    log: PathBuf,
    transport: HyperTransport,
}

impl Service {
    /// Starts a command that listens on a port of this machine.
    pub(crate) fn start(
        command: Command,
        port: u16,
        log: PathBuf,
        transport: HyperTransport,
    ) -> anyhow::Result<Self> {
        Ok(Self { process: Process::start(command, &log)?, port, log, transport })
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Returns what the service has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Returns the status and the text of a page, such as `ready`.
    pub(crate) async fn page(&self, path: &str) -> anyhow::Result<(StatusCode, String)> {
        let uri = format!("http://127.0.0.1:{}/{path}", self.port);
        let reply = self.transport.send(Request::get(uri).body(Bytes::new())?).await?;
        Ok((reply.status(), String::from_utf8_lossy(reply.body()).into_owned()))
    }

    /// Returns the sum of a metric over its labels, or `None` if the service does not export it.
    pub(crate) async fn metric(&self, name: &str) -> anyhow::Result<Option<f64>> {
        let (_, text) = self.page("metrics").await?;
        let is_it =
            |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let value = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
        let values: Vec<_> = text.lines().filter(is_it).filter_map(value).collect();
        Ok((!values.is_empty()).then(|| values.iter().sum()))
    }
}
