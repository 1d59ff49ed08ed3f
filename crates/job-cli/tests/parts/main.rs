//! The command as its users run it, and the transport below it, between real parts: terminals, a
//! browser, shells, nginx, mitmproxy, libfaketime, limits, a network of its own. Each is skipped, aloud,
//! where it is not installed.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod transcripts;
mod terminal;
mod browser;
mod recipes;
mod command;
mod proxies;
mod limits;
mod clocks;
mod networks;
mod nginx;
#[cfg(feature = "durable")]
mod durable;
mod session;
mod support;
