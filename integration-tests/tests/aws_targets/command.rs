//! The command `sync-targets`: what it says, and how it ends.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use privnet_integration_tests::command::privnet;
use privnet_integration_tests::stage::Fail;
use privnet_sandbox::frame::Clock;
use serde_json::Value;

use crate::{NAME, NEW, OLD, text};

/// A folder with a file and a local cloud, for the command itself.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Result<Self, Fail> {
        let folder = tempfile::tempdir()?;
        Clock::open(&folder.path().join("sandbox"), Some(1_000.0))?;
        std::fs::write(folder.path().join("aws.yaml"), text(""))?;
        Ok(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, line: &str) -> Result<Output, Fail> {
        let stdin = std::process::Stdio::null();
        Ok(privnet(self.path()).args(line.split_whitespace()).stdin(stdin).output()?)
    }

    /// Runs a command that gives one object; the object and the exit status.
    fn json(&self, line: &str) -> Result<(Value, Option<i32>), Fail> {
        let output = self.run(&format!("{line} --output json"))?;
        let object = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("{line}: {error}: {}", String::from_utf8_lossy(&output.stderr)))?;
        Ok((object, output.status.code()))
    }
}

#[test]
fn the_command_ends_and_speaks_as_apply_does() -> Result<(), Fail> {
    let folder = Folder::new()?;
    folder.run(&format!("sandbox dns {NAME} {OLD}"))?;
    let (applied, code) = folder.json("--sandbox apply --yes")?;
    assert_eq!(code, Some(0), "{applied:#}");
    let (nothing, code) = folder.json("--sandbox sync-targets aws.yaml")?;
    assert_eq!((&nothing["actions"], code), (&serde_json::json!([]), Some(0)), "{nothing:#}");
    Clock::open(&folder.path().join("sandbox"), None)?.advance(Duration::from_secs(120))?;

    // Without a terminal and without --yes nothing is done.
    folder.run(&format!("sandbox dns {NAME} {NEW}"))?;
    assert_eq!(folder.run("--sandbox sync-targets")?.status.code(), Some(64));
    assert_eq!(folder.run("--sandbox sync-targets --service nobody --yes")?.status.code(), Some(64));
    let (first, code) = folder.json("--sandbox sync-targets --yes --service orders")?;
    assert_eq!(code, Some(0), "{first:#}");
    let action = &first["actions"][0];
    assert_eq!((&action["outcome"], &action["op"]), (&"done".into(), &"update".into()), "{first:#}");
    assert_eq!(action["changes"][0]["field"], "targets", "{first:#}");
    assert!(first["calls"].as_u64() > Some(0) && first["seconds"].is_number(), "{first:#}");
    Clock::open(&folder.path().join("sandbox"), None)?.advance(Duration::from_secs(120))?;
    let second = folder.run("--sandbox sync-targets --yes")?;
    assert_eq!(second.status.code(), Some(0));
    let shown = String::from_utf8_lossy(&second.stdout).into_owned();
    assert!(shown.contains("1 of 1 action done"), "{shown}");
    assert!(!shown.contains("handoff"), "{shown}");

    // What else the file wants is left, and said.
    let more = "        - { listen: 3306, to: { ips: [10.0.0.25] } }\n";
    std::fs::write(folder.path().join("aws.yaml"), text(more))?;
    let (rest, code) = folder.json("--sandbox sync-targets --yes")?;
    assert_eq!((&rest["actions"], code), (&serde_json::json!([]), Some(0)), "{rest:#}");
    assert!(rest["warnings"].to_string().contains("`privnet apply` does it"), "{rest:#}");

    // What a safety rule refuses is refused here too.
    std::fs::write(folder.path().join("aws.yaml"), text("").replace("123456789012", "210987654321"))?;
    let (refused, code) = folder.json("--sandbox sync-targets --yes")?;
    assert_eq!(code, Some(3), "{refused:#}");
    std::fs::write(folder.path().join("aws.yaml"), "version: 2\n")?;
    assert_eq!(folder.run("--sandbox sync-targets --yes aws.yaml")?.status.code(), Some(65));
    Ok(())
}
