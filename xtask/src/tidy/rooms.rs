//! Checks the rooms of each crate. A room is a module that the crate's root declares. There may be
//! only a few, imports between them must run one way, and an item must be imported from the room
//! that owns it.
//!
//! `cargo xtask tidy --rooms` prints the figures, and the circles between files.

mod circles;
mod imports;

use std::collections::BTreeSet;

use self::imports::{Crate, Import};
use super::Tree;

const MAX_ROOMS: usize = 12;

/// The rooms of each crate in the order of their imports: a room may use only the rooms before it.
const ORDER: &[(&str, &str)] = &[
    ("job-model", "printable duration id decode job object tree reply"),
    // `clock` comes first: it uses no other room, and every room with a time limit uses it.
    ("job-transport", "clock transport request auth client hyper"),
    // `reply_script` is for tests, and for `testing`. `source` uses no other room. `report`
    // describes the result of a wait, which `machine` defines.
    (
        "job-poller",
        "reply_script schedule machine source testing budget observer report listing durable wait fleet",
    ),
    (
        "job-report",
        "text axis timeline sections overview geometry text_width template html svg mermaid markdown",
    ),
    ("job-notify", "notification notifier delivery receiver webhook"),
    ("job-sim", "plan faults reply auth identity service serve conformance"),
    ("job-store", "receiver error watch database budget row history outbox status store worker"),
    (
        "job-server",
        "files problem token host config database metrics sim api listen arguments commands",
    ),
    (
        "job-cli",
        "exit terminal logging runtime files input flag_variables connection report wait commands arguments",
    ),
];

/// The crates whose rooms have no order, each with the reason.
const UNORDERED: &[(&str, &str)] = &[
    ("job-restate", "`wait` and `notify` are two services of the engine that call each other"),
    ("xtask", "each file is a task"),
];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for (name, krate) in crates(tree) {
        match krate {
            Ok(krate) => violations.extend(check_crate(name, &krate)),
            Err(error) => violations.push(error),
        }
    }
    violations
}

/// Returns the figures of each crate, and its circles between files, as text.
///
/// # Errors
///
/// Returns an error if a file is not Rust.
pub(super) fn summary(tree: &Tree) -> Result<String, String> {
    let mut text =
        format!("{:14}{:>6}{:>8}{:>8}{:>9}\n", "crate", "rooms", "arrows", "upward", "circles");
    for (name, krate) in crates(tree) {
        let krate = krate?;
        let arrows = arrows(&krate);
        let listed = order(name).unwrap_or_default();
        let declared: Vec<&str> = krate.rooms().iter().map(String::as_str).collect();
        let count_upward =
            |order: &[&str]| arrows.iter().filter(|(from, to)| is_upward(order, from, to)).count();
        // If a room is not in the order, counts along the order of the declarations instead, in the
        // direction that gives the smaller number.
        let upward = if declared.iter().all(|room| listed.contains(room)) {
            count_upward(&listed)
        } else {
            count_upward(&declared).min(arrows.len() - count_upward(&declared))
        };
        let circles = circles::find(&krate.file_uses());
        text += &format!(
            "{name:14}{:>6}{:>8}{upward:>8}{:>9}\n",
            declared.len(),
            arrows.len(),
            circles.len()
        );
        for circle in circles {
            let folder = krate.root.rsplit_once('/').map_or("", |(folder, _)| folder);
            let files = circle.iter().map(|file| file[folder.len() + 1..].trim_end_matches(".rs"));
            let files: Vec<&str> = files.collect();
            text += &format!("  circle of {} files: {}\n", files.len(), files.join(", "));
        }
    }
    Ok(text)
}

fn crates(tree: &Tree) -> impl Iterator<Item = (&str, Result<Crate, String>)> {
    let crates = tree.crates().map(|name| (name, format!("crates/{name}")));
    crates
        .chain([("xtask", "xtask".into())])
        .filter_map(|(name, folder)| Some((name, Crate::from_folder(tree, &folder).transpose()?)))
}

fn order(name: &str) -> Option<Vec<&'static str>> {
    let (_, rooms) = ORDER.iter().find(|(listed, _)| *listed == name)?;
    Some(rooms.split_whitespace().collect())
}

fn check_crate(name: &str, krate: &Crate) -> Vec<String> {
    let mut violations = Vec::new();
    let root = &krate.root;
    let rooms = krate.rooms().len();
    if rooms > MAX_ROOMS {
        violations.push(format!("{root}: {rooms} modules; the maximum is {MAX_ROOMS}"));
    }
    let order = order(name);
    if order.is_none() && !UNORDERED.iter().any(|(unordered, _)| *unordered == name) {
        violations
            .push(format!("{root}: the rooms of {name} have no order in tidy::rooms; add one"));
    }
    if let Some(order) = &order {
        let absent = order.iter().filter(|room| !krate.rooms().iter().any(|known| known == *room));
        violations.extend(absent.map(|room| {
            format!("{root}: `{room}` is in the order of tidy::rooms, but it is not a room")
        }));
        let unlisted = krate.rooms().iter().filter(|room| !order.contains(&&***room));
        violations.extend(unlisted.map(|room| {
            format!("{root}: the room `{room}` is not in the order of tidy::rooms; add it")
        }));
    }
    for Import { file, line, from, to, path, is_through_root } in krate.imports() {
        let path = path.join("::");
        if is_through_root {
            violations.push(format!(
                "{file}:{line}: import `{path}` from its room, not through the crate's root"
            ));
        }
        if let (Some(order), Some(to)) = (&order, &to)
            && is_upward(order, &from, to)
        {
            violations.push(format!(
                "{file}:{line}: `{from}` must not use `{to}` (`crate::{path}`): a room uses only the \
                 rooms before it"
            ));
        }
    }
    // A line may use the same path twice.
    violations.dedup();
    violations
}

/// Returns the pairs of rooms in which the first imports from the second.
fn arrows(krate: &Crate) -> BTreeSet<(String, String)> {
    let pairs = krate.imports().into_iter().filter_map(|import| Some((import.from, import.to?)));
    pairs.filter(|(from, to)| from != to).collect()
}

/// Whether an import of `to` by `from` runs against the order. Returns `false` if a room is not in
/// the order.
fn is_upward(order: &[&str], from: &str, to: &str) -> bool {
    let rank = |room| order.iter().position(|listed| *listed == room);
    matches!((rank(from), rank(to)), (Some(from), Some(to)) if to > from)
}

#[cfg(test)]
mod tests;
