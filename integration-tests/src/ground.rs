//! A folder with a file and a local cloud, in which the command runs as a user's would.

#![allow(clippy::unwrap_used, reason = "test machinery")]

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use privnet_sandbox::frame::Clock;
use serde_json::Value;

use crate::command::privnet;

/// How fast time passes.
const SPEED: f64 = 300.0;

/// The folder.
pub struct Ground {
    folder: tempfile::TempDir,
    file: &'static str,
}

impl Ground {
    /// One with this file: its name is what the command finds by itself, `aws.yaml`.
    ///
    /// # Panics
    /// Where the folder cannot be made.
    pub fn new(file: &'static str, text: &str) -> Self {
        let ground = Self { folder: tempfile::tempdir().unwrap(), file };
        ground.edit(text);
        Clock::open(&ground.at("sandbox"), Some(SPEED)).unwrap();
        ground
    }

    /// One whose service has a live connection.
    ///
    /// # Panics
    /// Where that cannot be had.
    pub fn connected(file: &'static str, text: &str) -> Self {
        let ground = Self::new(file, text);
        ground.must("--sandbox apply --yes", 0);
        ground.pass(60);
        ground.must("--sandbox accept-pending --yes", 0);
        ground.pass(60);
        assert!(ground.live().is_some(), "{:#}", ground.status());
        ground
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the folder.
    pub fn at(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file in the folder.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.at(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Writes the desired state anew.
    pub fn edit(&self, text: &str) {
        self.write(self.file, text);
    }

    /// Lets time pass in the cloud.
    ///
    /// # Panics
    /// Where the cloud has no clock.
    pub fn pass(&self, seconds: u64) {
        Clock::open(&self.at("sandbox"), None).unwrap().advance(Duration::from_secs(seconds)).unwrap();
    }

    /// Runs the command with these words.
    ///
    /// # Panics
    /// Where it cannot be run.
    pub fn run(&self, line: &str) -> Output {
        privnet(self.path()).args(line.split_whitespace()).output().unwrap()
    }

    /// Runs what must come to this status.
    ///
    /// # Panics
    /// Where it comes to another.
    pub fn must(&self, line: &str, status: i32) -> Output {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(status), "{line}: {}", both(&output));
        output
    }

    /// What a command says as JSON.
    ///
    /// # Panics
    /// Where it fails, or says something else.
    pub fn json(&self, line: &str) -> Value {
        serde_json::from_slice(&self.must(&format!("{line} --output json"), 0).stdout).unwrap()
    }

    /// The status of all services.
    pub fn status(&self) -> Value {
        self.json("--sandbox status")
    }

    /// The first service's live connection, by id.
    pub fn live(&self) -> Option<String> {
        let status = self.status();
        let connections = status["services"][0]["connections"].as_array()?;
        let live = connections.iter().find(|one| one["state"] == "accepted")?;
        live["id"].as_str().map(str::to_owned)
    }
}

/// All that a process said.
#[must_use]
pub fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
