//! A served cloud whose world a third-party client lists and fills: for what looks like ours and is not.

#![allow(clippy::unwrap_used, reason = "test machinery")]

use std::collections::BTreeSet;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use crate::census::{Census, here, python};
use crate::command::privnet;
use crate::ground::both;
use crate::stage::Stage;

/// The cloud, and a folder with files for it.
pub struct Town {
    /// `aws` or `azure`.
    cloud: &'static str,
    stage: Stage,
    census: Census,
    files: tempfile::TempDir,
}

impl Town {
    /// One whose only file is this.
    ///
    /// # Panics
    /// Where it cannot be served.
    pub async fn new(cloud: &'static str, text: &str) -> Self {
        let stage = Stage::open(None).await.unwrap();
        let census = Census::start(format!("{cloud}/census.py")).unwrap();
        let town = Self { cloud, stage, census, files: tempfile::tempdir().unwrap() };
        town.write(&format!("{cloud}.yaml"), text);
        town
    }

    /// Writes a file beside the first.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.files.path().join(name), text).unwrap();
    }

    /// Runs the command with these words.
    ///
    /// # Panics
    /// Where it cannot be run.
    pub fn run(&self, line: &str) -> Output {
        let mut command = privnet(self.files.path());
        command.arg("--sandbox").arg("--dir").arg(self.stage.folder()).args(line.split_whitespace());
        tokio::task::block_in_place(|| command.output()).unwrap()
    }

    /// Runs what must come to this status; what it said.
    ///
    /// # Panics
    /// Where it comes to another.
    pub fn must(&self, line: &str, status: i32) -> String {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(status), "{line}: {}", both(&output));
        both(&output)
    }

    /// All that is there, as the third-party client lists it.
    ///
    /// # Panics
    /// Where it cannot be listed.
    pub fn things(&mut self) -> BTreeSet<String> {
        // What was deleted lingers in lists: that settles within a few hundred seconds of the cloud's time.
        std::thread::sleep(Duration::from_millis(300));
        self.census.take(&self.stage.url(self.cloud)).unwrap()
    }

    /// Makes things by the third-party client; what its script says of them.
    ///
    /// # Panics
    /// Where they cannot be made.
    pub fn make(&self, things: &Value) -> String {
        look_alikes(self.cloud, &self.stage.url(self.cloud), things)
    }

    /// Plans and applies over something of the same name that proves nothing, and destroys: that is refused, and all stays as it was.
    ///
    /// # Panics
    /// Where it does not.
    pub fn refuses(&mut self, thing: &Value) {
        self.make(&Value::from(vec![thing.clone()]));
        let before = self.things();
        let planned = self.must("plan --detailed-exitcode", 3);
        assert!(planned.contains("[not-ours]"), "{thing}: {planned}");
        self.must("apply --yes", 3);
        let after = self.things();
        assert!(before.is_subset(&after), "{thing}: apply changed {:#?}", before.difference(&after));
        self.run("destroy --yes --sever-connections");
        assert_eq!(self.things(), before, "{thing}: destroy changed something");
    }

    /// What is not as it was before, but for what begins with this.
    ///
    /// # Panics
    /// Where the world cannot be listed.
    pub fn changed(&mut self, before: &BTreeSet<String>, but: Option<&str>) -> Vec<String> {
        let after = self.things();
        let changed = before.difference(&after);
        changed.filter(|line| !but.is_some_and(|but| line.starts_with(but))).cloned().collect()
    }
}

/// Makes things by the third-party client of a cloud at this URL; what the script says of them.
///
/// # Panics
/// Where they cannot be made.
pub fn look_alikes(cloud: &str, url: &str, things: &Value) -> String {
    let made = Command::new(python().unwrap())
        .arg(here().join(cloud).join("look_alikes.py"))
        .arg(url)
        .arg(things.to_string())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", both(&made));
    String::from_utf8_lossy(&made.stdout).into_owned()
}
