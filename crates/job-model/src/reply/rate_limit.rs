//! Reads the rate limit that the API gateway states in the message of an error.

use alloc::string::String;
use core::{fmt, time::Duration};

use super::service_error::ServiceError;
use crate::{decode::beginning, duration::HumanDuration};

/// Maximum bytes that are kept of a policy's name.
const MAX_POLICY_LEN: usize = 64;

/// A rate limit that the API gateway enforces, as stated in the message of a reply with status 429.
///
/// The known form is `policy user over ratelimit,limit:200,time:5 minute`, with text before and after
/// it. The service's own limits are not published, so this is the only place to learn them.
///
/// ```
/// use std::time::Duration;
///
/// use job_model::reply::{RateLimit, RateLimitPolicy};
///
/// let message = "The throttling threshold has been reached: \
///     policy user over ratelimit,limit:200,time:5 minute";
/// let limit = RateLimit::from_message(message).expect("the message states a limit");
/// assert_eq!(limit.policy, RateLimitPolicy::User);
/// assert_eq!((limit.max_requests, limit.window), (200, Duration::from_secs(300)));
/// assert_eq!(limit.to_string(), "200 requests in 5m (policy user)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RateLimit {
    /// Whose requests are counted.
    pub policy: RateLimitPolicy,
    /// The maximum number of requests in a window; at least 1.
    pub max_requests: u32,
    /// The length of a window; at least one second.
    pub window: Duration,
}

/// Whose requests a [`RateLimit`] counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "every other policy is `Unknown`, so a caller's match needs no wildcard"
)]
pub enum RateLimitPolicy {
    /// `user`: the requests of one user or account.
    User,
    /// `ip`: the requests from one address.
    Ip,
    /// `api`: the requests of all callers together.
    Api,
    /// `app`: the requests with one key of the gateway.
    App,
    /// Any other policy, in lower case and shortened to 64 bytes. It consists of ASCII letters,
    /// digits, `_` and `-`.
    Unknown(String),
}

impl RateLimit {
    /// Creates a rate limit, for example in a test.
    #[must_use]
    pub const fn new(policy: RateLimitPolicy, max_requests: u32, window: Duration) -> Self {
        Self { policy, max_requests, window }
    }

    /// Reads the rate limit that a message states.
    ///
    /// The policy, the limit and the time may be in any order and case, with `:`, `=`, quotes or
    /// blanks before their values. The unit of the time is seconds, minutes, hours or days, in
    /// singular or plural. If the message states several limits, the first one is returned.
    ///
    /// Returns `None` if one of the three is missing, is zero, or is not a plain number within the
    /// range of the type.
    #[must_use]
    pub fn from_message(message: &str) -> Option<Self> {
        let (mut policy, mut max_requests, mut window) = (None, None, None);
        let mut rest = Tokens(message);
        while let Some(token) = rest.next() {
            let Token::Word(word) = token else { continue };
            let mut value = rest.clone();
            if word.eq_ignore_ascii_case("policy") && policy.is_none() {
                if let Some(Token::Word(name)) = value.after_separators() {
                    policy = Some(RateLimitPolicy::from_name(name));
                    rest = value;
                }
            } else if word.eq_ignore_ascii_case("limit") && max_requests.is_none() {
                if let Some(Token::Number(number)) = value.after_separators() {
                    max_requests = Some(number);
                    // A number such as `2,000` or `5k` would be misread.
                    value.ends_number(false).then_some(())?;
                }
            } else if word.eq_ignore_ascii_case("time") && window.is_none() {
                if let Some(Token::Number(number)) = value.after_separators() {
                    value.ends_number(true).then_some(())?;
                    let Some(Token::Word(unit)) = value.after_separators() else { return None };
                    window = Some((number, seconds(unit)?));
                }
            }
        }
        let (count, unit) = window?;
        let seconds = count.parse::<u64>().ok()?.checked_mul(unit)?;
        let max_requests = max_requests?.parse().ok()?;
        let window = Duration::from_secs(seconds);
        (max_requests > 0 && seconds > 0).then_some(Self::new(policy?, max_requests, window))
    }
}

/// Returns the seconds in a unit of time.
fn seconds(unit: &str) -> Option<u64> {
    let units = [("second", 1), ("minute", 60), ("hour", 3600), ("day", 86_400)];
    let singular = unit.strip_suffix(['s', 'S']).unwrap_or(unit);
    units.into_iter().find_map(|(name, len)| singular.eq_ignore_ascii_case(name).then_some(len))
}

impl RateLimitPolicy {
    const KNOWN_POLICIES: [Self; 4] = [Self::User, Self::Ip, Self::Api, Self::App];

    fn from_name(name: &str) -> Self {
        let known = |policy: &Self| policy.as_str().eq_ignore_ascii_case(name);
        let unknown = || Self::Unknown(beginning(name, MAX_POLICY_LEN).to_ascii_lowercase());
        Self::KNOWN_POLICIES.into_iter().find(known).unwrap_or_else(unknown)
    }

    /// Returns the name of the policy, such as `user`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::User => "user",
            Self::Ip => "ip",
            Self::Api => "api",
            Self::App => "app",
            Self::Unknown(name) => name,
        }
    }
}

impl ServiceError {
    /// Returns the rate limit that one of the messages states.
    ///
    /// ```
    /// use job_model::ServiceError;
    ///
    /// let body = br#"{"error_code": "APIGW.0308", "error_msg": "The throttling threshold has been
    ///     reached: policy ip over ratelimit,limit:5,time:5 second"}"#;
    /// let error = ServiceError::from_body(429, Some("application/json"), body).expect("not empty");
    /// let limit = error.rate_limit().expect("the message states a limit");
    /// assert_eq!(limit.to_string(), "5 requests in 5s (policy ip)");
    /// ```
    #[must_use]
    pub fn rate_limit(&self) -> Option<RateLimit> {
        self.messages().iter().find_map(|message| RateLimit::from_message(message))
    }
}

impl fmt::Display for RateLimitPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policy, max_requests, window } = self;
        let plural = if *max_requests == 1 { "" } else { "s" };
        let window = HumanDuration(*window);
        write!(f, "{max_requests} request{plural} in {window} (policy {policy})")
    }
}

/// The words, numbers and other characters of the rest of a message.
#[derive(Clone)]
struct Tokens<'a>(&'a str);

#[derive(Clone, Copy)]
enum Token<'a> {
    /// ASCII letters, digits, `_` and `-`, of which the first is not a digit.
    Word(&'a str),
    /// ASCII digits.
    Number(&'a str),
    Other,
}

impl<'a> Tokens<'a> {
    /// Returns the next token after white space, quotes, `:` and `=`.
    fn after_separators(&mut self) -> Option<Token<'a>> {
        self.0 = self.0.trim_start_matches(|c: char| c.is_whitespace() || ":='\"`".contains(c));
        self.next()
    }

    /// Returns whether the number that was read last ends here. A unit may follow it directly.
    fn ends_number(&self, has_unit: bool) -> bool {
        let mut chars = self.0.chars();
        match chars.next() {
            Some(',' | '.') => !chars.next().is_some_and(|c| c.is_ascii_digit()),
            Some('-' | '_' | '%') => false,
            Some(c) => has_unit || !c.is_alphanumeric(),
            None => true,
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let first = self.0.chars().next()?;
        let is_number = first.is_ascii_digit();
        let is_part = |c: char| if is_number { c.is_ascii_digit() } else { is_word(c) };
        let end = self.0.find(|c| !is_part(c)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end.max(first.len_utf8()));
        self.0 = rest;
        Some(match first {
            _ if is_number => Token::Number(token),
            // A sign of a number is not a word.
            '-' if !token.contains(|c: char| c.is_ascii_alphabetic()) => Token::Other,
            _ if is_word(first) => Token::Word(token),
            _ => Token::Other,
        })
    }
}

#[cfg(test)]
mod tests;
