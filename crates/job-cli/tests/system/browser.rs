//! Tests of reports in a real browser: they have no errors, load nothing else, and are readable on a
//! phone and on a wide screen. With `CCE_JOB_SCREENSHOTS=FOLDER`, they also write pictures.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use job_sim::{Fault, Plan};
use serde_json::{Value, json};

use crate::support::{
    Folder, command, fixture, is_installed, run, start_service, wait_command, wait_for_exit,
};

/// A page that loads a report in frames of two widths, and returns measurements as JSON. Two texts
/// of an image collide if their boxes have a common area.
const PROBE_PAGE: &str = r#"<!doctype html><meta charset="utf-8"><body><pre id="found"></pre><script>
const widths = [400, 1600], found = [];
const inspect = (frame, loaded) => {
  const page = frame.contentDocument, root = page.documentElement, view = frame.contentWindow;
  // To measure a job outside of the window, the browser would have to lay it out.
  const many = page.querySelectorAll(".job").length > 100;
  const shown = one => one.checkVisibility({ contentVisibilityAuto: many });
  const texts = [...page.querySelectorAll("main *, svg text")].filter(one =>
    [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim()) && shown(one));
  const sizes = texts.map(one => parseFloat(view.getComputedStyle(one).fontSize));
  const right = texts.map(one => one.getBoundingClientRect().right);
  const bars = [...page.querySelectorAll(".lane i")].filter(shown).map(one => one.getBoundingClientRect());
  const boxes = [...page.querySelectorAll("svg text")].map(one => one.getBoundingClientRect());
  let collisions = 0;
  boxes.forEach((one, at) => boxes.slice(at + 1, at + 60).forEach(other => {
    const x = Math.min(one.right, other.right) - Math.max(one.left, other.left);
    const y = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
    collisions += x > 0.5 && y > 4;
  }));
  return {
    width: view.innerWidth,
    overflow: root.scrollWidth - root.clientWidth,
    smallest: Math.min(...sizes),
    rightmost: Math.max(...right),
    texts: texts.length,
    bars: bars.length,
    thinnest: Math.min(...bars.map(bar => bar.width)),
    outside: bars.filter(bar => bar.left < 0 || bar.right > view.innerWidth + 1).length,
    collisions,
    loaded,
    requests: view.performance.getEntriesByType("resource").length,
    scripts: page.scripts?.length ?? 0,
    title: page.title,
  };
};
const load = () => {
  const frame = document.createElement("iframe");
  frame.style = `width: ${widths[found.length]}px; height: 900px; border: 0`;
  frame.onload = () => {
    found.push(inspect(frame, frame.contentWindow.performance.now()));
    if (found.length < widths.length) load();
    else document.getElementById("found").textContent = JSON.stringify(found);
  };
  frame.src = "REPORT";
  document.body.append(frame);
};
load();
</script>"#;

fn chromium(folder: &Folder) -> Command {
    let mut chromium = Command::new("chromium");
    chromium
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--allow-file-access-from-files", "--hide-scrollbars"])
        .arg(format!("--user-data-dir={}", folder.file("profile").display()));
    chromium
}

/// Loads a report, and returns the measurements at both widths.
async fn inspect_page(folder: &Folder, report: &str) -> Vec<Value> {
    let page = folder.write("watched.html", PROBE_PAGE.replace("REPORT", report));
    let mut chromium = chromium(folder);
    chromium
        .args(["--enable-logging=stderr", "--dump-dom", "--window-size=1700,2000"])
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

/// Checks that a page is readable at both widths. Returns the number of bars that are not folded.
async fn check_page(folder: &Folder, report: &str, title: &str) -> u64 {
    let all = inspect_page(folder, report).await;
    for found in &all {
        let number = |name: &str| found[name].as_f64().unwrap();
        assert_eq!(found["overflow"], 0, "the page fits into its window: {found}");
        assert!(number("smallest") >= 12.0, "{found}");
        assert!(number("rightmost") <= number("width"), "{found}");
        assert!(number("texts") > 5.0 && number("thinnest") >= 1.0, "{found}");
        assert_eq!(found["outside"], 0, "{found}");
        assert_eq!((found["requests"].as_u64(), found["scripts"].as_u64()), (Some(0), Some(0)));
        assert_eq!(found["title"], title);
    }
    all[0]["bars"].as_u64().unwrap()
}

/// Returns the folder for pictures, if the environment asks for them.
fn pictures() -> Option<PathBuf> {
    env::var_os("CCE_JOB_SCREENSHOTS").map(PathBuf::from)
}

/// Writes pictures of a report in both color schemes, if the environment asks for them.
async fn take_pictures(folder: &Folder, report: &str, name: &str) {
    let Some(pictures) = pictures() else { return };
    for (width, height) in [(400, 2000), (1600, 1400)] {
        // A window cannot be as narrow as a phone, but a frame can.
        let frame = format!(
            "<!doctype html><body style=\"margin:0;background:#888\"><iframe src=\"{report}\" \
             style=\"width:{width}px;height:{height}px;border:0\"></iframe>"
        );
        let page = folder.write("frame.html", frame);
        for (scheme, number) in [("dark", 0), ("light", 1)] {
            let picture = pictures.join(format!("{name}-{width}-{scheme}.png"));
            let mut chromium = chromium(folder);
            chromium
                .arg(format!("--window-size={},{height}", width.max(500)))
                .arg(format!("--blink-settings=preferredColorScheme={number}"))
                .arg(format!("--screenshot={}", picture.display()))
                .arg(format!("file://{}", page.display()));
            run(chromium).await;
            assert!(fs::metadata(&picture).unwrap().len() > 1_000, "{}", picture.display());
        }
    }
}

/// Writes the report of a saved reply.
async fn write_report(reply: &Path, report: &Path) {
    let mut saved = command();
    saved.arg("report").arg(reply).arg("-o").arg(report);
    assert_eq!(run(saved).await.code, Some(0));
}

/// A job that adds nodes to a pool. Every twentieth node fails if there are many.
fn scale_up(nodes: usize) -> String {
    let at = |second: usize| {
        let (hour, minute, second) = (8 + second / 3600, second / 60 % 60, second % 60);
        format!("2026-02-02 {hour:02}:{minute:02}:{second:02} +0000 UTC")
    };
    let node = |index: usize| {
        let reason = match index {
            7 => {
                "ECS quota exceeded: the flavor c7.4xlarge.4 is sold out in AZ eu-de-02; request \
                  a higher quota (Ecs.0319)"
            }
            index if index > 20 && index.is_multiple_of(20) => "no IP address left in the subnet",
            _ => "",
        };
        let phase = if reason.is_empty() { "Success" } else { "Failed" };
        json!({
            "metadata": {"uid": format!("{index:08x}-229a-11e8-9c75-0255ac100ceb"),
                "creationTimestamp": at(index), "updateTimestamp": at(index + 20 + index * 37 % 120)},
            "spec": {"type": "CreateNode", "resourceName": format!("prod-eu-de-pool-blue-{index:04}")},
            "status": {"phase": phase, "reason": reason},
        })
    };
    let steps: Vec<_> = (0..nodes).map(node).collect();
    let phase = if nodes > 7 { "Failed" } else { "Success" };
    json!({
        "metadata": {"uid": "354331b2-229a-11e8-9c75-0255ac100ceb",
            "creationTimestamp": at(0), "updateTimestamp": at(nodes + 140)},
        "spec": {"type": "ScaleupCluster", "resourceName": "prod-eu-1", "subJobs": steps},
        "status": {"phase": phase, "reason": ""},
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_fit_any_width_and_load_no_resources() {
    if !is_installed("chromium", "--version") {
        return;
    }
    let folder = Folder::new();
    let report = folder.file("report.html");
    write_report(&fixture("jobs/reference-example.json"), &report).await;
    assert_eq!(check_page(&folder, "report.html", "CreateCluster cluster-name: Running").await, 3);

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
    let title = "2 jobs: 1 failed, 1 succeeded";
    assert_eq!(check_page(&folder, "report.html", title).await, 2, "the steps are folded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_of_many_steps_are_readable_pages_and_images() {
    if !is_installed("chromium", "--version") {
        return;
    }
    let folder = Folder::new();
    for (nodes, phase, bars) in [(0, "Success", 1), (30, "Failed", 31), (500, "Failed", 50)] {
        let reply = folder.write("reply.json", scale_up(nodes));
        write_report(&reply, &folder.file("report.html")).await;
        let title = format!("ScaleupCluster prod-eu-1: {phase}");
        assert_eq!(check_page(&folder, "report.html", &title).await, bars, "{nodes} nodes");
        take_pictures(&folder, "report.html", &format!("steps-{}", nodes.max(1))).await;

        write_report(&reply, &folder.file("report.svg")).await;
        for found in inspect_page(&folder, "report.svg").await {
            assert_eq!(found["collisions"], 0, "{nodes} nodes: {found}");
            assert!(found["texts"].as_u64() >= Some(5), "{found}");
        }
        take_pictures(&folder, "report.svg", &format!("image-{}", nodes.max(1))).await;
    }
}

/// The page is opened from a disk, so the time is that of the layout. Chromium skips the layout of
/// jobs that are outside of the window.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_jobs_are_a_small_page_that_loads_at_once() {
    if !is_installed("chromium", "--version") {
        return;
    }
    const JOBS: usize = 5_000;
    const MAX_BYTES: u64 = 3_000_000;
    const MAX_LOAD_MS: f64 = 2_000.0;

    let (sim, server) = start_service(1).await;
    let folder = Folder::new();
    let plan = |index: usize| {
        let plan = match index % 5 {
            0 => Plan::create_cluster(),
            1 | 2 => Plan::scale_up_cluster(3),
            _ => Plan::delete_node(),
        };
        let plan = plan.faster(1_000_000);
        match index % 500 {
            7 => plan.with_failure("the flavor c7.4xlarge.4 is sold out"),
            8 => plan.with_failure("no IP address left in the subnet"),
            _ => plan,
        }
    };
    let jobs = (0..JOBS - 10).map(|index| sim.add(plan(index)).to_string());
    let unknown = (0..10).map(|index| format!("unknown-{index}"));
    let ids: String = jobs.chain(unknown).map(|id| id + "\n").collect();
    let ids = folder.write("ids", ids);
    let report = folder.file("report.html");
    let mut waits = wait_command(&sim, &server.endpoint(), server.ca_pem(), &folder);
    waits.args(["-q", "--no-list", "--max-rate", "100000", "--timeout", "0", "-o", "jsonl"]);
    waits.arg("--report").arg(&report).arg("-").stdin(fs::File::open(ids).unwrap());
    let child = waits.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let ran = wait_for_exit(child).await;
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);

    let bytes = fs::metadata(&report).unwrap().len();
    assert!(bytes < MAX_BYTES, "{bytes}");
    let title = format!("{JOBS} jobs: 20 failed, 10 could not be read, {} succeeded", JOBS - 30);
    check_page(&folder, "report.html", &title).await;
    let mut loaded = f64::MAX;
    // The shortest of three, because other tests run at the same time.
    for _ in 0..3 {
        let found = inspect_page(&folder, "report.html").await;
        loaded = found.iter().filter_map(|found| found["loaded"].as_f64()).fold(loaded, f64::min);
    }
    assert!(loaded < MAX_LOAD_MS, "{loaded} ms");
    if let Some(pictures) = pictures() {
        let figures = format!("{bytes} bytes, loaded after {loaded} ms\n");
        fs::write(pictures.join("jobs-5000.txt"), figures).unwrap();
    }
    take_pictures(&folder, "report.html", "jobs-5000").await;
}
