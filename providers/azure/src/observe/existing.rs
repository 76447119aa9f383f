//! Private link services of the user's own that the file names: one by itself, several by pages of their group, those of many groups by
//! the subscription's pages.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join_all, try_join_all};
use privnet_core::execute::Context;
use privnet_core::spec::Service;
use privnet_core::spec::azure_ids::ArmId;
use privnet_core::world::Connections;
use privnet_core::{Error, ObserveRequest, Purpose, Scope, ServiceWorld, World};

use super::known::frontend_fact;
use super::surroundings::{FEW, find, list};
use crate::arm::{Arm, Json, Target, concerns_everything, is_gone, items, same_id, text};
use crate::facts::{self, Facts, Frontend};
use crate::fields;
use crate::kinds::{load_balancer, private_link_service};
use crate::lower::existing::let_in_by_azure;

/// Services of the file with the private link service that each names.
type Named<'a> = Vec<(&'a Service, &'a ArmId)>;
/// Those of a subscription, by resource group.
pub(super) type Groups<'a> = BTreeMap<Scope, Named<'a>>;

/// What was read of a whole subscription: all private link services and, for a plan, all load balancers.
#[derive(Default)]
struct Everywhere {
    services: Vec<Json>,
    balancers: Vec<Json>,
}

/// What is there of those in one subscription.
///
/// # Errors
/// What concerns everything; what concerns single services is a refusal in the world.
pub(super) async fn of_subscription(
    arm: &Arm,
    context: &Context,
    request: ObserveRequest<'_>,
    groups: Groups<'_>,
) -> Result<World, Error> {
    let everywhere = everywhere(arm, context, request.purpose, &groups).await?;
    let each =
        groups.into_iter().map(|(scope, named)| of_group(arm, context, request, scope, named, &everywhere));
    let mut world = World::default();
    for part in join_all(each).await {
        world.merge(part?);
    }
    Ok(world)
}

/// The subscription's lists, where the file names more groups than are read one by one. Where these may not be read, nothing: it is
/// group by group after all.
async fn everywhere(
    arm: &Arm,
    context: &Context,
    purpose: Purpose,
    groups: &Groups<'_>,
) -> Result<Everywhere, Error> {
    let Some(first) = groups.keys().next().filter(|_| groups.len() > FEW) else {
        return Ok(Everywhere::default());
    };
    let subscription = crate::scope::subscription(first);
    let list = |kind: &str| {
        let target = Target::of(format!("/subscriptions/{subscription}/providers/Microsoft.Network/{kind}"));
        async move { arm.list(context, &target).await }
    };
    let balancers = async {
        if matches!(purpose, Purpose::Plan | Purpose::HandOver) {
            list("loadBalancers").await
        } else {
            Ok(Vec::new())
        }
    };
    match futures::try_join!(list("privateLinkServices"), balancers) {
        Ok((services, balancers)) => Ok(Everywhere { services, balancers }),
        Err(error) if concerns_everything(&error) => Err(error),
        Err(_) => Ok(Everywhere::default()),
    }
}

/// Those of one group: one by itself, which may be all that the role allows; several from the group's list. What the subscription's
/// list does not show is asked for here too: its group may not be there.
async fn of_group(
    arm: &Arm,
    context: &Context,
    request: ObserveRequest<'_>,
    scope: Scope,
    named: Named<'_>,
    everywhere: &Everywhere,
) -> Result<World, Error> {
    let seen: Vec<Json> =
        named.iter().filter_map(|(_, id)| one_of(&everywhere.services, &id.key()).cloned()).collect();
    let read = match named.as_slice() {
        all if all.len() == seen.len() => Ok(seen),
        [(_, id)] => arm.get(context, &Target::of(id.to_string())).await.map(|one| vec![one]),
        _ => {
            let group = crate::scope::path(&scope);
            let list = Target::of(format!("{group}/providers/Microsoft.Network/privateLinkServices"));
            arm.list(context, &list).await
        }
    };
    let read = match read {
        Err(error) if is_gone(&error) && !super::has_no_place(&error, request.purpose) => Ok(Vec::new()),
        read => read,
    };
    let mut world = World::default();
    world.searched.insert(scope.clone());
    let shown: Vec<Json> = match read {
        Ok(shown) => shown,
        Err(error) => {
            let services: Vec<&Service> = named.iter().map(|(service, _)| *service).collect();
            super::refuse_or_fail(&mut world, &services, error)?;
            return Ok(world);
        }
    };
    let balancers = match request.purpose {
        Purpose::Plan | Purpose::HandOver => {
            balancers_of(arm, context, &scope, &shown, &named, &everywhere.balancers).await?
        }
        Purpose::Status | Purpose::Connections => Vec::new(),
    };
    for (service, id) in named {
        let found = one_of(&shown, &id.key());
        let address = private_link_service::address(service.name.as_str());
        if let Some(refusal) = found.and_then(|found| super::former::own(request, service, found)) {
            // Nobody is let in by its rule; and what it names stays.
            world.refusals.push(refusal);
            world.live.extend(found.and_then(|found| private_link_service::live_of(found, address)));
            continue;
        }
        if let Some(frontend) = found.and_then(|found| frontend_of(found, &balancers)) {
            let known = Facts { frontend: Some(frontend), ..Facts::default() };
            facts::keep(&mut world, service.name.as_str(), &known);
        }
        // Of what this deployment made, a tombstone names what goes: that is seen as what it is.
        let is_own = |found: &&Json| {
            service.remove && super::former::owner(request.spec.deployment.as_str(), found).is_some()
        };
        let named = found.filter(|found| !is_own(found));
        let live = named.and_then(|found| private_link_service::live_of(found, address));
        let connections =
            found.map_or(Connections::NotExposed, |found| Connections::Known(super::connections_of(found)));
        let exposed = live.as_ref().map(|live| live.address.clone());
        let said = live.as_ref().map(|live| let_in_by_azure(request.spec, service, live)).unwrap_or_default();
        if !said.is_empty() {
            world.notes.entry(service.name.to_string()).or_default().extend(said);
        }
        world.live.extend(live);
        let seen = ServiceWorld { connections, targets: Vec::new(), exposed };
        world.services.insert(service.name.to_string(), seen);
    }
    Ok(world)
}

fn one_of<'a>(shown: &'a [Json], id: &str) -> Option<&'a Json> {
    shown.iter().find(|one| text(one, "id").is_some_and(|found| same_id(found, id)))
}

/// The load balancers behind private link services, for what they listen on: those that are known; a single one by itself; several by
/// the group's list, and those of other groups by themselves. One that may not be read is left out.
async fn balancers_of(
    arm: &Arm,
    context: &Context,
    scope: &Scope,
    services: &[Json],
    named: &[(&Service, &ArmId)],
    known: &[Json],
) -> Result<Vec<Json>, Error> {
    let wanted: BTreeSet<String> = named
        .iter()
        .filter_map(|(_, id)| one_of(services, &id.key()))
        .filter_map(frontend_id)
        .map(|id| load_balancer::of_part(&id))
        .filter(|id| !id.is_empty())
        .collect();
    let mut found: Vec<Json> = wanted.iter().filter_map(|id| one_of(known, id).cloned()).collect();
    let unknown = wanted.into_iter().filter(|id| one_of(known, id).is_none());
    let (here, mut single): (Vec<String>, Vec<String>) =
        unknown.partition(|id| crate::scope::of_id(id) == *scope);
    if here.len() > 1 {
        let group = crate::scope::path(scope);
        found.extend(list(arm, context, format!("{group}/providers/Microsoft.Network/loadBalancers")).await?);
    } else {
        single.extend(here);
    }
    let more = try_join_all(single.iter().map(|id| find(arm, context, id))).await?;
    found.extend(more.into_iter().flatten());
    Ok(found)
}

/// The frontend of a private link service, among these load balancers.
fn frontend_of(service: &Json, balancers: &[Json]) -> Option<Frontend> {
    let id = frontend_id(service)?;
    let balancer = one_of(balancers, &load_balancer::of_part(&id))?;
    Some(frontend_fact(balancer, &id))
}

fn frontend_id(service: &Json) -> Option<String> {
    items(service, "properties.loadBalancerFrontendIpConfigurations")
        .first()
        .and_then(|f| text(f, "id"))
        .map(fields::id)
}

#[cfg(test)]
mod tests {
    use privnet_core::spec::Spec;
    use privnet_core::spec::azure::AzureForm;
    use serde_json::json;

    use crate::arm::fake::{Script, context};
    use crate::observe::world;
    use crate::testing::{SUBSCRIPTION, hosted_spec, service};

    use super::*;

    fn id(group: usize) -> String {
        format!(
            "/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-{group}/providers/Microsoft.Network/privateLinkServices/own"
        )
    }

    /// A file of services that each name a private link service in a group of its own.
    fn spec(groups: usize) -> Spec {
        let one = |group| {
            service(&format!("s{group}"), AzureForm::PrivateLinkService(id(group).parse().unwrap()), &[])
        };
        Spec { services: (0..groups).map(one).collect(), ..hosted_spec(&[]) }
    }

    fn shown(group: usize) -> Json {
        json!({"id": id(group), "name": "own", "properties": {}})
    }

    #[tokio::test]
    async fn many_groups_are_read_by_the_pages_of_their_subscription() {
        let spec = spec(FEW + 1);
        let services: Vec<&Service> = spec.services.iter().collect();
        let request = ObserveRequest { spec: &spec, services: &services, purpose: Purpose::Connections };
        let all: Vec<Json> = (0..=FEW).map(shown).collect();
        let (arm, script) = Script::arm(vec![(200, vec![], json!({"value": all}))]);
        let seen = world(&arm, request, &context()).await.unwrap();
        assert_eq!(script.asked().len(), 1, "{:?}", script.asked());
        assert_eq!(seen.live.len(), FEW + 1);
        // Where the subscription is not theirs to list, and for what its list does not show: group by group.
        let denied = json!({"error": {"code": "AuthorizationFailed", "message": "m"}});
        let mut answers = vec![(403, vec![], denied)];
        answers.extend((0..=FEW).map(|group| (200, vec![], shown(group))));
        let (arm, script) = Script::arm(answers);
        let seen = world(&arm, request, &context()).await.unwrap();
        assert_eq!((script.asked().len(), seen.live.len()), (FEW + 2, FEW + 1));
        let gone = json!({"error": {"code": "ResourceGroupNotFound", "message": "m"}});
        let (arm, script) = Script::arm(vec![(200, vec![], json!({"value": all[1..]})), (404, vec![], gone)]);
        let seen = world(&arm, request, &context()).await.unwrap();
        assert_eq!((script.asked().len(), seen.live.len()), (2, FEW));
        assert!(matches!(seen.services["s0"].connections, Connections::NotExposed));
        assert_eq!(seen.refusals.len(), 1, "and it is said that its group is not there: {:?}", seen.refusals);
    }

    #[tokio::test]
    async fn a_few_groups_are_read_by_themselves() {
        let spec = spec(2);
        let services: Vec<&Service> = spec.services.iter().collect();
        let request = ObserveRequest { spec: &spec, services: &services, purpose: Purpose::Connections };
        let (arm, script) = Script::arm(vec![(200, vec![], shown(0)), (200, vec![], shown(1))]);
        world(&arm, request, &context()).await.unwrap();
        assert_eq!(script.asked(), [format!("GET {}", id(0)), format!("GET {}", id(1))]);
    }
}
