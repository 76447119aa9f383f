//! Whose sessions are cut at once: `drain: 0s` of the file is the word for it, and a plan says so where it comes to that.

use std::collections::BTreeSet;

use privnet_core::kind::{Change, Kind, canonical};
use privnet_core::spec::aws::{AwsForm, AwsTargets};
use privnet_core::{Address, Class, Live, Lowered, Resource, Value};

use crate::forwarders;
use crate::kinds::{self, FORWARDER_GROUP, LAUNCH_TEMPLATE, TARGET_GROUP};
use crate::lower::Lowering;

/// Warns of targets and forwarders that go without a time to end their sessions, while a consumer may be connected.
pub(crate) fn warn(lowering: &Lowering<'_>, lowered: &mut Lowered) {
    let settings = match &lowering.aws.form {
        AwsForm::Made(made) => &made.targets,
        AwsForm::OnLoadBalancer(on) => &on.targets,
        AwsForm::EndpointService(_) | AwsForm::Removed => return,
    };
    let at_once = keys(lowering, settings);
    let seen = lowering.world.services.get(lowering.name());
    if at_once.is_empty() || !seen.is_some_and(|seen| seen.connections.may_be_live()) {
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
        // What is there keeps the time that it has until everything that leaves it has gone.
        let has_time = live.fields.get("drain").and_then(Value::as_int).is_some_and(|drain| drain > 0);
        going.extend(match kind {
            FORWARDER_GROUP if replaced.contains(&resource.address) => {
                Some("the forwarder machines".to_owned())
            }
            TARGET_GROUP if !has_time => leaving(resource, live, replaced.contains(&resource.address)),
            _ => None,
        });
    }
    if !going.is_empty() {
        lowered.warnings.push(format!(
            "{}: {} cuts established sessions at once: {} make way for others while a consumer may be connected; a longer `drain` leaves \
             sessions the time to end",
            lowering.name(),
            at_once.join(" and "),
            going.join(", ")
        ));
    }
}

/// The keys of the file by which what goes has no time.
fn keys(lowering: &Lowering<'_>, settings: &AwsTargets) -> Vec<&'static str> {
    let machines = forwarders::of(lowering.aws);
    let of_machines = machines.filter(|machines| machines.asked.drain.get() == 0);
    let of_targets = (settings.drain.get() == 0).then_some("`drain: 0s`");
    of_targets.into_iter().chain(of_machines.map(|_| "`forwarder.drain: 0s`")).collect()
}

/// The targets of a port that leave, in words.
fn leaving(resource: &Resource, live: &Live, is_replaced: bool) -> Option<String> {
    let targets = |fields: &std::collections::BTreeMap<String, Value>| {
        fields.get("targets").and_then(Value::as_list).map(<[Value]>::to_vec)
    };
    let (there, wanted) = (targets(&live.fields).unwrap_or_default(), targets(&resource.fields));
    let leaves = |target: &&Value| is_replaced || wanted.as_ref().is_some_and(|stay| !stay.contains(target));
    let any = there.iter().any(|target| leaves(&target));
    any.then(|| format!("targets of port {}", resource.address.name))
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
