//! Tests how replies to signed requests change the state of a key, and how many requests are sent.

use std::task::Poll;

use bytes::Bytes;
use futures_util::poll;
use http::Response;
use job_model::ServiceError;

use super::*;

/// The time of each signature, by the caller's clock.
const SIGNED_AT: Timestamp = Timestamp::constant(1_580_631_160, 0);

/// Returns a reply with this status and code. Its `Date` is `date` seconds after [`SIGNED_AT`].
fn reply(status: u16, code: &str, date: Option<i64>) -> Reply {
    let body = match code {
        "" => Bytes::from_static(br#"{"message": "m"}"#),
        code => Bytes::from(format!(r#"{{"error_code": "{code}", "error_msg": "m"}}"#)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if let Some(seconds) = date {
        let date = SIGNED_AT + SignedDuration::from_secs(seconds);
        let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        response.headers_mut().insert("date", date.parse().unwrap());
    }
    let service_error = ServiceError::from_body(status, None, response.body());
    Reply { response, service_error: service_error.filter(|_| status != 200) }
}

/// Sends one signed request for each reply. Returns one line per reply: the key's status, whether
/// the key is proven, and the skew in seconds; or the stored refusal if the request was not sent.
async fn observe_all(replies: &[(u16, &str, Option<i64>)]) -> String {
    let guard = SignatureGuard::default();
    let mut lines = String::new();
    for (status, code, date) in replies {
        let line = match guard.acquire().await {
            Err(RefusedKey(said)) => {
                format!("unsent: {}", said.map(|said| said.to_string()).unwrap_or_default())
            }
            Ok(permit) => {
                // The signature's time is the caller's clock plus the skew.
                let at = SIGNED_AT + permit.skew;
                let status = permit.observe(&reply(*status, code, *date), at);
                let state = lock(&guard.state);
                format!("{status:?}, proven {}, skew {}", state.proven, state.skew.as_secs())
            }
        };
        lines += &format!("{status} {code} {date:?}: {line}\n");
    }
    lines
}

#[tokio::test]
async fn replies_determine_key_status_and_clock_skew() {
    const WRONG_SIGNATURE_REPLY: (u16, &str) = (401, "APIGW.0301");
    let wrong = |date| (WRONG_SIGNATURE_REPLY.0, WRONG_SIGNATURE_REPLY.1, date);
    let rows: [&[(u16, &str, Option<i64>)]; 11] = [
        &[(200, "", None)],
        // Only the reply of the service behind the gateway (`CCE.`) proves the key.
        &[
            (502, "", None),
            (429, "APIGW.0308", None),
            (401, "APIGW.0307", None),
            (404, "CCE.01404001", None),
        ],
        &[wrong(Some(0)), wrong(Some(0))],
        &[wrong(Some(897)), wrong(Some(0))],
        &[wrong(Some(899)), (200, "", None)],
        // Three refusals without a reason block the key. An accepted signature resets the count.
        &[(401, "", None), (401, "", None), (401, "", None), (401, "", None)],
        &[
            (401, "", None),
            (401, "", None),
            (200, "", None),
            (401, "", None),
            (401, "", None),
            (401, "", None),
            (401, "", None),
        ],
        &[wrong(None), wrong(None)],
        &[wrong(Some(43_200)), (200, "", Some(43_200))],
        &[wrong(Some(-43_200)), wrong(Some(-43_200)), (200, "", None)],
        &[
            wrong(Some(901)),
            (200, "", Some(901)),
            wrong(Some(7_200)),
            (200, "", Some(7_200)),
            wrong(Some(7_200)),
        ],
    ];
    let mut table = String::new();
    for row in rows {
        table += &observe_all(row).await;
        table += "\n";
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn unproven_keys_allow_one_request_in_flight() {
    let guard = SignatureGuard::default();
    let first = guard.acquire().await.unwrap();
    let mut second = Box::pin(guard.acquire());
    assert!(poll!(&mut second).is_pending());
    // The first request got no reply, so the key is still not proven.
    drop(first);
    let Poll::Ready(Ok(second)) = poll!(&mut second) else { panic!("it is the second's turn") };
    let mut third = Box::pin(guard.acquire());
    assert!(poll!(&mut third).is_pending());
    assert_eq!(second.observe(&reply(200, "", None), SIGNED_AT), KeyStatus::Unchanged);
    let Poll::Ready(Ok(_third)) = poll!(&mut third) else { panic!("the key is proven") };
    let fourth = poll!(Box::pin(guard.acquire()));
    assert!(matches!(fourth, Poll::Ready(Ok(_))));
}

#[tokio::test]
async fn a_skew_learned_by_another_request_is_reused() {
    let guard = SignatureGuard::default();
    assert_eq!(
        guard.acquire().await.unwrap().observe(&reply(200, "", None), SIGNED_AT),
        KeyStatus::Unchanged
    );
    let (one, other) = (guard.acquire().await.unwrap(), guard.acquire().await.unwrap());
    let off = reply(401, "APIGW.0301", Some(3_600));
    assert_eq!(one.observe(&off, SIGNED_AT), KeyStatus::ClockCorrected);
    assert_eq!(other.observe(&off, SIGNED_AT), KeyStatus::ClockCorrected);
    assert_eq!(guard.acquire().await.unwrap().skew, SignedDuration::from_hours(1));
}

#[tokio::test]
async fn an_html_page_with_200_does_not_prove_the_key() {
    let guard = SignatureGuard::default();
    let mut page = reply(200, "", None);
    *page.response.body_mut() = Bytes::from_static(b" <html>");
    assert_eq!(guard.acquire().await.unwrap().observe(&page, SIGNED_AT), KeyStatus::Unchanged);
    assert!(!lock(&guard.state).proven);
}

#[tokio::test]
async fn a_late_reply_does_not_prove_a_newer_skew() {
    let guard = SignatureGuard::default();
    assert_eq!(
        guard.acquire().await.unwrap().observe(&reply(200, "", None), SIGNED_AT),
        KeyStatus::Unchanged
    );
    let (late, off) = (guard.acquire().await.unwrap(), guard.acquire().await.unwrap());
    assert_eq!(
        off.observe(&reply(401, "APIGW.0301", Some(3_600)), SIGNED_AT),
        KeyStatus::ClockCorrected
    );
    assert_eq!(late.observe(&reply(200, "", None), SIGNED_AT), KeyStatus::Unchanged);
    assert!(!lock(&guard.state).proven);
}

#[test]
fn guards_are_kept_while_in_use_or_refused() {
    let (used, unused, refused) = ([1; 32], [2; 32], [3; 32]);
    let kept = SignatureGuard::for_key(used);
    drop(SignatureGuard::for_key(unused));
    lock(&SignatureGuard::for_key(refused).state).refusal = Some(RefusedKey(None));
    assert!(Arc::ptr_eq(&kept, &SignatureGuard::for_key(used)));
    assert!(lock(&SignatureGuard::for_key(refused).state).is_refused());
    assert!(!lock(&GUARDS).contains_key(&unused));
}
