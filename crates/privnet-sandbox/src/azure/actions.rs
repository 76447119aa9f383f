//! Writes that are not a resource's own: decisions on connections, machines of a scale set, the health call.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::compute::{flexible_machine, prepare_removal, upgrade};
use super::connections;
use super::error::ArmError;
use super::hosted::{self, Hosted, Reply, hosted_kind};
use super::id::{ArmPath, ResourceId};
use super::models::canonical;
use super::network::{ServiceAccess, health, service_of_alias};
use super::operation::{Begin, Effect};
use super::read::connection_body;
use super::request::{Cx, begun};
use super::world::World;
use super::{groups, write};
use crate::frame::Answer;

const SET: &str = "Microsoft.Compute/virtualMachineScaleSets";

/// PUT, PATCH, DELETE and POST of anything.
pub(crate) fn route(world: &mut World, cx: &Cx<'_>, path: &ArmPath) -> Result<Answer, ArmError> {
    if let Some(answer) = groups::write(world, cx, path) {
        return answer;
    }
    let method = cx.exchange.method.as_str();
    let Some(id) = path.resource() else { return of_location(world, cx, path) };
    match (method, id.pairs.len(), path.tail.as_deref()) {
        ("PUT", 1, None) => write::put(world, cx, &id),
        ("PATCH", 1, None) => write::patch(world, cx, &id),
        ("DELETE", 1, None) => match flexible_machine(world, &id) {
            Some((set, number)) => remove_machines(world, cx, &set, vec![number]),
            None => write::delete(world, cx, &id),
        },
        ("PUT", 2, None) if is_connection(&id) => put_connection(world, cx, &id),
        ("DELETE", 2, None) if is_connection(&id) => delete_connection(world, cx, &id),
        ("PUT", 2, None) => write::put_child(world, cx, &id),
        ("DELETE", 2, None) if id.owner().is(SET) => {
            remove_machines(world, cx, &id.owner(), vec![id.name().to_owned()])
        }
        ("DELETE", 2, None) => write::delete_child(world, cx, &id),
        ("POST", 2, Some("health")) => rule_health(world, cx, &id),
        ("POST", 1, Some(action)) if id.is(SET) => set_action(world, cx, &id, action),
        _ => Err(not_allowed(method)),
    }
}

/// `POST …/locations/LOCATION/checkPrivateLinkServiceVisibility`: whether a subscription can see the service behind an alias.
fn of_location(world: &mut World, cx: &Cx<'_>, path: &ArmPath) -> Result<Answer, ArmError> {
    let asks = path
        .tail
        .as_deref()
        .is_some_and(|tail| tail.eq_ignore_ascii_case("checkPrivateLinkServiceVisibility"));
    let (true, [(_, location)], Some(subscription)) = (asks, path.pairs.as_slice(), &path.subscription)
    else {
        return Err(not_allowed(&cx.exchange.method));
    };
    let body = cx.json()?;
    let alias = body["privateLinkServiceAlias"].as_str().unwrap_or_default();
    let visible = service_of_alias(world, alias)
        .is_some_and(|service| ServiceAccess::of(service, subscription) != ServiceAccess::Hidden);
    let id = ResourceId::top(subscription, "", "Microsoft.Network/visibility", alias);
    let effect = Effect::Answer(json!({"visible": visible}));
    let name = "CheckPrivateLinkServiceVisibility".to_owned();
    let operation =
        world.begin(Begin { name, id: &id, location: location.clone(), seconds: 1, effect }, cx.now);
    Ok(cx.locate(Answer::empty(202), begun(world, &operation)?))
}

fn not_allowed(method: &str) -> ArmError {
    ArmError::new(
        405,
        "MethodNotAllowed",
        format!("The requested resource does not support http method '{method}'."),
    )
}

fn is_connection(id: &ResourceId) -> bool {
    id.child_part().is_some_and(|(segment, _)| segment.eq_ignore_ascii_case("privateEndpointConnections"))
        && super::read::has_connections(&id.owner())
}

fn put_connection(world: &mut World, cx: &Cx<'_>, id: &ResourceId) -> Result<Answer, ArmError> {
    let service = world.resource(id).ok_or_else(|| ArmError::not_found(&id.owner()))?.id.clone();
    let key = id.key();
    if !world.connections.contains_key(&key) {
        return Err(ArmError::child_not_found(id));
    }
    let Some(kind) = hosted_kind(&service.kind()) else {
        let body = Value::Object(canonical("network.PrivateEndpointConnection", &cx.json()?)?);
        world.claim(&service.key(), "DecidePrivateEndpointConnectionOperation", &cx.base, cx.now)?;
        let operation = connections::decide(world, &key, &body, cx.now)?;
        return Ok(cx.follow(Answer::json(200, &shown(world, &key)), begun(world, &operation)?, false));
    };
    let (_, operation) = hosted::decide(world, &key, &cx.json()?, kind, cx.now)?;
    reply(world, cx, kind, &key, operation.as_deref(), cx.now)
}

fn shown(world: &World, key: &str) -> Value {
    world.connections.get(key).map(connection_body).unwrap_or_default()
}

/// A hosted provider's answer to a decision.
fn reply(
    world: &World,
    cx: &Cx<'_>,
    kind: &Hosted,
    key: &str,
    operation: Option<&str>,
    now: Timestamp,
) -> Result<Answer, ArmError> {
    let body = shown(world, key);
    let Some(operation) = operation else { return Ok(Answer::json(200, &body)) };
    let operation = begun(world, operation)?;
    Ok(match kind.reply {
        Reply::Done => Answer::json(200, &body),
        Reply::Shown => cx.follow(Answer::json(200, &body), operation, false),
        Reply::Located => cx.locate(Answer::empty(202), operation).with_header("retry-after", "1"),
        Reply::Begun => cx.follow(Answer::json(202, &body), operation, true),
        Reply::Named(suffix) => {
            let verb = if operation.name.starts_with("Approve") { "Approve" } else { "Reject" };
            let body = json!({"operation": format!("{verb}{suffix}"), "startTime": now.to_string()});
            cx.follow(Answer::json(202, &body), operation, true)
        }
    })
}

fn delete_connection(world: &mut World, cx: &Cx<'_>, id: &ResourceId) -> Result<Answer, ArmError> {
    let service = world.resource(id).ok_or_else(|| ArmError::not_found(&id.owner()))?.id.clone();
    let key = id.key();
    if !world.connections.contains_key(&key) {
        return Ok(Answer::empty(204));
    }
    let kind = hosted_kind(&service.kind());
    if kind.is_none() {
        world.claim(&service.key(), "DeletePrivateEndpointConnectionOperation", &cx.base, cx.now)?;
    }
    if kind.is_some_and(Hosted::decides_at_once) {
        world.remove_connection(&key);
        return Ok(Answer::empty(200));
    }
    let Some(operation) = connections::remove(world, &key, cx.now) else { return Ok(Answer::empty(204)) };
    let operation = begun(world, &operation)?;
    Ok(match kind.map(|kind| kind.reply) {
        Some(Reply::Named(suffix)) => {
            let body = json!({"operation": format!("Drop{suffix}"), "startTime": cx.now.to_string()});
            cx.follow(Answer::json(202, &body), operation, true)
        }
        Some(Reply::Located) => cx.locate(Answer::empty(202), operation),
        _ => cx.follow(Answer::empty(202), operation, true),
    })
}

/// `POST …/loadBalancingRules/RULE/health`: 202 with `Location`, and there the answer.
fn rule_health(world: &mut World, cx: &Cx<'_>, rule: &ResourceId) -> Result<Answer, ArmError> {
    if !rule.is("Microsoft.Network/loadBalancers/loadBalancingRules") {
        return Err(not_allowed("POST"));
    }
    let body = health(world, rule, cx.now)?;
    let location = world.resource(rule).map(|balancer| balancer.location().to_owned()).unwrap_or_default();
    // It works on the rule, not on the load balancer's settings, so that it holds no write up.
    let id = rule.child("health", "status");
    let begin = Begin {
        name: "LoadBalancerRuleHealth".to_owned(),
        id: &id,
        location,
        seconds: 2,
        effect: Effect::Answer(body),
    };
    let operation = world.begin(begin, cx.now);
    if let Some(operation) = world.operations.get_mut(&operation) {
        operation.target = id.key();
    }
    Ok(cx.locate(Answer::empty(202), begun(world, &operation)?))
}

fn set_action(world: &mut World, cx: &Cx<'_>, id: &ResourceId, action: &str) -> Result<Answer, ArmError> {
    let body = cx.json()?;
    let ids: Vec<String> = body["instanceIds"]
        .as_array()
        .map(|list| list.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect())
        .unwrap_or_default();
    if ids.is_empty() {
        return Err(ArmError::invalid(
            "InvalidParameter",
            "Required parameter 'instanceIds' is missing (null).",
        ));
    }
    match action.to_ascii_lowercase().as_str() {
        "delete" => remove_machines(world, cx, id, ids),
        "manualupgrade" => {
            let set = world.resource(id).ok_or_else(|| ArmError::not_found(id))?.id.clone();
            world.claim(&set.key(), "UpgradeInstancesOperation", &cx.base, cx.now)?;
            let all: Vec<String> = world
                .resource(id)
                .map(|set| set.instances.iter().map(|i| i.id.clone()).collect())
                .unwrap_or_default();
            let ids = if ids.iter().any(|id| id == "*") { all } else { ids };
            upgrade(world, &set, &ids)?;
            accept(world, cx, &set, "UpgradeInstancesOperation", 30, Effect::Settle(None))
        }
        _ => Err(not_allowed("POST")),
    }
}

fn remove_machines(
    world: &mut World,
    cx: &Cx<'_>,
    id: &ResourceId,
    ids: Vec<String>,
) -> Result<Answer, ArmError> {
    let set = world.resource(id).ok_or_else(|| ArmError::not_found(id))?.id.clone();
    world.claim(&set.key(), "DeleteInstancesOperation", &cx.base, cx.now)?;
    prepare_removal(world, &set, &ids)?;
    accept(world, cx, &set, "DeleteInstancesOperation", 30, Effect::RemoveInstances(ids))
}

fn accept(
    world: &mut World,
    cx: &Cx<'_>,
    id: &ResourceId,
    name: &str,
    seconds: i64,
    effect: Effect,
) -> Result<Answer, ArmError> {
    let location = world.resource(id).map(|set| set.location().to_owned()).unwrap_or_default();
    let operation = world.begin(Begin { name: name.to_owned(), id, location, seconds, effect }, cx.now);
    Ok(cx.follow(Answer::empty(202), begun(world, &operation)?, true))
}
