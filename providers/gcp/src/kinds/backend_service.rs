//! The regional backend service of an internal pass-through load balancer
//! (<https://cloud.google.com/load-balancing/docs/internal>).

use std::collections::BTreeSet;
use std::time::Duration;

use privnet_core::spec::gcp::{GcpBackend, GcpDirect};
use privnet_core::spec::gcp_ids::{GcpGroupScope, GcpInstanceGroup};
use privnet_core::{Address, Applied, Change, Error, Field, Kind, Live, Origin, Replacement, Shape, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::act::Act;
use crate::collection::{At, Collection};
use crate::fields::{self, Fields};
use crate::handover::{self, Part, Seen};
use crate::json::{Json, list, number, text};
use crate::kinds::{endpoint_group, forwarder_group, health_check};
use crate::lower::Lowering;
use crate::path;
use crate::snapshot::{Place, Snapshot};

/// How long established sessions are left to a target that goes; the default of `version: 1`.
const DRAIN: i64 = 300;
const NEG: &str = "neg";
const GROUP: &str = "group";
/// Google mixes groups of machines of the user's own and of forwarders, but their health checks and firewall rules differ.
const FORWARDERS: &str = "forwarders";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BackendService {
    pub(crate) health_check: Value,
    /// `neg`, `group` or `forwarders`: a backend service has backends of one sort.
    pub(crate) sort: String,
    pub(crate) backends: Vec<Value>,
    pub(crate) drain: i64,
}

impl BackendService {
    /// Whether what is behind it are forwarders.
    pub(crate) fn has_forwarders(&self) -> bool {
        self.sort == FORWARDERS
    }
}

pub(crate) const KIND: Kind = Kind {
    name: "backend-service",
    title: "backend service",
    fields: &[
        Field::managed("health_check"),
        Field::managed("sort").on_change(Change::Replace),
        Field::managed("backends").shaped(Shape::Set).naming_targets(),
        Field::managed("drain"),
    ],
    replacement: Replacement::CreateFirst,
    teardown_rank: 30,
    severs: true,
    serialized_by: &[],
    telling: &[],
};

/// The path of an instance group that the file names.
pub(crate) fn group_path(place: &Place, group: &GcpInstanceGroup) -> String {
    let project = group.project.as_ref().map_or(place.project.as_str(), |project| project.as_str());
    match &group.scope {
        GcpGroupScope::Zone(zone) => {
            path::zonal(project, zone.as_str(), "instanceGroups", group.name.as_str())
        }
        GcpGroupScope::Region(region) => {
            path::regional(project, region.as_str(), "instanceGroups", group.name.as_str())
        }
    }
}

pub(crate) fn lower(lowering: &mut Lowering<'_>) {
    let Some(made) = lowering.made() else { return };
    let output = |addresses: Vec<Address>, name: &'static str| -> Vec<Value> {
        addresses.iter().map(|address| Value::output(address, name)).collect()
    };
    let (backends, drain) = match &made.backend {
        GcpBackend::Direct { to: GcpDirect::Instances(_), .. } => {
            (output(endpoint_group::addresses(lowering), "path"), DRAIN)
        }
        GcpBackend::Direct { to: GcpDirect::InstanceGroup(group), .. } => {
            (vec![Value::text(group_path(&lowering.place, group))], DRAIN)
        }
        GcpBackend::Forwarder { forwarder, .. } => {
            (output(forwarder_group::addresses(lowering), "group"), forwarder.drain.get().into())
        }
    };
    let check = lowering.address(health_check::KIND.name, "main");
    let typed = BackendService {
        health_check: Value::output(&check, "path"),
        sort: sort(&made.backend).to_owned(),
        backends,
        drain,
    };
    let address = lowering.address(KIND.name, "main");
    lowering.want(address, Origin::Owned, fields::of(&typed), BTreeSet::new());
}

/// The sort of backends that a service wants.
fn sort(backend: &GcpBackend) -> &'static str {
    match backend {
        GcpBackend::Direct { to: GcpDirect::Instances(_), .. } => NEG,
        GcpBackend::Direct { to: GcpDirect::InstanceGroup(_), .. } => GROUP,
        GcpBackend::Forwarder { .. } => FORWARDERS,
    }
}

/// Whether the service's backends are of another sort than those of the backend service of this path: then everything in front of them is
/// made anew. A run that was cut short may have left a second one, so that the address alone does not tell which is meant.
pub(crate) fn turns(lowering: &Lowering<'_>, path: &Value, backend: &GcpBackend) -> bool {
    let is_it = |live: &&Live| live.is_ours() && Some(live.id.as_str()) == path.as_text();
    let there = lowering.world.live.of(lowering.service.name.as_str()).iter().find(is_it);
    let there = there.and_then(|live| fields::typed::<BackendService>(KIND.name, &live.fields).ok());
    there.is_some_and(|there| there.sort != sort(backend))
}

/// Whether the backend service that is there is kept, and changed in place.
pub(crate) fn stays(lowering: &Lowering<'_>, backend: &GcpBackend) -> bool {
    let address = lowering.address(KIND.name, "main");
    let ours = lowering.world.live.ours_at(&address);
    let mut there = ours.filter_map(|live| fields::typed::<BackendService>(KIND.name, &live.fields).ok());
    there.any(|there| there.sort == sort(backend))
}

pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let forwarders = forwarder_group::groups(snapshot);
    super::live_of(
        snapshot,
        Collection::BackendServices,
        &KIND,
        |json| fields::of(&read(json, &forwarders)),
        |_| Fields::new(),
    )
}

/// How well a group of machines serves: not at all where no backend service of ours sends to it, better while a machine of it is healthy; and
/// when it was made. Of two that a run which was cut short left this tells them apart.
pub(crate) fn traffic(snapshot: &Snapshot<'_>, group: Option<&str>, json: &Json) -> Fields {
    let group = group.map(path::of);
    let services = snapshot.claimed(Collection::BackendServices, KIND.name);
    let mut backends = services.iter().flat_map(|(_, service)| list(service, "backends"));
    let is_sent_to = backends.any(|backend| text(backend, "group").map(path::of) == group);
    let serves = match group {
        Some(group) if is_sent_to && snapshot.healthy.contains(&group) => 2,
        _ => i64::from(is_sent_to),
    };
    let made = text(json, "creationTimestamp").and_then(|made| made.parse::<jiff::Timestamp>().ok());
    let since = made.map(jiff::Timestamp::as_millisecond).into();
    Fields::from([("serves".to_owned(), Value::Int(serves)), ("since".to_owned(), since)])
}

/// What is there. `forwarders` are the groups of forwarders, by path.
fn read(json: &Json, forwarders: &BTreeSet<String>) -> BackendService {
    let checks = list(json, "healthChecks").iter().filter_map(Json::as_str);
    let groups = list(json, "backends").iter().filter_map(|backend| text(backend, "group"));
    let groups: Vec<String> = groups.map(path::of).collect();
    // An empty one takes either sort; a network endpoint group is what the file's machines need.
    let sort = match &groups {
        groups if groups.iter().any(|group| forwarders.contains(group)) => FORWARDERS,
        groups if groups.iter().any(|group| group.contains("/instanceGroups/")) => GROUP,
        _ => NEG,
    };
    BackendService {
        health_check: checks.map(path::of).next().map_or(Value::Null, Value::text),
        sort: sort.to_owned(),
        backends: groups.into_iter().map(Value::text).collect(),
        drain: drain_seconds(json),
    }
}

fn drain_seconds(json: &Json) -> i64 {
    let draining = json.get("connectionDraining").unwrap_or(&Json::Null);
    number(draining, "drainingTimeoutSec").unwrap_or(0)
}

/// How long established sessions are left to a backend that goes.
pub(crate) fn drain(json: &Json) -> Duration {
    Duration::from_secs(drain_seconds(json).try_into().unwrap_or(0))
}

fn body(wanted: &BackendService) -> Json {
    let backends: Vec<Json> = wanted
        .backends
        .iter()
        .map(|group| json!({ "group": fields::resolved(group), "balancingMode": "CONNECTION" }))
        .collect();
    json!({ "healthChecks": [fields::resolved(&wanted.health_check)], "backends": backends,
        "connectionDraining": { "drainingTimeoutSec": wanted.drain } })
}

pub(crate) async fn create(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: BackendService = fields::typed(KIND.name, act.step.fields)?;
    let at = act.new_regional(Collection::BackendServices);
    let mut body = body(&wanted);
    body["name"] = json!(at.name);
    body["description"] = json!(act.marker());
    body["protocol"] = json!("TCP");
    body["loadBalancingScheme"] = json!("INTERNAL");
    Ok(super::applied(&act.create(&at, &body).await?))
}

/// Changes it. Backends that are taken away stay beside the others until one of those is healthy.
pub(crate) async fn update(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: BackendService = fields::typed(KIND.name, act.step.fields)?;
    let at = act.there(Collection::BackendServices)?;
    let there = read(&act.read(&at).await?, &BTreeSet::new());
    let (old, new) = (groups_of(&there), groups_of(&wanted));
    if !old.is_subset(&new) {
        let stays = |seen: &Seen| new.iter().any(|group| fields::resolved(group) == seen.group);
        // Judged before anything is changed: what serves may not answer where another check asks. Where an earlier run has put another
        // check there already, nothing tells that of before any more, and what it asked counts as serving while somebody is connected: also
        // where this run puts a third there, for which the one of before had to make room. What came with the other check never served by
        // the one of before.
        let is_asked_elsewhere = there.health_check != wanted.health_check;
        let goes = || old.difference(&new).map(fields::resolved);
        let asks = fields::resolved(&wanted.health_check);
        let served = handover::health(act, &at).await?.iter().any(|seen| seen.healthy && !stays(seen))
            || (act.step.spares
                && (is_asked_elsewhere || handover::may_answer_elsewhere(act, asks, goes()).await?));
        // Those of before are asked where they answer again, too, when a file that was in force before takes them back.
        if !new.is_subset(&old) || there.health_check != wanted.health_check {
            let both = BackendService { backends: old.union(&new).cloned().collect(), ..wanted.clone() };
            set(act, &at, &both).await?;
        }
        handover::until_healthy(act, std::slice::from_ref(&at), served, |seen| Part::new_if(stays(seen)))
            .await?;
    }
    Ok(super::applied(&set(act, &at, &wanted).await?))
}

fn groups_of(of: &BackendService) -> BTreeSet<Value> {
    of.backends.iter().cloned().collect()
}

async fn set(act: &Act<'_>, at: &At, wanted: &BackendService) -> Result<Json, Error> {
    act.merge(at, |latest| {
        // Its sort does not change.
        let there = read(latest, &BTreeSet::new());
        let same = there.health_check == wanted.health_check
            && there.drain == wanted.drain
            && groups_of(&there) == groups_of(wanted);
        Ok((!same).then(|| {
            let mut body = body(wanted);
            body["fingerprint"] = json!(text(latest, "fingerprint"));
            body
        }))
    })
    .await
}
