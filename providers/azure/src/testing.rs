//! Files for unit tests.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use privnet_core::spec::azure::{AzureForm, AzureHosted, AzureService};
use privnet_core::spec::{
    Acceptance, Allow, AzureConsumer, CloudService, Consumer, ConsumerName, Place, Service, Spec, Who,
};

/// The subscription of the tests' services.
pub(crate) const SUBSCRIPTION: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";

/// A consumer with these subscriptions.
pub(crate) fn consumer_of(subscriptions: &[&str]) -> Consumer {
    let who = |text: &&str| if *text == "*" { Who::Anyone } else { Who::Is(text.parse().unwrap()) };
    let azure =
        AzureConsumer { subscriptions: subscriptions.iter().map(who).collect(), endpoints: BTreeSet::new() };
    Consumer { preset: None, aws: None, azure: Some(azure), gcp: None, place: None }
}

/// A service of this form.
pub(crate) fn service(name: &str, form: AzureForm, consumers: &[&str]) -> Service {
    let allow = || Allow { max_connections: NonZeroU32::MIN, only: BTreeSet::new() };
    Service {
        name: name.parse().unwrap(),
        allow: consumers.iter().map(|name| (name.parse::<ConsumerName>().unwrap(), allow())).collect(),
        acceptance: Acceptance::Manual,
        allow_anyone: false,
        remove: false,
        cloud: CloudService::Azure(AzureService { subscription: SUBSCRIPTION.parse().unwrap(), form }),
        place: Place { line: 1, column: 1 },
    }
}

/// A file of one service of this form, which allows these consumers.
pub(crate) fn spec(form: AzureForm, consumers: &[(&str, Consumer)]) -> Spec {
    let names: Vec<&str> = consumers.iter().map(|(name, _)| *name).collect();
    Spec {
        version: 1,
        deployment: "data".parse().unwrap(),
        tags: BTreeMap::new(),
        consumers: consumers
            .iter()
            .map(|(name, consumer)| (name.parse().unwrap(), consumer.clone()))
            .collect(),
        services: vec![service("orders", form, &names)],
        defaults: BTreeSet::new(),
        source: "test.yaml".to_owned(),
    }
}

/// A file of one service that Azure hosts.
pub(crate) fn hosted_spec(consumers: &[(&str, Consumer)]) -> Spec {
    let resource_id =
        format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-data/providers/Microsoft.Sql/servers/crm");
    let form = AzureForm::Hosted(AzureHosted {
        resource_id: resource_id.parse().unwrap(),
        subresource: "SQLSERVER".parse().unwrap(),
    });
    spec(form, consumers)
}
