//! System tests of the command and of the transport. They use terminals, a browser, shells, nginx,
//! mitmproxy, libfaketime, resource limits and a network namespace. A test is skipped, with a
//! message, if a program that it needs is not installed.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod transcripts;
mod resuming;
mod stdout;
mod raw_output;
mod pseudo_terminal;
mod terminal;
mod browser;
mod recipes;
mod command;
mod proxies;
mod limits;
mod clocks;
mod networks;
mod nginx;
mod objects;
#[cfg(feature = "durable")]
mod durable;
mod files;
mod settings;
mod inputs;
mod completions;
mod permissions;
mod certificates;
mod access_keys;
mod ci_runners;
mod server;
mod session;
mod slices;
mod support;
