//! Things that look like ours and are not are untouched by apply and destroy: the world is listed by boto3 before and after.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use privnet_integration_tests::census::{Census, here, python};
use privnet_integration_tests::command::privnet;
use privnet_integration_tests::stage::Stage;
use serde_json::{Value, json};

use super::both;

/// Every kind that has a name: also what forwarders are made of.
fn orders() -> String {
    let machines = "      forwarder: { subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2], size: t3.small }\n      ports:\n";
    let port = "        - { listen: 5434, engine: postgres, to: { forwarder: { ip: 172.16.4.20 } } }\n";
    format!("{}{port}", super::orders().replacen("      ports:\n", machines, 1))
}

struct Town {
    stage: Stage,
    census: Census,
    files: tempfile::TempDir,
}

impl Town {
    async fn new() -> Self {
        let stage = Stage::open(None).await.unwrap();
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("aws.yaml"), orders()).unwrap();
        Self { stage, census: Census::start("aws/census.py").unwrap(), files }
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
        // Interfaces and deleted services linger; what is listed settles within a few hundred sandbox seconds.
        std::thread::sleep(std::time::Duration::from_millis(300));
        self.census.take(&self.stage.url("aws")).unwrap()
    }

    fn make(&self, things: &Value) {
        let script: &Path = &here().join("aws/look_alikes.py");
        let made = Command::new(python().unwrap())
            .arg(script)
            .arg(self.stage.url("aws"))
            .arg(things.to_string())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", both(&made));
    }
}

/// The things that an apply makes: kind, name and tags.
async fn made_by_apply() -> Vec<Value> {
    let mut town = Town::new().await;
    let before = town.things();
    town.must("apply --yes", 0);
    let after = town.things();
    let mut made: Vec<Value> = Vec::new();
    for line in after.difference(&before) {
        let thing: Vec<Value> = serde_json::from_str(line).unwrap();
        let kind = thing[0].as_str().unwrap().to_owned();
        let named = ["security-group", "load-balancer", "target-group", "launch-template", "forwarder-group"];
        if named.contains(&kind.as_str()) {
            made.push(json!({"kind": kind, "name": thing[1], "tags": thing.last()}));
        } else if kind == "endpoint-service" {
            made.push(json!({"kind": kind, "name": "-", "tags": thing.last()}));
        }
    }
    assert_eq!(made.len(), 9, "{made:#?}");
    made
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_name_without_proof_is_refused_and_untouched() {
    for thing in made_by_apply().await.iter().filter(|thing| thing["kind"] != "endpoint-service") {
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
        .filter(|thing| thing["kind"] != "endpoint-service")
        .collect();
    town.make(&Value::from(copies));
    let before = town.things();
    town.run("apply --yes");
    let after = town.things();
    assert!(before.is_subset(&after), "apply changed {:#?}", before.difference(&after));
    town.run("destroy --yes --sever-connections");
    assert_eq!(town.things(), before, "destroy changed something");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_deployment_is_untouched() {
    let mut town = Town::new().await;
    let other = orders().replace("deployment: safety", "deployment: other");
    std::fs::write(town.files.path().join("other.yaml"), other).unwrap();
    town.must("apply --yes other.yaml", 0);
    let before = town.things();
    town.must("apply --yes aws.yaml", 0);
    let after = town.things();
    assert!(before.is_subset(&after), "apply changed {:#?}", before.difference(&after));
    town.must("apply --yes --prune aws.yaml", 0);
    town.must("destroy --yes --sever-connections aws.yaml", 0);
    assert_eq!(town.things(), before, "destroy changed something of another deployment");
    town.must("plan --detailed-exitcode other.yaml", 0);
}
