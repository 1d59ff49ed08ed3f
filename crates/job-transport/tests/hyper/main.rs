//! Tests `HyperTransport` over TCP and TLS on localhost.
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod authentication;
mod basics;
mod certificates;
mod client_certificates;
mod error_chains;
mod limits;
mod metadata;
mod proxies;
mod redirects;
mod refusals;
mod simulated;
mod stalls;
mod support;
