//! The command line.

use std::{
    env,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use anyhow::{Context as _, ensure};
use clap::{ArgAction, ArgGroup, Args, Parser, Subcommand};
use etcetera::{BaseStrategy as _, choose_base_strategy};
use ipnet::IpNet;
use sqlx::postgres::PgConnectOptions;

use crate::host::AllowedHost;

/// Wait for jobs of the Cloud Container Engine (CCE) API for many users.
///
/// The server keeps waits in a database, reads the jobs, notifies webhooks, and has an HTTP API and a
/// status page. Every request needs a token. `cce-job watch`, `cce-job ls` and `cce-job cancel` are
/// clients of the API.
#[derive(Debug, Parser)]
#[command(name = "cce-job-server", version, after_help = HELP, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: ServeArguments,
    /// Log each request to stderr; -vv also logs the libraries
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ask a running server on this machine whether it is ready; exit code 0 or 1
    Ready(ReadyArguments),
}

#[derive(Args, Debug)]
pub(crate) struct ReadyArguments {
    /// Address of this machine on which the server listens
    #[arg(long, value_name = "IP", default_value_t = IpAddr::from([127, 0, 0, 1]))]
    pub(crate) address: IpAddr,
    /// Port of the server
    #[arg(long, default_value_t = DEFAULT_PORT)]
    pub(crate) port: u16,
    /// Certificate of the server in PEM format, if it has one
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) state: StateArguments,
}

const DEFAULT_PORT: u16 = 8484;

const HELP: &str = "\
Examples:
  cce-job-server --sim                                   try it with simulated jobs
  cce-job-server --config server.toml                    wait for the jobs of the projects in a file
  cce-job-server --config server.toml --listen 0.0.0.0:8484 --allowed-host jobs.example.com \\
    --tls-cert cert.pem --tls-key key.pem                serve other machines

The token is in the file server-token of the state folder. Each line of the file is a valid token.
To rotate tokens, change the file; the server reads it again, and ends the streams of removed tokens.

DATABASE_URL sets --database, and may contain a password. PGPASSWORD and PGPASSFILE are used, too.";

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("source").args(["config", "sim"]).required(true))]
pub(crate) struct ServeArguments {
    /// Projects, credentials and webhooks (TOML)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Wait for the jobs of a simulated cloud in this process; needs no configuration
    #[arg(long, conflicts_with = "database")]
    pub(crate) sim: bool,
    /// Number of simulated jobs at a time
    #[arg(long, value_name = "COUNT", default_value_t = 25, conflicts_with = "config",
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) sim_jobs: u32,
    /// Address to listen on; an address that other machines can reach needs TLS
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = SocketAddr::from(([127, 0, 0, 1], DEFAULT_PORT)))]
    pub(crate) listen: SocketAddr,
    /// Certificate chain of the server (PEM); it is read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Accept plain HTTP from this proxy or network; the proxy must terminate TLS; can be repeated
    #[arg(long, value_name = "ADDRESS|NETWORK", conflicts_with = "tls_cert", value_parser = parse_network)]
    pub(crate) trusted_proxy: Vec<IpNet>,
    /// Name under which clients reach the server, besides localhost and --listen; can be repeated
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) allowed_host: Vec<AllowedHost>,
    #[command(flatten)]
    pub(crate) state: StateArguments,
    /// PostgreSQL database, such as postgres://host/name [default: SQLite in the state folder]
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,
    /// Maximum number of connections
    #[arg(long, value_name = "COUNT", default_value_t = 2_048,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_connections: u32,
    /// Maximum number of clients that stream events
    #[arg(long, value_name = "COUNT", default_value_t = 1_024,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_streams: u32,
    /// Disconnect a client that reads nothing for this many seconds
    #[arg(long, hide = true, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) write_timeout: u64,
}

#[derive(Args, Debug)]
pub(crate) struct StateArguments {
    /// Folder of the token and of SQLite [default: that of cce-job, usually ~/.local/state/cce-job]
    #[arg(long, value_name = "FOLDER")]
    state_dir: Option<PathBuf>,
    /// File with tokens, which must exist [default: server-token in the state folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

impl StateArguments {
    /// Returns the state folder.
    ///
    /// # Errors
    ///
    /// Returns an error if the user has no state folder.
    pub(crate) fn folder(&self) -> anyhow::Result<PathBuf> {
        if let Some(folder) = &self.state_dir {
            return Ok(folder.clone());
        }
        let folders = choose_base_strategy().context("no state folder found; use --state-dir")?;
        let folder = folders.state_dir().unwrap_or_else(|| folders.data_dir());
        Ok(folder.join("cce-job"))
    }

    /// Returns the file with the tokens.
    ///
    /// # Errors
    ///
    /// Returns an error if the user has no state folder.
    pub(crate) fn tokens(&self) -> anyhow::Result<PathBuf> {
        match &self.token_file {
            Some(file) => Ok(file.clone()),
            None => Ok(self.folder()?.join("server-token")),
        }
    }
}

impl ServeArguments {
    /// Checks that tokens are not sent in plain text over a network.
    ///
    /// # Errors
    ///
    /// Returns an error if other machines can reach the address, and the arguments set no certificate
    /// and no trusted proxy.
    pub(crate) fn check_listen(&self) -> anyhow::Result<()> {
        ensure!(
            self.listen.ip().is_loopback()
                || self.tls_cert.is_some()
                || !self.trusted_proxy.is_empty(),
            "other machines can reach --listen {}, and must not send tokens in plain text; use \
             --tls-cert and --tls-key, or --trusted-proxy with the network of a proxy that has TLS",
            self.listen
        );
        Ok(())
    }

    /// Returns the PostgreSQL database, or `None` for SQLite.
    ///
    /// # Errors
    ///
    /// Returns an error if the URL is invalid, or if the flag contains a password.
    pub(crate) fn postgres(&self) -> anyhow::Result<Option<PgConnectOptions>> {
        let (url, source) = match &self.database {
            Some(url) => (url.clone(), "--database"),
            None if self.sim => return Ok(None),
            None => match env::var("DATABASE_URL").ok().filter(|url| !url.is_empty()) {
                Some(url) => (url, "DATABASE_URL"),
                None => return Ok(None),
            },
        };
        let is_postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
        ensure!(is_postgres, "{source} must begin with postgres://");
        let authority = url.split("//").nth(1).and_then(|rest| rest.split('/').next());
        let user = authority.and_then(|authority| authority.rsplit_once('@')).map(|(user, _)| user);
        let has_password = user.is_some_and(|user| user.contains(':')) || url.contains("password=");
        ensure!(
            source != "--database" || !has_password,
            "a password cannot be part of a flag; set DATABASE_URL, PGPASSWORD or PGPASSFILE"
        );
        // The error of sqlx may contain a part of the URL.
        url.parse().map(Some).map_err(|_| anyhow::anyhow!("{source} is not a valid URL"))
    }
}

fn parse_network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    let network = text.parse::<IpNet>().or_else(|_| address());
    network.map_err(|_| "expected an address or a network such as 10.0.0.0/8".into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        let words = ["cce-job-server"].into_iter().chain(line.split_whitespace());
        Arguments::try_parse_from(words)
    }

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn invalid_lines_are_refused() {
        let rows = [
            ("", false),
            ("--sim", true),
            ("--config a", true),
            ("--sim --config a", false),
            ("--sim --database postgres://h/d", false),
            ("--config a --sim-jobs 5", false),
            ("--sim --tls-cert a", false),
            ("--sim --tls-cert a --tls-key b", true),
            ("--sim --tls-cert a --tls-key b --trusted-proxy 10.0.0.1", false),
            ("--sim --trusted-proxy 10.0.0.0/8 --trusted-proxy ::1", true),
            ("--sim --trusted-proxy everywhere", false),
            ("--sim --allowed-host a/b", false),
            ("--sim --listen 8484", false),
            ("ready", true),
            ("ready --address ::1", true),
            ("ready --address localhost", false),
        ];
        for (line, is_valid) in rows {
            assert_eq!(parse(line).is_ok(), is_valid, "{line}");
        }
    }

    #[test]
    fn plain_text_is_only_for_this_machine() {
        let rows = [
            ("", true),
            ("--listen [::1]:1", true),
            ("--listen 0.0.0.0:1", false),
            ("--listen [::]:1", false),
            ("--listen 192.0.2.1:1", false),
            ("--listen 0.0.0.0:1 --tls-cert a --tls-key b", true),
            ("--listen 0.0.0.0:1 --trusted-proxy 10.0.0.0/8", true),
        ];
        for (line, is_valid) in rows {
            let arguments = parse(&format!("--sim {line}")).unwrap();
            assert_eq!(arguments.serve.check_listen().is_ok(), is_valid, "{line}");
        }
    }

    #[test]
    fn a_flag_contains_no_password() {
        let rows = [
            ("postgres://db.example/jobs", None),
            ("postgresql://me@db.example/jobs?sslmode=require", None),
            ("postgres://me:secret@db.example/jobs", Some("cannot be part of a flag")),
            ("postgres://db.example/jobs?password=secret", Some("cannot be part of a flag")),
            ("sqlite://jobs.db", Some("must begin with postgres://")),
            ("postgres://db:port/", Some("not a valid URL")),
        ];
        for (url, expected) in rows {
            let arguments = parse(&format!("--config a --database {url}")).unwrap();
            let error = arguments.serve.postgres().map(drop).err();
            let error = error.map(|error| error.to_string());
            assert!(
                error.as_deref().unwrap_or_default().contains(expected.unwrap_or_default())
                    && error.is_some() == expected.is_some()
                    && !error.unwrap_or_default().contains("secret"),
                "{url}"
            );
        }
    }
}
