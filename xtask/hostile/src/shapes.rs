//! Hostile inputs, each of any size.

/// A name, and a function that makes an input of about this many bytes.
pub(crate) type Shape = (&'static str, fn(usize) -> Vec<u8>);

/// Inputs for the parsers of JSON. Some are valid jobs with deviations, and some are broken in a
/// way that costs time before it is noticed.
pub(crate) const JSON: &[Shape] = &[
    ("plain sub-jobs", plain_sub_jobs),
    ("short sub-jobs", short_sub_jobs),
    ("one long text", |len| wrap(r#"{"status":{"reason":""#, &"a".repeat(len), r#""}}"#)),
    ("31 levels, odd, unknown numbers", |len| deep("1,", len)),
    ("31 levels, odd, unknown texts", |len| deep("\"a\",", len)),
    ("odd sub-jobs", odd_sub_jobs),
    ("tiny sub-jobs", |len| wrap(r#"{"spec":{"subJobs":["#, &"{},".repeat(len / 3), "{}]}}")),
    ("tiny unknown objects", |len| wrap(r#"{"x":["#, &"{},".repeat(len / 3), "{}]}")),
    ("tiny unknown members", |len| wrap("{", &r#""a":1,"#.repeat(len / 6), r#""kind":7}"#)),
    ("trailing commas", |len| wrap(r#"{"x":["#, &"[1,],".repeat(len / 5), "]}")),
    ("trailing commas in a long name", |len| {
        let name = "a".repeat(len / 2);
        wrap(&format!("{{\"{name}\":["), &"[1,],".repeat(len / 10), "1]}")
    }),
    ("trailing commas in 100 long names", |len| {
        let open = format!("{{\"{}\":", "a".repeat(len / 200)).repeat(100);
        wrap(&open, &format!("[{}1]", "[1,],".repeat(len / 10)), &"}".repeat(100))
    }),
    ("long names", |len| many(len, |n| format!(r#""{n:01000}":1,"#), "{", r#""kind":7}"#)),
    ("long names of parameters", |len| {
        let open = r#"{"spec":{"extendParam":{"#;
        many(len, |n| format!(r#""{n:01000}":1,"#), open, r#""a":1}}}"#)
    }),
    ("many parameters", |len| {
        many(len, |n| format!(r#""{n}":"","#), r#"{"spec":{"extendParam":{"#, r#""a":1}}}"#)
    }),
    ("one parameter, many times", |len| {
        wrap(r#"{"spec":{"extendParam":{"#, &r#""a":"","#.repeat(len / 7), r#""a":1}}}"#)
    }),
    ("one known field, many times", |len| {
        wrap("{", &r#""jobid":"a","kind":null,"#.repeat(len / 24), r#""x":1}"#)
    }),
    ("invalid UTF-8 in a text", |len| {
        let text = b"\xff\xe4\xb8".repeat(len / 3);
        [&b"{\"status\":{\"reason\":\""[..], &text, b"\"}}"].concat()
    }),
    ("invalid UTF-8 in many texts", |len| {
        [&b"{\"x\":["[..], &b"\"\xff\",".repeat(len / 4), b"1]}"].concat()
    }),
    ("invalid UTF-8 outside of texts", |len| [&b"{\"x\":"[..], &b"\xff".repeat(len)].concat()),
    ("control characters in a text", |len| {
        wrap(r#"{"status":{"reason":""#, &"\n\u{1}".repeat(len / 2), r#""}}"#)
    }),
    ("control characters in many texts", |len| {
        wrap(r#"{"x":["#, &"\"\n\",".repeat(len / 4), "1]}")
    }),
    ("lone surrogates", |len| {
        wrap(r#"{"status":{"reason":""#, &r"\ud800".repeat(len / 6), r#""}}"#)
    }),
    ("lone surrogates in names", |len| {
        let open = r#"{"spec":{"extendParam":{"#;
        many(len, |n| format!(r#""\ud800{n}":"\ud800","#), open, r#""a":1}}}"#)
    }),
    ("escapes", |len| {
        wrap(r#"{"kind":7,"status":{"reason":""#, &r"\u0061\n".repeat(len / 8), r#""}}"#)
    }),
    ("backslashes", |len| wrap(r#"{"kind":7,"message":""#, &r"\\".repeat(len / 2), r#""}"#)),
    ("one long number", |len| wrap(r#"{"message":"#, &"1".repeat(len), "}")),
    ("numbers of 1 MB", |len| {
        let number = "1".repeat(1_000_000);
        let count = len.div_ceil(1_000_001);
        wrap(r#"{"x":["#, &format!("{number},").repeat(count)[..len], "1]}")
    }),
    ("open arrays", |len| wrap(r#"{"x":"#, &"[".repeat(len), "")),
    ("nested arrays", |len| wrap(r#"{"x":"#, &"[".repeat(len / 2), &("]".repeat(len / 2) + "}"))),
    ("nested objects", |len| {
        wrap(r#"{"x":"#, &r#"{"a":"#.repeat(len / 6), &("1".to_owned() + &"}".repeat(len / 6 + 1)))
    }),
    ("errors at 31 levels", |len| {
        let open = r#"{"message":"a","details":"#.repeat(31);
        let errors = r#"{"code":1,"message":"b"},"#.repeat(len / 25);
        wrap(&open, &format!("[{errors}1]"), &"}".repeat(31))
    }),
    ("messages", |len| wrap("{", &r#""error_msg":"aaaaaaaa","#.repeat(len / 23), r#""a":1}"#)),
    ("rows", |len| many(len, row, "[", "{}]")),
    ("rows with escapes", |len| many(len, |n| row(n).replace("e4-", r"\u0065\u0034-"), "[", "{}]")),
    ("rows with odd values", |len| {
        many(len, |n| row(n).replace(r#""v2""#, "7").replace(r#""Failed""#, "[7]"), "[", "{}]")
    }),
    ("broken rows", |len| {
        many(len, |n| row(n).replace("{\"kind\"", "{\"kind\":1,\"kind\""), "[", "{}]")
    }),
    ("rows with trailing commas", |len| many(len, |n| row(n).replace("\"}", "\",}"), "[", "{}]")),
    ("one large row", |len| wrap(r#"[{"kind":7,"x":["#, &"1,".repeat(len / 2), "1]}]")),
    ("limits", |len| wrap("", &"policy a,limit:x,time:5 ".repeat(len / 24), "")),
    ("a list of jobs", |len| wrap("[", &r#"{"kind":"Job"},"#.repeat(len / 15), "1]")),
    ("tags", |len| b"<a".repeat(len / 2)),
    ("scripts", |len| b"<script><title>".repeat(len / 15)),
    ("quotes", |len| b"\"".repeat(len)),
    ("secrets", |len| b"aaaaaaaa".repeat(len / 8)),
    ("invisible characters", |len| "\u{200b}".repeat(len / 3).into_bytes()),
];

/// Jobs without deviations, of which the lenient pass reads variants.
pub(crate) const STRICT: &[Shape] = &[
    ("plain sub-jobs", plain_sub_jobs),
    ("short sub-jobs", short_sub_jobs),
    ("one long text", |len| wrap(r#"{"status":{"reason":""#, &"a".repeat(len), r#""}}"#)),
    ("escapes", |len| wrap(r#"{"status":{"reason":""#, &r"\u0061\n".repeat(len / 8), r#""}}"#)),
    ("Chinese text", |len| wrap(r#"{"status":{"reason":""#, &"\u{4e2d}".repeat(len / 3), r#""}}"#)),
    ("31 levels, unknown numbers", |len| nested(r#"{"spec":{"subJobs":["#, "", "1,", len)),
    ("31 levels, unknown texts", |len| nested(r#"{"spec":{"subJobs":["#, "", "\"a\",", len)),
    ("tiny unknown objects", |len| wrap(r#"{"status":{},"x":["#, &"{},".repeat(len / 3), "{}]}")),
    ("tiny unknown members", |len| {
        wrap(r#"{"status":{},"#, &r#""a":1,"#.repeat(len / 6), r#""kind":"Job"}"#)
    }),
    ("many parameters", |len| {
        many(len, |n| format!(r#""{n}":"","#), r#"{"spec":{"extendParam":{"#, r#""a":""}}}"#)
    }),
    ("long names of parameters", |len| {
        let open = r#"{"spec":{"extendParam":{"#;
        many(len, |n| format!(r#""{n:01000}":"","#), open, r#""a":""}}}"#)
    }),
    ("white space", |len| wrap(r#"{"status":"#, &" \n".repeat(len / 2), "{}}")),
];

/// A deviation of a job.
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    /// Changes a job so that it has the deviation.
    pub(crate) change: fn(Vec<u8>) -> Vec<u8>,
    /// The maximum time, as a multiple of that of the unchanged job.
    pub(crate) max_ratio: Option<f64>,
}

pub(crate) const VARIANTS: [Variant; 3] = [
    // The strict pass fails at the first byte, so this is the time of the lenient pass.
    Variant {
        name: "BOM",
        change: |job| [&b"\xEF\xBB\xBF"[..], &job].concat(),
        max_ratio: Some(3.0),
    },
    // The strict pass fails at the end. Its time is added.
    Variant {
        name: "odd value",
        change: |job| with_end(job, br#","apiVersion":7}"#),
        max_ratio: Some(4.0),
    },
    // The whole body is also searched for errors that can be repaired. There is no bound yet.
    Variant { name: "comma", change: |job| with_end(job, b",}"), max_ratio: None },
];

/// Inputs for the readers of `clouds.yaml` and of the vendor's INI file.
pub(crate) const SETTINGS: &[Shape] = &[
    ("one long line", |len| b"a".repeat(len)),
    ("short lines", |len| b"a\n".repeat(len / 2)),
    ("sections", |len| many(len, |n| format!("[{n}]\n"), "", "")),
    ("settings", |len| many(len, |n| format!("a{n} = b\n"), "[basic]\n", "")),
    ("one setting, many times", |len| wrap("[basic]\n", &"ak = b\n".repeat(len / 7), "")),
    ("members", |len| many(len, |n| format!("  a{n}: b\n"), "clouds:\n", "")),
    ("one member, many times", |len| wrap("clouds:\n", &"  a: b\n".repeat(len / 7), "")),
    ("clouds", |len| many(len, |n| format!("  a{n}: {{auth: {{}}}}\n"), "clouds:\n", "")),
    ("aliases", |len| {
        let open = "a: &a [b,b,b,b,b,b,b,b]\n".to_owned();
        wrap(&open, &format!("c: [{}b]\n", "*a,".repeat(len / 3)), "")
    }),
    ("aliases of aliases", |len| {
        let levels =
            (1..10).map(|n| format!("a{n}: &a{n} [{}b]\n", format!("*a{},", n - 1).repeat(9)));
        wrap("a0: &a0 b\n", &levels.collect::<String>(), &"#\n".repeat(len / 2))
    }),
    ("nested lists", |len| wrap("a: ", &"[".repeat(len / 2), &"]".repeat(len / 2))),
    ("nested dashes", |len| b"- ".repeat(len / 2)),
    ("anchors", |len| many(len, |n| format!("- &a{n} b\n"), "", "")),
    ("quotes", |len| wrap("a: \"", &"\\\"".repeat(len / 2), "\"")),
    ("invalid UTF-8", |len| b"a: \xff\n".repeat(len / 5)),
    ("comments", |len| b"# a\n".repeat(len / 4)),
    ("blanks", |len| b" ".repeat(len)),
    ("tabs", |len| b"\t\n".repeat(len / 2)),
];

fn wrap(open: &str, middle: &str, close: &str) -> Vec<u8> {
    [open, middle, close].concat().into_bytes()
}

/// Repeats a text with a number until it has `len` bytes.
fn many(len: usize, text: impl Fn(usize) -> String, open: &str, close: &str) -> Vec<u8> {
    let mut input = String::from(open);
    for n in 0.. {
        if input.len() >= len {
            break;
        }
        input.push_str(&text(n));
    }
    (input + close).into_bytes()
}

/// A job with 31 levels, each with a field of an odd type, and many unknown values at the bottom.
fn deep(value: &str, len: usize) -> Vec<u8> {
    nested(r#"{"kind":7,"spec":{"subJobs":["#, r#""kind":7,"#, value, len)
}

/// A job with 30 levels that start with `open`, and at the bottom one with the fields `bottom` and
/// many unknown values.
fn nested(open: &str, bottom: &str, value: &str, len: usize) -> Vec<u8> {
    let values = value.repeat(len / value.len());
    wrap(&open.repeat(30), &format!("{{{bottom}\"x\":[{values}1]}}"), &"]}}".repeat(30))
}

/// Replaces the last bracket of a job.
fn with_end(mut job: Vec<u8>, end: &[u8]) -> Vec<u8> {
    job.pop();
    job.extend_from_slice(end);
    job
}

/// A row of a list of jobs, with the fields of the documented one.
fn row(n: usize) -> String {
    format!(
        r#"{{"kind":"Job","apiVersion":"v2","metadata":{{"uid":"{n:08}-87e4-11f0-be88-0255ac10003f","creationTimestamp":"2025-09-02 10:23:38.987955 +0000 UTC","updateTimestamp":"2025-09-02 11:26:03.218087 +0000 UTC"}},"spec":{{"type":"ScaleupCluster","clusteruid":"7ec8b73d-83db-11f0-8baa-0255ac10003e","resourceid":"3b4410fa-87e6-11f0-be88-0255ac10003f","resourcename":"node","extendparam":{{"a":"","b":"true"}}}},"status":{{"status":"Failed","reason":"recycle resource"}}}},"#
    )
}

/// Bytes of a sub-job, so that 8 MiB have as many as the limit allows.
const SUB_JOB_LEN: usize = 839;

/// A job with sub-jobs of one long text, without deviations.
fn plain_sub_jobs(len: usize) -> Vec<u8> {
    let reason = "a".repeat(SUB_JOB_LEN - 195);
    let one = |n: usize| {
        format!(
            r#"{{"kind":"Job","apiVersion":"v3","metadata":{{"uid":"{n:08}","creationTimestamp":"2020-02-02 08:12:40.672772389 +0000 UTC"}},"spec":{{"type":"CreateNode"}},"status":{{"phase":"Running","reason":"{reason}"}}}},"#
        )
    };
    let sub_jobs: String = (0..len / SUB_JOB_LEN).map(one).collect();
    wrap(r#"{"spec":{"subJobs":["#, &sub_jobs, r#"{}]},"status":{"phase":"Running"}}"#)
}

/// A job with sub-jobs of short texts, all known fields and some unknown ones, without deviations.
fn short_sub_jobs(len: usize) -> Vec<u8> {
    let unknown: String = (0..24).map(|n| format!(r#","member{n:04}":"value""#)).collect();
    let one = format!(
        r#"{{"kind":"Job","apiVersion":"v3","metadata":{{"uid":"0123456789abcdef","creationTimestamp":"2020-02-02 08:12:40.672772389 +0000 UTC","updateTimestamp":"2020-02-02 08:20:09.672772389 +0000 UTC"}},"spec":{{"type":"CreateNode","clusterUID":"fd3b4ac0-9606-11e8","extendParam":{{"serverID":"bc467e3a"}}}},"status":{{"phase":"Success","reason":""}}{unknown}}},"#
    );
    let sub_jobs = one.repeat(len / SUB_JOB_LEN);
    wrap(r#"{"spec":{"subJobs":["#, &sub_jobs, r#"{}]},"status":{"phase":"Running"}}"#)
}

/// A job with sub-jobs that have odd types and unknown fields.
fn odd_sub_jobs(len: usize) -> Vec<u8> {
    let unknown = "1,".repeat((SUB_JOB_LEN - 48) / 2);
    let one = format!(r#"{{"kind":7,"status":{{"phase":"success"}},"x":[{unknown}1]}},"#);
    let sub_jobs = one.repeat(len / SUB_JOB_LEN);
    wrap(r#"{"spec":{"subJobs":["#, &sub_jobs, "{}]}}")
}
