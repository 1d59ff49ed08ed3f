//! The command, and the transport below it, between real parts: nginx, mitmproxy, libfaketime, a
//! limit of descriptors, a network of its own. Each is skipped, aloud, where it is not installed.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;
mod proxies;
mod limits;
mod clocks;
mod networks;
mod nginx;
mod support;
