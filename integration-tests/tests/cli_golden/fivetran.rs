//! The hand-over as the vendor's Terraform, for what each cloud but AWS has (that one's is in the whole life).

use super::script::Script;

const FILE: &str = "version: 1
deployment: vendor
consumers:
  acme: { azure: { subscriptions: [11111111-2222-3333-4444-555555555555] }, gcp: { projects: [acme-reader] } }
defaults:
  azure:
    subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
    resource_group: rg-data
    location: eastus2
    vnet: hub
    load_balancer_subnet: lb
  gcp: { project: acme-data, region: us-east4, network: prod, subnet: ilb }
services:
  - name: orders
    allow: { acme: {} }
    azure:
      nat_subnet: { existing: nat }
      join_nics: true
      ports: [{ listen: 5432, engine: postgres, to: { nics: [db-1-nic] } }]
  - name: a-name-longer-than-fivetran-takes
    allow: { acme: {} }
    azure:
      nat_subnet: { existing: nat }
      join_nics: true
      ports: [{ listen: 3306, engine: mysql, to: { nics: [db-2-nic] } }]
  - name: crm-sql
    allow: { acme: {} }
    azure: { hosted: { resource_id: /subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg-data/providers/Microsoft.Sql/servers/crm, subresource: SQLSERVER } }
  - name: events-vm
    allow: { acme: {} }
    gcp:
      nat_subnets: [{ create: { cidr: 10.8.0.0/24 } }]
      ports: [{ listen: 5432, to: { instances: [zones/us-east4-b/instances/db-1] } }]
";

/// Another file, which has a service of a name that the first one has, too.
const SECOND: &str = "version: 1
deployment: second
consumers: { acme: { azure: { subscriptions: [11111111-2222-3333-4444-555555555555] } } }
defaults: { azure: { subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee } }
services:
  - name: crm-sql
    allow: { acme: {} }
    azure: { hosted: { resource_id: /subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg-data/providers/Microsoft.Sql/servers/crm, subresource: sqlServer } }
";

#[test]
fn handing_over_to_fivetran() {
    let mut script = Script::with(&[("vendor.yaml", FILE)]);
    script.run("--sandbox handoff --as fivetran-tf");
    let applied = script.quietly("--sandbox apply --yes");
    assert!(applied.status.success(), "{applied:?}");
    script.run("--sandbox handoff --as fivetran-tf");
    // Terraform takes no variable and no name twice.
    script.write("second.yaml", SECOND);
    script.run("--sandbox handoff vendor.yaml second.yaml --as fivetran-tf");
    script.run("--sandbox handoff second.yaml vendor.yaml --as fivetran-tf --output json");
    insta::assert_snapshot!("handing_over_to_fivetran", script.transcript());
}
