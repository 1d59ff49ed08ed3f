//! Tests of the report in a real browser: it has no errors, loads nothing else, and is readable on
//! a phone and on a wide screen.

use std::{fs, process::Command};

use job_sim::{Fault, Plan};
use serde_json::Value;

use crate::support::{Folder, command, fixture, is_installed, run, start_service, wait_command};

/// A page that loads the report in frames of two widths, and returns measurements as JSON.
const PROBE_PAGE: &str = r#"<!doctype html><meta charset="utf-8"><body><pre id="found"></pre><script>
const widths = [400, 1600], found = [];
const inspect = frame => {
  const page = frame.contentDocument, root = page.documentElement, view = frame.contentWindow;
  const texts = [...page.querySelectorAll("main *")].filter(one =>
    [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim()));
  const sizes = texts.map(one => parseFloat(view.getComputedStyle(one).fontSize));
  const right = texts.map(one => one.getBoundingClientRect().right);
  const bars = [...page.querySelectorAll("rect.bar")].map(one => one.getBoundingClientRect());
  return {
    width: view.innerWidth,
    overflow: root.scrollWidth - root.clientWidth,
    smallest: Math.min(...sizes),
    rightmost: Math.max(...right),
    texts: texts.length,
    bars: bars.length,
    thinnest: Math.min(...bars.map(bar => bar.width)),
    outside: bars.filter(bar => bar.left < 0 || bar.right > view.innerWidth + 1).length,
    requests: view.performance.getEntriesByType("resource").length,
    scripts: page.scripts.length,
    title: page.title,
  };
};
for (const width of widths) {
  const frame = document.createElement("iframe");
  frame.style = `width: ${width}px; height: 900px; border: 0`;
  frame.onload = () => {
    found.push(inspect(frame));
    if (found.length === widths.length) document.getElementById("found").textContent = JSON.stringify(found);
  };
  frame.src = "report.html";
  document.body.append(frame);
}
</script>"#;

/// Loads the report, and returns the measurements at both widths.
async fn inspect_page(folder: &Folder) -> Vec<Value> {
    let page = folder.write("watched.html", PROBE_PAGE);
    let mut chromium = Command::new("chromium");
    chromium
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--allow-file-access-from-files", "--enable-logging=stderr", "--dump-dom"])
        .args(["--virtual-time-budget=10000", "--window-size=1700,2000"])
        .arg(format!("--user-data-dir={}", folder.file("profile").display()))
        .arg(format!("file://{}", page.display()));
    let ran = run(chromium).await;
    let console: Vec<_> = ran.stderr.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(console.is_empty(), "{console:?}");
    let found = ran
        .stdout
        .split("<pre id=\"found\">")
        .nth(1)
        .and_then(|found| found.split("</pre>").next());
    let found =
        found.unwrap_or_default().replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
    let found: Vec<Value> = serde_json::from_str(&found).unwrap_or_else(|_| panic!("{ran:?}"));
    assert_eq!(found.len(), 2);
    found
}

/// Checks that a report is readable at both widths, and has this number of bars.
async fn check_report(folder: &Folder, bars: u64, title: &str) {
    for found in inspect_page(folder).await {
        let number = |name: &str| found[name].as_f64().unwrap();
        assert_eq!(found["overflow"], 0, "the page fits into its window: {found}");
        assert!(number("smallest") >= 12.0, "{found}");
        assert!(number("rightmost") <= number("width"), "{found}");
        assert!(number("texts") > 5.0 && number("thinnest") >= 1.0, "{found}");
        assert_eq!(
            (found["bars"].as_u64(), found["outside"].as_u64()),
            (Some(bars), Some(0)),
            "{found}"
        );
        assert_eq!((found["requests"].as_u64(), found["scripts"].as_u64()), (Some(0), Some(0)));
        assert_eq!(found["title"], title);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_fit_any_width_and_load_no_resources() {
    if !is_installed("chromium", "--version") {
        return;
    }
    let folder = Folder::new();
    let report = folder.file("report.html");
    let file = fixture("jobs/reference-example.json");
    let mut saved = command();
    saved.arg("report").arg(file).arg("-o").arg(&report);
    assert_eq!(run(saved).await.code, Some(0));
    check_report(&folder, 3, "CreateCluster: Running").await;

    // A report with attempts, with errors, and with a very long reason that contains markup.
    let (sim, server) = start_service(1).await;
    let reason = "</p></main><script>alert(1)</script><img src=x>".to_owned() + &"W".repeat(5_000);
    let fails = sim.add(Plan::scale_up_cluster(2).with_failure(reason));
    sim.inject_faults(Fault::parse_script("ok, 503, reset").unwrap());
    let mut waits = wait_command(&sim, &server.endpoint(), server.ca_pem(), &folder);
    waits.arg("--report").arg(&report).args([fails.as_str(), sim.job().as_str()]);
    assert_eq!(run(waits).await.code, Some(5));
    let text = fs::read_to_string(&report).unwrap();
    assert!(text.contains("<h2>Attempt errors</h2>"), "{text}");
    let title = text.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next());
    let bars = text.matches("<rect class=\"bar").count() as u64;
    assert_eq!(bars, 10, "two jobs, with seven and three rows");
    check_report(&folder, bars, title.unwrap()).await;
}
