//! Changing an endpoint service in place, without cutting who is connected.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_ec2::types::ServiceConfiguration;
use privnet_core::execute::{Poll, Replay, Until};
use privnet_core::{Applied, Error, ErrorKind, Health, Step, Value};

use super::{DEFAULT_TYPE, EndpointService, STARTED, VERIFICATION_TAG, health, outputs};
use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::connections;
use crate::kinds::ENDPOINT_SERVICE;
use crate::network::tags_of;
use crate::ownership::{self, Retag, TagMap};
use crate::privatelink;
use crate::tagging;

const MODIFY: Operation = Operation::ec2("ModifyVpcEndpointServiceConfiguration");
const START: Operation = Operation::ec2("StartVpcEndpointServicePrivateDnsVerification");
const DESCRIBE: &str = "DescribeVpcEndpointServiceConfigurations";

/// How long a service may take until it is available.
const READY_WITHIN: Duration = Duration::from_secs(15 * 60);
/// How long a change may take until answers show it.
const SHOWN_WITHIN: Duration = Duration::from_secs(5 * 60);
/// How long the start of a verification may take to show.
const STARTED_WITHIN: Duration = Duration::from_secs(60);

pub(crate) async fn update(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let id = step.action.live_id.as_deref().unwrap_or_default();
    let service = ready(cloud, id).await?;
    // Only what the plan changes: what else differs by now is another plan's matter.
    let there = EndpointService::of(&service, &cloud.reach.region);
    let mut fields = there.to_fields();
    if !step.changes_field("zones") {
        // Zones come and go with load balancers: those of one that is taken away must not be waited for.
        fields.remove("zones");
    }
    for change in step.changes {
        fields.insert(change.field.to_string(), change.to.clone());
        if change.field == "private_dns_name" && change.to != Value::Null {
            fields.insert("private_dns_verification".to_owned(), Value::text(STARTED));
        }
    }
    let service = settle(cloud, &service, &EndpointService::from_fields(&fields)?).await?;
    Ok(Applied { outputs: outputs(&service), note: None })
}

/// Takes IPv6 from the service's own endpoint service on this load balancer: until then AWS does not let the load balancer turn to IPv4
/// alone. The endpoint service's own step follows, and finds it done.
pub(crate) async fn leave_ipv6(cloud: &Cloud<'_>, step: &Step<'_>, balancer: &str) -> Result<(), Error> {
    let of = &step.action.address.service;
    for service in privatelink::services(cloud).await? {
        let there = EndpointService::of(&service, &cloud.reach.region);
        let proof = ownership::proof(&tags_of(service.tags()), step.deployment);
        let is_ours =
            proof.is_some_and(|proof| proof.address.kind == ENDPOINT_SERVICE && proof.address.service == *of);
        if is_ours && there.load_balancers.contains(balancer) && there.ip_address_types.contains("ipv6") {
            let ipv4 = BTreeSet::from([DEFAULT_TYPE.to_owned()]);
            settle(cloud, &service, &EndpointService { ip_address_types: ipv4, ..there }).await?;
        }
    }
    Ok(())
}

/// Makes the service what it should be, and returns it once answers show that.
pub(super) async fn settle(
    cloud: &Cloud<'_>,
    service: &ServiceConfiguration,
    wanted: &EndpointService,
) -> Result<ServiceConfiguration, Error> {
    let id = service.service_id().unwrap_or_default();
    let service = if health(service) == Health::Ready { service.clone() } else { ready(cloud, id).await? };
    let there = EndpointService::of(&service, &cloud.reach.region);
    let plan = Modification::between(&there, wanted);
    if plan.is_done(&there) && there.tags == wanted.tags {
        return verify(cloud, service, wanted, false).await;
    }
    let renamed = plan.private_dns_name.is_some();
    if renamed {
        forget_verification(cloud, &service).await?;
    }
    if plan.adds_anything() {
        modify(cloud, id, &plan.without_removal()).await?;
        shown(cloud, id, |now| plan.is_added(now)).await?;
    }
    if !plan.remove_balancers.is_empty() {
        remove_balancers(cloud, id, &plan.remove_balancers).await?;
    }
    if there.tags != wanted.tags {
        tagging::retag_ec2(cloud, id, &ownership::retag(&there.tags, &wanted.tags)).await?;
    }
    let now = shown(cloud, id, |now| plan.is_done(now) && now.tags == wanted.tags).await?;
    verify(cloud, now, wanted, renamed).await
}

/// The requests that lead from one state of a service to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Modification {
    /// New load balancers, and those to be associated again because of zones that they gained.
    add_balancers: BTreeSet<String>,
    remove_balancers: BTreeSet<String>,
    acceptance_required: Option<bool>,
    /// `Some(None)` takes the name away.
    private_dns_name: Option<Option<String>>,
    add_types: BTreeSet<String>,
    remove_types: BTreeSet<String>,
    add_regions: BTreeSet<String>,
    remove_regions: BTreeSet<String>,
    /// The zones that must show.
    zones: BTreeSet<String>,
}

impl Modification {
    fn between(there: &EndpointService, wanted: &EndpointService) -> Self {
        let less =
            |from: &BTreeSet<String>, what: &BTreeSet<String>| from.difference(what).cloned().collect();
        let nothing = BTreeSet::new();
        let zones: BTreeSet<String> = wanted.zones.clone().unwrap_or_default();
        let has_all = there.zones.as_ref().is_none_or(|has| zones.is_subset(has));
        let mut add_balancers: BTreeSet<String> = less(&wanted.load_balancers, &there.load_balancers);
        if !has_all && add_balancers.is_empty() {
            // Adding what is attached associates it again, with the zones that it has now; nobody is cut.
            add_balancers.clone_from(&wanted.load_balancers);
        }
        let (regions, had) = match (&wanted.supported_regions, &there.supported_regions) {
            (Some(wanted), Some(there)) => (wanted, there),
            (Some(wanted), None) => (wanted, &nothing),
            (None, _) => (&nothing, &nothing),
        };
        let same_name = match (&there.private_dns_name, &wanted.private_dns_name) {
            (Some(there), Some(wanted)) => there.eq_ignore_ascii_case(wanted),
            (None, None) => true,
            _ => false,
        };
        Self {
            add_balancers,
            remove_balancers: less(&there.load_balancers, &wanted.load_balancers),
            acceptance_required: (there.acceptance_required != wanted.acceptance_required)
                .then_some(wanted.acceptance_required),
            private_dns_name: (!same_name).then(|| wanted.private_dns_name.clone()),
            add_types: less(&wanted.ip_address_types, &there.ip_address_types),
            remove_types: less(&there.ip_address_types, &wanted.ip_address_types),
            add_regions: less(regions, had),
            remove_regions: less(had, regions),
            zones,
        }
    }

    /// The same but for load balancers that go: those go last, once the new ones serve.
    fn without_removal(&self) -> Self {
        Self { remove_balancers: BTreeSet::new(), ..self.clone() }
    }

    fn adds_anything(&self) -> bool {
        Self { zones: BTreeSet::new(), ..self.without_removal() } != Self::default()
    }

    /// Whether a service shows everything but the removal of load balancers.
    fn is_added(&self, now: &EndpointService) -> bool {
        let has = |set: Option<&BTreeSet<String>>, what: &BTreeSet<String>| {
            what.is_empty() || set.is_some_and(|set| what.is_subset(set))
        };
        let lacks = |set: Option<&BTreeSet<String>>, what: &BTreeSet<String>| {
            set.is_none_or(|set| set.is_disjoint(what))
        };
        self.add_balancers.is_subset(&now.load_balancers)
            && has(now.zones.as_ref(), &self.zones)
            && self.acceptance_required.is_none_or(|required| required == now.acceptance_required)
            && self.private_dns_name.as_ref().is_none_or(|name| {
                name.as_ref().map(|name| name.to_lowercase())
                    == now.private_dns_name.as_ref().map(|n| n.to_lowercase())
            })
            && has(Some(&now.ip_address_types), &self.add_types)
            && lacks(Some(&now.ip_address_types), &self.remove_types)
            && has(now.supported_regions.as_ref(), &self.add_regions)
            && lacks(now.supported_regions.as_ref(), &self.remove_regions)
    }

    fn is_done(&self, now: &EndpointService) -> bool {
        self.is_added(now) && self.remove_balancers.is_disjoint(&now.load_balancers)
    }
}

/// Sends one modification. Sent twice it changes nothing more.
async fn modify(cloud: &Cloud<'_>, id: &str, plan: &Modification) -> Result<(), Error> {
    let list = |set: &BTreeSet<String>| (!set.is_empty()).then(|| set.iter().cloned().collect::<Vec<_>>());
    let (name, no_name) = match &plan.private_dns_name {
        Some(Some(name)) => (Some(name.clone()), None),
        Some(None) => (None, Some(true)),
        None => (None, None),
    };
    cloud
        .call(MODIFY, id, Replay::Safe, || {
            let request = cloud.reach.ec2.modify_vpc_endpoint_service_configuration().service_id(id);
            request
                .set_add_network_load_balancer_arns(list(&plan.add_balancers))
                .set_remove_network_load_balancer_arns(list(&plan.remove_balancers))
                .set_acceptance_required(plan.acceptance_required)
                .set_private_dns_name(name.clone())
                .set_remove_private_dns_name(no_name)
                .set_add_supported_ip_address_types(list(&plan.add_types))
                .set_remove_supported_ip_address_types(list(&plan.remove_types))
                .set_add_supported_regions(list(&plan.add_regions))
                .set_remove_supported_regions(list(&plan.remove_regions))
                .send()
        })
        .await?;
    Ok(())
}

/// Takes load balancers away, which AWS may refuse while endpoints are attached: then it is reported, and nobody is cut.
async fn remove_balancers(cloud: &Cloud<'_>, id: &str, gone: &BTreeSet<String>) -> Result<(), Error> {
    let plan = Modification { remove_balancers: gone.clone(), ..Modification::default() };
    match modify(cloud, id, &plan).await {
        Err(error) if error.code() == Some("ExistingVpcEndpointConnections") => {
            Err(held(cloud, id, MODIFY, "the old load balancer stays beside the new one", error).await)
        }
        other => other,
    }
}

/// An error that says which connections stand in the way.
pub(super) async fn held(
    cloud: &Cloud<'_>,
    id: &str,
    operation: Operation,
    what: &str,
    cause: Error,
) -> Error {
    let attached = match privatelink::connections(cloud, Some(id)).await {
        Ok(by_service) => {
            let seen = by_service
                .values()
                .flatten()
                .filter_map(|found| connections::seen(found, &cloud.reach.region));
            let words = seen
                .filter(|c| c.state.may_be_live())
                .map(|c| format!("{} ({}, {})", c.id, c.who(), c.cloud_state));
            words.collect::<Vec<_>>().join(", ")
        }
        Err(error) => format!("connections that cannot be read: {error}"),
    };
    let attached =
        if attached.is_empty() { "connections that are not gone yet".to_owned() } else { attached };
    Error::new(ErrorKind::InUse, operation.name, id, format!("{what}, because of {attached}"))
        .with_code(cause.code().unwrap_or_default().to_owned())
        .with_request_id(cause.request_id().map(str::to_owned))
        .with_hint(
            "when they may be cut: `privnet reject --connection ID --sever-connections`, then run this again",
        )
        .with_cause(cause)
}

/// The service once it is available.
async fn ready(cloud: &Cloud<'_>, id: &str) -> Result<ServiceConfiguration, Error> {
    let until = Until { operation: DESCRIBE, subject: id, what: "available", limit: READY_WITHIN };
    cloud
        .context
        .until(until, || async move {
            let service = found(cloud, id).await?;
            match health(&service) {
                Health::Ready => Ok(Poll::Ready(service)),
                Health::Busy { state } | Health::Going { state } => Ok(Poll::Pending(state)),
                Health::Broken { state } => {
                    let message = format!("the endpoint service is {state}, and AWS has no way to mend it");
                    let error = Error::new(ErrorKind::Other, DESCRIBE, id, message);
                    Err(error.with_hint("`privnet destroy --service NAME`, then apply: its name changes"))
                }
            }
        })
        .await
}

/// The service once it is as `is_so` wants it, and available.
async fn shown(
    cloud: &Cloud<'_>,
    id: &str,
    is_so: impl Fn(&EndpointService) -> bool + Sync,
) -> Result<ServiceConfiguration, Error> {
    let is_so = &is_so;
    let until = Until { operation: DESCRIBE, subject: id, what: "changed", limit: SHOWN_WITHIN };
    cloud
        .context
        .until(until, || async move {
            let service = found(cloud, id).await?;
            let ready = health(&service) == Health::Ready;
            let so = is_so(&EndpointService::of(&service, &cloud.reach.region));
            Ok(if ready && so {
                Poll::Ready(service)
            } else {
                Poll::Pending("the change does not show yet".to_owned())
            })
        })
        .await
}

async fn found(cloud: &Cloud<'_>, id: &str) -> Result<ServiceConfiguration, Error> {
    let gone = || Error::new(ErrorKind::NotFound, DESCRIBE, id, "the endpoint service is not there any more");
    privatelink::service(cloud, id).await?.ok_or_else(gone)
}

/// A name that goes takes its verification with it: the mark of one that comes back later would be of the time before. The mark goes
/// first, so that a run which ends in between leaves nothing worse than a verification that is started twice.
async fn forget_verification(cloud: &Cloud<'_>, service: &ServiceConfiguration) -> Result<(), Error> {
    if !tags_of(service.tags()).contains_key(VERIFICATION_TAG) {
        return Ok(());
    }
    let id = service.service_id().unwrap_or_default();
    let mark = Retag { set: TagMap::new(), remove: vec![VERIFICATION_TAG.to_owned()] };
    tagging::retag_ec2(cloud, id, &mark).await
}

/// Starts the verification of the private DNS name where it was not, or where it failed, and of a name that was just given, whose tags
/// may still be shown as they were. It ends when somebody has made the record: that is waited for by a person, not by this run.
async fn verify(
    cloud: &Cloud<'_>,
    service: ServiceConfiguration,
    wanted: &EndpointService,
    renamed: bool,
) -> Result<ServiceConfiguration, Error> {
    let Some(name) = &wanted.private_dns_name else { return Ok(service) };
    let started = |now: &EndpointService| now.private_dns_verification.as_deref() == Some(STARTED);
    let asked = wanted.private_dns_verification.as_deref() == Some(STARTED);
    if !asked || (!renamed && started(&EndpointService::of(&service, &cloud.reach.region))) {
        return Ok(service);
    }
    let id = service.service_id().unwrap_or_default();
    cloud
        .call(START, id, Replay::Safe, || {
            cloud.reach.ec2.start_vpc_endpoint_service_private_dns_verification().service_id(id).send()
        })
        .await?;
    let tag = TagMap::from([(VERIFICATION_TAG.to_owned(), name.clone())]);
    tagging::retag_ec2(cloud, id, &Retag { set: tag, remove: Vec::new() }).await?;
    // The tag shows that it was started, and mostly the state does too; but that may say `failed` again before anybody can have
    // made the record.
    let until = Until { operation: DESCRIBE, subject: id, what: "under way", limit: STARTED_WITHIN };
    let is_marked =
        |service: &ServiceConfiguration| tags_of(service.tags()).get(VERIFICATION_TAG) == Some(name);
    let under_way = cloud
        .context
        .until(until, || async move {
            let now = found(cloud, id).await?;
            let so = is_marked(&now) && started(&EndpointService::of(&now, &cloud.reach.region));
            Ok(if so {
                Poll::Ready(now)
            } else {
                Poll::Pending("its verification does not show yet".to_owned())
            })
        })
        .await;
    match under_way {
        Err(error) if error.kind() == ErrorKind::TimedOut => found(cloud, id).await,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::full;
    use super::*;

    fn texts(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn nothing_is_sent_where_nothing_differs() {
        let same = Modification::between(&full(), &full());
        assert!(!same.adds_anything());
        assert!(same.remove_balancers.is_empty() && same.is_done(&full()));
    }

    #[test]
    fn a_new_load_balancer_is_added_before_the_old_one_goes() {
        let wanted = EndpointService { load_balancers: texts(&["arn:b", "arn:c"]), ..full() };
        let plan = Modification::between(&full(), &wanted);
        assert_eq!(plan.without_removal().add_balancers, texts(&["arn:c"]));
        assert!(plan.without_removal().remove_balancers.is_empty());
        assert_eq!(plan.remove_balancers, texts(&["arn:a"]));
        let both = EndpointService { load_balancers: texts(&["arn:a", "arn:b", "arn:c"]), ..full() };
        assert!(plan.is_added(&both) && !plan.is_done(&both) && plan.is_done(&wanted));
    }

    #[test]
    fn zones_that_were_gained_associate_again_and_remove_nothing() {
        let wanted = EndpointService { zones: Some(texts(&["us-east-1a", "us-east-1b"])), ..full() };
        let plan = Modification::between(&full(), &wanted);
        assert_eq!(plan.add_balancers, full().load_balancers);
        assert!(plan.remove_balancers.is_empty());
        assert!(plan.adds_anything() && !plan.is_added(&full()) && plan.is_added(&wanted));
    }

    #[test]
    fn the_other_settings_are_differences_of_sets() {
        let wanted = EndpointService {
            acceptance_required: false,
            ip_address_types: texts(&["ipv4"]),
            private_dns_name: None,
            supported_regions: Some(texts(&["eu-central-1"])),
            ..full()
        };
        let plan = Modification::between(&full(), &wanted);
        assert_eq!(plan.acceptance_required, Some(false));
        assert_eq!(plan.remove_types, texts(&["ipv6"]));
        assert_eq!(plan.private_dns_name, Some(None));
        assert_eq!(
            (plan.add_regions.clone(), plan.remove_regions.clone()),
            (texts(&["eu-central-1"]), texts(&["eu-west-1"]))
        );
        assert!(plan.is_done(&wanted) && !plan.is_done(&full()));
    }

    #[test]
    fn regions_that_are_not_managed_are_left() {
        let wanted = EndpointService { supported_regions: None, ..full() };
        let plan = Modification::between(&full(), &wanted);
        assert!(plan.add_regions.is_empty() && plan.remove_regions.is_empty());
    }
}
