//! What a plan says of who is let in, or is in already, whatever the cloud.

use crate::spec::{Acceptance, CloudService, Consumer, Evidence, Preset, Service, Spec, preset};
use crate::world::{Connections, ServiceIntent};

/// What a user should know of a service's consumers before anything is done.
pub(crate) fn warnings(service: &Service, intent: &ServiceIntent, connections: &Connections) -> Vec<String> {
    // On what is hosted or the user's own the others are colleagues.
    if intent.remove || intent.policy.shared {
        return Vec::new();
    }
    let stay = no_longer_allowed(service, intent, connections);
    automatic(service)
        .into_iter()
        .chain(stay)
        .chain(more_than_allowed(service, intent, connections))
        .collect()
}

fn automatic(service: &Service) -> Option<String> {
    (service.acceptance == Acceptance::Automatic).then(|| {
        format!(
            "{}: acceptance is automatic: every endpoint of an allowed consumer is let in at once, and the accounts, subscriptions and \
             projects of vendors are shared by all their customers",
            service.name
        )
    })
}

/// Whoever is taken out of `allow`, or is not in `only`, keeps the connection that he has.
fn no_longer_allowed<'a>(
    service: &'a Service,
    intent: &'a ServiceIntent,
    connections: &'a Connections,
) -> impl Iterator<Item = String> + 'a {
    let live = connections.known().iter().filter(|connection| connection.state.may_be_live());
    live.filter(|connection| !intent.policy.admits(connection)).filter_map(|connection| {
        let why = match intent.policy.consumer_of(connection) {
            Some(consumer) => format!("is none of the endpoints that `only` of {} names", consumer.name),
            None if service.allow_anyone => return None,
            None => "is not known to be one of `allow`".to_owned(),
        };
        Some(format!(
            "{}: {id} ({}) is connected, and {why}: it stays in, unless this plan cuts it, until \
             `privnet reject --connection {id} --sever-connections` does",
            service.name,
            connection.who(),
            id = connection.id
        ))
    })
}

/// A `max_connections` below what is connected cuts nobody: which of them is to go is for a person to say. Those that `only` leaves out
/// are told by themselves.
fn more_than_allowed<'a>(
    service: &'a Service,
    intent: &'a ServiceIntent,
    connections: &'a Connections,
) -> impl Iterator<Item = String> + 'a {
    intent.policy.consumers.iter().filter_map(|consumer| {
        let own = connections.known().iter().filter(|connection| {
            connection.state.may_be_live()
                && intent.policy.admits(connection)
                && intent.policy.consumer_of(connection).is_some_and(|own| own.name == consumer.name)
        });
        let own: Vec<&str> = own.map(|connection| connection.id.as_str()).collect();
        (own.len() > consumer.max_connections as usize).then(|| {
            format!(
                "{}: {} has {} connections where `max_connections` is {}, and each of them stays in, unless this plan cuts it, until \
                 `privnet reject --connection ID --sever-connections` does: ask the vendor which is to go. Connected are {}",
                service.name,
                consumer.name,
                own.len(),
                consumer.max_connections,
                own.join(", ")
            )
        })
    })
}

/// The presets that a service lets in by identities of which only an excerpt was seen, each in words: a file says it once. Identities
/// that the file gives in place of the preset's are the user's own.
pub(crate) fn excerpts<'a>(spec: &'a Spec, service: &'a Service) -> impl Iterator<Item = String> + 'a {
    let consumers = service.allow.keys().filter_map(|name| spec.consumers.get(name));
    let excerpts = consumers.filter(|_| !service.remove).filter_map(|consumer| {
        let preset = preset(&consumer.preset.as_ref()?.name)?;
        let unsure = preset.evidence == Evidence::Excerpt && is_known_by(consumer, preset, &service.cloud);
        unsure.then_some(preset)
    });
    excerpts.map(|preset| {
        format!(
            "the identities of preset {} were seen in an excerpt only, as of {} ({}): confirm them with the vendor",
            preset.name,
            preset.date,
            preset.sources.join(", ")
        )
    })
}

/// Whether a consumer's identities on a cloud are those of its preset.
fn is_known_by(consumer: &Consumer, preset: &Preset, cloud: &CloudService) -> bool {
    match cloud {
        CloudService::Aws(_) => consumer
            .aws
            .as_ref()
            .zip(preset.aws.as_ref())
            .is_some_and(|(consumer, preset)| consumer.principals == preset.principals),
        CloudService::Azure(_) => consumer
            .azure
            .as_ref()
            .zip(preset.azure.as_ref())
            .is_some_and(|(consumer, preset)| consumer.subscriptions == preset.subscriptions),
        CloudService::Gcp(_) => consumer
            .gcp
            .as_ref()
            .zip(preset.gcp.as_ref())
            .is_some_and(|(consumer, preset)| consumer.projects == preset.projects),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::accept::{
        Again, Besides, Company, Connection, ConnectionState, ConsumerPolicy, Identity, ServicePolicy,
    };
    use crate::resource::{Address, Scope};
    use crate::spec::decode;

    fn said(consumers: &str, first: &str, second: &str) -> BTreeSet<String> {
        let service = |name: &str, allow: &str| {
            format!(
                "  - name: {name}\n    allow: {{ {allow} }}\n    aws: {{ account: '123456789012', region: us-east-1, \
                 vpc: vpc-0a1b2c3d4e5f60718, subnets: [subnet-0aaaaaaaaaaaaaaa1], ports: [{{ listen: 5432, to: {{ ips: [10.0.0.25] }} }}] }}\n"
            )
        };
        let file = format!(
            "version: 1\ndeployment: data\n{consumers}services:\n{}{}",
            service("orders", first),
            service("events", second)
        );
        let spec = decode("file.yaml", &file).unwrap();
        spec.services.iter().flat_map(|service| excerpts(&spec, service)).collect()
    }

    fn connected(id: &str, account: &str) -> Connection {
        Connection {
            id: id.to_owned(),
            handle: id.to_owned(),
            identities: BTreeSet::from([Identity::new("account", account)]),
            state: ConnectionState::Accepted,
            cloud_state: "available".to_owned(),
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

    /// Whoever is taken out of `allow`, or out of `only`, keeps his connection: that is said, and how it ends.
    #[test]
    fn who_is_connected_and_may_not_be_any_more_is_told() {
        let file = "version: 1\ndeployment: data\nservices:\n  - name: orders\n    allow: { acme: {} }\n    aws: { account: '123456789012', \
                    region: us-east-1, vpc: vpc-0a1b2c3d4e5f60718, subnets: [subnet-0aaaaaaaaaaaaaaa1], ports: [{ listen: 5432, to: { ips: \
                    [10.0.0.25] } }] }\nconsumers: { acme: { aws: { principals: ['arn:aws:iam::111122223333:root'] } } }\n";
        let spec = decode("file.yaml", file).unwrap();
        let acme = |max_connections: u32, only: &[&str]| ConsumerPolicy {
            name: "acme".to_owned(),
            identities: BTreeSet::from([Identity::new("account", "111122223333")]),
            max_connections,
            only: only.iter().map(|id| (*id).to_owned()).collect(),
            preset: None,
        };
        let said = |max_connections: u32, only: &[&str]| {
            let service = "orders".to_owned();
            let policy =
                ServicePolicy { service, consumers: vec![acme(max_connections, only)], shared: false };
            let intent = ServiceIntent {
                name: "orders".to_owned(),
                cloud: "aws",
                scope: Scope("aws".to_owned()),
                remove: false,
                policy,
                exposed: Address::new("orders", "endpoint-service", "main"),
                listens: BTreeSet::new(),
            };
            let known = Connections::Known(vec![
                connected("vpce-1", "111122223333"),
                connected("vpce-2", "111122223333"),
                connected("vpce-3", "999999999999"),
            ]);
            warnings(&spec.services[0], &intent, &known)
        };
        let any = said(2, &[]);
        assert!(any.len() == 1 && any[0].contains("vpce-3") && any[0].contains("`allow`"), "{any:#?}");
        let one = said(1, &["vpce-2"]);
        assert!(one.len() == 2 && one[1].contains("vpce-3"), "{one:#?}");
        assert!(
            one[0].contains("vpce-1") && one[0].contains("`only`") && one[0].contains("--sever-connections"),
            "{one:#?}"
        );
        let fewer = said(1, &[]);
        assert!(fewer.len() == 2 && fewer[0].contains("vpce-3"), "{fewer:#?}");
        for word in
            ["acme has 2 connections", "`max_connections` is 1", "vpce-1, vpce-2", "--sever-connections"]
        {
            assert!(fewer[1].contains(word), "{word}: {fewer:#?}");
        }
    }

    #[test]
    fn identities_that_only_an_excerpt_showed_are_told_once_for_each_preset() {
        let both = said("", "databricks: {}, fivetran: {}", "databricks: {}, artie: {}");
        let both: Vec<_> = both.iter().map(String::as_str).collect();
        assert_eq!(both.len(), 2, "{both:#?}");
        assert!(both[0].contains("preset artie were seen in an excerpt only"), "{both:#?}");
        assert_eq!(
            both[1],
            "the identities of preset databricks were seen in an excerpt only, as of 2026-11-21 \
             (https://docs.databricks.com/aws/en/security/network/serverless-network-security/pl-to-internal-network): confirm them \
             with the vendor"
        );
        assert!(said("", "fivetran: {}", "fivetran: {}").is_empty());
    }

    #[test]
    fn a_preset_under_another_name_is_told_and_identities_that_the_file_gives_are_not() {
        let named = |aws: &str| {
            said(&format!("consumers: {{ lake: {{ preset: databricks{aws} }} }}\n"), "lake: {}", "lake: {}")
        };
        assert_eq!(named("").len(), 1);
        assert!(named(", aws: { principals: ['arn:aws:iam::111122223333:root'] }").is_empty());
    }
}
