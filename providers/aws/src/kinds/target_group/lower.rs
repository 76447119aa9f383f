//! What a service wants of its target groups: whom a port leads to, how that is checked, and what is to be known of those who fail.

use std::collections::BTreeSet;
use std::time::Duration;

use privnet_core::plan::Rule;
use privnet_core::spec::aws::{AwsForm, AwsPort, AwsService, AwsTarget, AwsTargets};
use privnet_core::spec::{Engine, Service};
use privnet_core::{Address, Live, Lowered, Origin, Value};

use super::{Check, Group, TRAFFIC_PORT, where_asked};
use crate::facts::{Registered, ServiceFacts};
use crate::forwarders;
use crate::kinds::{TARGET_GROUP, forwarder_group, load_balancer};
use crate::lower::Lowering;
use crate::snapshot::ports;
use crate::targets::{self, Crossing, TargetId, TargetType};

/// The defaults of `version: 1`.
const CHECK_INTERVAL: i64 = 10;
const CHECK_THRESHOLD: i64 = 3;
/// The longest time that a check waits for an answer.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// What to look at where a machine does not answer. Nothing is installed at boot, and the machine's install script says on its console what
/// the image lacks.
const FORWARDER_HINT: &str = "; its health port answers when its database does and its image holds nft and python3: see its console output";

/// The address of the group behind a listening port.
pub(crate) fn address(service: &str, listen: &str) -> Address {
    Address::new(service, TARGET_GROUP, listen)
}

pub(crate) fn named(service: &Service, aws: &AwsService) -> Vec<Address> {
    ports(aws).iter().map(|port| address(service.name.as_str(), &port.port.listen.to_string())).collect()
}

/// The listening port of a group of forwarders that is there, and where it asks them for their health.
pub(crate) fn asked_for_health(live: &Live) -> Option<(u16, u16)> {
    let there = Group::from_fields(&live.fields).ok()?;
    let of_machines = there.target_type == TargetType::Forwarders.as_str();
    let asked = (live.address.name.parse().ok()?, there.health_check.port.parse().ok()?);
    of_machines.then_some(asked)
}

/// Whether a group that is there has addresses as its members.
pub(crate) fn has_addresses(live: &Live) -> bool {
    Group::from_fields(&live.fields).is_ok_and(|there| there.target_type == TargetType::Ip.as_str())
}

/// The parts of a service's form that its ports need.
struct Around<'a> {
    vpc: &'a str,
    settings: &'a AwsTargets,
    balancer_zones: BTreeSet<String>,
    crossing: Crossing,
}

fn around<'a>(lowering: &'a Lowering<'_>) -> Option<Around<'a>> {
    match &lowering.aws.form {
        AwsForm::Made(made) => {
            let zones = made.subnets.iter().filter_map(|id| lowering.facts.subnets.get(id.as_str()));
            Some(Around {
                vpc: made.vpc.as_str(),
                settings: &made.targets,
                balancer_zones: zones.map(|subnet| subnet.zone.clone()).collect(),
                crossing: Crossing::of_file(made.load_balancer.cross_zone),
            })
        }
        AwsForm::OnLoadBalancer(on) => {
            let supplied = lowering.facts.supplied.as_ref();
            Some(Around {
                vpc: on.vpc.as_ref()?.as_str(),
                settings: &on.targets,
                balancer_zones: supplied
                    .map(|supplied| supplied.zones.keys().cloned().collect())
                    .unwrap_or_default(),
                crossing: Crossing::of_supplied(supplied),
            })
        }
        AwsForm::EndpointService(_) | AwsForm::Removed => None,
    }
}

pub(crate) fn lower(lowering: &Lowering<'_>, lowered: &mut Lowered) {
    let Some(around) = around(lowering) else { return };
    for port in ports(lowering.aws) {
        lower_port(lowering, &around, port, lowered);
    }
}

fn lower_port(lowering: &Lowering<'_>, around: &Around<'_>, port: &AwsPort, lowered: &mut Lowered) {
    let listen = port.port.listen.to_string();
    let address = address(lowering.name(), &listen);
    let target_type = targets::type_of(port);
    let forwarded = forwarders::asked_port(port);
    let mut wanted = targets::wanted(port, &lowering.facts, around.settings.target_ranges.as_ref());
    targets::check_zones(&listen, &mut wanted, &lowering.facts, &around.balancer_zones, around.crossing);
    if around.settings.proxy_protocol && target_type == TargetType::Alb {
        wanted.refusals.push(format!(
            "port {listen}: an application load balancer takes no PROXY header; remove `proxy_protocol`"
        ));
    }
    let health_port =
        forwarded.and_then(|port| forwarders::beside_what_is_there(lowering)?.health_port(port.listen));
    let check = check_of(port, target_type, health_port, &lowering.facts);
    // Forwarders are asked by HTTP, also where the file's are refused; an application load balancer is no MySQL.
    if forwarded.is_none() && target_type != TargetType::Alb {
        wanted.warnings.extend(mysql_asked(port));
    }
    let name = lowering.name().to_owned();
    lowered
        .refusals
        .extend(wanted.refusals.iter().map(|why| lowering.refusal(&address, Rule::Unsuitable, why.clone())));
    lowered.waits.extend(wanted.waits.iter().map(|why| lowering.wait("you", why.clone())));
    lowered.warnings.extend(wanted.warnings.iter().map(|why| format!("{name}: {why}")));
    // A port that turns to forwarders has other targets until then.
    let is_of_machines = forwarded.is_some() && lowering.facts.led_to_machines.contains(&listen);
    for target in lowering.facts.registered.get(&listen).into_iter().flatten() {
        let hint = if is_of_machines { FORWARDER_HINT } else { "" };
        lowered.waits.extend(ailment(target, is_of_machines).map(|ails| {
            let target = format!("{}:{}", target.id, target.port);
            lowering.wait("you", format!("the target {target} of port {listen} {ails}{hint}"))
        }));
    }
    let is_told = !wanted.waits.is_empty() || !wanted.refusals.is_empty();
    if wanted.targets.is_empty() && !is_told && has_no_target(lowering, &listen, is_of_machines) {
        let why = format!("port {listen} has no target: who comes in there gets no answer");
        lowered.waits.push(lowering.wait("you", why));
    }
    let group = Group {
        protocol: "TCP".to_owned(),
        // A forwarder listens where the load balancer does, and knows the database's port itself.
        port: i64::from(forwarded.map_or(port.port.port.get(), |port| port.listen)),
        vpc: around.vpc.to_owned(),
        ip_address_type: family(&wanted.targets).to_owned(),
        health_check: check,
        preserve_client_ip: target_type == TargetType::Alb,
        proxy_protocol: around.settings.proxy_protocol,
        drain: i64::from(around.settings.drain.get()),
        terminate_after_drain: true,
        load_balancer: None,
        targets: forwarded.is_none().then_some(wanted.targets),
        tags: lowering.spec.tags.clone(),
        target_type: target_type.as_str().to_owned(),
    };
    let mut fields = group.to_fields();
    if is_of_machines {
        warn_of_strangers(lowering, &listen, lowered);
    }
    let balancer = load_balancer::address(lowering.name());
    fields.insert("load_balancer".to_owned(), Value::output(&balancer, "arn"));
    lowered.resources.push(lowering.resource(address, Origin::Owned, fields, BTreeSet::new()));
}

/// What a check does to MySQL that asks it itself. One by HTTP ends in the midst of the handshake as well, and never gets its answer. Both
/// count: <https://dev.mysql.com/doc/refman/8.4/en/host-cache.html>.
fn mysql_asked(port: &AwsPort) -> Option<String> {
    let port = &port.port;
    let check = port.health_check.as_ref();
    let asked = check.and_then(|check| check.port).unwrap_or(port.port).get();
    let ending = Engine::mysql_asked(port.engine, port.port.get(), asked)?;
    let how = if check.is_some_and(|check| check.http.is_some()) { "an HTTP" } else { "a TCP" };
    Some(format!(
        "port {}: MySQL counts {how} health check of its own port {asked} as an interrupted handshake, and blocks the load balancer after \
         max_connect_errors of them: give `health_check: {{ http: …, port: … }}` of an agent beside it, use a forwarder, or raise \
         max_connect_errors{ending}",
        port.listen
    ))
}

/// What is registered with the forwarders' target group and is none of them gets consumers' connections all the same. It is not
/// deregistered: a machine that was started a moment ago would look the same.
fn warn_of_strangers(lowering: &Lowering<'_>, listen: &str, lowered: &mut Lowered) {
    let registered = lowering.facts.registered.get(listen).into_iter().flatten();
    for stranger in
        registered.filter(|target| !target.is_leaving() && !lowering.facts.machines.contains_key(&target.id))
    {
        lowered.warnings.push(format!(
            "{}: {} is registered for port {listen}, and is no machine of the forwarder group: deregister it, unless it was started \
             just now",
            lowering.name(),
            stranger.id
        ));
    }
}

/// Whether a load balancer sends to a port's group, nothing in it takes connections, and nothing that this plan does will: machines that
/// are to be made, or that run and are to be registered, come by themselves.
fn has_no_target(lowering: &Lowering<'_>, listen: &str, is_of_machines: bool) -> bool {
    let facts = &lowering.facts;
    let asked = |registered: &Vec<Registered>| registered.iter().any(Registered::is_asked);
    if !facts.sent_to.contains(listen) || facts.registered.get(listen).is_none_or(asked) {
        return false;
    }
    let address = forwarder_group::address(lowering.name());
    let groups: Vec<_> = lowering.world.live.ours_at(&address).collect();
    let asked_for =
        forwarders::of(lowering.aws).map(|machines| Value::Int(machines.asked.count.get().into()));
    let is_replaced = |live: &&&Live| live.fields.get("count") != asked_for.as_ref();
    let come = groups.is_empty()
        // Those that start are none that anybody must see to.
        || !facts.machines.is_empty()
        || groups.iter().any(|live| forwarder_group::is_missing_for(live, listen))
        || groups.iter().find(is_replaced).is_some();
    !is_of_machines || !come
}

/// What somebody must mend about a target.
fn ailment(target: &Registered, is_machine: bool) -> Option<String> {
    let reason = target.reason.as_deref().unwrap_or("AWS gives no reason");
    // Not used for want of a listener passes by itself; in a zone that is not enabled it stays.
    let in_no_zone = target.state == "unused" && reason.to_lowercase().contains("zone");
    // A machine that is stopped or gone Auto Scaling replaces.
    let is_stopped = target.state == "unused" && reason.contains("Target.InvalidState") && !is_machine;
    match target.state.as_str() {
        "unused" if is_stopped && reason.contains("stop") => {
            Some(format!("is not used: {reason}; start it, or name another one in the file"))
        }
        "unused" if is_stopped => Some(format!("is not used: {reason}; name another one in the file")),
        "unhealthy" => Some(format!("is unhealthy: {reason}")),
        "unused" if in_no_zone => {
            Some(format!("is not used: {reason}; give the load balancer a subnet in the target's zone"))
        }
        _ => None,
    }
}

/// The family of a group's addresses: those of one name or list are of one.
fn family(targets: &BTreeSet<TargetId>) -> &'static str {
    let v6 = targets.iter().any(|target| target.id.parse::<std::net::Ipv6Addr>().is_ok());
    if v6 { "ipv6" } else { "ipv4" }
}

/// The check of a port. A forwarder is asked at its own health port, whose agent checks the database in its own protocol.
fn check_of(
    port: &AwsPort,
    target_type: TargetType,
    health_port: Option<u16>,
    facts: &ServiceFacts,
) -> Check {
    let asked = port.port.health_check.as_ref();
    let interval = asked.map_or(CHECK_INTERVAL, |check| i64::from(check.interval.get()));
    let threshold = asked.map_or(CHECK_THRESHOLD, |check| i64::from(check.threshold));
    let path = asked.and_then(|check| check.http.clone()).filter(|_| health_port.is_none());
    // An application load balancer is only ever checked by HTTP, or by HTTPS where its listener speaks that.
    let by_http = target_type == TargetType::Alb || health_port.is_some();
    let path = path.or_else(|| by_http.then(|| "/".to_owned()));
    let asked_port = asked.and_then(|check| check.port).map(|port| port.get());
    let checked = health_port.or(asked_port).unwrap_or_else(|| port.port.port.get());
    let speaks_tls = match &port.port.to {
        AwsTarget::Alb(arn) => {
            let listening = facts.applications.get(&arn.to_string());
            listening
                .and_then(|listening| listening.get(&i64::from(checked)))
                .is_some_and(|one| one == "HTTPS")
        }
        _ => false,
    };
    let protocol = match &path {
        Some(_) if speaks_tls => "HTTPS",
        Some(_) => "HTTP",
        None => "TCP",
    };
    Check {
        protocol: protocol.to_owned(),
        port: match (health_port, asked_port) {
            (Some(agent), _) => agent.to_string(),
            (None, Some(asked)) => where_asked(&asked.to_string(), Some(port.port.port.get().into())),
            (None, None) => TRAFFIC_PORT.to_owned(),
        },
        path,
        interval,
        timeout: interval.min(i64::try_from(CHECK_TIMEOUT.as_secs()).unwrap_or(interval)),
        healthy: threshold,
        unhealthy: threshold,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A plain check of a listener that speaks TLS would never be answered well.
    #[test]
    fn an_application_load_balancer_is_checked_as_it_listens() {
        let alb = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/web/abcdef0123456789";
        let text = format!(
            "version: 1
deployment: data
services:
  - name: web
    allow: {{ fivetran: {{}} }}
    aws:
      region: us-east-1
      vpc: vpc-0a1b2c3d4e5f60718
      subnets: [subnet-0aaaaaaaaaaaaaaa1]
      ports: [{{ listen: 443, to: {{ alb: \"{alb}\" }} }}]
"
        );
        let spec = privnet_core::spec::decode("web.yaml", &text).unwrap();
        let privnet_core::spec::CloudService::Aws(aws) = &spec.services[0].cloud else { panic!("on AWS") };
        for (spoken, checked) in [("HTTPS", "HTTPS"), ("HTTP", "HTTP")] {
            let listening = BTreeMap::from([(443, spoken.to_owned())]);
            let applications = BTreeMap::from([(alb.to_owned(), listening)]);
            let facts = ServiceFacts { applications, ..ServiceFacts::default() };
            let check = check_of(&ports(aws)[0], TargetType::Alb, None, &facts);
            assert_eq!((check.protocol.as_str(), check.path.as_deref()), (checked, Some("/")));
        }
    }
}
