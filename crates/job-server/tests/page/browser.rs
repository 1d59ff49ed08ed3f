//! A headless browser that is driven by the DevTools protocol over pipes: no port, no WebSocket.

use std::{
    io::{self, Write as _},
    process::Stdio,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

/// Maximum time of a call, and of a condition of the page.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The browser reads commands from descriptor 3 and writes to descriptor 4. The shell connects them with its
/// own stdin and stdout.
const START: &str = "exec chromium \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null";

/// One browser runs at a time, because some tests measure times.
static TURN: Semaphore = Semaphore::const_new(1);

pub(crate) struct Browser {
    _process: Child,
    _turn: SemaphorePermit<'static>,
    commands: ChildStdin,
    replies: BufReader<ChildStdout>,
    next_id: u64,
    session: String,
    /// The events that arrived while a reply was awaited.
    events: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser with one empty page. Returns `None` if Chromium is not installed, with a message
    /// directly to stderr, because the test harness hides the output of tests that pass.
    pub(crate) async fn start() -> Option<Self> {
        let version = Command::new("chromium").arg("--version").output().await;
        if version.is_err() {
            let _ = writeln!(io::stderr(), "SKIPPED chromium: it is not installed");
            return None;
        }
        let turn = TURN.acquire().await.unwrap();
        let profile = TempDir::new().unwrap();
        let mut process = Command::new("sh")
            .args([
                "-c",
                START,
                "chromium",
                "--remote-debugging-pipe",
                "--headless",
                "--no-sandbox",
            ])
            .args(["--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"])
            .args(["--disable-background-networking", "--disable-component-update"])
            .args(["--disable-sync", "--js-flags=--expose-gc"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (commands, replies) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let mut browser = Self {
            _process: process,
            _turn: turn,
            commands,
            replies: BufReader::new(replies),
            next_id: 1,
            session: String::new(),
            events: Vec::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"})).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", attach).await;
        browser.session = attached["sessionId"].as_str().unwrap().into();
        for domain in ["Page", "Runtime", "Log", "Network", "HeapProfiler"] {
            browser.call(&format!("{domain}.enable"), json!({})).await;
        }
        Some(browser)
    }

    /// Calls a method, and returns its result.
    async fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        let mut message = json!({"id": id, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.as_str().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        timeout(CALL_TIMEOUT, async {
            self.commands.write_all(&bytes).await.unwrap();
            loop {
                let mut message = Vec::new();
                let read = self.replies.read_until(0, &mut message).await.unwrap();
                assert!(read > 0, "the browser has ended");
                message.pop();
                let mut message: Value = serde_json::from_slice(&message).unwrap();
                if message["id"] == id {
                    assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                    return message["result"].take();
                }
                self.events.push(message);
            }
        })
        .await
        .unwrap_or_else(|_| panic!("{method} took more than {CALL_TIMEOUT:?}: {params}"))
    }

    /// Sets the size of the window, and the color scheme.
    pub(crate) async fn view(&mut self, width: u32, height: u32, scheme: &str) {
        let is_phone = width < 500;
        let size = json!({"width": width, "height": height, "mobile": is_phone,
            "deviceScaleFactor": if is_phone { 2 } else { 1 }});
        self.call("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", scheme).await;
    }

    /// Loads a page, and waits until its scripts have run.
    pub(crate) async fn navigate(&mut self, url: &str) {
        self.call("Page.navigate", json!({"url": url})).await;
        let is_loaded =
            format!("location.href === {} && document.readyState === 'complete'", json!(url));
        self.until(&is_loaded).await;
    }

    /// Evaluates an expression, and returns its value, or that of its promise.
    pub(crate) async fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut result = self.call("Runtime.evaluate", params).await;
        let exception = &result["exceptionDetails"];
        assert!(exception.is_null(), "{expression}: {exception}");
        result["result"]["value"].take()
    }

    /// Waits until a condition of the page holds. The page checks it every 10 ms.
    pub(crate) async fn until(&mut self, condition: &str) {
        let script = format!(
            "new Promise((resolve, reject) => {{
                const end = performance.now() + 30000;
                const check = () => {{
                    let holds = false;
                    try {{ holds = Boolean({condition}); }} catch {{ /* the page is not complete */ }}
                    if (holds) resolve(true);
                    else if (performance.now() > end) reject(new Error(document.body.innerText.slice(0, 2000)));
                    else setTimeout(check, 10);
                }};
                check();
            }})"
        );
        // A page that is replaced by another one drops its promises.
        for _ in 0..3 {
            let params = json!({"expression": script, "awaitPromise": true, "returnByValue": true});
            let result = self.call("Runtime.evaluate", params).await;
            if result["result"]["value"] == true {
                return;
            }
            let exception = result["exceptionDetails"].to_string();
            assert!(
                exception.contains("context") || exception == "null",
                "{condition}: {exception}"
            );
        }
        panic!("the page was replaced again and again: {condition}");
    }

    /// Waits until the first element that a selector finds has this text.
    pub(crate) async fn until_text(&mut self, selector: &str, text: &str) {
        let condition =
            format!("document.querySelector({}).textContent === {}", json!(selector), json!(text));
        self.until(&condition).await;
    }

    /// Returns the text of the first element that a selector finds.
    pub(crate) async fn text(&mut self, selector: &str) -> String {
        let script = format!("document.querySelector({}).textContent", json!(selector));
        self.evaluate(&script).await.as_str().unwrap().into()
    }

    /// Returns the number of elements that a selector finds.
    pub(crate) async fn count(&mut self, selector: &str) -> u64 {
        let script = format!("document.querySelectorAll({}).length", json!(selector));
        self.evaluate(&script).await.as_u64().unwrap()
    }

    /// Selects a state in the filter of the page.
    pub(crate) async fn set_state(&mut self, state: &str) {
        self.set_control("filter-state", state, "change").await;
    }

    /// Sets the text of the filter. The page applies it soon.
    pub(crate) async fn set_filter(&mut self, text: &str) {
        self.set_control("filter-text", text, "input").await;
    }

    async fn set_control(&mut self, id: &str, value: &str, event: &str) {
        let script = format!(
            "{{ const one = document.getElementById('{id}'); one.value = {}; \
             one.dispatchEvent(new Event('{event}', {{ bubbles: true }})); }}",
            json!(value)
        );
        self.evaluate(&script).await;
    }

    /// Types a text into the element with the focus.
    pub(crate) async fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text})).await;
    }

    /// Presses a key.
    pub(crate) async fn press(&mut self, key: &str) {
        let (code, text) = if key == "Enter" { (13, "\r") } else { (27, "") };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({"type": kind, "key": key, "code": key,
                "windowsVirtualKeyCode": code});
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = text.into();
            }
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Returns the memory of the scripts after a garbage collection, in bytes.
    pub(crate) async fn heap_bytes(&mut self) -> f64 {
        self.call("HeapProfiler.collectGarbage", json!({})).await;
        self.call("Runtime.getHeapUsage", json!({})).await["usedSize"].as_f64().unwrap()
    }

    /// Returns a picture of the window as PNG.
    pub(crate) async fn screenshot(&mut self) -> Vec<u8> {
        let picture = self.call("Page.captureScreenshot", json!({"format": "png"})).await;
        STANDARD.decode(picture["data"].as_str().unwrap()).unwrap()
    }

    fn events<'a>(&'a self, method: &'a str) -> impl Iterator<Item = &'a Value> {
        self.events.iter().filter(move |event| event["method"] == method)
    }

    /// Returns the addresses of all requests.
    pub(crate) fn requests(&self) -> Vec<String> {
        let requests = self.events("Network.requestWillBeSent");
        requests.map(|event| event["params"]["request"]["url"].as_str().unwrap().into()).collect()
    }

    /// Returns everything that the console of the page contains, as JSON.
    pub(crate) fn console(&self) -> String {
        let kinds = ["Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"];
        let entries = kinds.into_iter().flat_map(|kind| self.events(kind));
        entries.map(|entry| entry["params"].to_string() + "\n").collect()
    }

    /// Checks that the console is empty. Violations of the security policy are in it, too.
    pub(crate) fn assert_no_errors(&self) {
        assert_eq!(self.console(), "");
    }
}
