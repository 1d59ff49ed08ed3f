//! Tests which imports are found, and which of them are violations.

use super::*;

const LIB: &str = "mod printable; mod duration; mod id; mod decode; mod job; mod object; mod tree; mod reply; pub use tree::Walk; pub use job::Job;";

/// Checks a job-model whose `job.rs` has this source.
fn check_job(source: &str) -> Vec<String> {
    check(&Tree::new(&[
        ("crates/job-model/Cargo.toml", ""),
        ("crates/job-model/src/lib.rs", LIB),
        ("crates/job-model/src/decode.rs", ""),
        ("crates/job-model/src/job.rs", source),
        ("crates/job-model/src/job/phase.rs", "use super::super::tree::Walk;"),
        ("crates/job-model/src/job/tests.rs", "use crate::tree::Walk;"),
        ("crates/job-model/src/tree.rs", "use crate::decode::A;"),
        ("crates/job-model/src/reply.rs", ""),
    ]))
}

#[test]
fn imports_run_one_way() {
    let rows: &[(&str, usize)] = &[
        ("use crate::decode::A;", 0),
        ("use crate::{decode::{A, b::C}, job::phase};", 0),
        ("use crate::tree::Walk;", 1),
        ("use crate::{\n decode::{A, B},\n tree::{self, Walk, c::{D as E}},\n};", 3),
        ("pub(crate) use crate::tree::*;", 1),
        ("use super::tree::Walk;", 1),
        ("use super::decode::A;", 0),
        ("use self::phase::Phase; use serde::Serialize; use ::tree::Walk; use tree::Walk;", 0),
        ("fn a() -> crate::tree::Walk<u8> { b(crate::reply::c::<D>()) }", 2),
        ("fn a() { <Vec<u8> as crate::tree::Walk>::b(); Vec::<u8>::crate_(); }", 1),
        ("macro_rules! a { () => { $crate::tree::b() } }", 1),
        ("fn a() { b!(x, crate::tree::Walk) }", 1),
        ("mod inline { use super::super::tree::Walk; use super::phase; }", 1),
        ("/// [`Walk`](crate::tree::Walk)\n// crate::tree\nfn a() { \"crate::tree::Walk\"; }", 0),
        ("#[cfg(test)] mod tests { use crate::tree::Walk; }", 0),
        ("#[cfg(test)] mod tests;", 0),
        ("mod phase;", 1),
        ("fn a() -> impl Iterator + use<'_> { tree::b() }", 0),
        ("fn a() { crate::tree::b!(); }", 1),
    ];
    for (source, expected) in rows {
        let violations = check_job(source);
        assert_eq!(violations.len(), *expected, "{source}: {violations:?}");
    }
    let line = &check_job("use crate::{\n decode::A,\n tree::Walk,\n};")[0];
    assert!(line.starts_with("crates/job-model/src/job.rs:3: `job` must not use `tree`"), "{line}");
}

#[test]
fn imports_are_from_the_room() {
    // The first row has two violations: the import is through the root, and it runs upward.
    let rows: &[(&str, usize)] = &[
        ("use crate::Walk;", 2),
        ("use crate::Job;", 1),
        ("use crate::{Job, decode::A};", 1),
        ("fn a(b: crate::Job) {}", 1),
        ("use super::Job;", 1),
        ("macro_rules! a { () => { $crate::Job } }", 0),
        ("macro_rules! a { () => {} } pub(crate) use a; mod b { use crate::a; }", 0),
        ("fn b() { crate::a!(); }", 0),
        ("#[cfg(test)] mod tests { use crate::Walk; }", 0),
    ];
    for (source, expected) in rows {
        let violations = check_job(source);
        assert_eq!(violations.len(), *expected, "{source}: {violations:?}");
    }
}

#[test]
fn roots_are_small_and_in_the_table() {
    let modules = |count: usize| (0..count).map(|n| format!("mod m{n};")).collect::<String>();
    let rows = [
        ("job-restate", modules(MAX_ROOMS), 0),
        ("job-restate", modules(MAX_ROOMS + 1), 1),
        ("job-restate", modules(MAX_ROOMS) + "#[cfg(test)] mod testing;", 0),
        // A crate without an order.
        ("job-x", "mod a;".into(), 1),
        ("job-model", "mod printable; mod duration; mod id; mod decode; mod job; mod object; mod tree; mod reply;".into(), 0),
        (
            "job-model",
            "mod printable; mod duration; mod id; mod decode; mod job; mod object; mod tree; mod reply; mod misc;".into(),
            1,
        ),
        // A room in the order that does not exist.
        ("job-model", "mod printable; mod duration; mod id; mod decode; mod job; mod object; mod tree;".into(), 1),
    ];
    for (name, root, expected) in rows {
        for file in ["lib", "main"] {
            let manifest = format!("crates/{name}/Cargo.toml");
            let file = format!("crates/{name}/src/{file}.rs");
            let violations = check(&Tree::new(&[(&manifest, ""), (&file, &root)]));
            assert_eq!(violations.len(), expected, "{root}: {violations:?}");
        }
    }
}

#[test]
fn circles_follow_reexports_and_ignore_declarations() {
    // a -> c by the re-export in b; b itself only re-exports.
    let rows: &[([&str; 4], &str)] = &[
        (
            ["mod a; mod b;", "use crate::b::C;", "mod c; pub(crate) use c::C;", "use crate::a;"],
            "a, b/c",
        ),
        (["mod a; mod b;", "", "mod c; pub(crate) use c::C;", "use super::D;"], ""),
        (["mod a; mod b;", "", "mod c; use c::C;", "use super::D;"], "b, b/c"),
        (["mod a; mod b;", "", "mod c; pub use c::C; fn d() -> C {}", "use super::D;"], "b, b/c"),
        (["mod a; mod b;", "", "mod c; fn d() { c::d(); }", "use super::D;"], "b, b/c"),
        (
            ["mod a; mod b; pub use a::A; pub use b::B;", "use crate::B;", "use crate::A;", ""],
            "a, b",
        ),
        (["mod a; #[cfg(test)] mod b;", "use crate::b::C;", "mod c; use crate::a::B;", ""], ""),
        (["mod a; mod b;", "use crate::b; fn a() { b::c() }", "mod c; use tracing::Span;", ""], ""),
    ];
    for (sources, expected) in rows {
        let files = ["lib", "a", "b", "b/c"].map(|file| format!("crates/job-x/src/{file}.rs"));
        let mut tree = vec![("crates/job-x/Cargo.toml", "")];
        tree.extend(files.iter().map(String::as_str).zip(*sources));
        let summary = summary(&Tree::new(&tree)).unwrap();
        let circle = summary.lines().find_map(|line| Some(line.split_once("files: ")?.1));
        assert_eq!(circle.unwrap_or_default(), *expected, "{sources:?}: {summary}");
    }
}
