//! Subscriptions, resource groups, providers, and the lists over all types.

use serde_json::{Value, json};

use super::default_world::{LOCATION, SUBSCRIPTIONS, TENANT};
use super::error::ArmError;
use super::id::{ArmPath, group_key};
use super::kind::render;
use super::operation::{Begin, Effect};
use super::read::value;
use super::request::{Cx, begun};
use super::world::{Group, Resource, World};
use crate::azure::id::ResourceId;
use crate::frame::Answer;

/// The providers that the sandbox has.
const PROVIDERS: [&str; 11] = [
    "Microsoft.Network",
    "Microsoft.Compute",
    "Microsoft.Sql",
    "Microsoft.Storage",
    "Microsoft.KeyVault",
    "Microsoft.DBforMySQL",
    "Microsoft.DBforPostgreSQL",
    "Microsoft.DocumentDB",
    "Microsoft.ServiceBus",
    "Microsoft.Search",
    "Microsoft.Web",
];

/// 404 of a group.
pub(crate) fn group_not_found(name: &str) -> ArmError {
    ArmError::new(404, "ResourceGroupNotFound", format!("Resource group '{name}' could not be found."))
}

/// 404 of a subscription.
pub(crate) fn check_subscription(path: &ArmPath) -> Result<(), ArmError> {
    match &path.subscription {
        Some(id) if SUBSCRIPTIONS.iter().any(|(known, _)| known.eq_ignore_ascii_case(id)) => Ok(()),
        Some(id) => Err(ArmError::new(
            404,
            "SubscriptionNotFound",
            format!("The subscription '{id}' could not be found."),
        )),
        None => Ok(()),
    }
}

/// Reads of everything that names no provider's type: `None` when the path is not of that sort.
pub(crate) fn read(world: &World, cx: &Cx<'_>, path: &ArmPath) -> Option<Result<Answer, ArmError>> {
    match path {
        ArmPath { subscription: None, .. } => Some(Ok(subscriptions())),
        ArmPath { namespace: None, group: Some(group), tail: None, pairs, .. } if pairs.is_empty() => {
            Some(read_group(world, cx, path, group))
        }
        ArmPath { namespace: None, group: Some(_), tail: Some(tail), .. }
            if tail.eq_ignore_ascii_case("resources") =>
        {
            Some(Ok(resources(world, cx, path)))
        }
        ArmPath { namespace: None, group: None, tail, pairs, .. } if pairs.is_empty() => {
            Some(of_subscription(world, cx, path, tail.as_deref()))
        }
        ArmPath { namespace: None, group: None, pairs, tail: None, .. } => group_operation(world, cx, pairs),
        ArmPath { namespace: Some(namespace), group: None, pairs, tail: None, .. } if pairs.is_empty() => {
            Some(provider(namespace))
        }
        _ => None,
    }
}

/// Writes of groups and registrations of providers; `None` when the path is not of that sort.
pub(crate) fn write(world: &mut World, cx: &Cx<'_>, path: &ArmPath) -> Option<Result<Answer, ArmError>> {
    let subscription = path.subscription.clone().unwrap_or_default();
    match (cx.exchange.method.as_str(), path) {
        (method, ArmPath { namespace: None, group: Some(group), tail: None, pairs, .. })
            if pairs.is_empty() =>
        {
            Some(match method {
                "PUT" | "PATCH" => put_group(world, cx, &subscription, group),
                "DELETE" => delete_group(world, cx, &group_key(&subscription, group), group),
                _ => Err(ArmError::new(
                    405,
                    "MethodNotAllowed",
                    "The method is not allowed on a resource group.",
                )),
            })
        }
        ("POST", ArmPath { namespace: Some(namespace), group: None, tail: Some(tail), pairs, .. })
            if pairs.is_empty() && tail.eq_ignore_ascii_case("register") =>
        {
            Some(provider(namespace))
        }
        _ => None,
    }
}

fn subscription(id: &str, name: &str) -> Value {
    json!({
        "id": format!("/subscriptions/{id}"), "subscriptionId": id, "tenantId": TENANT, "displayName": name,
        "state": "Enabled", "authorizationSource": "RoleBased", "managedByTenants": [],
        "subscriptionPolicies": {"locationPlacementId": "Public_2014-09-01", "quotaId": "EnterpriseAgreement_2014-09-01",
            "spendingLimit": "Off"}})
}

fn subscriptions() -> Answer {
    let all: Vec<Value> = SUBSCRIPTIONS.iter().map(|(id, name)| subscription(id, name)).collect();
    Answer::json(200, &json!({"value": all, "count": {"type": "Total", "value": all.len()}}))
}

/// `GET /tenants`.
pub(crate) fn tenants() -> Answer {
    value(&[json!({"id": format!("/tenants/{TENANT}"), "tenantId": TENANT, "displayName": "Acme",
        "countryCode": "US", "tenantCategory": "Home", "defaultDomain": "acme.example", "domains": ["acme.example"]})])
}

fn of_subscription(
    world: &World,
    cx: &Cx<'_>,
    path: &ArmPath,
    tail: Option<&str>,
) -> Result<Answer, ArmError> {
    let id = path.subscription.clone().unwrap_or_default();
    match tail.map(str::to_ascii_lowercase).as_deref() {
        None => {
            let name = SUBSCRIPTIONS
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(&id))
                .map_or("", |(_, name)| name);
            Ok(Answer::json(200, &subscription(&id.to_ascii_lowercase(), name)))
        }
        Some("locations") => Ok(value(&locations(&id))),
        Some("resourcegroups") => Ok(groups(world, cx, &id)),
        Some("resources") => Ok(resources(world, cx, path)),
        Some("providers") => Ok(value(&PROVIDERS.map(provider_body))),
        Some(other) => {
            Err(ArmError::new(404, "NotFound", format!("No collection '{other}' under subscriptions.")))
        }
    }
}

fn locations(subscription: &str) -> Vec<Value> {
    let body = |(name, display): &(&str, &str)| {
        let zones = ["1", "2", "3"]
            .map(|zone| json!({"logicalZone": zone, "physicalZone": format!("{name}-az{zone}")}));
        json!({"id": format!("/subscriptions/{subscription}/locations/{name}"), "name": name, "displayName": display,
            "regionalDisplayName": display, "type": "Region", "availabilityZoneMappings": zones})
    };
    [(LOCATION, "East US 2"), ("westeurope", "West Europe"), ("westus", "West US")].iter().map(body).collect()
}

fn provider_body(namespace: &str) -> Value {
    json!({"id": format!("/providers/{namespace}"), "namespace": namespace, "registrationState": "Registered",
        "registrationPolicy": "RegistrationRequired", "resourceTypes": []})
}

fn provider(namespace: &str) -> Result<Answer, ArmError> {
    match PROVIDERS.iter().find(|known| known.eq_ignore_ascii_case(namespace)) {
        Some(known) => Ok(Answer::json(200, &provider_body(known))),
        None => Err(ArmError::new(
            404,
            "InvalidResourceNamespace",
            format!("The resource namespace '{namespace}' is invalid."),
        )),
    }
}

fn group_body(group: &Group) -> Value {
    json!({
        "id": format!("/subscriptions/{}/resourceGroups/{}", group.subscription, group.name), "name": group.name,
        "type": "Microsoft.Resources/resourceGroups", "location": group.location, "tags": group.tags,
        "properties": {"provisioningState": if group.deleting { "Deleting" } else { "Succeeded" }}})
}

fn groups(world: &World, cx: &Cx<'_>, subscription: &str) -> Answer {
    let mine = world.groups.values().filter(|group| group.subscription.eq_ignore_ascii_case(subscription));
    cx.page(mine.map(group_body).collect())
}

fn read_group(world: &World, cx: &Cx<'_>, path: &ArmPath, name: &str) -> Result<Answer, ArmError> {
    let found = world.groups.get(&group_key(path.subscription.as_deref().unwrap_or_default(), name));
    if cx.exchange.method == "HEAD" {
        return Ok(Answer::empty(if found.is_some() { 204 } else { 404 }));
    }
    found.map(|group| Answer::json(200, &group_body(group))).ok_or_else(|| group_not_found(name))
}

fn put_group(world: &mut World, cx: &Cx<'_>, subscription: &str, name: &str) -> Result<Answer, ArmError> {
    let body = cx.json()?;
    let key = group_key(subscription, name);
    let new = !world.groups.contains_key(&key);
    let location = body["location"].as_str().map(|text| text.replace(' ', "").to_ascii_lowercase());
    let group = match (world.groups.get(&key), location) {
        (Some(old), location) if location.as_ref().is_none_or(|location| *location == old.location) => {
            Group { tags: body.get("tags").cloned().unwrap_or_else(|| json!({})), ..old.clone() }
        }
        (Some(old), _) => {
            return Err(ArmError::new(
                409,
                "InvalidResourceGroupLocation",
                format!(
                    "Invalid resource group location. The Resource group already exists in location '{}'.",
                    old.location
                ),
            ));
        }
        (None, Some(location)) => Group {
            subscription: subscription.to_ascii_lowercase(),
            name: name.to_owned(),
            location,
            tags: body.get("tags").cloned().unwrap_or_else(|| json!({})),
            deleting: false,
        },
        (None, None) => {
            return Err(ArmError::invalid(
                "LocationRequired",
                "The location property is required for this definition.",
            ));
        }
    };
    let shown = group_body(&group);
    world.groups.insert(key, group);
    Ok(Answer::json(if new { 201 } else { 200 }, &shown))
}

/// Deletes a group with all that is in it: 202 with `Location` alone.
fn delete_group(world: &mut World, cx: &Cx<'_>, key: &str, name: &str) -> Result<Answer, ArmError> {
    let Some(group) = world.groups.get_mut(key) else { return Err(group_not_found(name)) };
    group.deleting = true;
    let (subscription, location) = (group.subscription.clone(), group.location.clone());
    let id = ResourceId::top(&subscription, name, "Microsoft.Resources/resourceGroups", name);
    let effect = Effect::RemoveGroup(key.to_owned());
    let begin =
        Begin { name: "DeleteResourceGroupOperation".to_owned(), id: &id, location, seconds: 30, effect };
    let operation = world.begin(begin, cx.now);
    let operation = begun(world, &operation)?;
    Ok(group_location(cx, Answer::empty(202), &operation.subscription, &operation.id))
}

fn group_location(cx: &Cx<'_>, answer: Answer, subscription: &str, id: &str) -> Answer {
    answer.with_header(
        "location",
        format!("{}/subscriptions/{subscription}/operationresults/{id}?api-version={}", cx.base, cx.version),
    )
}

fn group_operation(
    world: &World,
    cx: &Cx<'_>,
    pairs: &[(String, String)],
) -> Option<Result<Answer, ArmError>> {
    let [(collection, id)] = pairs else { return None };
    if !collection.eq_ignore_ascii_case("operationresults") {
        return None;
    }
    let answer = match world.operations.get(id) {
        None => Err(ArmError::new(404, "NotFound", "The operation was not found.")),
        Some(operation) => match operation.error() {
            Some(error) => Err(error),
            None if operation.done => Ok(Answer::empty(200)),
            None => Ok(group_location(cx, Answer::empty(202), &operation.subscription, id)),
        },
    };
    Some(answer)
}

/// Resources of all types in a group or subscription, by `$filter` of `name`, `resourceType`, `resourceGroup`, `location`,
/// `tagName` and `tagValue`, joined with `and`.
fn resources(world: &World, cx: &Cx<'_>, path: &ArmPath) -> Answer {
    let filter = cx.exchange.query_value("$filter").unwrap_or_default();
    let clauses: Vec<(String, String)> = filter
        .split(" and ")
        .filter_map(|clause| clause.split_once(" eq "))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().trim_matches('\'').to_owned()))
        .collect();
    let subscription = path.subscription.clone().unwrap_or_default();
    let within = |resource: &&Resource| {
        resource.id.subscription.eq_ignore_ascii_case(&subscription)
            && path.group.as_ref().is_none_or(|group| resource.id.group.eq_ignore_ascii_case(group))
            && cx.listed(resource.created)
            && clauses.iter().all(|(name, value)| matches(resource, name, value, &clauses))
    };
    let brief = |resource: &Resource| {
        let mut body = render(world, resource);
        if let Some(map) = body.as_object_mut() {
            map.retain(|name, _| !["properties", "etag", "zones"].contains(&name.as_str()));
        }
        body
    };
    cx.page(world.resources.values().filter(within).map(brief).collect())
}

fn matches(resource: &Resource, name: &str, value: &str, clauses: &[(String, String)]) -> bool {
    match name {
        "name" => resource.id.name().eq_ignore_ascii_case(value),
        "resourcetype" => resource.is(value),
        "resourcegroup" => resource.id.group.eq_ignore_ascii_case(value),
        "location" => resource.location().eq_ignore_ascii_case(value),
        "tagname" => {
            let wanted = clauses.iter().find(|(name, _)| name == "tagvalue").map(|(_, value)| value.as_str());
            let tag = resource.tag(value);
            wanted.map_or(tag.is_some(), |wanted| tag == Some(wanted))
        }
        _ => true,
    }
}
