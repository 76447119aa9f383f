//! The world of a new sandbox: fixed ids that examples and documents use.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use jiff::Timestamp;

use super::{
    Endpoint, Group, HealthCheck, Instance, Interface, Launch, Listener, LoadBalancer, Permission, Rule,
    Scope, Service, Source, Subnet, TagStore, Target, TargetGroup, Vpc, World, Zone,
};
use crate::aws::ids::arn;
use crate::frame::Table;

/// The ids of the default world.
pub(crate) mod ids {
    /// The account of unknown access keys, and of the default world.
    pub(crate) const ACCOUNT: &str = "123456789012";
    /// A second account, for several accounts in one file and for the consumer's side.
    pub(crate) const SECOND_ACCOUNT: &str = "210987654321";
    /// Fivetran's account (<https://fivetran.com/docs>; also in the presets' sources).
    pub(crate) const FIVETRAN: &str = "834469178297";
    /// An account that nobody named.
    pub(crate) const STRANGER: &str = "999988887777";
    /// Access key → account. Any other key is the default account's.
    pub(crate) const KEYS: [(&str, &str); 4] = [
        ("AKIASANDBOX123456789", ACCOUNT),
        ("AKIASANDBOX210987654", SECOND_ACCOUNT),
        ("AKIASANDBOX834469178", FIVETRAN),
        ("AKIASANDBOX999988887", STRANGER),
    ];
    /// The one secret of all fixed keys; signatures are not checked.
    pub(crate) const SECRET: &str = "sandbox";
    /// The regions that have networks, in every account.
    pub(crate) const REGIONS: [&str; 4] = ["us-east-1", "eu-west-1", "us-gov-west-1", "cn-north-1"];
    pub(crate) const VPC: &str = "vpc-0a1b2c3d4e5f60718";
    pub(crate) const SUBNETS: [&str; 3] =
        ["subnet-0aaaaaaaaaaaaaaa1", "subnet-0bbbbbbbbbbbbbbb2", "subnet-0ccccccccccccccc3"];
    /// Another VPC of the home account and region.
    pub(crate) const OTHER_VPC: &str = "vpc-0b1b2c3d4e5f60719";
    pub(crate) const OTHER_SUBNETS: [&str; 2] = ["subnet-0ddddddddddddddd4", "subnet-0eeeeeeeeeeeeeee5"];
    pub(crate) const OTHER_DEFAULT_GROUP: &str = "sg-0eeeeeeeeeeeeeee5";
    pub(crate) const DEFAULT_GROUP: &str = "sg-0fffffffffffffff6";
    pub(crate) const DATABASE_GROUP: &str = "sg-0ddddddddddddddd4";
    pub(crate) const INSTANCE: &str = "i-0123456789abcdef0";
    /// An instance whose health checks fail.
    pub(crate) const SICK_INSTANCE: &str = "i-0bad0bad0bad0bad0";
    /// The end of an IPv4 address whose health checks fail, wherever it is.
    pub(crate) const SICK_LAST_OCTET: u8 = 250;
    pub(crate) const LOAD_BALANCER: &str = "net/db/0123456789abcdef";
    pub(crate) const ALB: &str = "app/web/abcdef0123456789";
    pub(crate) const SERVED_LOAD_BALANCER: &str = "net/shared/fedcba9876543210";
    pub(crate) const SERVICE: &str = "vpce-svc-0eeeeeeeeeeeeeee5";
    pub(crate) const CONNECTED_ENDPOINT: &str = "vpce-0123456789abcdef0";
    pub(crate) const CERTIFICATE: &str = "certificate/12345678-1234-1234-1234-123456789012";
    /// Another certificate.
    pub(crate) const OTHER_CERTIFICATE: &str = "certificate/87654321-4321-4321-4321-210987654321";
    pub(crate) const TOPIC: &str = "privnet-connections";
    /// Another topic that PrivateLink may publish to.
    pub(crate) const OTHER_TOPIC: &str = "somebody-elses";
    /// A role that only a caller with the external id may assume; every other role name can be assumed freely.
    pub(crate) const GUARDED_ROLE: &str = "needs-external-id";
    pub(crate) const EXTERNAL_ID: &str = "sandbox-external-id";
}

/// When the default world was made: long ago, so that all of it is settled.
fn long_ago() -> Timestamp {
    Timestamp::from_second(1_704_067_200).unwrap_or_default()
}

/// The zone ids of the default world. As in real accounts, `a` is not the first, and each account has its own order.
fn zone_id(region: &str, account: usize, letter: usize) -> String {
    let short = match region {
        "us-east-1" => "use1",
        "eu-west-1" => "euw1",
        "us-gov-west-1" => "usgw1",
        _ => "cnn1",
    };
    format!("{short}-az{}", [4, 6, 1][(letter + account) % 3])
}

pub(super) fn world() -> World {
    let mut world = World {
        vpcs: Table::default(),
        subnets: Table::default(),
        groups: Table::default(),
        rules: Table::default(),
        instances: Table::default(),
        interfaces: Table::default(),
        load_balancers: Table::default(),
        target_groups: Table::default(),
        listeners: Table::default(),
        services: Table::default(),
        endpoints: Table::default(),
        notifications: Table::default(),
        tags: TagStore::default(),
        tokens: Table::default(),
        sessions: Table::default(),
        certificates: BTreeSet::new(),
        topics: BTreeSet::new(),
        images: super::published::images(),
        parameters: super::published::parameters(),
        launch_templates: Table::default(),
        scaling_groups: Table::default(),
        past_groups: Table::default(),
    };
    for (a, account) in [ids::ACCOUNT, ids::SECOND_ACCOUNT].into_iter().enumerate() {
        for (r, region) in ids::REGIONS.into_iter().enumerate() {
            network(&mut world, &Scope::new(account, region), a * 4 + r);
        }
    }
    let home = Scope::new(ids::ACCOUNT, "us-east-1");
    other_network(&mut world, &home);
    instances(&mut world, &home);
    load_balancers(&mut world, &home);
    shared_service(&mut world, &home);
    world
}

/// The id of the same thing in the n-th account and region: the last digits count up, the first is the documented one.
fn nth(id: &str, n: usize) -> String {
    if n == 0 {
        return id.to_owned();
    }
    let (prefix, digits) = id.rsplit_once('-').unwrap_or(("", id));
    format!("{prefix}-{}{n:02x}{}", &digits[..1], &digits[3..])
}

fn network(world: &mut World, scope: &Scope, n: usize) {
    let created = long_ago();
    let second = n as u8;
    let vpc = nth(ids::VPC, n);
    // 2001:db8::/32 is for documents.
    let v6 = |part: u8| Ipv6Addr::new(0x2001, 0xdb8, u16::from(second), u16::from(part), 0, 0, 0, 0);
    let ipv6 = Ipv6Net::new(v6(0), 56).ok();
    let cidr = net(Ipv4Addr::new(10, second, 0, 0), 16);
    world.vpcs.insert(vpc.clone(), Vpc { scope: scope.clone(), id: vpc.clone(), cidr, ipv6 });
    world.tags.set(&vpc, "Name", "main", created);
    for (i, id) in ids::SUBNETS.iter().enumerate() {
        let zone_id = zone_id(&scope.region, n / ids::REGIONS.len(), i);
        let cidr = net(Ipv4Addr::new(10, second, 16 * i as u8, 0), 20);
        add_subnet(world, scope, &vpc, (&nth(id, n), i, zone_id), (cidr, Ipv6Net::new(v6(i as u8), 64).ok()));
    }
    let groups = [
        (ids::DEFAULT_GROUP, "default", "default VPC security group"),
        (ids::DATABASE_GROUP, "databases", "Databases of the VPC"),
    ];
    for (id, name, description) in groups {
        let rule = nth("sgr-0fffffffffffffff7", n * 2 + usize::from(name == "databases"));
        add_group(world, scope, &vpc, (&nth(id, n), name, description), &rule);
    }
    for certificate in [ids::CERTIFICATE, ids::OTHER_CERTIFICATE] {
        world.certificates.insert(arn("acm", &scope.region, &scope.account, certificate));
    }
    for topic in [ids::TOPIC, ids::OTHER_TOPIC] {
        world.topics.insert(arn("sns", &scope.region, &scope.account, topic));
    }
}

/// A second VPC beside the main one, for services that move.
fn other_network(world: &mut World, scope: &Scope) {
    let vpc = ids::OTHER_VPC;
    let cidr = net(Ipv4Addr::new(10, 100, 0, 0), 16);
    world.vpcs.insert(vpc.to_owned(), Vpc { scope: scope.clone(), id: vpc.to_owned(), cidr, ipv6: None });
    world.tags.set(vpc, "Name", "other", long_ago());
    for (i, id) in ids::OTHER_SUBNETS.iter().enumerate() {
        let cidr = net(Ipv4Addr::new(10, 100, 16 * i as u8, 0), 20);
        add_subnet(world, scope, vpc, (id, i, zone_id(&scope.region, 0, i)), (cidr, None));
    }
    let group = (ids::OTHER_DEFAULT_GROUP, "default", "default VPC security group");
    add_group(world, scope, vpc, group, "sgr-0eeeeeeeeeeeeeee7");
}

/// A subnet in the zone with this index.
fn add_subnet(
    world: &mut World,
    scope: &Scope,
    vpc: &str,
    (id, zone, zone_id): (&str, usize, String),
    (cidr, ipv6): (Ipv4Net, Option<Ipv6Net>),
) {
    let letter = ['a', 'b', 'c'][zone];
    world.tags.set(id, "Name", &format!("private-{letter}"), long_ago());
    let subnet = Subnet {
        scope: scope.clone(),
        id: id.to_owned(),
        vpc: vpc.to_owned(),
        cidr,
        ipv6,
        zone: format!("{}{letter}", scope.region),
        zone_id,
    };
    world.subnets.insert(id.to_owned(), subnet);
}

/// A security group that lets everything out, by the rule of this id.
fn add_group(
    world: &mut World,
    scope: &Scope,
    vpc: &str,
    (id, name, description): (&str, &str, &str),
    rule: &str,
) {
    let group = Group {
        scope: scope.clone(),
        id: id.to_owned(),
        name: name.to_owned(),
        description: description.to_owned(),
        vpc: vpc.to_owned(),
        created: long_ago(),
    };
    world.groups.insert(id.to_owned(), group);
    egress_rule(world, scope, id, rule);
}

fn egress_rule(world: &mut World, scope: &Scope, group: &str, id: &str) {
    let rule = Rule {
        scope: scope.clone(),
        id: id.to_owned(),
        group: group.to_owned(),
        egress: true,
        protocol: "-1".to_owned(),
        from: -1,
        to: -1,
        source: Source::V4("0.0.0.0/0".to_owned()),
        description: None,
        created: long_ago(),
    };
    world.rules.insert(rule.id.clone(), rule);
}

fn net(address: Ipv4Addr, prefix: u8) -> Ipv4Net {
    Ipv4Net::new(address, prefix).unwrap_or_default()
}

fn instances(world: &mut World, scope: &Scope) {
    let created = long_ago();
    for (id, interface, host, name) in [
        (ids::INSTANCE, "eni-0123456789abcdef0", 40, "erp-db"),
        (ids::SICK_INSTANCE, "eni-0bad0bad0bad0bad0", 41, "broken-db"),
    ] {
        let address = Ipv4Addr::new(10, 0, 0, host);
        let instance = Instance {
            scope: scope.clone(),
            id: id.to_owned(),
            vpc: ids::VPC.to_owned(),
            subnet: ids::SUBNETS[0].to_owned(),
            zone: "us-east-1a".to_owned(),
            address,
            groups: vec![ids::DATABASE_GROUP.to_owned()],
            interface: interface.to_owned(),
            launched: created,
            launch: Launch::long_ago(),
            terminated: None,
        };
        world.interfaces.insert(
            interface.to_owned(),
            Interface {
                scope: scope.clone(),
                id: interface.to_owned(),
                vpc: instance.vpc.clone(),
                subnet: instance.subnet.clone(),
                zone: instance.zone.clone(),
                address,
                groups: instance.groups.clone(),
                description: String::new(),
                kind: "interface".to_owned(),
                owner: id.to_owned(),
                created,
                released: None,
            },
        );
        world.tags.set(id, "Name", name, created);
        world.instances.insert(id.to_owned(), instance);
    }
}

/// An NLB with a listener that has no service yet, and an ALB to be a target.
fn load_balancers(world: &mut World, scope: &Scope) {
    let two: Vec<&str> = ids::SUBNETS[..2].to_vec();
    add_load_balancer(world, scope, ids::LOAD_BALANCER, &two);
    let group =
        add_target_group(world, scope, "db/00112233445566aa", "TCP", 5432, &["10.0.0.30", "10.0.16.30"]);
    add_listener(world, scope, ids::LOAD_BALANCER, "0123456789abcdee", "TCP", 5432, &group);
    add_load_balancer(world, scope, ids::ALB, &two);
    let group = add_target_group(world, scope, "web/00112233445566bb", "HTTP", 8080, &["10.0.0.31"]);
    add_listener(world, scope, ids::ALB, "abcdef0123456780", "HTTP", 80, &group);
}

/// A service that a colleague made, with a connection that is in use.
fn shared_service(world: &mut World, scope: &Scope) {
    let created = long_ago();
    add_load_balancer(world, scope, ids::SERVED_LOAD_BALANCER, &ids::SUBNETS[..2]);
    let group = add_target_group(world, scope, "shared/00112233445566cc", "TCP", 5432, &["10.0.0.32"]);
    add_listener(world, scope, ids::SERVED_LOAD_BALANCER, "fedcba9876543211", "TCP", 5432, &group);
    let balancer = balancer_arn(scope, ids::SERVED_LOAD_BALANCER);
    let principal = format!("arn:aws:iam::{}:root", ids::SECOND_ACCOUNT);
    let permission = Permission { id: "vpce-svc-perm-0eeeeeeeeeeeeeee6".to_owned(), since: created };
    let service = Service {
        scope: scope.clone(),
        id: ids::SERVICE.to_owned(),
        acceptance: true,
        load_balancers: BTreeMap::from([(
            balancer.clone(),
            vec!["us-east-1a".to_owned(), "us-east-1b".to_owned()],
        )]),
        ip_types: BTreeSet::from(["ipv4".to_owned()]),
        regions: BTreeMap::from([(scope.region.clone(), created)]),
        private_dns: None,
        permissions: BTreeMap::from([(principal, permission)]),
        created,
        deleted: None,
        // The stranger has no business with a service that privnet did not make.
        asked: BTreeSet::from([ids::STRANGER.to_owned()]),
    };
    let consumer = Scope::new(ids::SECOND_ACCOUNT, "us-east-1");
    let endpoint = Endpoint {
        id: ids::CONNECTED_ENDPOINT.to_owned(),
        connection: "vpce-svc-conn-0eeeeeeeeeeeeeee7".to_owned(),
        service: service.id.clone(),
        service_name: service.name(),
        vpc: nth(ids::VPC, 4),
        subnets: vec![nth(ids::SUBNETS[0], 4)],
        groups: vec![nth(ids::DEFAULT_GROUP, 4)],
        interfaces: Vec::new(),
        ip_type: "ipv4".to_owned(),
        private_dns: false,
        load_balancers: vec![balancer],
        created,
        accepted: Some(created),
        rejected: None,
        deleted: None,
        scope: consumer,
    };
    world.tags.set(&service.id, "Name", "shared", created);
    world.endpoints.insert(endpoint.id.clone(), endpoint);
    world.services.insert(service.id.clone(), service);
}

fn balancer_arn(scope: &Scope, suffix: &str) -> String {
    arn("elasticloadbalancing", &scope.region, &scope.account, &format!("loadbalancer/{suffix}"))
}

fn add_load_balancer(world: &mut World, scope: &Scope, suffix: &str, subnets: &[&str]) {
    let created = long_ago();
    let name = suffix.split('/').nth(1).unwrap_or_default().to_owned();
    let kind = if suffix.starts_with("app/") { "application" } else { "network" };
    let balancer = LoadBalancer {
        scope: scope.clone(),
        arn: balancer_arn(scope, suffix),
        name: name.clone(),
        kind: kind.to_owned(),
        scheme: "internal".to_owned(),
        vpc: ids::VPC.to_owned(),
        zones: subnets
            .iter()
            .filter_map(|id| world.subnets.get(id))
            .map(|s| Zone { zone: s.zone.clone(), subnet: s.id.clone(), address: None })
            .collect(),
        groups: if kind == "application" { vec![ids::DEFAULT_GROUP.to_owned()] } else { Vec::new() },
        ip_type: "ipv4".to_owned(),
        enforce: None,
        attributes: crate::aws::elb::load_balancer_defaults(),
        created,
        busy_until: created,
    };
    for subnet in subnets {
        let description = format!("ELB {suffix}");
        world.add_interface(
            subnet,
            "network_load_balancer",
            &balancer.arn,
            description,
            &balancer.groups,
            created,
        );
    }
    world.tags.set(&balancer.arn, "Name", &name, created);
    world.load_balancers.insert(balancer.arn.clone(), balancer);
}

fn add_target_group(
    world: &mut World,
    scope: &Scope,
    suffix: &str,
    protocol: &str,
    port: i64,
    addresses: &[&str],
) -> String {
    let created = long_ago();
    let arn = arn("elasticloadbalancing", &scope.region, &scope.account, &format!("targetgroup/{suffix}"));
    let target = |address: &&str| Target {
        id: (*address).to_owned(),
        port,
        zone: None,
        registered: created,
        leaving: None,
    };
    let group = TargetGroup {
        scope: scope.clone(),
        arn: arn.clone(),
        name: suffix.split('/').next().unwrap_or_default().to_owned(),
        protocol: protocol.to_owned(),
        port,
        vpc: ids::VPC.to_owned(),
        target_type: "ip".to_owned(),
        ip_type: "ipv4".to_owned(),
        check: HealthCheck {
            protocol: protocol.to_owned(),
            port: "traffic-port".to_owned(),
            path: (protocol == "HTTP").then(|| "/".to_owned()),
            codes: (protocol == "HTTP").then(|| "200".to_owned()),
            interval: 30,
            timeout: 10,
            healthy: 5,
            unhealthy: 2,
        },
        attributes: crate::aws::elb::target_group_defaults("ip", protocol),
        targets: addresses.iter().map(target).collect(),
        created,
    };
    world.target_groups.insert(arn.clone(), group);
    arn
}

fn add_listener(
    world: &mut World,
    scope: &Scope,
    suffix: &str,
    id: &str,
    protocol: &str,
    port: i64,
    group: &str,
) {
    let created = long_ago();
    let listener = Listener {
        scope: scope.clone(),
        arn: arn("elasticloadbalancing", &scope.region, &scope.account, &format!("listener/{suffix}/{id}")),
        load_balancer: balancer_arn(scope, suffix),
        protocol: protocol.to_owned(),
        port,
        target_group: group.to_owned(),
        certificates: Vec::new(),
        ssl_policy: None,
        alpn: Vec::new(),
        attributes: crate::aws::elb::listener_defaults(),
        created,
        attached: created,
        weight: None,
        also: Vec::new(),
    };
    world.listeners.insert(listener.arn.clone(), listener);
}
