//! Things that look like ours and are not are untouched by apply and destroy: the world is listed by azure-mgmt-* before and after.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use privnet_integration_tests::census::{Census, here, python};
use privnet_integration_tests::command::privnet;
use privnet_integration_tests::stage::Stage;
use serde_json::{Value, json};

use super::{both, orders};

struct Town {
    stage: Stage,
    census: Census,
    files: tempfile::TempDir,
}

impl Town {
    async fn new() -> Self {
        let stage = Stage::open(None).await.unwrap();
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("azure.yaml"), orders()).unwrap();
        Self { stage, census: Census::start("azure/census.py").unwrap(), files }
    }

    fn run(&self, line: &str) -> Output {
        let mut command = privnet(self.files.path());
        command.arg("--sandbox").arg("--dir").arg(self.stage.folder()).args(line.split_whitespace());
        tokio::task::block_in_place(|| command.output()).unwrap()
    }

    fn must(&self, line: &str, status: i32) -> String {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(status), "{line}: {}", both(&output));
        both(&output)
    }

    fn things(&mut self) -> BTreeSet<String> {
        self.census.take(&self.stage.url("azure")).unwrap()
    }

    fn make(&self, things: &Value) {
        let made = Command::new(python().unwrap())
            .arg(here().join("azure/look_alikes.py"))
            .arg(self.stage.url("azure"))
            .arg(things.to_string())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", both(&made));
    }
}

/// The kinds that have tags; a subnet has none, its derived name is the proof.
const TAGGED: [&str; 4] = ["security-group", "load-balancer", "machines", "private-link-service"];

/// The things that an apply makes: kind, name and tags.
async fn made_by_apply() -> Vec<Value> {
    let mut town = Town::new().await;
    let before = town.things();
    town.must("apply --yes", 0);
    let after = town.things();
    let mut made: Vec<Value> = Vec::new();
    for line in after.difference(&before) {
        let thing: Vec<Value> = serde_json::from_str(line).unwrap();
        if TAGGED.iter().any(|kind| thing[0] == *kind) {
            let is_tags = |value: &&Value| value[0][0].as_str().is_some_and(|name| name == "cost-center");
            let tags = thing.iter().find(is_tags).expect("everything of ours has tags");
            made.push(json!({"kind": thing[0], "name": thing[1], "tags": tags}));
        }
    }
    assert_eq!(made.len(), TAGGED.len(), "{made:#?}");
    made
}

/// What is not as it was, but for the interface that the file lets privnet join.
fn changed<'a>(before: &'a BTreeSet<String>, after: &'a BTreeSet<String>) -> Vec<&'a String> {
    before.difference(after).filter(|line| !line.starts_with("[\"interface\", \"db-1-nic\"")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_name_without_proof_is_refused_and_untouched() {
    for thing in made_by_apply().await {
        let mut town = Town::new().await;
        town.make(&json!([{"kind": thing["kind"], "name": thing["name"], "tags": []}]));
        let before = town.things();
        let planned = town.must("plan --detailed-exitcode", 3);
        assert!(planned.contains("[not-ours]"), "{thing}: {planned}");
        town.must("apply --yes", 3);
        let after = town.things();
        assert!(before.is_subset(&after), "{thing}: apply changed {:#?}", before.difference(&after));
        town.run("destroy --yes --sever-connections");
        assert_eq!(town.things(), before, "{thing}: destroy changed something");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof_without_the_name_is_untouched() {
    let mut town = Town::new().await;
    let copies: Vec<Value> = made_by_apply()
        .await
        .iter()
        .enumerate()
        .map(|(nth, thing)| json!({"kind": thing["kind"], "name": format!("copied-{nth}"), "tags": thing["tags"]}))
        .collect();
    town.make(&Value::from(copies));
    let before = town.things();
    town.run("apply --yes");
    let after = town.things();
    let changed = changed(&before, &after);
    assert!(changed.is_empty(), "apply changed {changed:#?}");
    town.run("destroy --yes --sever-connections");
    assert_eq!(town.things(), before, "destroy changed something");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_deployment_is_untouched() {
    let mut town = Town::new().await;
    let other = orders()
        .replace("deployment: safety", "deployment: other")
        .replace("10.1.9.0/28", "10.1.10.0/28")
        .replace("db-1-nic", "db-2-nic");
    std::fs::write(town.files.path().join("other.yaml"), other).unwrap();
    town.must("apply --yes other.yaml", 0);
    let before = town.things();
    town.must("apply --yes azure.yaml", 0);
    let after = town.things();
    let changed = changed(&before, &after);
    assert!(changed.is_empty(), "apply changed {changed:#?}");
    town.must("apply --yes --prune azure.yaml", 0);
    town.must("destroy --yes --sever-connections azure.yaml", 0);
    assert_eq!(town.things(), before, "destroy changed something of another deployment");
    town.must("plan --detailed-exitcode other.yaml", 0);
}
