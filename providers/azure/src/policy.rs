//! From the file's consumers to a policy on connections, and to the lists of a private link service. Pure.
//!
//! A private endpoint's resource id tells its subscription; it is compared without case, and a connection's name, which the
//! consumer chooses, never counts.

use std::collections::BTreeSet;

use privnet_core::accept::{ConsumerPolicy, Identity, PresetVersion, ServicePolicy};
use privnet_core::spec::azure::AzureForm;
use privnet_core::spec::{Acceptance, Allow, CloudService, Consumer, Service, Spec, Who};

/// The subscription of an endpoint, as an identity.
pub(crate) fn subscription(id: &str) -> Identity {
    Identity::new("subscription", id)
}

/// One endpoint, as an identity.
pub(crate) fn endpoint(id: &str) -> Identity {
    Identity::new("endpoint", id.trim_end_matches('/'))
}

/// Who may connect to a service.
pub(crate) fn of(spec: &Spec, service: &Service) -> ServicePolicy {
    let consumers =
        service.allow.iter().map(|(name, allow)| consumer(name.as_str(), spec.consumers.get(name), allow));
    ServicePolicy {
        service: service.name.to_string(),
        consumers: consumers.collect(),
        shared: is_shared(service),
    }
}

/// Whether other people's requests arrive at the service too.
fn is_shared(service: &Service) -> bool {
    let CloudService::Azure(azure) = &service.cloud else { return false };
    matches!(azure.form, AzureForm::Hosted(_) | AzureForm::PrivateLinkService(_))
}

/// One consumer. One that cannot be named on Azure has no identity: nothing matches it. The same holds for `*`, which lets
/// anybody ask and nobody in.
fn consumer(name: &str, defined: Option<&Consumer>, allow: &Allow) -> ConsumerPolicy {
    let azure = defined.and_then(|consumer| consumer.azure.as_ref());
    let mut identities = BTreeSet::new();
    if let Some(azure) = azure {
        identities.extend(azure.subscriptions.iter().filter_map(|who| match who {
            Who::Anyone => None,
            Who::Is(id) => Some(subscription(id.as_str())),
        }));
        identities.extend(azure.endpoints.iter().map(|id| endpoint(&id.key())));
    }
    let preset = defined.and_then(|consumer| consumer.preset.as_ref());
    ConsumerPolicy {
        name: name.to_owned(),
        identities,
        max_connections: allow.max_connections.get(),
        only: allow.only.clone(),
        preset: preset
            .map(|preset| PresetVersion { name: preset.name.clone(), version: preset.version.clone() }),
    }
}

/// The lists of a private link service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lists {
    /// Who may ask.
    pub(crate) visibility: BTreeSet<String>,
    /// Who is let in by the cloud.
    pub(crate) auto_approval: BTreeSet<String>,
}

/// The lists that a service's consumers and acceptance come to.
pub(crate) fn lists(spec: &Spec, service: &Service) -> Lists {
    let consumers = service.allow.keys().filter_map(|name| spec.consumers.get(name)?.azure.as_ref());
    let all: BTreeSet<String> = consumers.clone().flat_map(|azure| azure.visible_to()).collect();
    // The decoder refuses it too; a wildcard is worth a second lock.
    let visibility: BTreeSet<String> =
        all.into_iter().filter(|id| id != "*" || service.allow_anyone).collect();
    let auto_approval = match service.acceptance {
        Acceptance::Manual => BTreeSet::new(),
        // Whole subscriptions: of one that is named by an endpoint of it, only that endpoint is meant.
        Acceptance::Automatic => consumers
            .flat_map(|azure| &azure.subscriptions)
            .filter_map(|who| match who {
                Who::Anyone => None,
                Who::Is(id) => Some(id.to_string()),
            })
            .collect(),
    };
    Lists { visibility, auto_approval }
}

/// The consumers of a service that Azure has no name for, with what to ask for.
pub(crate) fn nameless(spec: &Spec, service: &Service) -> Vec<String> {
    let named = |name| spec.consumers.get(name).and_then(|consumer| consumer.azure.as_ref());
    let nameless = service.allow.keys().filter(|name| {
        named(*name).is_none_or(|azure| azure.subscriptions.is_empty() && azure.endpoints.is_empty())
    });
    nameless
        .map(|name| {
            format!(
                "no Azure subscription of `{name}` is known: ask the vendor for the subscription id of its private endpoints \
                 (or the endpoint's resource id), and set it as `consumers.{name}.azure.subscriptions`"
            )
        })
        .collect()
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests {
    use privnet_core::accept::{Again, Ask, Besides, Company, Connection, ConnectionState, Verdict, decide};
    use privnet_core::spec::AzureConsumer;

    use super::*;
    use crate::testing::{consumer_of, hosted_spec};

    const SUB: &str = "11111111-2222-3333-4444-555555555555";

    fn asks(id: &str) -> Connection {
        let subscription_id = id.split('/').nth(2).unwrap_or_default();
        Connection {
            id: id.to_owned(),
            handle: "h".to_owned(),
            identities: BTreeSet::from([subscription(subscription_id), endpoint(id)]),
            state: ConnectionState::Pending,
            cloud_state: "Pending".to_owned(),
            since: None,
            note: None,
            cut_along: Vec::new(),
            company: Company::default(),
            again: Again::Nothing,
            besides: Besides::default(),
            may_be_for: Vec::new(),
            resource: None,
        }
    }

    #[test]
    fn a_consumer_is_matched_by_subscription_without_case() {
        let spec = hosted_spec(&[("acme", consumer_of(&[SUB]))]);
        let policy = of(&spec, &spec.services[0]);
        assert!(policy.shared);
        let id = format!(
            "/Subscriptions/{}/resourceGroups/v/providers/Microsoft.Network/privateEndpoints/e",
            SUB.to_uppercase()
        );
        let decisions = decide(&policy, &[asks(&id)], &Ask::default());
        assert_eq!(decisions[0].verdict, Verdict::Accepted);
        let other = "/subscriptions/99999999-2222-3333-4444-555555555555/resourceGroups/v/providers/Microsoft.Network/privateEndpoints/e";
        assert_eq!(decide(&policy, &[asks(other)], &Ask::default())[0].verdict, Verdict::Left);
    }

    #[test]
    fn a_named_endpoint_lets_in_that_endpoint_and_shows_the_service_to_its_subscription() {
        let id = format!(
            "/subscriptions/{SUB}/resourceGroups/v/providers/Microsoft.Network/privateEndpoints/mine"
        );
        let mut consumer = consumer_of(&[]);
        consumer.azure = Some(AzureConsumer {
            endpoints: BTreeSet::from([id.parse().unwrap()]),
            ..AzureConsumer::default()
        });
        let spec = hosted_spec(&[("acme", consumer)]);
        let policy = of(&spec, &spec.services[0]);
        assert_eq!(
            decide(&policy, &[asks(&id.to_uppercase())], &Ask::default())[0].verdict,
            Verdict::Accepted
        );
        let neighbour = id.replace("mine", "theirs");
        assert_eq!(decide(&policy, &[asks(&neighbour)], &Ask::default())[0].verdict, Verdict::Left);
        assert_eq!(lists(&spec, &spec.services[0]).visibility, BTreeSet::from([SUB.to_owned()]));
        assert!(nameless(&spec, &spec.services[0]).is_empty());
    }

    #[test]
    fn automatic_acceptance_lists_the_consumers_and_never_anyone() {
        let mut spec = hosted_spec(&[("acme", consumer_of(&[SUB])), ("all", consumer_of(&["*"]))]);
        let manual = lists(&spec, &spec.services[0]);
        assert_eq!((manual.visibility.len(), manual.auto_approval.len()), (1, 0));
        spec.services[0].acceptance = Acceptance::Automatic;
        spec.services[0].allow_anyone = true;
        let automatic = lists(&spec, &spec.services[0]);
        assert_eq!(automatic.visibility, BTreeSet::from(["*".to_owned(), SUB.to_owned()]));
        assert_eq!(automatic.auto_approval, BTreeSet::from([SUB.to_owned()]));
    }

    #[test]
    fn a_consumer_that_azure_has_no_name_for_is_an_error_that_says_what_to_ask() {
        let spec = hosted_spec(&[("fivetran", consumer_of(&[]))]);
        assert!(nameless(&spec, &spec.services[0])[0].contains("ask the vendor"));
    }
}
