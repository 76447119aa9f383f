//! What a person wants to know of a service, from what was observed: pure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::accept::{self, ConnectionState};
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
    desired.services.values().map(|intent| of_service(desired, intent, world)).collect()
}

fn of_service(desired: &Desired, intent: &ServiceIntent, world: &World) -> ServiceStatus {
    let seen = world.services.get(&intent.name).cloned().unwrap_or_default();
    let mut notes: Vec<String> = world
        .refusals
        .iter()
        .chain(&desired.refusals)
        .filter(|refusal| refusal.address.service == intent.name)
        .map(|refusal| refusal.why.clone())
        .collect();
    let refused = !notes.is_empty();
    let known = seen.connections.known();
    let connections: Vec<_> = known
        .iter()
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
    notes.extend(
        desired
            .waits
            .iter()
            .filter(|w| w.service == intent.name)
            .map(|w| format!("waits for {}: {}", w.on, w.why)),
    );
    let traffic = Traffic::of(intent, &seen.targets);
    let state = state_of(intent, world, &traffic, &connections, refused, &mut notes);
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

/// How many resources of a service this deployment made.
fn parts(intent: &ServiceIntent, world: &World) -> usize {
    let ours = |live: &&Live| live.is_ours() && live.address.service == intent.name;
    world.live.iter().filter(ours).count()
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
            notes.push(format!(
                "removed, as the file says (`remove: true`): nothing of it is in {}",
                intent.scope
            ));
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
    world: &World,
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
        if made > 0 {
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
        .iter()
        .filter(|live| live.address.service == intent.name)
        .filter_map(|live| match &live.health {
            Health::Broken { state } => Some(format!("{} is {state}", live.address)),
            // Of what is being deleted, what consumers connect to is told of below; the rest was not to stay.
            Health::Busy { .. } | Health::Going { .. } | Health::Ready => None,
        })
        .collect();
    notes.extend(traffic.notes.iter().cloned());
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
