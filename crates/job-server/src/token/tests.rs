//! Tests of the token file.

use std::{fs, io::Write as _};

use super::*;

const FIRST: &str = "first-token-with-more-than-32-characters";
const SECOND: &str = "second-token-with-more-than-32-characters";

/// Writes a file as an editor does: to another file, which then replaces it.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    let _ = fs::remove_file(&new);
    files::create_private(&new).unwrap().write_all(text.as_bytes()).unwrap();
    fs::rename(new, path).unwrap();
}

#[test]
fn a_missing_file_is_created_for_this_user_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    assert!(Tokens::open(path.clone(), false).is_err());
    let tokens = Tokens::open(path.clone(), true).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("ccejob_") && text.len() > 40, "{text}");
    assert!(tokens.check(text.trim().as_bytes()).is_some());
    assert!(tokens.check(text.as_bytes()).is_none());
    assert!(tokens.check(b"").is_none());
    // The next start keeps the token.
    Tokens::open(path.clone(), true).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_kill_while_the_file_is_created_leaves_no_file_without_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    // What a kill leaves: another file, which is not complete.
    fs::write(folder.path().join("token.new-killed"), "ccejob_").unwrap();
    Tokens::open(path.clone(), true).unwrap();
    // Another server has created the file in the meantime.
    let text = fs::read_to_string(&path).unwrap();
    let error = files::create_whole(&path, "other", b"other").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn each_line_is_a_token_until_the_file_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    replace(&path, &format!("# for the page\n{FIRST}\n\n  {SECOND}\n"));
    let tokens = Tokens::open(path.clone(), false).unwrap();
    let first = tokens.check(FIRST.as_bytes()).unwrap();
    assert!(tokens.check(SECOND.as_bytes()).is_some());
    let mut changed = tokens.subscribe();
    tokens.refresh();
    assert!(!changed.has_changed().unwrap());

    replace(&path, SECOND);
    tokens.refresh();
    assert!(changed.has_changed().unwrap());
    changed.mark_unchanged();
    assert!(!tokens.is_valid(first));
    assert!(tokens.check(SECOND.as_bytes()).is_some());

    // A file in the middle of a replacement changes nothing.
    fs::remove_file(&path).unwrap();
    tokens.refresh();
    replace(&path, "");
    tokens.refresh();
    assert!(!changed.has_changed().unwrap());
    assert!(tokens.check(SECOND.as_bytes()).is_some());
}

#[test]
fn tokens_that_can_be_guessed_or_not_sent_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let rows = [
        (String::new(), "no token"),
        ("# comment\n".into(), "no token"),
        ("short".into(), "fewer than 32"),
        (format!("{FIRST} {SECOND}"), "a space"),
        (format!("{FIRST}ü"), "not ASCII"),
        (format!("{FIRST}\n").repeat(101), "more than 100"),
    ];
    for (text, expected) in rows {
        replace(&path, &text);
        let error = format!("{:#}", Tokens::open(path.clone(), false).unwrap_err());
        assert!(error.contains(expected) && !error.contains("first-token"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn no_token_is_valid_while_every_user_can_change_the_file() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    replace(&path, FIRST);
    let tokens = Tokens::open(path.clone(), false).unwrap();
    let set_mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o646);
    tokens.refresh();
    assert!(tokens.check(FIRST.as_bytes()).is_none());
    let error = format!("{:#}", Tokens::open(path.clone(), false).unwrap_err());
    assert!(error.contains("every user can change it"), "{error}");
    set_mode(0o600);
    tokens.refresh();
    assert!(tokens.check(FIRST.as_bytes()).is_some());
}
