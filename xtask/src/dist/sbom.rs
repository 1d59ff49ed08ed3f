//! The bill of materials in the format CycloneDX 1.5: every crate that the command is built from.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::PathBuf,
};

use serde_json::{Value, json};

use super::{COMMAND, NotMade, Release, VERSION, rfc3339, sha256};
use crate::cargo::{cargo, output};

/// Writes the bill of materials.
pub(super) fn make(release: &Release) -> Result<PathBuf, NotMade> {
    let tree = |edges: &str| {
        let mut tree = cargo(&["tree", "--locked", "--package", "job-cli", "--edges", edges]);
        tree.args(["--prefix", "depth", "--format", "|{p}|{l}|{r}|", "--target", &release.triple]);
        output(tree.current_dir(&release.source))
    };
    let lock = fs::read_to_string(release.source.join("Cargo.lock"))?;
    let bill = Bill {
        all: Graph::read(&tree("normal,build")?)?,
        linked: Graph::read(&tree("normal,no-proc-macro")?)?,
        checksums: checksums(&lock),
        command: sha256(&fs::read(release.binary())?),
        time: release.time,
    };
    let file = release.packages.join(format!("{}.cdx.json", release.name()));
    let text = serde_json::to_string_pretty(&bill.to_json()).map_err(io::Error::from)?;
    fs::write(&file, text + "\n")?;
    Ok(file)
}

/// What the bill of materials is made from.
#[derive(Debug)]
struct Bill {
    /// All crates, including those that only build others.
    all: Graph,
    /// The crates whose code is in the command.
    linked: Graph,
    /// The checksums of the crates in the registry, by name and version.
    checksums: BTreeMap<(String, String), String>,
    /// The checksum of the command.
    command: String,
    time: i64,
}

/// A crate, by name and version.
type Id = (String, String);

/// The crates in the output of `cargo tree`.
#[derive(Debug, Default)]
struct Graph {
    /// The crate that the others are dependencies of.
    root: Id,
    crates: BTreeMap<Id, Crate>,
}

#[derive(Debug, Default)]
struct Crate {
    license: String,
    repository: String,
    dependencies: BTreeSet<Id>,
}

impl Graph {
    /// Reads lines such as `1|bytes v1.12.2|MIT|https://example.org/bytes|`, which begin with the depth
    /// in the tree. A line of a crate whose dependencies were printed before ends with ` (*)`.
    fn read(tree: &str) -> io::Result<Self> {
        let mut graph = Self::default();
        let mut path: Vec<Id> = Vec::new();
        for line in tree.lines().filter(|line| !line.is_empty()) {
            let read = || {
                let mut fields = line.split('|');
                let depth: usize = fields.next()?.parse().ok()?;
                let mut package = fields.next()?.split_whitespace();
                let id =
                    (package.next()?.to_owned(), package.next()?.strip_prefix('v')?.to_owned());
                Some((depth, id, fields.next()?, fields.next()?))
            };
            let (depth, id, license, repository) = read()
                .filter(|(depth, ..)| *depth <= path.len())
                .ok_or_else(|| io::Error::other(format!("unknown line of `cargo tree`: {line}")))?;
            path.truncate(depth);
            match path.last() {
                None => graph.root = id.clone(),
                Some(parent) => {
                    graph.crates.entry(parent.clone()).or_default().dependencies.insert(id.clone());
                }
            }
            let entry = graph.crates.entry(id.clone()).or_default();
            (entry.license, entry.repository) = (license.into(), repository.into());
            path.push(id);
        }
        if graph.crates.is_empty() {
            return Err(io::Error::other("`cargo tree` printed nothing"));
        }
        Ok(graph)
    }
}

impl Bill {
    fn to_json(&self) -> Value {
        let root = &self.all.root;
        let components = self.all.crates.iter().filter(|(id, _)| *id != root);
        let dependencies = self.all.crates.iter().map(|(id, about)| {
            let on: Vec<String> = about.dependencies.iter().map(purl).collect();
            json!({ "ref": purl(id), "dependsOn": on })
        });
        json!({
            "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "version": 1,
            "metadata": {
                "timestamp": rfc3339(self.time),
                "tools": { "components": [{ "type": "application", "name": "cargo xtask dist" }] },
                "component": self.command(),
            },
            "components": components.map(|(id, about)| self.library(id, about)).collect::<Vec<_>>(),
            "dependencies": dependencies.collect::<Vec<_>>(),
        })
    }

    fn command(&self) -> Value {
        let root = &self.all.root;
        let license = self.all.crates.get(root).map(|about| about.license.as_str());
        json!({
            "type": "application",
            "bom-ref": purl(root),
            "name": COMMAND,
            "version": VERSION,
            "purl": purl(root),
            "licenses": licenses(license.unwrap_or_default()),
            "hashes": [{ "alg": "SHA-256", "content": self.command }],
        })
    }

    fn library(&self, id: &Id, about: &Crate) -> Value {
        let is_linked = self.linked.crates.contains_key(id);
        let mut component = json!({
            "type": "library",
            "bom-ref": purl(id),
            "name": id.0,
            "version": id.1,
            "purl": purl(id),
            "scope": if is_linked { "required" } else { "excluded" },
            "licenses": licenses(&about.license),
        });
        if let Some(checksum) = self.checksums.get(id) {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        if !about.repository.is_empty() {
            component["externalReferences"] = json!([{ "type": "vcs", "url": about.repository }]);
        }
        component
    }
}

/// Returns the crate's address as a package URL.
fn purl((name, version): &Id) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

/// Returns the license as an SPDX expression. Older crates separate alternatives with a slash.
fn licenses(license: &str) -> Value {
    if license.is_empty() {
        return json!([]);
    }
    let alternatives: Vec<&str> = license.split('/').map(str::trim).collect();
    json!([{ "expression": alternatives.join(" OR ") }])
}

/// Reads the checksums from `Cargo.lock`.
fn checksums(lock: &str) -> BTreeMap<Id, String> {
    let mut checksums = BTreeMap::new();
    for package in lock.split("[[package]]") {
        let field = |name: &str| {
            let value = |line: &str| Some(line.strip_prefix(name)?.trim_matches('"').to_owned());
            package.lines().find_map(value)
        };
        let (name, version, checksum) =
            (field("name = "), field("version = "), field("checksum = "));
        if let (Some(name), Some(version), Some(checksum)) = (name, version, checksum) {
            checksums.insert((name, version), checksum);
        }
    }
    checksums
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "\
0|job-cli v0.1.0 (/src/crates/job-cli)|MIT OR Apache-2.0|https://example.org/cce-jobs|
1|bytes v1.12.2|MIT|https://example.org/bytes|
1|macros v2.0.0 (proc-macro)|MIT/Apache-2.0||
2|bytes v1.12.2|MIT|https://example.org/bytes| (*)
1|zlib v0.1.0+1.3|||
";
    const LINKED: &str = "\
0|job-cli v0.1.0 (/src/crates/job-cli)|MIT OR Apache-2.0|https://example.org/cce-jobs|
1|bytes v1.12.2|MIT|https://example.org/bytes|
1|zlib v0.1.0+1.3|||
";
    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"bytes\"\nversion = \"1.12.2\"\n\
        checksum = \"0a1b\"\n\n[[package]]\nname = \"job-cli\"\nversion = \"0.1.0\"\n";

    fn bill() -> Value {
        let graph = |tree| Graph::read(tree).unwrap();
        let checksums = checksums(LOCK);
        let (all, linked, time) = (graph(TREE), graph(LINKED), 1_796_066_508);
        Bill { all, linked, checksums, command: "c0de".into(), time }.to_json()
    }

    #[test]
    fn each_crate_is_a_component_with_its_license_and_checksum() {
        assert_eq!(
            bill()["components"],
            json!([
                {
                    "type": "library",
                    "bom-ref": "pkg:cargo/bytes@1.12.2",
                    "name": "bytes",
                    "version": "1.12.2",
                    "purl": "pkg:cargo/bytes@1.12.2",
                    "scope": "required",
                    "licenses": [{ "expression": "MIT" }],
                    "hashes": [{ "alg": "SHA-256", "content": "0a1b" }],
                    "externalReferences": [{ "type": "vcs", "url": "https://example.org/bytes" }],
                },
                {
                    "type": "library",
                    "bom-ref": "pkg:cargo/macros@2.0.0",
                    "name": "macros",
                    "version": "2.0.0",
                    "purl": "pkg:cargo/macros@2.0.0",
                    "scope": "excluded",
                    "licenses": [{ "expression": "MIT OR Apache-2.0" }],
                },
                {
                    "type": "library",
                    "bom-ref": "pkg:cargo/zlib@0.1.0%2B1.3",
                    "name": "zlib",
                    "version": "0.1.0+1.3",
                    "purl": "pkg:cargo/zlib@0.1.0%2B1.3",
                    "scope": "required",
                    "licenses": [],
                },
            ])
        );
    }

    #[test]
    fn dependencies_are_read_from_the_depth() {
        let command = "pkg:cargo/job-cli@0.1.0";
        let bytes = "pkg:cargo/bytes@1.12.2";
        let (macros, zlib) = ("pkg:cargo/macros@2.0.0", "pkg:cargo/zlib@0.1.0%2B1.3");
        assert_eq!(
            bill()["dependencies"],
            json!([
                { "ref": bytes, "dependsOn": [] },
                { "ref": command, "dependsOn": [bytes, macros, zlib] },
                { "ref": macros, "dependsOn": [bytes] },
                { "ref": zlib, "dependsOn": [] },
            ])
        );
    }

    #[test]
    fn the_description_of_the_command_is_reproducible() {
        let bill = bill();
        assert_eq!(bill["metadata"]["timestamp"], "2026-11-30T19:21:48Z");
        assert_eq!(bill["metadata"]["component"]["hashes"][0]["content"], "c0de");
        assert_eq!(bill["metadata"]["component"]["bom-ref"], "pkg:cargo/job-cli@0.1.0");
        assert_eq!(bill.get("serialNumber"), None, "it would be a random number");
    }

    #[test]
    fn invalid_lines_are_errors() {
        for line in
            ["", "1|bytes v1|MIT||", "0|bytes 1|MIT||", "0|bytes v1|MIT", "x|bytes v1|MIT||"]
        {
            assert!(Graph::read(line).is_err(), "{line}");
        }
    }
}
