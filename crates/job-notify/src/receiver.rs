//! Which receivers may be notified: their URLs, the allow-list, and the rules for IP addresses.
//! Performs no I/O.

mod address;
mod network;
mod pattern;
mod allow_list;
mod url;

pub(crate) use address::AddressKind;
pub use allow_list::{AllowList, AllowListError};
pub use url::receiver_name;
pub(crate) use url::{Host, Origin, ReceiverUrl};
