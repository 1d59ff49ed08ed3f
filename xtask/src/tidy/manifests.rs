//! Checks that each crate is named after its folder, inherits lints and versions from the workspace,
//! and has what a published package needs, and that only tests enable a feature that is for tests.

use super::Tree;

/// The only dependency that is not inherited from the workspace. job-sim depends on job-transport,
/// and the tests of job-transport depend on job-sim. This second dependency has a path and no
/// version, because cargo then leaves it out of the published manifest, which would otherwise have
/// a cycle.
const PATH_DEPENDENCY: &str = "job-sim.path = \"../job-sim\"";

/// What the manifest of a published crate contains. A text that ends with a quotation mark is the
/// start of a value that differs between the crates.
const PUBLISHED: [&str; 8] = [
    "\ndescription = \"",
    "\nrust-version = \"",
    "\nlicense.workspace = true\n",
    "\nrepository.workspace = true\n",
    "\nreadme = \"README.md\"\n",
    "\nkeywords = [\"",
    "\ncategories = [\"",
    "\n[package.metadata.docs.rs]\nall-features = true\n",
];

/// The registry refuses a package with more keywords.
const MAX_KEYWORDS: usize = 5;

/// The registry refuses a package with a longer keyword.
const MAX_KEYWORD_LEN: usize = 20;

/// The license files. Each published crate has a symbolic link to them, because a package contains
/// only files from the folder of its crate. Cargo packs the file and not the link.
const LICENSES: [&str; 2] = ["LICENSE-MIT", "LICENSE-APACHE"];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let manifests = tree.files("crates/", "/Cargo.toml").chain(tree.files("xtask/", "/Cargo.toml"));
    // The fuzz crate is a workspace of its own.
    let members = manifests.filter(|(path, _)| !path.ends_with("/fuzz/Cargo.toml"));
    let check = |(path, text): (&str, &str)| {
        let mut violations = check_manifest(path, text);
        match path.strip_prefix("crates/").and_then(|path| path.strip_suffix("/Cargo.toml")) {
            Some(name) => violations.extend(check_published(tree, name, text)),
            None if text.contains("\npublish = false\n") => {}
            None => violations.push(format!("{path} lacks `publish = false`")),
        }
        violations
    };
    let mut violations: Vec<String> = members.flat_map(check).collect();
    // A feature that a dependency has there is enabled in each crate that inherits it.
    violations.extend(check_test_util("Cargo.toml", tree.file("Cargo.toml").unwrap_or_default()));
    violations
}

/// Checks a crate that is published.
fn check_published(tree: &Tree, name: &str, manifest: &str) -> Vec<String> {
    let folder = format!("crates/{name}");
    let lacking = PUBLISHED.iter().filter(|line| !manifest.contains(**line));
    let mut violations: Vec<String> = lacking
        .map(|line| format!("{folder}/Cargo.toml lacks `{}`", line.trim().escape_debug()))
        .collect();
    let keywords = manifest.lines().find_map(|line| line.strip_prefix("keywords = "));
    violations.extend(
        keywords.and_then(keywords_error).map(|error| format!("{folder}/Cargo.toml: {error}")),
    );
    if tree.file(&format!("{folder}/README.md")).is_none() {
        violations.push(format!("{folder}/README.md is missing"));
    }
    for license in LICENSES {
        let target = format!("../../{license}");
        if tree.file(&format!("{folder}/{license}")) != Some(&*target) {
            violations.push(format!("{folder}/{license} must be a symbolic link to {target}"));
        }
    }
    violations
}

fn check_manifest(path: &str, text: &str) -> Vec<String> {
    let mut violations = Vec::new();
    let folder = path.rsplit('/').nth(1).unwrap_or_default();
    for line in [&*format!("name = \"{folder}\""), "[lints]\nworkspace = true"] {
        if !text.contains(line) {
            violations.push(format!("{path} lacks `{}`", line.escape_debug()));
        }
    }
    for (number, section, line) in lines(text) {
        // In a table such as `[dependencies.serde]` the version is on a line of its own.
        let is_dependency = section.ends_with("dependencies]") && line.contains(" = ");
        let is_wrong =
            is_dependency && !line.contains("workspace = true") && line != PATH_DEPENDENCY;
        if is_wrong || (line.starts_with('[') && section.contains("dependencies.")) {
            violations.push(format!(
                "{path}:{number}: use `workspace = true`; the root Cargo.toml has the version"
            ));
        }
    }
    violations.extend(check_test_util(path, text));
    violations
}

/// Checks that a manifest enables `test-util` of a crate only for tests.
fn check_test_util(path: &str, text: &str) -> Vec<String> {
    let enabling = lines(text).filter(|(_, section, line)| enables_test_util(section, line));
    enabling
        .map(|(number, ..)| {
            format!("{path}:{number}: only a dependency of tests may enable `test-util`")
        })
        .collect()
}

/// Returns each line of a manifest after its number and the header of its section. The header is
/// without the comment after it. The header's own line belongs to the section.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    let mut section = "";
    text.lines().enumerate().map(move |(index, line)| {
        if line.starts_with('[') {
            section = line.split_inclusive(']').next().unwrap_or_default();
        }
        (index + 1, section, line)
    })
}

/// Returns what the registry, or this check, does not accept in the value of `keywords`.
fn keywords_error(value: &str) -> Option<String> {
    let Some((value, _)) = value.split_once(']') else {
        return Some("write `keywords` on one line".into());
    };
    let keywords: Vec<&str> = value.split('"').skip(1).step_by(2).collect();
    if keywords.len() > MAX_KEYWORDS {
        return Some(format!("{} keywords; the maximum is {MAX_KEYWORDS}", keywords.len()));
    }
    let long = keywords.into_iter().find(|keyword| keyword.len() > MAX_KEYWORD_LEN)?;
    Some(format!("the keyword {long:?} has more than {MAX_KEYWORD_LEN} characters"))
}

/// Returns whether a line of a manifest enables `test-util` of a crate for normal builds.
fn enables_test_util(section: &str, line: &str) -> bool {
    let is_normal = match section {
        "[features]" => !line.starts_with("test-util ="),
        // The dependency may have a table of its own: `[dependencies.tokio]`.
        _ => section.contains("dependencies") && !section.contains("dev-dependencies"),
    };
    is_normal && (line.contains("\"test-util\"") || line.contains("/test-util\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_test_util(section: &str) -> String {
        format!("{section}\njob-y = {{ workspace = true, features = [\"test-util\"] }}")
    }

    #[test]
    fn manifests_inherit_from_the_workspace() {
        let good = "name = \"job-x\"\npublish = false\n[lints]\nworkspace = true\n[dependencies]\nserde.workspace = true";
        let rows = [
            (good.to_owned(), 0),
            (good.replace("job-x", "job-y"), 1),
            (good.replace("[lints]\n", ""), 1),
            (good.replace("publish = false\n", ""), 1),
            (format!("{good}\nhttp = {{ workspace = true, optional = true }}"), 0),
            (format!("{good}\nhttp = {{ version = \"1\" }}"), 1),
            (format!("{good}\nhttp = \"1\""), 1),
            (format!("{good}\nhttp = {{ git = \"x\" }}"), 1),
            (format!("{good}\n[target.'cfg(unix)'.dev-dependencies]\nhttp = \"1\""), 1),
            (format!("{good}\n[dependencies.http]\nversion = \"1\""), 1),
            (format!("{good}\n[dev-dependencies]\n{PATH_DEPENDENCY}"), 0),
            (format!("{good}\n{}", with_test_util("[dev-dependencies]")), 0),
            (format!("{good}\n{}", with_test_util("[dependencies]")), 1),
            (format!("{good}\n{}", with_test_util("[build-dependencies]")), 1),
            (format!("{good}\n{}", with_test_util("[target.'cfg(unix)'.dependencies]")), 1),
            (format!("{good}\n{}", with_test_util("[dependencies] # a comment")), 1),
            (format!("{good}\n{}", with_test_util("[dev-dependencies] # a comment")), 0),
            (format!("{good}\n[dev-dependencies] # a comment\nhttp = \"1\""), 1),
            (format!("{good}\n[dependencies.http] # a comment\nversion = \"1\""), 1),
            (format!("{good}\n[features]\ntest-util = [\"tokio/test-util\"]"), 0),
            (format!("{good}\n[features]\ndefault = [\"test-util\"]"), 1),
            (format!("{good}\n[features]\nfull = [\"job-y/test-util\"]"), 1),
        ];
        for (manifest, expected) in rows {
            let violations = check(&Tree::new(&[("xtask/job-x/Cargo.toml", &manifest)]));
            assert_eq!(violations.len(), expected, "{violations:?}");
        }
    }

    #[test]
    fn published_crates_have_metadata_a_readme_and_licenses() {
        let keys = PUBLISHED.map(|line| match line.chars().last() {
            Some('"') if line.contains('[') => format!("{}a\", \"b\"]\n", line.trim_start()),
            Some('"') => format!("{}a\"\n", line.trim_start()),
            _ => line.trim_start().to_owned(),
        });
        let package = format!("\n{}", keys.concat());
        let files = |manifest: &str, left_out: &str| {
            let files = [
                ("Cargo.toml", manifest),
                ("README.md", "# job-x"),
                ("LICENSE-MIT", "../../LICENSE-MIT"),
                ("LICENSE-APACHE", "../../LICENSE-APACHE"),
            ];
            let files = files.into_iter().filter(|(name, _)| *name != left_out);
            let files: Vec<(String, &str)> =
                files.map(|(name, text)| (format!("crates/job-x/{name}"), text)).collect();
            let files: Vec<(&str, &str)> =
                files.iter().map(|(path, text)| (&**path, *text)).collect();
            check_published(&Tree::new(&files), "job-x", manifest)
        };
        assert_eq!(files(&package, ""), [""; 0]);
        for key in &keys {
            assert_eq!(files(&package.replace(key, ""), "").len(), 1, "without {key}");
        }
        for name in ["README.md", "LICENSE-MIT", "LICENSE-APACHE"] {
            assert_eq!(files(&package, name).len(), 1, "without {name}");
        }
        let copied = Tree::new(&[
            ("crates/job-x/README.md", ""),
            ("crates/job-x/LICENSE-MIT", "a copy"),
            ("crates/job-x/LICENSE-APACHE", "../../LICENSE-APACHE"),
        ]);
        assert_eq!(check_published(&copied, "job-x", &package).len(), 1);
    }

    #[test]
    fn the_workspace_does_not_enable_test_util() {
        let rows = [
            ("[workspace.dependencies]\njob-y = { path = \"y\", version = \"1\" }", 0),
            ("[workspace.dependencies]\njob-y = { path = \"y\", features = [\"test-util\"] }", 1),
            ("[workspace.dependencies] # a comment\ny = { features = [\"test-util\"] }", 1),
            ("[workspace.dependencies.y]\nversion = \"1\"\nfeatures = [\"test-util\"]", 1),
        ];
        for (manifest, expected) in rows {
            let violations = check(&Tree::new(&[("Cargo.toml", manifest)]));
            assert_eq!(violations.len(), expected, "{manifest}: {violations:?}");
        }
    }

    #[test]
    fn the_registry_accepts_the_keywords() {
        let rows = [
            ("[\"1\", \"2\", \"3\", \"4\", \"5\"]", true),
            ("[\"1\", \"2\", \"3\", \"4\", \"5\"] # a comment", true),
            ("[\"1\", \"2\", \"3\", \"4\", \"5\", \"6\"]", false),
            ("[\"twenty-characters-ok\"]", true),
            ("[\"twenty-one-characters\"]", false),
            ("[\"1\",", false),
            ("[", false),
        ];
        for (value, is_accepted) in rows {
            assert_eq!(keywords_error(value).is_none(), is_accepted, "{value}");
            // The check of a crate uses this function.
            let manifest = format!("\nkeywords = {value}\n");
            let accepted = "\nkeywords = [\"1\"]\n";
            let count = |manifest: &str| check_published(&Tree::new(&[]), "job-x", manifest).len();
            assert_eq!(count(&manifest) == count(accepted), is_accepted, "{value}");
        }
    }
}
