//! What cannot be read is not taken for empty: neither are no requests pending there, nor is a connection that is asked for nowhere.

use super::script::{Script, code, text};
use super::{HEAD, ORDERS};

/// What can be read, and who asks only when told to.
fn both() -> String {
    let quiet = HEAD.replace("services:", "tags: { sandbox-consumers: none }\nservices:");
    format!("{quiet}{ORDERS}{ELSEWHERE}").replace("fivetran", "acme")
}

/// Besides what can be read, what Azure hosts in a subscription that is not known, and services in an account and a project that are not
/// the caller's.
const ELSEWHERE: &str = "  - name: crm
    allow: { acme: {} }
    azure:
      subscription: 00000000-0000-0000-0000-000000000000
      hosted:
        resource_id: /subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.Sql/servers/crm
        subresource: sqlServer
  - name: ledger
    allow: { acme: {} }
    aws:
      account: '999999999999'
      ports: [{ listen: 5432, engine: postgres, to: { ips: [10.0.0.25] } }]
  - name: events
    allow: { acme: {} }
    gcp:
      project: nobodys
      region: us-east4
      network: prod
      subnet: ilb
      nat_subnets: [{ create: { cidr: 10.8.0.0/24 } }]
      ports: [{ listen: 5432, engine: postgres, to: { instances: [zones/us-east4-b/instances/db-1] } }]
consumers:
  acme:
    aws: { principals: ['arn:aws:iam::210987654321:root'] }
    azure: { subscriptions: [11111111-2222-3333-4444-555555555555] }
    gcp: { projects: [acme-reader] }
";

#[test]
fn what_cannot_be_read_is_not_taken_for_empty() {
    let elsewhere = format!("{HEAD}{ELSEWHERE}").replace("golden", "elsewhere");
    let mut script = Script::with(&[("both.yaml", &both()), ("elsewhere.yaml", &elsewhere)]);
    assert_eq!(code(&script.quietly("--sandbox apply both.yaml --service orders --yes")), 0);
    script.run("--sandbox accept-pending both.yaml --dry-run");
    script.run("--sandbox accept-pending both.yaml --service orders --yes");
    script.run("--sandbox accept-pending elsewhere.yaml --yes");
    script.run("--sandbox accept-pending elsewhere.yaml --yes --output json");
    script.run("--sandbox accept-pending both.yaml --connection vpce-0123 --yes");
    script.run("--sandbox reject both.yaml --connection vpce-0123 --yes");
    script.run("--sandbox reject both.yaml --connection vpce-0123 --yes --output json");
    script.run("--sandbox plan elsewhere.yaml");
    insta::assert_snapshot!("what_cannot_be_read", script.transcript());
}

/// Where what is asked for by name is there, nobody needs to look elsewhere.
#[test]
fn whom_one_names_is_decided_on_though_others_cannot_be_read() {
    let script = Script::with(&[("both.yaml", &both())]);
    assert_eq!(code(&script.quietly("--sandbox apply both.yaml --service orders --yes")), 0);
    let asked =
        script.json("sandbox connect orders --as 210987654321")["connection"].as_str().unwrap().to_owned();
    script.pass(60);
    // A cloud that is down is an error in any case: without it.
    let file = "both.yaml --service orders --service crm --service ledger";
    let left = script.quietly(&format!("--sandbox accept-pending {file} --dry-run"));
    assert_eq!(code(&left), 1, "{}", text(&left.stdout));
    let done = script.quietly(&format!("--sandbox accept-pending {file} --connection {asked} --yes"));
    let said = text(&done.stdout);
    assert_eq!(code(&done), 0, "{said}{}", text(&done.stderr));
    assert!(said.starts_with(&format!("accepted {asked} on orders")) && said.contains("crm: "), "{said}");
    let cut =
        script.quietly(&format!("--sandbox reject {file} --connection {asked} --yes --sever-connections"));
    assert_eq!(code(&cut), 0, "{}{}", text(&cut.stdout), text(&cut.stderr));
}
