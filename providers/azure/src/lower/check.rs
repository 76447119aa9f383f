//! What a plan refuses in view of the facts, in words that say what to do.

mod interfaces;

use std::collections::BTreeSet;

use ipnet::Ipv4Net;
use privnet_core::spec::azure::{AzureForm, AzureMade, AzureNatSubnet, AzureOnFrontend, AzureTarget};
use privnet_core::spec::azure_ids::ArmId;
use privnet_core::spec::{CloudService, Engine, Service, Zones};
use privnet_core::world::TargetState;
use privnet_forwarder::AskedPort;

use super::{Lowering, bad_tags};
use crate::facts::short_location;
use crate::image;
use crate::kinds::{load_balancer, nat_subnet, private_link_service, scale_set, subnet_policy};

/// The most private link services on one load balancer
/// (<https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits#private-link-limits>).
const MOST_SERVICES: usize = 8;

/// Looks for everything that cannot work.
pub(super) fn all(lowering: &mut Lowering<'_>) {
    if let Some(why) = bad_tags(lowering.spec) {
        lowering.refuse(&private_link_service::address(lowering.name()), why);
    }
    network(lowering);
    nat(lowering);
    if let Some(made) = lowering.made() {
        subnets(lowering, made);
        interfaces::all(lowering, made);
        unseen_zones(lowering, made);
        zones(lowering, made);
        images(lowering, made);
        warn_of_probes(lowering, made);
        warn_of_checks(lowering, made);
        proxy_header(lowering, made);
        sick_forwarders(lowering, made);
    }
    if let Some(form) = lowering.on_frontend() {
        frontend(lowering, form);
    }
}

fn network(lowering: &mut Lowering<'_>) {
    let Some(place) = lowering.place() else { return };
    let address = private_link_service::address(lowering.name());
    match &lowering.facts.vnet {
        None => lowering
            .refuse(&address, format!("the virtual network {} is not there, or may not be read", place.vnet)),
        Some(vnet) if vnet.location != place.location.as_str() => {
            let why = format!(
                "the virtual network {} is in {}, not in {}: a private link service is in the location of its network",
                place.vnet.name(),
                vnet.location,
                place.location
            );
            lowering.refuse(&address, why);
        }
        Some(_) => {}
    }
}

fn in_network(lowering: &mut Lowering<'_>, address: &privnet_core::Address, subnet: &ArmId) -> bool {
    let Some(place) = lowering.place() else { return false };
    if lowering.facts.vnet.is_none() {
        return false;
    }
    if lowering.subnet(subnet).is_some() {
        return true;
    }
    let inside = subnet.parent().is_some_and(|vnet| vnet.key() == place.vnet.key());
    let why = if inside {
        format!("the subnet `{}` is not in the virtual network `{}`", subnet.name(), place.vnet.name())
    } else {
        format!("the subnet {subnet} belongs to another virtual network than {}", place.vnet)
    };
    lowering.refuse(address, why);
    false
}

fn nat(lowering: &mut Lowering<'_>) {
    let Some(link) = lowering.link() else { return };
    let address = nat_subnet::address(lowering.name());
    let id = match &link.nat_subnet {
        AzureNatSubnet::Existing(id) => id,
        AzureNatSubnet::Create { cidr } => return new_range(lowering, &address, *cidr),
    };
    if !in_network(lowering, &address, id) {
        return;
    }
    if let Some(made_for) = &lowering.facts.nat_made_for {
        let ranges = lowering.subnet(id).map(|subnet| subnet.prefixes.join(", ")).unwrap_or_default();
        let what_to_do = if made_for == lowering.name() {
            format!("leave `create: {{ cidr: {ranges} }}` as it was, or name one of your own")
        } else {
            "name one of your own".to_owned()
        };
        let why = format!(
            "{id}: privnet made this NAT subnet for {}, and takes it away with it: {what_to_do}",
            in_a_sentence(lowering, made_for)
        );
        return lowering.refuse(&address, why);
    }
    if lowering.subnet(id).is_some_and(|subnet| subnet.policies_on) && !link.disable_subnet_policies {
        let why = format!(
            "private link service policies are on in the subnet {id}, so that no NAT address can be taken from it; run \
             `az network vnet subnet update --ids {id} --private-link-service-network-policies Disabled`, or let privnet do it \
             with `disable_subnet_policies: true`"
        );
        lowering.refuse(&subnet_policy::address(lowering.name()), why);
    }
}

/// A service that privnet made something for, in words.
fn in_a_sentence(lowering: &Lowering<'_>, made_for: &str) -> String {
    if made_for == lowering.name() { "this service".to_owned() } else { format!("the service `{made_for}`") }
}

/// A new subnet lies in the network's address space and beside what is there.
fn new_range(lowering: &mut Lowering<'_>, address: &privnet_core::Address, cidr: Ipv4Net) {
    let Some(vnet) = &lowering.facts.vnet else { return };
    let parsed = |text: &String| text.parse::<Ipv4Net>().ok();
    if !vnet.ranges.iter().filter_map(parsed).any(|range| range.contains(&cidr)) {
        let why =
            format!("{cidr} is not in the virtual network's address space ({})", vnet.ranges.join(", "));
        return lowering.refuse(address, why);
    }
    let own = lowering.world.live.of(lowering.name()).iter();
    let own = own.filter(|live| live.address == *address).map(|live| crate::fields::id(&live.id));
    let own: BTreeSet<String> = own.collect();
    let overlaps = |prefix: &Ipv4Net| prefix.contains(&cidr) || cidr.contains(prefix);
    let taken = vnet.subnets.iter().find(|(id, subnet)| {
        !own.contains(*id) && subnet.prefixes.iter().filter_map(parsed).any(|prefix| overlaps(&prefix))
    });
    if let Some((id, subnet)) = taken {
        let name = id.rsplit('/').next().unwrap_or(id);
        let why = format!(
            "{cidr} overlaps the subnet `{name}` ({}): choose a free range",
            subnet.prefixes.join(", ")
        );
        lowering.refuse(address, why);
    }
}

fn subnets(lowering: &mut Lowering<'_>, made: &AzureMade) {
    let address = load_balancer::address(lowering.name());
    in_network(lowering, &address, &made.load_balancer_subnet);
    for subnet in made.forwarder.iter().flat_map(|forwarder| &forwarder.subnets) {
        let address = scale_set::address(lowering.name(), subnet.name());
        in_network(lowering, &address, subnet);
    }
}

/// Zones that nobody may read: what is made now would have none for good, so that it is not made.
fn unseen_zones(lowering: &mut Lowering<'_>, made: &AzureMade) {
    let Some(why) = &lowering.facts.zones_unseen else { return };
    let subnets = made.forwarder.iter().filter(|forwarder| forwarder.zones == Zones::All);
    let groups = subnets.flat_map(|forwarder| &forwarder.subnets);
    let groups = groups.map(|subnet| (scale_set::address(lowering.name(), subnet.name()), "all_zones"));
    let balancer = (load_balancer::address(lowering.name()), "zones");
    let mut wanted = std::iter::once(balancer).chain(groups);
    let unknown = wanted.find(|(address, field)| lowering.zones_for(address, field).is_none());
    let location = &made.scope.location;
    let role =
        "give the caller's role `Microsoft.Resources/subscriptions/locations/read` in the subscription";
    match unknown {
        Some((address, _)) if made.forwarder.is_some() => lowering.refuse(
            &address,
            format!(
                "the zones of {location} cannot be seen ({why}), and what is made without zones stays without: {role}, or name them with `forwarder: {{ zones: [\"1\", \"2\", \"3\"] }}`"
            ),
        ),
        Some((address, _)) => lowering.refuse(
            &address,
            format!(
                "the zones of {location} cannot be seen ({why}), and a frontend that is made without zones stays without: {role}"
            ),
        ),
        None => lowering.warn(format!(
            "the zones of {location} cannot be seen ({why}): what is made has the zones that the file names, or those of what is there; \
             to have all, {role}"
        )),
    }
}

fn zones(lowering: &mut Lowering<'_>, made: &AzureMade) {
    let Some(Zones::These(wanted)) = made.forwarder.as_ref().map(|forwarder| &forwarder.zones) else {
        return;
    };
    let there = lowering.zones();
    let missing: Vec<String> = wanted
        .iter()
        .map(ToString::to_string)
        .filter(|zone| !there.is_empty() && !there.contains(zone))
        .collect();
    if !missing.is_empty() {
        let why = format!(
            "{} has no zone {}; it has: {}",
            made.scope.location,
            missing.join(", "),
            there.join(", ")
        );
        lowering.refuse(&scale_set::address(lowering.name(), "main"), why);
    }
}

fn images(lowering: &mut Lowering<'_>, made: &AzureMade) {
    let (Some(name), Some(seen)) = (image::of(made), &lowering.facts.image) else { return };
    if let Some(why) = image::problem(name, made.scope.location.as_str(), seen) {
        return lowering.refuse(&scale_set::address(lowering.name(), "main"), why);
    }
    if let Some(doubt) = image::doubt(name, seen) {
        lowering.warn(doubt);
    }
}

/// Azure sends the PROXY header before health probes as well, and a forwarder's health port speaks plain HTTP
/// (<https://learn.microsoft.com/azure/private-link/private-link-service-overview#getting-connection-information-using-tcp-proxy-v2>).
fn proxy_header(lowering: &mut Lowering<'_>, made: &AzureMade) {
    if !made.link.proxy_protocol {
        return;
    }
    if made.forwarder.is_some() {
        let why = "proxy_protocol cannot be used with a forwarder on Azure: the PROXY v2 header comes before health probes too, and \
                   the forwarder's health ports would never answer";
        return lowering.refuse(&private_link_service::address(lowering.name()), why);
    }
    lowering.warn(
        "with proxy_protocol the PROXY v2 header comes before every connection and before health probes too: whatever \
         listens on the probed ports must read it, or nothing is ever healthy",
    );
}

/// A probe that hangs up at once makes MySQL block the host that it comes from: the load balancer, or a forwarder that does not know what it
/// speaks to.
fn warn_of_probes(lowering: &mut Lowering<'_>, made: &AzureMade) {
    for port in &made.ports {
        let direct = matches!(port.to, AzureTarget::Nics(_));
        let check = port.health_check.as_ref();
        let asked = check.and_then(|check| check.port).unwrap_or(port.port).get();
        // One by HTTP ends in the midst of the handshake as well, and never gets its answer
        // (<https://dev.mysql.com/doc/refman/8.4/en/host-cache.html>).
        let how = if check.is_some_and(|check| check.http.is_some()) { "HTTP" } else { "TCP" };
        let mysql = Engine::mysql_asked(port.engine, port.port.get(), asked).filter(|_| direct);
        if let Some(ending) = mysql {
            lowering.warn(format!(
                "{how} probes of MySQL's port {asked} (port {}) count as broken handshakes, for which it blocks the prober \
                 (max_connect_errors); give `health_check: {{ http: …, port: … }}` of an agent beside it, or use a forwarder{ending}",
                port.listen
            ));
        }
        if let AzureTarget::Forwarder(upstream) = &port.to
            && let Some(doubt) = AskedPort::of(port, upstream).doubt()
        {
            lowering.warn(doubt);
        }
    }
}

/// A forwarder is asked at its own health port, where its agent says whether the database behind the port works.
fn warn_of_checks(lowering: &mut Lowering<'_>, made: &AzureMade) {
    for port in made.ports.iter().filter(|port| matches!(port.to, AzureTarget::Forwarder(_))) {
        let Some(check) = &port.health_check else { continue };
        let given = [("port", check.port.is_some()), ("http", check.http.is_some())];
        for (key, _) in given.iter().filter(|(_, is_given)| *is_given) {
            lowering.warn(format!(
                "`health_check.{key}` of port {} has no effect: forwarders are asked at a health port of their own, where they \
                 tell whether the database works; take it out",
                port.listen
            ));
        }
    }
}

/// What to look at where a machine does not answer, as far as health was read: a `status` reads it. Nothing is installed at boot, and the
/// machine's install script says on its console what the image lacks; Azure keeps that where boot diagnostics are on
/// (<https://learn.microsoft.com/azure/virtual-machines/boot-diagnostics>).
fn sick_forwarders(lowering: &mut Lowering<'_>, made: &AzureMade) {
    let ports = |machines: bool| {
        let all =
            made.ports.iter().filter(move |port| matches!(port.to, AzureTarget::Forwarder(_)) == machines);
        all.map(move |port| if machines { port.listen.get() } else { port.port.get() })
    };
    // What the load balancer tells of a target is its address and port: a port of both may be of either.
    let direct: BTreeSet<u16> = ports(false).collect();
    let forwarded: BTreeSet<u16> = ports(true).filter(|port| !direct.contains(port)).collect();
    let is_forwarder = |id: &str| {
        id.rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok())
            .is_some_and(|port| forwarded.contains(&port))
    };
    let Some(seen) = lowering.world.services.get(lowering.name()) else { return };
    let sick = seen.targets.iter().filter(|target| target.state == TargetState::Unhealthy);
    for target in sick.filter(|target| is_forwarder(&target.id)) {
        let why = format!(
            "the forwarder {} is {}; its health port answers when its database does and its image holds nft and python3: see its console \
             output, which Azure keeps where the scale set's boot diagnostics are on",
            target.id, target.cloud_state
        );
        lowering.wait("you", why);
    }
}

fn frontend(lowering: &mut Lowering<'_>, form: &AzureOnFrontend) {
    let address = private_link_service::address(lowering.name());
    let id = &form.frontend;
    let Some(seen) = &lowering.facts.frontend else {
        return lowering
            .refuse(&address, format!("the load balancer of {id} is not there, or may not be read"));
    };
    let mut problems = Vec::new();
    if !seen.is_there {
        problems.push(format!("the load balancer has no frontend `{}`", id.name()));
    }
    if !seen.sku.eq_ignore_ascii_case("standard") {
        problems
            .push(format!("its SKU is {}: private link services need a Standard load balancer", seen.sku));
    }
    if short_location(&seen.location) != form.scope.location.as_str() {
        problems.push(format!("it is in {}, not in {}", seen.location, form.scope.location));
    }
    if seen.is_public {
        problems.push("the frontend has a public address: name an internal one".to_owned());
    }
    if seen.vnet.as_ref().is_some_and(|vnet| *vnet != form.scope.vnet.key()) {
        problems.push(format!(
            "it is in the virtual network {}, not in {}: NAT addresses come from the network of the frontend",
            seen.vnet.as_deref().unwrap_or_default(),
            form.scope.vnet
        ));
    }
    if let Some(other) = seen.used_by.first() {
        problems.push(format!(
            "the private link service {other} stands before it, and a frontend carries one: name another frontend, or that service \
             with `existing: {{ private_link_service: … }}`"
        ));
    }
    if let Some((other, _)) =
        seen.proxy_headers.iter().find(|(_, header)| **header != form.link.proxy_protocol)
    {
        problems.push(format!(
            "all private link services of a load balancer send the PROXY header or none does, and {other} {}: set \
             `proxy_protocol: {}`, or use another load balancer",
            if form.link.proxy_protocol { "does not" } else { "does" },
            !form.link.proxy_protocol
        ));
    }
    if let Some(made_for) = &seen.made_for {
        problems.push(format!(
            "privnet made its load balancer for {}, and takes it away with the ports: name one of your own",
            in_a_sentence(lowering, made_for)
        ));
    }
    if !seen.address_pools.is_empty() {
        problems.push(format!(
            "its pools {} are by IP address, which private link services refuse \
             (PrivateLinkServiceIsNotSupportedForIPBasedLoadBalancer): put network interfaces into them",
            seen.address_pools.join(", ")
        ));
    }
    let balancer = id.parent().map(|balancer| balancer.key()).unwrap_or_default();
    let others =
        lowering.facts.services_of.get(&balancer).copied().unwrap_or_default() + to_come(lowering, &balancer);
    if others >= MOST_SERVICES {
        problems.push(format!(
            "it carries {others} private link services without this one, and {MOST_SERVICES} is Azure's limit"
        ));
    }
    for problem in problems {
        lowering.refuse(&address, format!("{id}: {problem}"));
    }
}

/// How many services before a new one in the file are to come to the same load balancer: nobody sees them there yet.
fn to_come(lowering: &Lowering<'_>, balancer: &str) -> usize {
    let is_there = |name: &str| lowering.world.at(&private_link_service::address(name)).is_some();
    if is_there(lowering.name()) {
        return 0;
    }
    let on_it = |service: &Service| match &service.cloud {
        CloudService::Azure(azure) => match &azure.form {
            AzureForm::OnFrontend(form) => form.frontend.parent().is_some_and(|of| of.key() == balancer),
            _ => false,
        },
        _ => false,
    };
    let before = lowering.spec.services.iter().take_while(|service| service.name != lowering.service.name);
    before.filter(|service| on_it(service) && !is_there(service.name.as_str())).count()
}

#[cfg(test)]
mod tests;
