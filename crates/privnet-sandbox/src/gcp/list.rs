//! Lists: filters, order, pages, and the aggregated ones whose items are a map of scopes.

use std::collections::BTreeMap;

use base64::Engine as _;
use serde_json::{Value, json};

use super::api::API;
use super::body::{Body, Object};
use super::call::Call;
use super::error::ApiError;
use super::filter::Filter;
use super::kinds::catalog;
use super::link::{self, Parts};
use super::world::{World, stable_hash};
use super::{operation, view};

/// The most items of a page, and how many there are when the request does not say.
const PAGE: usize = 500;

/// The answer to `list`, `aggregatedList` and `listUsable`.
pub(crate) fn answer(world: &World, call: &Call) -> Result<Value, ApiError> {
    let items = items(world, call);
    match call.method.verb() {
        "aggregatedList" => aggregated(call, items),
        "listUsable" => page(call, usable(items), "usableSubnetworksAggregatedList"),
        _ => {
            let kind = match call.method.collection() {
                "regionInstanceGroups" => "regionInstanceGroupList".to_owned(),
                "regionInstanceGroupManagers" => "regionInstanceGroupManagerList".to_owned(),
                _ => format!("{}List", view::kind(call.collection())),
            };
            page(call, items, &kind)
        }
    }
}

fn items(world: &World, call: &Call) -> Vec<(String, Object)> {
    let everywhere = matches!(call.method.verb(), "aggregatedList" | "listUsable");
    match call.collection() {
        "regions" | "zones" | "machineTypes" => catalog::items(world, call),
        "operations" => {
            let start = if everywhere {
                format!("projects/{}/", call.project)
            } else {
                format!("{}/", call.parent())
            };
            let mut found: Vec<(String, Object)> = world
                .operations
                .iter()
                .filter(|(path, _)| path.starts_with(&start))
                .map(|(path, found)| (path.clone(), operation::object(found, call.now)))
                .collect();
            // The newest first, as the public API lists them.
            found.reverse();
            found
        }
        collection if everywhere => world
            .collection(&call.project, collection)
            .map(|(path, record, _)| (path.clone(), view::resource(world, path, record, call)))
            .collect(),
        _ => {
            let parent = call.parent();
            world
                .under(&parent)
                .map(|(path, record)| (path.clone(), view::resource(world, path, record, call)))
                .collect()
        }
    }
}

fn usable(items: Vec<(String, Object)>) -> Vec<(String, Object)> {
    items
        .into_iter()
        .map(|(path, item)| {
            let mut shown = Object::new();
            shown.insert("subnetwork".to_owned(), link::url(&path).into());
            for name in ["ipCidrRange", "network", "purpose", "stackType"] {
                if let Some(value) = item.get(name) {
                    shown.insert(name.to_owned(), value.clone());
                }
            }
            (path, shown)
        })
        .collect()
}

/// One page of items, in a list of that kind.
pub(crate) fn page(call: &Call, items: Vec<(String, Object)>, kind: &str) -> Result<Value, ApiError> {
    let (shown, next) = select(call, items)?;
    let mut answer = frame(call, kind);
    if !shown.is_empty() {
        answer.insert("items".to_owned(), shown.into_iter().map(|(_, item)| Value::Object(item)).collect());
    }
    finish(answer, next)
}

/// `listManagedInstances`, whose items have a name of their own.
pub(crate) fn managed(call: &Call, items: Vec<(String, Object)>) -> Result<Value, ApiError> {
    let (shown, next) = select(call, items)?;
    let mut answer = Object::new();
    answer.insert(
        "managedInstances".to_owned(),
        shown.into_iter().map(|(_, item)| Value::Object(item)).collect(),
    );
    finish(answer, next)
}

fn finish(mut answer: Object, next: Option<String>) -> Result<Value, ApiError> {
    if let Some(token) = next {
        answer.insert("nextPageToken".to_owned(), token.into());
    }
    Ok(Value::Object(answer))
}

/// `kind`, `id` and `selfLink`, as far as the list's type has them.
fn frame(call: &Call, kind: &str) -> Object {
    let aggregated = matches!(call.method.verb(), "aggregatedList" | "listUsable");
    let id = match aggregated {
        true => format!("projects/{}/aggregated/{}", call.project, call.collection()),
        false => call.parent(),
    };
    let id = match call.collection() {
        "regions" | "zones" => format!("projects/{}/{}", call.project, call.collection()),
        _ => id,
    };
    let properties = call
        .method
        .response
        .as_deref()
        .and_then(|name| API.schema(name))
        .and_then(|schema| schema.properties.as_ref());
    let has = |name: &str| properties.is_some_and(|properties| properties.contains_key(name));
    let mut answer = Object::new();
    for (name, value) in
        [("kind", format!("compute#{kind}")), ("id", id.clone()), ("selfLink", link::url(&id))]
    {
        if has(name) {
            answer.insert(name.to_owned(), value.into());
        }
    }
    answer
}

fn aggregated(call: &Call, items: Vec<(String, Object)>) -> Result<Value, ApiError> {
    let (shown, next) = select(call, items)?;
    let mut answer = frame(call, &format!("{}AggregatedList", view::kind(call.collection())));
    let mut scopes: BTreeMap<String, Vec<Value>> =
        scopes(call).into_iter().map(|scope| (scope, Vec::new())).collect();
    for (path, item) in shown {
        let scope = Parts::parse(&path).map(|parts| parts.scope.segment()).unwrap_or_default();
        scopes.entry(scope).or_default().push(Value::Object(item));
    }
    let scoped = scopes.into_iter().map(|(scope, items)| {
        let value = match items.is_empty() {
            true => json!({ "warning": {
                "code": "NO_RESULTS_ON_PAGE",
                "message": format!("There are no results for scope '{scope}' on this page."),
                "data": [{ "key": "scope", "value": scope }],
            }}),
            false => json!({ call.collection(): items }),
        };
        (scope, value)
    });
    answer.insert("items".to_owned(), Value::Object(scoped.collect()));
    finish(answer, next)
}

/// An aggregated list as it is while a region or zone does not answer: its scopes have a warning in the place of items, and are among
/// `unreachables`. Other answers stay as they are.
pub(crate) fn without_place(answer: &mut Value, place: &str) {
    let Some(scopes) = answer.get_mut("items").and_then(Value::as_object_mut) else { return };
    let is_there = |scope: &str| {
        let name = scope.rsplit('/').next().unwrap_or(scope);
        name == place || name.strip_prefix(place).is_some_and(|rest| rest.starts_with('-'))
    };
    let mut left_out = Vec::new();
    for (scope, scoped) in scopes.iter_mut().filter(|(scope, _)| is_there(scope)) {
        *scoped = json!({ "warning": {
            "code": "UNREACHABLE",
            "message": format!("The scope '{scope}' is not reachable."),
            "data": [{ "key": "scope", "value": scope }],
        }});
        left_out.push(Value::from(scope.as_str()));
    }
    answer["unreachables"] = left_out.into();
}

/// The scopes that resources of this collection can be in.
fn scopes(call: &Call) -> Vec<String> {
    let global = || vec!["global".to_owned()];
    let regions = || catalog::REGIONS.iter().map(|(region, _)| format!("regions/{region}"));
    let zones = || catalog::zones().map(|(_, zone)| format!("zones/{zone}"));
    match call.collection() {
        "subnetworks" | "serviceAttachments" => regions().collect(),
        "instances" | "machineTypes" => zones().collect(),
        "instanceGroups" | "instanceGroupManagers" => regions().chain(zones()).collect(),
        "operations" | "networkEndpointGroups" => {
            global().into_iter().chain(regions()).chain(zones()).collect()
        }
        _ => global().into_iter().chain(regions()).collect(),
    }
}

type Items = Vec<(String, Object)>;

/// What a request asks for of `items`: filtered, ordered, one page of it, and the token of the next.
fn select(call: &Call, mut items: Items) -> Result<(Items, Option<String>), ApiError> {
    if let Some(text) = call.query("filter") {
        let filter = Filter::parse(text)?;
        items.retain(|(_, item)| filter.passes(item));
    }
    match call.query("orderBy") {
        None | Some("name") => {}
        Some("creationTimestamp desc") => {
            let time = |item: &Object| {
                item.text("creationTimestamp").or(item.text("insertTime")).unwrap_or_default().to_owned()
            };
            items.sort_by_key(|(_, item)| std::cmp::Reverse(time(item)));
        }
        Some(other) => {
            return Err(ApiError::field(
                "orderBy",
                other,
                "Only 'name' and 'creationTimestamp desc' are supported.",
            ));
        }
    }
    let size = call.query("maxResults").and_then(|text| text.parse::<usize>().ok()).unwrap_or(PAGE);
    if size > PAGE {
        return Err(ApiError::field("maxResults", &size.to_string(), "Must be between 0 and 500."));
    }
    // Zero means "as many as usual".
    let size = if size == 0 { PAGE } else { size };
    let from = match call.query("pageToken") {
        None => 0,
        Some(token) => after_token(call, token, &items)?,
    };
    let rest = items.len().saturating_sub(from);
    let shown: Items = items.drain(from..).take(size).collect();
    let next = shown.last().filter(|_| rest > size).map(|(key, _)| token(call, key));
    Ok((shown, next))
}

/// A page token holds the last item that was shown and what the list was of.
fn token(call: &Call, key: &str) -> String {
    base64::engine::general_purpose::URL_SAFE.encode(format!("{:016x} {key}", list_hash(call)))
}

fn list_hash(call: &Call) -> u64 {
    let text = [
        call.method.id.as_str(),
        &call.parent(),
        call.query("filter").unwrap_or_default(),
        call.query("orderBy").unwrap_or_default(),
    ];
    stable_hash(&text.join(" "))
}

fn after_token(call: &Call, token: &str, items: &Items) -> Result<usize, ApiError> {
    let wrong = || ApiError::field("pageToken", token, "Invalid page token.");
    let bytes = base64::engine::general_purpose::URL_SAFE.decode(token).map_err(|_| wrong())?;
    let text = String::from_utf8(bytes).map_err(|_| wrong())?;
    let (hash, key) = text.split_once(' ').ok_or_else(wrong)?;
    if hash != format!("{:016x}", list_hash(call)) {
        return Err(wrong());
    }
    // The item may be gone; the page goes on with what came after it.
    let exact = items.iter().position(|(path, _)| path == key).map(|index| index + 1);
    Ok(exact.unwrap_or_else(|| items.iter().position(|(path, _)| path.as_str() > key).unwrap_or(items.len())))
}
