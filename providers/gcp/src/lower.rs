//! From the file to desired resources, in view of the facts. Pure.

use std::collections::BTreeSet;

use privnet_core::plan::{Refusal, Rule};
use privnet_core::spec::gcp::{GcpAttachment, GcpForm, GcpForwarder, GcpMade, GcpNatSubnet, GcpService};
use privnet_core::spec::{CloudService, Service, Spec};
use privnet_core::{Address, Lowered, Origin, Resource, Scope, ServiceIntent, World};

use crate::facts::{Facts, Subnet, Taken};
use crate::fields::Fields;
use crate::forwarders;
use crate::image;
use crate::kinds::{self, service_attachment};
use crate::ownership;
use crate::path;
use crate::policy;
use crate::snapshot::Place;

/// One service on its way down, and all that is known of it.
pub(crate) struct Lowering<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) service: &'a Service,
    pub(crate) gcp: &'a GcpService,
    pub(crate) world: &'a World,
    pub(crate) facts: Facts,
    pub(crate) place: Place,
    pub(crate) lowered: Lowered,
}

impl<'a> Lowering<'a> {
    /// The address of one of the service's resources.
    pub(crate) fn address(&self, kind: &'static str, name: impl Into<String>) -> Address {
        Address::new(self.service.name.as_str(), kind, name)
    }

    /// Wants a resource.
    pub(crate) fn want(
        &mut self,
        address: Address,
        origin: Origin,
        fields: Fields,
        needs: BTreeSet<Address>,
    ) {
        let scope = self.place.scope();
        self.lowered.resources.push(Resource { address, scope, origin, fields, needs });
    }

    /// Refuses the whole service; `why` says what to do.
    pub(crate) fn refuse(&mut self, why: impl Into<String>) {
        let address = self.lowered.intent.exposed.clone();
        self.lowered.refusals.push(Refusal { address, rule: Rule::Unsuitable, why: why.into(), flag: None });
    }

    /// The path of the service's network.
    pub(crate) fn network(&self, name: &str) -> String {
        path::global(&self.place.host, "networks", name)
    }

    /// The path of a subnet of the host project.
    pub(crate) fn subnet(&self, name: &str) -> String {
        path::regional(&self.place.host, &self.place.region, "subnetworks", name)
    }

    /// The load balancer, where it is made.
    pub(crate) fn made(&self) -> Option<&'a GcpMade> {
        let gcp: &'a GcpService = self.gcp;
        match &gcp.form {
            GcpForm::Made(made) => Some(made),
            _ => None,
        }
    }

    /// The settings of the attachment, where it is made, and its network.
    pub(crate) fn attachment(&self) -> Option<(&'a GcpAttachment, &'a str)> {
        let gcp: &'a GcpService = self.gcp;
        match &gcp.form {
            GcpForm::Made(made) => Some((&made.attachment, made.network.as_str())),
            GcpForm::OnForwardingRule(on) => Some((&on.attachment, on.network.as_str())),
            GcpForm::ServiceAttachment { .. } | GcpForm::Removed => None,
        }
    }
}

/// The origin of what is made in the network of this path, which is the user's.
pub(crate) fn in_the_network(network: &str) -> Origin {
    Origin::AddedTo { to: format!("the network {} ({network})", path::name(network)) }
}

/// What a service lowers to.
pub(crate) fn lower(spec: &Spec, service: &Service, world: &World) -> Lowered {
    let CloudService::Gcp(gcp) = &service.cloud else {
        return nothing(spec, service, world, Scope(format!("{}//", crate::CLOUD)), "main");
    };
    let place = Place::of(gcp);
    let of = if matches!(gcp.form, GcpForm::ServiceAttachment { .. }) {
        service_attachment::SUPPLIED
    } else {
        "main"
    };
    let lowered = nothing(spec, service, world, place.scope(), of);
    if lowered.intent.remove {
        return lowered;
    }
    let facts = Facts::of(world, &place.key());
    let mut lowering = Lowering { spec, service, gcp, world, facts, place, lowered };
    if let Some(why) = ownership::unsuitable(&spec.tags) {
        lowering.refuse(why);
    }
    let name = service.name.as_str();
    let notes = world.notes.get(name).into_iter().flatten().map(|note| format!("{name}: {note}"));
    lowering.lowered.warnings.extend(notes);
    check(&mut lowering);
    kinds::lower(&mut lowering);
    lowering.lowered
}

/// The intent alone.
fn nothing(spec: &Spec, service: &Service, world: &World, scope: Scope, exposed: &str) -> Lowered {
    let removed = matches!(&service.cloud, CloudService::Gcp(GcpService { form: GcpForm::Removed, .. }));
    let intent = ServiceIntent {
        name: service.name.to_string(),
        cloud: crate::CLOUD,
        scope,
        remove: service.remove || removed,
        policy: policy::of(spec, service, world),
        exposed: Address::new(service.name.as_str(), service_attachment::KIND.name, exposed),
        listens: service.cloud.listens(),
    };
    Lowered { intent, resources: Vec::new(), waits: Vec::new(), refusals: Vec::new(), warnings: Vec::new() }
}

/// What can be known at plan to fail later. Nothing is said of a place that was not read whole.
fn check(lowering: &mut Lowering<'_>) {
    if !lowering.facts.read {
        return;
    }
    check_network(lowering);
    check_subnet(lowering);
    check_backend(lowering);
    check_nat(lowering);
}

/// Google changes the network of none of these in place, and takes only backends of one network, so that no new ones come beside the old.
fn check_network(lowering: &mut Lowering<'_>) {
    let Some((_, network)) = lowering.attachment() else { return };
    let network = lowering.network(network);
    let kinds =
        [kinds::forwarding_rule::KIND.name, kinds::endpoint_group::KIND.name, kinds::nat_subnet::KIND.name];
    let ours = lowering.world.live.of(lowering.service.name.as_str()).iter();
    let ours = ours.filter(|live| live.is_ours() && kinds.contains(&live.address.kind.as_str()));
    let other = ours
        .filter_map(|live| live.fields.get("network")?.as_text())
        .find(|there| !there.is_empty() && *there != network);
    if let Some(other) = other {
        let why = format!(
            "what is there of it is in {other}, and the file says {network}: a service does not move to another network. If that is \
             meant, destroy it first, with the earlier `network` and `host_project` in the file until all is gone, then apply: the vendor \
             gets a new service attachment"
        );
        lowering.refuse(why);
    }
    check_supplied_rule(lowering, &network);
}

/// The NAT subnets are looked for, and made, in the file's network.
fn check_supplied_rule(lowering: &mut Lowering<'_>, network: &str) {
    let rule = lowering.address(kinds::forwarding_rule::KIND.name, kinds::forwarding_rule::SUPPLIED);
    let GcpForm::OnForwardingRule(on) = &lowering.gcp.form else { return };
    let there = lowering.world.at(&rule).and_then(|live| live.fields.get("network")?.as_text());
    if let Some(there) = there.filter(|there| !there.is_empty() && *there != network) {
        let why = format!(
            "the forwarding rule `{}` is in {there}, and the file says {network}: an attachment takes NAT addresses of its rule's network alone",
            on.forwarding_rule
        );
        lowering.refuse(why);
    }
}

fn check_subnet(lowering: &mut Lowering<'_>) {
    let Some(made) = lowering.made() else { return };
    let (name, network) = (made.subnet.to_string(), lowering.network(made.network.as_str()));
    let (host, region) = (lowering.place.host.clone(), lowering.place.region.clone());
    match lowering.facts.subnets.get(&name) {
        None => lowering.refuse(format!("there is no subnet `{name}` in {host}, {region}")),
        Some(subnet) if subnet.network != network => {
            let why = format!("the subnet `{name}` is in {}, not in {network}", subnet.network);
            lowering.refuse(why);
        }
        Some(subnet) if subnet.purpose == PSC => {
            lowering.refuse(format!("the subnet `{name}` is for NAT addresses (PRIVATE_SERVICE_CONNECT): a load balancer needs an ordinary one"));
        }
        Some(_) => {}
    }
}

const PSC: &str = "PRIVATE_SERVICE_CONNECT";

fn check_backend(lowering: &mut Lowering<'_>) {
    let Some(made) = lowering.made() else { return };
    if let Some((forwarder, _)) = forwarders::of(made) {
        return check_forwarder(lowering, forwarder, &lowering.network(made.network.as_str()));
    }
    let network = lowering.network(made.network.as_str());
    let mut problems = Vec::new();
    match crate::snapshot::direct(lowering.gcp) {
        Some(privnet_core::spec::gcp::GcpDirect::Instances(instances)) => {
            for instance in instances {
                let path = crate::snapshot::machine_path(&lowering.place.project, instance);
                match lowering.facts.machines.get(&path) {
                    None => problems.push(format!("there is no machine {path}")),
                    Some(machine) if machine.network != network => {
                        problems.push(format!(
                            "{path} has its first interface in {}, not in {network}",
                            machine.network
                        ));
                    }
                    Some(_) => {}
                }
            }
        }
        Some(privnet_core::spec::gcp::GcpDirect::InstanceGroup(group)) => {
            let path = kinds::backend_service::group_path(&lowering.place, group);
            if !lowering.facts.groups.contains(&path) {
                problems.push(format!("there is no instance group {path}"));
            }
        }
        None => {}
    }
    problems.into_iter().for_each(|why| lowering.refuse(why));
}

fn check_forwarder(lowering: &mut Lowering<'_>, forwarder: &GcpForwarder, network: &str) {
    let mut problems = Vec::new();
    for name in &forwarder.subnets {
        match lowering.facts.subnets.get(name.as_str()) {
            None => problems.push(format!("there is no subnet `{name}` for the forwarders")),
            Some(subnet) if subnet.network != network => problems.push(format!(
                "the forwarders' subnet `{name}` is in {}, not in {network}",
                subnet.network
            )),
            Some(subnet) if subnet.purpose == PSC => problems.push(format!(
                "the subnet `{name}` is for NAT addresses (PRIVATE_SERVICE_CONNECT): forwarders need an ordinary one"
            )),
            Some(_) => {}
        }
    }
    let image = image::of(forwarder);
    if let Some(seen) = lowering.facts.images.get(&image) {
        let problem = image::problem(&image, &forwarder.size, seen);
        let doubt = image::doubt(&image, seen).filter(|_| problem.is_none());
        problems.extend(problem);
        let doubt = doubt.map(|doubt| format!("{}: {doubt}", lowering.service.name));
        lowering.lowered.warnings.extend(doubt);
    }
    problems.into_iter().for_each(|why| lowering.refuse(why));
}

fn check_nat(lowering: &mut Lowering<'_>) {
    let Some((attachment, network)) = lowering.attachment() else { return };
    let network = lowering.network(network);
    let mut problems = Vec::new();
    for subnet in &attachment.nat_subnets {
        match subnet {
            GcpNatSubnet::Create { cidr } => {
                let ours = kinds::nat_subnet::name_of(cidr);
                let address = lowering.address(kinds::nat_subnet::KIND.name, ours);
                // Also where it is not proved ours: the plan says so then.
                if lowering.world.live.of(&address.service).iter().any(|live| live.address == address) {
                    continue;
                }
                if let Some(there) = overlapping(&lowering.facts, cidr, &network) {
                    problems.push(format!(
                        "the NAT range {cidr} overlaps with {} of the subnet `{}` in {}",
                        there.cidr,
                        path::name(&there.subnet),
                        path::region(&there.subnet).unwrap_or_default()
                    ));
                }
            }
            GcpNatSubnet::Existing(name) => {
                let Some(there) = lowering.facts.subnets.get(name.as_str()) else { continue };
                if let Some(made_for) = &there.made_for {
                    problems.push(ours_named(lowering, name.as_str(), there, made_for));
                    continue;
                }
                if there.purpose != PSC {
                    problems.push(format!("the subnet `{name}` has the purpose {}; NAT addresses need {PSC}, which only a new subnet can have", there.purpose));
                }
                if there.network != network {
                    problems.push(format!(
                        "the NAT subnet `{name}` is in {}, not in {network}: an attachment has both of one network",
                        there.network
                    ));
                }
                let users = lowering.facts.nat_users.get(&there.path);
                let others = users.into_iter().flatten().filter(|user| !is_own(lowering, user));
                for user in others {
                    problems.push(format!(
                        "the subnet `{name}` is used by {user}: two attachments cannot share one"
                    ));
                }
            }
        }
    }
    problems.into_iter().for_each(|why| lowering.refuse(why));
}

/// Why a subnet that privnet made is not named as one that is there: what the file does not make any more goes, also from under an attachment.
fn ours_named(lowering: &Lowering<'_>, name: &str, subnet: &Subnet, made_for: &str) -> String {
    let (service, what_to_do) = if made_for == lowering.service.name.as_str() {
        let create = format!("leave `{{ create: {{ cidr: {} }} }}` as it was", subnet.cidr);
        ("this service".to_owned(), format!("{create}, or name one of your own"))
    } else {
        (format!("the service `{made_for}`"), "name one of your own".to_owned())
    };
    format!("privnet made the NAT subnet `{name}` for {service}, and takes it away with it: {what_to_do}")
}

/// Whether an attachment is the service's own.
fn is_own(lowering: &Lowering<'_>, attachment: &str) -> bool {
    let own = lowering.world.live.of(lowering.service.name.as_str());
    own.iter().any(|seen| seen.id == attachment && seen.is_ours())
}

fn overlapping<'f>(facts: &'f Facts, cidr: &ipnet::Ipv4Net, network: &str) -> Option<&'f Taken> {
    facts.taken.iter().find(|taken| {
        let range: Option<ipnet::Ipv4Net> = taken.cidr.parse().ok();
        taken.network == network && range.is_some_and(|range| range.contains(cidr) || cidr.contains(&range))
    })
}
