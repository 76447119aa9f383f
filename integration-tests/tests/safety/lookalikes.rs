//! Things that look like ours and are not are untouched by apply and destroy: the world is listed by boto3 before and after.

use privnet_core::{Address, Generation, name};
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
    // A file whose deployment was renamed would make all anew beside what is there: that is refused before, and nothing is said when it is done.
    let said = "of the deployment `other`";
    let refused = town.must("plan --detailed-exitcode aws.yaml", 3);
    assert!(
        refused.contains("[hand-over]") && refused.contains("Give the file `deployment: other` again"),
        "{refused}"
    );
    town.must("apply --yes aws.yaml", 3);
    assert_eq!(town.things(), before);
    // Two deployments may have services of one name for other databases, or for other vendors.
    let another = [
        ("to: { ips: [10.0.0.25] }", "to: { ips: [10.0.0.35] }"),
        ("172.16.4.20", "172.16.4.21"),
        ("listen: 5433,", "listen: 5444, port: 5433,"),
        ("allow: { fivetran: {} }", "allow: { databricks: {} }"),
    ];
    for (from, to) in another {
        let edited = orders().replace(from, to);
        assert_ne!(edited, orders(), "{from}");
        town.write("aws.yaml", &edited);
        let warned = town.must("plan --detailed-exitcode aws.yaml", 2);
        assert!(
            warned.contains("has the tags of a service of this name of the deployment `other`"),
            "{warned}"
        );
    }
    town.write("aws.yaml", &orders());
    town.must("apply --yes --sever-connections aws.yaml", 0);
    assert!(!town.must("plan --detailed-exitcode aws.yaml", 0).contains(said));
    assert_eq!(town.changed(&before, None), Vec::<String>::new());
    town.must("apply --yes --prune aws.yaml", 0);
    town.must("destroy --yes --sever-connections aws.yaml", 0);
    assert_eq!(town.things(), before, "destroy changed something of another deployment");
    town.must("plan --detailed-exitcode other.yaml", 0);
}

const DATABASES: &str = "sg-0ddddddddddddddd4";
const SHARED: &str = "vpce-svc-0eeeeeeeeeeeeeee5";
const BALANCER: &str =
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/db/0123456789abcdef";
const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:privnet-connections";

/// Services of every form: what privnet adds to things of the user's has no names of its own.
fn beside_yours() -> String {
    let made = super::orders();
    let notified = made.replacen(
        "      database",
        &format!("      notification: {{ sns_topic: '{TOPIC}', events: [Connect] }}\n      database"),
        1,
    );
    format!(
        "{notified}  - name: legacy
    allow: {{ fivetran: {{}} }}
    aws:
      existing: {{ load_balancer: '{BALANCER}' }}
      ports: [{{ listen: 6432, engine: postgres, to: {{ ips: [10.0.0.27] }} }}]
  - name: shared
    allow: {{ fivetran: {{}} }}
    aws: {{ existing: {{ endpoint_service: {SHARED} }} }}
"
    )
}

/// The name that a deployment gives to what is at this address.
fn name_of(deployment: &str, address: &Address) -> String {
    name::derived(deployment, address, Generation::A, name::NameRule { max: 32 })
}

/// The tags of what a deployment made, under a shown name.
fn tags(deployment: &str, address: &Address, shown: &str) -> Value {
    json!([
        ["privnet:deployment", deployment],
        ["privnet:service", address.service],
        ["privnet:kind", address.kind],
        ["privnet:name", address.name],
        ["privnet:generation", "a"],
        ["Name", shown],
    ])
}

/// What looks like ours in a security group, a load balancer and an endpoint service of the user's: for each of them one with our name or
/// place and no proof, one with our proof under another name, and one that another deployment made.
fn look_alikes() -> Vec<Value> {
    let rule = Address::new("orders", "security-group-rule", format!("database/{DATABASES}/5432"));
    let listener = Address::new("legacy", "listener", "6432");
    let allowed = Address::new("shared", "allowed-principals", "supplied");
    let mut all = Vec::new();
    for (nth, (deployment, proven, named)) in
        [("safety", false, true), ("safety", true, false), ("other", true, true)].into_iter().enumerate()
    {
        let called = |address: &Address| {
            if named { name_of(deployment, address) } else { format!("copied-{nth}") }
        };
        let bears = |address: &Address| {
            if proven { tags(deployment, address, &called(address)) } else { json!([]) }
        };
        all.push(json!({
            "kind": "rule", "name": called(&rule), "tags": bears(&rule),
            "group": DATABASES, "port": 5432, "source": format!("10.9.{nth}.0/24"),
        }));
        all.push(json!({
            "kind": "listener", "name": "-", "tags": bears(&listener), "balancer": BALANCER, "port": 7000 + nth,
        }));
        all.push(json!({
            "kind": "allowed-principal", "name": format!("arn:aws:iam::11112222333{nth}:root"), "tags": bears(&allowed),
            "service": SHARED,
        }));
    }
    // A notification has neither name nor tags: it is ours on an endpoint service of ours alone.
    all.push(json!({
        "kind": "notification", "name": TOPIC, "tags": [], "service": SHARED, "events": ["Connect"],
    }));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_looks_like_ours_in_things_of_yours_is_untouched() {
    let mut town = Town::new("aws", &beside_yours()).await;
    town.make(&Value::from(look_alikes()));
    let before = town.things();
    town.must("apply --yes", 0);
    assert_eq!(town.changed(&before, None), Vec::<String>::new());
    // A listener with all that ours has, on another port than it names, is a copy while ours is on its own.
    let listener = Address::new("legacy", "listener", "6432");
    let whole = tags("safety", &listener, &name_of("safety", &listener));
    let copy = json!({"kind": "listener", "name": "-", "tags": whole, "balancer": BALANCER, "port": 7009});
    town.make(&Value::from(vec![copy]));
    let beside = town.things();
    town.must("plan --detailed-exitcode", 0);
    town.must("destroy --yes --sever-connections", 0);
    let after = town.things();
    assert!(before.is_subset(&after), "destroy changed {:#?}", before.difference(&after));
    let copied: Vec<_> = after.difference(&before).collect();
    assert!(copied.iter().all(|line| beside.contains(*line)) && copied.len() == 2, "{copied:#?}");
}

/// Copies with all that ours have, tags, shown name and description, in places that the file names as well: a listener on the same port of
/// another load balancer, a rule in another group and one in the same group.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_copies_in_other_things_of_yours_are_told_and_untouched() {
    let mut town = Town::new("aws", &beside_yours()).await;
    let made = town.make(&json!([
        {"kind": "load-balancer", "name": "spare", "tags": []},
        {"kind": "security-group", "name": "spare", "tags": []},
    ]));
    let [balancer, group] = made.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{made}") };
    let file = beside_yours().replace(
        "  - name: shared\n",
        &format!(
            "  - name: second
    allow: {{ fivetran: {{}} }}
    aws:
      existing: {{ load_balancer: '{balancer}' }}
      ports: [{{ listen: 6433, engine: postgres, to: {{ ips: [10.0.0.28] }} }}]
  - name: shared\n"
        ),
    );
    town.write("aws.yaml", &file);
    let rule = Address::new("orders", "security-group-rule", format!("database/{DATABASES}/5432"));
    let described = name_of("safety", &rule);
    let rule_in = |group: &str| {
        json!({
            "kind": "rule", "name": described, "tags": tags("safety", &rule, &described), "group": group, "port": 5432,
            "source": "10.9.0.0/24",
        })
    };
    let listener = Address::new("legacy", "listener", "6432");
    let whole = tags("safety", &listener, &name_of("safety", &listener));
    let copy = json!({"kind": "listener", "name": "-", "tags": whole, "balancer": balancer, "port": 6432});
    // These two are where ours never are, so that they are nobody's but yours before there is anything of ours.
    town.make(&Value::from(vec![copy, rule_in(group)]));
    let before = town.things();
    town.must("apply --yes", 0);
    assert_eq!(town.changed(&before, None), Vec::<String>::new());
    town.make(&Value::from(vec![rule_in(DATABASES)]));
    let beside = town.things();
    let planned = town.must("plan --detailed-exitcode", 0);
    assert_eq!(planned.matches("stays as it is: it has the tags").count(), 3, "{planned}");
    town.must("destroy --yes --sever-connections", 0);
    let after = town.things();
    assert!(before.is_subset(&after), "destroy changed {:#?}", before.difference(&after));
    let copied: Vec<_> = after.difference(&before).collect();
    assert!(copied.len() == 1 && beside.contains(copied[0]), "{copied:#?}");
}

/// A listener on the port that the file wants, without proof.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_of_yours_on_the_port_is_refused_and_untouched() {
    let thing = json!({"kind": "listener", "name": "-", "tags": [], "balancer": BALANCER, "port": 6432});
    Town::new("aws", &beside_yours()).await.refuses(&thing);
}
