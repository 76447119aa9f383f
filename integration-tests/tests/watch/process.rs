//! `privnet watch` as a process: what it says line by line, how it is stopped, what it serves.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use privnet_integration_tests::command::privnet;
use privnet_sandbox::frame::Clock;
use serde_json::Value;

/// Nothing that is waited for takes anywhere near this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A folder with files and a local cloud.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new(speed: f64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Clock::open(&folder.path().join("sandbox"), Some(speed)).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.path().join(name)).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap_or_default()
    }

    pub(crate) fn clock(&self, speed: Option<f64>) -> Clock {
        Clock::open(&self.path().join("sandbox"), speed).unwrap()
    }

    pub(crate) fn run(&self, line: &str) -> Output {
        privnet(self.path()).args(line.split_whitespace()).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a command that must end well.
    pub(crate) fn demand(&self, line: &str) {
        let output = self.run(line);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{line}: {said}{}",
            String::from_utf8_lossy(&output.stdout)
        );
    }

    /// The object that a command gives.
    pub(crate) fn json(&self, line: &str) -> Value {
        let output = self.run(&format!("{line} --output json"));
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{line}: {error}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Starts `privnet --sandbox watch --output json …`.
    pub(crate) fn watch(&self, more: &str) -> Watching {
        let mut command = privnet(self.path());
        command.args(format!("--sandbox watch --output json {more}").split_whitespace());
        Watching::start(command)
    }
}

/// A watch that runs.
pub(crate) struct Watching {
    child: Child,
    lines: Receiver<Value>,
}

impl Watching {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let object = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                if send.send(object).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The next line for which this holds; those before it are passed over.
    pub(crate) fn until(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        let mut last = Value::Null;
        while let Some(left) = PATIENCE.checked_sub(started.elapsed()) {
            match self.lines.recv_timeout(left) {
                Ok(line) if holds(&line) => return line,
                Ok(line) => last = line,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        let _ = self.child.kill();
        panic!("it never said: {what}; its last word was {last:#}\n{}", self.said());
    }

    /// The next round of a deployment for which this holds.
    pub(crate) fn round(&mut self, deployment: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        self.until(&format!("{deployment}: {what}"), |line| {
            line["event"] == "round" && line["deployment"] == deployment && holds(line)
        })
    }

    /// The next word about a file.
    pub(crate) fn file(&mut self, change: &str) -> Value {
        self.until(&format!("a file is {change}"), |line| line["event"] == "file" && line["change"] == change)
    }

    /// Its resident memory, in KiB.
    pub(crate) fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").trim().parse().unwrap()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Stops it with a signal; its exit status, its last line and what it said on standard error.
    pub(crate) fn stop(self, signal: &str) -> (Option<i32>, Value, String) {
        self.signal(signal);
        self.end()
    }

    /// Its end, after a signal.
    pub(crate) fn end(mut self) -> (Option<i32>, Value, String) {
        let last = self.until("stopped", |line| line["event"] == "stopped");
        let status = self.child.wait().unwrap();
        (status.code(), last, self.said())
    }

    fn said(&mut self) -> String {
        let mut said = String::new();
        if let Some(mut err) = self.child.stderr.take() {
            let _ = err.read_to_string(&mut said);
        }
        said
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The status, the head and the body of an answer to a GET.
pub(crate) fn get(address: &str, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    (status.unwrap_or_else(|| panic!("{head}")), head.to_owned(), body.to_owned())
}
