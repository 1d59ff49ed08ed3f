//! What replies to signed requests say of a key, and how many are sent.

use std::task::Poll;

use bytes::Bytes;
use futures_util::poll;
use http::Response;
use job_model::ServiceError;

use super::*;

/// When each signature is made, by the caller's clock.
const AT: Timestamp = Timestamp::constant(1_580_631_160, 0);

/// A reply with this status and code, whose `Date` is so many seconds after the signature's.
fn reply(status: u16, code: &str, date: Option<i64>) -> Reply {
    let body = match code {
        "" => Bytes::from_static(br#"{"message": "m"}"#),
        code => Bytes::from(format!(r#"{{"error_code": "{code}", "error_msg": "m"}}"#)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if let Some(seconds) = date {
        let date = AT + SignedDuration::from_secs(seconds);
        let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        response.headers_mut().insert("date", date.parse().unwrap());
    }
    let service_error = ServiceError::from_body(status, None, response.body());
    Reply { response, service_error: service_error.filter(|_| status != 200) }
}

/// Sends one signed request for each reply, and returns what is made of it: the verdict, whether
/// the next request may go beside others, and the skew in seconds; or what the service had said.
async fn judged(replies: &[(u16, &str, Option<i64>)]) -> String {
    let guard = KeyGuard::default();
    let mut lines = String::new();
    for (status, code, date) in replies {
        let line = match guard.pass().await {
            Err(said) => format!("unsent: {said}"),
            Ok(pass) => {
                // The service's time is what it is: the caller's clock was set by the skew.
                let at = AT + pass.skew;
                let verdict = pass.judge(&reply(*status, code, *date), at);
                let state = lock(&guard.state);
                format!("{verdict:?}, proven {}, skew {}", state.proven, state.skew.as_secs())
            }
        };
        lines += &format!("{status} {code} {date:?}: {line}\n");
    }
    lines
}

#[tokio::test]
async fn replies() {
    const WRONG: (u16, &str) = (401, "APIGW.0301");
    let wrong = |date| (WRONG.0, WRONG.1, date);
    let rows: [&[(u16, &str, Option<i64>)]; 11] = [
        &[(200, "", None)],
        // What stands before the gateway's check says nothing; what stands behind it does.
        &[
            (502, "", None),
            (429, "APIGW.0308", None),
            (401, "APIGW.0307", None),
            (404, "CCE.01404001", None),
        ],
        &[wrong(Some(0)), wrong(Some(0))],
        &[wrong(Some(897)), wrong(Some(0))],
        &[wrong(Some(899)), (200, "", None)],
        // A few that do not say why are enough; one that is accepted lets them begin anew.
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
        table += &judged(row).await;
        table += "\n";
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn until_a_signature_is_accepted_one_is_on_its_way() {
    let guard = KeyGuard::default();
    let first = guard.pass().await.unwrap();
    let mut second = Box::pin(guard.pass());
    assert!(poll!(&mut second).is_pending());
    // No reply came: nothing is known.
    drop(first);
    let Poll::Ready(Ok(second)) = poll!(&mut second) else { panic!("it is the second's turn") };
    let mut third = Box::pin(guard.pass());
    assert!(poll!(&mut third).is_pending());
    assert_eq!(second.judge(&reply(200, "", None), AT), Verdict::Settled);
    let Poll::Ready(Ok(_third)) = poll!(&mut third) else { panic!("the key is proven") };
    let fourth = poll!(Box::pin(guard.pass()));
    assert!(matches!(fourth, Poll::Ready(Ok(_))));
}

#[tokio::test]
async fn a_skew_that_another_learnt_is_taken_and_not_learnt_again() {
    let guard = KeyGuard::default();
    assert_eq!(guard.pass().await.unwrap().judge(&reply(200, "", None), AT), Verdict::Settled);
    let (one, other) = (guard.pass().await.unwrap(), guard.pass().await.unwrap());
    let off = reply(401, "APIGW.0301", Some(3_600));
    assert_eq!(one.judge(&off, AT), Verdict::SignAgain);
    assert_eq!(other.judge(&off, AT), Verdict::SignAgain);
    assert_eq!(guard.pass().await.unwrap().skew, SignedDuration::from_hours(1));
}

#[tokio::test]
async fn a_page_with_200_proves_nothing() {
    let guard = KeyGuard::default();
    let mut page = reply(200, "", None);
    *page.response.body_mut() = Bytes::from_static(b" <html>");
    assert_eq!(guard.pass().await.unwrap().judge(&page, AT), Verdict::Settled);
    assert!(!lock(&guard.state).proven);
}

#[tokio::test]
async fn a_late_reply_does_not_prove_a_skew_that_was_learnt_since() {
    let guard = KeyGuard::default();
    assert_eq!(guard.pass().await.unwrap().judge(&reply(200, "", None), AT), Verdict::Settled);
    let (late, off) = (guard.pass().await.unwrap(), guard.pass().await.unwrap());
    assert_eq!(off.judge(&reply(401, "APIGW.0301", Some(3_600)), AT), Verdict::SignAgain);
    assert_eq!(late.judge(&reply(200, "", None), AT), Verdict::Settled);
    assert!(!lock(&guard.state).proven);
}

#[test]
fn guards_are_kept_as_long_as_they_are_used_or_hold_a_refusal() {
    let (used, unused, refused) = ([1; 32], [2; 32], [3; 32]);
    let kept = KeyGuard::of(used);
    drop(KeyGuard::of(unused));
    lock(&KeyGuard::of(refused).state).refused = Some("wrong".into());
    assert!(Arc::ptr_eq(&kept, &KeyGuard::of(used)));
    assert!(lock(&KeyGuard::of(refused).state).is_refused());
    assert!(!lock(&GUARDS).contains_key(&unused));
}
