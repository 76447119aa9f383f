//! What load balancers say of the machines behind them.

use std::time::Duration;

use futures::future::{join_all, try_join_all};
use privnet_core::execute::Context;
use privnet_core::world::{Target as Backend, TargetState};
use privnet_core::{Error, ErrorKind, Ownership, World};

use crate::arm::{Arm, Json, Target, at, items, same_id, text};
use crate::kinds::{load_balancer, scale_set};
use crate::snapshot::Snapshot;

/// How long a plan waits for what load balancers say of their machines: one that is being changed says nothing for a while.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reads which groups of machines answer, where a run that was cut short left two of one: a plan may have to let one go, and not the one that
/// serves. Of a pool where that cannot be read in full, nothing is known.
///
/// # Errors
/// No credentials, or an interruption.
pub(super) async fn read_answering(
    arm: &Arm,
    context: &Context,
    snapshot: &mut Snapshot<'_>,
    world: &mut World,
) -> Result<(), Error> {
    let doubled = scale_set::doubled(snapshot);
    let reads = doubled.iter().map(|(pool, groups)| {
        let balancer = scale_set::balancer_of(pool);
        let mut balancers = snapshot.load_balancers.iter();
        let balancer = balancers.find(|one| text(one, "id").is_some_and(|id| same_id(id, &balancer)));
        let calls = balancer.map(|balancer| scale_set::health_calls(balancer, pool)).unwrap_or_default();
        async move {
            let asks = calls.iter().map(|(_, health)| arm.post(context, health));
            (pool, groups, tokio::time::timeout(PATIENCE, try_join_all(asks)).await)
        }
    });
    let (mut answering, mut unknown) = (Vec::new(), Vec::new());
    for (pool, groups, read) in join_all(reads).await {
        let rules: Vec<Json> = match read {
            // Whatever else keeps this from being read, the older group counts as serving, as it does where it may not be read.
            Ok(Err(error)) if matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::Cancelled) => {
                return Err(error);
            }
            Ok(Ok(rules)) => rules,
            read => {
                let why = match read {
                    Ok(Err(error)) => error.to_string(),
                    _ => format!("no answer within {} s", PATIENCE.as_secs()),
                };
                unknown.push(format!(
                    "which machines behind {pool} answer is not known, so that the older of two groups counts as serving: {why}"
                ));
                Vec::new()
            }
        };
        let answers = |group: &&String| rules.iter().any(|rule| scale_set::healthy(rule, group) > 0);
        answering.extend(groups.iter().filter(answers).cloned());
    }
    world.unknown.entry(snapshot.scope.clone()).or_default().extend(unknown);
    snapshot.answering.extend(answering);
    Ok(())
}

/// Reads the health of what each load balancer of ours sends to.
///
/// # Errors
/// What ARM answered; a rule whose health cannot be read is shown as unknown.
pub(super) async fn read_targets(
    arm: &Arm,
    context: &Context,
    snapshot: &Snapshot<'_>,
    world: &mut World,
) -> Result<(), Error> {
    let mut asks = Vec::new();
    for balancer in &snapshot.load_balancers {
        let claim =
            snapshot.claim(balancer, load_balancer::KIND.name).filter(|c| c.ownership == Ownership::Ours);
        let (Some(claim), Some(id)) = (claim, text(balancer, "id")) else { continue };
        for rule in load_balancer::own_rules(balancer) {
            let name = text(rule, "name").unwrap_or_default().to_owned();
            let port = at(rule, "properties.backendPort").and_then(Json::as_i64).unwrap_or_default();
            let listen = at(rule, "properties.frontendPort").and_then(Json::as_u64);
            let listen = listen.and_then(|port| u16::try_from(port).ok());
            let health = Target::of(format!("{id}/loadBalancingRules/{name}/health"));
            let service = claim.address.service.clone();
            asks.push(async move { (service, name, (listen, port), arm.post(context, &health).await) });
        }
    }
    for (service, rule, (listen, port), answer) in join_all(asks).await {
        let Some(seen) = world.services.get_mut(&service) else { continue };
        match answer {
            Ok(health) => seen.targets.extend(
                items(&health, "loadBalancerBackendAddresses").iter().map(|m| backend(m, listen, port)),
            ),
            Err(error) => seen.targets.push(Backend {
                id: rule,
                listen,
                state: TargetState::Unknown,
                cloud_state: format!("its health cannot be read: {error}"),
            }),
        }
    }
    Ok(())
}

fn backend(member: &Json, listen: Option<u16>, port: i64) -> Backend {
    let state = text(member, "state").unwrap_or("Unknown");
    let reason = text(member, "reason").map(|reason| format!(" ({reason})")).unwrap_or_default();
    Backend {
        id: format!("{}:{port}", text(member, "ipAddress").unwrap_or("?")),
        listen,
        state: match state.to_ascii_lowercase().as_str() {
            "up" => TargetState::Healthy,
            "down" => TargetState::Unhealthy,
            _ => TargetState::Unknown,
        },
        cloud_state: format!("{state}{reason}"),
    }
}
