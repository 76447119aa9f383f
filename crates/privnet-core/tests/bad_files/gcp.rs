//! What is wrong on GCP.

use crate::{Case, golden, table};

const BASE: &str = "\
version: 1
deployment: data-platform
consumers:
  acme: { gcp: { projects: [acme-apps, \"123456789\"] } }
defaults:
  gcp: { project: acme-data, region: us-east4, network: prod, subnet: ilb }
services:
  - name: events
    allow: { fivetran: { max_connections: 1 } }
    acceptance: manual
    gcp:
      nat_subnets: [{ create: { cidr: 10.8.0.0/24 } }]
      ports:
        - { listen: 5432, port: 5432, to: { instances: [zones/us-east4-b/instances/db-1] } }
        - { listen: 5433, to: { instances: [zones/us-east4-b/instances/db-1] } }
  - name: billing
    allow: { acme: {} }
    gcp:
      nat_subnets: [{ existing: psc-nat }]
      forwarder: { subnets: [ilb], size: e2-small, zones: [us-east4-a, us-east4-b] }
      ports: [{ listen: 13306, port: 3306, engine: mysql, to: { forwarder: { ip: 10.90.0.3 } } }]
";

const NAT: &str = "      nat_subnets: [{ create: { cidr: 10.8.0.0/24 } }]\n";
const BILLING: &str = "      nat_subnets: [{ existing: psc-nat }]\n      forwarder: { subnets: [ilb], size: e2-small, zones: [us-east4-a, us-east4-b] }\n      ports: [{ listen: 13306, port: 3306, engine: mysql, to: { forwarder: { ip: 10.90.0.3 } } }]\n";

pub(crate) const CASES: &[Case] = &[
    ("no project and no region", "project: acme-data, region: us-east4, ", ""),
    ("a project's name with an underscore", "project: acme-data", "project: acme_data"),
    ("a project in capitals", "project: acme-data", "project: Acme-Data"),
    ("a consumer's project with an underscore", "[acme-apps,", "[fivetran_donkeys,"),
    ("a project that is too short", "[acme-apps,", "[acme,"),
    ("a zone for a region", "region: us-east4", "region: us-east4-b"),
    ("no network", "network: prod, ", ""),
    ("no subnet", ", subnet: ilb", ""),
    ("a subnet by its path", "subnet: ilb", "subnet: regions/us-east4/subnetworks/ilb"),
    ("no NAT subnets", NAT, ""),
    ("no NAT subnet in the list", NAT, "      nat_subnets: []\n"),
    ("a NAT subnet that is a map", NAT, "      nat_subnets: { create: { cidr: 10.8.0.0/24 } }\n"),
    ("a NAT subnet without a choice", "[{ create: { cidr: 10.8.0.0/24 } }]", "[{}]"),
    (
        "overlapping NAT ranges of one service",
        "[{ create: { cidr: 10.8.0.0/24 } }]",
        "[{ create: { cidr: 10.8.0.0/24 } }, { create: { cidr: 10.8.0.128/25 } }]",
    ),
    (
        "overlapping NAT ranges of two services",
        "[{ existing: psc-nat }]",
        "[{ create: { cidr: 10.8.0.0/16 } }]",
    ),
    ("one NAT subnet in two attachments", "[{ create: { cidr: 10.8.0.0/24 } }]", "[{ existing: psc-nat }]"),
    (
        "one NAT subnet twice in an attachment",
        "[{ existing: psc-nat }]",
        "[{ existing: psc-nat }, { existing: psc-nat }]",
    ),
    ("the forwarding rule's subnet for NAT", "[{ existing: psc-nat }]", "[{ existing: ilb }]"),
    ("a NAT range with bits beyond its prefix", "10.8.0.0/24", "10.8.0.1/24"),
    ("a NAT range that is too small", "10.8.0.0/24", "10.8.0.0/30"),
    ("a port that differs without a forwarder", "port: 5432", "port: 6432"),
    (
        "two backends",
        "listen: 5433, to: { instances: [zones/us-east4-b/instances/db-1] }",
        "listen: 5433, to: { instances: [zones/us-east4-b/instances/db-2] }",
    ),
    (
        "a machine and a group",
        "listen: 5433, to: { instances: [zones/us-east4-b/instances/db-1] }",
        "listen: 5433, to: { instance_group: zones/us-east4-b/instanceGroups/db }",
    ),
    (
        "a machine and a forwarder",
        "listen: 5433, to: { instances: [zones/us-east4-b/instances/db-1] }",
        "listen: 5433, to: { forwarder: { ip: 10.90.0.3 } }",
    ),
    (
        "six ports",
        "        - { listen: 5433, to: { instances: [zones/us-east4-b/instances/db-1] } }\n",
        "        - { listen: 1, to: &to { instances: [zones/us-east4-b/instances/db-1] } }\n        - { listen: 2, to: *to }\n        - { listen: 3, to: *to }\n        - { listen: 4, to: *to }\n        - { listen: 5, to: *to }\n",
    ),
    ("two ports listen on one", "listen: 5433", "listen: 5432"),
    ("an instance by its name", "zones/us-east4-b/instances/db-1", "db-1"),
    ("an instance of another region", "zones/us-east4-b/instances/db-1", "zones/us-west1-b/instances/db-1"),
    (
        "an instance of another project",
        "zones/us-east4-b/instances/db-1",
        "projects/other-data/zones/us-east4-b/instances/db-1",
    ),
    ("a target of another cloud", "{ instances: [zones/us-east4-b/instances/db-1] }", "{ ips: [10.0.0.4] }"),
    ("a forwarder's zone elsewhere", "us-east4-a, us-east4-b", "us-west1-a"),
    ("machines of a size that there is not", "e2-small", "e2.small"),
    (
        "a port to a forwarder without machines",
        "      forwarder: { subnets: [ilb], size: e2-small, zones: [us-east4-a, us-east4-b] }\n",
        "",
    ),
    (
        "a public address of the load balancer",
        NAT,
        "      nat_subnets: [{ create: { cidr: 10.8.0.0/24 } }]\n      ip_address: 34.1.2.3\n",
    ),
    (
        "two domain names",
        NAT,
        "      nat_subnets: [{ create: { cidr: 10.8.0.0/24 } }]\n      domain_names: [a.example., b.example.]\n",
    ),
    ("a connection id that is no number", "max_connections: 1", "only: [psc-1]"),
    ("a connection id of more than 64 bits", "max_connections: 1", "only: [99999999999999999999]"),
    (
        "automatic acceptance by endpoint",
        "    acceptance: manual\n    gcp:\n",
        "    acceptance: automatic\n    gcp:\n      accept_by: endpoint\n",
    ),
    ("acceptance by network without networks", "    gcp:\n", "    gcp:\n      accept_by: network\n"),
    (
        "only where acceptance goes by project",
        "{ max_connections: 1 } }\n    acceptance: manual\n    gcp:\n",
        "{ only: [12345678901234567890] } }\n    acceptance: manual\n    gcp:\n      accept_by: project\n",
    ),
    ("another word for accept_by", "    gcp:\n", "    gcp:\n      accept_by: subnet\n"),
    (
        "both lists for one project",
        "[acme-apps, \"123456789\"]",
        "[acme-apps], networks: [projects/acme-apps/global/networks/prod]",
    ),
    (
        "a network of a project by number",
        "projects: [acme-apps, \"123456789\"]",
        "networks: [projects/523456789012/global/networks/prod]",
    ),
    ("a network by its name", "projects: [acme-apps, \"123456789\"]", "networks: [prod]"),
    ("the wildcard without the word", "[acme-apps, \"123456789\"]", "[\"*\"]"),
    (
        "an attachment for a forwarding rule",
        BILLING,
        "      nat_subnets: [{ existing: psc-nat }]\n      existing: { forwarding_rule: projects/acme-data/regions/us-east4/serviceAttachments/x }\n",
    ),
    (
        "a forwarding rule of another region and project",
        BILLING,
        "      nat_subnets: [{ existing: psc-nat }]\n      existing: { forwarding_rule: projects/other-data/regions/us-west1/forwardingRules/x }\n",
    ),
    (
        "ports on a forwarding rule that is yours",
        BILLING,
        "      nat_subnets: [{ existing: psc-nat }]\n      existing: { forwarding_rule: x }\n      ports: [{ listen: 5432, to: { instances: [zones/us-east4-b/instances/db-1] } }]\n",
    ),
    (
        "settings of an attachment that is yours",
        BILLING,
        "      existing: { service_attachment: x }\n      reconcile_connections: true\n",
    ),
    (
        "automatic acceptance on an attachment that is yours",
        BILLING,
        "      existing: { service_attachment: x }\n    acceptance: automatic\n",
    ),
    (
        "a label that GCP refuses",
        "deployment: data-platform\n",
        "deployment: data-platform\ntags: { CostCenter: \"4711\" }\n",
    ),
    ("a health check that is too patient", "port: 5432,", "health_check: { threshold: 11 },"),
];

#[test]
fn on_gcp() {
    golden!("gcp", table("gcp.yaml", BASE, CASES));
}
