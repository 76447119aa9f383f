//! From what was read to what a plan and a person are told: facts and the states of targets. Pure.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{Image as Described, PlatformValues, Vpc};
use aws_sdk_elasticloadbalancingv2::types::TargetHealthDescription;
use ipnet::IpNet;
use privnet_core::Ownership;
use privnet_core::spec::Service;
use privnet_core::spec::aws::{AwsForm, AwsService, AwsTarget};
use privnet_core::world::{Target, TargetState};

use crate::facts::{Image, Instance, Registered, ServiceFacts, Subnet, SuppliedLoadBalancer};
use crate::forwarders;
use crate::kinds::target_group::is_of_machines;
use crate::kinds::{listener, security_group_rule};
use crate::observe::{Snapshot, supplied_load_balancer};
use crate::snapshot::{SeenGroup, SeenListener, SeenLoadBalancer, SeenTargetGroup, ports};

impl Snapshot<'_> {
    /// The targets of a service and how they are.
    pub(crate) fn targets_of(&self, service: &str) -> Vec<Target> {
        let ours = self.groups_of(service).flat_map(|group| {
            let listen = group.claim.address.name.parse().ok();
            registered(&group.health).into_iter().map(move |target| described(&target, listen))
        });
        let mut targets: Vec<_> = ours.collect();
        targets.sort_by(|a, b| (&a.id, a.listen).cmp(&(&b.id, b.listen)));
        targets
    }

    /// The instances that a service's target groups have and the file does not name.
    pub(crate) fn machines_registered(&self, service: &str) -> BTreeSet<String> {
        let ids = self.groups_of(service).flat_map(|group| registered(&group.health)).map(|target| target.id);
        ids.filter(|id| id.starts_with("i-") && !self.network.instances.contains_key(id)).collect()
    }

    fn groups_of(&self, service: &str) -> impl Iterator<Item = &SeenTargetGroup> {
        self.balancing.target_groups.iter().filter(move |group| {
            group.claim.ownership == Ownership::Ours && group.claim.address.service == service
        })
    }

    /// What a plan must know of the world around a service.
    pub(crate) fn facts_of(&self, service: &Service, aws: &AwsService) -> ServiceFacts {
        let mut facts = ServiceFacts {
            scope: Some(self.reach.scope.0.clone()),
            partition: Some(self.reach.partition.clone()),
            network_read: self.network.was_read,
            ..ServiceFacts::default()
        };
        let vpc = match &aws.form {
            AwsForm::Made(made) => {
                let groups = made.database_security_groups.iter();
                facts.database_groups = groups.filter_map(|id| self.database_group(id.as_str())).collect();
                facts.opened_by_others = self.opened_by_others(service.name.as_str(), &facts.database_groups);
                Some(&made.vpc)
            }
            AwsForm::OnLoadBalancer(on) => on.vpc.as_ref(),
            AwsForm::EndpointService(_) | AwsForm::Removed => None,
        };
        facts.subnets = vpc.map(|id| self.subnets_in(id.as_str())).unwrap_or_default();
        let vpc = vpc.and_then(|id| self.network.vpcs.get(id.as_str()));
        facts.vpc_ranges = vpc.map(ranges).unwrap_or_default();
        facts.instances = self.instances(aws);
        facts.applications = self.applications(aws);
        facts.image =
            forwarders::of(aws).and_then(|machines| self.machines.images.get(&machines.image())).map(image);
        facts.machines = self.machines_of(service.name.as_str());
        facts.supplied = supplied_load_balancer(aws).and_then(|arn| self.supplied(&arn));
        let leading = self.leading(service.name.as_str());
        facts.led_to_machines = leading
            .iter()
            .filter(|(_, seen)| is_of_machines(&seen.tags))
            .map(|(port, _)| port.clone())
            .collect();
        facts.sent_to = leading
            .iter()
            .filter(|(_, seen)| !seen.described.load_balancer_arns().is_empty())
            .map(|(port, _)| port.clone())
            .collect();
        facts.registered = leading.into_iter().map(|(port, seen)| (port, registered(&seen.health))).collect();
        facts
    }

    fn subnets_in(&self, vpc: &str) -> BTreeMap<String, Subnet> {
        let inside = self.network.subnets.iter().filter(|subnet| subnet.vpc_id() == Some(vpc));
        let facts = inside.filter_map(|subnet| {
            let fact = Subnet {
                zone: subnet.availability_zone().unwrap_or_default().to_owned(),
                zone_id: subnet.availability_zone_id().unwrap_or_default().to_owned(),
                cidr: subnet.cidr_block().and_then(|cidr| cidr.parse().ok()),
            };
            Some((subnet.subnet_id()?.to_owned(), fact))
        });
        facts.collect()
    }

    fn database_group(&self, id: &str) -> Option<(String, String)> {
        let group = self.network.database_groups.get(id)?;
        Some((id.to_owned(), group.vpc_id().unwrap_or_default().to_owned()))
    }

    /// Somebody else's rule that lets the load balancer's or the forwarders' group in: AWS takes no second one like it.
    fn opened_by_others(&self, service: &str, groups: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let ours: BTreeMap<&str, &str> = self
            .network
            .groups
            .iter()
            .filter(|(_, claim)| claim.ownership == Ownership::Ours && claim.address.service == service)
            .filter_map(|(group, claim)| Some((group.group_id()?, claim.address.name.as_str())))
            .collect();
        let is_ours = |source: &str, of: &str| of == service && ours.contains_key(source);
        let rules = self.network.rules.iter().filter_map(|rule| {
            let group = rule.group_id().filter(|id| groups.contains_key(*id))?;
            let source = rule.referenced_group_info()?.group_id()?;
            let port = rule.from_port()?;
            let same =
                !rule.is_egress()? && rule.ip_protocol() == Some("tcp") && rule.to_port() == Some(port);
            let key = security_group_rule::opened(group, port.into(), ours.get(source)?);
            let all = &self.network.rules;
            let is_foreign =
                || security_group_rule::proof_in_yours(rule, all, self.wanted.deployment, is_ours).is_none();
            (same && is_foreign())
                .then(|| (key, rule.security_group_rule_id().unwrap_or_default().to_owned()))
        });
        rules.collect()
    }

    fn instances(&self, aws: &AwsService) -> BTreeMap<String, Instance> {
        let named = ports(aws).iter().filter_map(|port| match &port.port.to {
            AwsTarget::Instances(ids) => Some(ids),
            _ => None,
        });
        let found = named.flatten().filter_map(|id| {
            let instance = self.network.instances.get(id.as_str())?;
            let zone = instance.placement().and_then(|placement| placement.availability_zone());
            let state = instance.state().and_then(|state| state.name());
            let fact = Instance {
                zone: zone.unwrap_or_default().to_owned(),
                vpc: instance.vpc_id().map(str::to_owned),
                state: state.map_or("unknown", |name| name.as_str()).to_owned(),
            };
            Some((id.to_string(), fact))
        });
        found.collect()
    }

    /// The application load balancers that the service's ports name and that are there.
    fn applications(&self, aws: &AwsService) -> BTreeMap<String, BTreeMap<i64, String>> {
        let named = ports(aws).iter().filter_map(|port| match &port.port.to {
            AwsTarget::Alb(arn) => Some(arn.to_string()),
            _ => None,
        });
        named.filter_map(|arn| Some((arn.clone(), self.balancing.applications.get(&arn)?.clone()))).collect()
    }

    /// The machines of a service's groups, old ones among them, by id: the zone of each.
    fn machines_of(&self, service: &str) -> BTreeMap<String, String> {
        let ours = |seen: &&SeenGroup| {
            seen.claim.ownership == Ownership::Ours && seen.claim.address.service == service
        };
        let groups = self.machines.groups.iter().filter(ours);
        let machines = groups.flat_map(|seen| seen.described.instances());
        let zones = machines.filter_map(|machine| {
            Some((
                machine.instance_id()?.to_owned(),
                machine.availability_zone().unwrap_or_default().to_owned(),
            ))
        });
        zones.collect()
    }

    /// The load balancers that use any of these target groups, or another of the service: an earlier run may have turned its listeners
    /// away from these, and stopped while their sessions went on.
    pub(crate) fn balancers_of(&self, groups: &BTreeSet<String>, service: &str) -> BTreeSet<String> {
        let named = |group: &&SeenTargetGroup| {
            group.described.target_group_arn().is_some_and(|arn| groups.contains(arn))
                || (group.claim.ownership == Ownership::Ours && group.claim.address.service == service)
        };
        let used = self.balancing.target_groups.iter().filter(named);
        used.flat_map(|group| group.described.load_balancer_arns().iter().cloned()).collect()
    }

    fn supplied(&self, arn: &str) -> Option<SuppliedLoadBalancer> {
        let found = |balancer: &&SeenLoadBalancer| balancer.described.load_balancer_arn() == Some(arn);
        let balancer = self.balancing.load_balancers.iter().find(found)?;
        let described = &balancer.described;
        let zones = described.availability_zones().iter();
        let foreign = || {
            balancer.listeners.iter().filter(|one| listener::proof_in_yours(self, balancer, one).is_none())
        };
        let port = |seen: &SeenListener| seen.described.port().map(i64::from);
        Some(SuppliedLoadBalancer {
            scheme: described.scheme().map_or("unknown", |scheme| scheme.as_str()).to_owned(),
            vpc: described.vpc_id().unwrap_or_default().to_owned(),
            zones: zones
                .filter_map(|zone| {
                    Some((zone.zone_name()?.to_owned(), zone.subnet_id().unwrap_or_default().to_owned()))
                })
                .collect(),
            cross_zone: balancer
                .attributes
                .get("load_balancing.cross_zone.enabled")
                .is_some_and(|on| on == "true"),
            ip_address_type: described.ip_address_type().map_or("ipv4", |kind| kind.as_str()).to_owned(),
            security_groups: described.security_groups().iter().cloned().collect(),
            foreign_ports: foreign().filter_map(port).collect(),
            claimed_ports: foreign()
                .filter_map(|seen| Some((port(seen)?, listener::claimed(seen, self.wanted.deployment)?)))
                .collect(),
        })
    }

    /// The ranges of a VPC that the file names; none for another.
    pub(crate) fn vpc_ranges(&self, vpc: &str) -> BTreeSet<IpNet> {
        self.network.vpcs.get(vpc).map(ranges).unwrap_or_default()
    }

    /// The group behind each listening port: the one that connections go to, where a replacement left two. One that a listener only has
    /// checked is named by it, too.
    fn leading(&self, service: &str) -> BTreeMap<String, &SeenTargetGroup> {
        let listeners = self.balancing.load_balancers.iter().flat_map(|balancer| &balancer.listeners);
        let led_to: BTreeSet<String> = listeners.map(|seen| listener::led_to(&seen.described)).collect();
        let mut groups: Vec<_> = self.groups_of(service).collect();
        groups.sort_by_key(|group| {
            let arn = group.described.target_group_arn().unwrap_or_default();
            let is_used = !group.described.load_balancer_arns().is_empty();
            (is_used, led_to.contains(arn), group.claim.generation)
        });
        groups.into_iter().map(|group| (group.claim.address.name.clone(), group)).collect()
    }
}

/// An image, in words of ours.
pub(crate) fn image(described: &Described) -> Image {
    Image {
        architecture: described.architecture().map_or("unknown", |word| word.as_str()).to_owned(),
        state: described.state().map_or("unknown", |word| word.as_str()).to_owned(),
        root_device: described.root_device_name().unwrap_or_default().to_owned(),
        // The description of the API says `Windows` in its list of values, and `windows` in its text.
        windows: described
            .platform()
            .is_some_and(|platform| platform.as_str().eq_ignore_ascii_case(PlatformValues::Windows.as_str())),
        owner: described.owner_id().unwrap_or_default().to_owned(),
        name: described.name().unwrap_or_default().to_owned(),
    }
}

/// The ranges of a VPC, IPv6 among them.
pub(crate) fn ranges(vpc: &Vpc) -> BTreeSet<IpNet> {
    let v4 = vpc.cidr_block_association_set().iter().filter_map(|association| association.cidr_block());
    let v6 =
        vpc.ipv6_cidr_block_association_set().iter().filter_map(|association| association.ipv6_cidr_block());
    v4.chain(v6).chain(vpc.cidr_block()).filter_map(|cidr| cidr.parse().ok()).collect()
}

/// What is registered, in words of ours.
pub(crate) fn registered(health: &[TargetHealthDescription]) -> Vec<Registered> {
    let all = health.iter().filter_map(|description| {
        let target = description.target()?;
        let health = description.target_health();
        let reason = health.and_then(|health| health.reason()).map(|reason| reason.as_str());
        let text = health.and_then(|health| health.description());
        let why = [reason, text].into_iter().flatten().collect::<Vec<_>>().join(": ");
        Some(Registered {
            id: target.id()?.to_owned(),
            port: target.port().map(i64::from).unwrap_or_default(),
            zone: target.availability_zone().map(str::to_owned),
            state: health
                .and_then(|health| health.state())
                .map_or("unknown", |state| state.as_str())
                .to_lowercase(),
            reason: (!why.is_empty()).then_some(why),
        })
    });
    all.collect()
}

fn described(target: &Registered, listen: Option<u16>) -> Target {
    let state = match target.state.as_str() {
        "healthy" => TargetState::Healthy,
        "initial" => TargetState::Starting,
        "draining" | "unhealthy.draining" => TargetState::Draining,
        // `unused` is no state of health: nothing is sent there.
        "unhealthy" | "unused" => TargetState::Unhealthy,
        _ => TargetState::Unknown,
    };
    let cloud_state = match &target.reason {
        Some(reason) => format!("{} ({reason})", target.state),
        None => target.state.clone(),
    };
    Target { id: format!("{}:{}", target.id, target.port), listen, state, cloud_state }
}
