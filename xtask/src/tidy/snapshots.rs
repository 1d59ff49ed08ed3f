//! Checks that each snapshot belongs to a test, because the snapshot of a removed test checks
//! nothing.

use super::Tree;

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let orphan = |(path, text): (&str, &str)| {
        let source = text.lines().find_map(|line| line.strip_prefix("source: "));
        // The file name is crate__module__tests__name.snap. The second snapshot of a test ends with
        // -2.snap, and the snapshot for an input x with @x.snap.
        let test = path.trim_end_matches(".snap").split('@').next()?.rsplit("__").next()?;
        let name = test.split('-').next()?;
        let tests = source.and_then(|source| tree.file(source)).unwrap_or_default();
        (!tests.contains(&format!("fn {name}(")))
            .then(|| format!("{path}: no test has this snapshot"))
    };
    tree.files("", ".snap").filter_map(orphan).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_belong_to_a_test() {
        let snapshot = "---\nsource: crates/job-x/src/tests.rs\n---\n";
        let rows = [
            ("crates/job-x/src/snapshots/job_x__tests__a_b.snap", "fn a_b() {", 0),
            ("crates/job-x/src/snapshots/job_x__tests__a_b-2.snap", "fn a_b() {", 0),
            ("crates/job-x/src/snapshots/job_x__tests__a_b@jobs__c.json.snap", "fn a_b() {", 0),
            ("crates/job-x/src/snapshots/job_x__tests__a_b.snap", "fn a_bc() {", 1),
        ];
        for (path, test, expected) in rows {
            let tree = Tree::new(&[(path, snapshot), ("crates/job-x/src/tests.rs", test)]);
            assert_eq!(check(&tree).len(), expected, "{path} {test}");
        }
    }
}
