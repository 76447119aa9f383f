//! What is wrong on Azure.

use std::fmt::Write as _;

use crate::{Case, golden, table};

const PRIVATE_LINK_BASE: &str = "\
version: 1
deployment: data-platform
consumers:
  fivetran: { preset: fivetran, azure: { subscriptions: [11111111-2222-3333-4444-555555555555] } }
defaults:
  azure: { subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee, resource_group: rg-data, location: eastus2, vnet: hub, load_balancer_subnet: lb }
services:
  - name: onprem
    allow: { fivetran: {} }
    azure:
      nat_subnet: { create: { cidr: 10.1.9.0/28 } }
      access_mode: restricted
      forwarder: { subnets: [fwd], size: Standard_D2s_v5 }
      ports:
        - { listen: 1433, engine: sqlserver, to: { forwarder: { ip: 172.16.4.20 } } }
        - { listen: 5432, port: 6432, to: { nics: [db-nic] } }
  - name: second
    allow: { fivetran: {} }
    azure:
      nat_subnet: { existing: nat }
      ports: [{ listen: 5432, to: { nics: [db-nic] } }]
";

const MODE: &str = "      access_mode: restricted\n";
const SECOND: &str =
    "      nat_subnet: { existing: nat }\n      ports: [{ listen: 5432, to: { nics: [db-nic] } }]\n";

/// From the consumer's subscriptions to the first service's acceptance.
const BY_SUBSCRIPTION: &str = "azure: { subscriptions: [11111111-2222-3333-4444-555555555555] } }
defaults:
  azure: { subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee, resource_group: rg-data, location: eastus2, vnet: hub, load_balancer_subnet: lb }
services:
  - name: onprem
    allow: { fivetran: {} }
";
/// The same by an endpoint.
const BY_ENDPOINT: &str = "azure: { endpoints: [/subscriptions/22222222-2222-3333-4444-555555555555/resourceGroups/v/providers/Microsoft.Network/privateEndpoints/pe] } }
defaults:
  azure: { subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee, resource_group: rg-data, location: eastus2, vnet: hub, load_balancer_subnet: lb }
services:
  - name: onprem
    allow: { fivetran: {} }
    acceptance: automatic
";

pub(crate) const PRIVATE_LINK: &[Case] = &[
    ("endpoints alone with automatic acceptance", BY_SUBSCRIPTION, BY_ENDPOINT),
    ("no subscription", "subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee, ", ""),
    ("a subscription's name for its id", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "production"),
    ("no resource group and no location", "resource_group: rg-data, location: eastus2, ", ""),
    ("a location's display name", "eastus2", "East US 2"),
    ("a virtual network with a slash", "vnet: hub", "vnet: rg/hub"),
    (
        "a virtual network of another subscription",
        "vnet: hub",
        "vnet: /subscriptions/99999999-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/hub",
    ),
    (
        "a subnet for a virtual network",
        "vnet: hub",
        "vnet: /subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/hub/subnets/lb",
    ),
    (
        "a load balancer's subnet in another network",
        "load_balancer_subnet: lb",
        "load_balancer_subnet: /subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg-data/providers/Microsoft.Network/virtualNetworks/spoke/subnets/lb",
    ),
    ("no NAT subnet", "      nat_subnet: { create: { cidr: 10.1.9.0/28 } }\n", ""),
    ("a NAT subnet without a choice", "{ create: { cidr: 10.1.9.0/28 } }", "{ cidr: 10.1.9.0/28 }"),
    (
        "a NAT subnet both made and existing",
        "{ create: { cidr: 10.1.9.0/28 } }",
        "{ create: { cidr: 10.1.9.0/28 }, existing: nat }",
    ),
    ("a NAT range with bits beyond its prefix", "10.1.9.0/28", "10.1.9.5/28"),
    ("a NAT range of IPv6", "10.1.9.0/28", "\"fd00::/64\""),
    ("a NAT range that is too small", "10.1.9.0/28", "10.1.9.0/30"),
    ("a public NAT range", "10.1.9.0/28", "20.1.9.0/28"),
    ("nine NAT addresses", MODE, "      nat_addresses: 9\n"),
    (
        "more NAT addresses than there is room",
        "{ create: { cidr: 10.1.9.0/28 } }\n",
        "{ create: { cidr: 10.1.9.0/29 } }\n      nat_addresses: 4\n",
    ),
    ("overlapping NAT ranges", "{ existing: nat }", "{ create: { cidr: 10.1.9.8/29 } }"),
    ("another access mode", "restricted", "Restricted"),
    ("a target of another cloud", "{ nics: [db-nic] }", "{ instances: [i-0123456789abcdef0] }"),
    (
        "a machine for its NIC",
        "[db-nic]",
        "[/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/db]",
    ),
    (
        "a NIC of another subscription",
        "[db-nic]",
        "[/subscriptions/99999999-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg/providers/Microsoft.Network/networkInterfaces/db]",
    ),
    ("a NIC twice", "[db-nic]", "[db-nic, DB-NIC]"),
    ("two ports listen on one", "listen: 5432", "listen: 1433"),
    ("a forwarder to a public address", "172.16.4.20", "40.1.2.3"),
    (
        "a port to a forwarder without machines",
        "      forwarder: { subnets: [fwd], size: Standard_D2s_v5 }\n",
        "",
    ),
    ("machines without a size", ", size: Standard_D2s_v5", ""),
    ("a zone that there is not", "size: Standard_D2s_v5", "size: Standard_D2s_v5, zones: [1, 4]"),
    ("an image that is no image", "size: Standard_D2s_v5", "size: Standard_D2s_v5, image: ubuntu"),
    ("a key of AWS", MODE, "      cross_zone: true\n"),
    ("a health check that is too frequent", "engine: sqlserver", "health_check: { interval: 2s }"),
    (
        "a private link service of another type",
        SECOND,
        "      existing: { private_link_service: /subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg/providers/Microsoft.Network/privateEndpoints/x }\n",
    ),
    (
        "settings of a private link service that is yours",
        SECOND,
        "      fqdns: [db.corp.example]\n      existing: { private_link_service: /subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg/providers/Microsoft.Network/privateLinkServices/x }\n",
    ),
    (
        "automatic acceptance on a private link service that is yours",
        SECOND,
        "      existing: { private_link_service: /subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg/providers/Microsoft.Network/privateLinkServices/x }\n    acceptance: automatic\n",
    ),
    (
        "ports on a frontend that is yours",
        SECOND,
        "      nat_subnet: { existing: nat }\n      ports: [{ listen: 5432, to: { nics: [db-nic] } }]\n      existing: { load_balancer_frontend: /subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg/providers/Microsoft.Network/loadBalancers/x/frontendIPConfigurations/y }\n",
    ),
    (
        "a load balancer for its frontend",
        SECOND,
        "      nat_subnet: { existing: nat }\n      existing: { load_balancer_frontend: /subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg/providers/Microsoft.Network/loadBalancers/x }\n",
    ),
    (
        "the preset without its subscription",
        "{ preset: fivetran, azure: { subscriptions: [11111111-2222-3333-4444-555555555555] } }",
        "{ preset: fivetran }",
    ),
    ("an endpoint named by something else", "fivetran: {}", "fivetran: { only: [pe-1] }"),
    (
        "an endpoint of another type",
        "fivetran: {}",
        "fivetran: { only: [/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.Network/privateLinkServices/x] }",
    ),
    (
        "an endpoint in nobody's subscription",
        "fivetran: {}",
        "fivetran: { only: [/subscriptions/99999999-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.Network/privateEndpoints/x] }",
    ),
    ("the wildcard without the word", "[11111111-2222-3333-4444-555555555555]", "[\"*\"]"),
    (
        "a tag that Azure refuses",
        "deployment: data-platform\n",
        "deployment: data-platform\ntags: { \"a/b\": c }\n",
    ),
    (
        "tags that differ only in case",
        "deployment: data-platform\n",
        "deployment: data-platform\ntags: { Env: a, team: b, env: c, ENV: d }\n",
    ),
    (
        "a tag of privnet's own in other letters",
        "deployment: data-platform\n",
        "deployment: data-platform\ntags: { \"PrivNet:Deployment\": a }\n",
    ),
];

const HOSTED_BASE: &str = "\
version: 1
deployment: data-platform
consumers:
  vendor: { azure: { endpoints: [/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.Network/privateEndpoints/pe] } }
services:
  - name: crm
    allow: { vendor: {} }
    azure:
      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
      hosted: { resource_id: /subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg-data/providers/Microsoft.Sql/servers/crm, subresource: sqlServer }
";

pub(crate) const HOSTED: &[Case] = &[
    (
        "more than a subscription beside a hosted service",
        "      hosted:",
        "      resource_group: rg-data\n      proxy_protocol: true\n      hosted:",
    ),
    ("automatic acceptance of what Azure hosts", "    azure:\n", "    acceptance: automatic\n    azure:\n"),
    ("a hosted service without a subresource", ", subresource: sqlServer", ""),
    ("a subresource with a slash", "sqlServer", "sql/server"),
    (
        "a hosted service of another subscription",
        "resource_id: /subscriptions/aaaaaaaa",
        "resource_id: /subscriptions/99999999",
    ),
    (
        "a hosted service by its name",
        "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg-data/providers/Microsoft.Sql/servers/crm",
        "crm",
    ),
    ("an id without a name at its end", "servers/crm", "servers"),
    ("a private link service as hosted", "Microsoft.Sql/servers", "Microsoft.Network/privateLinkServices"),
    (
        "a hosted service twice",
        "services:\n",
        "services:\n  - name: same\n    allow: { vendor: {} }\n    azure:\n      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee\n      hosted: { resource_id: /subscriptions/AAAAAAAA-bbbb-cccc-dddd-eeeeeeeeeeee/resourcegroups/RG-data/providers/microsoft.sql/servers/CRM, subresource: SQLSERVER }\n",
    ),
    ("a subresource outside its map", ", subresource: sqlServer }", " }\n      subresource: sqlServer"),
    (
        "a consumer's endpoint of another type",
        "Microsoft.Network/privateEndpoints/pe",
        "Microsoft.Network/networkInterfaces/pe",
    ),
];

#[test]
fn on_azure() {
    golden!("azure", table("azure.yaml", PRIVATE_LINK_BASE, PRIVATE_LINK));
    golden!("azure-hosted", table("azure.yaml", HOSTED_BASE, HOSTED));
}

#[test]
fn nine_services_on_one_load_balancer() {
    let mut text = "\
version: 1
deployment: data-platform
consumers: { v: { azure: { subscriptions: [11111111-2222-3333-4444-555555555555] } } }
defaults:
  azure: { subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee, resource_group: rg, location: eastus2, vnet: hub }
services:
"
    .to_owned();
    let frontend = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg/providers/Microsoft.Network/loadBalancers/x/frontendIPConfigurations";
    for number in 1..=9 {
        if number == 9 {
            assert!(privnet_core::spec::decode("azure.yaml", &text).is_ok());
        }
        writeln!(
            text,
            "  - {{ name: s{number}, allow: {{ v: {{}} }}, azure: {{ nat_subnet: {{ existing: nat }}, existing: {{ load_balancer_frontend: {frontend}/f{number} }} }} }}"
        )
        .unwrap();
    }
    let errors = privnet_core::spec::decode("azure.yaml", &text).unwrap_err();
    let codes: Vec<&str> = errors.iter().map(|error| error.code).collect();
    assert_eq!(codes, ["full-load-balancer"]);
}
