//! What a plan says of who is let in, or is in already, whatever the cloud.

use crate::spec::{Acceptance, Service};
use crate::world::{Connections, ServiceIntent};

/// What a user should know of a service's consumers before anything is done.
pub(crate) fn warnings(service: &Service, intent: &ServiceIntent, connections: &Connections) -> Vec<String> {
    // On what is hosted or the user's own the others are colleagues.
    if intent.remove || intent.policy.shared {
        return Vec::new();
    }
    automatic(service).into_iter().chain(no_longer_allowed(service, intent, connections)).collect()
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

/// Whoever is taken out of `allow` keeps the connection that he has.
fn no_longer_allowed<'a>(
    service: &'a Service,
    intent: &'a ServiceIntent,
    connections: &'a Connections,
) -> impl Iterator<Item = String> + 'a {
    let live = connections.known().iter().filter(|connection| connection.state.may_be_live());
    let strangers =
        live.filter(|connection| !service.allow_anyone && intent.policy.consumer_of(connection).is_none());
    strangers.map(|connection| {
        format!(
            "{}: {id} ({}) is connected, and is not known to be one of `allow`: it stays in, unless this plan cuts it, until \
             `privnet reject --connection {id} --sever-connections` does",
            service.name,
            connection.who(),
            id = connection.id
        )
    })
}
