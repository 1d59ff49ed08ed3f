//! Tests how replies to signed requests change the state of a key, and how many requests are sent.

use std::task::Poll;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_util::poll;
use http::Response;
use job_model::ServiceError;

use super::*;
use crate::{auth::MemoryKeyRecords, testing::ManualClock};

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

fn new_guard() -> SignatureGuard {
    SignatureGuard::new(KeyId::new([0; 32]))
}

/// Observes a reply to a signature with the time [`SIGNED_AT`].
async fn observe(permit: Permit<'_>, reply: &Reply) -> KeyStatus {
    permit.observe(reply, SIGNED_AT, &ManualClock::new(), None).await
}

async fn acquire(guard: &SignatureGuard) -> Result<Permit<'_>, BlockedKey> {
    guard.acquire(&ManualClock::new(), None).await
}

fn is_proven(guard: &SignatureGuard) -> bool {
    matches!(lock(&guard.state).record, KeyRecord::Proven { .. })
}

/// Sends one signed request for each reply. Returns one line per reply: the key's status, the key's
/// record, and the skew in seconds; or the error if the request was not sent.
async fn observe_all(replies: &[(u16, &str, Option<i64>)]) -> String {
    let guard = new_guard();
    let clock = ManualClock::new();
    let mut lines = String::new();
    for (status, code, date) in replies {
        let line = match guard.acquire(&clock, None).await {
            Err(blocked) => format!("unsent: {}", FetchError::from(blocked)),
            Ok(permit) => {
                // The signature's time is the caller's clock plus the skew.
                let at = SIGNED_AT + permit.skew;
                let status = permit.observe(&reply(*status, code, *date), at, &clock, None).await;
                let state = lock(&guard.state);
                format!("{status:?}, {:?}, skew {}", state.record, state.skew.as_secs())
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
    let rows: [&[(u16, &str, Option<i64>)]; 14] = [
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
        // A refusal without a cause blocks a key, unless the key worked before.
        &[(401, "", None), (200, "", None)],
        &[(200, "", None), (401, "", None), (401, "", None), (200, "", None)],
        &[(200, "", None), (401, "", None), (200, "", None), (401, "", None), (200, "", None)],
        // A code of the service behind the gateway.
        &[(401, "CCE.01401001", None), wrong(None)],
        // Both families of codes.
        &[(200, "", None), (401, "APIG.0301", None), (200, "", None)],
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
    let guard = new_guard();
    let first = acquire(&guard).await.unwrap();
    let clock = ManualClock::new();
    let mut second = Box::pin(guard.acquire(&clock, None));
    assert!(poll!(&mut second).is_pending());
    // The first request got no reply, so the key is still not proven.
    drop(first);
    let Poll::Ready(Ok(second)) = poll!(&mut second) else { panic!("it is the second's turn") };
    let mut third = Box::pin(guard.acquire(&clock, None));
    assert!(poll!(&mut third).is_pending());
    assert_eq!(observe(second, &reply(200, "", None)).await, KeyStatus::Unchanged);
    let Poll::Ready(Ok(_third)) = poll!(&mut third) else { panic!("the key is proven") };
    let fourth = poll!(Box::pin(guard.acquire(&clock, None)));
    assert!(matches!(fourth, Poll::Ready(Ok(_))));
}

#[tokio::test]
async fn a_refusal_makes_a_proven_key_unproven() {
    // The causes that do not block the key.
    for (code, words) in [
        ("APIGW.0307", "token expired"),
        ("APIGW.0301", "securityToken expires"),
        ("APIGW.0301", "the account is frozen"),
        ("APIGW.0301", "signature expired"),
    ] {
        let guard = new_guard();
        observe(acquire(&guard).await.unwrap(), &reply(200, "", None)).await;
        let (refused, late) = (acquire(&guard).await.unwrap(), acquire(&guard).await.unwrap());
        let mut refusal = reply(401, code, None);
        let body = format!(r#"{{"error_code": "{code}", "error_msg": "{words}"}}"#);
        refusal.service_error = ServiceError::from_body(401, None, body.as_bytes());
        let status = observe(refused, &refusal).await;
        assert!(matches!(status, KeyStatus::Refused { blocked_until: None, .. }), "{status:?}");
        // A signature from before the refusal proves nothing.
        observe(late, &reply(200, "", None)).await;
        assert!(!is_proven(&guard), "{words}");
        let probe = acquire(&guard).await.unwrap();
        let clock = ManualClock::new();
        assert!(poll!(Box::pin(guard.acquire(&clock, None))).is_pending(), "{words}");
        observe(probe, &reply(200, "", None)).await;
        assert!(is_proven(&guard), "{words}");
    }
}

#[tokio::test]
async fn a_block_ends_after_five_minutes() {
    let (guard, clock) = (new_guard(), ManualClock::new());
    let permit = guard.acquire(&clock, None).await.unwrap();
    let status = permit.observe(&reply(401, "APIGW.0301", None), SIGNED_AT, &clock, None).await;
    let until = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(5);
    let cause = RefusalCause::WrongSignature;
    assert_eq!(status, KeyStatus::Refused { cause, blocked_until: Some(until) });
    clock.advance(299);
    let blocked = guard.acquire(&clock, None).await.err().unwrap();
    assert_eq!((blocked.cause, blocked.until), (cause, until));
    clock.advance(1);
    let _probe = guard.acquire(&clock, None).await.unwrap();
    assert!(poll!(Box::pin(guard.acquire(&clock, None))).is_pending());
}

#[tokio::test]
async fn a_server_time_in_the_body_corrects_the_clock() {
    let guard = new_guard();
    let mut refusal = reply(401, "APIGW.0301", Some(0));
    let body = r#"{"error_code": "APIGW.0301",
        "error_msg": "signature expired, server time:20200202T101240Z"}"#;
    refusal.service_error = ServiceError::from_body(401, None, body.as_bytes());
    assert_eq!(observe(acquire(&guard).await.unwrap(), &refusal).await, KeyStatus::ClockCorrected);
    let skew = acquire(&guard).await.unwrap().skew;
    assert_eq!(skew, "2020-02-02T10:12:40Z".parse::<Timestamp>().unwrap() - SIGNED_AT);
    // Without a usable time, the error names the cause, and the key is not blocked.
    let guard = new_guard();
    let body = r#"{"error_code": "APIGW.0301", "error_msg": "signature expired"}"#;
    refusal.service_error = ServiceError::from_body(401, None, body.as_bytes());
    assert_eq!(
        observe(acquire(&guard).await.unwrap(), &refusal).await,
        KeyStatus::Refused { cause: RefusalCause::Clock, blocked_until: None }
    );
    assert!(acquire(&guard).await.is_ok());
}

/// Two guards with common records stand for two processes.
#[tokio::test]
async fn processes_with_common_records_send_one_wrong_signature() {
    let (records, clock) = (MemoryKeyRecords::new(), ManualClock::new());
    let processes = [(); 10].map(|()| new_guard());
    let first = processes[0].acquire(&clock, Some(&records)).await.unwrap();
    let mut others: Vec<_> = processes[1..]
        .iter()
        .map(|guard| Box::pin(guard.acquire(&clock, Some(&records))))
        .collect();
    for other in &mut others {
        assert!(poll!(other).is_pending());
    }
    let refusal = reply(401, "APIG.0301", None);
    let status = first.observe(&refusal, SIGNED_AT, &clock, Some(&records)).await;
    let KeyStatus::Refused { cause, blocked_until: Some(until) } = status else {
        panic!("{status:?}")
    };
    for other in others {
        let blocked = other.await.err().unwrap();
        assert_eq!((blocked.cause, blocked.until), (cause, until));
    }
}

#[tokio::test]
async fn a_key_proven_by_one_process_is_proven_for_all_for_an_hour() {
    let (records, clock) = (MemoryKeyRecords::new(), ManualClock::new());
    let records = Some(&records as &dyn KeyRecords);
    let [first, second, third, fourth] = [(); 4].map(|()| new_guard());
    let accepted = reply(200, "", None);
    let permit = first.acquire(&clock, records).await.unwrap();
    permit.observe(&accepted, SIGNED_AT, &clock, records).await;
    let (one, other) =
        (second.acquire(&clock, records).await, second.acquire(&clock, records).await);
    assert!(one.unwrap().probe.is_none() && other.unwrap().probe.is_none());
    // A refusal in one process makes the key unproven for the others.
    let permit = second.acquire(&clock, records).await.unwrap();
    let refused = reply(401, "APIGW.0307", None);
    permit.observe(&refused, SIGNED_AT, &clock, records).await;
    assert!(third.acquire(&clock, records).await.unwrap().probe.is_some());
    // The proof ends after an hour.
    let permit = third.acquire(&clock, records).await.unwrap();
    permit.observe(&accepted, SIGNED_AT, &clock, records).await;
    clock.advance(3_600);
    assert!(fourth.acquire(&clock, records).await.unwrap().probe.is_some());
    assert!(third.acquire(&clock, records).await.unwrap().probe.is_none());
}

/// Records in a folder that is not writable.
struct NoRecords;

impl KeyRecords for NoRecords {
    fn lock(&self, _: KeyId) -> BoxFuture<'_, Result<Box<dyn LockedKeyRecord>, KeyRecordError>> {
        Box::pin(async { Err("read-only".into()) })
    }
}

#[tokio::test]
async fn without_usable_records_the_guard_works_per_process() {
    let (guard, clock) = (new_guard(), ManualClock::new());
    let permit = guard.acquire(&clock, Some(&NoRecords)).await.unwrap();
    let refusal = reply(401, "APIGW.0301", None);
    let status = permit.observe(&refusal, SIGNED_AT, &clock, Some(&NoRecords)).await;
    assert!(matches!(status, KeyStatus::Refused { blocked_until: Some(_), .. }));
    assert!(lock(&guard.state).warned);
    assert!(guard.acquire(&clock, Some(&NoRecords)).await.is_err());
}

#[tokio::test]
async fn a_skew_learned_by_another_request_is_reused() {
    let guard = new_guard();
    observe(acquire(&guard).await.unwrap(), &reply(200, "", None)).await;
    let (one, other) = (acquire(&guard).await.unwrap(), acquire(&guard).await.unwrap());
    let off = reply(401, "APIGW.0301", Some(3_600));
    assert_eq!(observe(one, &off).await, KeyStatus::ClockCorrected);
    assert_eq!(observe(other, &off).await, KeyStatus::ClockCorrected);
    assert_eq!(acquire(&guard).await.unwrap().skew, SignedDuration::from_hours(1));
}

#[tokio::test]
async fn an_html_page_with_200_does_not_prove_the_key() {
    let guard = new_guard();
    let mut page = reply(200, "", None);
    *page.response.body_mut() = Bytes::from_static(b" <html>");
    assert_eq!(observe(acquire(&guard).await.unwrap(), &page).await, KeyStatus::Unchanged);
    assert!(!is_proven(&guard));
}

#[tokio::test]
async fn a_late_reply_does_not_prove_a_newer_skew() {
    let guard = new_guard();
    observe(acquire(&guard).await.unwrap(), &reply(200, "", None)).await;
    let (late, off) = (acquire(&guard).await.unwrap(), acquire(&guard).await.unwrap());
    let wrong = reply(401, "APIGW.0301", Some(3_600));
    assert_eq!(observe(off, &wrong).await, KeyStatus::ClockCorrected);
    assert_eq!(observe(late, &reply(200, "", None)).await, KeyStatus::Unchanged);
    assert!(!is_proven(&guard));
}

#[test]
fn guards_are_shared_and_bounded() {
    let id = |number: u32| {
        let mut digest = [7; 32];
        digest[..4].copy_from_slice(&number.to_be_bytes());
        KeyId::new(digest)
    };
    let kept = SignatureGuard::for_key(id(0));
    let now = Timestamp::UNIX_EPOCH;
    lock(&SignatureGuard::for_key(id(1)).state).record =
        KeyRecord::blocked(now, RefusalCause::WrongSignature);
    for number in 2..3_000 {
        drop(SignatureGuard::for_key(id(number)));
    }
    assert!(Arc::ptr_eq(&kept, &SignatureGuard::for_key(id(0))));
    let blocked = lock(&SignatureGuard::for_key(id(1)).state).record;
    assert!(matches!(blocked, KeyRecord::Blocked { .. }));
    assert!(lock(&GUARDS).len() <= MAX_UNUSED_GUARDS + 2);
}
