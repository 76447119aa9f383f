//! What lost the tags or the marker that prove it privnet's, and what the file names and is not there: neither is passed over in silence.

use super::script::{Script, code, text};
use super::{HEAD, ORDERS};

/// What a command says on both streams, and that it ends so.
fn ends(script: &Script, line: &str, status: i32) -> String {
    let output = script.quietly(line);
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(code(&output), status, "{line}: {said}");
    said
}

const AZURE: &str = "version: 1
deployment: golden
services:
  - name: orders
    allow: { acme: {} }
    azure:
      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
      resource_group: rg-data
      location: eastus2
      vnet: hub
      load_balancer_subnet: lb
      nat_subnet: { existing: nat }
      forwarder: { subnets: [fwd], size: Standard_D2s_v5 }
      ports: [{ listen: 1433, engine: sqlserver, to: { forwarder: { ip: 172.16.4.20 } } }]
consumers: { acme: { azure: { subscriptions: [11111111-2222-3333-4444-555555555555] } } }
";

const GCP: &str = "version: 1
deployment: golden
services:
  - name: orders
    allow: { acme: {} }
    gcp:
      project: acme-data
      region: us-east4
      network: prod
      subnet: ilb
      nat_subnets: [{ create: { cidr: 10.8.0.0/24 } }]
      ports: [{ listen: 5432, engine: postgres, to: { instances: [zones/us-east4-b/instances/db-1] } }]
consumers: { acme: { gcp: { projects: [acme-reader] } } }
";

fn aws() -> String {
    let consumers = "consumers: { acme: { aws: { principals: ['arn:aws:iam::210987654321:root'] } } }\n";
    format!("{HEAD}{ORDERS}{consumers}").replace("fivetran", "acme")
}

/// A cloud, its file, and what takes the proof away from everything there.
fn clouds() -> [(&'static str, String, (&'static str, &'static str)); 3] {
    [
        ("aws", aws(), ("privnet:deployment", "was:deployment")),
        ("azure", AZURE.to_owned(), ("privnet:deployment", "was:deployment")),
        ("gcp", GCP.to_owned(), ("Managed by privnet:", "Managed by somebody:")),
    ]
}

/// The services' things stay where nothing proves them, and everybody who asks is told of each of them.
#[test]
fn what_lost_its_proof_is_told() {
    for (cloud, file, (proof, other)) in clouds() {
        let script = Script::with(&[("it.yaml", &file)]);
        assert!(!ends(&script, "--sandbox apply it.yaml --yes", 0).contains("not its proof"), "{cloud}");
        let world = script.at(&format!("sandbox/{cloud}.json"));
        let before = std::fs::read_to_string(&world).unwrap();
        let after = before.replace(proof, other).replace("privnet-deployment", "was-deployment");
        assert_ne!(before, after, "{cloud}");
        std::fs::write(&world, after).unwrap();
        for line in ["accept-pending it.yaml --dry-run", "accept-pending it.yaml --yes", "handoff it.yaml"] {
            let said = ends(&script, &format!("--sandbox {line}"), 1);
            assert!(
                said.contains("what consumers connect to is not proved to be privnet's"),
                "{cloud}: {line}: {said}"
            );
            assert!(!said.contains("No connection request is pending."), "{cloud}: {line}: {said}");
        }
        let said = ends(&script, "--sandbox status it.yaml", 0);
        assert!(said.contains("degraded") && said.contains("not proved to be privnet's"), "{cloud}: {said}");
        let said = ends(&script, "--sandbox destroy it.yaml --yes", 0);
        assert!(said.matches("stays as it is: ").count() >= 2, "{cloud}: {said}");
        assert!(said.contains("but not its proof"), "{cloud}: {said}");
        // What is said of a service is said of a tombstone, which is not told that nothing is there.
        script.write("it.yaml", &file.replace("- name: orders\n", "- name: orders\n    remove: true\n"));
        // On AWS a tombstone knows no names to look for.
        if cloud == "aws" {
            continue;
        }
        let said = ends(&script, "--sandbox plan it.yaml", 0);
        assert!(!said.contains("nothing of it is in"), "{cloud}: {said}");
        assert!(said.contains("stays as it is: "), "{cloud}: {said}");
        ends(&script, "--sandbox accept-pending it.yaml --dry-run", 0);
    }
}

/// What the file names, of each cloud, with a mistake in its name.
const NAMED: [(&str, &str, &str); 4] = [
    (
        "aws",
        "    aws: { existing: { endpoint_service: vpce-svc-0eeeeeeeeeeeeeee6 } }\n",
        "principals: ['arn:aws:iam::210987654321:root']",
    ),
    (
        "azure",
        "    azure: { subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee, existing: { private_link_service: /subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg-data/providers/Microsoft.Network/privateLinkServices/mistaken } }\n",
        "subscriptions: [11111111-2222-3333-4444-555555555555]",
    ),
    (
        "azure",
        "    azure: { subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee, hosted: { resource_id: /subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg-data/providers/Microsoft.Sql/servers/mistaken, subresource: sqlServer } }\n",
        "subscriptions: [11111111-2222-3333-4444-555555555555]",
    ),
    (
        "gcp",
        "    gcp: { project: acme-data, region: us-east4, existing: { service_attachment: mistaken } }\n",
        "projects: [acme-reader]",
    ),
];

#[test]
fn what_is_named_and_not_there_is_told() {
    for (cloud, place, identity) in NAMED {
        let head = if cloud == "aws" { HEAD } else { "version: 1\ndeployment: golden\nservices:\n" };
        let file = format!(
            "{head}  - name: orders\n    allow: {{ acme: {{}} }}\n{place}consumers: {{ acme: {{ {cloud}: {{ {identity} }} }} }}\n"
        );
        let script = Script::with(&[("it.yaml", &file)]);
        for line in ["accept-pending it.yaml --dry-run", "accept-pending it.yaml --yes"] {
            let said = ends(&script, &format!("--sandbox {line}"), 1);
            assert!(said.contains("is not there"), "{place}: {line}: {said}");
            assert!(!said.contains("No connection request is pending."), "{place}: {line}: {said}");
        }
        let said = ends(&script, "--sandbox handoff it.yaml", 1);
        assert!(said.contains("was not found") || said.contains("is not there"), "{place}: {said}");
        let said = ends(&script, "--sandbox status it.yaml", 0);
        assert!(said.contains("degraded") && said.contains("is not there"), "{place}: {said}");
        assert!(!said.contains("privnet apply"), "{place}: {said}");
    }
}

/// What was not applied yet is no mistake.
#[test]
fn what_is_not_made_yet_is_no_failure() {
    for (cloud, file, _) in clouds() {
        let script = Script::with(&[("it.yaml", &file)]);
        let said = ends(&script, "--sandbox accept-pending it.yaml --dry-run", 0);
        assert!(said.contains("No connection request is pending."), "{cloud}: {said}");
        assert!(ends(&script, "--sandbox handoff it.yaml", 0).contains("privnet apply"), "{cloud}");
    }
}

/// A service at which nobody could look is no hand-over; the others are printed all the same.
#[test]
fn a_hand_over_of_what_nobody_could_look_at_is_a_failure() {
    let elsewhere =
        ORDERS.replace("orders", "ledger").replace("    aws:\n", "    aws:\n      account: '999999999999'\n");
    let file = aws().replace("consumers:", &format!("{}consumers:", elsewhere.replace("fivetran", "acme")));
    let script = Script::with(&[("it.yaml", &file)]);
    let said = ends(&script, "--sandbox handoff it.yaml", 1);
    assert!(said.contains("orders  aws") && said.contains("999999999999"), "{said}");
    ends(&script, "--sandbox handoff it.yaml --service orders", 0);
}
