//! Tests how a job is written to formats other than JSON, and read from them.

extern crate std;

use alloc::{
    boxed::Box,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use insta::assert_snapshot;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::job::{Job, Phase};

/// A job with every kind of unknown value.
const BODY: &str = r#"{"kind":"Job","metadata":{"uid":"a","creationTimestamp":"2020-02-02 08:12:40.5 +0000 UTC"},
"spec":{"type":"CreateCluster","extendParam":{"n":"1"},"subJobs":[{"status":{"phase":"Success"}},7.50]},
"status":{"phase":"FAILED","reason":"no\u001b quota","progress":1.10},
"a":{"big":12345678901234567890,"bigger":123456789012345678901,"huge":1e999,"zero":-0,"lone":"\ud800"},
"b":[true,{}],"c":null,"d":{"x":1,"y":null,"x":2},"e":1,"e":-2}"#;

fn job(json: &str) -> Job {
    Job::from_slice(json.as_bytes()).unwrap()
}

fn without_breaks(json: &str) -> String {
    json.replace('\n', "")
}

/// Checks that a text does not have the private name of `serde_json`, and returns it.
fn public(text: String) -> String {
    assert!(!text.contains("private"), "{text}");
    text
}

#[test]
fn json_text_is_kept() {
    let json = without_breaks(BODY);
    assert_eq!(serde_json::to_string(&job(&json)).unwrap(), json);
    assert_eq!(serde_json::from_str::<Job>(&json).unwrap(), job(&json));
    assert_eq!(serde_json::from_slice::<Job>(json.as_bytes()).unwrap(), job(&json));
    // The name is escaped, so `serde_json` cannot pass on a borrowed text.
    let escaped = json.replace("\"kind\"", "\"k\\u0069nd\"");
    assert_eq!(serde_json::from_str::<Job>(&escaped).unwrap(), job(&json));
}

#[test]
fn yaml_has_plain_values() {
    let yaml = public(serde_saphyr::to_string(&job(BODY)).unwrap());
    assert_snapshot!(yaml);
    let read: Job = serde_saphyr::from_str(&yaml).unwrap();
    assert_eq!(serde_saphyr::to_string(&read).unwrap(), yaml);
    assert_snapshot!(serde_json::to_string(&read).unwrap());
}

#[test]
fn toml_has_plain_values_without_nulls() {
    let toml = public(toml::to_string(&job(BODY)).unwrap());
    assert_snapshot!(toml);
    let read: Job = toml::from_str(&toml).unwrap();
    assert_snapshot!(serde_json::to_string(&read).unwrap());
    let error = toml::to_string(&job(r#"{"x": [1, null]}"#)).unwrap_err();
    assert_eq!(error.to_string(), "unsupported None value");
}

#[test]
fn formats_that_are_not_human_readable_keep_the_json_text() {
    let json = without_breaks(BODY);
    let job = job(&json);
    let bytes = postcard::to_allocvec(&job).unwrap();
    assert_eq!(postcard::from_bytes::<String>(&bytes).unwrap(), json);
    assert_eq!(postcard::from_bytes::<Job>(&bytes).unwrap(), job);
    let metadata = postcard::to_allocvec(&job.metadata).unwrap();
    let metadata = postcard::from_bytes::<Option<String>>(&metadata).unwrap().unwrap();
    assert!(metadata.starts_with(r#"{"uid":"a","#));

    let mut bytes = Vec::new();
    ciborium::into_writer(&job, &mut bytes).unwrap();
    assert_eq!(ciborium::from_reader::<String, _>(&*bytes).unwrap(), json);
    assert_eq!(ciborium::from_reader::<Job, _>(&*bytes).unwrap(), job);
}

/// The reader of CBOR passes on texts of more than 4 KiB as a `String` only.
#[test]
fn long_jobs_are_read_from_formats_that_are_not_human_readable() {
    let job = Job::new().with_reason("a".repeat(10_000));
    let mut bytes = Vec::new();
    ciborium::into_writer(&job, &mut bytes).unwrap();
    assert_eq!(ciborium::from_reader::<Job, _>(&*bytes).unwrap(), job);
    let bytes = postcard::to_allocvec(&job).unwrap();
    assert_eq!(postcard::from_bytes::<Job>(&bytes).unwrap(), job);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Field {
    job: Job,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flattened {
    version: u32,
    #[serde(flatten)]
    job: Job,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Id { id: u32 },
    Job(Box<Job>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "tag")]
enum Tagged {
    Job(Job),
}

/// Checks that a value is read from what it is written to, in several formats.
fn check<T: Serialize + DeserializeOwned>(value: &T, expected_json: &str) {
    let json = public(serde_json::to_string(value).unwrap());
    assert_eq!(json, expected_json);
    let read = serde_json::from_str::<T>(&json).unwrap();
    assert_eq!(to_value(&read), to_value(value), "JSON");
    assert_eq!(to_value(&serde_json::from_value::<T>(to_value(value)).unwrap()), to_value(value));
    let yaml = public(serde_saphyr::to_string(value).unwrap());
    let read = serde_saphyr::from_str::<T>(&yaml).unwrap();
    assert_eq!(to_value(&read), to_value(value), "{yaml}");
    let toml = public(toml::to_string(value).unwrap());
    assert_eq!(to_value(&toml::from_str::<T>(&toml).unwrap()), to_value(value), "{toml}");
    let mut cbor = Vec::new();
    ciborium::into_writer(value, &mut cbor).unwrap();
    let read = ciborium::from_reader::<T, _>(&*cbor).unwrap();
    assert_eq!(to_value(&read), to_value(value), "CBOR");
}

fn to_value<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap()
}

#[test]
fn jobs_can_be_parts_of_other_values() {
    let json =
        r#"{"spec":{"subJobs":[{"x":[1,{"y":"z"}]},{}]},"status":{"phase":"running","n":1.10}}"#;
    let members = &json[1..];
    check(&job(json), json);
    check(&Field { job: job(json) }, &format!(r#"{{"job":{json}}}"#));
    check(&Flattened { version: 1, job: job(json) }, &format!(r#"{{"version":1,{members}"#));
    check(&Untagged::Job(job(json).into()), json);
    check(&Untagged::Id { id: 1 }, r#"{"id":1}"#);
    check(&Tagged::Job(job(json)), &format!(r#"{{"tag":"Job",{members}"#));
    check(&BTreeMap::from([(String::from("a"), Some(job(json)))]), &format!(r#"{{"a":{json}}}"#));
}

/// A number text is lost if serde buffers the value, and only then.
#[test]
fn number_texts_are_kept_in_json_unless_serde_buffers_the_job() {
    let json = r#"{"id":1.10,"job":{"status":{"n":1.10}}}"#;
    let text = |job: &Job| serde_json::to_string(job).unwrap();
    assert_eq!(text(&serde_json::from_str::<Field>(json).unwrap().job), r#"{"status":{"n":1.10}}"#);
    let reader = json.as_bytes();
    assert_eq!(
        text(&serde_json::from_reader::<_, Field>(reader).unwrap().job),
        r#"{"status":{"n":1.10}}"#
    );
    let Untagged::Job(job) = serde_json::from_str(json).unwrap() else { panic!("not an id") };
    assert_eq!(text(&job), r#"{"id":1.1,"job":{"status":{"n":1.1}}}"#);
    let flattened: Flattened =
        serde_json::from_str(r#"{"version": 1, "status": {"n": 1.10}}"#).unwrap();
    assert_eq!(text(&flattened.job), r#"{"status":{"n":1.1}}"#);
}

#[test]
fn deviations_of_shape_are_tolerated_in_every_format() {
    let job: Job = serde_saphyr::from_str("kind: 7\nstatus:\n  phase: running\n").unwrap();
    assert_eq!((job.phase(), job.raw_fields.get("kind")), (Some(&Phase::Running), Some("7")));
}

/// Returns the error of reading a job from YAML.
fn from_yaml(text: &str) -> String {
    let error = serde_saphyr::from_str::<Job>(text).unwrap_err().to_string();
    error.lines().next().unwrap_or_default().into()
}

/// Returns the error of reading a job that is flattened into a map with one other member, in CBOR.
fn from_cbor(name: impl Into<ciborium::Value>, value: impl Into<ciborium::Value>) -> String {
    let map = ciborium::Value::Map(Vec::from([
        ("version".into(), 1.into()),
        (name.into(), value.into()),
    ]));
    let mut bytes = Vec::new();
    ciborium::into_writer(&map, &mut bytes).unwrap();
    ciborium::from_reader::<Flattened, _>(&*bytes).unwrap_err().to_string()
}

fn from_json<T: DeserializeOwned + fmt::Debug>(json: &str) -> String {
    serde_json::from_str::<T>(json).unwrap_err().to_string()
}

fn nested_arrays(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

#[test]
fn errors_describe_what_is_wrong() {
    let deep_cbor =
        (0..129).fold(ciborium::Value::Null, |value, _| ciborium::Value::Array(Vec::from([value])));
    let two_phases = r#"{"version": 1, "status": {"phase": "Success", "phase": "Failed"}}"#;
    let element = job(r#"{"spec": {"subJobs": [7]}}"#).sub_jobs()[0].clone();
    let deep_field = job(&format!("{{\"x\": {}}}", nested_arrays(200_000)));
    let rows = [
        ("a number", from_yaml("7")),
        ("an array", from_yaml("[]")),
        ("a string", from_yaml("no job")),
        ("a string in JSON", from_json::<Job>("\"{}\"")),
        ("an array in JSON", from_json::<Vec<Job>>("[[]]")),
        ("a duplicate field", from_json::<Job>(r#"{"kind": 1, "kind": 2}"#)),
        ("a duplicate field, flattened", from_json::<Flattened>(two_phases)),
        ("a name that is not a string", from_yaml("status: {[1]: 1}")),
        ("bytes", from_cbor("x", &[1_u8][..])),
        ("not a number", from_cbor("x", f64::NAN)),
        ("deep", from_cbor("x", deep_cbor)),
        (
            "an element that is not an object, flattened",
            serde_json::to_string(&Flattened { version: 1, job: element }).unwrap_err().to_string(),
        ),
        ("a deep unknown field", serde_saphyr::to_string(&deep_field).unwrap_err().to_string()),
    ];
    let lines = rows.map(|(name, error)| format!("{name}: {error}\n"));
    assert_snapshot!(lines.concat());
}
