//! The lists that everything of ours is found in: of one resource group, or of the whole subscription.

use std::collections::BTreeMap;

use futures::future::join_all;
use privnet_core::execute::Context;
use privnet_core::{Error, Purpose, Scope};

use super::surroundings;
use crate::arm::{Arm, Json, Target, concerns_everything, in_words, text};
use crate::snapshot::Snapshot;

/// The private link services, load balancers, security groups and scale sets of a place.
pub(super) type Lists = [Vec<Json>; 4];

/// What was read of the groups of a subscription.
pub(super) struct Read {
    /// The lists of each group that the file names.
    pub(super) lists: Vec<Result<Lists, Error>>,
    /// Those of the subscription's other groups, where they were seen.
    pub(super) others: BTreeMap<Scope, Lists>,
    /// All private link services of the subscription, where they were asked for, or why they cannot be read.
    pub(super) everywhere: Option<Result<Vec<Json>, String>>,
}

/// One group is read by its own lists, several by those of the subscription: by pages, and not by groups. Where these may not be read, it
/// is group by group after all; and a group that nothing is in is asked for itself, since it may not be there.
pub(super) async fn read_groups(
    arm: &Arm,
    context: &Context,
    snapshots: &[Snapshot<'_>],
    purpose: Purpose,
) -> Result<Read, Error> {
    let own = |scope: &Scope| read_lists(arm, context, crate::scope::path(scope), purpose);
    let mut others: BTreeMap<Scope, Lists> = BTreeMap::new();
    let mut everywhere = None;
    // Others' services are of interest where they can be in the way: before a load balancer of ours, or one that the file names.
    let widely = match purpose {
        Purpose::Plan => true,
        Purpose::Status | Purpose::HandOver => !surroundings::frontends_of(snapshots).is_empty(),
        Purpose::Connections => false,
    };
    match snapshots {
        [only] if widely => return read_one(arm, context, only).await,
        [] | [_] => {}
        [first, ..] => match read_lists(arm, context, subscription_of(first), purpose).await {
            Ok(lists) => {
                everywhere = widely.then(|| Ok(lists[0].clone()));
                others = by_group(lists);
            }
            Err(error) if concerns_everything(&error) => return Err(error),
            // Whoever may read the private link services alone sees others' all the same.
            Err(_) if widely => {
                match list_of(arm, context, subscription_of(first), PRIVATE_LINK_SERVICES).await {
                    Err(error) if concerns_everything(&error) => return Err(error),
                    all => everywhere = Some(all.map_err(|error| in_words(&error))),
                }
            }
            Err(_) => {}
        },
    }
    let mut each = Vec::new();
    for snapshot in snapshots {
        let seen = others.remove(&snapshot.scope);
        let asked = own(&snapshot.scope);
        each.push(async move {
            match seen {
                Some(lists) => Ok(lists),
                None => asked.await,
            }
        });
    }
    Ok(Read { lists: join_all(each).await, others, everywhere })
}

/// The path of the subscription of a group.
fn subscription_of(snapshot: &Snapshot<'_>) -> String {
    format!("/subscriptions/{}", crate::scope::subscription(&snapshot.scope))
}

/// A single group with the private link services of its whole subscription, in as many requests as its own would take: others' may be in
/// the way. Where they may not be read, its own are.
async fn read_one(arm: &Arm, context: &Context, snapshot: &Snapshot<'_>) -> Result<Read, Error> {
    let group = crate::scope::path(&snapshot.scope);
    let links = list_of(arm, context, subscription_of(snapshot), PRIVATE_LINK_SERVICES);
    let (links, rest) = futures::join!(links, read_rest(arm, context, &group));
    let (own, everywhere) = match links {
        Ok(all) => {
            let is_own =
                |link: &&Json| text(link, "id").is_some_and(|id| crate::scope::of_id(id) == snapshot.scope);
            (Ok(all.iter().filter(is_own).cloned().collect()), Ok(all))
        }
        Err(error) if concerns_everything(&error) => return Err(error),
        Err(error) => (list_of(arm, context, group, PRIVATE_LINK_SERVICES).await, Err(in_words(&error))),
    };
    let lists = rest.and_then(|[load_balancers, security_groups, scale_sets]| {
        Ok([own?, load_balancers, security_groups, scale_sets])
    });
    Ok(Read { lists: vec![lists], others: BTreeMap::new(), everywhere: Some(everywhere) })
}

fn by_group(lists: Lists) -> BTreeMap<Scope, Lists> {
    let mut groups: BTreeMap<Scope, Lists> = BTreeMap::new();
    for (nth, list) in lists.into_iter().enumerate() {
        for item in list {
            let Some(scope) = text(&item, "id").map(crate::scope::of_id) else { continue };
            if let Some(part) = groups.entry(scope).or_default().get_mut(nth) {
                part.push(item);
            }
        }
    }
    groups
}

const PRIVATE_LINK_SERVICES: &str = "Microsoft.Network/privateLinkServices";

/// What there is of a type in a group or a subscription, by its path.
async fn list_of(arm: &Arm, context: &Context, place: String, kind: &str) -> Result<Vec<Json>, Error> {
    arm.list(context, &Target::of(format!("{place}/providers/{kind}"))).await
}

/// The lists of a group or a subscription, by its path; of these the services alone where only connections count.
pub(super) async fn read_lists(
    arm: &Arm,
    context: &Context,
    place: String,
    purpose: Purpose,
) -> Result<Lists, Error> {
    let services = list_of(arm, context, place.clone(), PRIVATE_LINK_SERVICES);
    if purpose == Purpose::Connections {
        return Ok([services.await?, Vec::new(), Vec::new(), Vec::new()]);
    }
    let (services, [load_balancers, security_groups, scale_sets]) =
        futures::try_join!(services, read_rest(arm, context, &place))?;
    Ok([services, load_balancers, security_groups, scale_sets])
}

/// The load balancers, security groups and scale sets of a place.
async fn read_rest(arm: &Arm, context: &Context, place: &str) -> Result<[Vec<Json>; 3], Error> {
    let list = |kind| list_of(arm, context, place.to_owned(), kind);
    let (load_balancers, security_groups, scale_sets) = futures::try_join!(
        list("Microsoft.Network/loadBalancers"),
        list("Microsoft.Network/networkSecurityGroups"),
        list("Microsoft.Compute/virtualMachineScaleSets"),
    )?;
    Ok([load_balancers, security_groups, scale_sets])
}
