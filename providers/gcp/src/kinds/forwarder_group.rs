//! A group of forwarder machines in one subnet: a regional managed instance group
//! (<https://cloud.google.com/compute/docs/instance-groups/regional-migs>).
//!
//! It replaces machines that fail, and has no health check of its own: a database that is down must not end every forwarder. A
//! change makes a new group from a new template; the backend service goes over to it once it is healthy; the old one is
//! drained and deleted. The cloud's own rollouts are never used.

use std::collections::BTreeSet;
use std::time::Duration;

use privnet_core::execute::{Poll, Until};
use privnet_core::plan::Wait;
use privnet_core::spec::Zones;
use privnet_core::world::TargetState;
use privnet_core::{
    Address, Applied, Change, Error, ErrorKind, Field, Health, Kind, Live, Origin, Replacement, Shape,
    Traffic, Value,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::act::Act;
use crate::collection::{At, Collection};
use crate::fields::{self, Fields};
use crate::json::{Json, flag, list, number, text};
use crate::kinds::{backend_service, health_check, instance_template};
use crate::lower::Lowering;
use crate::path;
use crate::snapshot::Snapshot;
use crate::{forwarders, handover};

/// How long new machines may take to run.
const STABLE: Duration = Duration::from_secs(20 * 60);
/// The most characters of what machines' names begin with.
const LONGEST_BASE: usize = 58;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) template: Value,
    /// The zones that the file asks for.
    #[serde(default)]
    pub(crate) zones: Option<BTreeSet<String>>,
    pub(crate) count: i64,
}

pub(crate) const KIND: Kind = Kind {
    name: "forwarder-group",
    title: "group of forwarders",
    fields: &[
        Field::managed("template").on_change(Change::Replace),
        Field::if_set("zones").on_change(Change::Replace).shaped(Shape::Set),
        Field::managed("count"),
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

/// The addresses of a service's groups.
pub(crate) fn addresses(lowering: &Lowering<'_>) -> Vec<Address> {
    let Some((forwarder, _)) = lowering.made().and_then(forwarders::of) else { return Vec::new() };
    forwarder.subnets.iter().map(|subnet| lowering.address(KIND.name, subnet.as_str())).collect()
}

pub(crate) fn lower(lowering: &mut Lowering<'_>) {
    let Some((forwarder, _)) = lowering.made().and_then(forwarders::of) else { return };
    let zones = match &forwarder.zones {
        Zones::All => None,
        Zones::These(zones) => Some(zones.iter().map(ToString::to_string).collect()),
    };
    for (index, subnet) in forwarder.subnets.iter().enumerate() {
        let template = lowering.address(instance_template::KIND.name, subnet.as_str());
        let typed = Group {
            template: Value::output(&template, "path"),
            zones: zones.clone(),
            count: forwarders::share(forwarder.count.get(), forwarder.subnets.len(), index),
        };
        let address = lowering.address(KIND.name, subnet.as_str());
        let needs = health_check::before_its_machines(lowering);
        lowering.want(address, Origin::Owned, fields::of(&typed), needs);
    }
    wait_for_the_sick(lowering);
}

/// What to look at where machines do not answer, as far as health was read: a `status` reads it. Nothing is installed at boot, and a
/// machine's install script says on its serial console what the image lacks.
fn wait_for_the_sick(lowering: &mut Lowering<'_>) {
    let service = lowering.service.name.to_string();
    let Some(seen) = lowering.world.services.get(&service) else { return };
    // Each is there once for each forwarding rule.
    let sick: BTreeSet<&str> = seen
        .targets
        .iter()
        .filter(|target| target.state == TargetState::Unhealthy)
        .map(|target| target.id.as_str())
        .collect();
    let project = lowering.place.project.clone();
    let waits = sick.into_iter().map(|machine| Wait {
        on: "you".to_owned(),
        why: format!(
            "the forwarder {machine} is unhealthy; it is healthy when each of its databases answers it and its image holds nft and python3: \
             see `gcloud compute instances get-serial-port-output {machine} --project {project}`"
        ),
        service: service.clone(),
    });
    lowering.lowered.waits.extend(waits);
}

pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let fields = |json: &Json| {
        let mut fields = fields::of(&read(json));
        fields.extend(backend_service::traffic(snapshot, text(json, "instanceGroup"), json));
        fields
    };
    let all = super::live_of(snapshot, Collection::GroupManagers, &KIND, fields, outputs);
    let stable = |live: &Live| {
        let shown = snapshot.by_name(Collection::GroupManagers, path::name(&live.id));
        shown.is_none_or(is_stable)
    };
    all.into_iter()
        .map(|live| {
            let health = if stable(&live) {
                Health::Ready
            } else {
                Health::Busy { state: "machines are on their way".to_owned() }
            };
            Live { health, ..live }
        })
        .collect()
}

/// The instance groups of what is ours, by path.
pub(crate) fn groups(snapshot: &Snapshot<'_>) -> BTreeSet<String> {
    let ours = snapshot.claimed(Collection::GroupManagers, KIND.name).into_iter();
    ours.filter_map(|(_, json)| text(json, "instanceGroup").map(path::of)).collect()
}

fn outputs(json: &Json) -> Fields {
    let group = text(json, "instanceGroup").map(path::of).unwrap_or_default();
    fields::outputs([("group", group.as_str())])
}

fn is_stable(json: &Json) -> bool {
    json.get("status").is_some_and(|status| flag(status, "isStable"))
}

fn read(json: &Json) -> Group {
    let distribution = json.get("distributionPolicy").unwrap_or(&Json::Null);
    let zones = list(distribution, "zones").iter().filter_map(|zone| text(zone, "zone"));
    Group {
        template: text(json, "instanceTemplate").map_or(Value::Null, |url| Value::text(path::of(url))),
        zones: Some(zones.map(|zone| path::name(zone).to_owned()).collect()),
        count: number(json, "targetSize").unwrap_or(0),
    }
}

fn body(name: &str, wanted: &Group) -> Json {
    let base: String = name.chars().take(LONGEST_BASE).collect();
    let template = fields::resolved(&wanted.template);
    let mut body = json!({ "name": name, "baseInstanceName": base.trim_end_matches('-'),
        "versions": [{ "instanceTemplate": template }], "targetSize": wanted.count,
        // Machines are replaced by groups of ours only.
        "updatePolicy": { "type": "OPPORTUNISTIC", "minimalAction": "REPLACE",
            "instanceRedistributionType": "NONE" } });
    if let Some(zones) = &wanted.zones {
        let zones: Vec<Json> = zones.iter().map(|zone| json!({ "zone": format!("zones/{zone}") })).collect();
        body["distributionPolicy"] = json!({ "zones": zones });
    }
    body
}

pub(crate) async fn create(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: Group = fields::typed(KIND.name, act.step.fields)?;
    let at = act.new_regional(Collection::GroupManagers);
    let mut body = body(&at.name, &wanted);
    body["description"] = json!(act.marker());
    act.create(&at, &body).await?;
    yields(act, &at).await
}

pub(crate) async fn update(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: Group = fields::typed(KIND.name, act.step.fields)?;
    let at = act.there(Collection::GroupManagers)?;
    act.merge(&at, |latest| {
        let same = number(latest, "targetSize") == Some(wanted.count);
        Ok((!same).then(|| json!({ "targetSize": wanted.count, "fingerprint": text(latest, "fingerprint") })))
    })
    .await?;
    yields(act, &at).await
}

/// What a group yields, once its machines run.
async fn yields(act: &Act<'_>, at: &At) -> Result<Applied, Error> {
    let method = at.collection.method("get");
    let until = Until { operation: &method, subject: &at.name, what: "stable", limit: STABLE };
    let found = act
        .cloud
        .context
        .until(until, || async {
            let found = act.read(at).await?;
            Ok(if is_stable(&found) {
                Poll::Ready(found)
            } else {
                Poll::Pending("machines are on their way".to_owned())
            })
        })
        .await
        .map_err(|error| match error.kind() {
            ErrorKind::TimedOut => error.with_hint(format!(
                "`gcloud compute instance-groups managed list-errors {} --region {}` says what keeps machines from running",
                at.name, at.place
            )),
            _ => error,
        })?;
    let mut applied = super::applied(&found);
    applied.outputs.extend(outputs(&found));
    Ok(applied)
}

/// Deletes it: the backend service has let go of it, and its machines go with it.
pub(crate) async fn delete(act: &Act<'_>) -> Result<Applied, Error> {
    let at = act.there(Collection::GroupManagers)?;
    handover::let_sessions_end(act, &at.name).await?;
    act.delete(&at).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_writes() {
        let wanted = Group {
            template: Value::text("projects/p/global/instanceTemplates/t"),
            zones: Some(BTreeSet::from(["r-a".to_owned(), "r-b".to_owned()])),
            count: 2,
        };
        let mut made = body(&"x".repeat(63), &wanted);
        assert_eq!(made["baseInstanceName"].as_str().map(str::len), Some(LONGEST_BASE));
        made["instanceTemplate"] = made["versions"][0]["instanceTemplate"].clone();
        assert_eq!(read(&made), wanted);
        assert_eq!(fields::typed::<Group>(KIND.name, &fields::of(&wanted)).expect("the same"), wanted);
        assert!(fields::of(&wanted).keys().all(|field| KIND.field(field).is_some()));
    }
}
