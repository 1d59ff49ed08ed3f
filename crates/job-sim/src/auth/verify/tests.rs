//! Tests the vendor's own signatures, and changes that must invalidate them.

use serde_json::Value;

use super::*;

const NOW: &str = "2020-02-02T08:12:40Z";

/// Returns the vendor's signed requests with their names and secret keys.
fn vectors() -> Vec<(String, Request<Bytes>, String)> {
    let vectors = include_str!("../../../fixtures/signatures/vectors.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let vector = |vector: &Value| {
        let (input, output) = (&vector["input"], &vector["output"]);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let uri = format!("https://{}{}", text(&input["host"]), text(&output["sent_uri"]));
        let mut request = Request::builder().method(&*text(&input["method"])).uri(uri);
        for (name, value) in output["all_headers"].as_object().unwrap() {
            // Each character of a vector stands for one byte that is sent.
            let value: Vec<u8> = text(value).chars().map(|c| u8::try_from(c).unwrap()).collect();
            request = request.header(name, value);
        }
        let request = request.body(Bytes::from(text(&input["body_utf8"]))).unwrap();
        (text(&vector["name"]), request, text(&input["sk"]))
    };
    vectors["vectors"].as_array().unwrap().iter().map(vector).collect()
}

fn verify(request: &Request<Bytes>, secret_key: &str, now: &str) -> Result<(), SignatureError> {
    parse_authorization(request)?.verify(request, secret_key, now.parse().unwrap())
}

#[test]
fn vendor_signature_vectors_verify() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 7);
    for (name, request, secret_key) in &vectors {
        assert_eq!(verify(request, secret_key, NOW), Ok(()), "{name}");
    }
}

#[test]
fn vendor_signatures_of_queries_verify() {
    let file = include_str!("../../../fixtures/signatures/queries.json");
    let file: Value = serde_json::from_str(file).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 10);
    for vector in vectors {
        let text = |part: &str, name: &str| vector[part][name].as_str().unwrap();
        let uri = format!("https://{}{}", text("input", "host"), text("output", "sent_uri"));
        let mut request = Request::get(uri)
            .header("authorization", text("output", "authorization"))
            .header("x-sdk-date", file["meta"]["x_sdk_date"].as_str().unwrap());
        for (name, value) in vector["input"]["headers"].as_object().unwrap() {
            request = request.header(name, value.as_str().unwrap());
        }
        let request = request.body(Bytes::new()).unwrap();
        let secret_key = file["meta"]["secret_key"].as_str().unwrap();
        assert_eq!(verify(&request, secret_key, NOW), Ok(()), "{}", vector["name"]);
    }
}

#[test]
fn any_change_invalidates_the_signature() {
    type Change = fn(&mut Request<Bytes>);
    let changes: [(&str, Change); 6] = [
        ("method", |r| *r.method_mut() = http::Method::DELETE),
        ("path", |r| *r.uri_mut() = format!("{}x", r.uri()).parse().unwrap()),
        ("query", |r| *r.uri_mut() = format!("{}?a=1", r.uri()).parse().unwrap()),
        ("host", |r| drop(r.headers_mut().insert("host", "other.example".parse().unwrap()))),
        ("date", |r| {
            drop(r.headers_mut().insert("x-sdk-date", "20200202T081241Z".parse().unwrap()))
        }),
        ("body", |r| *r.body_mut() = Bytes::from_static(b"other")),
    ];
    for (name, request, secret_key) in vectors() {
        for (what, change) in changes {
            let mut request = request.clone();
            change(&mut request);
            let error = verify(&request, &secret_key, NOW).unwrap_err();
            assert!(matches!(error, SignatureError::Mismatch { .. }), "{name} {what}: {error:?}");
        }
        assert!(verify(&request, "another secret", NOW).is_err(), "{name}");
    }
}

#[test]
fn malformed_and_skewed_signatures_are_rejected() {
    let (_, request, secret_key) = vectors().remove(0);
    let with = |authorization: &str| {
        let mut request = request.clone();
        request.headers_mut().insert("authorization", authorization.parse().unwrap());
        verify(&request, &secret_key, NOW)
    };
    let incomplete = |what| Err(SignatureError::Incomplete(what));
    assert_eq!(with("Bearer x"), incomplete("SDK-HMAC-SHA256"));
    assert_eq!(with("SDK-HMAC-SHA256 Access=a, Signature=b"), incomplete("SignedHeaders"));
    let rows = [
        ("2020-02-02T08:27:40Z", Ok(())),
        ("2020-02-02T07:57:40Z", Ok(())),
        ("2020-02-02T08:27:41Z", Err(SignatureError::ClockSkew)),
        ("2020-02-02T07:57:39Z", Err(SignatureError::ClockSkew)),
    ];
    for (now, expected) in rows {
        assert_eq!(verify(&request, &secret_key, now), expected, "{now}");
    }
    let mut undated = request.clone();
    undated.headers_mut().remove("x-sdk-date");
    assert_eq!(verify(&undated, &secret_key, NOW), incomplete("X-Sdk-Date"));
}

proptest::proptest! {
    #[test]
    fn never_panics(authorization in "[ -~]{0,80}", date in "[ -~]{0,20}", path in "(/[!-~&&[^?#]]{0,9}){0,4}") {
        let request = Request::get(path).header("x-sdk-date", date);
        let request = request.header("authorization", format!("SDK-HMAC-SHA256 {authorization}"));
        if let Ok(request) = request.body(Bytes::new()) {
            let _ = verify(&request, "secret", NOW);
        }
    }

    #[test]
    fn signed_requests_verify(
        path in "(/[a-z%20:é]{0,4}){0,4}", query in "[a-c=&%20-]{0,20}", value in "[ -~]{0,20}",
        body in proptest::collection::vec(proptest::num::u8::ANY, 0..20),
    ) {
        let uri = format!("https://h:8443{path}?{query}");
        let request = Request::post(uri).header("content-type", value).body(Bytes::from(body));
        if let Ok(mut request) = request {
            let key = job_transport::auth::AccessKey::new("AK", "secret").unwrap();
            job_transport::auth::sign(&mut request, &key, None, NOW.parse().unwrap()).unwrap();
            proptest::prop_assert_eq!(verify(&request, "secret", NOW), Ok(()));
        }
    }
}
