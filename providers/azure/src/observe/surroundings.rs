//! What else a plan needs to know: networks, frontends and interfaces of the user's, zones and images.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use futures::future::try_join_all;
use privnet_core::execute::Context;
use privnet_core::spec::azure::{AzureForm, AzureService};
use privnet_core::spec::azure_ids::ArmId;
use privnet_core::{Error, World};

use super::interfaces;
use super::known::facts_of;
use crate::arm::{Arm, Json, Target, in_words, is_foreign, is_gone, items, same_id, text};
use crate::facts::{self, short_location};
use crate::snapshot::{Listed, Snapshot, nics_of};
use crate::{fields, image};

/// What surrounds the services of a subscription's groups, as far as the file names it.
pub(super) struct Around {
    vnets: Vec<Json>,
    /// The networks that were asked for, by id in lower case.
    asked: BTreeSet<String>,
    /// Which networks may not be read, in words.
    hidden: BTreeSet<String>,
    pub(super) nics: Vec<Json>,
    /// The load balancer of each frontend that exists, by the frontend's id in lower case.
    pub(super) frontends: BTreeMap<String, Option<Json>>,
    /// All private link services of the subscription, where they were asked for, or why they cannot be read.
    services: Option<Result<Vec<Json>, String>>,
    /// The zones of each location, or why they may not be read.
    pub(super) zones: Result<BTreeMap<String, Vec<String>>, String>,
    /// The images of forwarder machines, by location and name.
    pub(super) images: BTreeMap<(String, String), image::Seen>,
}

impl Around {
    /// All private link services of the subscription, where they were read.
    pub(super) fn services(&self) -> Option<&[Json]> {
        self.services.as_ref()?.as_deref().ok()
    }

    /// Why they cannot be read, if that was tried.
    pub(super) fn unseen(&self) -> Option<&str> {
        self.services.as_ref()?.as_ref().err().map(String::as_str)
    }

    /// Takes them from the lists of the groups, where they were read with these.
    pub(super) fn take_services(&mut self, everywhere: Option<Result<Vec<Json>, String>>) {
        self.services = everywhere;
    }
}

/// Reads what the file names around the groups of one subscription.
///
/// # Errors
/// What ARM answered, where that is neither "not there" nor "not yours".
pub(super) async fn of_file(
    arm: &Arm,
    context: &Context,
    snapshots: &[Snapshot<'_>],
) -> Result<Around, Error> {
    let subscription = snapshots.first().map(|first| crate::scope::subscription(&first.scope));
    let subscription = subscription.unwrap_or_default();
    let asked: BTreeSet<String> = snapshots.iter().flat_map(Snapshot::networks_of_file).collect();
    let vnets = read_networks(arm, context, asked.clone());
    let nics = read_nics(arm, context, snapshots);
    let frontends = read_frontends(arm, context, snapshots);
    let left = read_left_networks(arm, context, snapshots, &subscription);
    let zones = read_zones(arm, context, snapshots, &subscription);
    let images = read_images(arm, context, snapshots, &subscription);
    let (vnets, nics, frontends, left, zones, images) =
        futures::join!(vnets, nics, frontends, left, zones, images);
    let ((vnets, mut hidden), (left, also_hidden)) = (vnets?, left?);
    hidden.extend(also_hidden);
    let vnets = vnets.into_iter().chain(left).collect();
    let (nics, frontends, zones, images) = (nics?, frontends?, zones?, images?);
    Ok(Around { vnets, asked, hidden, nics, frontends, services: None, zones, images })
}

fn listed<'s, 'a>(snapshots: &'s [Snapshot<'a>]) -> impl Iterator<Item = Listed<'a>> + 's {
    snapshots.iter().flat_map(|snapshot| snapshot.listed.iter().copied())
}

/// Reads the networks that only something of ours names, and keeps everything as facts.
///
/// # Errors
/// As [`of_file`].
pub(super) async fn learn(
    arm: &Arm,
    context: &Context,
    snapshot: &mut Snapshot<'_>,
    around: &Around,
    world: &mut World,
) -> Result<(), Error> {
    let networks = snapshot.networks();
    let more: Vec<String> = networks.difference(&around.asked).cloned().collect();
    let balancers = interfaces::read_balancers(arm, context, snapshot, &around.nics);
    let (more, balancers) =
        futures::join!(read_networks(arm, context, more.into_iter().collect()), balancers);
    let (more, hidden) = more?;
    snapshot.further_balancers = balancers?;
    // What is not seen is not taken away, and looks as if it were not there.
    let unknown = around.hidden.iter().chain(&hidden).cloned();
    world.unknown.entry(snapshot.scope.clone()).or_default().extend(unknown);
    let anywhere = snapshot.has_tombstone();
    let concerns =
        |vnet: &&Json| anywhere || text(vnet, "id").is_some_and(|id| networks.contains(&fields::id(id)));
    let near = around.vnets.iter().filter(concerns).cloned();
    snapshot.vnets = near.chain(more).collect();
    snapshot.vnets.sort_by_key(|vnet| text(vnet, "id").unwrap_or_default().to_lowercase());
    snapshot.vnets.dedup_by_key(|vnet| text(vnet, "id").unwrap_or_default().to_lowercase());
    for listed in &snapshot.listed {
        let facts = facts_of(snapshot, *listed, around);
        facts::keep(world, listed.0.name.as_str(), &facts);
    }
    Ok(())
}

/// How many things or groups of a subscription are read one by one, which may be all that the role allows: more are taken from its list.
pub(super) const FEW: usize = 4;

/// The networks of these ids, in lower case; and which of them may not be read.
async fn read_networks(
    arm: &Arm,
    context: &Context,
    ids: BTreeSet<String>,
) -> Result<(Vec<Json>, BTreeSet<String>), Error> {
    let hidden = Mutex::new(BTreeSet::new());
    let note = |why: String| hidden.lock().unwrap_or_else(PoisonError::into_inner).insert(why);
    let note = &note;
    let one = |id: String| async move {
        match arm.find(context, &Target::of(&id)).await {
            Err(error) if is_foreign(&error) => {
                note(unseen_in(&format!("the virtual network {id}"), &error));
                Ok(Vec::new())
            }
            found => Ok(found?.into_iter().collect()),
        }
    };
    let networks = read_many(arm, context, "virtualNetworks", ids, one).await?;
    Ok((networks, hidden.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

/// What cannot be known of networks that may not be read.
fn unseen_in(networks: &str, error: &Error) -> String {
    format!(
        "{networks} cannot be read, so that NAT subnets which privnet made there are not seen, and stay where their services go: {}",
        in_words(error)
    )
}

/// All of a kind in these groups.
async fn read_groups(
    arm: &Arm,
    context: &Context,
    kind: &str,
    ids: &BTreeSet<String>,
) -> Result<Vec<Json>, Error> {
    let groups = ids.iter().map(|id| crate::scope::path(&crate::scope::of_id(id))).collect();
    let one = |group: String| list(arm, context, format!("{group}/providers/Microsoft.Network/{kind}"));
    read_many(arm, context, kind, groups, one).await
}

/// What is at these places, read by `one` where a subscription has few of them; where it has more, all of the kind in the subscription,
/// if the role allows that.
async fn read_many<F: Future<Output = Result<Vec<Json>, Error>>>(
    arm: &Arm,
    context: &Context,
    kind: &str,
    places: BTreeSet<String>,
    one: impl Fn(String) -> F,
) -> Result<Vec<Json>, Error> {
    let mut of: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for place in places {
        of.entry(crate::scope::subscription(&crate::scope::of_id(&place))).or_default().push(place);
    }
    let one = &one;
    let reads = of.into_iter().map(|(subscription, places)| async move {
        if places.len() > FEW {
            let path = format!("/subscriptions/{subscription}/providers/Microsoft.Network/{kind}");
            match arm.list(context, &Target::of(path)).await {
                Err(error) if is_foreign(&error) => {}
                all => return all,
            }
        }
        let each = try_join_all(places.into_iter().map(one)).await?;
        Ok::<_, Error>(each.into_iter().flatten().collect())
    });
    Ok(try_join_all(reads).await?.into_iter().flatten().collect())
}

/// A resource of the user's; nothing where it is not there or not ours to see.
pub(super) async fn find(arm: &Arm, context: &Context, id: &str) -> Result<Option<Json>, Error> {
    match arm.find(context, &Target::of(id)).await {
        Err(error) if is_foreign(&error) => Ok(None),
        found => found,
    }
}

/// A list; nothing where its group is not there or not ours to see.
pub(super) async fn list(arm: &Arm, context: &Context, path: String) -> Result<Vec<Json>, Error> {
    match arm.list(context, &Target::of(path)).await {
        Err(error) if is_foreign(&error) || is_gone(&error) => Ok(Vec::new()),
        listed => listed,
    }
}

/// The network interfaces of the groups that those of the file are in: by pages of groups, not one by one.
async fn read_nics(arm: &Arm, context: &Context, snapshots: &[Snapshot<'_>]) -> Result<Vec<Json>, Error> {
    let ids: BTreeSet<String> = listed(snapshots).flat_map(|(_, azure)| nics_of(azure)).collect();
    let shown = read_groups(arm, context, "networkInterfaces", &ids).await?;
    let is_named = |nic: &&Json| text(nic, "id").is_some_and(|id| ids.contains(&fields::id(id)));
    arm.looked.saw(shown.iter().filter(is_named));
    Ok(shown)
}

/// The frontends that exist and that the file names.
pub(super) fn frontends_of(snapshots: &[Snapshot<'_>]) -> Vec<ArmId> {
    let forms = listed(snapshots).filter_map(|(_, azure)| match &azure.form {
        AzureForm::OnFrontend(form) => Some(form.frontend.clone()),
        _ => None,
    });
    forms.collect()
}

/// The load balancers of frontends that exist: a single one by itself, which may be all that the role allows; several by pages of
/// their groups.
async fn read_frontends(
    arm: &Arm,
    context: &Context,
    snapshots: &[Snapshot<'_>],
) -> Result<BTreeMap<String, Option<Json>>, Error> {
    let frontends = frontends_of(snapshots);
    let of = |id: &ArmId| id.parent().map(|balancer| balancer.key()).unwrap_or_default();
    let balancers: BTreeSet<String> = frontends.iter().map(of).collect();
    let shown: Vec<Json> = match balancers.iter().collect::<Vec<_>>().as_slice() {
        [] => Vec::new(),
        [one] => find(arm, context, one).await?.into_iter().collect(),
        _ => read_groups(arm, context, "loadBalancers", &balancers).await?,
    };
    let balancer = |id: &ArmId| {
        let key = of(id);
        shown.iter().find(|one| text(one, "id").is_some_and(|found| same_id(found, &key))).cloned()
    };
    Ok(frontends.iter().map(|id| (id.key(), balancer(id))).collect())
}

/// The networks of the whole subscription, where a tombstone has none to name and may have left something in any.
async fn read_left_networks(
    arm: &Arm,
    context: &Context,
    snapshots: &[Snapshot<'_>],
    subscription: &str,
) -> Result<(Vec<Json>, BTreeSet<String>), Error> {
    if !snapshots.iter().any(Snapshot::has_tombstone) {
        return Ok(Default::default());
    }
    let path = format!("/subscriptions/{subscription}/providers/Microsoft.Network/virtualNetworks");
    match arm.list(context, &Target::of(path)).await {
        Err(error) if is_foreign(&error) => {
            let networks = format!("the virtual networks of the subscription {subscription}");
            Ok((Vec::new(), BTreeSet::from([unseen_in(&networks, &error)])))
        }
        listed => Ok((listed?, BTreeSet::new())),
    }
}

/// The zones of each location of the subscription, or why the caller may not read them: what is made without zones has none for good, so
/// that this is no "there are none".
///
/// # Errors
/// What ARM answered, where that is not "not yours".
async fn read_zones(
    arm: &Arm,
    context: &Context,
    snapshots: &[Snapshot<'_>],
    subscription: &str,
) -> Result<Result<BTreeMap<String, Vec<String>>, String>, Error> {
    if !listed(snapshots).any(|(_, azure)| matches!(azure.form, AzureForm::Made(_))) {
        return Ok(Ok(BTreeMap::new()));
    }
    let locations = Target::of(format!("/subscriptions/{subscription}/locations"));
    let locations = match arm.list(context, &locations).await {
        Err(error) if is_foreign(&error) => return Ok(Err(error.to_string())),
        locations => locations?,
    };
    let zones = |location: &Json| {
        let mappings = items(location, "availabilityZoneMappings").iter();
        let mut zones: Vec<String> =
            mappings.filter_map(|m| text(m, "logicalZone")).map(str::to_owned).collect();
        zones.sort();
        zones
    };
    Ok(Ok(locations.iter().filter_map(|l| Some((short_location(text(l, "name")?), zones(l)))).collect()))
}

/// Each image of forwarder machines once for each location.
async fn read_images(
    arm: &Arm,
    context: &Context,
    snapshots: &[Snapshot<'_>],
    subscription: &str,
) -> Result<BTreeMap<(String, String), image::Seen>, Error> {
    let wanted: BTreeSet<(String, String)> =
        listed(snapshots).filter_map(|(_, azure)| image_of(azure)).collect();
    let looks = wanted.into_iter().map(|(location, name)| async move {
        let seen = image::look(arm, context, subscription, &location, &name).await?;
        Ok::<_, Error>(((location, name), seen))
    });
    Ok(try_join_all(looks).await?.into_iter().collect())
}

/// The location and the image of a service's forwarder machines.
pub(super) fn image_of(azure: &AzureService) -> Option<(String, String)> {
    let AzureForm::Made(made) = &azure.form else { return None };
    Some((made.scope.location.to_string(), image::of(made)?.to_owned()))
}

#[cfg(test)]
mod tests;
