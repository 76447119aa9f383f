//! The promises of safety, as the command keeps them: no secret anywhere, nothing but the sandbox with `--sandbox`, look-alikes
//! untouched, nobody cut without the word, and several at once without doubles.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod lookalikes;
mod reach;
mod secrets;
mod severing;
mod together;

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use privnet_integration_tests::command::privnet;
use privnet_sandbox::frame::Clock;
use serde_json::Value;

/// How fast time passes.
const SPEED: f64 = 300.0;

const HEAD: &str = "version: 1
deployment: safety
tags: { cost-center: '4711' }
defaults:
  aws:
    account: '123456789012'
    region: us-east-1
    vpc: vpc-0a1b2c3d4e5f60718
    subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]
services:
";

const ORDERS: &str = "  - name: orders
    allow: { fivetran: {} }
    aws:
      database_security_groups: [sg-0ddddddddddddddd4]
      ports:
        - { listen: 5432, engine: postgres, to: { ips: [10.0.0.25] } }
        - { listen: 5433, engine: postgres, to: { ips: [10.0.0.26] } }
";

fn orders() -> String {
    format!("{HEAD}{ORDERS}")
}

/// A folder with `aws.yaml` and a local cloud.
struct Ground {
    folder: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("aws.yaml"), orders()).unwrap();
        Clock::open(&folder.path().join("sandbox"), Some(SPEED)).unwrap();
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.at(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn pass(&self, seconds: u64) {
        Clock::open(&self.at("sandbox"), None).unwrap().advance(Duration::from_secs(seconds)).unwrap();
    }

    fn run(&self, line: &str) -> Output {
        privnet(self.path()).args(line.split_whitespace()).output().unwrap()
    }

    /// Runs what must come to this status.
    fn must(&self, line: &str, status: i32) -> Output {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(status), "{line}: {}", both(&output));
        output
    }

    fn status(&self) -> Value {
        serde_json::from_slice(&self.must("--sandbox status --output json", 0).stdout).unwrap()
    }
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
