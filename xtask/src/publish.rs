//! Checks what a release publishes: the packages, and the public API of the libraries.

pub(crate) mod package;
pub(crate) mod public_api;

use std::{fs, io};

use crate::cargo::root;

/// Returns the names of the published crates.
fn crate_names() -> io::Result<Vec<String>> {
    let folders = fs::read_dir(root().join("crates"))?;
    let names = folders.map(|folder| Ok(folder?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<io::Result<Vec<String>>>()?;
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crate_is_published() {
        assert!(crate_names().unwrap().contains(&"job-model".into()));
    }
}
