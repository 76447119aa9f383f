//! The AWS block.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::super::aws::{
    AssumeRole, AwsEndpointService, AwsEvent, AwsForm, AwsForwarder, AwsIpAddressType, AwsLoadBalancer,
    AwsLocation, AwsMade, AwsNotification, AwsOnLoadBalancer, AwsPort, AwsService, AwsTarget, AwsTargets,
};
use super::super::aws_ids::{
    AccountId, Arn, EndpointServiceId, NetworkLoadBalancerArn, Region, SubnetId, ZoneName,
};
use super::super::consumer::Who;
use super::super::grammar::aws::{EXISTING, FORWARDER, INBOUND, NOTIFICATION, PORT, ROLE, TLS, TO};
use super::super::leaf;
use super::super::shape::MapShape;
use super::super::source::Span;
use super::ports::{self, HealthBounds, Listener};
use super::read::{Block, Reader};
use super::service::{Outer, Scopes};

/// `HealthCheckIntervalSeconds` 5 to 300, thresholds 2 to 10 (ELBv2 CreateTargetGroup).
const HEALTH: HealthBounds = HealthBounds { interval: (5, 300), threshold: (2, 10) };

pub(super) fn service(
    reader: &mut Reader<'_, '_>,
    scopes: &mut Scopes,
    block: Block,
    location_keys: &'static MapShape,
    outer: &Outer<'_>,
) -> Option<AwsService> {
    let location = location(reader, block);
    if outer.removed {
        return Some(AwsService { location: location?, form: AwsForm::Removed });
    }
    if let Some(location) = &location {
        principals_fit(reader, location, outer);
    }
    let form = match reader.block(block, "existing", &EXISTING) {
        Some(existing) if reader.get(existing, "endpoint_service").is_some() => {
            endpoint_service(reader, scopes, block, existing, location_keys)
        }
        Some(existing) => on_load_balancer(reader, scopes, block, existing, location_keys, location.as_ref()),
        None => made(reader, block, location.as_ref()),
    };
    Some(AwsService { location: location?, form: form? })
}

fn location(reader: &mut Reader<'_, '_>, block: Block) -> Option<AwsLocation> {
    let account: Option<AccountId> = reader.text(block, "account");
    let region: Option<Region> = reader.need_text(block, "region");
    let assume_role = reader.block(block, "assume_role", &ROLE).and_then(|role| {
        let arn = reader.text::<super::super::aws_ids::RoleArn>(role, "arn")?;
        let span = reader.span(role, "arn");
        same_place(reader, span, arn.arn(), account.as_ref(), region.as_ref());
        Some(AssumeRole { arn, external_id: reader.text(role, "external_id") })
    });
    Some(AwsLocation { account, region: region?, profile: reader.text(block, "profile"), assume_role })
}

/// An ARN must lie in the service's partition, and in its region and account where it names them.
fn same_place(
    reader: &mut Reader<'_, '_>,
    span: Span,
    arn: &Arn,
    account: Option<&AccountId>,
    region: Option<&Region>,
) {
    if let Some(region) = region {
        if arn.partition != region.partition() {
            let message = format!(
                "the ARN is of the partition `{}`, and the region {region} of `{}`",
                arn.partition,
                region.partition()
            );
            reader.errors.add("other-partition", span, message);
        } else if !arn.region.is_empty() && arn.region != region.as_str() {
            let message = format!("the ARN is of the region {}, and the service of {region}", arn.region);
            reader.errors.add("other-region", span, message);
        }
    }
    if let Some(account) = account
        && !arn.account.is_empty()
        && arn.account != account.as_str()
    {
        let message = format!("the ARN is of the account {}, and the service of {account}", arn.account);
        reader.errors.add("other-account", span, message);
    }
}

fn principals_fit(reader: &mut Reader<'_, '_>, location: &AwsLocation, outer: &Outer<'_>) {
    for (consumer, _, span) in outer.consumers {
        for who in consumer.aws.iter().flat_map(|aws| &aws.principals) {
            let Who::Is(principal) = who else { continue };
            let partition = principal.partition().unwrap_or(location.partition());
            if partition != location.partition() {
                let message = format!(
                    "the principal `{principal}` is of the partition `{partition}`, and the region {} of `{}`",
                    location.region,
                    location.partition()
                );
                reader.errors.add("other-partition", *span, message);
            }
        }
    }
}

fn endpoint_service(
    reader: &mut Reader<'_, '_>,
    scopes: &mut Scopes,
    block: Block,
    existing: Block,
    location_keys: &MapShape,
) -> Option<AwsForm> {
    let because = "the endpoint service exists, and what is yours is not altered";
    ports::only_keys(reader, block, location_keys, &["existing"], "with-existing", because);
    let id: EndpointServiceId = reader.text(existing, "endpoint_service")?;
    let span = reader.span(existing, "endpoint_service");
    let named = reader.word(existing, "endpoint_service").unwrap_or("");
    let region = reader.text::<Region>(block, "region");
    if let (Some((_, rest)), Some(region)) = (named.split_once(".vpce."), region)
        && rest.split('.').next() != Some(region.as_str())
    {
        let message = format!("the endpoint service is not in the service's region {region}");
        reader.errors.add("other-region", span, message);
    }
    scopes.once(reader, "the endpoint service", id.as_str(), existing.at);
    Some(AwsForm::EndpointService(id))
}

fn on_load_balancer(
    reader: &mut Reader<'_, '_>,
    scopes: &mut Scopes,
    block: Block,
    existing: Block,
    location_keys: &MapShape,
    location: Option<&AwsLocation>,
) -> Option<AwsForm> {
    let allowed = [
        "existing",
        "ports",
        "forwarder",
        "drain",
        "tcp_idle_timeout",
        "proxy_protocol",
        "resolver",
        "target_ranges",
        "private_dns_name",
        "supported_regions",
        "notification",
    ];
    let because = "the load balancer exists, and what is yours is not altered";
    ports::only_keys(reader, block, location_keys, &allowed, "with-existing", because);
    let (ports, forwarder) = ports_and_forwarder(reader, block, location, None);
    let vpc = if reader.get(block, "ports").is_some() {
        Some(reader.need_text(block, "vpc")?)
    } else {
        reader.text(block, "vpc")
    };
    let targets = targets(reader, block);
    let endpoint_service = settings(reader, block, location);
    let load_balancer: NetworkLoadBalancerArn = reader.text(existing, "load_balancer")?;
    let span = reader.span(existing, "load_balancer");
    let (account, region) = (location.and_then(|l| l.account.as_ref()), location.map(|l| &l.region));
    same_place(reader, span, load_balancer.arn(), account, region);
    scopes.once(reader, "the load balancer", &load_balancer.to_string(), existing.at);
    Some(AwsForm::OnLoadBalancer(Box::new(AwsOnLoadBalancer {
        load_balancer,
        vpc,
        targets,
        ports,
        forwarder,
        endpoint_service,
    })))
}

fn made(reader: &mut Reader<'_, '_>, block: Block, location: Option<&AwsLocation>) -> Option<AwsForm> {
    let vpc = reader.need_text(block, "vpc");
    reader.need(block, "subnets");
    reader.need(block, "ports");
    let ip_address_type = match reader.word(block, "ip_address_type") {
        Some("dualstack") => AwsIpAddressType::Dualstack,
        _ => AwsIpAddressType::Ipv4,
    };
    let inbound = reader.block(block, "enforce_inbound", &INBOUND);
    let load_balancer = AwsLoadBalancer {
        ip_address_type,
        cross_zone: reader.flag(block, "cross_zone", true),
        deletion_protection: reader.flag(block, "deletion_protection", false),
        enforce_inbound: inbound.map(|inbound| reader.set(inbound, "cidrs")),
    };
    let (ports, forwarder) = ports_and_forwarder(reader, block, location, Some(ip_address_type));
    Some(AwsForm::Made(Box::new(AwsMade {
        targets: targets(reader, block),
        endpoint_service: settings(reader, block, location),
        vpc: vpc?,
        subnets: reader.set::<SubnetId>(block, "subnets"),
        load_balancer,
        database_security_groups: reader.set(block, "database_security_groups"),
        ports,
        forwarder,
    })))
}

fn targets(reader: &mut Reader<'_, '_>, block: Block) -> AwsTargets {
    AwsTargets {
        drain: reader.seconds(block, "drain", 300, (0, 3600)),
        tcp_idle_timeout: reader
            .get(block, "tcp_idle_timeout")
            .map(|_| reader.seconds(block, "tcp_idle_timeout", 350, (60, 6000))),
        proxy_protocol: reader.flag(block, "proxy_protocol", false),
        resolver: reader.resolver(block, "resolver"),
        target_ranges: reader.optional_set(block, "target_ranges"),
    }
}

fn settings(reader: &mut Reader<'_, '_>, block: Block, location: Option<&AwsLocation>) -> AwsEndpointService {
    let regions: Vec<(Region, Span)> = reader.items(block, "supported_regions");
    for (region, span) in &regions {
        if let Some(location) = location
            && region.partition() != location.partition()
        {
            let message = format!("{region} is in another partition than {}", location.region);
            reader.errors.add("other-partition", *span, message);
        }
    }
    let notification = reader.block(block, "notification", &NOTIFICATION);
    AwsEndpointService {
        private_dns_name: reader.text(block, "private_dns_name"),
        supported_regions: reader
            .get(block, "supported_regions")
            .map(|_| regions.into_iter().map(|(region, _)| region).collect()),
        notification: notification.and_then(|block| notify(reader, block, location)),
    }
}

fn notify(
    reader: &mut Reader<'_, '_>,
    block: Block,
    location: Option<&AwsLocation>,
) -> Option<AwsNotification> {
    let sns_topic = reader.text::<super::super::aws_ids::TopicArn>(block, "sns_topic")?;
    let span = reader.span(block, "sns_topic");
    // A topic of another account will do, of another region will not.
    same_place(reader, span, sns_topic.arn(), None, location.map(|l| &l.region));
    let all = [AwsEvent::Accept, AwsEvent::Reject, AwsEvent::Connect, AwsEvent::Delete];
    let events = match reader.get(block, "events") {
        None => all.into_iter().collect(),
        Some(id) => {
            let words: Vec<&str> =
                reader.tree.items(id).iter().filter_map(|id| reader.tree.text(*id)).collect();
            all.into_iter().filter(|event| words.contains(&event.as_str())).collect()
        }
    };
    Some(AwsNotification { sns_topic, events })
}

fn ports_and_forwarder(
    reader: &mut Reader<'_, '_>,
    block: Block,
    location: Option<&AwsLocation>,
    families: Option<AwsIpAddressType>,
) -> (Vec<AwsPort>, Option<AwsForwarder>) {
    let proxy_protocol = reader.flag(block, "proxy_protocol", false);
    let mut used = None;
    let mut ports = Vec::new();
    for listener in ports::listeners(reader, block, &PORT, &HEALTH) {
        let Some(to) = reader.block(listener.block, "to", &TO) else { continue };
        if reader.get(to, "forwarder").is_some() {
            used = used.or(Some(reader.key_span(to, "forwarder")));
        }
        ports.extend(port(reader, listener, to, location, (families, proxy_protocol)));
    }
    ports::forwarder_is_used(reader, block, used);
    let forwarder = reader.block(block, "forwarder", &FORWARDER).and_then(|machines| {
        for (zone, span) in reader.items::<ZoneName>(machines, "zones") {
            if let Some(location) = location
                && !zone.as_str().starts_with(location.region.as_str())
            {
                let message = format!("{zone} is no zone of {}", location.region);
                reader.errors.add("other-region", span, message);
            }
        }
        let subnets = reader.list(machines, "subnets");
        ports::forwarder(reader, machines, subnets)
    });
    (ports, forwarder)
}

fn port(
    reader: &mut Reader<'_, '_>,
    listener: Listener,
    to: Block,
    location: Option<&AwsLocation>,
    (families, proxy_protocol): (Option<AwsIpAddressType>, bool),
) -> Option<AwsPort> {
    let (account, region) = (location.and_then(|l| l.account.as_ref()), location.map(|l| &l.region));
    let tls = reader.block(listener.block, "tls", &TLS).and_then(|tls| {
        let certificate = reader.text::<super::super::aws_ids::CertificateArn>(tls, "certificate")?;
        let span = reader.span(tls, "certificate");
        same_place(reader, span, certificate.arn(), account, region);
        Some(certificate)
    });
    let target = target(reader, to, families)?;
    if let AwsTarget::Alb(arn) = &target {
        let span = reader.span(to, "alb");
        same_place(reader, span, arn.arn(), account, region);
        if tls.is_some() {
            let span = reader.key_span(listener.block, "tls");
            let message = "a port that leads to an application load balancer cannot terminate TLS";
            reader.errors.add_hint("tls-with-alb", span, message, "let the application load balancer do it");
        }
        if proxy_protocol {
            let message = "an application load balancer does not take the PROXY header";
            reader.errors.add_hint("proxy-with-alb", span, message, "leave out `proxy_protocol`");
        }
    }
    Some(AwsPort { port: listener.leads(target), tls })
}

fn target(reader: &mut Reader<'_, '_>, to: Block, families: Option<AwsIpAddressType>) -> Option<AwsTarget> {
    if let Some(list) = reader.get(to, "ips") {
        return ips(reader, to, list, families).map(AwsTarget::Ips);
    }
    if reader.get(to, "instances").is_some() {
        let instances: BTreeSet<_> = reader.set(to, "instances");
        return (!instances.is_empty()).then_some(AwsTarget::Instances(instances));
    }
    if let Some(name) = reader.text(to, "dns") {
        return Some(AwsTarget::Dns(name));
    }
    if let Some(arn) = reader.text(to, "alb") {
        return Some(AwsTarget::Alb(arn));
    }
    ports::upstream(reader, to).map(AwsTarget::Forwarder)
}

fn ips(
    reader: &mut Reader<'_, '_>,
    to: Block,
    list: usize,
    families: Option<AwsIpAddressType>,
) -> Option<BTreeSet<IpAddr>> {
    let texts = reader.tree.items(list).iter().filter_map(|id| reader.tree.text(*id));
    let found: BTreeSet<IpAddr> = texts.filter_map(|text| leaf::target_address(text).ok()).collect();
    let span = reader.span(to, "ips");
    let (v4, v6) = (found.iter().any(IpAddr::is_ipv4), found.iter().any(IpAddr::is_ipv6));
    if v4 && v6 {
        let message = "the targets of one port are of both address families";
        reader.errors.add_hint("mixed-families", span, message, "make two services, or use one family");
    } else if v6 && families == Some(AwsIpAddressType::Ipv4) {
        let message = "IPv6 targets need a dual-stack load balancer";
        reader.errors.add_hint("needs-dualstack", span, message, "add `ip_address_type: dualstack`");
    }
    (!found.is_empty()).then_some(found)
}
