//! Finds the circles in a graph: the sets of nodes that all reach each other.

use std::collections::{BTreeMap, BTreeSet};

/// Returns each circle of at least two nodes.
pub(super) fn find<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<Vec<&'a str>> {
    let reachable: BTreeMap<&str, BTreeSet<&str>> =
        edges.keys().map(|node| (*node, reachable(edges, node))).collect();
    let reaches =
        |from: &str, to: &str| reachable.get(from).is_some_and(|nodes| nodes.contains(to));
    let mut circles: BTreeSet<Vec<&str>> = BTreeSet::new();
    for node in edges.keys() {
        let members = edges.keys().filter(|other| reaches(node, other) && reaches(other, node));
        circles.insert(members.copied().collect());
    }
    circles.into_iter().filter(|circle| circle.len() > 1).collect()
}

/// Returns the nodes that a walk of at least one edge from `start` reaches.
fn reachable<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>, start: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = edges.get(start).into_iter().flatten().copied().collect();
    while let Some(node) = open.pop() {
        if reached.insert(node) {
            open.extend(edges.get(node).into_iter().flatten());
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles() {
        type Row<'a> = (&'a [(&'a str, &'a str)], &'a [&'a [&'a str]]);
        let rows: [Row<'_>; 5] = [
            (&[], &[]),
            (&[("a", "b"), ("b", "c"), ("a", "c")], &[]),
            (&[("a", "b"), ("b", "a"), ("b", "c")], &[&["a", "b"]]),
            (
                &[("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("d", "b")],
                &[&["a", "b", "c", "d"]],
            ),
            (
                &[("a", "b"), ("b", "a"), ("b", "c"), ("c", "d"), ("d", "c")],
                &[&["a", "b"], &["c", "d"]],
            ),
        ];
        for (pairs, expected) in rows {
            let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            for (from, to) in pairs {
                edges.entry(from).or_default().insert(to);
            }
            assert_eq!(find(&edges), expected, "{pairs:?}");
        }
    }
}
