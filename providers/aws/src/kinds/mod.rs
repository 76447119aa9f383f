//! The kinds: one file each, with the same sections in the same order; a large one has a folder with a file for each section. Here is only the table and who does what.

pub(crate) mod allowed_principals;
pub(crate) mod connection_notification;
pub(crate) mod endpoint_service;
pub(crate) mod forwarder_group;
pub(crate) mod launch_template;
pub(crate) mod listener;
pub(crate) mod load_balancer;
pub(crate) mod security_group;
pub(crate) mod security_group_rule;
pub(crate) mod target_group;

use std::collections::BTreeMap;

use privnet_core::plan::Op;
use privnet_core::spec::Service;
use privnet_core::spec::aws::AwsService;
use privnet_core::{Address, Applied, Error, ErrorKind, Generation, Kind, Live, Lowered, Step, Value};

use crate::cloud::Cloud;
use crate::connections;
use crate::lower::Lowering;
use crate::observe::Snapshot;
use crate::ownership::{self, TagMap};

pub(crate) const SECURITY_GROUP: &str = "security-group";
pub(crate) const SECURITY_GROUP_RULE: &str = "security-group-rule";
pub(crate) const LOAD_BALANCER: &str = "load-balancer";
pub(crate) const TARGET_GROUP: &str = "target-group";
pub(crate) const LAUNCH_TEMPLATE: &str = "launch-template";
pub(crate) const FORWARDER_GROUP: &str = "forwarder-group";
pub(crate) const LISTENER: &str = "listener";
pub(crate) const ENDPOINT_SERVICE: &str = "endpoint-service";
pub(crate) const ALLOWED_PRINCIPALS: &str = "allowed-principals";
pub(crate) const CONNECTION_NOTIFICATION: &str = "connection-notification";

/// The kinds of this provider.
pub(crate) const KINDS: &[Kind] = &[
    security_group::KIND,
    security_group_rule::KIND,
    load_balancer::KIND,
    target_group::KIND,
    launch_template::KIND,
    forwarder_group::KIND,
    listener::KIND,
    endpoint_service::KIND,
    allowed_principals::KIND,
    connection_notification::KIND,
];

/// The addresses of a service's resources that have a name of their own in the cloud.
pub(crate) fn named(service: &Service, aws: &AwsService) -> Vec<Address> {
    let mut addresses: Vec<Address> = security_group::named(service, aws);
    addresses.extend(load_balancer::named(service, aws));
    addresses.extend(target_group::named(service, aws));
    addresses.extend(launch_template::named(service, aws));
    addresses.extend(forwarder_group::named(service, aws));
    addresses
}

/// Everything that a service wants.
pub(crate) fn lower(lowering: &Lowering<'_>, lowered: &mut Lowered) {
    security_group::lower(lowering, lowered);
    security_group_rule::lower(lowering, lowered);
    load_balancer::lower(lowering, lowered);
    target_group::lower(lowering, lowered);
    launch_template::lower(lowering, lowered);
    forwarder_group::lower(lowering, lowered);
    listener::lower(lowering, lowered);
    endpoint_service::lower(lowering, lowered);
    allowed_principals::lower(lowering, lowered);
    connection_notification::lower(lowering, lowered);
}

/// Everything that is there.
pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let mut live = security_group::live(snapshot);
    live.extend(security_group_rule::live(snapshot));
    live.extend(load_balancer::live(snapshot));
    live.extend(target_group::live(snapshot));
    live.extend(launch_template::live(snapshot));
    live.extend(forwarder_group::live(snapshot));
    live.extend(listener::live(snapshot));
    live.extend(endpoint_service::live(snapshot));
    live.extend(allowed_principals::live(snapshot));
    live.extend(connection_notification::live(snapshot));
    live
}

/// The name that a resource is made under, and all its tags.
pub(crate) fn created_as(step: &Step<'_>, user_tags: &TagMap) -> (String, TagMap) {
    let generation = step.action.generation.unwrap_or(Generation::A);
    let address = &step.action.address;
    let name = ownership::cloud_name(step.deployment, address, generation);
    (name, ownership::all_tags(step.deployment, address, generation, user_tags))
}

/// The id of what an update or delete is about.
pub(crate) fn live_id(step: &Step<'_>) -> Result<String, Error> {
    step.action.live_id.clone().ok_or_else(|| {
        let address = step.action.address.to_string();
        Error::new(
            ErrorKind::Other,
            step.action.op.as_str(),
            address,
            "the plan does not say which one is meant",
        )
    })
}

/// What others may refer to.
pub(crate) fn outputs<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, Value> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), Value::text(value))).collect()
}

/// Carries out one action.
pub(crate) async fn apply(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let kind = step.action.address.kind.as_str();
    match (kind, step.action.op) {
        (SECURITY_GROUP, Op::Create) => security_group::create(cloud, step).await,
        (SECURITY_GROUP, Op::Update) => security_group::update(cloud, step).await,
        (SECURITY_GROUP, Op::Delete) => security_group::delete(cloud, step).await,
        (SECURITY_GROUP_RULE, Op::Create) => security_group_rule::create(cloud, step).await,
        (SECURITY_GROUP_RULE, Op::Update) => security_group_rule::update(cloud, step).await,
        (SECURITY_GROUP_RULE, Op::Delete) => security_group_rule::delete(cloud, step).await,
        (LOAD_BALANCER, Op::Create) => load_balancer::create(cloud, step).await,
        (LOAD_BALANCER, Op::Update) => load_balancer::update(cloud, step).await,
        (LOAD_BALANCER, Op::Delete) => load_balancer::delete(cloud, step).await,
        (TARGET_GROUP, Op::Create) => target_group::create(cloud, step).await,
        (TARGET_GROUP, Op::Update) => target_group::update(cloud, step).await,
        (TARGET_GROUP, Op::Delete) => target_group::delete(cloud, step).await,
        (LAUNCH_TEMPLATE, Op::Create) => launch_template::create(cloud, step).await,
        (LAUNCH_TEMPLATE, Op::Update) => launch_template::update(cloud, step).await,
        (LAUNCH_TEMPLATE, Op::Delete) => launch_template::delete(cloud, step).await,
        (FORWARDER_GROUP, Op::Create) => forwarder_group::create(cloud, step).await,
        (FORWARDER_GROUP, Op::Update) => forwarder_group::update(cloud, step).await,
        (FORWARDER_GROUP, Op::Delete) => forwarder_group::delete(cloud, step).await,
        (LISTENER, Op::Create) => listener::create(cloud, step).await,
        (LISTENER, Op::Update) => listener::update(cloud, step).await,
        (LISTENER, Op::Delete) => listener::delete(cloud, step).await,
        (ENDPOINT_SERVICE, Op::Create) => endpoint_service::create(cloud, step).await,
        (ENDPOINT_SERVICE, Op::Update) => endpoint_service::update(cloud, step).await,
        (ENDPOINT_SERVICE, Op::Delete) => endpoint_service::delete(cloud, step).await,
        (ENDPOINT_SERVICE, Op::Accept) => connections::accept(cloud, step).await,
        (ENDPOINT_SERVICE, Op::Reject) => connections::reject(cloud, step).await,
        (ALLOWED_PRINCIPALS, Op::Create) => allowed_principals::create(cloud, step).await,
        (ALLOWED_PRINCIPALS, Op::Update) => allowed_principals::update(cloud, step).await,
        (ALLOWED_PRINCIPALS, Op::Delete) => allowed_principals::delete(cloud, step).await,
        (CONNECTION_NOTIFICATION, Op::Create) => connection_notification::create(cloud, step).await,
        (CONNECTION_NOTIFICATION, Op::Update) => connection_notification::update(cloud, step).await,
        (CONNECTION_NOTIFICATION, Op::Delete) => connection_notification::delete(cloud, step).await,
        (_, op) => {
            let message = format!("a {kind} has no `{}`", op.as_str());
            Err(Error::new(ErrorKind::Other, op.as_str(), step.action.address.to_string(), message))
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use privnet_core::{Field, Traffic};

    use super::*;

    /// Every field of a kind's type is in its table, and every field of the table in the type.
    pub(crate) fn assert_in_table(kind: &Kind, fields: &BTreeMap<String, Value>) {
        // What is told of traffic is no part of the type: it comes from elsewhere.
        let own = |field: &&Field| !matches!(field.traffic, Traffic::Serves | Traffic::Since);
        let table: Vec<&str> = kind.fields.iter().filter(own).map(|field| field.name).collect();
        for name in fields.keys() {
            assert!(table.contains(&name.as_str()), "{}: `{name}` is not in the table", kind.name);
        }
        for name in table {
            assert!(fields.contains_key(name), "{}: `{name}` is not in the type", kind.name);
        }
    }

    #[test]
    fn kinds_have_different_names_and_ranks_put_children_first() {
        let names: std::collections::BTreeSet<_> = KINDS.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), KINDS.len());
        let rank = |name| KINDS.iter().find(|kind| kind.name == name).unwrap().teardown_rank;
        assert!(rank(ENDPOINT_SERVICE) < rank(LISTENER));
        assert!(rank(LISTENER) < rank(LOAD_BALANCER));
        assert!(rank(LOAD_BALANCER) < rank(FORWARDER_GROUP) && rank(FORWARDER_GROUP) < rank(TARGET_GROUP));
        assert!(
            rank(FORWARDER_GROUP) < rank(LAUNCH_TEMPLATE) && rank(LAUNCH_TEMPLATE) < rank(SECURITY_GROUP)
        );
        assert!(rank(LOAD_BALANCER) < rank(TARGET_GROUP));
        assert!(rank(TARGET_GROUP) < rank(SECURITY_GROUP_RULE));
        assert!(rank(SECURITY_GROUP_RULE) < rank(SECURITY_GROUP));
    }
}
