//! The files of the works, and what a colleague changes before one of them.

/// A service over forwarders and a machine of the user's own. Nobody asks for a connection: who asks, and when, is not part of it.
pub(super) fn over_forwarders(target: &str) -> String {
    format!(
        "
version: 1
deployment: sweep
tags: {{ cost-center: '4711', sandbox-consumers: none }}
consumers:
  acme: {{ azure: {{ subscriptions: [11111111-2222-3333-4444-555555555555] }} }}
services:
  - name: orders
    allow: {{ acme: {{}} }}
    azure:
      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
      resource_group: rg-data
      location: eastus2
      vnet: hub
      load_balancer_subnet: lb
      nat_subnet: {{ create: {{ cidr: 10.1.9.0/28 }} }}
      forwarder: {{ subnets: [fwd], size: Standard_D2s_v5 }}
      join_nics: true
      ports:
        - {{ listen: 1433, engine: sqlserver, to: {{ forwarder: {{ ip: {target} }} }} }}
        - {{ listen: 5432, engine: postgres, to: {{ nics: [db-1-nic] }} }}
"
    )
}

/// The same with all that the file can change in place, and one port and one machine more.
pub(super) fn changed_in_place(target: &str) -> String {
    let edits = [
        ("cost-center: '4711'", "cost-center: '4712', team: data"),
        ("555555555555] }", "555555555555, 22222222-2222-3333-4444-555555555555] }"),
        ("allow: { acme: {} }", "allow: { acme: {} }\n    acceptance: automatic"),
        (
            "forwarder: { subnets: [fwd]",
            "nat_addresses: 2\n      fqdns: [orders.example.com]\n      access_mode: default\n      forwarder: { subnets: [fwd]",
        ),
        ("engine: sqlserver,", "engine: sqlserver, health_check: { interval: 20s },"),
        (
            "{ nics: [db-1-nic] } }",
            "{ nics: [db-1-nic] } }\n        - { listen: 5433, port: 5432, engine: postgres, to: { nics: [db-2-nic] } }",
        ),
    ];
    edits.iter().fold(over_forwarders(target), |file, (old, new)| {
        assert!(file.contains(old), "{old}");
        file.replace(old, new)
    })
}

/// What no file can change, or not alone: a colleague does, by kind and field, and the work puts it back. Another `drain` of the file's is
/// another program of the machines, and so another group.
pub(super) const DRIFTED: [(&str, &str); 4] = [
    ("network-security-group", "rules"),
    ("scale-set", "drain"),
    ("scale-set", "draining"),
    ("private-link-service", "proxy_protocol"),
];

/// And what he cannot change either while a private link service is there
/// (`PrivateLinkServiceNetworkPoliciesCannotBeEnabledOnPrivateLinkServiceSubnet`).
pub(super) const POLICY: (&str, &str) = ("nat-subnet", "policy");

/// The same service without its forwarders: another machine takes their place, and the first one goes with its port.
pub(super) fn without_forwarders(target: &str) -> String {
    let file = over_forwarders(target);
    let (head, _) = file.split_once("      forwarder:").unwrap_or_default();
    format!(
        "{head}      join_nics: true\n      ports: [{{ listen: 1433, engine: sqlserver, to: {{ nics: [db-2-nic] }} }}]\n"
    )
}

/// A service in a subnet of the user's whose policy is switched off for it, as the opt-in says. It waits for its machine, which is not joined.
pub(super) const PLAIN: &str = "
version: 1
deployment: sweep
tags: { sandbox-consumers: none }
consumers:
  acme: { azure: { subscriptions: [11111111-2222-3333-4444-555555555555] } }
services:
  - name: orders
    allow: { acme: {} }
    azure:
      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
      resource_group: rg-data
      location: eastus2
      vnet: hub
      load_balancer_subnet: lb
      nat_subnet: { existing: nat-policed }
      disable_subnet_policies: true
      ports: [{ listen: 5432, engine: postgres, to: { nics: [db-1-nic] } }]
";

/// As [`PLAIN`], in a subnet of its own.
pub(super) fn in_its_own_subnet() -> String {
    PLAIN.replace("{ existing: nat-policed }", "{ create: { cidr: 10.1.9.0/28 } }")
}

/// Something that Azure hosts: its type, its name, and the part that consumers connect to.
pub(super) type Hosted = (&'static str, &'static str, &'static str);

/// A SQL server: its consumer and a stranger ask by themselves. Only what waits is decided on there.
pub(super) const SQL: Hosted = ("Microsoft.Sql/servers", "crm", "sqlServer");

/// Those that answer in other ways. MySQL and App Service show connections only in themselves, and MySQL's have no name. MySQL answers 202
/// with its own words for the operation, Service Bus with no word and `Location` alone, App Service with the connection, which is `Approving` or
/// `Rejecting` meanwhile; Storage has done it when it answers, and a colleague's connection besides.
pub(super) const OTHERS: [Hosted; 4] = [
    ("Microsoft.DBforMySQL/flexibleServers", "shop", "mysqlServer"),
    ("Microsoft.ServiceBus/namespaces", "acme-bus", "namespace"),
    ("Microsoft.Web/sites", "acme-portal", "sites"),
    ("Microsoft.Storage/storageAccounts", "acmedatalake", "blob"),
];

/// The one of them that is turned away by what shows `Rejecting`, and calls what was turned away `Pending` ever after.
pub(super) const APP_SERVICE: Hosted = OTHERS[2];

/// Services that Azure hosts: nothing is made.
pub(super) fn hosted(services: &[Hosted]) -> String {
    const GROUP: &str =
        "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg-data/providers";
    let head = "
version: 1
deployment: sweep
consumers:
  acme: { azure: { subscriptions: [11111111-2222-3333-4444-555555555555] } }
services:
";
    let service = |(kind, name, part): &Hosted| {
        format!(
            "  - name: {name}
    allow: {{ acme: {{}} }}
    azure:
      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
      hosted: {{ resource_id: {GROUP}/{kind}/{name}, subresource: {part} }}
"
        )
    };
    services.iter().map(service).fold(head.to_owned(), |file, service| file + &service)
}
