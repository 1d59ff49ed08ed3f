//! The histories of several endpoints in one file, by host. Performs no I/O.
//!
//! Format 2 has a list of hosts, the one that was used least recently first. Format 1 is a single
//! history without a host, which commands wrote before. It is kept: a host that has no history of its
//! own yet starts with it.

use anyhow::bail;
use job_poller::schedule::{History, JobObservation};
use serde::{Deserialize, Serialize};

/// Maximum number of hosts in a file. Above it, the one that was used least recently is dropped.
const MAX_HOSTS: usize = 16;

/// Maximum length of a host name in bytes, as in the DNS.
const MAX_HOST_LEN: usize = 253;

const VERSION: u32 = 2;

/// The histories of a file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct HostHistories {
    /// The history of a file of format 1, of which the host is not known.
    without_host: Option<History>,
    /// The histories by host, the one that was used least recently first.
    hosts: Vec<HostHistory>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct HostHistory {
    host: String,
    history: History,
}

/// The file, with the fields of both formats.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// The file of format 2.
#[derive(Deserialize)]
struct HistoriesV2 {
    #[serde(default)]
    without_host: Option<History>,
    hosts: Vec<HostHistory>,
}

impl HostHistories {
    /// Reads a file of format 1 or 2.
    ///
    /// # Errors
    ///
    /// Returns an error if the text has another format, or more hosts than are ever written.
    pub(super) fn from_json(text: &[u8]) -> anyhow::Result<Self> {
        match serde_json::from_slice(text)? {
            Version { version: 1 } => {
                Ok(Self { without_host: Some(serde_json::from_slice(text)?), hosts: Vec::new() })
            }
            Version { version: VERSION } => {
                let HistoriesV2 { without_host, hosts } = serde_json::from_slice(text)?;
                let is_valid = |(number, one): (usize, &HostHistory)| {
                    one.host.len() <= MAX_HOST_LEN
                        && hosts.iter().take(number).all(|other| other.host != one.host)
                };
                if hosts.len() > MAX_HOSTS || !hosts.iter().enumerate().all(is_valid) {
                    bail!(
                        "the file has more than {MAX_HOSTS} hosts, one of them twice, or a name that \
                         is too long"
                    );
                }
                Ok(Self { without_host, hosts })
            }
            Version { version } => bail!(
                "history format version {version} is not supported, only versions 1 and {VERSION}"
            ),
        }
    }

    /// Returns the file in format 2, with at most `max_bytes`. If the text would be longer, the history
    /// without a host and the hosts that were used least recently are left out, but never the last one.
    pub(super) fn to_json(&self, max_bytes: usize) -> serde_json::Result<String> {
        let mut text = format!("{{\"version\":{VERSION}");
        let hosts = self.hosts.iter().map(serde_json::to_string);
        let hosts = hosts.collect::<serde_json::Result<Vec<_>>>()?;
        let mut len = text.len() + ",\"hosts\":[]}".len();
        // The most recent ones that fit.
        let fitting = hosts.iter().rev().take_while(|host| {
            len = len.saturating_add(host.len()).saturating_add(1);
            len <= max_bytes
        });
        let count = fitting.count().max(1).min(hosts.len());
        let hosts = hosts.get(hosts.len() - count..).unwrap_or_default();
        let total: usize = hosts.iter().map(|host| host.len() + 1).sum();
        if let Some(history) = &self.without_host {
            let part = format!(",\"without_host\":{}", serde_json::to_string(history)?);
            if total.saturating_add(part.len()).saturating_add(64) <= max_bytes {
                text += &part;
            }
        }
        Ok(text + ",\"hosts\":[" + &hosts.join(",") + "]}")
    }

    /// Returns the history of a host. If it has none, this is the history of format 1, or an empty one.
    pub(super) fn get(&self, host: &str) -> History {
        let own = self.hosts.iter().find(|one| one.host == host).map(|one| &one.history);
        own.or(self.without_host.as_ref()).cloned().unwrap_or_default()
    }

    /// Adds observations to the history of a host, which becomes the one that was used last.
    pub(super) fn record(&mut self, host: &str, observations: &[JobObservation]) {
        let mut history = self.get(host);
        observations.iter().for_each(|observation| history.record(observation));
        self.hosts.retain(|one| one.host != host);
        self.hosts.push(HostHistory { host: host.to_owned(), history });
        let excess = self.hosts.len().saturating_sub(MAX_HOSTS);
        self.hosts.drain(..excess);
    }
}

#[cfg(test)]
mod tests;
