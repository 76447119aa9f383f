//! The two sides that a plan compares: what the file wants, and what was observed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::accept::{Connection, ServicePolicy};
use crate::lives::Lives;
use crate::plan::{Refusal, Wait};
use crate::resource::{Live, Resource, Scope};

/// What the file wants of one service, apart from its resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceIntent {
    /// Its name.
    pub name: String,
    /// `aws`, `azure` or `gcp`.
    pub cloud: &'static str,
    /// Where it is.
    pub scope: Scope,
    /// Whether it is a tombstone (`remove: true`): what is there of it goes.
    pub remove: bool,
    /// Who may connect.
    pub policy: ServicePolicy,
    /// The resource that consumers connect to; connection decisions are actions on it.
    pub exposed: crate::resource::Address,
    /// The ports that consumers come in by and whose targets the file gives.
    pub listens: BTreeSet<u16>,
}

/// The whole desired side of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// The unit of ownership.
    pub deployment: String,
    /// The services, by name.
    pub services: BTreeMap<String, ServiceIntent>,
    /// Their resources, each once; tombstones have none.
    pub resources: Vec<Resource>,
    /// What lowering knows to wait for.
    pub waits: Vec<Wait>,
    /// What lowering cannot do, in view of the facts.
    pub refusals: Vec<Refusal>,
    /// What a user should know.
    pub warnings: Vec<String>,
}

/// Whether a service's connections could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connections {
    /// Nothing is there that a consumer could connect to.
    NotExposed,
    /// All of them.
    Known(Vec<Connection>),
    /// They could not be read: they are taken to be live.
    Unreadable {
        /// Why not.
        why: String,
    },
}

impl Connections {
    /// The connections, as far as they are known.
    #[must_use]
    pub fn known(&self) -> &[Connection] {
        match self {
            Self::Known(connections) => connections,
            Self::NotExposed | Self::Unreadable { .. } => &[],
        }
    }

    /// Whether something live would be cut: an accepted connection, or one that cannot be ruled out.
    #[must_use]
    pub fn may_be_live(&self) -> bool {
        match self {
            Self::NotExposed => false,
            Self::Known(connections) => connections.iter().any(|connection| connection.state.may_be_live()),
            Self::Unreadable { .. } => true,
        }
    }
}

/// The state of one target behind a load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Which: `10.0.1.5:5432`, an instance, a forwarder.
    pub id: String,
    /// The port that consumers come in by; absent where the cloud tells of targets of all ports together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<u16>,
    /// The state in privnet's words.
    pub state: TargetState,
    /// The cloud's own words, the reason among them.
    pub cloud_state: String,
}

/// A target's state, the same words for all clouds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetState {
    /// It takes connections.
    Healthy,
    /// Its first checks are under way.
    Starting,
    /// It is on its way out.
    Draining,
    /// Checks fail.
    Unhealthy,
    /// The cloud does not say.
    Unknown,
}

/// What was observed of one service, apart from its resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceWorld {
    /// Who is connected or wants to be.
    pub connections: Connections,
    /// What the traffic goes to.
    pub targets: Vec<Target>,
    /// The live resource that consumers connect to.
    pub exposed: Option<crate::resource::Address>,
}

impl Default for ServiceWorld {
    fn default() -> Self {
        Self { connections: Connections::NotExposed, targets: Vec::new(), exposed: None }
    }
}

/// What this deployment made for a service whose file now names what is there already instead: it goes, and its connections are
/// not those of what the file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    /// What consumers connected to; none where that is gone, and something is left beside it.
    pub exposed: Option<crate::resource::Address>,
    /// Who is connected to it, or wants to be.
    pub connections: Connections,
}

/// What is known of a service of which nothing is where the file puts it, from a look at other places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// It is in another place.
    Found {
        /// The place, in the words of the file: `eu-west-1`.
        place: String,
        /// What consumers connect to there, in words, with its id.
        what: String,
        /// Whether another service of the file is in that place, so that a look at the whole file finds this one there, too.
        is_listed: bool,
    },
    /// Whether it is in one could not be seen.
    Unseen {
        /// Where, and why not, in words.
        why: String,
    },
}

/// What keeps something of ours where it is: somebody else's things stand on it, or things of ours that cannot be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Why it is not taken away, and what to do.
    pub why: String,
    /// Whether they use what our consumers use, so that this is not taken away either.
    pub with_parts: bool,
}

/// Everything that was observed. Providers' observations are merged into one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// Everything with our name or our proof, and what the file names of the user's own, in the searched scopes. Services
    /// of the deployment that the file does not list are among it.
    pub live: Lives,
    /// Each service that was observed, and services found that the file does not list. A service of the file that is missing
    /// here could not be observed: nothing is planned for it.
    pub services: BTreeMap<String, ServiceWorld>,
    /// Services of the file that turned from what this deployment made to what is there already, and of which something of ours is
    /// still there.
    pub former: BTreeMap<String, Former>,
    /// Services of the file of which nothing is where it puts them, and that are in another place, or may be.
    pub elsewhere: BTreeMap<String, Elsewhere>,
    /// What else a plan needs to know (zones, ranges, addresses behind names), by a key of the provider's own.
    pub facts: BTreeMap<String, serde_json::Value>,
    /// Services that could not be observed or must not be touched (another account, a missing permission).
    pub refusals: Vec<Refusal>,
    /// What of ours things of somebody else's stand on, or may be stood on by what is not seen, by the cloud's id: it is not taken away, with no word.
    pub held: BTreeMap<String, Held>,
    /// What of ours the cloud does not delete while something of somebody else's is as it is, by the cloud's id, and why, in words: a plan that
    /// deletes it says so.
    pub kept_by_others: BTreeMap<String, String>,
    /// What of ours somebody took from the place that it was made for, or another thing that bears its proof, by the cloud's id: what the
    /// proof says that it was made as, or nothing for what somebody else put onto something of ours. Where it stands now is its address.
    pub misplaced: BTreeMap<String, Option<crate::resource::Address>>,
    /// What of a scope could not be found out and stops nothing, and the permission that is missing: in words, for people.
    pub unknown: BTreeMap<Scope, BTreeSet<String>>,
    /// What could not be found out of what may stand on a scope's resources, or be left of its services elsewhere: it matters to a plan that
    /// does something there, and is said by it.
    pub unseen: BTreeMap<Scope, BTreeSet<String>>,
    /// What a person should know of a service, whoever is connected to it, by its name: in words.
    pub notes: BTreeMap<String, BTreeSet<String>>,
    /// Where was searched.
    pub searched: BTreeSet<Scope>,
    /// Of these places, those that are not there at all (a resource group that was deleted): nothing is in them.
    pub absent: BTreeSet<Scope>,
    /// The caller's identity in each scope, as the cloud reports it; for the audit log.
    pub callers: BTreeMap<Scope, String>,
}

impl ServiceWorld {
    /// Takes in what was seen of the same service elsewhere: where it was before it moved, somebody may be connected, and a place where
    /// nothing of it is does not hide that.
    fn merge(&mut self, seen: Self) {
        self.exposed = self.exposed.take().or(seen.exposed);
        if !seen.targets.is_empty() {
            self.targets = seen.targets;
        }
        self.connections =
            match (std::mem::replace(&mut self.connections, Connections::NotExposed), seen.connections) {
                (Connections::NotExposed, other) | (other, Connections::NotExposed) => other,
                (unreadable @ Connections::Unreadable { .. }, _)
                | (_, unreadable @ Connections::Unreadable { .. }) => unreadable,
                (Connections::Known(mut known), Connections::Known(more)) => {
                    let new = |one: &Connection| known.iter().all(|other| other.id != one.id);
                    let more: Vec<Connection> = more.into_iter().filter(new).collect();
                    known.extend(more);
                    Connections::Known(known)
                }
            };
    }
}

impl World {
    /// Takes in what another provider saw.
    pub fn merge(&mut self, other: Self) {
        self.live.extend(other.live);
        for (service, seen) in other.services {
            self.services.entry(service).or_default().merge(seen);
        }
        for (service, former) in other.former {
            let known = self.former.get(&service).is_some_and(|known| known.exposed.is_some());
            if !known {
                self.former.insert(service, former);
            }
        }
        for (service, seen) in other.elsewhere {
            let known = self.elsewhere.entry(service).or_insert_with(|| seen.clone());
            if matches!(seen, Elsewhere::Found { .. }) {
                *known = seen;
            }
        }
        self.facts.extend(other.facts);
        self.refusals.extend(other.refusals);
        self.held.extend(other.held);
        self.kept_by_others.extend(other.kept_by_others);
        self.misplaced.extend(other.misplaced);
        for (scope, said) in other.unknown {
            self.unknown.entry(scope).or_default().extend(said);
        }
        for (scope, said) in other.unseen {
            self.unseen.entry(scope).or_default().extend(said);
        }
        for (service, said) in other.notes {
            self.notes.entry(service).or_default().extend(said);
        }
        self.searched.extend(other.searched);
        self.absent.extend(other.absent);
        self.callers.extend(other.callers);
    }

    /// What of a service would be cut by deleting something of ours: what consumers connect to, and who they are.
    #[must_use]
    pub fn ours_of(&self, service: &str) -> Option<(Option<&crate::resource::Address>, &Connections)> {
        if let Some(former) = self.former.get(service) {
            return Some((former.exposed.as_ref(), &former.connections));
        }
        let seen = self.services.get(service)?;
        Some((seen.exposed.as_ref(), &seen.connections))
    }

    /// Whether a consumer may be connected to a service through something of ours.
    #[must_use]
    pub fn may_be_connected(&self, service: &str) -> bool {
        match self.ours_of(service) {
            None | Some((_, Connections::NotExposed)) => false,
            Some((_, Connections::Unreadable { .. })) => true,
            Some((_, Connections::Known(all))) => all.iter().any(|connection| connection.state.may_be_live()),
        }
    }

    /// The live resource of ours, or the supplied one, at `address`; the one that works first, where a replacement left two.
    #[must_use]
    pub fn at(&self, address: &crate::resource::Address) -> Option<&Live> {
        let usable = |live: &&Live| live.address == *address && is_usable(live);
        self.live.of(&address.service).iter().filter(usable).min_by_key(|live| live.generation)
    }
}

/// Whether something is ours, or what the file names of the user's own.
fn is_usable(live: &Live) -> bool {
    !matches!(live.ownership, crate::resource::Ownership::Unproven { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(connections: Connections, exposed: bool) -> World {
        let exposed = exposed.then(|| crate::resource::Address::new("orders", "endpoint-service", "main"));
        let service = ServiceWorld { connections, exposed, ..ServiceWorld::default() };
        World { services: BTreeMap::from([("orders".to_owned(), service)]), ..World::default() }
    }

    #[test]
    fn a_place_without_a_service_hides_nobody_who_is_connected_at_another() {
        let unreadable = || Connections::Unreadable { why: "denied".to_owned() };
        for connections in [Connections::Known(Vec::new()), unreadable()] {
            for old_first in [true, false] {
                let (old, new) = (seen(connections.clone(), true), seen(Connections::NotExposed, false));
                let (mut world, other) = if old_first { (old, new) } else { (new, old) };
                world.merge(other);
                let service = &world.services["orders"];
                assert_eq!(service.connections, connections, "{old_first}");
                assert!(service.exposed.is_some());
            }
        }
    }
}
