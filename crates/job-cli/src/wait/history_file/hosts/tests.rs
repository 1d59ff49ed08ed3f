//! Tests the formats of the file, and which history a host has.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// A file that an earlier version wrote.
const FORMAT_1: &[u8] = include_bytes!("../../../../fixtures/histories/format-1.json");

const MAX_BYTES: usize = 64 << 20;

fn observation(seconds: u64) -> JobObservation {
    JobObservation::new("CreateNode", Duration::ZERO, Duration::from_secs(seconds), true)
}

fn reread(histories: &HostHistories) -> HostHistories {
    HostHistories::from_json(histories.to_json(MAX_BYTES).unwrap().as_bytes()).unwrap()
}

#[test]
fn hosts_do_not_share_durations() {
    let mut histories = HostHistories::default();
    histories.record("cce.eu-de.otc.t-systems.com", &[observation(60), observation(70)]);
    histories.record("cce.cn-north-4.myhuaweicloud.com", &[observation(600)]);
    let read = reread(&histories);
    assert_eq!(read, histories);
    for (host, jobs) in [
        ("cce.eu-de.otc.t-systems.com", 1.96),
        ("cce.cn-north-4.myhuaweicloud.com", 1.0),
        ("cce.eu-nl.otc.t-systems.com", 0.0),
    ] {
        let history = read.get(host);
        assert!((history.jobs("CreateNode") - jobs).abs() < 1e-3, "{host}");
    }
}

/// The old history is where each host starts, and stays for hosts that are used for the first time
/// later.
#[test]
fn a_file_of_format_1_is_the_start_of_each_host() {
    let mut histories = HostHistories::from_json(FORMAT_1).unwrap();
    let old: History = serde_json::from_slice(FORMAT_1).unwrap();
    assert!(old.jobs("CreateCluster") > 2.0, "{}", old.jobs("CreateCluster"));
    assert_eq!((histories.get("a"), histories.get("b")), (old.clone(), old.clone()));

    histories.record("a", &[observation(60)]);
    let mut read = reread(&histories);
    assert_eq!(read.get("b"), old);
    let own = read.get("a");
    let expected = old.jobs("CreateNode") * 0.96 + 1.0;
    assert!((own.jobs("CreateNode") - expected).abs() < 1e-3, "{}", own.jobs("CreateNode"));
    assert_eq!(own.jobs("CreateCluster"), old.jobs("CreateCluster"));

    // The old history is not added a second time.
    read.record("a", &[observation(60)]);
    let jobs = reread(&read).get("a").jobs("CreateNode");
    assert!((jobs - (own.jobs("CreateNode") * 0.96 + 1.0)).abs() < 1e-3, "{jobs}");
}

#[test]
fn the_hosts_used_least_recently_are_dropped() {
    let mut histories = HostHistories::default();
    let name = |number: usize| format!("host-{number}");
    for number in 0..MAX_HOSTS {
        histories.record(&name(number), &[observation(60)]);
    }
    histories.record(&name(0), &[observation(60)]);
    histories.record("new", &[observation(60)]);
    let names: Vec<_> = reread(&histories).hosts.into_iter().map(|one| one.host).collect();
    let kept = (2..MAX_HOSTS).map(name).chain([name(0), "new".into()]);
    assert_eq!(names, kept.collect::<Vec<_>>());
}

#[test]
fn a_file_above_the_size_limit_loses_the_oldest_hosts() {
    let mut histories = HostHistories::from_json(FORMAT_1).unwrap();
    ["a", "b", "c"].into_iter().for_each(|host| histories.record(host, &[observation(60)]));
    let all = histories.to_json(MAX_BYTES).unwrap().len();
    let mut sizes = Vec::new();
    for max_bytes in (0..=all + 64).rev() {
        let text = histories.to_json(max_bytes).unwrap();
        let read = HostHistories::from_json(text.as_bytes()).unwrap();
        let kept: String = read.hosts.iter().map(|one| &*one.host).collect();
        assert!("abc".ends_with(&kept), "{kept}");
        assert!(text.len() <= max_bytes || kept == "c", "{} of {max_bytes}", text.len());
        assert_eq!(read.get("c"), histories.get("c"));
        let has_old = if read.without_host.is_some() { "old " } else { "" };
        sizes.push(format!("{has_old}{kept}"));
    }
    sizes.dedup();
    assert_eq!((&*sizes[0], &**sizes.last().unwrap()), ("old abc", "c"));
}

#[test]
fn other_files_are_rejected() {
    let entry = r#"{"host": "a", "history": {"version": 1, "types": {}}}"#;
    let many = vec![entry; MAX_HOSTS + 1].join(",");
    let long = entry.replace('a', &"a".repeat(MAX_HOST_LEN + 1));
    let rows = [
        ("{}".to_owned(), "missing field `version`"),
        ("[]".into(), "invalid length 0"),
        (r#"{"version": 3}"#.into(), "version 3 is not supported, only versions 1 and 2"),
        (r#"{"version": 2}"#.into(), "missing field `hosts`"),
        (r#"{"version": 1, "types": 1}"#.into(), "invalid type"),
        (format!(r#"{{"version": 2, "hosts": [{entry}, {entry}]}}"#), "one of them twice"),
        (format!(r#"{{"version": 2, "hosts": [{many}]}}"#), "more than 16 hosts"),
        (format!(r#"{{"version": 2, "hosts": [{long}]}}"#), "a name that is too long"),
    ];
    for (text, expected) in rows {
        let error = HostHistories::from_json(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    // Fields of a later version are ignored.
    let later = format!(r#"{{"version": 2, "later": 1, "hosts": [{entry}]}}"#);
    assert_eq!(HostHistories::from_json(later.as_bytes()).unwrap().hosts.len(), 1);
}

proptest! {
    #[test]
    fn files_round_trip_within_their_limits(
        records in proptest::collection::vec(("[a-d]{1,2}", 1_u64..100_000), 0..60),
    ) {
        let mut histories = HostHistories::default();
        for (host, seconds) in &records {
            histories.record(host, &[observation(*seconds)]);
        }
        prop_assert!(histories.hosts.len() <= MAX_HOSTS);
        prop_assert_eq!(&reread(&histories), &histories);
        prop_assert_eq!(histories.hosts.last().map(|one| &one.host), records.last().map(|one| &one.0));
    }
}
