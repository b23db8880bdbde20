//! A headless Chromium, controlled by the DevTools protocol over a pipe.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tiris_testing::scratch_dir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// The names of the program in the packages of distributions.
const PROGRAMS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];
/// Chromium reads commands from file 3 and writes to file 4.
const SCRIPT: &str = "exec \"$@\" 3<&0 4>&1 </dev/null >&2";
/// Root and containers have no sandbox; the browser opens only our own page.
const ARGUMENTS: [&str; 8] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--remote-debugging-pipe",
];
/// The limit of a command and its response, the start of the browser included.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);
/// The limit until the page shows an element, less than that of a command.
const SHOW_LIMIT_MILLIS: u64 = 30_000;

/// Finds the browser of this machine.
pub(crate) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;

    let places = PROGRAMS.map(|program| {
        std::env::split_paths(&path)
            .map(|folder| folder.join(program))
            .find(|place| place.is_file())
    });
    places.into_iter().flatten().next()
}

/// A browser with one page. It ends with its pipe.
pub(crate) struct Browser {
    _process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    number: u64,
    session: Option<String>,
    _profile: TempDir,
}

impl Browser {
    /// Starts the browser and opens an address.
    pub(crate) async fn open(program: &Path, address: &str) -> Self {
        let profile = scratch_dir("browser").expect("a folder");

        let mut process = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(program)
            .args(ARGUMENTS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("a browser");
        let commands = process.stdin.take().expect("a pipe");
        let answers = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut browser = Self {
            _process: process,
            commands,
            answers,
            number: 0,
            session: None,
            _profile: profile,
        };
        let page = browser
            .command("Target.createTarget", json!({"url": "about:blank"}))
            .await;

        let attach = json!({"targetId": page["targetId"], "flatten": true});

        let session = browser.command("Target.attachToTarget", attach).await;
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        browser
            .command("Page.navigate", json!({"url": address}))
            .await;
        browser
    }

    /// Clicks the first element once it exists.
    pub(crate) async fn click(&mut self, selector: &str) {
        self.when(selector, "found.click() ?? true").await;
    }

    /// Replaces the text of the first element.
    pub(crate) async fn fill_in(&mut self, selector: &str, text: &str) {
        self.when(selector, "(found.focus(), found.select(), true)")
            .await;
        self.command("Input.insertText", json!({"text": text}))
            .await;
    }

    /// Returns the text of the first element once it exists.
    pub(crate) async fn text(&mut self, selector: &str) -> String {
        let text = self.when(selector, "found.innerText").await;
        text.as_str().expect("text").to_owned()
    }

    /// Returns the value of `expression`, in which `found` is the element.
    async fn when(&mut self, selector: &str, expression: &str) -> Value {
        let selector = json!(selector);
        self.evaluate(&format!(
            "new Promise((done, fail) => {{
                const end = Date.now() + {SHOW_LIMIT_MILLIS};
                const look = () => {{
                    const found = document.querySelector({selector});
                    if (found) done({expression});
                    else if (Date.now() > end) fail(`no ${{{selector}}} in: ${{document.body.innerText}}`);
                    else setTimeout(look, 20);
                }};
                look();
            }})"
        ))
        .await
    }

    /// Returns the value of an expression, awaited when it is a promise.
    pub(crate) async fn evaluate(&mut self, expression: &str) -> Value {
        let parameters =
            json!({"expression": expression, "awaitPromise": true, "returnByValue": true});

        let answer = self.command("Runtime.evaluate", parameters).await;
        assert!(
            answer["exceptionDetails"].is_null(),
            "{:#}",
            answer["exceptionDetails"]
        );

        answer["result"]["value"].clone()
    }

    async fn command(&mut self, method: &str, parameters: Value) -> Value {
        let done = tokio::time::timeout(COMMAND_LIMIT, self.send(method, parameters)).await;
        done.unwrap_or_else(|_| panic!("{method} timed out"))
    }

    /// Commands and responses end with a zero byte; events come between them.
    async fn send(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let mut command = json!({"id": self.number, "method": method, "params": parameters});

        if let Some(session) = &self.session {
            command["sessionId"] = session.as_str().into();
        }

        self.commands
            .write_all(format!("{command}\0").as_bytes())
            .await
            .expect("a browser that reads");

        loop {
            let mut message = Vec::new();
            self.answers
                .read_until(0, &mut message)
                .await
                .expect("a browser that answers");

            assert_eq!(message.pop(), Some(0), "the browser ended");

            let message: Value = serde_json::from_slice(&message).expect("JSON");

            if message["id"] == self.number {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
        }
    }
}
