//! Tests valid and invalid endpoints, and the URIs built from them.

use percent_encoding::percent_decode_str;
use proptest::prelude::*;

use super::*;

#[test]
fn endpoint_texts_parse_or_are_rejected() {
    use EndpointError::*;
    let rows = [
        ("https://cce.eu-de.otc.t-systems.com", Ok("https://cce.eu-de.otc.t-systems.com")),
        ("https://cce.example:8443/", Ok("https://cce.example:8443")),
        ("https://proxy.example/cce//", Ok("https://proxy.example/cce")),
        ("http://localhost:8080", Ok("http://localhost:8080")),
        ("http://127.0.0.9", Ok("http://127.0.0.9")),
        ("http://[::1]:8080", Ok("http://[::1]:8080")),
        ("http://cce.example", Err(NotHttps)),
        ("http://localhost.example", Err(NotHttps)),
        ("http://127.0.0.1.example", Err(NotHttps)),
        ("http://10.0.0.1", Err(NotHttps)),
        ("ftp://cce.example", Err(NotHttps)),
        ("https://user:secret@cce.example", Err(UserInfo)),
        ("https://cce.example?x=1", Err(QueryOrFragment)),
        ("https://cce.example/#x", Err(QueryOrFragment)),
        ("https://cce.example:99999", Err(InvalidPort)),
        ("cce.example", Err(NotUrl)),
        ("/api/v3", Err(NotUrl)),
        ("https://", Err(NotUrl)),
        ("https://:8443", Err(NotUrl)),
        ("https://:8443/x", Err(NotUrl)),
        ("", Err(NotUrl)),
        ("https://cce example", Err(NotUrl)),
    ];
    for (text, expected) in rows {
        let endpoint = text.parse::<Endpoint>().map(|endpoint| endpoint.to_string());
        assert_eq!(endpoint, expected.map(String::from), "{text:?}");
    }
}

#[test]
fn region_names_yield_cce_and_iam_endpoints() {
    use Cloud::*;
    let region = |text: &str| Ok(text.to_owned());
    let rows = [
        (OpenTelekom, "eu-de", region("eu-de.otc.t-systems.com")),
        (OpenTelekom, "eu-nl", region("eu-nl.otc.t-systems.com")),
        (Huawei, "cn-north-4", region("cn-north-4.myhuaweicloud.com")),
        (Huawei, "eu-west-101", region("eu-west-101.myhuaweicloud.eu")),
        (Huawei, "", Err(EndpointError::InvalidRegion)),
        (Huawei, "eu-west-188", region("eu-west-188.myhuaweicloud.eu")),
        (Huawei, "-eu-de", Err(EndpointError::InvalidRegion)),
        (Huawei, "EU-DE", Err(EndpointError::InvalidRegion)),
        (Huawei, "evil.example/", Err(EndpointError::InvalidRegion)),
        (Huawei, "user@evil", Err(EndpointError::InvalidRegion)),
        (OpenTelekom, &"a".repeat(64), Err(EndpointError::InvalidRegion)),
    ];
    for (cloud, name, expected) in rows {
        let shown = |endpoint: Result<Endpoint, _>| endpoint.map(|endpoint| endpoint.to_string());
        let of = |service| expected.clone().map(|host| format!("https://{service}.{host}"));
        assert_eq!(shown(Endpoint::for_region(cloud, name)), of("cce"), "{name}");
        let identity = Endpoint::identity_for_region(cloud, name);
        assert_eq!(shown(identity), of("iam"), "{name}");
    }
}

#[test]
fn a_region_names_its_cloud_only_if_no_other_operator_has_it() {
    use Cloud::*;
    let rows = [
        ("eu-de", Some(OpenTelekom)),
        ("eu-nl", Some(OpenTelekom)),
        ("cn-north-4", Some(Huawei)),
        ("cn-north-44", None),
        ("eu-west-101", Some(Huawei)),
        ("eu-west-199", Some(Huawei)),
        ("eu-west-1", None),
        ("eu-west-10", None),
        ("eu-west-1000", None),
        ("eu-west-0", None),
        ("eu-ch2", None),
        ("ae-ad-1", None),
        ("ru-moscow-1", None),
        ("ru-northwest-2", None),
        ("my-kualalumpur-1", None),
        ("", None),
    ];
    for (region, expected) in rows {
        assert_eq!(Cloud::from_region(region), expected, "{region}");
    }
}

#[test]
fn allow_http_accepts_and_marks_plain_http_endpoints() {
    let rows = [
        ("http://cce.example/", Ok("http://cce.example")),
        ("https://cce.example", Ok("https://cce.example")),
        ("ftp://cce.example", Err(EndpointError::NotHttps)),
        ("http://user@cce.example", Err(EndpointError::UserInfo)),
    ];
    let marked = |endpoint: &Endpoint| {
        let request = endpoint.request(endpoint.tokens_uri().unwrap()).unwrap();
        request.extensions().get::<AllowHttp>().is_some()
    };
    for (text, expected) in rows {
        let endpoint = Endpoint::allow_http(text);
        assert!(endpoint.as_ref().is_ok_and(marked) == expected.is_ok(), "{text}");
        let shown = endpoint.map(|endpoint| endpoint.to_string());
        assert_eq!(shown, expected.map(String::from), "{text}");
    }
    assert!(!marked(&"https://cce.example".parse().unwrap()));
}

#[test]
fn token_uri_contains_the_api_version_once() {
    for text in ["https://iam.example", "https://iam.example/", "https://iam.example/v3/"] {
        let endpoint: Endpoint = text.parse().unwrap();
        assert_eq!(endpoint.tokens_uri().unwrap(), "https://iam.example/v3/auth/tokens", "{text}");
    }
}

proptest! {
    #[test]
    fn ids_round_trip_through_one_path_segment(
        project in "[^/?#%\\p{Cc}]{1,30}", job in "[^/?#%\\p{Cc}]{1,30}", prefix in "(/[a-z0-9.~-]{1,8}){0,3}",
    ) {
        let (Ok(project), Ok(job)) = (project.parse::<ProjectId>(), job.parse::<JobId>()) else {
            return Ok(()); // `.` and `..`
        };
        let endpoint: Endpoint = format!("https://cce.example{prefix}").parse().unwrap();
        let uri = endpoint.job_uri(&project, &job).unwrap();
        prop_assert_eq!(uri.query(), None);
        let path = uri.path().strip_prefix(&*prefix).unwrap();
        let segments: Vec<_> =
            path.split('/').map(|s| percent_decode_str(s).decode_utf8().unwrap()).collect();
        prop_assert_eq!(
            segments,
            ["", "api", "v3", "projects", project.as_str(), "jobs", job.as_str()]
        );
    }
}
