//! Tests of what the page shows after the data of the server have changed.

use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use crate::{
    LISTED,
    data::{self, job, wait},
    enter,
    fake::{Fake, TOKEN},
    open, sign_in,
};

/// Returns the number of requests for lists of waits in a state.
fn list_count(fake: &Fake, state: &str) -> usize {
    let prefix = format!("/api/v1/waits?state={state}&");
    fake.paths().iter().filter(|path| path.starts_with(&prefix)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tile_counts_the_waits_that_its_table_lists() {
    let fake = Fake::start((0..450).map(wait).collect()).await;
    let Some(mut browser) = sign_in(&fake).await else { return };
    for state in ["overdue", "paused", "failed", "active"] {
        let tile = format!(".tile[data-state={state}]");
        browser.evaluate(&format!("document.querySelector('{tile}').click()")).await;
        let count = browser.text(&format!("{tile} .count")).await;
        assert_ne!(count, "0", "{state}");
        let shown = browser.text("#count").await;
        assert!(shown.ends_with(&format!(" of {count}")), "{state}: {count}, {shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_delivery_in_progress_is_not_an_issue() {
    let fake = Fake::start((0..20).map(wait).collect()).await;
    let Some(mut browser) = sign_in(&fake).await else { return };
    let mut notice = data::notification(&wait(7)["key"], "");
    notice["state"] = "pending".into();
    notice["last_error"] = json!(null);
    fake.set_notifications(vec![notice.clone()]);
    fake.send_summary();
    browser.until_text(".tile[data-state=undelivered] .more", "none has failed").await;
    assert_eq!(browser.text(".tile[data-state=undelivered] .count").await, "0");
    // Its first try fails: the number of pending notifications is the same.
    notice["last_error"] = "the receiver answered 503".into();
    fake.set_notifications(vec![notice]);
    fake.send_summary();
    browser.until_text(".tile[data-state=undelivered] .count", "1").await;
    browser.until_text("#notifications tbody .c-error", "the receiver answered 503").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finished_waits_that_are_selected_while_lists_are_read_stay() {
    let fake = Fake::start((0..450).map(wait).collect()).await;
    let Some(mut browser) = open(&fake).await else { return };
    fake.hold("state=failed");
    enter(&mut browser, TOKEN).await;
    browser.until("document.querySelector('#waits tbody tr')").await;
    browser.set_state("finished").await;
    browser.until("document.querySelector('#waits .badge[data-kind=success]')").await;
    fake.release();
    browser.until(LISTED).await;
    browser.set_filter("succeeded").await;
    browser.until_text("#count", "1 to 2 of 2").await;
    // They are not read again when they are selected again.
    browser.set_state("active").await;
    browser.set_state("finished").await;
    assert_eq!(list_count(&fake, "finished"), 1);

    // After a reset, a success that was missed is read.
    browser.set_state("active").await;
    browser.set_filter("").await;
    fake.replace(3, |status| *status = data::finished(3, "succeeded"));
    fake.send("reset", &json!({}));
    browser.set_filter(&job(3)).await;
    browser.until_text("#count", "No wait matches.").await;
    browser.set_state("finished").await;
    browser.until_text("#count", "1 to 1 of 1").await;
    assert_eq!(list_count(&fake, "finished"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finished_wait_beyond_the_end_of_its_list_stays() {
    // The page reads at most 5,000 finished waits. The key of the last one is beyond them.
    let last = 15_999;
    let mut waits: Vec<_> =
        (0..last / 3).map(|index| data::finished(index * 3, "failed")).collect();
    waits.push(wait(1));
    let fake = Fake::start(waits).await;
    let Some(mut browser) = sign_in(&fake).await else { return };
    browser.set_state("failed").await;
    fake.send("wait", &data::finished(last, "failed"));
    browser.set_filter(&job(last)).await;
    browser.until_text("#count", "1 to 1 of 1").await;
    // A wait within the list that does not exist any more is dropped by the same reset.
    fake.remove(3);
    fake.send("reset", &json!({}));
    browser.set_filter(&job(3)).await;
    browser.until_text("#count", "No wait matches.").await;
    browser.set_filter(&job(last)).await;
    browser.until_text("#count", "1 to 1 of 1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_wait_is_read_again_and_keeps_its_document() {
    let fake = Fake::start((0..20).map(wait).collect()).await;
    let Some(mut browser) = sign_in(&fake).await else { return };
    let hash = format!("#/{}/{}", data::PROJECTS[0].0, job(3));
    // The reply to the first request is older than the event.
    fake.hold(&job(3));
    let before = fake.paths().len();
    browser.evaluate(&format!("location.hash = '{hash}', undefined")).await;
    browser.until("document.getElementById('detail').open").await;
    let is_requested = async {
        while fake.paths().len() < before + 3 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), is_requested).await.unwrap();
    fake.replace(3, |status| {
        status["active"]["name"] = "renamed-live".into();
        status["active"]["progress"] = json!({"total": 9, "initializing": 0, "running": 5,
            "success": 3, "failed": 1, "unknown": 0});
    });
    fake.send("wait", &fake.status(3));
    let shows = |text: &str| {
        format!("document.getElementById('detail-body').textContent.includes({})", json!(text))
    };
    browser.until(&shows("renamed-live")).await;
    fake.release();
    browser.until("document.querySelector('#detail img')?.naturalWidth > 0").await;
    assert_eq!(browser.evaluate(&shows("renamed-live")).await, true);
    let detail = browser.text("#detail-body").await;
    assert!(detail.contains("Steps3 of 9, 1 failed") && !detail.contains("Number"), "{detail}");
    assert!(detail.contains("cce-job watch --follow "), "{detail}");

    // After a reset, it is read again.
    fake.replace(3, |status| status["active"]["name"] = "renamed-meanwhile".into());
    fake.send("reset", &json!({}));
    browser.until(&shows("renamed-meanwhile")).await;

    // The event of the result has no document. The reply has it.
    let mut event = data::finished(3, "stopped");
    event["result"]["report"]["omitted"] = json!(["document"]);
    fake.replace(3, |status| {
        *status = data::finished(3, "stopped");
        status["result"]["report"]["document"] = json!({"kind": "Job", "apiVersion": "v3"});
    });
    fake.send("wait", &event);
    browser.until(&shows("\"apiVersion\": \"v3\"")).await;
    // The same event again does not remove it.
    fake.hold(&job(3));
    event["result"]["report"]["name"] = "renamed-at-the-end".into();
    fake.send("wait", &event);
    browser
        .until("document.getElementById('detail-title').textContent.includes('at-the-end')")
        .await;
    assert_eq!(browser.evaluate(&shows("\"apiVersion\": \"v3\"")).await, true);
    fake.release();
    // A wait that a user has canceled is not marked as a failure.
    browser.until_text("#detail-title .badge", "canceled").await;
    assert_eq!(browser.count("#detail .badge[data-kind=canceled]").await, 1);
    assert!(!browser.text("#attention").await.contains("node-3"));
    // A wait that is opened before the event about the closed one stays open.
    let script =
        format!("document.getElementById('detail-close').click(); location.hash = '{hash}'");
    browser.evaluate(&script).await;
    browser.until_text("#detail-title .badge", "canceled").await;
    assert_eq!(browser.evaluate("document.getElementById('detail').open").await, true);
    browser.assert_no_errors();
}
