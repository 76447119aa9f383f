//! The consumers of the default world: they ask for connections by themselves, and on demand.
//!
//! A service counts as ready when it has been settled for a while; the consumer's request arrives some seconds after, the
//! stranger's a little later. Each asks once for each service (a service made anew is another one). A private link service that
//! cannot be seen from a subscription gets no request from there, and one with the tag `sandbox-consumers: none` is left alone.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::connections::Request;
use super::default_world::{CONSUMERS, Consumer, LOCATION};
use super::hosted::hosted_kind;
use super::id::ResourceId;
use super::network::{ServiceAccess, alias_of, service_of_alias};
use super::world::{Resource, State, Status, World, later};
use crate::frame::KnownBy;

const SERVICE: &str = "Microsoft.Network/privateLinkServices";

impl World {
    /// The requests that are due: consumer and service.
    fn requests_due(&self, now: Timestamp) -> Vec<(Consumer, ResourceId)> {
        let mut due = Vec::new();
        for service in self.resources.values() {
            let hosted = service.is("Microsoft.Sql/servers");
            if !(hosted || service.is(SERVICE)) || service.state != State::Succeeded {
                continue;
            }
            for consumer in CONSUMERS {
                let quiet = service.tag("sandbox-consumers") == Some("none");
                let seen =
                    hosted || ServiceAccess::of(service, consumer.subscription) != ServiceAccess::Hidden;
                let open = seen && !quiet;
                // A hosted server is as old as the world: its requests wait for the sandbox's first request instead.
                let since = if hosted { self.first_use.unwrap_or(now) } else { service.created };
                let grace = if hosted { consumer.delay } else { consumer.delay + 12 };
                if open && now >= later(since, grace) && !self.requested.contains(&mark(&consumer, service)) {
                    due.push((consumer, service.id.clone()));
                }
            }
        }
        due
    }

    /// Whether [`World::consume`] would change anything; with `held`, nobody asks.
    pub(crate) fn is_wanted(&self, now: Timestamp, held: bool) -> bool {
        self.first_use.is_none() || !(held || self.requests_due(now).is_empty())
    }

    /// Raises the requests that are due, unless they are `held`.
    pub(crate) fn consume(&mut self, now: Timestamp, held: bool) {
        self.first_use.get_or_insert(now);
        if held {
            return;
        }
        for (consumer, service) in self.requests_due(now) {
            let Some(found) = self.resource(&service) else { continue };
            self.requested.insert(mark(&consumer, found));
            // A service that vanished between the two looks, or has become invisible, gets no request.
            let _ = self.ask(&consumer, &service, now);
        }
    }

    /// Makes an endpoint in the consumer's subscription and raises its request.
    fn ask(&mut self, consumer: &Consumer, service: &ResourceId, now: Timestamp) -> Result<Value, String> {
        let found = self.resource(service).ok_or("the service is gone")?;
        let own = found.id.subscription.eq_ignore_ascii_case(consumer.subscription);
        let (status, groups, text) = if found.is(SERVICE) {
            match ServiceAccess::of(found, consumer.subscription) {
                ServiceAccess::Approved => (Status::Approved, Vec::new(), alias_of(found).to_owned()),
                ServiceAccess::Asks => (Status::Pending, Vec::new(), alias_of(found).to_owned()),
                ServiceAccess::Hidden => {
                    return Err(format!(
                        "{} cannot be seen from subscription {}",
                        found.id, consumer.subscription
                    ));
                }
            }
        } else {
            let kind = hosted_kind(&found.id.kind()).ok_or("the service has no private endpoints")?;
            let group = kind.groups.first().map(|group| (*group).to_owned()).unwrap_or_default();
            (if own { Status::Approved } else { Status::Pending }, vec![group], found.id.to_string())
        };
        let endpoint = self.endpoint_for(consumer, service.name(), &groups, &text, now);
        let message = format!("Request of {}", consumer.name);
        let request = Request {
            service: service.clone(),
            endpoint: endpoint.clone(),
            location: LOCATION.to_owned(),
            groups,
            message,
            status,
        };
        let key = self.raise(request, now);
        let name = self.connections.get(&key).map(|c| c.id.to_string()).unwrap_or_default();
        Ok(json!({"service": service.to_string(), "connection": name, "endpoint": endpoint.to_string(),
            "consumer": consumer.subscription, "state": status.text(), "status": status.text()}))
    }

    /// The consumer's endpoint: `pe-SERVICE`, then `pe-SERVICE-2` and so on.
    fn endpoint_for(
        &mut self,
        consumer: &Consumer,
        service: &str,
        groups: &[String],
        target: &str,
        now: Timestamp,
    ) -> ResourceId {
        let kind = "Microsoft.Network/privateEndpoints";
        let named = |number: usize| {
            let name = if number == 1 { format!("pe-{service}") } else { format!("pe-{service}-{number}") };
            ResourceId::top(consumer.subscription, consumer.group, kind, &name)
        };
        let free =
            (1..).map(named).find(|id| !self.resources.contains_key(&id.key())).unwrap_or_else(|| named(1));
        let network = format!("{}-vnet", consumer.name);
        let subnet = ResourceId::top(
            consumer.subscription,
            consumer.group,
            "Microsoft.Network/virtualNetworks",
            &network,
        )
        .child("subnets", "endpoints");
        let body = json!({"location": LOCATION, "properties": {
            "subnet": {"id": subnet.to_string()}, "privateLinkServiceConnections": [], "customNetworkInterfaceName": "",
            "ipConfigurations": [], "customDnsConfigs": [], "networkInterfaces": [],
            "manualPrivateLinkServiceConnections": [{"name": free.name(), "properties": {
                "privateLinkServiceId": target, "groupIds": groups, "requestMessage": format!("Request of {}", consumer.name),
                "privateLinkServiceConnectionState": {"status": "Pending", "description": "", "actionsRequired": "None"}}}]}});
        let resource = Resource::new(free.clone(), body.as_object().cloned().unwrap_or_default(), now);
        self.resources.insert(free.key(), resource);
        free
    }

    /// A further request on demand. `service` is an id, a name, an alias, or the privnet service in a tag.
    pub(crate) fn connect(
        &mut self,
        service: &str,
        consumer: Option<&str>,
        now: Timestamp,
    ) -> Result<Value, String> {
        let (id, _) = self
            .find_service(service)
            .ok_or_else(|| format!("no private link service or hosted service `{service}`"))?;
        let wanted = consumer.unwrap_or("consumer");
        let known = CONSUMERS.into_iter().find(|known| {
            wanted.eq_ignore_ascii_case(known.name) || wanted.eq_ignore_ascii_case(known.subscription)
        });
        let known = known.ok_or_else(|| {
            let names: Vec<String> =
                CONSUMERS.iter().map(|c| format!("{} ({})", c.name, c.subscription)).collect();
            format!("no consumer `{wanted}`; there are {}", names.join(", "))
        })?;
        self.ask(&known, &id, now)
    }

    /// By what a service is known.
    pub(crate) fn knows(&self, service: &str) -> Option<KnownBy> {
        self.find_service(service).map(|(_, by)| by)
    }

    fn find_service(&self, text: &str) -> Option<(ResourceId, KnownBy)> {
        if let Some(id) = ResourceId::parse(text) {
            return self.resource(&id).map(|resource| (resource.id.clone(), KnownBy::Name));
        }
        if let Some(service) = service_of_alias(self, text) {
            return Some((service.id.clone(), KnownBy::Name));
        }
        let services =
            || self.resources.values().filter(|r| r.is(SERVICE) || hosted_kind(&r.id.kind()).is_some());
        let tagged = |resource: &&Resource| {
            ["privnet:service", "privnet-service", "Name"].iter().any(|name| resource.tag(name) == Some(text))
        };
        if let Some(marked) = services().find(tagged) {
            return Some((marked.id.clone(), KnownBy::Mark));
        }
        let named = services().find(|resource| resource.id.name().eq_ignore_ascii_case(text))?;
        Some((named.id.clone(), KnownBy::Name))
    }
}

fn mark(consumer: &Consumer, service: &Resource) -> String {
    format!("{}|{}|{}", consumer.subscription, service.id.key(), service.guid)
}
