//! How a group is taken out of service, and back into it.

use std::time::Duration;

use privnet_core::execute::{Poll, Until};
use privnet_core::{Error, ErrorKind};
use serde_json::json;
use tokio::time::Instant;

use super::{balancer_of, is_of, leads_to};
use crate::act::Act;
use crate::arm::{Json, Target, Write, items, same_id, set, text};
use crate::kinds::load_balancer;

/// Takes new connections away from a group, and gives established ones their time. Tells where the load balancer does not keep
/// the state, so that new ones still came until the end.
///
/// Two documents of Microsoft's differ on what `Down` does to established TCP connections: the feature's own page says that they persist
/// (<https://learn.microsoft.com/azure/load-balancer/admin-state-overview>, of 2026-01), the description of the enum says "reset existing
/// connections" (Azure/azure-rest-api-specs, `LoadBalancerBackendAddressAdminState`). The page tells TCP from UDP and is the newer
/// one, so it is followed. If the other is right, a session ends when the drain begins instead of when it is over; without a
/// drain new sessions would come until the machines go, and end with them.
pub(in crate::kinds::scale_set) async fn drain(
    act: &Act<'_>,
    pool: &str,
    group: &str,
    successors: &[String],
    seconds: i64,
) -> Result<Option<String>, Error> {
    let build = |there: &Json| {
        // Another run may be draining the successor in favour of this one: both together would leave nobody who serves.
        if would_leave_none(there, pool, successors) {
            let message =
                format!("{}, which was to take over, is drained, by another run", successors.join(" and "));
            return Err(act.overtaken(message));
        }
        Ok(marked(there, pool, group, "Down"))
    };
    let shown = write_balancer(act, pool, &build).await?;
    if !load_balancer::members(&shown, pool).iter().any(|member| member_of(member, group)) {
        return Ok(None);
    }
    let seconds = u64::try_from(seconds).unwrap_or_default();
    let end = Instant::now() + act.context.paced(Duration::from_secs(seconds));
    let limit = Duration::from_secs(seconds + 60);
    let until = Until { operation: "drain", subject: group, what: "drained", limit };
    let ask = || async move {
        let over = Instant::now() >= end;
        Ok(if over {
            Poll::Ready(())
        } else {
            Poll::Pending(format!("established sessions have {seconds} s"))
        })
    };
    act.context.until(until, ask).await?;
    let kept = is_drained(&shown, pool, group);
    let lost = "the load balancer did not keep the administrative state: new connections came until the end";
    Ok((!kept).then(|| lost.to_owned()))
}

/// Takes a group out of a drain.
pub(in crate::kinds::scale_set) async fn serve(act: &Act<'_>, pool: &str, group: &str) -> Result<(), Error> {
    write_balancer(act, pool, &|there| Ok(marked(there, pool, group, "None"))).await.map(|_| ())
}

/// Writes the load balancer of a pool as `change` has it, and gives it as it is then.
async fn write_balancer(
    act: &Act<'_>,
    pool: &str,
    change: &(dyn Fn(&Json) -> Result<Json, Error> + Sync),
) -> Result<Json, Error> {
    let build = |there: Option<&Json>| {
        let Some(there) = there else {
            return Err(act.error(ErrorKind::NotFound, "the load balancer is not there"));
        };
        let body = change(there)?;
        Ok(if body == *there { Write::Keep } else { Write::Put(body) })
    };
    act.arm.write(act.context, &Target::of(balancer_of(pool)), &build).await
}

/// Whether consumers come to this pool, and what is to serve them is drained.
pub(super) fn would_leave_none(balancer: &Json, pool: &str, successors: &[String]) -> bool {
    leads_to(balancer, pool) && successors.iter().all(|successor| is_drained(balancer, pool, successor))
}

/// The load balancer with this administrative state of a group's members
/// (<https://learn.microsoft.com/azure/load-balancer/admin-state-overview>).
pub(super) fn marked(balancer: &Json, pool: &str, group: &str, state: &str) -> Json {
    let mut body = balancer.clone();
    mark(&mut body, pool, group, state);
    body
}

pub(super) fn mark(balancer: &mut Json, pool: &str, group: &str, state: &str) -> bool {
    let mut found = false;
    let mut pools = items(balancer, "properties.backendAddressPools").to_vec();
    for of_pool in pools.iter_mut().filter(|p| text(p, "id").is_some_and(|id| same_id(id, pool))) {
        let mut members = items(of_pool, "properties.loadBalancerBackendAddresses").to_vec();
        for member in members.iter_mut().filter(|member| member_of(member, group)) {
            set(member, "properties.adminState", json!(state));
            found = true;
        }
        if found {
            set(of_pool, "properties.loadBalancerBackendAddresses", json!(members));
        }
    }
    if found {
        set(balancer, "properties.backendAddressPools", json!(pools));
    }
    found
}

/// Whether every member of a group is out of service.
pub(in crate::kinds::scale_set) fn is_drained(balancer: &Json, pool: &str, group: &str) -> bool {
    let members = load_balancer::members(balancer, pool);
    let mut own = members.into_iter().filter(|member| member_of(member, group)).peekable();
    own.peek().is_some()
        && own.all(|member| {
            text(member, "properties.adminState").is_some_and(|state| state.eq_ignore_ascii_case("down"))
        })
}

fn member_of(member: &Json, group: &str) -> bool {
    text(member, "properties.networkInterfaceIPConfiguration.id").is_some_and(|id| is_of(id, group))
}
