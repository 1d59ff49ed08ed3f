//! Tests which permissions a file with credentials may have.
//!
//! What the tests can set depends on their user. Root can give a file to another user, but each of
//! its own files belongs to root; other users cannot give files away. A system test of the command
//! covers a user other than root, if it runs as root.

use std::{io::Write, os::unix::fs::chown};

use super::*;

/// The result of a chain, as far as it depends on the permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Accepted,
    Warned,
    Unsafe,
}

fn use_of(variables: &[(&str, &str)]) -> Use {
    use_of_chain(&CredentialChain::new(variables.iter().copied()))
}

fn use_of_chain(chain: &CredentialChain) -> Use {
    match chain.resolve() {
        Ok(found) => match found.unwrap().warnings() {
            [] => Use::Accepted,
            [CredentialChainWarning::WorldReadable(_)] => Use::Warned,
            warnings => panic!("{warnings:?}"),
        },
        Err(
            CredentialChainError::WorldReadable(_)
            | CredentialChainError::WorldWritable(_)
            | CredentialChainError::OtherOwner { .. },
        ) => Use::Unsafe,
        Err(error) => panic!("{error}"),
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

const VENDOR_FILE: &str = "[basic]\nak = AK\nsk = canary\nproject_id = p\n";

#[test]
fn modes_of_credential_files_are_checked() {
    use Use::{Accepted, Unsafe, Warned};
    let readable = if is_root() { Warned } else { Unsafe };
    let folder = TempFolder::new("modes");
    let vendor = folder.file("credentials", VENDOR_FILE);
    let clouds = folder.file("clouds.yaml", CLOUDS_YAML);
    folder.file("secure.yaml", "clouds: {half: {auth: {password: canary, user_domain_name: D}}}");
    let vendor = [("HUAWEICLOUD_SDK_CREDENTIALS_FILE", &*vendor)];
    let keys = [("OS_CLOUD", "keys"), ("OS_CLIENT_CONFIG_FILE", &*clouds)];
    let half = [("OS_CLOUD", "half"), ("OS_CLIENT_CONFIG_FILE", &*clouds)];
    for (mode, expected) in [
        (0o600, Accepted),
        (0o640, Accepted),
        (0o660, Accepted),
        (0o604, readable),
        (0o644, readable),
        (0o602, Unsafe),
        (0o666, Unsafe),
    ] {
        folder.set_mode("credentials", mode);
        assert_eq!(use_of(&vendor), expected, "credentials {mode:o}");
        folder.set_mode("clouds.yaml", mode);
        assert_eq!(use_of(&keys), expected, "clouds.yaml {mode:o}");
        // Every user may read a file without a secret, but not change it: it names the identity
        // service, which receives the password.
        let without_secret =
            if expected == Unsafe && mode & 0o002 != 0 { Unsafe } else { Accepted };
        assert_eq!(use_of(&half), without_secret, "clouds.yaml without a secret {mode:o}");
        folder.set_mode("clouds.yaml", 0o600);
        folder.set_mode("secure.yaml", mode);
        assert_eq!(use_of(&half), expected, "secure.yaml {mode:o}");
        // This cloud is not in `secure.yaml`.
        assert_eq!(use_of(&keys), Accepted, "other cloud, secure.yaml {mode:o}");
        folder.set_mode("secure.yaml", 0o600);
    }
}

/// A token file that must not be used is refused when it is read.
#[test]
fn token_files_that_every_user_can_read_have_a_warning() {
    let readable = if is_root() { Use::Warned } else { Use::Accepted };
    let folder = TempFolder::new("token-modes");
    let file = folder.file("token", "canary");
    let chain = CredentialChain::new([("OS_PROJECT_ID", "p")]).token_file(&file);
    for (mode, expected) in [(0o600, Use::Accepted), (0o640, Use::Accepted), (0o644, readable)] {
        folder.set_mode("token", mode);
        assert_eq!(use_of_chain(&chain), expected, "{mode:o}");
    }
    // A pipe must not be opened, because it can be read only once.
    let pipe = folder.0.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    folder.set_mode("pipe", 0o644);
    assert_eq!(use_of_chain(&chain.clone().token_file(&pipe)), Use::Accepted);
    assert_eq!(use_of_chain(&chain.token_file("/none")), Use::Accepted);
}

#[test]
fn credential_files_of_another_user_are_refused() {
    if !is_root() {
        let reason = "only root can give a file to another user";
        let _ = writeln!(std::io::stderr(), "SKIPPED files of another user: {reason}");
        return;
    }
    let folder = TempFolder::new("owners");
    let file = folder.file("credentials", VENDOR_FILE);
    let found = |owner| {
        chown(&file, Some(owner), None).unwrap();
        describe_in_folder(&folder, &[("HUAWEICLOUD_SDK_CREDENTIALS_FILE", &file)])
    };
    assert!(found(0).starts_with("AccessKey"), "{}", found(0));
    assert_eq!(
        found(65534),
        "error: ~/credentials contains credentials and belongs to another user (uid 65534), who can \
         change them; use a copy that belongs to you (uid 0)"
    );
}
