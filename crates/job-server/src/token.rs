//! The bearer tokens: a file with one token per line, which is read again when it changes.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use tokio::sync::watch;

use crate::files::{self, Stamp};

/// The bytes of randomness of a token that this program creates.
const TOKEN_BYTES: usize = 32;

/// A shorter token in the file is refused, because it can be guessed.
const MIN_TOKEN_LENGTH: usize = 32;

/// The maximum number of tokens in the file.
const MAX_TOKENS: usize = 100;

/// The digest of a token. The token itself is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenDigest([u8; 32]);

impl TokenDigest {
    fn new(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }
}

/// The tokens that are valid now.
#[derive(Debug)]
pub(crate) struct Tokens {
    path: PathBuf,
    current: RwLock<Current>,
    /// Notifies streams of a change.
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct Current {
    digests: Vec<TokenDigest>,
    stamp: Option<Stamp>,
}

impl Tokens {
    /// Reads the tokens. Creates the file first if it is missing and `create_if_missing` is set.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be created or read, if every user can read it, if another
    /// user can change it, or if it contains no valid token.
    pub(crate) fn open(path: PathBuf, create_if_missing: bool) -> anyhow::Result<Self> {
        if create_if_missing {
            create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        }
        let context = || format!("cannot use the token file {}", path.display());
        let (digests, stamp) = read(&path).with_context(context)?;
        let current = RwLock::new(Current { digests, stamp: Some(stamp) });
        Ok(Self { path, current, changed: watch::Sender::new(()) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the digest of a token, if the token is valid.
    pub(crate) fn check(&self, token: &[u8]) -> Option<TokenDigest> {
        let digest = TokenDigest::new(token);
        self.is_valid(digest).then_some(digest)
    }

    /// Returns whether a token is still valid. The time does not depend on the digests.
    pub(crate) fn is_valid(&self, digest: TokenDigest) -> bool {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let equal = current.digests.iter().map(|known| known.0.ct_eq(&digest.0));
        equal.fold(Choice::from(0), |one, other| one | other).into()
    }

    /// Returns a receiver that is notified when the tokens have changed.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Reads the file again if it has changed. Blocks the thread.
    ///
    /// A file that is missing or has no valid token changes nothing, because it may be in the middle of
    /// a replacement. If every user can read the file, no token is valid until that is corrected.
    pub(crate) fn refresh(&self) {
        let stamp = Stamp::read(&self.path).ok();
        if self.current.read().unwrap_or_else(PoisonError::into_inner).stamp == stamp {
            return;
        }
        let file = self.path.display();
        let digests = match read(&self.path) {
            Ok((digests, _)) => {
                tracing::info!(%file, tokens = digests.len(), "the tokens have changed");
                Some(digests)
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                tracing::error!(%file, %error, "no token is valid until the token file can be used");
                Some(Vec::new())
            }
            Err(error) => {
                tracing::warn!(%file, %error, "the token file cannot be used; the tokens stay valid");
                None
            }
        };
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        // The stamp from before the file was read: a later change causes another read.
        current.stamp = stamp;
        if let Some(digests) = digests {
            current.digests = digests;
            drop(current);
            self.changed.send_replace(());
        }
    }
}

/// Creates a file with a new token, if there is none.
fn create(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok() {
        return Ok(());
    }
    // The prefix lets scanners for leaked secrets find the token.
    let token = format!("ccejob_{}\n", random_text::<TOKEN_BYTES>()?);
    match files::create_whole(path, &random_text::<8>()?, token.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created,
    }
}

fn random_text<const BYTES: usize>() -> io::Result<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Returns the tokens in the text of a file: one per line. Empty lines and lines that start with `#` are
/// skipped.
pub(crate) fn parse(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Reads the tokens of a file.
fn read(path: &Path) -> io::Result<(Vec<TokenDigest>, Stamp)> {
    let (text, stamp) = files::read_secret(path)?;
    let tokens: Vec<_> = parse(&text).take(MAX_TOKENS + 1).collect();
    let error = if tokens.is_empty() {
        Some("it contains no token".to_owned())
    } else if tokens.len() > MAX_TOKENS {
        Some(format!("it contains more than {MAX_TOKENS} tokens"))
    } else if tokens.iter().any(|token| token.len() < MIN_TOKEN_LENGTH) {
        Some(format!("a token has fewer than {MIN_TOKEN_LENGTH} characters"))
    } else if tokens.iter().any(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
        Some("a token contains a space or a character that is not ASCII".to_owned())
    } else {
        None
    };
    match error {
        Some(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        None => {
            Ok((tokens.iter().map(|token| TokenDigest::new(token.as_bytes())).collect(), stamp))
        }
    }
}

#[cfg(test)]
mod tests;
