//! Tests token files with valid and invalid contents.

use std::{env, error::Error};

use super::*;

#[test]
fn token_files_yield_a_token_or_an_error() {
    let folder = env::temp_dir().join(format!("job-transport-{}-token", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("token");
    let read = || match TokenFile::new(&file).read() {
        Ok(provided) => format!("{provided:?}"),
        Err(error) => {
            assert_eq!(error.class(), ErrorClass::Transient);
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            format!("{error}: {cause}").replace(&file.display().to_string(), "FILE")
        }
    };
    let rows = [
        (None, "cannot read FILE: No such file or directory (os error 2)"),
        (
            Some("canary"),
            "ProvidedCredential { credential: Token(..), lifetime: None, project: None }",
        ),
        (
            Some(" canary\r\n"),
            "ProvidedCredential { credential: Token(..), lifetime: None, project: None }",
        ),
        (Some("\n"), "no valid token in FILE: the token or key is empty"),
        (
            Some("canary canary"),
            "no valid token in FILE: the token or key contains a space, a line break or another \
             invalid character; check that it was copied correctly",
        ),
    ];
    for (text, expected) in rows {
        if let Some(text) = text {
            fs::write(&file, text).unwrap();
        }
        assert_eq!(read(), expected, "{text:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}
