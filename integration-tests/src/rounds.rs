//! How many requests of a run come one after the other: counted from what went through a proxy.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use privnet::Plan;

use crate::proxy::Exchange;

/// The most requests of which each came after the answer to the one before.
#[must_use]
pub fn rounds(exchanges: &[Exchange]) -> usize {
    let mut by_end: Vec<&Exchange> = exchanges.iter().collect();
    by_end.sort_by_key(|exchange| exchange.ended);
    let (mut rounds, mut free) = (0, Duration::ZERO);
    for exchange in by_end {
        if exchange.began >= free {
            rounds += 1;
            free = exchange.ended;
        }
    }
    rounds
}

/// The requests of the longest way through a plan that was carried out, `own` being those of each action by its id: of what an action
/// comes after, and of what was done before it under the same lock.
#[must_use]
pub fn longest_way(plan: &Plan, own: &BTreeMap<String, Vec<Exchange>>) -> usize {
    plan.actions.iter().map(|action| longest(plan, own, &action.id)).max().unwrap_or_default()
}

fn longest(plan: &Plan, own: &BTreeMap<String, Vec<Exchange>>, id: &str) -> usize {
    let began = |id: &str| own.get(id).and_then(|requests| requests.first()).map(|first| first.began);
    let Some(action) = plan.actions.iter().find(|action| action.id == id) else { return 0 };
    let locked = plan.actions.iter().filter(|other| {
        other.id != id
            && other.locks.iter().any(|lock| action.locks.contains(lock))
            && began(&other.id) < began(id)
    });
    let before: BTreeSet<&str> =
        action.after.iter().map(String::as_str).chain(locked.map(|other| other.id.as_str())).collect();
    let longest_before = before.into_iter().map(|other| longest(plan, own, other)).max().unwrap_or_default();
    own.get(id).map_or(0, |requests| rounds(requests)) + longest_before
}
