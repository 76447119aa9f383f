//! Service attachments: validation, policy, endpoints and their states.

use super::*;

const FIVETRAN: &str = "fivetran-donkeys";
const STRANGER: &str = "mallory-labs";

fn states(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(project, status)| ((*project).to_owned(), (*status).to_owned())).collect()
}

/// A sandbox with an attachment `sa` at which both consumers have arrived.
fn arrived() -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.producer();
    sandbox.attachment("sa", "10.8.0.0/24", json!({}));
    sandbox.pass(60);
    sandbox
}

fn path() -> String {
    format!("{R}/serviceAttachments/sa")
}

fn endpoint_of(sandbox: &mut Sandbox, project: &str) -> Value {
    let shown = sandbox.get(&path());
    let listed = shown["connectedEndpoints"].as_array().unwrap().clone();
    listed.into_iter().find(|endpoint| endpoint["endpoint"].as_str().unwrap().contains(project)).unwrap()
}

#[test]
fn consumers_arrive_some_seconds_after_an_attachment() {
    let mut sandbox = Sandbox::new();
    sandbox.producer();
    sandbox.attachment("sa", "10.8.0.0/24", json!({}));
    assert!(sandbox.endpoints("sa").is_empty());
    sandbox.pass(20);
    assert_eq!(sandbox.endpoints("sa"), states(&[(STRANGER, "PENDING")]));
    sandbox.pass(20);
    assert_eq!(sandbox.endpoints("sa"), states(&[(STRANGER, "PENDING"), (FIVETRAN, "PENDING")]));
    let endpoint = endpoint_of(&mut sandbox, FIVETRAN);
    let id: u64 = endpoint["pscConnectionId"].as_str().unwrap().parse().unwrap();
    assert!(id > i64::MAX as u64, "an unsigned 64-bit number, as text");
    assert!(
        endpoint["consumerNetwork"]
            .as_str()
            .unwrap()
            .ends_with("projects/fivetran-donkeys/global/networks/consumer")
    );
    let rule = endpoint["endpoint"].as_str().unwrap().split("/compute/v1/").nth(1).unwrap().to_owned();
    let shown = sandbox.get(&rule);
    assert_eq!(
        (&shown["pscConnectionId"], &shown["pscConnectionStatus"]),
        (&endpoint["pscConnectionId"], &json!("PENDING"))
    );
    assert_eq!(endpoint["endpointWithId"], shown["selfLinkWithId"]);
    assert_eq!(sandbox.get(&path())["kind"], "compute#serviceAttachment");
}

#[test]
fn arrivals_are_held_back_and_let_go() {
    let mut sandbox = Sandbox::new();
    let requests = crate::frame::Requests::open(sandbox.dir.path());
    sandbox.producer();
    sandbox.attachment("sa", "10.8.0.0/24", json!({}));
    requests.hold().unwrap();
    sandbox.pass(1000);
    assert!(sandbox.endpoints("sa").is_empty());
    requests.release(sandbox.now).unwrap();
    assert_eq!(sandbox.endpoints("sa").len(), 2);
    let rule = endpoint_of(&mut sandbox, FIVETRAN)["endpoint"].as_str().unwrap().to_owned();
    let shown = sandbox.get(rule.split("/compute/v1/").nth(1).unwrap());
    let came: jiff::Timestamp = shown["creationTimestamp"].as_str().unwrap().parse().unwrap();
    assert_eq!(came.as_second(), sandbox.now.as_second(), "they come when they are let go, not before");
}

#[test]
fn ids_are_the_same_in_every_new_world() {
    let id = |sandbox: &mut Sandbox| endpoint_of(sandbox, FIVETRAN)["pscConnectionId"].clone();
    assert_eq!(id(&mut arrived()), id(&mut arrived()));
}

#[test]
fn one_endpoint_is_accepted_by_its_id() {
    let mut sandbox = arrived();
    let endpoint = endpoint_of(&mut sandbox, FIVETRAN);
    let by_name =
        json!({ "consumerAcceptLists": [{ "endpointUrl": endpoint["endpoint"], "connectionLimit": 1 }] });
    let current = sandbox.get(&path());
    let mut wrong = by_name;
    for field in ["name", "fingerprint", "enableProxyProtocol"] {
        wrong[field] = current[field].clone();
    }
    assert!(sandbox.refused("PATCH", &path(), wrong).2.contains("by its numeric ID"));
    let url = endpoint["endpointWithId"].clone();
    let shown = sandbox.patch_attachment(
        "sa",
        json!({ "consumerAcceptLists": [{ "endpointUrl": url, "connectionLimit": 1 }] }),
    );
    assert_eq!(shown["consumerAcceptLists"][0]["endpointUrl"], url);
    assert_eq!(sandbox.endpoints("sa"), states(&[(STRANGER, "PENDING"), (FIVETRAN, "ACCEPTED")]));
    // A second one from the same project is not that endpoint.
    let second = sandbox.cloud.connect("sa", None, sandbox.now).unwrap();
    assert_eq!((&second["consumer"], &second["status"]), (&json!(FIVETRAN), &json!("PENDING")));
}

#[test]
fn a_project_is_accepted_up_to_its_limit_by_id_or_number() {
    for project in [FIVETRAN, "323456789012"] {
        let mut sandbox = arrived();
        let accept = |limit: u32| json!({ "consumerAcceptLists": [{ "projectIdOrNum": project, "connectionLimit": limit }] });
        sandbox.patch_attachment("sa", accept(1));
        assert_eq!(sandbox.endpoints("sa")[1].1, "ACCEPTED");
        sandbox.cloud.connect("sa", Some(FIVETRAN), sandbox.now).unwrap();
        assert_eq!(sandbox.endpoints("sa")[2].1, "PENDING", "over the limit");
        let shown = sandbox.patch_attachment("sa", accept(2));
        assert_eq!(shown["consumerAcceptLists"][0]["projectIdOrNum"], project);
        assert_eq!(sandbox.endpoints("sa")[2].1, "ACCEPTED");
    }
}

#[test]
fn removal_cuts_nobody_unless_connections_are_reconciled() {
    let mut sandbox = arrived();
    sandbox.patch_attachment(
        "sa",
        json!({ "consumerAcceptLists": [{ "projectIdOrNum": FIVETRAN, "connectionLimit": 1 }] }),
    );
    // Clearing takes an empty list: JSON merge patch keeps what is absent.
    sandbox.patch_attachment("sa", json!({ "description": "x" }));
    assert!(sandbox.get(&path()).get("consumerAcceptLists").is_some());
    let shown = sandbox.patch_attachment("sa", json!({ "consumerAcceptLists": [] }));
    assert!(shown.get("consumerAcceptLists").is_none());
    assert_eq!(sandbox.endpoints("sa")[1].1, "ACCEPTED", "not reconciled: it stays");
    sandbox.patch_attachment("sa", json!({ "reconcileConnections": true }));
    assert_eq!(sandbox.endpoints("sa")[1].1, "PENDING");
    let reject = json!({ "consumerRejectLists": [STRANGER] });
    sandbox.patch_attachment("sa", reject);
    assert_eq!(sandbox.endpoints("sa")[0].1, "REJECTED");
    let both = json!({
        "consumerAcceptLists": [{ "projectIdOrNum": STRANGER, "connectionLimit": 5 }], "consumerRejectLists": [STRANGER],
    });
    sandbox.patch_attachment("sa", both);
    assert_eq!(sandbox.endpoints("sa")[0].1, "REJECTED", "in both lists: blocked");
}

#[test]
fn a_rejected_one_stays_rejected_unless_reconciled() {
    let mut sandbox = arrived();
    sandbox.patch_attachment("sa", json!({ "consumerRejectLists": [FIVETRAN] }));
    assert_eq!(sandbox.endpoints("sa")[1].1, "REJECTED");
    let accept = json!({ "consumerRejectLists": [], "consumerAcceptLists": [{ "projectIdOrNum": FIVETRAN, "connectionLimit": 1 }] });
    sandbox.patch_attachment("sa", accept);
    assert_eq!(sandbox.endpoints("sa")[1].1, "REJECTED");
    sandbox.patch_attachment("sa", json!({ "reconcileConnections": true }));
    assert_eq!(sandbox.endpoints("sa")[1].1, "ACCEPTED");
}

#[test]
fn types_of_consumers_are_switched_in_one_update() {
    let mut sandbox = arrived();
    sandbox.patch_attachment("sa", json!({ "consumerAcceptLists": [{ "projectIdOrNum": FIVETRAN, "connectionLimit": 1 }], "reconcileConnections": true }));
    let network = "projects/fivetran-donkeys/global/networks/consumer";
    let switched = json!({ "consumerAcceptLists": [{ "networkUrl": network, "connectionLimit": 1 }] });
    let shown = sandbox.patch_attachment("sa", switched);
    assert!(shown["consumerAcceptLists"][0]["networkUrl"].as_str().unwrap().ends_with(network));
    assert_eq!(sandbox.endpoints("sa")[1].1, "ACCEPTED");
}

#[test]
fn an_exhausted_nat_subnetwork_needs_attention() {
    let mut sandbox = Sandbox::new();
    sandbox.producer();
    let accept = json!({ "consumerAcceptLists": [{ "projectIdOrNum": FIVETRAN, "connectionLimit": 10 }] });
    sandbox.attachment("sa", "10.8.0.0/29", accept);
    sandbox.pass(60);
    for _ in 0..4 {
        sandbox.cloud.connect("sa", None, sandbox.now).unwrap();
    }
    let last = sandbox.endpoints("sa").pop().unwrap();
    assert_eq!(last.1, "NEEDS_ATTENTION", "a /29 has four addresses for endpoints");
    let with_nat = sandbox.get(&format!("{}?showNatIps=true", path()));
    let addresses: Vec<&Value> =
        with_nat["connectedEndpoints"].as_array().unwrap().iter().filter_map(|e| e.get("natIps")).collect();
    assert_eq!(addresses.len(), 4);
    assert_eq!(addresses[0], &json!(["10.8.0.2"]));
    // A subnetwork is added to the live attachment.
    sandbox.done("POST", &format!("{R}/subnetworks"), json!({
        "name": "more", "network": "global/networks/prod", "ipCidrRange": "10.8.1.0/29", "purpose": "PRIVATE_SERVICE_CONNECT",
    }));
    let both = json!({ "natSubnets": [format!("{R}/subnetworks/nat-sa"), format!("{R}/subnetworks/more")] });
    sandbox.patch_attachment("sa", both);
    assert_eq!(sandbox.endpoints("sa").pop().unwrap().1, "ACCEPTED");
    let current = sandbox.get(&path());
    let one = json!({
        "name": "sa", "enableProxyProtocol": false, "fingerprint": current["fingerprint"], "natSubnets": [format!("{R}/subnetworks/more")],
    });
    assert_eq!(sandbox.refused("PATCH", &path(), one).1, "resourceInUseByAnotherResource");
}

#[test]
fn deleting_an_attachment_closes_its_endpoints_for_good() {
    let mut sandbox = arrived();
    sandbox.patch_attachment(
        "sa",
        json!({ "consumerAcceptLists": [{ "projectIdOrNum": FIVETRAN, "connectionLimit": 1 }] }),
    );
    let endpoint = endpoint_of(&mut sandbox, FIVETRAN);
    let rule = endpoint["endpoint"].as_str().unwrap().split("/compute/v1/").nth(1).unwrap().to_owned();
    // GCP does it, consumers or not: the guard has to be the client's.
    sandbox.done("DELETE", &path(), Value::Null);
    assert_eq!(sandbox.get(&rule)["pscConnectionStatus"], "CLOSED");
    // A new attachment of that name is another: the consumer has to come again.
    sandbox.done("POST", &format!("{R}/serviceAttachments"), json!({
        "name": "sa", "connectionPreference": "ACCEPT_MANUAL", "targetService": format!("{R}/forwardingRules/fr"),
        "natSubnets": [format!("{R}/subnetworks/nat-sa")],
        "consumerAcceptLists": [{ "projectIdOrNum": FIVETRAN, "connectionLimit": 5 }],
    }));
    assert!(sandbox.endpoints("sa").is_empty());
    assert_eq!(sandbox.get(&rule)["pscConnectionStatus"], "CLOSED");
    sandbox.pass(60);
    let again = endpoint_of(&mut sandbox, FIVETRAN);
    assert_eq!(again["status"], "ACCEPTED");
    assert_ne!(again["pscConnectionId"], endpoint["pscConnectionId"]);
}

#[test]
fn a_consumer_can_be_any_project_with_a_forwarding_rule() {
    let mut sandbox = arrived();
    let r = "projects/acme-reader/regions/us-east4";
    sandbox.done(
        "POST",
        &format!("{r}/addresses"),
        json!({ "name": "ip", "addressType": "INTERNAL", "subnetwork": format!("{r}/subnetworks/consumer") }),
    );
    sandbox.done("POST", &format!("{r}/forwardingRules"), json!({
        "name": "mine", "loadBalancingScheme": "", "IPAddress": "ip", "network": "projects/acme-reader/global/networks/consumer",
        "target": path(),
    }));
    assert_eq!(sandbox.endpoints("sa").pop().unwrap(), ("acme-reader".to_owned(), "PENDING".to_owned()));
    assert_eq!(sandbox.get(&format!("{r}/forwardingRules/mine"))["pscConnectionStatus"], "PENDING");
    sandbox.done("DELETE", &format!("{r}/forwardingRules/mine"), Value::Null);
    assert_eq!(sandbox.endpoints("sa").len(), 2);
}

#[test]
fn connect_finds_the_service_and_says_when_it_does_not() {
    let mut sandbox = arrived();
    for service in ["sa", path().as_str(), &format!("https://www.googleapis.com/compute/v1/{}", path())] {
        sandbox.cloud.connect(service, Some("stranger"), sandbox.now).unwrap();
    }
    assert!(
        sandbox.cloud.connect("none", None, sandbox.now).unwrap_err().contains("no service attachment none")
    );
    assert!(
        sandbox.cloud.connect("sa", Some("nobody"), sandbox.now).unwrap_err().contains("no project nobody")
    );
    sandbox.attachment(
        "pn-events-vm-1a2b3c4d-a",
        "10.8.2.0/24",
        json!({ "description": "privnet data-platform/other-name" }),
    );
    for service in ["events-vm", "other-name"] {
        let answer = sandbox.cloud.connect(service, None, sandbox.now).unwrap();
        assert!(answer["service"].as_str().unwrap().ends_with("/pn-events-vm-1a2b3c4d-a"), "{service}");
    }
}

#[test]
fn patches_demand_name_proxy_protocol_and_fingerprint() {
    let mut sandbox = arrived();
    let fingerprint = sandbox.get(&path())["fingerprint"].clone();
    let whole = json!({ "name": "sa", "enableProxyProtocol": false, "fingerprint": fingerprint, "description": "new" });
    for (missing, reason) in
        [("name", "invalid"), ("enableProxyProtocol", "required"), ("fingerprint", "conditionNotMet")]
    {
        let mut patch = whole.clone();
        patch.as_object_mut().unwrap().remove(missing);
        assert_eq!(sandbox.refused("PATCH", &path(), patch).1, reason, "{missing}");
    }
    sandbox.done("PATCH", &path(), whole.clone());
    assert_eq!(sandbox.refused("PATCH", &path(), whole).0, 412, "the fingerprint is an old one now");
}

#[test]
fn attachments_are_checked() {
    let mut sandbox = Sandbox::new();
    sandbox.producer();
    let body = |more: Value| {
        let mut body = json!({
            "name": "x", "connectionPreference": "ACCEPT_MANUAL", "targetService": format!("{R}/forwardingRules/fr"),
            "natSubnets": [format!("{R}/subnetworks/nat-spare")],
        });
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        body
    };
    let entry = |project: &str| json!({ "projectIdOrNum": project, "connectionLimit": 1 });
    for wrong in [
        json!({ "natSubnets": [] }),
        json!({ "natSubnets": [format!("{R}/subnetworks/ilb")] }),
        json!({ "natSubnets": [format!("{R}/subnetworks/nat-shared-db")] }),
        json!({ "natSubnets": [format!("{R}/subnetworks/nat-spare"), format!("{R}/subnetworks/nat-spare")] }),
        json!({ "targetService": format!("{R}/forwardingRules/none") }),
        json!({ "targetService": null }),
        json!({ "connectionPreference": null }),
        json!({ "connectionPreference": "ACCEPT_AUTOMATIC", "consumerAcceptLists": [entry("a")] }),
        json!({ "consumerAcceptLists": [entry("fivetran_donkeys")] }),
        json!({ "consumerAcceptLists": [entry("a"), entry("a")] }),
        json!({ "consumerAcceptLists": [entry("fivetran-donkeys"), entry("323456789012")] }),
        json!({ "consumerAcceptLists": [{ "connectionLimit": 1 }] }),
        json!({ "consumerAcceptLists": [entry("a"), { "networkUrl": "projects/a/global/networks/b", "connectionLimit": 1 }] }),
        json!({ "consumerAcceptLists": [entry("a")], "consumerRejectLists": ["projects/a/global/networks/b"] }),
        json!({ "consumerAcceptLists": [{ "endpointUrl": "projects/a/regions/us-east4/forwardingRules/1", "connectionLimit": 2 }] }),
        json!({ "consumerRejectLists": vec!["a"; 65] }),
        json!({ "domainNames": ["a.example", "b.example"] }),
        json!({ "domainNames": ["a.example"] }),
        json!({ "name": "Under_score" }),
    ] {
        assert!(
            matches!(
                sandbox.refused("POST", &format!("{R}/serviceAttachments"), body(wrong.clone())).0,
                400 | 404
            ),
            "{wrong}"
        );
    }
    sandbox.done("POST", &format!("{R}/serviceAttachments"), body(json!({ "domainNames": ["a.example."], "producerForwardingRule": format!("{R}/forwardingRules/fr"), "targetService": null })));
    let shown = sandbox.get(&format!("{R}/serviceAttachments/x"));
    assert!(shown["targetService"].as_str().unwrap().ends_with("/forwardingRules/fr"));
    assert_eq!(
        (&shown["enableProxyProtocol"], &shown["reconcileConnections"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(shown["pscServiceAttachmentId"]["low"], shown["id"]);
}

#[test]
fn automatic_acceptance_takes_everybody() {
    let mut sandbox = Sandbox::new();
    sandbox.producer();
    sandbox.attachment("sa", "10.8.0.0/24", json!({ "connectionPreference": "ACCEPT_AUTOMATIC" }));
    sandbox.pass(60);
    assert_eq!(sandbox.endpoints("sa"), states(&[(STRANGER, "ACCEPTED"), (FIVETRAN, "ACCEPTED")]));
}

#[test]
fn the_default_world_has_an_attachment_with_a_colleague() {
    let mut sandbox = Sandbox::new();
    assert_eq!(sandbox.endpoints("shared-db"), states(&[("acme-reader", "ACCEPTED")]));
    sandbox.pass(600);
    assert_eq!(sandbox.endpoints("shared-db").len(), 1);
    let world = sandbox.cloud.describe_world(sandbox.now);
    assert_eq!(world["projects"]["acme-data"]["number"], "123456789012");
    assert_eq!(world["endpoints"][0]["consumer"], "acme-reader");
}
