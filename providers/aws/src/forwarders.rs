//! The forwarder machines that a service asks for, and what cannot be of it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::plan::Rule;
use privnet_core::spec::Zones;
use privnet_core::spec::aws::{AwsForm, AwsForwarder, AwsPort, AwsService, AwsTarget};
use privnet_core::{Address, Lowered};
use privnet_forwarder::{AskedPort, CloudLimit, Forwarder, RenderError, Rendered};

use crate::facts::{Image, ServiceFacts};
use crate::image;
use crate::kinds::{
    FORWARDER_GROUP, SECURITY_GROUP_RULE, TARGET_GROUP, forwarder_group, security_group_rule, target_group,
};
use crate::lower::Lowering;
use crate::snapshot::ports;
use crate::targets::Crossing;

/// Fewer zones than this are no group that outlives the loss of one.
const FEWEST_ZONES: usize = 2;

/// The machines of a service.
pub(crate) struct Machines<'a> {
    /// The file's block.
    pub(crate) asked: &'a AwsForwarder,
    /// The VPC that they stand in.
    pub(crate) vpc: &'a str,
    /// The ports that lead to them.
    pub(crate) ports: Vec<AskedPort<'a>>,
}

/// The machines that a service asks for, if it does, by its file alone.
pub(crate) fn of(aws: &AwsService) -> Option<Machines<'_>> {
    let (asked, vpc) = match &aws.form {
        AwsForm::Made(made) => (made.forwarder.as_ref()?, &made.vpc),
        AwsForm::OnLoadBalancer(on) => (on.forwarder.as_ref()?, on.vpc.as_ref()?),
        AwsForm::EndpointService(_) | AwsForm::Removed => return None,
    };
    let ports = ports(aws).iter().filter_map(asked_port).collect();
    Some(Machines { asked, vpc: vpc.as_str(), ports })
}

/// The machines that a service asks for, if it does, beside those that are there: who is there keeps the health ports.
pub(crate) fn beside_what_is_there<'a>(lowering: &Lowering<'a>) -> Option<Machines<'a>> {
    let mut machines = of(lowering.aws)?;
    let served = served_health_ports(lowering);
    for port in &mut machines.ports {
        port.health_port = served.get(&port.listen).copied();
    }
    Some(machines)
}

/// The health ports of the machines that are there, by listening port: where target groups ask and the machines' security group lets
/// them, which is not so where somebody changed one of them by hand; none where no group of machines is there. Machines do not answer
/// anywhere else, and a network load balancer ends the sessions of those that do not answer
/// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#unhealthy-target-connection-termination>).
fn served_health_ports(lowering: &Lowering<'_>) -> BTreeMap<u16, u16> {
    let ours = |kind| {
        let all = lowering.world.live.of(lowering.name()).iter();
        all.filter(move |live| live.is_ours() && live.address.kind == kind)
    };
    if ours(FORWARDER_GROUP).next().is_none() {
        return BTreeMap::new();
    }
    let open: BTreeSet<u16> =
        ours(SECURITY_GROUP_RULE).filter_map(security_group_rule::open_to_balancer).collect();
    let asked = ours(TARGET_GROUP).filter_map(target_group::asked_for_health);
    asked.filter(|(_, port)| open.contains(port)).collect()
}

/// A port that leads to the machines.
pub(crate) fn asked_port(port: &AwsPort) -> Option<AskedPort<'_>> {
    match &port.port.to {
        AwsTarget::Forwarder(upstream) => Some(AskedPort::of(&port.port, upstream)),
        AwsTarget::Ips(_) | AwsTarget::Instances(_) | AwsTarget::Dns(_) | AwsTarget::Alb(_) => None,
    }
}

impl Machines<'_> {
    /// What they forward. The load balancer's own addresses probe; the machines' security group says who reaches the health ports.
    ///
    /// # Errors
    /// When the file asks for what forwarders cannot do.
    pub(crate) fn forwarder(&self) -> Result<Forwarder, RenderError> {
        Forwarder::asked(&self.ports, &self.asked.resolver, self.asked.drain, Vec::new())
    }

    /// What they run, small enough for AWS.
    fn rendered(&self) -> Result<Rendered, RenderError> {
        let rendered = self.forwarder()?.render();
        rendered.user_data(CloudLimit::Aws)?;
        Ok(rendered)
    }

    /// Their health port for a listening port.
    pub(crate) fn health_port(&self, listen: u16) -> Option<u16> {
        self.forwarder().ok()?.health_port(listen)
    }

    /// The file's image; else Canonical's parameter for Ubuntu 24.04's server image, which is made with nft and Python
    /// (<https://documentation.ubuntu.com/aws/aws-how-to/instances/find-ubuntu-images/>). Frozen within `version: 1`.
    pub(crate) fn image(&self) -> String {
        self.asked.image.clone().unwrap_or_else(|| {
            let architecture = if architecture(&self.asked.size) == ARM { "arm64" } else { "amd64" };
            format!(
                "resolve:ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/{architecture}/hvm/ebs-gp3/ami-id"
            )
        })
    }

    /// The subnets that are used: those in the zones that the file asks for, as far as zones are known.
    pub(crate) fn subnets(&self, facts: &ServiceFacts) -> BTreeSet<String> {
        let in_zone = |id: &&str| match (&self.asked.zones, facts.subnets.get(*id)) {
            (Zones::These(zones), Some(subnet)) => zones.iter().any(|zone| zone.as_str() == subnet.zone),
            (Zones::All, _) | (_, None) => true,
        };
        self.asked.subnets.iter().map(|id| id.as_str()).filter(in_zone).map(str::to_owned).collect()
    }
}

/// The zones in which machines surely stand: all of the subnets' where there are enough for that. Of a group that stands as the file says it
/// already, where its machines are; a new one's, Auto Scaling puts where it likes.
pub(crate) fn zones_surely(lowering: &Lowering<'_>) -> BTreeSet<String> {
    let Some(machines) = of(lowering.aws) else { return BTreeSet::new() };
    let facts = &lowering.facts;
    let subnets = machines.subnets(facts);
    let zones: BTreeSet<String> =
        subnets.iter().filter_map(|id| Some(facts.subnets.get(id)?.zone.clone())).collect();
    let count = machines.asked.count.get();
    if usize::try_from(count).is_ok_and(|count| count < zones.len()) {
        return of_few(lowering, count, &subnets, &zones);
    }
    zones
}

/// Where fewer machines than zones surely stand.
fn of_few(
    lowering: &Lowering<'_>,
    count: u32,
    subnets: &BTreeSet<String>,
    zones: &BTreeSet<String>,
) -> BTreeSet<String> {
    let address = forwarder_group::address(lowering.name());
    let mut there = lowering.world.live.ours_at(&address);
    let stays = there.any(|live| forwarder_group::stands_so(live, count.into(), subnets));
    let now: BTreeSet<String> = lowering.facts.machines.values().cloned().collect();
    if stays { zones.intersection(&now).cloned().collect() } else { BTreeSet::new() }
}

/// EC2's words for processors (`DescribeImages`).
const ARM: &str = "arm64";
const INTEL: &str = "x86_64";

/// The processor of an instance type, by its name: a `g` after the generation is Graviton
/// (<https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html>).
fn architecture(size: &str) -> &'static str {
    let family = size.split(['.', '-']).next().unwrap_or_default();
    let options = family.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let options = options.trim_start_matches(|c: char| c.is_ascii_digit());
    if family == "a1" || options.contains('g') { ARM } else { INTEL }
}

/// Why machines of this size cannot run from this image, if they cannot.
pub(crate) fn unfit(name: &str, image: Option<&Image>, size: &str) -> Option<String> {
    let Some(image) = image else {
        return Some(format!("the image {name} is not there, or not shared with this account"));
    };
    if image.windows {
        return Some(format!("the image {name} holds Windows, and forwarders run on Linux"));
    }
    let wanted = architecture(size);
    if image.architecture != wanted {
        return Some(format!("the image {name} is for {}, and {size} is {wanted}", image.architecture));
    }
    (image.state != "available").then(|| format!("the image {name} is {}", image.state))
}

/// What the machines run, or nothing where that is refused.
pub(crate) fn lower(lowering: &Lowering<'_>, address: &Address, lowered: &mut Lowered) -> Option<Rendered> {
    let machines = beside_what_is_there(lowering)?;
    let mut refuse = |why: String| lowered.refusals.push(lowering.refusal(address, Rule::Unsuitable, why));
    let before = check(lowering, &machines);
    let rendered = match machines.rendered() {
        Ok(rendered) => Some(rendered),
        Err(why) => {
            refuse(why.to_string());
            None
        }
    };
    before.refusals.into_iter().for_each(&mut refuse);
    lowered
        .warnings
        .extend(before.warnings.into_iter().map(|warning| format!("{}: {warning}", lowering.name())));
    rendered
}

/// What was found.
#[derive(Default)]
struct Findings {
    refusals: Vec<String>,
    warnings: Vec<String>,
}

fn check(lowering: &Lowering<'_>, machines: &Machines<'_>) -> Findings {
    let mut found = Findings::default();
    let facts = &lowering.facts;
    let (drain, proxy, balancer) = match &lowering.aws.form {
        AwsForm::Made(made) => {
            let zones = made.subnets.iter().filter_map(|id| facts.subnets.get(id.as_str()));
            let zones: BTreeSet<&str> = zones.map(|subnet| subnet.zone.as_str()).collect();
            let crossing = Crossing::of_file(made.load_balancer.cross_zone);
            (made.targets.drain, made.targets.proxy_protocol, (zones, crossing))
        }
        AwsForm::OnLoadBalancer(on) => {
            let supplied = facts.supplied.as_ref();
            let zones = supplied.map(|there| there.zones.keys().map(String::as_str).collect());
            let crossing = Crossing::of_supplied(supplied);
            (on.targets.drain, on.targets.proxy_protocol, (zones.unwrap_or_default(), crossing))
        }
        AwsForm::EndpointService(_) | AwsForm::Removed => return found,
    };
    // <https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#health-check-connections>
    if proxy {
        found.refusals.push(
            "proxy_protocol cannot be used with a forwarder: AWS sends the PROXY v2 header before health checks too, and the \
             forwarder's health ports would never answer"
                .to_owned(),
        );
    }
    if machines.asked.drain.get() > drain.get() {
        found.warnings.push(format!(
            "`forwarder.drain` is {}, but the load balancer ends sessions of a target that goes after `drain`, {}",
            machines.asked.drain, drain
        ));
    }
    for port in ports(lowering.aws).iter().filter(|port| asked_port(port).is_some()) {
        let check = port.port.health_check.as_ref();
        if check.is_some_and(|check| check.port.is_some() || check.http.is_some()) {
            found.warnings.push(format!(
                "port {}: forwarders are checked at their own health port; `port` and `http` of `health_check` say nothing here",
                port.port.listen
            ));
        }
    }
    found.warnings.extend(machines.ports.iter().filter_map(AskedPort::doubt));
    let image = machines.image();
    found.warnings.extend(image::doubt(&image, facts.image.as_ref()).map(|doubt| doubt.of(&image)));
    if !facts.network_read {
        return found;
    }
    if image.starts_with("ami-") {
        found.refusals.extend(unfit(&image, facts.image.as_ref(), &machines.asked.size));
    }
    zones(facts, machines, &balancer, &mut found);
    found
}

/// The machines' zones: at least two, all of those asked for, and where the load balancer has nodes.
fn zones(
    facts: &ServiceFacts,
    machines: &Machines<'_>,
    (balancer, crossing): &(BTreeSet<&str>, Crossing),
    found: &mut Findings,
) {
    let missing: Vec<&str> = machines
        .asked
        .subnets
        .iter()
        .map(|id| id.as_str())
        .filter(|id| !facts.subnets.contains_key(*id))
        .collect();
    if !missing.is_empty() {
        let why = format!("the forwarders' subnet {} is not in {}", missing.join(", "), machines.vpc);
        found.refusals.push(why);
        return;
    }
    let by_subnet: BTreeMap<String, &str> = machines
        .subnets(facts)
        .into_iter()
        .filter_map(|id| facts.subnets.get(&id).map(|subnet| (id, subnet.zone.as_str())))
        .collect();
    let used: BTreeSet<&str> = by_subnet.values().copied().collect();
    if let Zones::These(asked) = &machines.asked.zones {
        let without: Vec<&str> =
            asked.iter().map(|zone| zone.as_str()).filter(|zone| !used.contains(zone)).collect();
        if !without.is_empty() {
            found.refusals.push(format!(
                "no subnet of `forwarder.subnets` is in {}: add one, or leave the zone out of `forwarder.zones`",
                without.join(", ")
            ));
        }
    }
    if used.len() < FEWEST_ZONES {
        let where_ = used.iter().next().map_or("no zone".to_owned(), |zone| format!("{zone} alone"));
        found.refusals.push(format!(
            "the forwarders would stand in {where_}, and nothing would be left when it fails: give `forwarder.subnets` in at least \
             {FEWEST_ZONES} zones"
        ));
    }
    if *crossing == Crossing::On || balancer.is_empty() {
        return;
    }
    let count = usize::try_from(machines.asked.count.get()).unwrap_or(usize::MAX);
    if count < used.len() {
        found.warnings.push(format!(
            "{count} forwarders do not stand in each of {} zones, and the load balancer's nodes send to no other zone: a consumer in a zone \
             without one gets no answer; give `forwarder.count` of {} or more, or {}",
            used.len(),
            used.len(),
            crossing.advice()
        ));
    }
    for zone in balancer.difference(&used) {
        found.warnings.push(format!(
            "no forwarder stands in {zone}, where the load balancer has a node that sends to no other zone: add a subnet there, or {}",
            crossing.advice()
        ));
    }
    for zone in used.difference(balancer) {
        found
            .warnings
            .push(format!("the forwarders in {zone} get no traffic: the load balancer has no node there"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_tells_its_processor() {
        for arm in
            ["t4g.small", "m6gd.large", "c7gn.xlarge", "im4gn.large", "g5g.xlarge", "x2gd.large", "a1.medium"]
        {
            assert_eq!(architecture(arm), ARM, "{arm}");
        }
        for intel in [
            "t3.small",
            "t3a.small",
            "g4dn.xlarge",
            "g5.xlarge",
            "m7i-flex.large",
            "u-6tb1.metal",
            "c6in.large",
        ] {
            assert_eq!(architecture(intel), INTEL, "{intel}");
        }
    }

    #[test]
    fn an_image_is_there_and_of_the_sizes_processor() {
        let image = |architecture: &str, state: &str| Image {
            architecture: architecture.to_owned(),
            state: state.to_owned(),
            root_device: "/dev/sda1".to_owned(),
            ..Image::default()
        };
        let windows = Image { windows: true, ..image(INTEL, "available") };
        assert!(unfit("ami-1", Some(&windows), "t3.small").is_some_and(|why| why.contains("Windows")));
        assert_eq!(unfit("ami-1", Some(&image(INTEL, "available")), "t3.small"), None);
        assert!(unfit("ami-1", Some(&image(ARM, "available")), "t3.small").is_some());
        assert!(unfit("ami-1", Some(&image(INTEL, "pending")), "t3.small").is_some());
        assert!(unfit("ami-1", None, "t3.small").is_some());
    }
}
