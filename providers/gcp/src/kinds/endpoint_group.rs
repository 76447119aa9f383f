//! Zonal network endpoint groups of machines (`GCE_VM_IP`), one for each zone and subnet
//! (<https://cloud.google.com/load-balancing/docs/negs/zonal-neg-concepts>). Only the endpoints of one can be changed.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::spec::gcp::{GcpDirect, GcpForm, GcpService};
use privnet_core::{Address, Applied, Change, Error, Field, Kind, Live, Origin, Replacement, Shape, Traffic};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::act::Act;
use crate::cloud::Write;
use crate::collection::{At, Collection};
use crate::facts::Facts;
use crate::fields::{self, Fields};
use crate::handover::{self, Part, Seen};
use crate::json::{Json, text};
use crate::kinds::{backend_service, health_check};
use crate::lower::Lowering;
use crate::path;
use crate::snapshot::{self, Place, Snapshot};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EndpointGroup {
    pub(crate) network: String,
    pub(crate) subnet: String,
    pub(crate) zone: String,
    /// The machines, by path.
    #[serde(default)]
    pub(crate) endpoints: BTreeSet<String>,
    /// The same; wanted in their place where the group is not to be changed in place.
    #[serde(default)]
    pub(crate) machines: Option<BTreeSet<String>>,
}

pub(crate) const KIND: Kind = Kind {
    name: "endpoint-group",
    title: "network endpoint group",
    fields: &[
        Field::managed("network").on_change(Change::Replace).bounding_the_service(),
        Field::managed("subnet").on_change(Change::Replace),
        Field::managed("zone").on_change(Change::Replace),
        // Each has one of the two.
        Field::if_set("endpoints").shaped(Shape::Set).naming_targets(),
        Field::if_set("machines").on_change(Change::Replace).shaped(Shape::Set),
        Field::telling("serves", Traffic::Serves),
        Field::telling("since", Traffic::Since),
    ],
    replacement: Replacement::CreateFirst,
    teardown_rank: 40,
    // What its sessions need is left to them before.
    severs: false,
    serialized_by: &[],
    telling: &[],
};

/// The groups of a service by their names in addresses.
pub(crate) fn wanted(gcp: &GcpService, place: &Place, facts: &Facts) -> BTreeMap<String, EndpointGroup> {
    let mut groups: BTreeMap<String, EndpointGroup> = BTreeMap::new();
    let (GcpForm::Made(made), Some(GcpDirect::Instances(instances))) = (&gcp.form, snapshot::direct(gcp))
    else {
        return groups;
    };
    let network = path::global(&place.host, "networks", made.network.as_str());
    for instance in instances {
        let machine = snapshot::machine_path(&place.project, instance);
        let subnet = facts.machines.get(&machine).map(|found| found.subnet.clone()).unwrap_or_default();
        let zone = instance.zone.to_string();
        let group = groups.entry(format!("{zone}-{}", path::name(&subnet))).or_insert_with(|| {
            let (network, endpoints) = (network.clone(), BTreeSet::new());
            EndpointGroup { network, subnet, zone, endpoints, machines: None }
        });
        group.endpoints.insert(machine);
    }
    groups
}

/// The addresses of a service's groups.
pub(crate) fn addresses(lowering: &Lowering<'_>) -> Vec<Address> {
    let groups = wanted(lowering.gcp, &lowering.place, &lowering.facts);
    groups.keys().map(|name| lowering.address(KIND.name, name)).collect()
}

pub(crate) fn lower(lowering: &mut Lowering<'_>) {
    for (name, typed) in wanted(lowering.gcp, &lowering.place, &lowering.facts) {
        let address = lowering.address(KIND.name, name);
        let mut fields = fields::of(&typed);
        if is_made_anew(lowering, &address, &typed)
            && let Some(machines) = fields.remove("endpoints")
        {
            fields.insert("machines".to_owned(), machines);
        }
        lowering.want(address, Origin::Owned, fields, health_check::before_its_machines(lowering));
    }
}

/// Whether machines go, and those that stay are asked by another check: each are healthy by their own. So a group for those is made beside
/// the one that is there, and the backend service goes over to it; of two that an earlier run left, the one that has them is kept.
fn is_made_anew(lowering: &Lowering<'_>, address: &Address, wanted: &EndpointGroup) -> bool {
    let ours = || lowering.world.live.ours_at(address);
    let typed = ours().filter_map(|live| fields::typed::<EndpointGroup>(KIND.name, &live.fields).ok());
    let goes = typed.into_iter().any(|there| !there.endpoints.is_subset(&wanted.endpoints));
    goes && (ours().count() > 1 || health_check::turns(lowering))
}

pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let none = Vec::new();
    let read = |json: &Json| {
        let id = text(json, "selfLink").map(path::of).unwrap_or_default();
        let mut fields = fields::of(&read(json, snapshot.endpoints.get(&id).unwrap_or(&none)));
        fields.extend(backend_service::traffic(snapshot, Some(&id), json));
        fields
    };
    super::live_of(snapshot, Collection::NetworkEndpointGroups, &KIND, read, |_| Fields::new())
}

fn read(json: &Json, endpoints: &[Json]) -> EndpointGroup {
    let link = |key| text(json, key).map(path::of).unwrap_or_default();
    let zone = text(json, "zone").map(path::name).unwrap_or_default().to_owned();
    let project = path::after(text(json, "selfLink").unwrap_or_default(), "projects").unwrap_or_default();
    let machines = machines(project, &zone, endpoints);
    EndpointGroup {
        network: link("network"),
        subnet: link("subnetwork"),
        endpoints: machines.clone(),
        machines: Some(machines),
        zone,
    }
}

/// The machines of endpoints, by path.
fn machines(project: &str, zone: &str, endpoints: &[Json]) -> BTreeSet<String> {
    let machine = |endpoint: &Json| {
        let named = text(endpoint, "instance")?;
        // The API takes a name or a URL, and may answer with either.
        Some(if named.contains('/') {
            path::of(named)
        } else {
            path::zonal(project, zone, "instances", named)
        })
    };
    endpoints.iter().filter_map(machine).collect()
}

pub(crate) async fn create(act: &Act<'_>) -> Result<Applied, Error> {
    let mut wanted: EndpointGroup = fields::typed(KIND.name, act.step.fields)?;
    wanted.endpoints.extend(wanted.machines.take().unwrap_or_default());
    let at = At { place: wanted.zone.clone(), ..act.new_regional(Collection::NetworkEndpointGroups) };
    let body = json!({ "name": at.name, "description": act.marker(), "networkEndpointType": "GCE_VM_IP",
        "network": wanted.network, "subnetwork": wanted.subnet });
    act.insert(&at, &body).await?;
    // It has none yet; where it was there already, what is told twice is seen in the end.
    let (found, filled) =
        futures::future::join(act.shown(&at), fill(act, &at, &wanted, Some(BTreeSet::new()))).await;
    filled?;
    Ok(super::applied(&found?))
}

/// Deletes it: the backend service has let go of it.
pub(crate) async fn delete(act: &Act<'_>) -> Result<Applied, Error> {
    let at = act.there(Collection::NetworkEndpointGroups)?;
    handover::let_sessions_end(act, &at.name).await?;
    act.delete(&at).await
}

pub(crate) async fn update(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: EndpointGroup = fields::typed(KIND.name, act.step.fields)?;
    let at = act.there(Collection::NetworkEndpointGroups)?;
    let found = act.read(&at).await?;
    fill(act, &at, &wanted, None).await?;
    Ok(super::applied(&found))
}

/// Machines of other groups lose nothing and gain nothing when these go.
async fn until_one_that_stays_is_healthy(
    act: &Act<'_>,
    at: &At,
    wanted: &BTreeSet<String>,
    there: &BTreeSet<String>,
) -> Result<(), Error> {
    let part = |seen: &Seen| match (wanted.contains(&seen.machine), there.contains(&seen.machine)) {
        (true, _) => Part::New,
        (false, true) => Part::Old,
        (false, false) => Part::Beside,
    };
    let behind = handover::backend_services_with(act, &at.path()).await?;
    let served = handover::are_asked_anew(act, &behind).await?;
    handover::until_healthy(act, &handover::places(&behind), served, part).await
}

/// Attaches what is missing, then, when something that stays is healthy, detaches what is too much. Somebody else may do the same at
/// the same time: what counts is what the group has in the end. `there` is what it has, where that is known.
async fn fill(
    act: &Act<'_>,
    at: &At,
    wanted: &EndpointGroup,
    there: Option<BTreeSet<String>>,
) -> Result<(), Error> {
    let list = || async {
        let endpoints = snapshot::endpoints_of(&act.cloud, &at.path()).await?;
        Ok::<_, Error>(machines(&at.project, &at.place, &endpoints))
    };
    let mut there = match there {
        Some(there) => there,
        None => list().await?,
    };
    let mut failure = None;
    for _ in 0..4 {
        let members = |of: &BTreeSet<String>, without: &BTreeSet<String>| -> Vec<Json> {
            of.difference(without).map(|machine| json!({ "instance": machine })).collect()
        };
        let (missing, surplus) = (members(&wanted.endpoints, &there), members(&there, &wanted.endpoints));
        let write = match (missing.is_empty(), surplus.is_empty()) {
            (true, true) => return Ok(()),
            (false, _) => Write::Attach(&missing),
            (true, false) => {
                until_one_that_stays_is_healthy(act, at, &wanted.endpoints, &there).await?;
                Write::Detach(&surplus)
            }
        };
        failure = act.cloud.write(at, write).await.err();
        there = list().await?;
    }
    match failure {
        _ if there == wanted.endpoints => Ok(()),
        Some(error) => Err(error),
        None => Err(act.error(privnet_core::ErrorKind::Other, "the group does not show its endpoints")),
    }
}
