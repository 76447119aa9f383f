use privnet_core::{Health, Ownership, Scope};

use super::*;
use crate::facts::Subnet;
use crate::policy::tests::{defined, spec};

const NAME: &str = "com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0";

fn supplied(region: &str) -> Spec {
    let form = AwsForm::EndpointService("vpce-svc-0123456789abcdef0".parse().unwrap());
    spec(form, region, &[("acme", defined(&["arn:aws:iam::111122223333:root"], None))])
}

fn world(fields: &[(&str, Value)]) -> World {
    let live = Live {
        address: Address::new("orders", ENDPOINT_SERVICE, SUPPLIED),
        generation: None,
        scope: Scope("aws/123456789012/us-east-1".to_owned()),
        id: "vpce-svc-0123456789abcdef0".to_owned(),
        ownership: Ownership::Supplied,
        fields: fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        outputs: BTreeMap::new(),
        health: Health::Ready,
    };
    World { live: vec![live].into(), ..World::default() }
}

fn of(region: &str, fields: &[(&str, Value)]) -> Handoff {
    let spec = supplied(region);
    handoff(&spec, &spec.services[0], &world(fields))
}

#[test]
fn gives_what_the_vendor_asks_for() {
    let handoff = of(
        "us-east-1",
        &[
            ("service_name", Value::text(NAME)),
            ("zone_ids", Value::texts(["use1-az2", "use1-az1"])),
            ("host", Value::text("vpce-svc-0123456789abcdef0.us-east-1.vpce.amazonaws.com")),
        ],
    );
    assert_eq!(handoff.missing, Vec::<String>::new());
    assert_eq!(handoff.fields["service_name"], json!(NAME));
    assert_eq!(handoff.fields["service_id"], json!("vpce-svc-0123456789abcdef0"));
    assert_eq!(handoff.fields["az_ids"], json!(["use1-az1", "use1-az2"]));
    assert_eq!(handoff.fields["host"], json!("vpce-svc-0123456789abcdef0.us-east-1.vpce.amazonaws.com"));
    assert_eq!(
        handoff.fields[FIVETRAN],
        json!({"service": "SOURCE_AWS", "region": "AWS_US_EAST_1", "config_map": {"connection_service_name": NAME}})
    );
}

#[test]
fn a_region_that_the_vendor_has_not_is_left_open() {
    let handoff = of("eu-north-1", &[("service_name", Value::text(NAME))]);
    assert_eq!(handoff.fields[FIVETRAN].get("region"), None);
}

#[test]
fn zones_are_ids_never_names() {
    let spec = supplied("us-east-1");
    let mut world = world(&[("service_name", Value::text(NAME)), ("zones", Value::texts(["us-east-1a"]))]);
    let unknown = handoff(&spec, &spec.services[0], &world);
    assert_eq!(unknown.fields.get("az_ids"), None);
    assert!(unknown.missing.iter().any(|missing| missing.starts_with("az_ids")), "{unknown:?}");
    let subnet: Subnet = serde_json::from_value(
        json!({"zone": "us-east-1a", "zone_id": "use1-az4", "vpc": "vpc-1", "cidr": null}),
    )
    .unwrap();
    let facts = ServiceFacts {
        subnets: BTreeMap::from([("subnet-1".to_owned(), subnet)]),
        ..ServiceFacts::default()
    };
    world.facts.insert(ServiceFacts::key("orders"), serde_json::to_value(facts).unwrap());
    let known = handoff(&spec, &spec.services[0], &world);
    assert_eq!(known.fields["az_ids"], json!(["use1-az4"]));
}

#[test]
fn an_unverified_name_is_missing_with_its_record() {
    let record = |state: &str| {
        let part = |key: &str, text: &str| (key.to_owned(), Value::text(text));
        let parts =
            [part("name", "_abc"), part("type", "TXT"), part("value", "vpce:xyz"), part("state", state)];
        Value::map(BTreeMap::from(parts))
    };
    let with = |state: &str| {
        of(
            "us-east-1",
            &[
                ("service_name", Value::text(NAME)),
                ("private_dns_name", Value::text("db.corp.example")),
                ("private_dns_record", record(state)),
                ("zone_ids", Value::texts(["use1-az1"])),
            ],
        )
    };
    let pending = with("pendingVerification");
    assert!(pending.missing[0].contains("_abc.db.corp.example TXT \"vpce:xyz\""), "{pending:?}");
    assert_eq!(pending.fields["private_dns_record"]["value"], json!("vpce:xyz"));
    assert_eq!(pending.fields.get("host"), None);
    let verified = with("verified");
    assert_eq!(verified.missing, Vec::<String>::new());
    assert_eq!(verified.fields["host"], json!("db.corp.example"));
}

#[test]
fn other_regions_are_told_with_their_state() {
    let states = [("eu-west-1", "Pending"), ("us-east-1", "Available"), ("us-east-2", "available")];
    let states = states.iter().map(|(region, state)| ((*region).to_owned(), Value::text(*state))).collect();
    let handoff = of("us-east-1", &[("region_states", Value::map(states))]);
    assert_eq!(handoff.fields["regions"], json!(["us-east-1", "us-east-2"]));
    assert!(
        handoff.notes.iter().any(|note| note.contains("eu-west-1") && note.contains("Pending")),
        "{handoff:?}"
    );
}

#[test]
fn what_is_not_there_yet_is_missing_and_nothing_is_made_up() {
    let spec = supplied("us-east-1");
    let handoff = super::handoff(&spec, &spec.services[0], &World::default());
    assert_eq!(handoff.missing.len(), 1);
    assert_eq!(handoff.fields.get("service_name"), None);
    assert_eq!(handoff.fields.get(FIVETRAN), None);
    assert_eq!(handoff.fields["region"], json!("us-east-1"));
}
