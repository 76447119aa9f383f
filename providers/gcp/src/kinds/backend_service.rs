//! The regional backend service of an internal pass-through load balancer
//! (<https://cloud.google.com/load-balancing/docs/internal>).

use std::collections::BTreeSet;

use privnet_core::spec::gcp::{GcpBackend, GcpDirect};
use privnet_core::spec::gcp_ids::{GcpGroupScope, GcpInstanceGroup};
use privnet_core::{Applied, Error, Field, Kind, Live, Origin, Replacement, Shape, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::act::Act;
use crate::collection::Collection;
use crate::fields::{self, Fields};
use crate::json::{Json, list, number, text};
use crate::kinds::{endpoint_group, health_check};
use crate::lower::Lowering;
use crate::path;
use crate::snapshot::{Place, Snapshot};

/// How long established sessions are left to a target that goes; the default of `version: 1`.
const DRAIN: i64 = 300;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BackendService {
    pub(crate) health_check: Value,
    pub(crate) backends: Vec<Value>,
    pub(crate) drain: i64,
}

pub(crate) const KIND: Kind = Kind {
    name: "backend-service",
    title: "backend service",
    fields: &[
        Field::managed("health_check"),
        Field::managed("backends").shaped(Shape::Set),
        Field::managed("drain"),
    ],
    replacement: Replacement::CreateFirst,
    teardown_rank: 30,
    severs: true,
    serialized_by: &[],
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
    let GcpBackend::Direct { to, .. } = &made.backend else { return };
    let backends = match to {
        GcpDirect::Instances(_) => {
            endpoint_group::addresses(lowering).iter().map(|address| Value::output(address, "path")).collect()
        }
        GcpDirect::InstanceGroup(group) => vec![Value::text(group_path(&lowering.place, group))],
    };
    let check = lowering.address(health_check::KIND.name, "main");
    let typed = BackendService { health_check: Value::output(&check, "path"), backends, drain: DRAIN };
    let address = lowering.address(KIND.name, "main");
    lowering.want(address, Origin::Owned, fields::of(&typed), BTreeSet::new());
}

pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    super::live_of(
        snapshot,
        Collection::BackendServices,
        &KIND,
        |json| fields::of(&read(json)),
        |_| Fields::new(),
    )
}

fn read(json: &Json) -> BackendService {
    let checks = list(json, "healthChecks").iter().filter_map(Json::as_str);
    let groups = list(json, "backends").iter().filter_map(|backend| text(backend, "group"));
    let draining = json.get("connectionDraining").unwrap_or(&Json::Null);
    BackendService {
        health_check: checks.map(path::of).next().map_or(Value::Null, Value::Text),
        backends: groups.map(|group| Value::Text(path::of(group))).collect(),
        drain: number(draining, "drainingTimeoutSec").unwrap_or(0),
    }
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

pub(crate) async fn update(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: BackendService = fields::typed(KIND.name, act.step.fields)?;
    let at = act.there(Collection::BackendServices)?;
    let found = act
        .merge(&at, |latest| {
            let there = read(latest);
            let set = |of: &BackendService| of.backends.iter().cloned().collect::<BTreeSet<_>>();
            if there.health_check == wanted.health_check
                && there.drain == wanted.drain
                && set(&there) == set(&wanted)
            {
                return Ok(None);
            }
            let mut body = body(&wanted);
            body["fingerprint"] = json!(text(latest, "fingerprint"));
            Ok(Some(body))
        })
        .await?;
    Ok(super::applied(&found))
}
