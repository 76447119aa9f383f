//! Things that look like ours and are not are untouched by apply and destroy: the world is listed by boto3 before and after.

use privnet_integration_tests::town::Town;
use serde_json::{Value, json};

/// Every kind that has a name: also what forwarders are made of.
fn orders() -> String {
    let machines = "      forwarder: { subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2], size: t3.small }\n      ports:\n";
    let port = "        - { listen: 5434, engine: postgres, to: { forwarder: { ip: 172.16.4.20 } } }\n";
    format!("{}{port}", super::orders().replacen("      ports:\n", machines, 1))
}

/// The things that an apply makes: kind, name and tags.
async fn made_by_apply() -> Vec<Value> {
    let mut town = Town::new("aws", &orders()).await;
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
        let thing = json!({"kind": thing["kind"], "name": thing["name"], "tags": []});
        Town::new("aws", &orders()).await.refuses(&thing);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof_without_the_name_is_untouched() {
    let mut town = Town::new("aws", &orders()).await;
    let copies: Vec<Value> = made_by_apply()
        .await
        .iter()
        .enumerate()
        .map(|(nth, thing)| json!({"kind": thing["kind"], "name": format!("copied-{nth}"), "tags": thing["tags"]}))
        .filter(|thing| thing["kind"] != "endpoint-service")
        .collect();
    town.make(&Value::from(copies));
    let before = town.things();
    town.must("apply --yes", 0);
    assert_eq!(town.changed(&before, None), Vec::<String>::new());
    town.run("destroy --yes --sever-connections");
    assert_eq!(town.things(), before, "destroy changed something");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_deployment_is_untouched() {
    let mut town = Town::new("aws", &orders()).await;
    let other = orders().replace("deployment: safety", "deployment: other");
    town.write("other.yaml", &other);
    town.must("apply --yes other.yaml", 0);
    let before = town.things();
    town.must("apply --yes aws.yaml", 0);
    assert_eq!(town.changed(&before, None), Vec::<String>::new());
    town.must("apply --yes --prune aws.yaml", 0);
    town.must("destroy --yes --sever-connections aws.yaml", 0);
    assert_eq!(town.things(), before, "destroy changed something of another deployment");
    town.must("plan --detailed-exitcode other.yaml", 0);
}
