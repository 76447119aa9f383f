//! Who may connect: pure decisions over connections.
//!
//! **Accepted = the named consumer, and within `max_connections`, and in `only` where it is given.** The vendor's account is
//! shared by all the vendor's customers, so a match of the account alone is not enough: when more requests match than
//! there is room, none of the surplus is accepted.

mod connection;
mod crowd;
mod policy;
mod why;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use policy::{is_of, lists, takes};

pub use connection::{Again, Aside, Besides, Company, Connection, ConnectionState, Identity, Takes};
pub use crowd::{Crowd, crowds};
pub use policy::{ConsumerPolicy, PresetVersion, ServicePolicy};
pub use why::Why;

/// What is done about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is let in.
    Accepted,
    /// Nothing is done.
    Left,
    /// It is turned away.
    Rejected,
}

/// A decision on one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The service.
    pub service: String,
    /// The connection's id.
    pub connection: String,
    /// The name by which the cloud's calls address it.
    pub handle: String,
    /// The id by which the cloud's own tools show it, where it has one besides.
    pub resource: Option<String>,
    /// The consumer that it matches.
    pub consumer: Option<String>,
    /// The preset behind that consumer's identities.
    pub preset: Option<PresetVersion>,
    /// Who the cloud says it is.
    pub who: String,
    /// The state that it was decided on in.
    pub state: ConnectionState,
    /// What is done.
    pub verdict: Verdict,
    /// Why.
    pub why: Why,
    /// What it does besides.
    pub besides: Aside,
    /// What a person should know of the connection.
    pub note: Option<String>,
}

impl Decision {
    /// Whether a person who names one connection means that of this decision.
    #[must_use]
    pub fn is_named(&self, id: &str) -> bool {
        let names = [Some(&self.connection), Some(&self.handle), self.resource.as_ref()];
        names.into_iter().flatten().any(|name| name.eq_ignore_ascii_case(id))
    }

    /// Whether nobody but a person can decide on it, with `--connection`.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        matches!(self.why, Why::Ambiguous { .. } | Why::Twins { .. } | Why::ForWhich { .. })
    }

    /// Whether something is in the way of it that a person must see to first.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.why, Why::Refused { .. } | Why::Accompanied { .. })
    }
}

/// What the user asked besides the policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// Just this connection: settles an ambiguous case.
    pub connection: Option<String>,
    /// Turn pending strangers away. Never on services that are shared with others.
    pub reject_others: bool,
    /// Whether `connection` is decided on anew where it was turned away, or its decision was cut short. Without this, whoever turns a
    /// connection away while another one waits for consumers is not overruled.
    pub again: bool,
}

/// Decides on every pending connection of a service, and on one that is decided on already where it is asked for and can be.
#[must_use]
pub fn decide(policy: &ServicePolicy, connections: &[Connection], ask: &Ask) -> Vec<Decision> {
    let mut open: Vec<&Connection> = connections
        .iter()
        .filter(|connection| connection.state == ConnectionState::Pending || is_decided_anew(connection, ask))
        .collect();
    let counts = Counts {
        held: held(policy, connections),
        candidates: candidates(policy, connections),
        named: named(policy, &open, ask),
    };
    // By id, whatever the cloud lists first: what has room for few goes by that order.
    open.sort_by(|a, b| a.id.cmp(&b.id));
    let mut decisions: Vec<_> = open
        .iter()
        .copied()
        .map(|connection| {
            let consumer = policy.consumer_of(connection);
            let (verdict, why) = match consumer {
                // It has its place already: what is left to do is to bring that to its end.
                Some(_) if connection.state.may_be_live() => (Verdict::Accepted, Why::Finished),
                _ => judge(policy, connection, consumer, ask, &counts),
            };
            let besides = match verdict {
                Verdict::Accepted => connection.besides.accepting.clone(),
                Verdict::Rejected => connection.besides.rejecting.clone(),
                Verdict::Left => Aside::default(),
            };
            let (verdict, why, besides) = match besides.refused {
                Some(why) => (Verdict::Left, Why::Refused { why }, Aside::default()),
                None => (verdict, why, besides),
            };
            Decision {
                service: policy.service.clone(),
                connection: connection.id.clone(),
                handle: connection.handle.clone(),
                resource: connection.resource.clone(),
                consumer: consumer.map(|consumer| consumer.name.clone()),
                preset: consumer.and_then(|consumer| consumer.preset.clone()),
                who: connection.who(),
                state: connection.state,
                verdict,
                why,
                besides,
                note: connection.note.clone(),
            }
        })
        .collect();
    share_room(&mut decisions);
    let_nobody_in_by_the_way(&open, &mut decisions);
    decisions
}

/// Decisions that take entries of one list are made, in their order, as long as there is room for all that they take together.
fn share_room(decisions: &mut [Decision]) {
    let mut taken: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for decision in decisions {
        let Some(Takes { list, entries, room, full }) = decision.besides.takes.take() else { continue };
        let taken = taken.entry(list).or_default();
        if taken.union(&entries).count() > room {
            decision.verdict = Verdict::Left;
            decision.why = Why::Refused { why: full };
            decision.besides = Aside::default();
        } else {
            taken.extend(entries);
        }
    }
}

/// Where the cloud would let in others together with a connection, it is let in only if each of them is, by the same rule and at the same
/// time. One that is left for this may be another's company.
fn let_nobody_in_by_the_way(open: &[&Connection], decisions: &mut [Decision]) {
    loop {
        let accepted = decisions.iter().filter(|decision| decision.verdict == Verdict::Accepted);
        let let_in: BTreeSet<String> = accepted.map(|decision| decision.connection.clone()).collect();
        let mut settled = true;
        let accepted = open.iter().zip(&mut *decisions);
        for (connection, decision) in accepted.filter(|(_, one)| one.verdict == Verdict::Accepted) {
            let Company { others, instead } = &connection.company;
            let others: Vec<String> = others.difference(&let_in).cloned().collect();
            if !others.is_empty() {
                decision.verdict = Verdict::Left;
                decision.why = Why::Accompanied { others, instead: instead.clone() };
                decision.besides = Aside::default();
                settled = false;
            }
        }
        if settled {
            return;
        }
    }
}

/// Whether a connection is asked for that was turned away, or whose acceptance was cut short.
fn is_decided_anew(connection: &Connection, ask: &Ask) -> bool {
    let named = ask.again
        && !ask.reject_others
        && ask.connection.as_deref().is_some_and(|id| connection.is_named(id));
    let can_be = match connection.state {
        ConnectionState::Rejected => connection.again != Again::Nothing,
        state => state.may_be_live() && connection.again == Again::Finish,
    };
    named && can_be
}

/// The live connections that take a place of each consumer.
fn held<'a>(
    policy: &'a ServicePolicy,
    connections: &'a [Connection],
) -> BTreeMap<&'a str, Vec<&'a Connection>> {
    let mut held: BTreeMap<&str, Vec<&Connection>> = BTreeMap::new();
    for connection in connections.iter().filter(|connection| connection.state.may_be_live()) {
        // Whoever it could belong to has one place less: a live connection of a shared account is nobody's for sure. It is not that of
        // one whose `only` leaves it out, as long as it may be another's.
        let may_be_somebodys = policy.admits(connection);
        let could_be_its = |consumer: &&ConsumerPolicy| {
            is_of(consumer, connection) && (!may_be_somebodys || takes(consumer, connection))
        };
        for consumer in policy.consumers.iter().filter(could_be_its) {
            held.entry(consumer.name.as_str()).or_default().push(connection);
        }
    }
    held
}

/// How many pending requests each consumer's policy would let in, were there room.
fn candidates<'a>(policy: &'a ServicePolicy, connections: &[Connection]) -> BTreeMap<&'a str, usize> {
    let mut candidates = BTreeMap::new();
    for connection in connections.iter().filter(|connection| connection.state == ConnectionState::Pending) {
        if let Some(consumer) = policy.consumer_of(connection).filter(|_| policy.admits(connection)) {
            *candidates.entry(consumer.name.as_str()).or_default() += 1;
        }
    }
    candidates
}

/// The names of those that `--connection` is about and that each consumer's policy would let in, were there room: on Azure several
/// requests may be of one endpoint.
fn named<'a>(
    policy: &'a ServicePolicy,
    open: &[&'a Connection],
    ask: &Ask,
) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut named: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let Some(id) = &ask.connection else { return named };
    let new = |one: &&&Connection| one.is_named(id) && !one.state.may_be_live();
    for connection in open.iter().filter(new) {
        if let Some(consumer) = policy.consumer_of(connection).filter(|_| policy.admits(connection)) {
            named.entry(consumer.name.as_str()).or_default().push(&connection.handle);
        }
    }
    named
}

/// What decisions on a service's connections go by, for each consumer.
struct Counts<'a> {
    held: BTreeMap<&'a str, Vec<&'a Connection>>,
    candidates: BTreeMap<&'a str, usize>,
    named: BTreeMap<&'a str, Vec<&'a str>>,
}

fn judge(
    policy: &ServicePolicy,
    connection: &Connection,
    consumer: Option<&ConsumerPolicy>,
    ask: &Ask,
    counts: &Counts<'_>,
) -> (Verdict, Why) {
    let asked = ask.connection.as_deref().map(|id| connection.is_named(id));
    if asked == Some(false) {
        return (Verdict::Left, Why::NotAsked);
    }
    let Some(consumer) = consumer else {
        return if ask.reject_others && !policy.shared {
            (Verdict::Rejected, Why::RejectOthers)
        } else {
            (Verdict::Left, Why::Stranger)
        };
    };
    if !takes(consumer, connection) {
        return (Verdict::Left, Why::NotInOnly);
    }
    let name = consumer.name.as_str();
    let held = counts.held.get(name).map(Vec::as_slice).unwrap_or_default();
    let room = (consumer.max_connections as usize).saturating_sub(held.len());
    let pending = counts.candidates.get(name).copied().unwrap_or(0);
    let twins = counts.named.get(name).map(Vec::as_slice).unwrap_or_default();
    match (room, asked) {
        (0, _) => (Verdict::Left, full(policy, consumer, held)),
        (room, Some(_)) if twins.len() > room => {
            let names = twins.iter().map(|name| (*name).to_owned()).collect();
            (Verdict::Left, Why::Twins { names, room })
        }
        (_, Some(_)) if connection.state == ConnectionState::Rejected => {
            (Verdict::Accepted, Why::ChosenAgain)
        }
        (_, Some(_)) => (Verdict::Accepted, Why::Chosen),
        (_, None) if !connection.may_be_for.is_empty() && !lists(consumer, connection) => {
            (Verdict::Left, Why::ForWhich { others: connection.may_be_for.clone() })
        }
        (room, None) if pending > room => (Verdict::Left, Why::Ambiguous { pending, room }),
        _ => (Verdict::Accepted, Why::Allowed),
    }
}

/// Why there is no room, and which of the connections that take it could be another consumer's of the file as well.
fn full(policy: &ServicePolicy, consumer: &ConsumerPolicy, held: &[&Connection]) -> Why {
    let others = |connection: &Connection| -> Vec<String> {
        let could_be = policy.consumers.iter().filter(|other| {
            other.name != consumer.name && is_of(other, connection) && takes(other, connection)
        });
        could_be.map(|other| other.name.clone()).collect()
    };
    let shared =
        held.iter().map(|one| (one.id.clone(), others(one))).filter(|(_, others)| !others.is_empty());
    let mut shared: Vec<_> = shared.collect();
    shared.sort();
    Why::Full { max: consumer.max_connections, shared }
}

/// Whether the policy allows a connection as it stands, and why or why not: for `status`.
#[must_use]
pub fn assess(policy: &ServicePolicy, connection: &Connection, connections: &[Connection]) -> (bool, String) {
    if connection.state == ConnectionState::Pending {
        let decisions = decide(policy, connections, &Ask::default());
        return match decisions.iter().find(|decision| decision.connection == connection.id) {
            Some(decision) if decision.verdict == Verdict::Accepted => {
                (true, "waiting: `privnet accept-pending` lets it in".to_owned())
            }
            Some(decision) => (false, decision.why.to_string()),
            None => (false, Why::NotPending.to_string()),
        };
    }
    let Some(consumer) = policy.consumer_of(connection) else {
        return (false, Why::Stranger.to_string());
    };
    if !takes(consumer, connection) {
        return (false, Why::NotInOnly.to_string());
    }
    let live = connections.iter().filter(|c| {
        c.state.may_be_live() && policy.consumer_of(c).is_some_and(|own| own.name == consumer.name)
    });
    if connection.state == ConnectionState::Rejected {
        return (false, format!("it is {}, and was turned away", consumer.name));
    }
    if connection.state.may_be_live() && live.count() > consumer.max_connections as usize {
        return (false, format!("the consumer has more than its {} connection(s)", consumer.max_connections));
    }
    (true, format!("it is {}", consumer.name))
}

#[cfg(test)]
mod tests;
