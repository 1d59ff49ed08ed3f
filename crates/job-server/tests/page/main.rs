//! Tests of the status page in headless Chromium, which is driven by the DevTools protocol. The server is a
//! fake with canned replies, because it drops connections at exact points and records all requests.
//! Without Chromium, the tests are skipped, and the output says so. With `CCE_JOB_SCREENSHOTS=FOLDER`, they
//! also write pictures.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod browser;
mod data;
mod fake;
mod schema;
mod updates;

use std::{env, fs, path::PathBuf};

use serde_json::{Value, json};

use self::{
    browser::Browser,
    data::{HOSTILE, wait},
    fake::{Fake, TOKEN},
};

/// Number of waits in the tests with many.
const WAIT_COUNT: usize = 10_000;

/// Maximum memory of the scripts after a garbage collection.
const MAX_HEAP_BYTES: f64 = 32.0 * 1024.0 * 1024.0;

/// Opens the page in a new browser. Returns `None` if Chromium is not installed.
async fn open(fake: &Fake) -> Option<Browser> {
    let mut browser = Browser::start().await?;
    browser.view(1440, 900, "light").await;
    browser.navigate(&fake.url()).await;
    Some(browser)
}

/// Enters a token in the form.
async fn enter(browser: &mut Browser, token: &str) {
    let script = format!(
        "document.getElementById('token').value = {}; \
         document.getElementById('login-form').requestSubmit()",
        json!(token)
    );
    browser.evaluate(&script).await;
}

/// Opens the page, enters the token, and waits until all waits are listed.
async fn sign_in(fake: &Fake) -> Option<Browser> {
    let mut browser = open(fake).await?;
    enter(&mut browser, TOKEN).await;
    browser.until(LISTED).await;
    Some(browser)
}

/// Whether the lists were read to their end.
const LISTED: &str = "document.getElementById('connection').dataset.state === 'live' \
    && /^[\\d,]+ to [\\d,]+ of [\\d,]+$/.test(document.getElementById('count').textContent)";

/// Writes a picture, if the environment asks for it.
async fn take_picture(browser: &mut Browser, name: &str) {
    let Some(folder) = env::var_os("CCE_JOB_SCREENSHOTS").map(PathBuf::from) else { return };
    fs::write(folder.join(format!("page-{name}.png")), browser.screenshot().await).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_ten_thousand_waits_appear_early_in_bounded_memory() {
    /// From the navigation until the empty form for the token is painted. It contains no waits.
    const MAX_FORM_PAINT_MS: f64 = 1_000.0;
    /// From the token until the first rows of waits are painted.
    const MAX_ROWS_MS: f64 = 2_000.0;
    let fake = Fake::start((0..WAIT_COUNT).map(wait).collect()).await;
    let (mut paint, mut rows) = (f64::MAX, f64::MAX);
    // The shortest of three, because other programs may run at the same time.
    for _ in 0..3 {
        let Some(mut browser) = open(&fake).await else { return };
        let first = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null";
        browser.until(first).await;
        paint = paint.min(browser.evaluate(first).await.as_f64().unwrap());
        browser.evaluate("performance.mark('entered'), undefined").await;
        enter(&mut browser, TOKEN).await;
        let mark = |name| format!("performance.getEntriesByName('{name}')[0]?.startTime ?? null");
        browser.until(&mark("first-rows")).await;
        let shown = browser.evaluate(&mark("first-rows")).await.as_f64().unwrap();
        rows = rows.min(shown - browser.evaluate(&mark("entered")).await.as_f64().unwrap());
    }
    assert!(paint < MAX_FORM_PAINT_MS, "{paint} ms");
    assert!(rows < MAX_ROWS_MS, "{rows} ms");

    let Some(mut browser) = sign_in(&fake).await else { return };
    let count = browser.text("#count").await;
    assert!(count.starts_with("1 to 100 of 9,"), "{count}");
    let heap = browser.heap_bytes().await;
    assert!(heap < MAX_HEAP_BYTES, "{heap} bytes");
    let elements = browser.evaluate("document.querySelectorAll('*').length").await;
    assert!(elements.as_u64() < Some(6_000), "{elements} elements");

    // Each wait changes several times.
    for round in 1..=5 {
        for index in 0..WAIT_COUNT {
            let mut status = wait(index);
            if status["active"].is_object() {
                status["active"]["attempts"] = (round * 1_000).into();
                status["active"]["last_error"] = format!("error {round} of {index}").into();
            }
            fake.send("wait", &status);
        }
        let mut last = wait(0);
        last["active"]["name"] = format!("round-{round}").into();
        fake.send("wait", &last);
        browser.set_filter(&format!("round-{round}")).await;
        browser.until_text("#count", "1 to 1 of 1").await;
    }
    let later = browser.heap_bytes().await;
    assert!(later < MAX_HEAP_BYTES, "{later} bytes");
    browser.assert_no_errors();
    if let Some(folder) = env::var_os("CCE_JOB_SCREENSHOTS").map(PathBuf::from) {
        let figures = format!(
            "the form for the token is painted after {paint} ms, the first rows {rows} ms after the token, heap {heap} bytes, \
             {later} bytes after 50,000 events, {elements} elements\n"
        );
        fs::write(folder.join("page-figures.txt"), figures).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_texts_stay_text() {
    let waits: Vec<_> = (0..30).map(data::hostile_wait).collect();
    let keys: Vec<_> = waits.iter().map(|wait| wait["key"].clone()).collect();
    let fake = Fake::start(waits).await;
    fake.set_notifications(vec![data::notification(&keys[0], HOSTILE)]);
    let Some(mut browser) = sign_in(&fake).await else { return };
    for state in ["active", "failed", "finished", "paused", "overdue"] {
        browser.set_state(state).await;
    }
    browser.set_state("failed").await;
    let is_shown =
        "document.querySelector('#waits tbody .c-reason')?.textContent.includes('<script>')";
    browser.until(is_shown).await;
    let shown = browser.text("#waits tbody .c-reason").await;
    assert!(shown.contains("<img src=/stolen onerror=") && shown.contains("<script>"), "{shown}");
    assert!(shown.contains("\\u{202e}") && shown.contains("\\u{1b}"), "{shown}");
    let notice = browser.text("#notifications tbody .c-error").await;
    assert!(notice.contains("<img src=/stolen"), "{notice}");

    for state in ["failed", "active"] {
        browser.set_state(state).await;
        browser.evaluate("document.querySelector('#waits tbody a.name').click()").await;
        browser.until("document.querySelector('#detail img')?.naturalWidth > 0").await;
        browser.until("document.querySelector('#detail .notices .long')").await;
        browser.until("document.querySelector('#detail pre').textContent.includes('stolen')").await;
        let detail = browser.text("#detail").await;
        assert!(detail.contains("<img src=/stolen onerror="), "{detail}");
        assert!(!detail.contains('\u{202e}') && !detail.contains('\u{1b}'), "{detail}");
        // A quotation mark in an id stays inside of the argument.
        let command = browser.text("#detail .commands code").await;
        assert!(command.contains("it'\\''s"), "{command}");
        let retry = browser.text("#detail .notices code").await;
        assert!(retry.starts_with("cce-job retry n-1 --server http"), "{retry}");
        // The icon of the page and the timeline.
        let images = browser.evaluate("[...document.images].map(image => image.src)").await;
        let images = images.as_array().unwrap();
        assert_eq!(images.len(), 2, "{images:?}");
        assert!(images[1].as_str().unwrap().starts_with("blob:"), "{images:?}");
        browser.evaluate("document.getElementById('detail-close').click()").await;
    }
    let scripts = browser.evaluate("[...document.scripts].map(script => script.src)").await;
    assert_eq!(scripts, json!([format!("{}app.js", fake.url())]));
    browser.until("document.title === 'CCE jobs'").await;
    assert_eq!(browser.evaluate("window.stolen ?? null").await, Value::Null);
    for path in fake.paths() {
        assert!(!path.contains("stolen") && !path.contains("onload"), "{path}");
    }
    assert!(
        browser
            .requests()
            .iter()
            .all(|url| url.starts_with(&fake.url()) || url.starts_with("blob:"))
    );
    browser.assert_no_errors();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_connection_is_shown_and_recovers() {
    let fake = Fake::start((0..500).map(wait).collect()).await;
    let Some(mut browser) = sign_in(&fake).await else { return };
    fake.set_up(false);
    browser.until("document.getElementById('connection').dataset.state === 'waiting'").await;
    assert_eq!(browser.text("#connection-text").await, "Disconnected");
    browser.until("/^reconnecting in \\d+s$/.test(document.getElementById('connection-detail').textContent)").await;
    browser
        .until("/The data are \\d+s old/.test(document.getElementById('stale').textContent)")
        .await;
    // What was read stays, and its age goes up.
    assert_ne!(browser.count("#waits tbody tr").await, 0);
    browser
        .until("/The data are [2-9]s old/.test(document.getElementById('stale').textContent)")
        .await;
    take_picture(&mut browser, "disconnected").await;

    // What happened in the meantime is read.
    fake.replace(3, |status| status["active"]["name"] = "renamed-meanwhile".into());
    fake.remove(6);
    fake.set_up(true);
    browser.until(LISTED).await;
    browser.until("document.getElementById('stale').hidden").await;
    browser.set_filter("renamed-meanwhile").await;
    browser.until_text("#count", "1 to 1 of 1").await;
    browser.set_filter(data::job(6).as_str()).await;
    browser.until_text("#count", "No wait matches.").await;

    // A client that was too slow reads the lists again.
    fake.replace(3, |status| status["active"]["name"] = "renamed-again".into());
    browser.set_filter("renamed-again").await;
    fake.send("reset", &json!({}));
    browser.until_text("#count", "1 to 1 of 1").await;

    // A change is shown without a request for the lists.
    let lists = || fake.paths().iter().filter(|path| path.starts_with("/api/v1/waits?")).count();
    let before = lists();
    fake.replace(3, |status| status["active"]["name"] = "renamed-live".into());
    browser.set_filter("renamed-live").await;
    fake.send("wait", &fake.status(3));
    browser.until_text("#count", "1 to 1 of 1").await;
    assert_eq!(lists(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_is_in_no_place_except_the_requests() {
    let fake = Fake::start((0..20).map(wait).collect()).await;
    let Some(mut browser) = open(&fake).await else { return };
    for wrong in ["wrong-token-4e1f", "two words", "ünicode"] {
        enter(&mut browser, wrong).await;
        browser.until("document.getElementById('login-error').textContent").await;
        browser.until("!document.getElementById('login-button').disabled").await;
        let state =
            "document.getElementById('board').hidden && !document.getElementById('login').hidden";
        assert_eq!(browser.evaluate(state).await, true, "{wrong}");
        browser.evaluate("document.getElementById('login-error').textContent = ''").await;
    }
    enter(&mut browser, TOKEN).await;
    browser.until(LISTED).await;
    browser.evaluate("document.querySelector('#waits tbody a.name').click()").await;
    browser.until("document.querySelector('#detail img')?.naturalWidth > 0").await;
    let places = browser
        .evaluate(
            "(async () => JSON.stringify([location.href, document.cookie, {...localStorage}, \
             {...sessionStorage}, history.state, await indexedDB.databases(), await caches.keys(), \
             document.documentElement.outerHTML, [...document.querySelectorAll('input')].map(one => one.value), \
             window.name, performance.getEntries().map(one => one.name)]))()",
        )
        .await;
    let places = places.as_str().unwrap();
    assert!(places.len() > 1_000 && !places.contains(TOKEN), "{places}");
    let storage = "localStorage.length + sessionStorage.length + document.cookie.length";
    assert_eq!(browser.evaluate(storage).await, 0);
    assert!(browser.requests().iter().chain(&fake.paths()).all(|url| !url.contains(TOKEN)));
    assert!(!browser.console().contains(TOKEN));

    // A token that was replaced is refused, and the page drops what it has read.
    fake.set_token("another-token-77aa");
    fake.drop_streams();
    browser.until("document.getElementById('connection').dataset.state === 'refused'").await;
    assert_eq!(browser.text("#connection-text").await, "Token refused");
    let error = browser.text("#login-error").await;
    assert!(error.contains("refused this token"), "{error}");
    assert_eq!(browser.count("#waits tbody tr").await, 0);
    enter(&mut browser, "another-token-77aa").await;
    browser.until(LISTED).await;
    assert_eq!(browser.text("#login-error").await, "");
}

/// Returns for each visible text whether it is too small, outside of the window, or has too little
/// contrast. A text that is disabled may have less.
const PROBE: &str = r"(() => {
  const channel = value => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const parse = text => { const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number); return { rgb: [r, g, b], a }; };
  const light = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  const behind = one => { for (; one; one = one.parentElement) { const { rgb, a } = parse(getComputedStyle(one).backgroundColor); if (a > 0.99) return rgb; } return [255, 255, 255]; };
  const scope = document.querySelector('dialog[open]') ?? document.body;
  const texts = [...scope.querySelectorAll('*')].filter(one => one.checkVisibility() && !one.disabled
    && [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim()) && !one.closest('thead, option'));
  const found = texts.map(one => {
    const [front, back] = [light(parse(getComputedStyle(one).color).rgb), light(behind(one))];
    const contrast = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    const box = one.getBoundingClientRect(), size = parseFloat(getComputedStyle(one).fontSize);
    const name = `${one.tagName}.${one.className} ${one.textContent.slice(0, 40)}`;
    const isWide = box.right > innerWidth + 1 && !one.closest('figure, pre, code');
    return contrast < 4.5 ? `contrast ${contrast}: ${name}` : size < 12 ? `size ${size}: ${name}` : isWide ? `wide: ${name}` : null;
  });
  return { texts: texts.length, problems: found.filter(Boolean).slice(0, 5), overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth };
})()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_readable_on_a_phone_and_in_both_color_schemes() {
    let waits: Vec<_> = (0..400).map(wait).chain((400..410).map(data::hostile_wait)).collect();
    let key = waits[7]["key"].clone();
    let fake = Fake::start(waits).await;
    fake.set_notifications(vec![data::notification(&key, "the receiver answered 410 Gone")]);
    let Some(mut browser) = sign_in(&fake).await else { return };
    for (width, height, name) in
        [(1440, 900, "desktop"), (768, 1024, "tablet"), (390, 844, "phone"), (360, 740, "small")]
    {
        for scheme in ["light", "dark"] {
            browser.view(width, height, scheme).await;
            for state in ["active", "failed"] {
                browser.set_state(state).await;
                let found = browser.evaluate(PROBE).await;
                assert_eq!(
                    (&found["problems"], &found["overflow"]),
                    (&json!([]), &json!(0)),
                    "{name} {scheme} {state}"
                );
                assert!(found["texts"].as_u64() > Some(30), "{found}");
                take_picture(&mut browser, &format!("{name}-{scheme}-{state}")).await;
            }
            browser.evaluate("document.querySelector('#waits tbody a.name').click()").await;
            browser.until("document.querySelector('#detail img')?.naturalWidth > 0").await;
            browser.until("document.querySelector('#detail .notices .badge')").await;
            let found = browser.evaluate(PROBE).await;
            assert_eq!(
                (&found["problems"], &found["overflow"]),
                (&json!([]), &json!(0)),
                "{name} {scheme}"
            );
            take_picture(&mut browser, &format!("{name}-{scheme}-detail")).await;
            browser.evaluate("document.getElementById('detail-close').click()").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_used_by_keyboard_and_changes_nothing() {
    let fake = Fake::start((0..450).map(wait).collect()).await;
    let Some(mut browser) = open(&fake).await else { return };
    // The field has the focus. The form is sent by Enter.
    browser.type_text(TOKEN).await;
    browser.press("Enter").await;
    browser.until(LISTED).await;
    browser.evaluate("document.querySelector('#waits tbody a.name').focus()").await;
    let name = browser.text("#waits tbody a.name").await;
    browser.press("Enter").await;
    browser.until("document.querySelector('#detail img')?.naturalWidth > 0").await;
    assert!(browser.text("#detail-title").await.contains(&name));
    browser.press("Escape").await;
    browser.until("!document.getElementById('detail').open && location.hash === ''").await;
    // A sorted column, and the second page.
    browser.evaluate("document.querySelector('th.c-next button').focus()").await;
    browser.press("Enter").await;
    browser
        .until("document.querySelector('th.c-next').getAttribute('aria-sort') === 'ascending'")
        .await;
    browser.evaluate("document.getElementById('next').click()").await;
    let count = browser.text("#count").await;
    assert!(count.starts_with("101 to 200 of "), "{count}");
    // Roles stay, although a row is a card on a phone.
    let roles = "['table', 'row', 'rowheader', 'cell', 'columnheader'].every(role => document.querySelector(`#waits[role=${role}], #waits [role=${role}]`))";
    assert_eq!(browser.evaluate(roles).await, true);
    let methods = fake.methods();
    assert!(methods.iter().all(|method| method == "GET"), "{methods:?}");
}
