//! privnet on moto, a third party's emulator of AWS: apply, an empty plan, and destroy, as the command does it with the
//! environment that points any AWS tool at another endpoint.
//!
//! moto has no calls for connections and answers them with HTTP 500: privnet takes such connections to be live, says so, and
//! needs the word to sever. There is no code for moto anywhere.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};

use privnet_integration_tests::census::{here, python};
use privnet_integration_tests::command::privnet;
use serde_json::Value;

struct Moto {
    child: Child,
    world: Value,
}

impl Moto {
    fn start() -> Self {
        let mut child = Command::new(python().unwrap())
            .arg(here().join("aws/moto_world.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, world: serde_json::from_str(&line).unwrap() }
    }

    fn file(&self) -> String {
        format!(
            "version: 1
deployment: mototest
tags: {{ cost-center: '4711' }}
services:
  - name: orders
    allow: {{ fivetran: {{}} }}
    aws:
      account: '123456789012'
      region: us-east-1
      vpc: {}
      subnets: {}
      database_security_groups: [{}]
      ports:
        - {{ listen: 5432, engine: postgres, to: {{ ips: [10.0.0.25] }} }}
        - {{ listen: 15432, port: 5432, engine: postgres, to: {{ ips: [10.0.1.25] }} }}
",
            self.world["vpc"], self.world["subnets"], self.world["group"]
        )
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(moto: &Moto, folder: &tempfile::TempDir, arguments: &[&str]) -> Output {
    privnet(folder.path())
        .args(arguments)
        .args(["--output", "json", "aws.yaml"])
        .env("AWS_ENDPOINT_URL", moto.world["url"].as_str().unwrap())
        .env("AWS_ACCESS_KEY_ID", "testing")
        .env("AWS_SECRET_ACCESS_KEY", "testing")
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn applies_plans_empty_and_destroys_on_moto() {
    let moto = Moto::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("aws.yaml"), moto.file()).unwrap();

    let applied = run(&moto, &folder, &["apply", "--yes"]);
    assert_eq!(applied.status.code(), Some(0), "{:#}", json(&applied));

    let planned = run(&moto, &folder, &["plan", "--detailed-exitcode"]);
    let plan = json(&planned);
    assert_eq!(planned.status.code(), Some(0), "not empty: {plan:#}");
    let warnings = plan["warnings"].to_string();
    assert!(warnings.contains("taken to be live"), "{warnings}");

    let refused = run(&moto, &folder, &["destroy", "--yes"]);
    assert_eq!(refused.status.code(), Some(3), "what cannot be read is not cut: {:#}", json(&refused));

    let destroyed = run(&moto, &folder, &["destroy", "--yes", "--sever-connections"]);
    assert_eq!(destroyed.status.code(), Some(0), "{:#}", json(&destroyed));
    let again = json(&run(&moto, &folder, &["destroy", "--yes", "--sever-connections"]));
    assert_eq!(again["actions"].as_array().map(Vec::len), Some(0), "something was left: {again:#}");
}
