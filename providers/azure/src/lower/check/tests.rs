use std::collections::BTreeMap;

use privnet_core::spec::{Spec, decode};
use privnet_core::{Generation, Health, Live, Lowered, Ownership, Resource, World};

use crate::facts::{self, Behind, Facts, Frontend, Nic, Subnet, Vnet};

const GROUP: &str =
    "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg-data/providers/Microsoft.Network";

fn file(lines: &str) -> Spec {
    let text = format!(
        "version: 1
deployment: data
consumers: {{ acme: {{ azure: {{ subscriptions: [11111111-2222-3333-4444-555555555555] }} }} }}
services:
  - name: orders
    allow: {{ acme: {{}} }}
    azure:
      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
      resource_group: rg-data
      location: eastus2
      vnet: hub
{}",
        lines.lines().map(|line| format!("      {line}\n")).collect::<String>()
    );
    decode("t.yaml", &text).unwrap_or_else(|errors| panic!("{errors:#?}\n{text}"))
}

fn on_frontend() -> Spec {
    file(&format!(
        "nat_subnet: {{ existing: nat }}\nexisting: {{ load_balancer_frontend: {GROUP}/loadBalancers/mine/frontendIPConfigurations/fe }}"
    ))
}

fn network() -> Vnet {
    let subnet = |name: &str, policies_on| {
        let id = format!("{GROUP}/virtualNetworks/hub/subnets/{name}").to_lowercase();
        (id, Subnet { prefixes: vec!["10.1.8.0/27".to_owned()], policies_on, is_broken: false })
    };
    Vnet {
        location: "eastus2".to_owned(),
        ranges: vec!["10.1.0.0/16".to_owned()],
        subnets: BTreeMap::from([subnet("nat", false), subnet("lb", false), subnet("fwd", false)]),
    }
}

fn frontend() -> Frontend {
    Frontend {
        location: "East US 2".to_owned(),
        sku: "Standard".to_owned(),
        is_there: true,
        is_public: false,
        vnet: Some(format!("{GROUP}/virtualNetworks/hub").to_lowercase()),
        used_by: Vec::new(),
        proxy_headers: BTreeMap::new(),
        address_pools: Vec::new(),
        ports: vec![5432],
        made_for: None,
    }
}

fn good() -> Facts {
    Facts { vnet: Some(network()), frontend: Some(frontend()), ..Facts::default() }
}

fn lowered(spec: &Spec, facts: &Facts) -> Lowered {
    let mut world = World::default();
    facts::keep(&mut world, "orders", facts);
    super::super::service(spec, &spec.services[0], &world)
}

fn why(spec: &Spec, facts: &Facts) -> String {
    lowered(spec, facts).refusals.iter().map(|refusal| refusal.why.clone()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_frontend_that_can_carry_a_service_is_taken() {
    let lowered = lowered(&on_frontend(), &good());
    assert_eq!(lowered.refusals, []);
    assert_eq!(lowered.resources.len(), 1);
}

#[test]
fn a_frontend_that_cannot_is_refused_in_words() {
    let spec = on_frontend();
    let with = |change: &dyn Fn(&mut Frontend)| {
        let mut facts = good();
        change(facts.frontend.as_mut().unwrap());
        why(&spec, &facts)
    };
    assert!(with(&|f| f.is_public = true).contains("public address"));
    assert!(with(&|f| f.is_there = false).contains("no frontend `fe`"));
    // Of whichever service of the deployment the load balancer is: it goes with that one.
    assert!(with(&|f| f.made_for = Some("orders".to_owned())).contains("for this service"));
    assert!(with(&|f| f.made_for = Some("billing".to_owned())).contains("for the service `billing`"));
    assert!(with(&|f| f.sku = "Basic".to_owned()).contains("Standard load balancer"));
    assert!(with(&|f| f.location = "West US".to_owned()).contains("not in eastus2"));
    assert!(
        with(&|f| f.address_pools = vec!["p".to_owned()])
            .contains("PrivateLinkServiceIsNotSupportedForIPBasedLoadBalancer")
    );
    assert!(why(&spec, &Facts { frontend: None, ..good() }).contains("is not there"));
    let balancer = format!("{GROUP}/loadBalancers/mine").to_lowercase();
    let mut full = good();
    full.services_of.insert(balancer, 8);
    assert!(why(&spec, &full).contains("8 is Azure's limit"));
}

#[test]
fn new_services_of_a_file_count_beside_those_that_are_there() {
    let services: String = (1..=3)
        .map(|nth| {
            format!(
                "  - {{ name: orders-{nth}, allow: {{ acme: {{}} }}, azure: {{ nat_subnet: {{ existing: nat }}, existing: {{ \
                 load_balancer_frontend: {GROUP}/loadBalancers/mine/frontendIPConfigurations/fe-{nth} }} }} }}\n"
            )
        })
        .collect();
    let text = format!(
        "version: 1
deployment: data
consumers: {{ acme: {{ azure: {{ subscriptions: [11111111-2222-3333-4444-555555555555] }} }} }}
defaults:
  azure: {{ subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee, resource_group: rg-data, location: eastus2, vnet: hub }}
services:
{services}"
    );
    let spec = decode("t.yaml", &text).unwrap();
    let mut facts = good();
    facts.services_of.insert(format!("{GROUP}/loadBalancers/mine").to_lowercase(), 6);
    let world = |live: &[&str]| {
        let mut world = World::default();
        for service in &spec.services {
            facts::keep(&mut world, service.name.as_str(), &facts);
        }
        for name in live {
            world.live.push(privnet_core::Live {
                address: crate::kinds::private_link_service::address(name),
                generation: None,
                scope: privnet_core::Scope(String::new()),
                id: String::new(),
                ownership: privnet_core::Ownership::Ours,
                fields: BTreeMap::new(),
                outputs: BTreeMap::new(),
                health: privnet_core::Health::Ready,
            });
        }
        world
    };
    let refused = |world: &World| -> Vec<String> {
        let of = |service| super::super::service(&spec, service, world).refusals;
        let all = spec.services.iter().flat_map(of);
        all.map(|refusal| {
            assert!(refusal.why.contains("8 private link services without this one"), "{refusal:?}");
            refusal.address.service
        })
        .collect()
    };
    assert_eq!(refused(&world(&[])), ["orders-3"]);
    assert_eq!(refused(&world(&["orders-3"])), Vec::<String>::new(), "one that is there stays");
}

#[test]
fn a_frontend_is_in_the_services_network_and_nobody_elses() {
    let spec = on_frontend();
    let with = |change: fn(&mut Frontend)| {
        let mut facts = good();
        facts.frontend.iter_mut().for_each(change);
        why(&spec, &facts)
    };
    let other = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/privateLinkServices/other";
    assert!(with(|f| f.vnet = Some("/spoke".to_owned())).contains("in the virtual network /spoke"));
    assert!(with(|f| f.used_by = vec!["/other".to_owned()]).contains("/other stands before it"));
    assert!(
        with(|f| f.proxy_headers = BTreeMap::from([("/other".to_owned(), true)]))
            .contains("`proxy_protocol: true`")
    );
    let mut facts = good();
    facts.frontend.iter_mut().for_each(|f| f.proxy_headers = BTreeMap::from([(other.to_owned(), false)]));
    assert_eq!(why(&spec, &facts), "");
}

#[test]
fn interfaces_must_be_there_in_the_location_and_private() {
    let nic = format!("{GROUP}/networkInterfaces/db");
    let spec = file(&format!(
        "load_balancer_subnet: lb\nnat_subnet: {{ create: {{ cidr: 10.1.9.0/28 }} }}\njoin_nics: true\nports: [{{ listen: 3306, engine: mysql, to: {{ nics: [{nic}] }} }}]"
    ));
    let with = |seen: Option<Nic>| {
        let nics = seen.map(|seen| (nic.to_lowercase(), seen)).into_iter().collect();
        Facts { nics, ..good() }
    };
    let hub = format!("{GROUP}/virtualNetworks/hub").to_lowercase();
    let seen = |location: &str, is_public| Nic {
        location: location.to_owned(),
        is_public,
        vnet: Some(hub.clone()),
        ..Nic::default()
    };
    let elsewhere = Nic { vnet: Some(hub.replace("hub", "spoke")), ..seen("eastus2", false) };
    assert!(why(&spec, &with(Some(elsewhere))).contains("/virtualnetworks/spoke, not in"));
    assert!(why(&spec, &with(None)).contains("is not there"));
    assert!(why(&spec, &with(Some(seen("westus", false)))).contains("is in westus"));
    assert!(why(&spec, &with(Some(seen("eastus2", true)))).contains("public address"));
    let fine = lowered(&spec, &with(Some(seen("eastus2", false))));
    assert_eq!(fine.refusals, []);
    assert!(
        fine.warnings.iter().any(|warning| warning.contains("max_connect_errors")),
        "{:?}",
        fine.warnings
    );
}

/// Azure takes a machine behind one internal load balancer; a public one may be beside it.
#[test]
fn an_interface_behind_another_internal_load_balancer_is_refused() {
    let nic = format!("{GROUP}/networkInterfaces/db");
    let of = |join: bool| {
        file(&format!(
            "load_balancer_subnet: lb\nnat_subnet: {{ create: {{ cidr: 10.1.9.0/28 }} }}\njoin_nics: {join}\nports: [{{ listen: 5432, engine: postgres, to: {{ nics: [{nic}] }} }}]"
        ))
    };
    let balancer = format!("{GROUP}/loadBalancers/theirs").to_lowercase();
    let with = |is_internal, made_for: Option<&str>| {
        let behind = Behind { is_internal, made_for: made_for.map(str::to_owned) };
        let seen = Nic {
            location: "eastus2".to_owned(),
            pools: vec![format!("{balancer}/backendaddresspools/p")],
            behind: BTreeMap::from([(balancer.clone(), behind)]),
            ..Nic::default()
        };
        Facts { nics: BTreeMap::from([(nic.to_lowercase(), seen)]), ..good() }
    };
    let refused = why(&of(true), &with(Some(true), None));
    assert!(
        refused.contains("AnotherInternalLoadBalancerExists") && refused.contains("load_balancer_frontend"),
        "{refused}"
    );
    let refused = why(&of(true), &with(Some(true), Some("billing")));
    assert!(refused.contains("for the service `billing`") && !refused.contains("existing:"), "{refused}");
    let public = lowered(&of(true), &with(Some(false), None));
    assert!(public.refusals.is_empty() && public.warnings.is_empty(), "{public:?}");
    let unread = lowered(&of(true), &with(None, None));
    assert_eq!(unread.refusals, []);
    assert!(unread.warnings.iter().any(|warning| warning.contains("may not be read")), "{unread:?}");

    // Who joins it by hand is told with what is waited for.
    let mut world = World::default();
    facts::keep(&mut world, "orders", &with(Some(true), None));
    let mut own = Live {
        address: crate::kinds::load_balancer::address("orders"),
        generation: Some(Generation::A),
        scope: crate::scope::of_id(&nic),
        id: format!("{GROUP}/loadBalancers/own"),
        ownership: Ownership::Ours,
        fields: BTreeMap::new(),
        outputs: BTreeMap::new(),
        health: Health::Ready,
    };
    world.live.push(own.clone());
    let spec = of(false);
    let by_hand = super::super::service(&spec, &spec.services[0], &world);
    assert_eq!(by_hand.refusals, []);
    assert!(
        by_hand.waits.iter().any(|wait| wait.why.contains("take that one out there first")),
        "{by_hand:?}"
    );
    // Whom Azure let in already is in.
    own.id = format!("{GROUP}/loadBalancers/Theirs");
    world.live = vec![own].into();
    let spec = of(true);
    assert_eq!(super::super::service(&spec, &spec.services[0], &world).refusals, []);
}

#[test]
fn two_services_do_not_share_an_interface_or_a_machine() {
    let nic = |name: &str| format!("{GROUP}/networkInterfaces/{name}");
    let service = |name: &str, nic: &str| {
        format!(
            "  - {{ name: {name}, allow: {{ acme: {{}} }}, azure: {{ load_balancer_subnet: lb, nat_subnet: {{ existing: nat }}, join_nics: true, \
             ports: [{{ listen: 5432, engine: postgres, to: {{ nics: [{nic}] }} }}] }} }}\n"
        )
    };
    let text = format!(
        "version: 1
deployment: data
consumers: {{ acme: {{ azure: {{ subscriptions: [11111111-2222-3333-4444-555555555555] }} }} }}
defaults: {{ azure: {{ subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee, resource_group: rg-data, location: eastus2, vnet: hub }} }}
services:
{}{}{}{}",
        service("first", &nic("one")),
        service("same", &nic("One")),
        service("beside", &nic("two")),
        service("free", &nic("three")),
    );
    let spec = decode("t.yaml", &text).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let mut world = World::default();
    for (service, name, machine) in
        [("first", "one", "vm"), ("same", "one", "vm"), ("beside", "two", "vm"), ("free", "three", "other")]
    {
        let seen =
            Nic { location: "eastus2".to_owned(), machine: Some(machine.to_owned()), ..Nic::default() };
        let nics = BTreeMap::from([(nic(name).to_lowercase(), seen)]);
        facts::keep(&mut world, service, &Facts { nics, ..good() });
    }
    let refused: Vec<bool> = spec
        .services
        .iter()
        .map(|service| {
            let refusals = super::super::service(&spec, service, &world).refusals;
            refusals.iter().any(|refusal| refusal.why.contains("the service `first` leads to"))
        })
        .collect();
    assert_eq!(refused, [false, true, true, false], "the first may have it");
}

#[test]
fn what_may_be_mysql_is_to_be_named() {
    let nic = format!("{GROUP}/networkInterfaces/db");
    let warned = |engine: &str| -> Vec<String> {
        let spec = file(&format!(
            "load_balancer_subnet: lb\nnat_subnet: {{ create: {{ cidr: 10.1.9.0/28 }} }}\nforwarder: {{ subnets: [fwd], size: Standard_D2s_v5 }}\n\
             ports: [{{ listen: 3306, {engine} to: {{ nics: [{nic}] }} }}, {{ listen: 3307, port: 3306, {engine} to: {{ forwarder: {{ ip: 172.16.4.20 }} }} }}]"
        ));
        lowered(&spec, &good())
            .warnings
            .into_iter()
            .filter(|text| text.contains("max_connect_errors"))
            .collect()
    };
    let named = warned("engine: mysql,");
    assert!(named.len() == 1 && named[0].contains("port 3306"), "{named:#?}");
    let unsaid = warned("");
    assert!(unsaid.len() == 2 && unsaid.iter().all(|text| text.contains("`engine: other`")), "{unsaid:#?}");
    assert!(unsaid.iter().any(|text| text.contains("port 3307") && text.contains("write `engine: mysql`")));
    assert_eq!(warned("engine: other,"), Vec::<String>::new());
}

#[test]
fn mysql_is_warned_of_wherever_a_probe_asks_it_itself() {
    let nic = format!("{GROUP}/networkInterfaces/db");
    for (port, how) in [
        ("listen: 13306, engine: mysql, health_check: { http: /x }", "HTTP probes of MySQL's port 13306"),
        ("listen: 13306, engine: mysql, health_check: { port: 3306 }", "TCP probes of MySQL's port 3306"),
        ("listen: 13306, health_check: { port: 3306 }", "TCP probes of MySQL's port 3306"),
        ("listen: 3306, engine: mysql, health_check: { http: /x, port: 8080 }", ""),
        ("listen: 5432, engine: postgres, health_check: { port: 3306 }", ""),
    ] {
        let spec = file(&format!(
            "load_balancer_subnet: lb\nnat_subnet: {{ create: {{ cidr: 10.1.9.0/28 }} }}\n\
             ports: [{{ {port}, to: {{ nics: [{nic}] }} }}]"
        ));
        let warnings = lowered(&spec, &good()).warnings;
        let said: Vec<_> = warnings.iter().filter(|text| text.contains("max_connect_errors")).collect();
        assert_eq!(said.len(), usize::from(!how.is_empty()), "{port}: {warnings:#?}");
        assert!(said.iter().all(|text| text.contains(how)), "{port}: {said:#?}");
    }
}

#[test]
fn zones_that_are_not_there_and_a_header_that_probes_cannot_read_are_refused() {
    let spec = |more: &str| {
        file(&format!(
            "load_balancer_subnet: lb\nnat_subnet: {{ create: {{ cidr: 10.1.9.0/28 }} }}\n{more}\nports: [{{ listen: 1433, to: {{ forwarder: {{ ip: 172.16.4.20 }} }} }}]"
        ))
    };
    let zoned = spec("forwarder: { subnets: [fwd], size: Standard_D2s_v5, zones: [\"3\"] }");
    let two = Facts { zones: vec!["1".to_owned(), "2".to_owned()], ..good() };
    assert!(why(&zoned, &two).contains("no zone 3; it has: 1, 2"));
    assert_eq!(why(&zoned, &good()), "", "where a location shows no zones ARM decides");
    let proxied = spec("forwarder: { subnets: [fwd], size: Standard_D2s_v5 }\nproxy_protocol: true");
    assert!(why(&proxied, &good()).contains("proxy_protocol"));
    let elsewhere = spec("forwarder: { subnets: [nowhere], size: Standard_D2s_v5 }");
    assert!(why(&elsewhere, &good()).contains("`nowhere` is not in the virtual network"));
}

/// What is made without zones has none for good: where nobody may read them, they are said in the file, or stand there already.
#[test]
fn zones_that_may_not_be_read_are_no_zones_at_all_only_where_the_user_says_so() {
    let spec = |forwarder: &str, to: &str| {
        file(&format!(
            "load_balancer_subnet: lb\nnat_subnet: {{ create: {{ cidr: 10.1.9.0/28 }} }}\n{forwarder}\nports: [{{ listen: 1433, to: {to} }}]"
        ))
    };
    let forwarded = |zones: &str| {
        spec(
            &format!("forwarder: {{ subnets: [fwd], size: Standard_D2s_v5{zones} }}"),
            "{ forwarder: { ip: 172.16.4.20 } }",
        )
    };
    let unseen = Facts { zones_unseen: Some("GET locations: denied".to_owned()), ..good() };
    let action = "Microsoft.Resources/subscriptions/locations/read";
    let refused = why(&forwarded(""), &unseen);
    assert!(
        refused.contains(action) && refused.contains("denied") && refused.contains("zones: ["),
        "{refused}"
    );
    let nic = format!("{GROUP}/networkInterfaces/db");
    let seen = Nic { location: "eastus2".to_owned(), ..Nic::default() };
    let with_nic = Facts { nics: BTreeMap::from([(nic.to_lowercase(), seen)]), ..unseen.clone() };
    let refused = why(&spec("join_nics: true", &format!("{{ nics: [{nic}] }}")), &with_nic);
    assert!(
        refused.contains(action) && !refused.contains("forwarder"),
        "no machines have zones here: {refused}"
    );
    assert_eq!(why(&on_frontend(), &unseen), "", "nothing that has zones is made");

    let zones = |lowered: &Lowered, kind: &str, field: &str| {
        let made = lowered.resources.iter().find(|one| one.address.kind == kind).unwrap();
        made.fields.get(field).map(ToString::to_string).unwrap_or_default()
    };
    let said = lowered(&forwarded(", zones: [\"1\", \"3\"]"), &unseen);
    assert_eq!(said.refusals, []);
    assert!(said.warnings.iter().any(|text| text.contains(action)), "{:?}", said.warnings);
    let both = zones(&said, "scale-set", "zones");
    assert!(both.contains('1') && both.contains('3'), "{both}");
    assert_eq!(zones(&said, "load-balancer", "zones"), both, "the frontend has those of its machines");

    // A later change replaces the machines where they are.
    let known = lowered(&forwarded(""), &Facts { zones: vec!["2".to_owned()], ..good() });
    let mut world = World::default();
    facts::keep(&mut world, "orders", &unseen);
    let there = |wanted: &Resource| Live {
        address: wanted.address.clone(),
        generation: Some(Generation::A),
        scope: wanted.scope.clone(),
        id: wanted.address.to_string(),
        ownership: Ownership::Ours,
        fields: wanted.fields.clone(),
        outputs: BTreeMap::new(),
        health: Health::Ready,
    };
    world.live = known.resources.iter().map(there).collect();
    let spec = forwarded("");
    let again = super::super::service(&spec, &spec.services[0], &world);
    assert_eq!(again.refusals, []);
    for (kind, field) in [("load-balancer", "zones"), ("scale-set", "all_zones")] {
        assert_eq!(zones(&again, kind, field), zones(&known, kind, field), "{kind}");
        assert!(zones(&again, kind, field).contains('2'));
    }
}

#[test]
fn a_new_range_lies_in_the_network_and_beside_what_is_there() {
    let spec = |cidr: &str| {
        file(&format!(
            "nat_subnet: {{ create: {{ cidr: {cidr} }} }}\nexisting: {{ load_balancer_frontend: {GROUP}/loadBalancers/mine/frontendIPConfigurations/fe }}"
        ))
    };
    assert_eq!(why(&spec("10.1.9.0/28"), &good()), "");
    assert!(why(&spec("10.2.9.0/28"), &good()).contains("address space (10.1.0.0/16)"));
    assert!(why(&spec("10.1.8.16/28"), &good()).contains("overlaps the subnet"));
}

#[test]
fn lowering_is_the_same_each_time() {
    let spec = on_frontend();
    assert_eq!(lowered(&spec, &good()), lowered(&spec, &good()));
}

#[test]
fn a_check_that_forwarders_do_not_follow_is_warned_of() {
    let spec = file(
        "load_balancer_subnet: lb
nat_subnet: { existing: nat }
forwarder: { subnets: [fwd], size: Standard_D2s_v5 }
ports: [{ listen: 1433, health_check: { port: 8080, http: /ready }, to: { forwarder: { ip: 172.16.4.20 } } }]",
    );
    let lowered = lowered(&spec, &good());
    let warned = |key: &str| lowered.warnings.iter().any(|warning| warning.contains(key));
    assert!(warned("health_check.port") && warned("health_check.http"), "{:?}", lowered.warnings);
    let balancer = lowered.resources.iter().find(|one| one.address.kind == "load-balancer").unwrap();
    let probes = balancer.fields["probes"].to_string();
    assert!(!probes.contains("8080") && !probes.contains("ready"), "{probes}");
}
