//! What a person wants to know of a service, from what was observed: pure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::accept::{self, ConnectionState};
use crate::astray::astray;
use crate::named_twice::NamedTwice;
use crate::plan::{self, Refusal, Wait};
use crate::resource::{Health, Live};
use crate::world::{Connections, Desired, ServiceIntent, Target, TargetState, World};

/// The state of a service in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// A consumer is connected, and on each port a target takes connections.
    Ready,
    /// Something is on its way, or somebody is waited for.
    Waiting,
    /// Something is there and does not work.
    Degraded,
    /// Nothing is there.
    Absent,
}

/// One connection, for people and scripts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConnectionStatus {
    /// The endpoint's id.
    pub id: String,
    /// The consumer of the file that it matches.
    pub consumer: Option<String>,
    /// Who the cloud says it is.
    pub identity: String,
    /// The state in privnet's words.
    pub state: ConnectionState,
    /// The cloud's word.
    pub cloud_state: String,
    /// Whether the policy allows it.
    pub allowed: bool,
    /// Why, or why not, and what the state means.
    pub why: String,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// `aws`, `azure` or `gcp`.
    pub cloud: &'static str,
    /// Its state.
    pub state: ServiceState,
    /// What the traffic goes to.
    pub targets: Vec<Target>,
    /// Who is connected or wants to be.
    pub connections: Vec<ConnectionStatus>,
    /// Why the state is what it is, and what waits for whom.
    pub notes: Vec<String>,
    /// Those of the notes that are about its place, and so about every service there: for people they are said once.
    #[serde(skip)]
    pub of_place: Vec<String>,
}

/// The status of every service of the file.
#[must_use]
pub fn status(desired: &Desired, world: &World) -> Vec<ServiceStatus> {
    let sorted = Sorted::new(desired, world);
    let each = desired.services.values();
    each.map(|intent| of_service(intent, world, &sorted, &NamedTwice::of(desired, world, intent))).collect()
}

/// What is said of each service, by one look at all of it: a file may have thousands.
struct Sorted<'a> {
    refusals: BTreeMap<&'a str, Vec<&'a Refusal>>,
    waits: BTreeMap<&'a str, Vec<&'a Wait>>,
    astray: BTreeMap<String, String>,
}

impl<'a> Sorted<'a> {
    fn new(desired: &'a Desired, world: &'a World) -> Self {
        let refusals = world.refusals.iter().chain(&desired.refusals);
        Self {
            refusals: sorted(refusals.map(|refusal| (refusal.address.service.as_str(), refusal))),
            waits: sorted(desired.waits.iter().map(|wait| (wait.service.as_str(), wait))),
            astray: astray(desired, world),
        }
    }
}

fn sorted<'a, T>(all: impl Iterator<Item = (&'a str, &'a T)>) -> BTreeMap<&'a str, Vec<&'a T>> {
    let mut sorted: BTreeMap<&str, Vec<&T>> = BTreeMap::new();
    for (service, one) in all {
        sorted.entry(service).or_default().push(one);
    }
    sorted
}

fn of<'s, 'a, T>(sorted: &'s BTreeMap<&'a str, Vec<&'a T>>, service: &str) -> &'s [&'a T] {
    sorted.get(service).map_or(&[], Vec::as_slice)
}

fn of_service(
    intent: &ServiceIntent,
    world: &World,
    sorted: &Sorted<'_>,
    twice: &NamedTwice<'_>,
) -> ServiceStatus {
    let seen = world.services.get(&intent.name).cloned().unwrap_or_default();
    let refusals = of(&sorted.refusals, &intent.name);
    let mut notes: Vec<String> = refusals.iter().map(|refusal| refusal.why.clone()).collect();
    let refused = !notes.is_empty();
    let known = seen.connections.known();
    let connections: Vec<_> = known
        .iter()
        // Of who is a service's that stays, that one tells.
        .filter(|connection| twice.service_of(connection).is_none())
        .map(|connection| {
            let (allowed, why) = accept::assess(&intent.policy, connection, known);
            let why = connection.note.as_ref().map_or(why.clone(), |note| format!("{why}; {note}"));
            ConnectionStatus {
                id: connection.id.clone(),
                consumer: intent.policy.consumer_of(connection).map(|consumer| consumer.name.clone()),
                identity: connection.who(),
                state: connection.state,
                cloud_state: connection.cloud_state.clone(),
                allowed,
                why,
            }
        })
        .collect();
    // A refusal for the same reason says it already.
    if let Connections::Unreadable { why } = &seen.connections
        && !notes.iter().any(|note| note.contains(why))
    {
        notes.push(format!("its connections cannot be read: {why}"));
    }
    notes.extend(world.notes.get(&intent.name).into_iter().flatten().cloned());
    let of_place: Vec<String> = world.unknown.get(&intent.scope).into_iter().flatten().cloned().collect();
    notes.extend(of_place.iter().cloned());
    let waits = of(&sorted.waits, &intent.name);
    notes.extend(waits.iter().map(|wait| waiting(wait)));
    let traffic = Traffic::of(intent, &seen.targets);
    let state = state_of(intent, (world, sorted), &traffic, &connections, refused, &mut notes);
    ServiceStatus {
        name: intent.name.clone(),
        cloud: intent.cloud,
        state,
        targets: seen.targets,
        connections,
        notes,
        of_place,
    }
}

fn waiting(wait: &Wait) -> String {
    format!("waits for {}: {}", wait.on, wait.why)
}

/// How many resources of a service this deployment made.
fn parts(intent: &ServiceIntent, world: &World) -> usize {
    world.live.of(&intent.name).iter().filter(|live| live.is_ours()).count()
}

/// What has the name of a part of the service, and not its proof.
fn unproven(intent: &ServiceIntent, world: &World) -> Vec<String> {
    let why = |live: &Live| {
        live.ownership.why_it_stays(&live.address.kind.replace('-', " "), &live.id, &live.address)
    };
    world.live.of(&intent.name).iter().filter_map(why).collect()
}

/// A tombstone: it is as it should be when nothing is left.
fn of_removed(intent: &ServiceIntent, world: &World, notes: &mut Vec<String>) -> ServiceState {
    let exposed = world.services.get(&intent.name).and_then(|seen| seen.exposed.as_ref());
    let supplied = exposed.and_then(|exposed| world.at(exposed)).filter(|live| !live.is_ours());
    match (parts(intent, world), supplied) {
        (0, Some(live)) => {
            notes.push(format!(
                "removed, as the file says (`remove: true`): {} is not privnet's and stays, with the connections that were let in",
                live.id
            ));
            ServiceState::Absent
        }
        (0, None) => {
            let stays = unproven(intent, world);
            let of_it = if stays.is_empty() { "nothing of it" } else { "nothing that is proved to be of it" };
            notes.push(format!("removed, as the file says (`remove: true`): {of_it} is in {}", intent.scope));
            notes.extend(stays);
            ServiceState::Absent
        }
        (left, _) => {
            notes.push(format!(
                "to be removed (`remove: true`), and {left} resource(s) are there: run `privnet apply`"
            ));
            ServiceState::Waiting
        }
    }
}

fn state_of(
    intent: &ServiceIntent,
    (world, sorted): (&World, &Sorted<'_>),
    traffic: &Traffic,
    connections: &[ConnectionStatus],
    refused: bool,
    notes: &mut Vec<String>,
) -> ServiceState {
    let exposed =
        world.services.get(&intent.name).and_then(|seen| seen.exposed.as_ref()).unwrap_or(&intent.exposed);
    if intent.remove && !refused {
        return of_removed(intent, world, notes);
    }
    let Some(live) = world.at(exposed) else {
        let made = parts(intent, world);
        if let Some(why) = sorted.astray.get(&intent.name) {
            notes.push(why.clone());
        } else if made > 0 {
            let rest = if refused { "" } else { ": `privnet apply` makes the rest" };
            notes.push(format!(
                "partly made: {made} resource(s) are there, and what consumers connect to is not{rest}"
            ));
        } else if !refused {
            notes.push("nothing is there yet: run `privnet apply`".to_owned());
            return ServiceState::Absent;
        }
        return ServiceState::Degraded;
    };
    let broken: Vec<_> = world
        .live
        .of(&intent.name)
        .iter()
        .filter_map(|live| match &live.health {
            Health::Broken { state } => Some(format!("{} is {state}", live.address)),
            // Of what is being deleted, what consumers connect to is told of below; the rest was not to stay.
            Health::Busy { .. } | Health::Going { .. } | Health::Ready => None,
        })
        .collect();
    notes.extend(traffic.notes.iter().cloned());
    // What is refused, or goes, is handed over to nobody.
    if let Some(seen) = world.services.get(&intent.name)
        && !refused
        && !live.health.is_going()
    {
        notes.extend(plan::requests_to_come(intent, &seen.connections).iter().map(waiting));
    }
    if refused || !broken.is_empty() || traffic.fails {
        notes.extend(broken);
        return ServiceState::Degraded;
    }
    if let Health::Going { state } = &live.health {
        notes.push(format!("{} is being deleted (`{state}`)", live.address));
        return ServiceState::Degraded;
    }
    if let Health::Busy { state } = &live.health {
        notes.push(format!("{} is {state}", live.address));
        return ServiceState::Waiting;
    }
    let connected = connections
        .iter()
        .any(|connection| connection.state == ConnectionState::Accepted && connection.allowed);
    if connected && !traffic.is_awaited { ServiceState::Ready } else { ServiceState::Waiting }
}

/// Whether sessions find a target that takes them: each port for itself, for who comes in by one is not helped by another's.
#[derive(Debug, Default, PartialEq, Eq)]
struct Traffic {
    /// On some port no target works: checks fail, or there is none.
    fails: bool,
    /// On some port the first checks are under way, or what is there is on its way out.
    is_awaited: bool,
    /// Of each of these ports what is to be known.
    notes: Vec<String>,
}

impl Traffic {
    /// By the ports that the file gives targets for. Where a target's port is not told, it stands for all of them; where the file gives none,
    /// all targets are one group.
    fn of(intent: &ServiceIntent, targets: &[Target]) -> Self {
        let mut groups: BTreeMap<Option<u16>, Vec<TargetState>> =
            intent.listens.iter().map(|port| (Some(*port), Vec::new())).collect();
        if groups.is_empty() && !targets.is_empty() {
            groups.insert(None, Vec::new());
        }
        for (port, states) in &mut groups {
            let its = |target: &&Target| port.is_none() || target.listen.is_none() || target.listen == *port;
            states.extend(targets.iter().filter(its).map(|target| target.state));
        }
        let mut traffic = Self::default();
        for (port, states) in groups {
            let which = port.map_or("the service".to_owned(), |port| format!("port {port}"));
            traffic.add(&which, &states);
        }
        traffic
    }

    fn add(&mut self, which: &str, states: &[TargetState]) {
        let count = |state| states.iter().filter(|one| **one == state).count();
        // What the cloud does not tell is taken to work.
        if count(TargetState::Healthy) + count(TargetState::Unknown) > 0 {
            return;
        }
        let unhealthy = count(TargetState::Unhealthy);
        let note = if states.is_empty() {
            format!("{which} has no target: who comes in there gets no answer")
        } else if unhealthy > 0 {
            format!("no target of {which} takes connections: {unhealthy} of {} unhealthy", states.len())
        } else {
            format!("no target of {which} takes connections yet")
        };
        if states.is_empty() || unhealthy > 0 {
            self.fails = true;
        } else {
            self.is_awaited = true;
        }
        self.notes.push(note);
    }
}

#[cfg(test)]
mod tests;
