//! Tests of the sources that a caller makes for its own tests.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use job_model::{Job, JobId};
use job_poller::{
    Event, Fleet, Outcome, Wait, WaitErrorKind,
    schedule::Fixed,
    source::source_fn,
    testing::{FakeSource, ScriptError},
};
use job_transport::{ErrorClass, FetchError, FetchErrorKind, Reading};

fn id() -> JobId {
    "4a5b".parse().unwrap()
}

fn wait(script: &str) -> Wait {
    Wait::new(FakeSource::new(script).unwrap(), id()).schedule(Fixed::new(Duration::from_secs(10)))
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_as_the_script_says() {
    use WaitErrorKind::*;
    // The script, and how the wait ends.
    let rows = [
        ("init running success", Ok(true)),
        ("running[A=success,B=running] running[A=success,B=failed] failed", Ok(false)),
        ("running 503*5 +running success@5^8", Ok(true)),
        ("Upgrading none success", Ok(true)),
        ("drop 429(5s) garbage running~20s success", Ok(true)),
        ("running:other", Err(Mismatch)),
        ("running:9", Err(Mismatch)),
        ("404", Err(NotFound)),
        ("running 404", Err(Vanished)),
        ("nopath", Err(Permanent)),
        ("401", Err(Unauthorized)),
        ("badsig", Err(Unauthorized)),
        ("badcert", Err(Permanent)),
        ("garbage", Err(Unreadable)),
        ("nohost", Err(Unreachable)),
        ("refused", Err(Unreachable)),
        ("running", Err(DeadlineExceeded)),
    ];
    for (script, expected) in rows {
        let result = wait(script).await;
        let result = result.map(|ended| ended.outcome == Outcome::Succeeded);
        assert_eq!(result.map_err(|error| error.kind()), expected, "{script}");
    }
}

#[tokio::test(start_paused = true)]
async fn latency_and_refreshed_credentials_are_part_of_a_reply() {
    let mut events = wait("+running~40s success~2.5s").events();
    let mut refreshed_at = None;
    while let Some((at, event)) = events.next().await {
        if event == Event::CredentialsRefreshed {
            refreshed_at = Some(at);
        }
    }
    // An attempt takes at most 30 s, so the first one times out, and the last reply repeats.
    assert_eq!(refreshed_at, None);
    let ended = events.finish().await.unwrap();
    assert_eq!(ended.attempts, 2);
    let mut events = wait("+running~4s success").events();
    while let Some((at, event)) = events.next().await {
        if event == Event::CredentialsRefreshed {
            refreshed_at = Some(at);
        }
    }
    assert_eq!(refreshed_at, Some(Duration::from_secs(4)));
}

#[tokio::test(start_paused = true)]
async fn each_job_has_its_own_script_and_count() {
    let other: JobId = "other".parse().unwrap();
    let source = FakeSource::new("running success").unwrap();
    let source = Arc::new(source.with_job(other.clone(), "running*4 failed").unwrap());
    let fleet = Fleet::builder(source.clone()).start();
    let (first, second) = (fleet.watch(id()), fleet.watch(other.clone()));
    assert_eq!(first.await.unwrap().outcome, Outcome::Succeeded);
    assert!(matches!(second.await.unwrap().outcome, Outcome::Failed(_)));
    assert_eq!((source.attempts(&id()), source.attempts(&other)), (2, 5));
    assert_eq!(source.attempts(&"unknown".parse().unwrap()), 0);
}

#[test]
fn wrong_scripts_are_rejected_with_the_word_and_the_reason() {
    let rows = [
        ("", ""),
        ("running *3", "*3"),
        ("running*0", "running*0"),
        ("running*9999999999", "running*9999999999"),
        ("running*10001", "running*10001"),
        ("running*5000 failed*5001", "failed*5001"),
        ("running~fast", "running~fast"),
        ("running~-1s", "running~-1s"),
        ("99", "99"),
        ("429(soon)", "429(soon)"),
        ("running[A]", "running[A]"),
        ("running[A=running", "running[A=running"),
        ("running@now", "running@now"),
        ("running^-5", "running^-5"),
    ];
    let mut messages = String::new();
    for (script, expected) in rows {
        let Err(error) = FakeSource::new(script) else { panic!("{script}") };
        assert_eq!(error.word, expected, "{script}");
        messages += &format!("{error}\n");
        let ScriptError { reason, .. } = FakeSource::new("running")
            .and_then(|source| source.with_job(id(), script))
            .unwrap_err();
        assert_eq!(reason, error.reason, "{script}");
    }
    insta::assert_snapshot!(messages);
}

#[tokio::test(start_paused = true)]
async fn a_function_can_be_a_source() {
    let source = source_fn(|id: JobId| async move {
        match id.as_str() {
            "known" => {
                Ok(Reading::new(Job::from_slice(br#"{"status": {"phase": "Success"}}"#).unwrap()))
            }
            _ => {
                Err(FetchError::new(FetchErrorKind::Status(403)).with_class(ErrorClass::Permanent))
            }
        }
    });
    let ended = Wait::new(source, "known".parse().unwrap()).await.unwrap();
    assert_eq!(ended.outcome, Outcome::Succeeded);
    let error = Wait::new(source, "unknown".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::Permanent);
}
