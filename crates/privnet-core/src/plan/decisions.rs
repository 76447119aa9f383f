//! Decisions on connections as plans, and what is waited for.

use std::collections::BTreeSet;

use crate::accept::{self, Again, Ask, Connection, ConnectionState, Decision, ServicePolicy, Verdict, Why};
use crate::kind::KindTable;
use crate::named_twice::NamedTwice;
use crate::plan::guard::SEVER;
use crate::plan::steps::{connection_action, locks_of};
use crate::plan::{Action, ConnectionAction, CutAlong, Op, Plan, Refusal, Rule, Summary, Wait};
use crate::resource::{Address, Scope};
use crate::world::{Connections, Desired, ServiceIntent, World};

/// The plan that carries out `decisions`; those that are ambiguous, or that something is in the way of, become refusals.
#[must_use]
pub fn plan_decisions(desired: &Desired, world: &World, kinds: &KindTable, decisions: &[Decision]) -> Plan {
    let mut plan = Plan::default();
    for decision in decisions {
        let Some(intent) = desired.services.get(&decision.service) else { continue };
        let exposed = exposed_of(intent, world);
        let op = match decision.verdict {
            Verdict::Accepted => Op::Accept,
            Verdict::Rejected => Op::Reject,
            Verdict::Left => {
                plan.refusals.extend(refused(decision, exposed));
                continue;
            }
        };
        if op == Op::Reject
            && let Some(own) = connection_of(decision, world)
        {
            // Nobody is cut by a decision on what is pending: not the others of its consumer either.
            if let Some(why) = cut_by_rejecting(own) {
                let flag = Some(SEVER.to_owned());
                plan.refusals.push(Refusal { address: exposed, rule: Rule::WouldSever, why, flag });
                continue;
            }
            plan.warnings.extend(said_of(own));
        }
        if decision.why == Why::Chosen
            && let Some((own, seen)) =
                connection_of(decision, world).zip(world.services.get(&decision.service))
        {
            // Who was passed over now is not passed over for good.
            plan.warnings.extend(next_in_line(&intent.policy, seen.connections.known(), own));
        }
        let connection = ConnectionAction {
            id: decision.connection.clone(),
            handle: decision.handle.clone(),
            consumer: decision.consumer.clone(),
            who: decision.who.clone(),
            preset: decision.preset.as_ref().map(|preset| format!("{} {}", preset.name, preset.version)),
            state: decision.state,
            sever: false,
            along: let_in_together(decision, decisions),
            besides: decision.besides.said.clone(),
            entries: decision.besides.entries.clone(),
            cut: Vec::new(),
            turned_away: turned_away_along(decision, decisions, intent, world),
        };
        let mut action = action(op, &exposed, intent.scope.clone(), connection);
        action.reason = decision.why.to_string();
        find(&mut action, world, kinds);
        plan.actions.push(action);
    }
    // Who is left as a stranger may be one for want of what could not be found out.
    if decisions.iter().any(|decision| decision.verdict == Verdict::Left) {
        plan.warnings.extend(world.unknown.values().flatten().collect::<BTreeSet<_>>().into_iter().cloned());
    }
    plan.summary = Summary {
        accept: plan.actions.iter().filter(|action| action.op == Op::Accept).count(),
        reject: plan.actions.iter().filter(|action| action.op == Op::Reject).count(),
        ..Summary::default()
    };
    plan
}

/// A decision that somebody must see to before it is made.
fn refused(decision: &Decision, address: Address) -> Option<Refusal> {
    let (rule, flag) = if decision.is_ambiguous() {
        let is_twin = matches!(decision.why, Why::Twins { .. });
        let name = if is_twin { &decision.handle } else { &decision.connection };
        (Rule::Ambiguous, Some(format!("--connection {name}")))
    } else if decision.is_refused() {
        (Rule::Unsuitable, None)
    } else {
        return None;
    };
    let why = format!("{} ({}): {}", decision.connection, decision.who, decision.why);
    Some(Refusal { address, rule, why, flag })
}

/// The plan that rejects one connection, or `None` where no service has it. A live one is refused unless `sever`.
#[must_use]
pub fn plan_rejection(
    desired: &Desired,
    world: &World,
    kinds: &KindTable,
    id: &str,
    sever: bool,
) -> Option<Plan> {
    let mut plan = Plan::default();
    let mut found = false;
    for intent in desired.services.values() {
        let Some(seen) = world.services.get(&intent.name) else { continue };
        // It is one decision, of the service that stays.
        let twice = NamedTwice::of(desired, world, intent);
        let own =
            |connection: &&Connection| connection.is_named(id) && twice.service_of(connection).is_none();
        for connection in seen.connections.known().iter().filter(own) {
            found = true;
            let exposed = exposed_of(intent, world);
            let cuts = cut_by_rejecting(connection);
            if let Some(why) = &connection.besides.rejecting.refused {
                // No word helps with that, so none is asked for.
                let why = format!("{} ({}): {why}", connection.id, connection.who());
                plan.refusals.push(Refusal { address: exposed, rule: Rule::Unsuitable, why, flag: None });
            } else if let (Some(why), false) = (&cuts, sever) {
                let why = why.clone();
                let flag = Some(SEVER.to_owned());
                plan.refusals.push(Refusal { address: exposed, rule: Rule::WouldSever, why, flag });
            } else if blocks_deletion(connection) || connection.again == Again::Finish {
                let mut action = reject(&exposed, connection, Some(&intent.policy), sever);
                action.scope = intent.scope.clone();
                find(&mut action, world, kinds);
                action.reason = "asked with --connection".to_owned();
                let along = cuts.filter(|_| !connection.cut_along.is_empty());
                plan.warnings.extend(along.or_else(|| said_of(connection)));
                let besides = &connection.besides.rejecting;
                plan.warnings.extend(besides.said.iter().map(|what| format!("{}: {what}", connection.id)));
                if let Some(decided) = &mut action.connection {
                    decided.besides.clone_from(&besides.said);
                    decided.entries.clone_from(&besides.entries);
                    let told = |ids: &BTreeSet<String>| told(&intent.policy, seen.connections.known(), ids);
                    decided.cut = told(&connection.cut_along.iter().cloned().collect());
                    decided.turned_away = told(&besides.turned_away);
                }
                if connection.state.may_be_live() {
                    plan.warnings.extend(next_in_line(&intent.policy, seen.connections.known(), connection));
                }
                plan.actions.push(action);
            } else {
                let note = connection.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
                plan.warnings.push(format!("{} is {} already{note}", connection.id, connection.cloud_state));
            }
        }
    }
    plan.summary.reject = plan.actions.len();
    found.then_some(plan)
}

/// Who is cut when a connection is turned away, in words; nothing where nobody is.
fn cut_by_rejecting(connection: &Connection) -> Option<String> {
    let (id, who) = (&connection.id, connection.who());
    let along = connection.cut_along.join(", ");
    let live = connection.state.may_be_live();
    let own = format!("{id} ({who}) is {}", connection.cloud_state);
    let bereft: Vec<&str> = connection.besides.rejecting.bereft.iter().map(String::as_str).collect();
    match (live, along.is_empty()) {
        (false, true) if bereft.is_empty() => None,
        (false, true) => Some(format!(
            "{own}, but to reject it takes what let {} in off the list as well: connected still, and not let in again",
            bereft.join(", ")
        )),
        (true, true) => Some(format!("{own} and would be cut")),
        (true, false) => Some(format!("{own} and would be cut, and {along} as well")),
        (false, false) => Some(format!("{own}, but to reject it cuts {along} as well")),
    }
}

/// Who those are that go with a connection, for the audit log: that is a decision on each.
fn told(policy: &ServicePolicy, known: &[Connection], ids: &BTreeSet<String>) -> Vec<CutAlong> {
    let along = known.iter().filter(|other| ids.contains(&other.id));
    let told = along.map(|other| {
        let ConnectionAction { id, consumer, who, preset, .. } =
            connection_action(other, policy.consumer_of(other), true);
        CutAlong { id, consumer, who, preset }
    });
    told.collect()
}

/// Who waits and is turned away with the one that a decision turns away, where none of these decisions is about them.
fn turned_away_along(
    decision: &Decision,
    decisions: &[Decision],
    intent: &ServiceIntent,
    world: &World,
) -> Vec<CutAlong> {
    let known = world.services.get(&decision.service).map(|seen| seen.connections.known());
    if decision.verdict != Verdict::Rejected {
        return Vec::new();
    }
    let mut along = decision.besides.turned_away.clone();
    let rejected = decisions
        .iter()
        .filter(|other| other.verdict == Verdict::Rejected && other.service == decision.service);
    rejected.for_each(|other| {
        along.remove(&other.connection);
    });
    told(&intent.policy, known.unwrap_or_default(), &along)
}

/// The others of a service that are let in by the same plan: an entry for a whole consumer lets them in at once.
fn let_in_together(decision: &Decision, decisions: &[Decision]) -> Vec<String> {
    let accepted = decisions.iter().filter(|other| {
        decision.verdict == Verdict::Accepted
            && other.verdict == Verdict::Accepted
            && other.service == decision.service
            && other.handle != decision.handle
    });
    accepted.map(|other| other.connection.clone()).collect()
}

/// What a person should know of those who wait besides a connection: whoever decides next lets them in when it is gone, since nothing but the
/// file and who is connected says for whom there is room.
fn next_in_line(policy: &ServicePolicy, known: &[Connection], own: &Connection) -> Option<String> {
    let allowed = |connections: &[Connection]| -> BTreeSet<String> {
        let decisions = accept::decide(policy, connections, &Ask::default());
        let allowed = decisions.into_iter().filter(|decision| decision.verdict == Verdict::Accepted);
        allowed.map(|decision| decision.connection).collect()
    };
    let stays = |other: &&Connection| other.handle != own.handle && !own.cut_along.contains(&other.id);
    let mut without: Vec<Connection> = known.iter().filter(stays).cloned().collect();
    for other in &mut without {
        other.company.others.retain(|id| *id != own.id && !own.cut_along.contains(id));
    }
    let next: Vec<String> = allowed(&without).difference(&allowed(known)).cloned().collect();
    (!next.is_empty()).then(|| {
        format!(
            "{}: {} fits the policy when {} is gone, and `accept-pending` and `watch` let it in then: reject it too, or name the one that \
             you mean in `only`",
            policy.service,
            next.join(", "),
            own.id
        )
    })
}

/// What a person should know before a connection is turned away, such as who is turned away with it.
fn said_of(connection: &Connection) -> Option<String> {
    connection.note.as_ref().map(|note| format!("{}: {note}", connection.id))
}

/// The connection that a decision is about.
fn connection_of<'a>(decision: &Decision, world: &'a World) -> Option<&'a Connection> {
    let seen = world.services.get(&decision.service)?;
    seen.connections.known().iter().find(|connection| connection.handle == decision.handle)
}

/// The resource of a service that decisions are made on: the live one where the provider found it elsewhere.
fn exposed_of(intent: &ServiceIntent, world: &World) -> Address {
    let seen = world.services.get(&intent.name).and_then(|seen| seen.exposed.clone());
    seen.unwrap_or_else(|| intent.exposed.clone())
}

/// Which one a decision is made on, and what must not be written beside it: decisions on one service are writes to it like any other.
fn find(action: &mut Action, world: &World, kinds: &KindTable) {
    let Some(live) = world.at(&action.address) else { return };
    action.live_id = Some(live.id.clone());
    action.locks = locks_of(kinds, live);
}

/// The reject of one connection; the caller fills in scope, id, locks and reason.
pub(super) fn reject(
    exposed: &Address,
    connection: &Connection,
    policy: Option<&ServicePolicy>,
    sever: bool,
) -> Action {
    let consumer = policy.and_then(|policy| policy.consumer_of(connection));
    action(Op::Reject, exposed, Scope(String::new()), connection_action(connection, consumer, sever))
}

fn action(op: Op, exposed: &Address, scope: Scope, connection: ConnectionAction) -> Action {
    Action {
        id: format!("{} {exposed} {}", op.as_str(), connection.id),
        address: exposed.clone(),
        op,
        reason: String::new(),
        changes: Vec::new(),
        after: Vec::new(),
        generation: None,
        scope,
        live_id: None,
        connection: Some(Box::new(connection)),
        locks: Vec::new(),
    }
}

/// Whether a cloud would refuse to delete the service because of this connection.
pub(super) fn blocks_deletion(connection: &Connection) -> bool {
    connection.state == ConnectionState::Pending || connection.state.may_be_live()
}

/// What a service waits for on the consumers' side, and on the user's.
pub(super) fn waits_of(intent: &ServiceIntent, connections: &Connections) -> Vec<Wait> {
    let policy = &intent.policy;
    let known = match connections {
        Connections::Unreadable { .. } => return Vec::new(),
        Connections::NotExposed => {
            let all: Vec<&str> = policy.consumers.iter().map(|c| c.name.as_str()).collect();
            return vec![request_of(&all, &intent.name)];
        }
        Connections::Known(known) => known,
    };
    let decisions = accept::decide(policy, known, &Ask::default());
    let mut waits = Vec::new();
    waits.extend(pending_wait(&intent.name, &decisions));
    waits.extend(missing(intent, known, &decisions));
    waits
}

/// The requests that a service which is there still waits for: of consumers without a connection and without a request. Nothing is known of
/// them where connections cannot be read.
pub(crate) fn requests_to_come(intent: &ServiceIntent, connections: &Connections) -> Option<Wait> {
    let Connections::Known(known) = connections else { return None };
    missing(intent, known, &accept::decide(&intent.policy, known, &Ask::default()))
}

fn request_of(consumers: &[&str], service: &str) -> Wait {
    Wait {
        on: consumers.join(", "),
        why: "its connection request, once it has what `privnet handoff` prints".to_owned(),
        service: service.to_owned(),
    }
}

fn missing(intent: &ServiceIntent, known: &[Connection], decisions: &[Decision]) -> Option<Wait> {
    let policy = &intent.policy;
    // Who has neither a connection nor a request has yet to ask; so has the endpoint that `only` names, whoever of its account is in.
    let came = |consumer: &str| {
        let live = |c: &Connection| {
            c.state.may_be_live()
                && policy.admits(c)
                && policy.consumer_of(c).is_some_and(|own| own.name == consumer)
        };
        let asks = |d: &Decision| d.consumer.as_deref() == Some(consumer) && !matches!(d.why, Why::NotInOnly);
        known.iter().any(live) || decisions.iter().any(asks)
    };
    let missing: Vec<&str> =
        policy.consumers.iter().map(|c| c.name.as_str()).filter(|name| !came(name)).collect();
    (!missing.is_empty()).then(|| request_of(&missing, &intent.name))
}

/// What a plan says of a service's pending requests, which it does not decide on itself: what the user is to do about them.
#[must_use]
pub fn pending_wait(service: &str, decisions: &[Decision]) -> Option<Wait> {
    // Each is counted once, by what is to be done about it.
    let [mut let_in, mut elsewhere, mut surplus, mut hindered, mut left] = [0_usize; 5];
    for decision in decisions {
        *match &decision.why {
            _ if decision.verdict == Verdict::Accepted => &mut let_in,
            Why::ForWhich { .. } => &mut elsewhere,
            _ if decision.is_ambiguous() => &mut surplus,
            _ if decision.is_refused() => &mut hindered,
            _ => &mut left,
        } += 1;
    }
    let sorts = [
        (let_in, ": run `privnet accept-pending`"),
        (
            elsewhere,
            " that may be meant for another service: `privnet status` says which, and `privnet accept-pending --connection ID` chooses",
        ),
        (surplus, ", more than there is room for: `privnet accept-pending --connection ID` chooses"),
        (hindered, " that something is in the way of: `privnet accept-pending` says what"),
        (left, " that the policy does not let in: `privnet status` says why"),
    ];
    let said = sorts.iter().filter(|(count, _)| *count > 0).enumerate().map(|(nth, (count, what))| {
        let requests = if nth == 0 { "pending connection request(s)" } else { "more" };
        format!("{count} {requests}{what}")
    });
    let said: Vec<String> = said.collect();
    (!said.is_empty()).then(|| Wait {
        on: "you".to_owned(),
        why: said.join("; "),
        service: service.to_owned(),
    })
}
