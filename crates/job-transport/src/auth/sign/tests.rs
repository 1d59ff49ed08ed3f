//! Tests signatures against those of the vendor's SDK, and with arbitrary requests.

use proptest::{collection::vec, prelude::*};
use serde_json::Value;

use super::*;

/// The headers that this crate signs.
const SIGNED_HEADERS: [&str; 5] =
    ["content-type", "host", "x-project-id", "x-sdk-date", "x-security-token"];

/// Returns the test vectors: requests and the signatures of the vendor's signer.
fn vectors() -> Vec<Value> {
    let vectors = include_str!("../../../fixtures/signatures/vectors.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    vectors["vectors"].as_array().unwrap().clone()
}

fn text<'v>(vector: &'v Value, part: &str, name: &str) -> Option<&'v str> {
    vector[part][name].as_str()
}

/// Returns the names of the signed headers, from the request's `Authorization` header.
fn signed_names(request: &Request<Bytes>) -> String {
    let authorization = request.headers()[AUTHORIZATION].to_str().unwrap();
    let names = authorization.split("SignedHeaders=").nth(1).unwrap();
    names.split(',').next().unwrap().into()
}

/// Returns the vector's request before it is signed.
fn request(vector: &Value) -> Request<Bytes> {
    let input = |name| text(vector, "input", name).unwrap();
    let uri = format!("{}://{}{}", input("scheme"), input("host"), input("path"));
    let mut request = Request::builder().method(input("method")).uri(uri);
    for (name, value) in vector["input"]["headers"].as_object().unwrap() {
        if name != "X-Sdk-Date" {
            request = request.header(name, value.as_str().unwrap());
        }
    }
    let body = text(vector, "input", "body_utf8").unwrap_or_default();
    request.body(Bytes::from(body.to_owned())).unwrap()
}

#[test]
fn vendor_signature_vectors_are_reproduced() {
    let mut reproduced = Vec::new();
    for vector in vectors() {
        let output = |name| text(&vector, "output", name).unwrap();
        // The other vectors sign headers that this crate does not sign, because a proxy may rewrite
        // them.
        if !output("signed_headers").split(';').all(|name| SIGNED_HEADERS.contains(&name)) {
            continue;
        }
        let key = AccessKey::new(
            text(&vector, "input", "ak").unwrap(),
            text(&vector, "input", "sk").unwrap(),
        );
        let project = text(&vector, "input", "project_id").map(|id| id.parse().unwrap());
        let mut request = request(&vector);
        let at: Timestamp = "2020-02-02T08:12:40Z".parse().unwrap();
        let key = key.unwrap();
        sign(&mut request, &key, project.as_ref(), at).unwrap();

        assert_eq!(request.uri().path(), output("sent_uri"));
        let value = |name| request.headers().get(name);
        let signed = SIGNED_HEADERS.map(|name| (name, value(name)));
        let (canonical_request, names) = canonical_request(&request, &signed);
        assert_eq!(String::from_utf8_lossy(&canonical_request), output("canonical_request"));
        assert_eq!(canonical_request[names], *output("signed_headers").as_bytes());
        let digest = base16ct::lower::encode_string(&Sha256::digest(&canonical_request));
        let string_to_sign =
            string_to_sign(&request.headers()[X_SDK_DATE], digest.as_bytes()).concat();
        assert_eq!(String::from_utf8_lossy(&string_to_sign), output("string_to_sign"));
        assert_eq!(request.headers()[AUTHORIZATION], output("authorization"));
        reproduced.push(vector["name"].to_string());
    }
    assert_eq!(reproduced.len(), 5, "{reproduced:?}");
}

#[test]
fn vendor_signatures_of_queries_are_reproduced() {
    let file = include_str!("../../../fixtures/signatures/queries.json");
    let file: Value = serde_json::from_str(file).unwrap();
    let meta = |name| text(&file, "meta", name).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 10);
    for vector in vectors {
        let name = &vector["name"];
        let input = |name| text(vector, "input", name).unwrap();
        let encode = |part: &Value| {
            percent_encode(part.as_str().unwrap().as_bytes(), PATH_ENCODE_SET).to_string()
        };
        let query = vector["input"]["query"].as_array().unwrap().iter();
        let query: Vec<_> =
            query.map(|pair| format!("{}={}", encode(&pair[0]), encode(&pair[1]))).collect();
        // In the order of the client, and in that in which the vendor's client sends them.
        let given = format!("{}?{}", input("path"), query.join("&"));
        for target in [&*given, text(vector, "output", "sent_uri").unwrap()] {
            let uri = format!("https://{}{target}", input("host"));
            let mut request = Request::get(uri).body(Bytes::new()).unwrap();
            let header = |name: &str| vector["input"]["headers"][name].as_str();
            let mut key = AccessKey::new(meta("access_key"), meta("secret_key")).unwrap();
            if let Some(token) = header("X-Security-Token") {
                key = key.with_security_token(token).unwrap();
            }
            let project = header("X-Project-Id").map(|id| id.parse().unwrap());
            let at: Timestamp = "2020-02-02T08:12:40Z".parse().unwrap();
            sign(&mut request, &key, project.as_ref(), at).unwrap();
            let value = |name| request.headers().get(name);
            let signed = SIGNED_HEADERS.map(|name| (name, value(name)));
            let (canonical, _) = canonical_request(&request, &signed);
            let output = |name| text(vector, "output", name).unwrap();
            assert_eq!(String::from_utf8_lossy(&canonical), output("canonical_request"), "{name}");
            assert_eq!(request.headers()[AUTHORIZATION], output("authorization"), "{name}");
            assert_eq!(request.uri().path_and_query().unwrap(), target);
        }
    }
}

#[test]
fn temporary_keys_sign_security_token_and_project() {
    let key = AccessKey::new("AK", "SK").unwrap().with_security_token("TOKEN").unwrap();
    let mut request = Request::get("https://h/a").body(Bytes::new()).unwrap();
    let project = "p".parse().unwrap();
    sign(&mut request, &key, Some(&project), Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(signed_names(&request), "host;x-project-id;x-sdk-date;x-security-token");
    for name in [AUTHORIZATION, X_SECURITY_TOKEN] {
        assert!(request.headers()[name].is_sensitive());
    }
}

#[test]
fn a_request_without_a_host_is_not_signed() {
    let mut request = Request::get("/v3").body(Bytes::new()).unwrap();
    let key = AccessKey::new("AK", "SK").unwrap();
    assert!(sign(&mut request, &key, None, Timestamp::UNIX_EPOCH).is_err());
    assert!(request.headers().is_empty());
}

#[test]
fn paths_and_queries_are_canonicalized() {
    let rows = [
        ("", "/"),
        ("/", "/"),
        ("/a", "/a/"),
        ("/a/", "/a/"),
        ("/a//", "/a//"),
        ("/a//b", "/a//b/"),
        ("/a:b/%7e%2f", "/a%3Ab/~%2F/"),
        ("/%C3%BC", "/%C3%BC/"),
    ];
    let pushed = |push: fn(&mut Vec<u8>, &str), part| {
        let mut text = Vec::new();
        push(&mut text, part);
        String::from_utf8(text).unwrap()
    };
    for (path, canonical) in rows {
        assert_eq!(pushed(push_path, path), canonical, "{path}");
    }
    let rows = [
        ("", ""),
        ("b=2&a=x%20y&a=%2b&c&", "a=%2B&a=x%20y&b=2&c="),
        ("a1=2&a=1&a-=0", "a=1&a-=0&a1=2"),
        ("a==", "a=%3D"),
    ];
    for (query, canonical) in rows {
        assert_eq!(pushed(push_query, query), canonical, "{query}");
    }
}

#[test]
fn signed_headers_have_their_own_values() {
    let key = AccessKey::new("AK", "SK").unwrap();
    for project in [None, Some("p"), Some("the project"), Some("projekt-\u{e4}")] {
        let mut request = Request::get("https://h:8443/").body(Bytes::new()).unwrap();
        let id = project.map(|project| project.parse().unwrap());
        sign(&mut request, &key, id.as_ref(), Timestamp::UNIX_EPOCH).unwrap();
        let rows = [
            (HOST, Some("h:8443")),
            (X_SDK_DATE, Some("19700101T000000Z")),
            (X_PROJECT_ID, project),
        ];
        for (name, expected) in rows {
            let value = request.headers().get(&name).map(HeaderValue::as_bytes);
            assert_eq!(value, expected.map(str::as_bytes), "{name}");
        }
    }
}

proptest! {
    #[test]
    fn signing_never_panics_or_adds_line_breaks(
        path in "(/[!-~&&[^?#]]{0,9}){0,4}",
        query in "[a-z=&%20]{0,20}",
        values in vec("[ -~]{0,20}", 2),
        project in "\\PC{1,30}",
        body in vec(any::<u8>(), 0..50),
        second in -300_000_000_000_i64..250_000_000_000,
    ) {
        let request = Request::post(format!("https://h{path}?{query}"))
            .header(CONTENT_TYPE, &values[0])
            .header("x-other", &values[1])
            .body(Bytes::from(body));
        let (Ok(mut request), Ok(project)) = (request, project.parse()) else { return Ok(()) };
        let key = AccessKey::new("AK", "SK").unwrap().with_security_token("TOKEN").unwrap();
        let at = Timestamp::from_second(second).unwrap();
        if sign(&mut request, &key, Some(&project), at).is_err() {
            return Ok(()); // The project id is not a valid header value.
        }
        for (name, value) in request.headers() {
            prop_assert!(!value.as_bytes().iter().any(|byte| b"\r\n\0".contains(byte)), "{name}");
        }
        prop_assert!(!signed_names(&request).contains("x-other"));
    }
}
