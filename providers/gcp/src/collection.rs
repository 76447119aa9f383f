//! The collections of the API that privnet writes: one place for what the typed clients call alike.

use google_cloud_compute_v1::model;
use google_cloud_gax::error::Error as ClientError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clients::Clients;
use crate::json::{Json, text};
use crate::path;

/// A collection whose resources privnet makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Collection {
    Subnetworks,
    Firewalls,
    HealthChecks,
    NetworkEndpointGroups,
    BackendServices,
    ForwardingRules,
    ServiceAttachments,
    InstanceTemplates,
    GroupManagers,
}

/// One page of a list.
pub(crate) struct Page {
    pub(crate) items: Vec<Json>,
    /// Regions and zones that did not answer.
    pub(crate) unreachable: Vec<String>,
    /// Where the next page begins.
    pub(crate) next: Option<String>,
}

/// The warning of a scoped list in the place of items that were not read: its region or zone did not answer. That there are none is
/// `NO_RESULTS_ON_PAGE` (`ForwardingRulesScopedList.warning` and its siblings,
/// <https://cloud.google.com/compute/docs/reference/rest/v1/forwardingRules/aggregatedList>).
pub(crate) const UNREACHABLE: &str = "UNREACHABLE";

/// One page of an aggregated list. Its scopes are of another type in each collection, and alike.
macro_rules! aggregated {
    ($answer:expr, $items:ident) => {{
        let answer = $answer;
        $crate::collection::is_answer(answer.kind.as_deref())?;
        let (mut items, mut unreachable) = (Vec::new(), answer.unreachables);
        for (scope, scoped) in answer.items {
            let code = scoped.warning.and_then(|warning| warning.code);
            if code.is_some_and(|code| code.name() == Some($crate::collection::UNREACHABLE)) {
                unreachable.push(scope);
            }
            for item in scoped.$items {
                items.push($crate::collection::json(item)?);
            }
        }
        $crate::collection::Page { items, unreachable, next: answer.next_page_token }
    }};
}
pub(crate) use aggregated;

/// What a client returns.
pub(crate) type Sent<T> = Result<T, ClientError>;

impl Collection {
    /// The name in paths.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Subnetworks => "subnetworks",
            Self::Firewalls => "firewalls",
            Self::HealthChecks => "healthChecks",
            Self::NetworkEndpointGroups => "networkEndpointGroups",
            Self::BackendServices => "backendServices",
            Self::ForwardingRules => "forwardingRules",
            Self::ServiceAttachments => "serviceAttachments",
            Self::InstanceTemplates => "instanceTemplates",
            Self::GroupManagers => "instanceGroupManagers",
        }
    }

    /// The name of the method that lists all of a project.
    pub(crate) fn list_method(self) -> String {
        match self {
            Self::Firewalls | Self::InstanceTemplates => format!("{}.list", self.word()),
            _ => format!("{}.aggregatedList", self.word()),
        }
    }

    /// The name of a method, as the discovery document and permissions spell it.
    pub(crate) fn method(self, verb: &str) -> String {
        let word = match self {
            Self::HealthChecks => "regionHealthChecks",
            Self::BackendServices => "regionBackendServices",
            Self::GroupManagers => "regionInstanceGroupManagers",
            other => other.word(),
        };
        format!("{word}.{verb}")
    }
}

/// A resource of a collection: its project, its region or zone (empty for global ones) and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) collection: Collection,
    pub(crate) project: String,
    pub(crate) place: String,
    pub(crate) name: String,
}

impl At {
    /// The resource of this path.
    pub(crate) fn of(collection: Collection, id: &str) -> Self {
        let part = |word| path::after(id, word).unwrap_or_default().to_owned();
        let place =
            if collection == Collection::NetworkEndpointGroups { part("zones") } else { part("regions") };
        Self { collection, project: part("projects"), place, name: path::name(id).to_owned() }
    }

    /// Its path.
    pub(crate) fn path(&self) -> String {
        let word = self.collection.word();
        match self.collection {
            Collection::Firewalls | Collection::InstanceTemplates => {
                path::global(&self.project, word, &self.name)
            }
            Collection::NetworkEndpointGroups => path::zonal(&self.project, &self.place, word, &self.name),
            _ => path::regional(&self.project, &self.place, word, &self.name),
        }
    }
}

pub(crate) fn json<T: Serialize>(model: T) -> Sent<Json> {
    serde_json::to_value(model).map_err(ClientError::deser)
}

/// An answer of the API, whole.
pub(crate) fn whole<T: Serialize>(answer: T) -> Sent<Json> {
    let answer = json(answer)?;
    is_answer(text(&answer, "kind"))?;
    Ok(answer)
}

/// Every answer of Compute Engine says its kind (<https://cloud.google.com/compute/docs/reference/rest/v1/forwardingRules/aggregatedList>).
/// Whatever else is JSON, the client reads as an answer in which everything is missing: that is no empty project.
pub(crate) fn is_answer(kind: Option<&str>) -> Sent<()> {
    match kind {
        Some(kind) if kind.starts_with("compute#") => Ok(()),
        _ => Err(ClientError::deser("it does not say of which kind it is, as Compute Engine's answers do")),
    }
}

pub(crate) fn model<T: DeserializeOwned>(body: &Json) -> Sent<T> {
    serde_json::from_value(body.clone()).map_err(ClientError::ser)
}

/// One page of what a project has of a collection, in all regions and zones.
pub(crate) async fn page(c: &Clients, collection: Collection, project: &str, token: &str) -> Sent<Page> {
    macro_rules! everywhere {
        ($client:ident, $items:ident) => {{
            let list = c.$client.aggregated_list().set_project(project).set_max_results(500_u32);
            let list = if token.is_empty() { list } else { list.set_page_token(token) };
            aggregated!(Box::pin(list.send()).await?, $items)
        }};
    }
    macro_rules! global {
        ($client:ident) => {{
            let list = c.$client.list().set_project(project).set_max_results(500_u32);
            let list = if token.is_empty() { list } else { list.set_page_token(token) };
            let answer = Box::pin(list.send()).await?;
            is_answer(answer.kind.as_deref())?;
            let items = answer.items.into_iter().map(json).collect::<Sent<Vec<_>>>()?;
            Page { items, unreachable: Vec::new(), next: answer.next_page_token }
        }};
    }
    let page = match collection {
        Collection::Subnetworks => everywhere!(subnetworks, subnetworks),
        Collection::HealthChecks => everywhere!(all_health_checks, health_checks),
        Collection::NetworkEndpointGroups => everywhere!(network_endpoint_groups, network_endpoint_groups),
        Collection::BackendServices => everywhere!(all_backend_services, backend_services),
        Collection::ForwardingRules => everywhere!(forwarding_rules, forwarding_rules),
        Collection::ServiceAttachments => everywhere!(service_attachments, service_attachments),
        Collection::GroupManagers => everywhere!(all_group_managers, instance_group_managers),
        Collection::Firewalls => global!(firewalls),
        Collection::InstanceTemplates => global!(instance_templates),
    };
    Ok(page)
}

/// A resource.
pub(crate) async fn get(c: &Clients, at: &At) -> Sent<Json> {
    let (project, place, name) = (at.project.as_str(), at.place.as_str(), at.name.as_str());
    macro_rules! regional {
        ($client:ident, $set:ident) => {
            whole(Box::pin(c.$client.get().set_project(project).set_region(place).$set(name).send()).await?)
        };
    }
    match at.collection {
        Collection::Subnetworks => regional!(subnetworks, set_subnetwork),
        Collection::HealthChecks => regional!(health_checks, set_health_check),
        Collection::BackendServices => regional!(backend_services, set_backend_service),
        Collection::ForwardingRules => regional!(forwarding_rules, set_forwarding_rule),
        Collection::ServiceAttachments => regional!(service_attachments, set_service_attachment),
        Collection::GroupManagers => regional!(group_managers, set_instance_group_manager),
        Collection::InstanceTemplates => {
            let get = c.instance_templates.get().set_project(project).set_instance_template(name);
            whole(Box::pin(get.send()).await?)
        }
        Collection::Firewalls => {
            whole(Box::pin(c.firewalls.get().set_project(project).set_firewall(name).send()).await?)
        }
        Collection::NetworkEndpointGroups => {
            let get = c.network_endpoint_groups.get().set_project(project).set_zone(place);
            whole(Box::pin(get.set_network_endpoint_group(name).send()).await?)
        }
    }
}

/// Makes a resource; the answer is an operation.
pub(crate) async fn insert(c: &Clients, at: &At, id: &str, body: &Json) -> Sent<Json> {
    let (project, place) = (at.project.as_str(), at.place.as_str());
    macro_rules! regional {
        ($client:ident, $model:ident) => {{
            let insert = c.$client.insert().set_project(project).set_region(place).set_request_id(id);
            whole(Box::pin(insert.set_body(model::<model::$model>(body)?).send()).await?)
        }};
    }
    match at.collection {
        Collection::Subnetworks => regional!(subnetworks, Subnetwork),
        Collection::HealthChecks => regional!(health_checks, HealthCheck),
        Collection::BackendServices => regional!(backend_services, BackendService),
        Collection::ForwardingRules => regional!(forwarding_rules, ForwardingRule),
        Collection::ServiceAttachments => regional!(service_attachments, ServiceAttachment),
        Collection::GroupManagers => regional!(group_managers, InstanceGroupManager),
        Collection::InstanceTemplates => {
            let insert = c.instance_templates.insert().set_project(project).set_request_id(id);
            whole(Box::pin(insert.set_body(model::<model::InstanceTemplate>(body)?).send()).await?)
        }
        Collection::Firewalls => {
            let insert = c.firewalls.insert().set_project(project).set_request_id(id);
            whole(Box::pin(insert.set_body(model::<model::Firewall>(body)?).send()).await?)
        }
        Collection::NetworkEndpointGroups => {
            let insert = c.network_endpoint_groups.insert().set_project(project).set_zone(place);
            let insert = insert.set_request_id(id).set_body(model::<model::NetworkEndpointGroup>(body)?);
            whole(Box::pin(insert.send()).await?)
        }
    }
}

/// Deletes a resource; the answer is an operation.
pub(crate) async fn delete(c: &Clients, at: &At, id: &str) -> Sent<Json> {
    let (project, place, name) = (at.project.as_str(), at.place.as_str(), at.name.as_str());
    macro_rules! regional {
        ($client:ident, $set:ident) => {{
            let delete = c.$client.delete().set_project(project).set_region(place).$set(name);
            whole(Box::pin(delete.set_request_id(id).send()).await?)
        }};
    }
    match at.collection {
        Collection::Subnetworks => regional!(subnetworks, set_subnetwork),
        Collection::HealthChecks => regional!(health_checks, set_health_check),
        Collection::BackendServices => regional!(backend_services, set_backend_service),
        Collection::ForwardingRules => regional!(forwarding_rules, set_forwarding_rule),
        Collection::ServiceAttachments => regional!(service_attachments, set_service_attachment),
        Collection::GroupManagers => regional!(group_managers, set_instance_group_manager),
        Collection::InstanceTemplates => {
            let delete = c.instance_templates.delete().set_project(project).set_instance_template(name);
            whole(Box::pin(delete.set_request_id(id).send()).await?)
        }
        Collection::Firewalls => {
            let delete = c.firewalls.delete().set_project(project).set_firewall(name).set_request_id(id);
            whole(Box::pin(delete.send()).await?)
        }
        Collection::NetworkEndpointGroups => {
            let delete = c.network_endpoint_groups.delete().set_project(project).set_zone(place);
            whole(Box::pin(delete.set_network_endpoint_group(name).set_request_id(id).send()).await?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_that_is_not_reached_is_not_an_empty_one() {
        let answer = serde_json::json!({
            "kind": "compute#serviceAttachmentAggregatedList",
            "id": "projects/acme-data/aggregated/serviceAttachments",
            "items": {
                "regions/us-east4": { "serviceAttachments": [{ "name": "orders" }] },
                "regions/us-west1": { "warning": {
                    "code": "NO_RESULTS_ON_PAGE",
                    "message": "There are no results for scope 'regions/us-west1' on this page.",
                    "data": [{ "key": "scope", "value": "regions/us-west1" }],
                } },
                "regions/us-central1": { "warning": {
                    "code": "UNREACHABLE",
                    "message": "The scope 'regions/us-central1' is not reachable.",
                    "data": [{ "key": "scope", "value": "regions/us-central1" }],
                } },
            },
            "unreachables": ["regions/europe-west1"],
        });
        let read = |answer: &Json| -> Sent<Page> {
            let answer = model::<model::ServiceAttachmentAggregatedList>(answer)?;
            Ok(aggregated!(answer, service_attachments))
        };
        let page = read(&answer).expect("a page");
        assert_eq!(page.items.len(), 1);
        assert_eq!(page.unreachable, ["regions/europe-west1", "regions/us-central1"]);
    }
}
