//! From the file's consumers to a policy on connections, and to the principals of an endpoint service. Pure.
//!
//! AWS tells the owner *account* of an endpoint, never the principal that asked
//! (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_VpcEndpointConnection.html>): whatever a principal names, on
//! connections it stands for its account.

use std::collections::BTreeSet;

use ipnet::IpNet;
use privnet_core::accept::{ConsumerPolicy, Identity, PresetVersion, ServicePolicy};
use privnet_core::spec::aws::{AwsForm, AwsLocation};
use privnet_core::spec::{Allow, CloudService, Consumer, Service, Spec};

/// The sort of identity that AWS knows.
const ACCOUNT: &str = "account";

/// An account as an identity.
pub(crate) fn account(id: &str) -> Identity {
    Identity::new(ACCOUNT, id)
}

/// Who may connect to a service.
pub(crate) fn of(spec: &Spec, service: &Service) -> ServicePolicy {
    let consumers =
        service.allow.iter().map(|(name, allow)| consumer(name.as_str(), spec.consumers.get(name), allow));
    let shared =
        matches!(&service.cloud, CloudService::Aws(aws) if matches!(aws.form, AwsForm::EndpointService(_)));
    ServicePolicy { service: service.name.to_string(), consumers: consumers.collect(), shared }
}

/// One consumer. One that cannot be named on AWS has no identity: nothing matches it. The same holds for `*`, which lets
/// anybody ask and nobody in.
fn consumer(name: &str, defined: Option<&Consumer>, allow: &Allow) -> ConsumerPolicy {
    let aws = defined.and_then(|consumer| consumer.aws.as_ref());
    let accounts = aws.map(|aws| aws.accounts()).unwrap_or_default();
    let preset = defined.and_then(|consumer| consumer.preset.as_ref());
    ConsumerPolicy {
        name: name.to_owned(),
        identities: accounts.iter().map(|id| account(id.as_str())).collect(),
        max_connections: allow.max_connections.get(),
        only: allow.only.clone(),
        preset: preset
            .map(|preset| PresetVersion { name: preset.name.clone(), version: preset.version.clone() }),
    }
}

/// The principals that a service in this place allows to ask for a connection: those of presets in the place's partition
/// and region.
pub(crate) fn principals(spec: &Spec, service: &Service, location: &AwsLocation) -> BTreeSet<String> {
    let consumers = service.allow.keys().filter_map(|name| spec.consumers.get(name)?.aws.as_ref());
    let all = consumers.flat_map(|aws| aws.principals_for(location.partition(), &location.region));
    // The decoder refuses it too; a wildcard is worth a second lock.
    all.filter(|principal| principal != "*" || service.allow_anyone).collect()
}

/// What to say of consumers whose traffic comes from where `enforced` lets nobody in.
pub(crate) fn kept_out(spec: &Spec, service: &Service, enforced: &BTreeSet<IpNet>) -> Vec<String> {
    let allowed = IpNet::aggregate(&enforced.iter().copied().collect());
    let ranges =
        service.allow.keys().filter_map(|name| Some((name, &spec.consumers.get(name)?.aws.as_ref()?.cidrs)));
    let outside = ranges.filter_map(|(name, ranges)| {
        let kept_out = ranges.iter().filter(|range| !allowed.iter().any(|allowed| allowed.contains(*range)));
        let kept_out: Vec<String> = kept_out.map(ToString::to_string).collect();
        (!kept_out.is_empty()).then_some((name, kept_out.join(", ")))
    });
    let said = outside.map(|(name, ranges)| {
        format!(
            "{}: {name} may come from {ranges}, and `enforce_inbound` does not let all of that in: its connections may be accepted and \
             still get no answer; add its ranges, or take `enforce_inbound` out",
            service.name
        )
    });
    said.collect()
}

/// The consumers of a service that AWS has no name for.
pub(crate) fn nameless(spec: &Spec, service: &Service) -> Vec<String> {
    let named = |name| spec.consumers.get(name).and_then(|consumer| consumer.aws.as_ref());
    let nameless =
        service.allow.keys().filter(|name| named(*name).is_none_or(|aws| aws.principals.is_empty()));
    nameless.map(ToString::to_string).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroU32;

    use privnet_core::accept::{Again, Ask, Besides, Company, Connection, ConnectionState, Verdict, decide};
    use privnet_core::spec::aws::AwsService;
    use privnet_core::spec::{Acceptance, AwsConsumer, ConsumerName, Place, PresetRef, Who};

    use super::*;

    /// A consumer of these principals.
    pub(crate) fn defined(principals: &[&str], preset: Option<&str>) -> Consumer {
        let who = |text: &&str| {
            if *text == "*" { Who::Anyone } else { Who::Is(text.parse().expect("a principal")) }
        };
        let preset = preset.map(|name| PresetRef { name: name.to_owned(), version: "2026-11-01".to_owned() });
        let aws = AwsConsumer { principals: principals.iter().map(who).collect(), cidrs: BTreeSet::new() };
        Consumer { preset, aws: Some(aws), azure: None, gcp: None, place: None }
    }

    /// A file of one service with this form, which allows these consumers.
    pub(crate) fn spec(form: AwsForm, region: &str, consumers: &[(&str, Consumer)]) -> Spec {
        let name = |text: &str| text.parse::<ConsumerName>().expect("a name");
        let allow = || Allow { max_connections: NonZeroU32::MIN, only: BTreeSet::new() };
        let location = AwsLocation {
            account: Some("123456789012".parse().expect("an account")),
            region: region.parse().expect("a region"),
            profile: None,
            assume_role: None,
        };
        let service = Service {
            name: "orders".parse().expect("a name"),
            allow: consumers.iter().map(|(consumer, _)| (name(consumer), allow())).collect(),
            acceptance: Acceptance::Manual,
            allow_anyone: false,
            remove: false,
            cloud: CloudService::Aws(AwsService { location, form }),
            place: Place { line: 1, column: 1 },
        };
        Spec {
            version: 1,
            deployment: "data".parse().expect("a name"),
            tags: BTreeMap::new(),
            consumers: consumers.iter().map(|(text, consumer)| (name(text), consumer.clone())).collect(),
            services: vec![service],
            defaults: BTreeSet::new(),
            source: "test.yaml".to_owned(),
        }
    }

    fn location(spec: &Spec) -> &AwsLocation {
        match &spec.services[0].cloud {
            CloudService::Aws(aws) => &aws.location,
            _ => unreachable!("the tests' services are on AWS"),
        }
    }

    #[test]
    fn principals_become_accounts_and_presets_keep_their_version() {
        let fivetran = defined(&["arn:{partition}:iam::834469178297:root"], Some("fivetran"));
        let acme =
            defined(&["arn:aws:iam::111122223333:role/reader", "arn:aws:iam::111122223333:user/bob"], None);
        let spec = spec(AwsForm::Removed, "us-east-1", &[("acme", acme), ("fivetran", fivetran)]);
        let policy = of(&spec, &spec.services[0]);
        assert!(!policy.shared);
        assert_eq!(policy.consumers[0].identities, BTreeSet::from([account("111122223333")]));
        assert_eq!(policy.consumers[1].identities, BTreeSet::from([account("834469178297")]));
        assert_eq!(policy.consumers[1].preset.as_ref().unwrap().version, "2026-11-01");
    }

    #[test]
    fn principals_are_those_of_the_partition_and_region() {
        let fivetran = defined(&["arn:{partition}:iam::834469178297:root"], None);
        let lake =
            defined(&["arn:{partition}:iam::565502421330:role/private-connectivity-role-{region}"], None);
        let consumers = [("fivetran", fivetran), ("lake", lake)];
        let gov = spec(AwsForm::Removed, "us-gov-west-1", &consumers);
        assert_eq!(
            principals(&gov, &gov.services[0], location(&gov)).into_iter().collect::<Vec<_>>(),
            [
                "arn:aws-us-gov:iam::565502421330:role/private-connectivity-role-us-gov-west-1",
                "arn:aws-us-gov:iam::834469178297:root"
            ]
        );
    }

    #[test]
    fn anyone_may_ask_only_where_the_service_says_so_and_is_never_let_in() {
        let mut spec = spec(AwsForm::Removed, "us-east-1", &[("all", defined(&["*"], None))]);
        assert!(principals(&spec, &spec.services[0], location(&spec)).is_empty());
        spec.services[0].allow_anyone = true;
        assert_eq!(principals(&spec, &spec.services[0], location(&spec)), BTreeSet::from(["*".to_owned()]));
        let asks = Connection {
            id: "vpce-1".to_owned(),
            handle: "vpce-1".to_owned(),
            identities: BTreeSet::from([account("999999999999")]),
            state: ConnectionState::Pending,
            cloud_state: "pendingAcceptance".to_owned(),
            since: None,
            note: None,
            cut_along: Vec::new(),
            company: Company::default(),
            again: Again::Nothing,
            besides: Besides::default(),
            may_be_for: Vec::new(),
            resource: None,
        };
        let decisions = decide(&of(&spec, &spec.services[0]), &[asks], &Ask::default());
        assert_eq!(decisions[0].verdict, Verdict::Left);
    }

    #[test]
    fn a_supplied_service_is_shared_and_unknown_consumers_are_told() {
        let form = AwsForm::EndpointService("vpce-svc-0123456789abcdef0".parse().unwrap());
        let mut nobody = defined(&[], None);
        nobody.aws = None;
        let spec = spec(
            form,
            "us-east-1",
            &[("nobody", nobody), ("acme", defined(&["arn:aws:iam::111122223333:root"], None))],
        );
        assert!(of(&spec, &spec.services[0]).shared);
        assert_eq!(nameless(&spec, &spec.services[0]), ["nobody"]);
    }
}
