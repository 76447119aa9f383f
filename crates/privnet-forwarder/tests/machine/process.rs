//! Programs that a test runs: to their end, or until the test is over.

use std::io::Write as _;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// What a program printed, if it succeeded.
pub(crate) fn output(command: &mut Command) -> String {
    let output = attempt(command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed ({}):\n{text}{error}", output.status);
    text
}

/// What became of a program, whether it succeeded or not.
pub(crate) fn attempt(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Asks until the answer is yes, and fails with the question when the time is over.
pub(crate) fn eventually(within: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < within, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A program that runs beside the test and ends with it.
pub(crate) struct Running {
    child: Child,
    signal: &'static str,
}

impl Running {
    /// Starts it; `signal` is what will end it.
    pub(crate) fn start(command: &mut Command, signal: &'static str) -> Self {
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, signal }
    }

    pub(crate) fn signal(&self, signal: &str) {
        output(Command::new("kill").args(["-s", signal]).arg(self.child.id().to_string()));
    }

    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().expect("the child can be waited for").is_some()
    }

    /// Takes the program's standard output, where it was piped.
    pub(crate) fn stdout(&mut self) -> std::process::ChildStdout {
        self.child.stdout.take().expect("its standard output is piped")
    }

    /// Writes a line to the program's standard input, where it was piped.
    pub(crate) fn say(&mut self, line: &str) -> std::io::Result<()> {
        writeln!(self.child.stdin.as_mut().expect("its standard input is piped"), "{line}")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = Command::new("kill").args(["-s", self.signal]).arg(self.child.id().to_string()).status();
            let _ = self.child.wait();
        }
    }
}
