//! Decodes each fixture, and compares the result with one snapshot per file.

use std::fs;

use insta::{assert_snapshot, glob};
use job_model::{
    Decoded, Job, JobId, ServiceError, Timestamp,
    job::JobList,
    object::{Object, ObjectKind},
    reply::ForeignBody,
};

/// Returns the instant of a timestamp, or why there is none.
fn describe_timestamp(time: &Timestamp) -> String {
    match time.instant() {
        Some(instant) => instant.to_string(),
        None if time.is_unset() => "unset".into(),
        None => "unclear".into(),
    }
}

/// Returns the timestamps of a job.
fn describe_times(entry: &job_model::TreeEntry<'_>) -> String {
    let show = |time: Option<&Timestamp>| time.map_or_else(|| "none".into(), describe_timestamp);
    let metadata = entry.job.metadata.as_ref();
    let created = metadata.and_then(|metadata| metadata.creation_timestamp.as_ref());
    let updated = metadata.and_then(|metadata| metadata.update_timestamp.as_ref());
    format!("created {}, updated {}", show(created), show(updated))
}

#[test]
fn jobs() {
    glob!("../fixtures/jobs", "*.*", |path| {
        let Decoded { job, deviations, .. } =
            Decoded::from_slice(&fs::read(path).unwrap()).unwrap();
        let entries = job.walk().map(|entry| {
            let place = if entry.path.depth() == 0 { "job".into() } else { entry.path.to_string() };
            format!("{place}: {:?}, {}\n", entry.job.phase(), describe_times(&entry))
        });
        let lines = |lines: Vec<String>| lines.iter().map(|line| format!("{line}\n")).collect();
        let sections: [(_, String); 6] = [
            ("deviations", lines(deviations.iter().map(ToString::to_string).collect())),
            ("phases and times", entries.collect()),
            ("tree", job.tree().to_string()),
            ("failure", lines(job.failure().iter().map(ToString::to_string).collect())),
            (
                "inconsistencies",
                lines(job.inconsistencies().iter().map(ToString::to_string).collect()),
            ),
            ("encoded", serde_json::to_string_pretty(&job).unwrap()),
        ];
        let filled = sections.iter().filter(|(_, text)| !text.is_empty());
        assert_snapshot!(
            filled.map(|(name, text)| format!("# {name}\n{text}\n")).collect::<String>()
        );
    });
}

/// Each row that is not broken is encoded as it was sent.
#[test]
fn job_lists() {
    glob!("../fixtures/job-lists", "*.*", |path| {
        let body = fs::read(path).unwrap();
        let list = JobList::from_slice(&body).unwrap();
        let mut lines: Vec<_> = list.deviations().iter().map(ToString::to_string).collect();
        for row in list.rows() {
            let Decoded { job, deviations, .. } = row.decode().unwrap();
            let value = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
            assert_eq!(value(&serde_json::to_string(&job).unwrap()), value(row.as_str()));
            lines.push(format!("{row:?}, took {:?}\n{}", job.duration(), job.tree()));
            lines.extend(deviations.iter().map(|deviation| format!("  {deviation}")));
            lines.push(format!("{row_text}\n", row_text = serde_json::to_string(&job).unwrap()));
        }
        assert_snapshot!(lines.join("\n"));
    });
}

/// The name of a fixture starts with the kind of object. The date is that of a reply.
#[test]
fn objects() {
    let date = Some("2025-09-02T10:24:00Z".parse().unwrap());
    glob!("../fixtures/objects", "*.*", |path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let [kind, other_kind] = match name.starts_with("node-") {
            true => [ObjectKind::Node, ObjectKind::Cluster],
            false => [ObjectKind::Cluster, ObjectKind::Node],
        };
        let body = fs::read(path).unwrap();
        let decoded = Object::decode(kind, &body).unwrap();
        let object = &decoded.object;
        assert!(!object.is_foreign(), "{name}");
        assert_eq!(ForeignBody::from_object_body(&body, kind, &[]), None, "{name}");
        // An object without a kind can be either.
        let is_foreign = !name.contains("odd-types");
        let described = ForeignBody::from_object_body(&body, other_kind, &[]);
        assert_eq!(described.is_some(), is_foreign, "{name}");
        let mut lines: Vec<_> = decoded.deviations.iter().map(ToString::to_string).collect();
        lines.push(format!("{object:?}"));
        lines.push(format!("{}, with a date {}", object.state_at(None), object.state_at(date)));
        lines.push(format!("job {:?}, reason {:?}", object.job_id(), object.reason()));
        lines.push(format!("message {:?}", object.message()));
        let time = |time: Option<jiff::Timestamp>| time.map(|time| time.to_string());
        let times = (time(object.created_at()), time(object.updated_at()));
        lines.push(format!("created {:?}, updated {:?}", times.0, times.1));
        match object {
            Object::Cluster(cluster) => lines.push(format!("{:?}", cluster.endpoints())),
            Object::Node(node) => lines.push(format!("probed {:?}", time(node.last_probe_time()))),
        }
        lines.push(serde_json::to_string_pretty(&object).unwrap());
        assert_snapshot!(lines.join("\n"));
    });
}

#[test]
fn errors() {
    glob!("../fixtures/errors", "*.*", |path| {
        let (status, content_type) = match path.extension().and_then(|of| of.to_str()) {
            Some("html") => (502, "text/html"),
            Some("txt") => (503, "text/plain"),
            _ if path.ends_with("identity.json") => (401, "application/json"),
            _ => (404, "application/json"),
        };
        let error = ServiceError::from_body(status, Some(content_type), &fs::read(path).unwrap());
        assert_snapshot!(
            error.map_or_else(|| "nothing".into(), |error| format!("{error}\n{error:#?}"))
        );
    });
}

#[test]
fn foreign_bodies() {
    glob!("../fixtures/foreign", "*.*", |path| {
        let body = fs::read(path).unwrap();
        assert!(Job::from_slice(&body).is_ok_and(|job| job.is_foreign()) || body.starts_with(b"["));
        for kind in [ObjectKind::Cluster, ObjectKind::Node] {
            let is_node = path.ends_with("node.json") && kind == ObjectKind::Node;
            let described = ForeignBody::from_object_body(&body, kind, &[]);
            assert_eq!(described.is_none(), is_node, "{path:?} {kind}");
        }
        assert_snapshot!(ForeignBody::from_body(&body, &[]).unwrap().to_string());
    });
}

/// None of the jobs and submissions is taken for something else.
#[test]
fn jobs_are_not_foreign() {
    glob!("../fixtures/jobs", "*.*", |path| {
        let body = fs::read(path).unwrap();
        // The kind of this one is a number.
        let is_foreign = path.ends_with("odd-types.json");
        assert_eq!(Job::from_slice(&body).unwrap().is_foreign(), is_foreign, "{path:?}");
        assert_eq!(ForeignBody::from_body(&body, &[]).is_some(), is_foreign, "{path:?}");
    });
}

#[test]
fn submissions() {
    glob!("../fixtures/submissions", "*.*", |path| {
        assert_snapshot!(match JobId::from_submission(&fs::read(path).unwrap()) {
            Ok(id) => id.to_string(),
            Err(error) => format!("error: {error}"),
        });
    });
}

#[test]
fn timestamps() {
    glob!("../fixtures/timestamps", "*.*", |path| {
        let text = fs::read_to_string(path).unwrap();
        let show = |line| format!("{line}\n    {}\n", describe_timestamp(&Timestamp::from(line)));
        assert_snapshot!(text.lines().map(show).collect::<String>());
    });
}
