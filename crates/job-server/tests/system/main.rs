//! Tests of the program `cce-job-server`, over real sockets on loopback.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod server;
mod http;
mod cloud;
#[path = "../common/postgres.rs"]
mod postgres;
#[path = "../common/postgres_restart.rs"]
mod postgres_restart;

mod access;
mod deploy;
mod restart;
#[cfg(target_os = "linux")]
mod streams;
mod tls;
