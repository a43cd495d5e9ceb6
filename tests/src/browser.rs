//! A real browser, Debian's chromium without a window, driven by the DevTools protocol over a pair of pipes.
//!
//! The pipes are named ones: a shell opens them as the file descriptors 3 and 4 that chromium reads and writes. A message is JSON with a
//! zero byte behind it.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine as _;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Longest time for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// Between two looks at a page.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A browser with one page; ended when it is dropped.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    wishes: File,
    answers: Receiver<Value>,
    calls: u64,
    session: String,
    /// Errors on the page's console, exceptions, and what the browser itself complained about.
    pub errors: Vec<String>,
    /// Addresses that were asked for.
    pub requests: Vec<String>,
    /// Bytes that came over the wire.
    pub bytes: u64,
    _home: TempDir,
}

/// Whether there is a browser; says loudly what is skipped where there is none.
#[must_use]
pub fn available(what: &str) -> bool {
    let found = Command::new("chromium").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        eprintln!("SKIPPED: {what}: no chromium (apt-get install chromium)");
    }
    found
}

impl Browser {
    /// Starts it.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn start() -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let pipe = |name: &str| {
            let path = home.path().join(name);
            mkfifo(&path, Mode::S_IRWXU).expect("a pipe");
            path
        };
        let (ours, theirs) = (pipe("wishes"), pipe("answers"));
        let mut child = Command::new("sh")
            .args(["-c", "exec 3<\"$0\" 4>\"$1\"; shift; exec chromium \"$@\""])
            .args([&ours, &theirs])
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", home.path().join("profile").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        // To open a pipe waits for its other end; where the browser does not come, this is its death.
        let wishes = open(&ours, false, &mut child);
        let reader = open(&theirs, true, &mut child);
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(reader).split(0).map_while(Result::ok) {
                let Ok(message) = serde_json::from_slice(&message) else { continue };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self {
            child,
            wishes,
            answers,
            calls: 0,
            session: String::new(),
            errors: Vec::new(),
            requests: Vec::new(),
            bytes: 0,
            _home: home,
        };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let target = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", &target);
        session["sessionId"].as_str().expect("a session").clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Network", "Log"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// Asks the browser, and waits for its answer.
    ///
    /// # Panics
    /// When it refuses, or does not answer in time.
    pub fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.calls += 1;
        let mut wish = json!({ "id": self.calls, "method": method, "params": parameters });
        if !self.session.is_empty() {
            wish["sessionId"] = self.session.as_str().into();
        }
        let mut bytes = wish.to_string().into_bytes();
        bytes.push(0);
        self.wishes.write_all(&bytes).expect("the browser lives");
        let until = Instant::now() + ANSWER_MAX;
        loop {
            let rest = until.saturating_duration_since(Instant::now());
            let message = self.answers.recv_timeout(rest).unwrap_or_else(|error| panic!("{method}: {error}"));
            if message["id"] == self.calls {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.note(&message);
        }
    }

    fn note(&mut self, message: &Value) {
        let parameters = &message["params"];
        match message["method"].as_str().unwrap_or("") {
            "Runtime.exceptionThrown" => self.errors.push(parameters["exceptionDetails"].to_string()),
            "Runtime.consoleAPICalled" if ["error", "assert", "warning"].iter().any(|t| parameters["type"] == *t) => {
                self.errors.push(parameters["args"].to_string());
            }
            "Log.entryAdded" if parameters["entry"]["level"] == "error" => {
                self.errors.push(parameters["entry"].to_string())
            }
            "Network.requestWillBeSent" => {
                self.requests.extend(parameters["request"]["url"].as_str().map(str::to_owned));
            }
            "Network.loadingFinished" => self.bytes += parameters["encodedDataLength"].as_f64().unwrap_or(0.0) as u64,
            _ => {}
        }
    }

    /// Opens an address.
    pub fn open(&mut self, address: &str) {
        let opened = self.call("Page.navigate", &json!({ "url": address }));
        assert!(opened["errorText"].is_null(), "{address}: {opened}");
    }

    /// The value of an expression on the page; a promise is waited for.
    ///
    /// # Panics
    /// When it throws.
    pub fn eval(&mut self, expression: &str) -> Value {
        let wish = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", &wish);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true; how long that took.
    ///
    /// # Panics
    /// When it does not become so in time.
    pub fn until(&mut self, expression: &str, deadline: Duration) -> Duration {
        let begun = Instant::now();
        while self.eval(expression) != true {
            if begun.elapsed() > deadline {
                let text = self.eval("document.body.innerText");
                panic!("within {deadline:?}: {expression}\n{text}\n{:?}", self.errors);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        begun.elapsed()
    }

    /// Width and height of the window, and whether the theme is dark.
    pub fn look(&mut self, width: u32, height: u32, dark: bool) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call("Emulation.setDeviceMetricsOverride", &size);
        let theme = json!({ "name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" } });
        self.call("Emulation.setEmulatedMedia", &json!({ "features": [theme] }));
    }

    /// A picture of the whole page, PNG.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn picture(&mut self, path: &Path) {
        let shot = self.call("Page.captureScreenshot", &json!({ "format": "png", "captureBeyondViewport": true }));
        let bytes = base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().expect("a picture"));
        std::fs::write(path, bytes.expect("base64")).expect("it can be written");
    }
}

/// Opens our end of a pipe as soon as the browser has opened its own.
fn open(path: &Path, read: bool, child: &mut Child) -> File {
    let path = path.to_owned();
    let (sender, opened) = channel();
    std::thread::spawn(move || {
        let file = OpenOptions::new().read(read).write(!read).open(path);
        let _ = sender.send(file);
    });
    match opened.recv_timeout(ANSWER_MAX) {
        Ok(file) => file.expect("a pipe"),
        Err(error) => {
            let _ = child.kill();
            panic!("the browser did not come up: {error}");
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.wishes.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until && self.child.try_wait().is_ok_and(|status| status.is_none()) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
