//! What a service wants of its load balancer, and what cannot be.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::accept::ConnectionState;
use privnet_core::plan::Rule;
use privnet_core::spec::Service;
use privnet_core::spec::aws::{AwsForm, AwsMade, AwsService};
use privnet_core::{Address, Live, Lowered, Origin, Value};

use crate::kinds::{ENDPOINT_SERVICE, LOAD_BALANCER, security_group, security_group_rule};
use crate::lower::Lowering;
use crate::zones;

/// The address of a service's load balancer, made or supplied.
pub(crate) fn address(service: &str) -> Address {
    Address::new(service, LOAD_BALANCER, "main")
}

pub(crate) fn named(service: &Service, aws: &AwsService) -> Option<Address> {
    matches!(aws.form, AwsForm::Made(_)).then(|| address(service.name.as_str()))
}

pub(crate) fn lower(lowering: &Lowering<'_>, lowered: &mut Lowered) {
    zones::check(lowering, lowered);
    let address = address(lowering.name());
    let resource = match &lowering.aws.form {
        AwsForm::Made(made) => {
            check_subnets(lowering, made, &address, lowered);
            check_removal(lowering, made, &address, lowered);
            // Enforcement must not come before what it lets in: until then nobody could connect.
            let inbound = security_group_rule::inbound_to_balancer(lowered);
            lowering.resource(address, Origin::Owned, wanted(lowering, made), inbound)
        }
        AwsForm::OnLoadBalancer(on) => {
            check_supplied(lowering, &on.load_balancer.to_string(), &address, lowered);
            lowering.resource(address, Origin::Supplied, BTreeMap::new(), BTreeSet::new())
        }
        AwsForm::EndpointService(_) | AwsForm::Removed => return,
    };
    lowered.resources.push(resource);
}

fn wanted(lowering: &Lowering<'_>, made: &AwsMade) -> BTreeMap<String, Value> {
    let group = Value::output(&security_group::address(lowering.name()), "id");
    let settings = &made.load_balancer;
    let mut fields = BTreeMap::from([
        ("vpc".to_owned(), Value::text(made.vpc.as_str())),
        ("subnets".to_owned(), Value::texts(made.subnets.iter().map(|id| id.as_str()))),
        ("security_groups".to_owned(), Value::list([group])),
        ("ip_address_type".to_owned(), Value::text(settings.ip_address_type.as_str())),
        ("cross_zone".to_owned(), Value::Bool(settings.cross_zone)),
        ("deletion_protection".to_owned(), Value::Bool(settings.deletion_protection)),
        ("tags".to_owned(), lowering.tags()),
    ]);
    if !hides_enforcement(lowering, made) {
        fields.insert("enforce_inbound".to_owned(), Value::Bool(settings.enforce_inbound.is_some()));
    }
    fields
}

/// Whether the load balancer is there and the API does not say what holds for PrivateLink traffic. One in another VPC gives way to a
/// new one, which is told.
fn hides_enforcement(lowering: &Lowering<'_>, made: &AwsMade) -> bool {
    let live = lowering.world.at(&address(lowering.name())).filter(|live| live.is_ours());
    let stays = |live: &&Live| live.fields.get("vpc").and_then(Value::as_text) == Some(made.vpc.as_str());
    live.filter(stays).is_some_and(|live| live.fields.get("enforce_inbound").is_none_or(Value::is_null))
}

/// The subnets must be in the VPC, at most one in each zone.
fn check_subnets(lowering: &Lowering<'_>, made: &AwsMade, address: &Address, lowered: &mut Lowered) {
    if !lowering.facts.network_read {
        return;
    }
    if lowering.facts.vpc_ranges.is_empty() {
        let why = format!("the VPC {} is not there (in {})", made.vpc, lowering.scope);
        lowered.refusals.push(lowering.refusal(address, Rule::Unsuitable, why));
        return;
    }
    let mut zones: BTreeMap<&str, &str> = BTreeMap::new();
    for id in &made.subnets {
        let why = match lowering.facts.subnets.get(id.as_str()) {
            None => Some(format!("the subnet {id} is not in {}", made.vpc)),
            Some(subnet) => zones.insert(&subnet.zone, id.as_str()).map(|other| {
                format!(
                    "{other} and {id} are both in {}: a load balancer takes one subnet of each zone",
                    subnet.zone
                )
            }),
        };
        if let Some(why) = why {
            lowered.refusals.push(lowering.refusal(address, Rule::Unsuitable, why));
        }
    }
}

/// AWS keeps a load balancer under its endpoint service, and its subnets, while endpoints are attached, and one that waits for a
/// decision is. The word cannot help: who is attached must be turned away first. In another VPC a live consumer is the guard's matter:
/// the endpoint service goes over to the new load balancer, which cuts with the word.
fn check_removal(lowering: &Lowering<'_>, made: &AwsMade, address: &Address, lowered: &mut Lowered) {
    let live = lowering.world.at(address).filter(|live| live.is_ours() && has_endpoints(lowering, live));
    let Some(live) = live else { return };
    let there = live.fields.get("vpc").and_then(Value::as_text).filter(|vpc| *vpc != made.vpc.as_str());
    let subnets = live.fields.get("subnets").and_then(Value::as_list).unwrap_or_default();
    let gone = subnets.iter().filter_map(Value::as_text);
    let gone = gone.filter(|id| !made.subnets.iter().any(|kept| kept.as_str() == *id));
    let gone: Vec<&str> = there.map_or_else(|| gone.collect(), |vpc| vec![vpc]);
    let seen = lowering.world.services.get(lowering.name());
    let known = seen.map(|seen| seen.connections.known()).unwrap_or_default();
    let of = |state: fn(ConnectionState) -> bool| -> Vec<&str> {
        let them = known.iter().filter(|connection| state(connection.state));
        them.map(|connection| connection.id.as_str()).collect()
    };
    let waiting = of(|state| state == ConnectionState::Pending);
    let connected = of(ConnectionState::may_be_live);
    if gone.is_empty() || (waiting.is_empty() && (connected.is_empty() || there.is_some())) {
        return;
    }
    let mut attached = Vec::new();
    if !waiting.is_empty() {
        attached.push(format!(
            "these wait for a decision: {}; reject them first (`privnet reject --connection ID`)",
            waiting.join(", ")
        ));
    }
    if !connected.is_empty() {
        let cut = match there {
            Some(_) => "is live, and cutting it takes --sever-connections besides",
            None => {
                "is live: cut it first, where that is meant (`privnet reject --sever-connections --connection ID`)"
            }
        };
        attached.push(format!("{} {cut}", connected.join(", ")));
    }
    let why = format!(
        "{} cannot be taken away while endpoints are attached, and {}",
        gone.join(", "),
        attached.join("; ")
    );
    lowered.refusals.push(lowering.refusal(address, Rule::WouldSever, why));
}

/// Whether endpoints reach this load balancer. After a run that stopped midway its successor may have them already.
fn has_endpoints(lowering: &Lowering<'_>, balancer: &Live) -> bool {
    let own = lowering.world.live.of(lowering.name());
    let mut services = own.iter().filter(|live| live.address.kind == ENDPOINT_SERVICE);
    let lists = |service: &Live| {
        let all = service.fields.get("load_balancers").and_then(Value::as_list).unwrap_or_default();
        all.iter().filter_map(Value::as_text).any(|arn| arn == balancer.id)
    };
    services.any(lists)
}

fn check_supplied(lowering: &Lowering<'_>, arn: &str, address: &Address, lowered: &mut Lowered) {
    if !lowering.facts.network_read {
        return;
    }
    let Some(supplied) = &lowering.facts.supplied else {
        let why = format!("the load balancer {arn} is not there (in {})", lowering.scope);
        lowered.refusals.push(lowering.refusal(address, Rule::Unsuitable, why));
        return;
    };
    if supplied.scheme != "internal" {
        let why = format!(
            "{}: {arn} is {}: its targets can also be reached without PrivateLink",
            lowering.name(),
            supplied.scheme
        );
        lowered.warnings.push(why);
    }
    let AwsForm::OnLoadBalancer(on) = &lowering.aws.form else { return };
    if let Some(vpc) = on.vpc.as_ref().filter(|vpc| !on.ports.is_empty() && vpc.as_str() != supplied.vpc) {
        let why = format!(
            "the load balancer {arn} is in {}, and `vpc` is {vpc}: a listener sends to target groups of its own VPC only",
            supplied.vpc
        );
        lowered.refusals.push(lowering.refusal(address, Rule::Unsuitable, why));
    }
    if on.ports.is_empty() && supplied.foreign_ports.is_empty() {
        let why = format!("{}: {arn} has no listener yet, and the file gives no `ports:`", lowering.name());
        lowered.warnings.push(why);
    }
}
