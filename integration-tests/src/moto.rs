//! moto, a third party's emulator of AWS, in a process of its own that can be copied with all that it holds.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::census::{here, python};

/// moto with a network in it.
#[derive(Debug)]
pub struct Moto {
    /// Its URL (`url`) and the ids of a network in it: `vpc`, `subnets`, `group`.
    pub world: Value,
    process: Arc<Mutex<Process>>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    /// Closing it ends the process and all copies.
    ask: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// A moto of its own that began with what the original held. It ends when this is dropped.
#[derive(Debug)]
pub struct Copy {
    /// Its URL.
    pub url: String,
    pid: u64,
    process: Arc<Mutex<Process>>,
}

impl Moto {
    /// Starts it.
    ///
    /// # Errors
    /// When Python is not set up or does not start.
    pub fn start() -> io::Result<Self> {
        let mut child = Command::new(python()?)
            .arg(here().join("aws/moto_copies.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What moto does not know, it says at length.
            .stderr(Stdio::null())
            .spawn()?;
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        let ask = Some(child.stdin.take().ok_or_else(broken)?);
        let answers = BufReader::new(child.stdout.take().ok_or_else(broken)?);
        let mut process = Process { child, ask, answers };
        let world = process.answer()?;
        Ok(Self { world, process: Arc::new(Mutex::new(process)) })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        self.world["url"].as_str().unwrap_or_default()
    }

    /// Another one that holds what this one holds now. Nothing may be on its way to this one meanwhile.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn copy(&self) -> io::Result<Copy> {
        let said = self.process.lock().unwrap_or_else(PoisonError::into_inner).ask("copy")?;
        let url = said["url"].as_str().unwrap_or_default().to_owned();
        Ok(Copy { url, pid: said["pid"].as_u64().unwrap_or_default(), process: Arc::clone(&self.process) })
    }
}

impl Process {
    fn ask(&mut self, line: &str) -> io::Result<Value> {
        let ask = self.ask.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))?;
        writeln!(ask, "{line}")?;
        ask.flush()?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("moto's process said {line:?}: {error}"))
        })
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = process.ask(&format!("end {}", self.pid));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.ask.take());
        let _ = self.child.wait();
    }
}
