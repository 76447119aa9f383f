//! Things that look like ours and are not are untouched by apply and destroy: the world is listed by azure-mgmt-* before and after.

use privnet_integration_tests::town::Town;
use serde_json::{Value, json};

use super::orders;

/// The kinds that have tags; a subnet has none, its derived name is the proof.
const TAGGED: [&str; 4] = ["security-group", "load-balancer", "machines", "private-link-service"];

/// The things that an apply makes: kind, name and tags.
async fn made_by_apply() -> Vec<Value> {
    let mut town = Town::new("azure", &orders()).await;
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

/// The interface that the file lets privnet join.
const JOINED: &str = "[\"interface\", \"db-1-nic\"";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_name_without_proof_is_refused_and_untouched() {
    for thing in made_by_apply().await {
        let thing = json!({"kind": thing["kind"], "name": thing["name"], "tags": []});
        Town::new("azure", &orders()).await.refuses(&thing);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof_without_the_name_is_untouched() {
    let mut town = Town::new("azure", &orders()).await;
    let copies: Vec<Value> = made_by_apply()
        .await
        .iter()
        .enumerate()
        .map(|(nth, thing)| json!({"kind": thing["kind"], "name": format!("copied-{nth}"), "tags": thing["tags"]}))
        .collect();
    town.make(&Value::from(copies));
    let before = town.things();
    town.run("apply --yes");
    assert_eq!(town.changed(&before, Some(JOINED)), Vec::<String>::new());
    town.run("destroy --yes --sever-connections");
    assert_eq!(town.things(), before, "destroy changed something");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_deployment_is_untouched() {
    let mut town = Town::new("azure", &orders()).await;
    let other = orders()
        .replace("deployment: safety", "deployment: other")
        .replace("10.1.9.0/28", "10.1.10.0/28")
        .replace("db-1-nic", "db-2-nic");
    town.write("other.yaml", &other);
    town.must("apply --yes other.yaml", 0);
    let before = town.things();
    town.must("apply --yes azure.yaml", 0);
    assert_eq!(town.changed(&before, Some(JOINED)), Vec::<String>::new());
    town.must("apply --yes --prune azure.yaml", 0);
    town.must("destroy --yes --sever-connections azure.yaml", 0);
    assert_eq!(town.things(), before, "destroy changed something of another deployment");
    town.must("plan --detailed-exitcode other.yaml", 0);
}
