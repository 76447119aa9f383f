//! Whose sessions are cut at once: `drain: 0s` of the file is the word for it, and a plan says so where it comes to that.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::kind::{Change, Kind, canonical};
use privnet_core::spec::aws::AwsForm;
use privnet_core::{Address, Class, Live, Lowered, Resource, Value};

use crate::kinds::{self, FORWARDER_GROUP, LAUNCH_TEMPLATE, TARGET_GROUP};
use crate::lower::Lowering;

/// Warns of targets and forwarders that go without a time to end their sessions, while a consumer may be connected.
pub(crate) fn warn(lowering: &Lowering<'_>, lowered: &mut Lowered) {
    let settings = match &lowering.aws.form {
        AwsForm::Made(made) => &made.targets,
        AwsForm::OnLoadBalancer(on) => &on.targets,
        AwsForm::EndpointService(_) | AwsForm::Removed => return,
    };
    let seen = lowering.world.services.get(lowering.name());
    if !seen.is_some_and(|seen| seen.connections.may_be_live()) {
        return;
    }
    let mut replaced = BTreeSet::new();
    let mut going = Vec::new();
    for resource in &lowered.resources {
        let kind = resource.address.kind.as_str();
        let is_asked = matches!(kind, TARGET_GROUP | LAUNCH_TEMPLATE | FORWARDER_GROUP);
        let Some(live) = lowering.world.at(&resource.address).filter(|_| is_asked) else { continue };
        if is_replaced(resource, live, &replaced) {
            replaced.insert(&resource.address);
        }
        let is_replaced = replaced.contains(&resource.address);
        let (had, wanted) = (drain(&live.fields), drain(&resource.fields));
        going.extend(match kind {
            // A longer time of the file is given to those that go as well.
            FORWARDER_GROUP if is_replaced && had.max(wanted) == 0 => {
                Some("the forwarder machines (`forwarder.drain: 0s`)".to_owned())
            }
            // The load balancer ends their sessions after the time of their target groups, whatever the machines have.
            FORWARDER_GROUP if is_replaced && settings.drain.get() == 0 => {
                Some("the forwarder machines (`drain: 0s`)".to_owned())
            }
            // What is there keeps the time that it has until everything that leaves it has gone, and has a longer one first: one that
            // stays, and one that is replaced.
            TARGET_GROUP if had.max(wanted) == 0 => leaving(resource, live, is_replaced),
            _ => None,
        });
    }
    if !going.is_empty() {
        lowered.warnings.push(format!(
            "{}: established sessions are cut at once while a consumer may be connected: {} make way for others; a longer `drain` \
             leaves sessions the time to end",
            lowering.name(),
            going.join(", ")
        ));
    }
}

/// The time that these fields give sessions to end in, in seconds.
fn drain(fields: &BTreeMap<String, Value>) -> i64 {
    fields.get("drain").and_then(Value::as_int).unwrap_or_default()
}

/// The targets of a port that leave, in words.
fn leaving(resource: &Resource, live: &Live, is_replaced: bool) -> Option<String> {
    let targets = |fields: &BTreeMap<String, Value>| {
        fields.get("targets").and_then(Value::as_list).map(<[Value]>::to_vec)
    };
    let (there, wanted) = (targets(&live.fields).unwrap_or_default(), targets(&resource.fields));
    let leaves = |target: &&Value| is_replaced || wanted.as_ref().is_some_and(|stay| !stay.contains(target));
    let any = there.iter().any(|target| leaves(&target));
    any.then(|| format!("targets of port {} (`drain: 0s`)", resource.address.name))
}

/// Whether the plan replaces what is there: by a setting of its own, or because what it refers to is.
fn is_replaced(resource: &Resource, live: &Live, replaced: &BTreeSet<&Address>) -> bool {
    let table = kinds::KINDS.iter().find(|kind| kind.name == resource.address.kind);
    let fields = table.map(|kind: &Kind| kind.fields).unwrap_or_default();
    fields.iter().any(|field| {
        let replaces = field.change == Change::Replace && field.class != Class::Observed;
        let Some(wanted) = resource.fields.get(field.name).filter(|_| replaces) else { return false };
        let mut refers = false;
        let mut follows = false;
        wanted.each_output(&mut |output| {
            refers = true;
            follows |= replaced.contains(&output.address);
        });
        let there = live.fields.get(field.name).cloned().unwrap_or_default();
        follows || (!refers && canonical(&there, field.shape) != canonical(wanted, field.shape))
    })
}
