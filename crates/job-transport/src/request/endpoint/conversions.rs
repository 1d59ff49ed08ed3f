//! Conversions of endpoints and clouds from and to text.

use std::{fmt, str::FromStr};

use super::{Cloud, Endpoint, EndpointError};

impl TryFrom<&str> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: &str) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl TryFrom<String> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.base
    }
}

impl Cloud {
    /// Returns the cloud's short name, `huawei` or `otc`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Huawei => "huawei",
            Self::OpenTelekom => "otc",
        }
    }
}

/// Parses the short name of a cloud; see [`Cloud::as_str`].
impl FromStr for Cloud {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let cloud = Self::ALL.into_iter().find(|cloud| cloud.as_str() == text);
        cloud.ok_or(EndpointError::InvalidCloud)
    }
}

impl TryFrom<&str> for Cloud {
    type Error = EndpointError;

    fn try_from(text: &str) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl TryFrom<String> for Cloud {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl From<Cloud> for String {
    fn from(cloud: Cloud) -> Self {
        cloud.as_str().into()
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
