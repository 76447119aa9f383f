//! Brings the world up to a time: what operations do at their end, and consumers that arrive. Nothing runs in between;
//! each event happens with the time that it was due at, in the order of those times.

use jiff::Timestamp;

use super::world::{Effect, Operation, World};
use super::{consumer, kinds};
use crate::frame::Requests;

enum Event {
    Operation(usize),
    Arrival(usize),
}

/// Whether anything is due: asked first, since touching the world means writing it.
pub(crate) fn is_due(world: &World, now: Timestamp, requests: &Requests) -> bool {
    next(world, requests.since()).is_some_and(|(at, _)| at <= now)
}

/// Lets everything happen that is due at `now`.
pub(crate) fn settle(world: &mut World, now: Timestamp, requests: &Requests) {
    let since = requests.since();
    while let Some((at, event)) = next(world, since) {
        if at > now {
            return;
        }
        match event {
            Event::Operation(index) => finish(world, index, at),
            Event::Arrival(index) => {
                let arrival = world.arrivals.remove(index);
                consumer::arrive(world, &arrival, at);
            }
        }
    }
}

/// What happens next. Consumers arrive `since` then, or not at all.
fn next(world: &World, since: Option<Timestamp>) -> Option<(Timestamp, Event)> {
    let ends = |path: &String| world.operations.get(path).map_or(Timestamp::MIN, |operation| operation.ends);
    let operation = world
        .running
        .iter()
        .enumerate()
        .map(|(index, path)| (ends(path), index))
        .min()
        .map(|(at, index)| (at, Event::Operation(index)));
    let arrival = world
        .arrivals
        .iter()
        .enumerate()
        .filter_map(|(index, arrival)| Some((arrival.at.max(since?), index)))
        .min()
        .map(|(at, index)| (at, Event::Arrival(index)));
    match (operation, arrival) {
        (Some(operation), Some(arrival)) if arrival.0 < operation.0 => Some(arrival),
        (Some(operation), _) => Some(operation),
        (None, arrival) => arrival,
    }
}

fn finish(world: &mut World, index: usize, at: Timestamp) {
    let path = world.running.remove(index);
    let Some(operation) = world.operations.get_mut(&path) else { return };
    let effects = std::mem::take(&mut operation.effects);
    let operation = operation.clone();
    if let Some(record) = world.resources.get_mut(&operation.target)
        && record.busy.as_deref() == Some(path.as_str())
    {
        record.busy = None;
    }
    if operation.error.is_some() {
        return;
    }
    for effect in effects {
        apply(world, effect, at);
    }
    settled(world, &operation, at);
}

fn apply(world: &mut World, effect: Effect, at: Timestamp) {
    match effect {
        Effect::Remove { path } => {
            world.resources.remove(&path);
        }
        Effect::Body { path, body } => {
            if let Some(record) = world.resources.get_mut(&path) {
                record.body = body;
            }
        }
        Effect::Join { path, members } => {
            if let Some(record) = world.resources.get_mut(&path) {
                record.members.extend(members);
            }
        }
        Effect::Leave { path, members } => {
            if let Some(record) = world.resources.get_mut(&path) {
                record.members.retain(|member| !members.iter().any(|left| left.same(member)));
            }
        }
        Effect::Mark { path, mark, clear } => {
            if let Some(record) = world.resources.get_mut(&path) {
                clear.into_iter().for_each(|mark| {
                    record.marks.remove(&mark);
                });
                record.marks.insert(mark, at);
            }
        }
    }
}

/// What follows from an operation that has succeeded.
fn settled(world: &mut World, operation: &Operation, at: Timestamp) {
    let Some(parts) = super::link::Parts::parse(&operation.target) else { return };
    match parts.collection.as_str() {
        "serviceAttachments" => kinds::attachment::settled(world, operation, at),
        "forwardingRules" => kinds::rule::settled(world, operation),
        "instanceGroupManagers" => kinds::balance::balance(world, &operation.target, at),
        "instances" if operation.kind == "delete" => kinds::balance::lost(world, &operation.target, at),
        _ => {}
    }
}
