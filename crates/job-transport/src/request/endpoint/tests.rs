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

#[test]
fn autopilot_endpoints_have_their_own_path() {
    // The text, and the path of a job.
    let rows = [
        ("https://cce.example", "/api/v3/projects/p/jobs/j"),
        ("https://cce.example/autopilot", "/autopilot/v3/projects/p/jobs/j"),
        ("https://cce.example:8443/autopilot/", "/autopilot/v3/projects/p/jobs/j"),
        ("https://proxy.example/cce/autopilot", "/cce/autopilot/v3/projects/p/jobs/j"),
        ("https://proxy.example/autopilot/cce", "/autopilot/cce/api/v3/projects/p/jobs/j"),
        ("https://proxy.example/xautopilot", "/xautopilot/api/v3/projects/p/jobs/j"),
        ("https://autopilot", "/api/v3/projects/p/jobs/j"),
        ("https://autopilot/autopilot", "/autopilot/v3/projects/p/jobs/j"),
    ];
    let (project, job) = ("p".parse().unwrap(), "j".parse().unwrap());
    for (text, path) in rows {
        let endpoint: Endpoint = text.parse().unwrap();
        assert_eq!(endpoint.job_uri(&project, &job).unwrap().path(), path, "{text}");
        let template = endpoint.job_path().replace("{project_id}", "p").replace("{job_id}", "j");
        assert!(path.ends_with(&template), "{text}");
        let list = path.replace("/v3/", "/v2/").replace("/jobs/j", "/jobs");
        assert_eq!(endpoint.jobs_uri(&project).unwrap().path(), list, "{text}");
        assert!(list.ends_with(&endpoint.jobs_path().replace("{project_id}", "p")), "{text}");

        let ids = [
            (ObjectId::Cluster("c".parse().unwrap()), "/clusters/c"),
            (
                ObjectId::Node { cluster: "c".parse().unwrap(), node: "n".parse().unwrap() },
                "/clusters/c/nodes/n",
            ),
        ];
        for (id, end) in ids {
            let uri = endpoint.object_uri(&project, &id).unwrap();
            assert_eq!(uri.path(), path.replace("/jobs/j", end), "{text}");
            let template = endpoint.object_path(id.kind()).replace("{project_id}", "p");
            let template = template.replace("{cluster_id}", "c").replace("{node_id}", "n");
            assert!(uri.path().ends_with(&template), "{text}: {template}");
        }

        let autopilot = endpoint.clone().autopilot();
        let path = autopilot.job_uri(&project, &job).unwrap().path().to_owned();
        assert!(path.ends_with("/autopilot/v3/projects/p/jobs/j"), "{text}: {path}");
        assert!(autopilot.is_autopilot(), "{text}");
        assert_eq!(autopilot.clone().autopilot(), autopilot, "{text}");
        assert_eq!(endpoint.is_autopilot(), endpoint == autopilot, "{text}");
        let stored = serde_json::to_string(&autopilot).unwrap();
        assert_eq!(serde_json::from_str::<Endpoint>(&stored).unwrap(), autopilot, "{text}");
    }
}

#[test]
fn endpoints_and_clouds_convert_from_and_to_text() {
    let text = "https://cce.example/x";
    let endpoint: Endpoint = text.parse().unwrap();
    assert_eq!(Endpoint::try_from(text), Ok(endpoint.clone()));
    assert_eq!(Endpoint::try_from(text.to_owned()), Ok(endpoint.clone()));
    assert_eq!(String::from(endpoint.clone()), text);
    let stored = serde_json::to_string(&endpoint).unwrap();
    assert_eq!(stored, format!("\"{text}\""));
    assert_eq!(serde_json::from_str::<Endpoint>(&stored).unwrap(), endpoint);
    assert_eq!(Endpoint::try_from("cce.example"), Err(EndpointError::NotUrl));

    // What was allowed explicitly is not allowed by a stored text.
    let plain = serde_json::to_string(&Endpoint::allow_http("http://cce.example").unwrap());
    let error = serde_json::from_str::<Endpoint>(&plain.unwrap()).unwrap_err();
    assert!(error.to_string().starts_with(&EndpointError::NotHttps.to_string()), "{error}");

    for (name, cloud) in [("huawei", Cloud::Huawei), ("otc", Cloud::OpenTelekom)] {
        assert_eq!(name.parse(), Ok(cloud));
        assert_eq!(Cloud::try_from(name), Ok(cloud));
        assert_eq!(Cloud::try_from(name.to_owned()), Ok(cloud));
        assert_eq!((cloud.to_string(), String::from(cloud)), (name.into(), name.into()));
        let stored = serde_json::to_string(&cloud).unwrap();
        assert_eq!(serde_json::from_str::<Cloud>(&stored).unwrap(), cloud);
    }
    for name in ["", "OTC", "aws"] {
        assert_eq!(name.parse::<Cloud>(), Err(EndpointError::InvalidCloud), "{name}");
    }
    assert!(serde_json::from_str::<Cloud>("\"aws\"").is_err());
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
        prop_assume!(!endpoint.is_autopilot());
        let uri = endpoint.job_uri(&project, &job).unwrap();
        prop_assert_eq!(uri.query(), None);
        let path = uri.path().strip_prefix(&*prefix).unwrap();
        let segments: Vec<_> =
            path.split('/').map(|s| percent_decode_str(s).decode_utf8().unwrap()).collect();
        prop_assert_eq!(
            segments,
            ["", "api", "v3", "projects", project.as_str(), "jobs", job.as_str()]
        );
        let cluster = job.as_str().parse().unwrap();
        let id = ObjectId::Node { cluster, node: project.as_str().parse().unwrap() };
        let uri = endpoint.object_uri(&project, &id).unwrap();
        prop_assert_eq!(uri.query(), None);
        let path = uri.path().strip_prefix(&*prefix).unwrap();
        let segments: Vec<_> =
            path.split('/').map(|s| percent_decode_str(s).decode_utf8().unwrap()).collect();
        let (project, cluster) = (project.as_str(), job.as_str());
        prop_assert_eq!(
            segments,
            ["", "api", "v3", "projects", project, "clusters", cluster, "nodes", project]
        );
    }
}
