//! How a group of forwarders is made, changed and deleted.

use std::collections::BTreeMap;

use privnet_core::{Applied, Error};

use super::{KIND, PROFILE, ScaleSet, body, handover, made, own_tags};
use crate::act::Act;
use crate::arm::{Json, Target, Write, at, merge_text_map, same_id, set, text, text_map};
use crate::kinds::{applied, load_balancer, outputs};
use crate::{fields, ownership};

/// Makes it. Where another generation is there, consumers go through that one: the new one is done when it is healthy.
pub(crate) async fn create(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: ScaleSet = fields::typed(KIND.name, act.step.fields)?;
    let id = format!("{}/providers/Microsoft.Compute/virtualMachineScaleSets/{}", act.group(), act.name());
    let target = Target::of(&id);
    let build = |there: Option<&Json>| {
        if let Some(there) = there {
            act.check_ours(there)?;
            let failed = matches!(text(there, "properties.provisioningState"), Some("Failed" | "Canceled"));
            return Ok(if failed { Write::Put(there.clone()) } else { Write::Keep });
        }
        let mut made = body(&wanted);
        let address = &act.step.action.address;
        let mut tags = ownership::all_tags(
            &BTreeMap::new(),
            act.step.deployment,
            address,
            act.generation(),
            &wanted.tags,
        );
        tags.extend(own_tags(&wanted));
        set(&mut made, "tags", merge_text_map(&tags));
        Ok(Write::Put(made))
    };
    // Scale sets take `If-None-Match: *` "to prevent updating an existing" one, in the api-version that is sent here
    // (Azure/azure-rest-api-specs, `ComputeRP/stable/2024-11-01/virtualMachineScaleSet.json`, `VirtualMachineScaleSets_CreateOrUpdate`).
    // Whether another generation is there is asked meanwhile: it goes after this one only.
    let making = act.arm.make(act.context, &target, &build);
    let (made, other) = futures::join!(making, handover::other_generation(act, act.generation()));
    made?;
    act.until_listed(&target, true).await?;
    if other?.is_some() {
        handover::until_healthy(act, fields::resolved(&wanted.pool), &id, wanted.count, None).await?;
    }
    Ok(applied(outputs([("id", fields::id(&id))])))
}

/// Changes its tags, and takes it out of a drain that was not finished.
pub(crate) async fn update(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: ScaleSet = fields::typed(KIND.name, act.step.fields)?;
    let id = act.live_id()?;
    let target = Target::of(&id);
    let shape = |body: &mut Json| {
        if at(body, PROFILE).is_none() {
            return Err(act.overtaken("it has gone since this plan was made"));
        }
        let mut tags = text_map(body, "tags");
        tags.extend(own_tags(&wanted));
        set(body, "tags", merge_text_map(&tags));
        Ok(())
    };
    act.write(&target, &wanted.tags, &shape).await?;
    if act.step.changes_field("draining") {
        let pool = fields::resolved(&wanted.pool);
        handover::serve(act, pool, &id).await?;
        // The other group goes after this, and has served meanwhile.
        if let Some(generation) = act.step.action.generation
            && let Some(other) = handover::other_generation(act, generation).await?
            && handover::is_exposed(act, pool).await?
        {
            handover::until_as_good(act, pool, std::slice::from_ref(&id), &other).await?;
        }
    }
    Ok(applied(outputs([("id", fields::id(&id))])))
}

/// Drains and deletes it. Where it is replaced, only when its successor is healthy.
pub(crate) async fn delete(act: &Act<'_>) -> Result<Applied, Error> {
    let there: ScaleSet = fields::typed(KIND.name, act.step.fields)?;
    let id = act.live_id()?;
    let target = Target::of(&id);
    let pool = fields::resolved(&there.pool);
    // Of what is being deleted there is nothing left to hand over.
    let goes = act.step.live.is_some_and(|live| live.health.is_going());
    let note = if goes { None } else { hand_over(act, &target, pool, &there).await? };
    act.delete_only(&target, &|shown| same_as_planned(act, shown)).await?;
    load_balancer::prune(act, pool).await?;
    Ok(Applied { note, ..Applied::default() })
}

/// Waits until others serve in place of a group that goes, and drains that: the group under its other name, or else what the service has in
/// the same pool, in other subnets.
async fn hand_over(
    act: &Act<'_>,
    goes: &Target,
    pool: &str,
    there: &ScaleSet,
) -> Result<Option<String>, Error> {
    let drain = there.drain;
    // Behind another load balancer there is nothing to hand over: who was connected to this one is so no more.
    if !handover::is_exposed(act, pool).await? {
        return Ok(None);
    }
    let other = match act.step.action.generation {
        Some(generation) => handover::other(act, generation).await?,
        None => None,
    };
    if let Some(other) = other.as_ref().filter(|other| other.goes)
        && handover::is_led_to(act, pool).await?
    {
        return Err(left_alone(act, &other.id));
    }
    if let Some(shown) = act.arm.find(act.context, goes).await? {
        same_as_planned(act, &shown)?;
    }
    let successor = other.filter(|other| !other.goes).map(|other| other.id);
    // In a subnet that the file does not name any more, the group under the other name goes as well.
    let others = match &successor {
        Some(_) if act.step.has_successor => Vec::new(),
        other => {
            let mut beside = handover::beside(act, &goes.path, pool).await?;
            beside.retain(|group| other.as_deref().is_none_or(|other| !same_id(group, other)));
            beside
        }
    };
    let successor = successor.filter(|_| others.is_empty());
    let Some(successor) = successor else { return hand_to_others(act, goes, pool, &others, drain).await };
    let Some(machines) = handover::machines_in_pool(act, &successor, pool).await? else { return Ok(None) };
    // One that is older than this is no successor, all of which must be healthy first: it is what serves, as well as it does. But where
    // it answers nothing and this one does, this is what serves.
    let successors = [successor];
    if handover::is_older(act, &successors[0], &goes.path).await? {
        handover::until_as_good(act, pool, &successors, &goes.path).await?;
    } else {
        // What is drained answers nothing, and may be what comes back.
        let dead = (!there.draining).then_some(goes.path.as_str());
        handover::until_healthy(act, pool, &successors[0], machines, dead).await?;
    }
    handover::drain(act, pool, &goes.path, &successors, drain).await
}

/// A group in a subnet that the file does not name any more gives way to those in other subnets.
async fn hand_to_others(
    act: &Act<'_>,
    goes: &Target,
    pool: &str,
    others: &[String],
    drain: i64,
) -> Result<Option<String>, Error> {
    if others.is_empty() || !handover::is_led_to(act, pool).await? {
        return Ok(None);
    }
    handover::until_as_good(act, pool, others, &goes.path).await?;
    handover::drain(act, pool, &goes.path, others, drain).await
}

/// Somebody deletes the group that was to take over: this is what serves.
fn left_alone(act: &Act<'_>, successor: &str) -> Error {
    let message =
        format!("{successor}, which was to take over, is being deleted: this is the group that serves");
    act.overtaken(message)
}

/// Names come back: a group that was made since the plan is another one, and may be what serves.
///
/// # Errors
/// `Conflict` where it is another one.
fn same_as_planned(act: &Act<'_>, shown: &Json) -> Result<(), Error> {
    let planned = act.step.live.and_then(|live| live.fields.get("since")?.as_int());
    let now = made(shown).map(jiff::Timestamp::as_millisecond);
    match planned.zip(now) {
        Some((planned, now)) if planned != now => {
            Err(act.overtaken("it was made anew since this plan was made, and may be what serves now"))
        }
        _ => Ok(()),
    }
}
