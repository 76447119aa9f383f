//! Decisions on connections as plans, and what is waited for.

use crate::accept::{Connection, ConnectionState, Decision, ServicePolicy, Verdict, Why};
use crate::plan::build::connection_action;
use crate::plan::guard::SEVER;
use crate::plan::{Action, ConnectionAction, Op, Plan, Refusal, Rule, Summary, Wait};
use crate::resource::{Address, Scope};
use crate::world::{Connections, Desired, ServiceIntent, World};

/// The plan that carries out `decisions`; ambiguous ones become refusals.
#[must_use]
pub fn plan_decisions(desired: &Desired, world: &World, decisions: &[Decision]) -> Plan {
    let mut plan = Plan::default();
    for decision in decisions {
        let Some(intent) = desired.services.get(&decision.service) else { continue };
        let exposed = exposed_of(intent, world);
        let op = match decision.verdict {
            Verdict::Accepted => Op::Accept,
            Verdict::Rejected => Op::Reject,
            Verdict::Left => {
                if let Why::Ambiguous { .. } = decision.why {
                    let why = format!("{} ({}): {}", decision.connection, decision.who, decision.why);
                    let flag = Some(format!("--connection {}", decision.connection));
                    plan.refusals.push(Refusal { address: exposed, rule: Rule::Ambiguous, why, flag });
                }
                continue;
            }
        };
        let connection = ConnectionAction {
            id: decision.connection.clone(),
            handle: decision.handle.clone(),
            consumer: decision.consumer.clone(),
            who: decision.who.clone(),
            preset: decision.preset.as_ref().map(|preset| format!("{} {}", preset.name, preset.version)),
            sever: false,
        };
        let mut action = action(op, &exposed, intent.scope.clone(), connection);
        action.reason = decision.why.to_string();
        action.live_id = world.at(&exposed).map(|live| live.id.clone());
        plan.actions.push(action);
    }
    plan.summary = Summary {
        accept: plan.actions.iter().filter(|action| action.op == Op::Accept).count(),
        reject: plan.actions.iter().filter(|action| action.op == Op::Reject).count(),
        ..Summary::default()
    };
    plan
}

/// The plan that rejects one connection, or `None` where no service has it. A live one is refused unless `sever`.
#[must_use]
pub fn plan_rejection(desired: &Desired, world: &World, id: &str, sever: bool) -> Option<Plan> {
    let mut plan = Plan::default();
    let mut found = false;
    for intent in desired.services.values() {
        let Some(seen) = world.services.get(&intent.name) else { continue };
        for connection in seen.connections.known().iter().filter(|connection| connection.is(id)) {
            found = true;
            let exposed = exposed_of(intent, world);
            if connection.state.may_be_live() && !sever {
                let why = format!(
                    "{} ({}) is {} and would be cut",
                    connection.id,
                    connection.who(),
                    connection.cloud_state
                );
                let flag = Some(SEVER.to_owned());
                plan.refusals.push(Refusal { address: exposed, rule: Rule::WouldSever, why, flag });
            } else if blocks_deletion(connection) {
                let mut action = reject(&exposed, connection, Some(&intent.policy), sever);
                action.scope = intent.scope.clone();
                action.live_id = world.at(&exposed).map(|live| live.id.clone());
                action.reason = "asked with --connection".to_owned();
                plan.warnings
                    .extend(connection.note.as_ref().map(|note| format!("{}: {note}", connection.id)));
                plan.actions.push(action);
            } else {
                plan.warnings.push(format!("{} is {} already", connection.id, connection.cloud_state));
            }
        }
    }
    plan.summary.reject = plan.actions.len();
    found.then_some(plan)
}

/// The resource of a service that decisions are made on: the live one where the provider found it elsewhere.
fn exposed_of(intent: &ServiceIntent, world: &World) -> Address {
    let seen = world.services.get(&intent.name).and_then(|seen| seen.exposed.clone());
    seen.unwrap_or_else(|| intent.exposed.clone())
}

/// The reject of one connection; the caller fills in scope, id and reason.
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
        connection: Some(connection),
        locks: Vec::new(),
    }
}

/// Whether a cloud would refuse to delete the service because of this connection.
pub(super) fn blocks_deletion(connection: &Connection) -> bool {
    connection.state == ConnectionState::Pending || connection.state.may_be_live()
}

/// What a plan says of a service's pending requests, which it does not decide on itself.
#[must_use]
pub fn pending_wait(service: &str, pending: usize) -> Wait {
    let why = format!("{pending} pending connection request(s): run `privnet accept-pending`");
    Wait { on: "you".to_owned(), why, service: service.to_owned() }
}

/// What a service waits for on the consumers' side.
pub(super) fn wait_of(intent: &ServiceIntent, connections: &Connections) -> Option<Wait> {
    let wait = |on: &str, why: String| Wait { on: on.to_owned(), why, service: intent.name.clone() };
    let consumers: Vec<_> = intent.policy.consumers.iter().map(|consumer| consumer.name.as_str()).collect();
    match connections {
        Connections::Unreadable { .. } => None,
        Connections::NotExposed => Some(wait(
            &consumers.join(", "),
            "its connection request, once it has what `privnet handoff` prints".to_owned(),
        )),
        Connections::Known(known) => {
            let pending =
                known.iter().filter(|connection| connection.state == ConnectionState::Pending).count();
            if pending > 0 {
                return Some(pending_wait(&intent.name, pending));
            }
            let missing: Vec<_> = intent
                .policy
                .consumers
                .iter()
                .filter(|consumer| {
                    !known.iter().any(|connection| {
                        connection.state.may_be_live()
                            && intent
                                .policy
                                .consumer_of(connection)
                                .is_some_and(|own| own.name == consumer.name)
                    })
                })
                .map(|consumer| consumer.name.as_str())
                .collect();
            let why = "its connection request, once it has what `privnet handoff` prints".to_owned();
            (!missing.is_empty()).then(|| wait(&missing.join(", "), why))
        }
    }
}
