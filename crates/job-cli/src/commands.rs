//! The subcommands other than `wait` and `report`, one file each.

pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod server;
pub(crate) mod watch;
pub(crate) mod ls;
pub(crate) mod cancel;
pub(crate) mod show;
pub(crate) mod config;
pub(crate) mod sim;
pub(crate) mod demo;
#[cfg(feature = "durable")]
pub(crate) mod durable;
pub(crate) mod completions;
pub(crate) mod manual;
