//! Texts that are endpoints, and the job addresses made of them.

use percent_encoding::percent_decode_str;
use proptest::prelude::*;

use super::*;

#[test]
fn texts() {
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
        ("https://cce.example:99999", Err(Port)),
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

proptest! {
    #[test]
    fn any_id_becomes_one_segment_and_can_be_told_from_it(
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
