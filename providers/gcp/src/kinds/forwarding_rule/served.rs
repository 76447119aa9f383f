//! What a rule for all ports serves: the ports that the machines behind it do. No field of the rule tells when forwarders lose one, since each
//! change of theirs makes new machines, so that it is looked for here.

use std::collections::BTreeSet;

use privnet_core::plan::{Refusal, Rule, SEVER, who_would_be_cut};
use privnet_core::spec::gcp::GcpMade;
use privnet_core::{Live, Value};

use super::{ALL, ForwardingRule, KIND, attached};
use crate::fields;
use crate::forwarders;
use crate::kinds::backend_service::{self, BackendService};
use crate::kinds::forwarder_group;
use crate::kinds::instance_template::{self, Template};
use crate::lower::Lowering;

/// The ports that consumers may use.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Served {
    /// Those that machines of the user's own have, whichever these are.
    All,
    /// These.
    These(BTreeSet<u16>),
    /// Those of forwarders, which cannot be read.
    Unread,
}

/// Forwarders behind a rule for all ports serve those of the file. Where somebody may be connected, none of those that are served goes without
/// the word: it was given to the vendor.
pub(super) fn check(lowering: &mut Lowering<'_>, made: &GcpMade) {
    let Some((_, ports)) = forwarders::of(made).filter(|_| made.all_ports) else { return };
    let wanted: BTreeSet<u16> = ports.iter().map(|port| port.listen.get()).collect();
    let consumers = lowering.world.ours_of(lowering.service.name.as_str());
    let Some(consumers) = consumers.and_then(|(_, connections)| who_would_be_cut(connections)) else {
        return;
    };
    let Some(what) = served(lowering, made).and_then(|served| loss(&served, &wanted)) else { return };
    lowering.lowered.refusals.push(Refusal {
        address: lowering.address(KIND.name, "main"),
        rule: Rule::WouldSever,
        why: format!("{what} would cut {consumers}"),
        flag: Some(SEVER.to_owned()),
    });
}

/// What of the served ports goes, in words; nothing where none does.
fn loss(served: &Served, wanted: &BTreeSet<u16>) -> Option<String> {
    let named = |ports: &BTreeSet<u16>| {
        let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
        ports.join(" and ")
    };
    let wanted_ports = named(wanted);
    match served {
        Served::These(there) => {
            let gone: BTreeSet<u16> = there.difference(wanted).copied().collect();
            (!gone.is_empty()).then(|| format!("taking {} out of ports", named(&gone)))
        }
        Served::All => Some(format!(
            "changing ports from all that the machines have, which may be more than the file says, to {wanted_ports} of forwarders"
        )),
        Served::Unread => Some(format!(
            "changing ports from those of the forwarders that are there, which cannot be read, to {wanted_ports}"
        )),
    }
}

/// What is served through the rule that consumers come in by.
fn served(lowering: &Lowering<'_>, made: &GcpMade) -> Option<Served> {
    let rule: ForwardingRule = attached(lowering)?;
    if !rule.ports.contains(ALL) {
        return Some(Served::These(rule.ports.iter().filter_map(|port| port.parse().ok()).collect()));
    }
    let behind = own(lowering, backend_service::KIND.name)
        .find(|live| Some(live.id.as_str()) == rule.backend_service.as_text())
        .and_then(|live| fields::typed::<BackendService>(backend_service::KIND.name, &live.fields).ok());
    match behind {
        // Somebody took off whatever served, and of nothing the sort cannot be told: no port can be lost.
        Some(behind) if behind.backends.is_empty() => None,
        Some(behind) if behind.has_forwarders() => forwarded(lowering, made, &behind.backends),
        _ => Some(Served::All),
    }
}

/// What forwarders in these groups serve. A run that was cut short may have left two of a group: then what those do that serve best, each of
/// them, since what one alone of them has was never to be relied on.
fn forwarded(lowering: &Lowering<'_>, made: &GcpMade, backends: &[Value]) -> Option<Served> {
    let groups = own(lowering, forwarder_group::KIND.name)
        .filter(|live| live.outputs.get("group").is_some_and(|group| backends.contains(group)));
    let serves = |group: &Live| group.fields.get("serves").and_then(Value::as_int);
    let groups: Vec<&Live> = groups.collect();
    let best = groups.iter().map(|group| serves(group)).max();
    let serving = groups.iter().filter(|group| Some(serves(group)) == best);
    let used: BTreeSet<&str> =
        serving.filter_map(|group| group.fields.get("template").and_then(Value::as_text)).collect();
    let all: Vec<&Live> = own(lowering, instance_template::KIND.name).collect();
    let mut templates: Vec<&Live> =
        all.iter().filter(|one| used.contains(one.id.as_str())).copied().collect();
    if templates.is_empty() {
        // Somebody gave a group another template: its machines are those of before.
        templates = all;
    }
    let wanted =
        forwarders::of(made).and_then(|(forwarder, ports)| forwarders::program(forwarder, ports).ok());
    let typed = templates
        .iter()
        .filter_map(|live| fields::typed::<Template>(instance_template::KIND.name, &live.fields).ok());
    let mut common: Option<BTreeSet<u16>> = None;
    for template in typed {
        match template.listens {
            Some(listens) => {
                common = Some(common.map_or_else(|| listens.clone(), |common| &common & &listens));
            }
            None if wanted.as_ref().is_some_and(|wanted| wanted.fingerprint == template.forwarder) => {}
            None => return Some(Served::Unread),
        }
    }
    common.map(Served::These)
}

/// What is ours of a kind.
fn own<'a>(lowering: &Lowering<'a>, kind: &'static str) -> impl Iterator<Item = &'a Live> {
    let world = lowering.world;
    let all = world.live.of(lowering.service.name.as_str()).iter();
    all.filter(move |live| live.is_ours() && live.address.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_goes_is_named_and_one_that_comes_is_no_loss() {
        let ports = |of: &[u16]| of.iter().copied().collect::<BTreeSet<u16>>();
        let these = |of: &[u16]| Served::These(ports(of));
        let said = loss(&these(&[3306, 5432]), &ports(&[3306]));
        assert_eq!(said.as_deref(), Some("taking 5432 out of ports"));
        for wanted in [&[3306, 5432][..], &[22, 3306, 5432]] {
            assert_eq!(loss(&these(&[5432, 3306]), &ports(wanted)), None, "{wanted:?}");
        }
        for unknown in [Served::All, Served::Unread] {
            let said = loss(&unknown, &ports(&[3306])).expect("something may go");
            assert!(said.contains(" to 3306"), "{said}");
        }
    }
}
