//! What a service wants of its attachment, in view of what is there and of who is connected.

use std::collections::BTreeSet;

use privnet_core::accept::Connection;
use privnet_core::plan::{Refusal, Rule, SEVER, Wait};
use privnet_core::spec::Acceptance;
use privnet_core::spec::gcp::{GcpAcceptBy, GcpAttachment, GcpForm, GcpNatSubnet};
use privnet_core::world::Connections;
use privnet_core::{Address, Origin, Value};

use super::{Attachment, KIND, PREFERENCE, SUPPLIED, parsed, takes_everybody};
use crate::entry::{self, Entry};
use crate::fields::{self, Fields};
use crate::keeping::{self, MOST_REJECTED, Rejects};
use crate::kinds::{firewall, forwarding_rule, nat_subnet};
use crate::lower::Lowering;
use crate::path;
use crate::policy;

pub(crate) fn lower(lowering: &mut Lowering<'_>) {
    if matches!(lowering.gcp.form, GcpForm::ServiceAttachment { .. }) {
        let address = lowering.address(KIND.name, SUPPLIED);
        say_whether_addresses_run_out(lowering, &address, "add a NAT subnet to the attachment");
        lowering.want(address, Origin::Supplied, Fields::new(), BTreeSet::new());
        return;
    }
    let Some((settings, _)) = lowering.attachment() else { return };
    let rule = if lowering.made().is_some() { "main" } else { forwarding_rule::SUPPLIED };
    let rule = lowering.address(forwarding_rule::KIND.name, rule);
    let subnets = nat_subnet::addresses(lowering);
    let address = lowering.address(KIND.name, "main");
    say_whether_addresses_run_out(lowering, &address, "add a subnet to `nat_subnets`");
    let others = somebody_elses_subnets(lowering, &address);
    let settings = settings.clone();
    let there = lowering
        .world
        .at(&address)
        .and_then(|live| fields::typed::<Attachment>(KIND.name, &live.fields).ok());
    let (consumers, reconciled_consumers) = consumers(lowering, there.as_ref(), &settings);
    let shown = there.as_ref().map(|there| there.proxy_protocol);
    let listed = consumers.as_ref().or(reconciled_consumers.as_ref());
    let beside = there.map(|there| beside(lowering, &there, &settings, listed)).unwrap_or_default();
    let proxy_protocol = settings.proxy_protocol;
    say_what_sessions_begin_with(lowering, shown, proxy_protocol);
    let typed = Attachment {
        target: Value::output(&rule, "path"),
        nat_subnets: subnets.iter().map(|subnet| Value::output(subnet, "path")).chain(others).collect(),
        connection_preference: PREFERENCE.to_owned(),
        proxy_protocol,
        reconcile_connections: settings_of(lowering).is_some_and(|settings| settings.reconcile_connections),
        domain_names: settings_of(lowering)
            .map(|settings| settings.domain_names.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        propagated_connection_limit: settings_of(lowering)
            .and_then(|settings| settings.propagated_connection_limit.map(i64::from)),
        consumers,
        reconciled_consumers,
        connected: beside.connected,
        rejected: beside.rejected,
        global_access: None,
        addresses: None,
        addresses_taken: None,
    };
    // A range that is added lets nobody through until the clients' rule does.
    let clients = lowering.made().map(|_| lowering.address(firewall::KIND.name, firewall::CLIENTS));
    lowering.want(address, Origin::Owned, fields::of(&typed), clients.into_iter().collect());
}

/// A database that gets a header which it does not expect, or none where it does, answers nobody: whoever is connected is to be told before
/// the header comes or goes. It is the first that a connection brings
/// (<https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>).
fn say_what_sessions_begin_with(lowering: &mut Lowering<'_>, shown: Option<bool>, wanted: bool) {
    let Some(seen) = lowering.world.services.get(lowering.service.name.as_str()) else { return };
    let is_live = match &seen.connections {
        Connections::Known(all) => all.iter().any(|connection| connection.state.may_be_live()),
        Connections::Unreadable { .. } => true,
        Connections::NotExposed => false,
    };
    if !is_live || shown.is_none_or(|shown| shown == wanted) {
        return;
    }
    let what = match wanted {
        true => "new sessions begin with a PROXY header: the database must expect it",
        false => "new sessions begin without a PROXY header: the database must not expect one",
    };
    let name = &lowering.service.name;
    lowering.lowered.warnings.push(format!("{name}: somebody is connected, and with this change {what}"));
}

/// Says in time that the NAT subnets have no address left for further connections, and what to do about it.
fn say_whether_addresses_run_out(lowering: &mut Lowering<'_>, address: &Address, what_to_do: &str) {
    let live = lowering.world.at(address).map(|live| fields::typed::<Attachment>(KIND.name, &live.fields));
    let Some(Attachment { addresses: Some(all), addresses_taken: Some(taken), .. }) =
        live.and_then(Result::ok)
    else {
        return;
    };
    if nearly_exhausted(taken, all) {
        lowering.lowered.waits.push(Wait {
            on: "you".to_owned(),
            why: format!(
                "the NAT subnets have {} of {all} addresses left, and each connection takes one: {what_to_do}",
                (all - taken).max(0)
            ),
            service: lowering.service.name.to_string(),
        });
    }
}

/// Whether a fifth or less is left.
fn nearly_exhausted(taken: i64, all: i64) -> bool {
    taken > 0 && taken * 10 >= all * 8
}

/// NAT subnets that are neither the file's nor ours. No subnet can be taken from an attachment, so they stay, and that is said; what
/// the file says of the rest is done.
fn somebody_elses_subnets(lowering: &mut Lowering<'_>, address: &Address) -> Vec<Value> {
    let live = lowering.world.at(address).and_then(|live| live.fields.get("nat_subnets")?.as_list());
    let (settings, ours) = (settings_of(lowering), nat_subnet::KIND.name);
    let named: BTreeSet<String> = settings
        .iter()
        .flat_map(|settings| &settings.nat_subnets)
        .filter_map(|subnet| match subnet {
            GcpNatSubnet::Existing(name) => Some(lowering.subnet(name.as_str())),
            GcpNatSubnet::Create { .. } => None,
        })
        .collect();
    let is_ours = |path: &str| {
        lowering.world.live.iter().any(|live| live.id == path && live.address.kind == ours && live.is_ours())
    };
    let paths = live.unwrap_or_default().iter().filter_map(Value::as_text);
    let found: Vec<String> =
        paths.filter(|path| !named.contains(*path) && !is_ours(path)).map(str::to_owned).collect();
    for path in &found {
        let name = path::name(path);
        let open = if lowering.made().is_some() {
            ", and the firewall rule for clients lets in whom Google gives an address of it"
        } else {
            ""
        };
        lowering.lowered.warnings.push(format!(
            "{}: the attachment has the NAT subnet `{name}` too, which is not in the file. No subnet can be taken from an attachment: \
             it stays{open}; write `{{ existing: {name} }}` into `nat_subnets` to say that it is meant",
            lowering.service.name
        ));
    }
    found.into_iter().map(Value::text).collect()
}

fn settings_of<'a>(lowering: &'a Lowering<'_>) -> Option<&'a GcpAttachment> {
    lowering.attachment().map(|(settings, _)| settings)
}

type Listed = Option<BTreeSet<String>>;

/// The accept list that the file decides, as one of the two fields. A manual one is nobody's but the decisions': who was decided on
/// stays in it, by entries of the file's type, and nobody else has room.
fn consumers(
    lowering: &mut Lowering<'_>,
    live: Option<&Attachment>,
    settings: &GcpAttachment,
) -> (Listed, Listed) {
    let by = settings.accept_by;
    if lowering.service.acceptance == Acceptance::Manual {
        return (live.and_then(|live| decided_on(live, by, lowering)), None);
    }
    if by == GcpAcceptBy::Endpoint {
        lowering.refuse("`accept_by: endpoint` cannot be automatic: an endpoint is known only once it has asked. Use `project` or `network`");
        return (None, None);
    }
    let policy::Automatic { entries, nameless, several } =
        policy::automatic(lowering.spec, lowering.service, by, lowering.world);
    let (name, word) = (lowering.service.name.clone(), entry::word(by));
    for consumer in nameless {
        lowering.refuse(format!("the consumer `{consumer}` has no {word} that could be let in"));
    }
    for (consumer, count, limit) in several {
        lowering.lowered.warnings.push(format!(
            "{name}: `{consumer}` has {count} {word}s, which GCP counts one by one: each of them may have {limit} connection(s)"
        ));
    }
    let wanted: BTreeSet<String> = entries.iter().map(Entry::spelled).collect();
    if settings.reconcile_connections { (None, Some(wanted)) } else { (Some(wanted), None) }
}

/// A manual list where it is not as it should be. One that took everybody in has none: who came in meanwhile and may be is put on it,
/// so that nobody else is in question when it is decided on anew.
fn decided_on(live: &Attachment, by: GcpAcceptBy, lowering: &Lowering<'_>) -> Listed {
    let all = connections_of(lowering)?;
    let mut wanted = keeping::manual(&parsed(live.consumers.as_ref()), by, all);
    if takes_everybody(live) {
        let policy = policy::of(lowering.spec, lowering.service, lowering.world);
        // Who is the consumer's stays on the list, also where there are more than it may have: which of them is to go is for somebody to say,
        // and whoever is on no list goes with the next one that is turned away.
        wanted.extend(keeping::who_may_stay(by, all, |one| policy.admits(one)));
    }
    let wanted: BTreeSet<String> = wanted.iter().map(Entry::spelled).collect();
    (live.consumers.as_ref() != Some(&wanted)).then_some(wanted)
}

/// What a change of the accept list, of whether it counts, or of reconciling, has beside it.
#[derive(Default)]
struct Beside {
    /// Who stays, where somebody would be cut.
    connected: Listed,
    /// The reject list, where it must change so that whoever was turned away stays so.
    rejected: Listed,
}

/// What goes with this change of the list, of whether it counts, or of reconciling. It is said too whom the lists would forget. An
/// attachment that is to stop reconciling does so before its lists change: then they cut nobody, and let nobody in again.
fn beside(
    lowering: &mut Lowering<'_>,
    live: &Attachment,
    settings: &GcpAttachment,
    listed: Option<&BTreeSet<String>>,
) -> Beside {
    let edited = listed.filter(|listed| live.consumers.as_ref() != Some(*listed));
    let entries = parsed(edited.or(live.consumers.as_ref()));
    let before: Vec<String> = live.rejected.iter().flatten().cloned().collect();
    let Some(connections) = connections_of(lowering) else { return Beside::default() };
    let anew = settings.reconcile_connections && (!live.reconcile_connections || takes_everybody(live));
    let by = keeping::listed_by(&entries, &before, settings.accept_by);
    let Rejects { entries: kept, forgotten } =
        keeping::rejects_beside(&entries, by, &before, connections, anew);
    say_whom_the_lists_forget(lowering, settings.accept_by, &before, &kept);
    let rejected: BTreeSet<String> = kept.iter().cloned().collect();
    let rejected = (live.rejected.as_ref() != Some(&rejected)).then_some(rejected);
    if !settings.reconcile_connections || (edited.is_none() && !anew) {
        return Beside { connected: None, rejected };
    }
    let again = keeping::let_in_again(&entries, &kept, connections);
    let cut = keeping::cut(&entries, &kept, connections);
    refuse_who_was_turned_away(lowering, forgotten, again);
    refuse_to_cut(lowering, live, connections, &cut);
    let stay = live.connected.as_ref().filter(|_| !cut.is_empty());
    Beside { connected: stay.map(|there| there.difference(&cut).cloned().collect()), rejected }
}

/// Refuses what would have people wait again who were turned away, or let them in.
fn refuse_who_was_turned_away(
    lowering: &mut Lowering<'_>,
    forgotten: BTreeSet<String>,
    again: BTreeSet<String>,
) {
    let named = |ids: BTreeSet<String>| ids.into_iter().collect::<Vec<_>>().join(", ");
    let until = "Until the consumer has deleted those endpoints, it takes `reconcile_connections: false`, with which all else of the edit is done";
    if !forgotten.is_empty() {
        lowering.refuse(format!(
            "with `reconcile_connections` those who were turned away would wait again, and no entry of the reject list can keep them out \
             that stands for nobody else: {}. {until}",
            named(forgotten)
        ));
    }
    if !again.is_empty() {
        lowering.refuse(format!(
            "with `reconcile_connections` the new accept list would let in what was turned away: {}. {until}",
            named(again)
        ));
    }
}

/// Refuses to cut these without the word, and says how all else is done without cutting anybody: a `watch` would refuse each round, while
/// an attachment that lets in whoever asks stays open.
fn refuse_to_cut(
    lowering: &mut Lowering<'_>,
    live: &Attachment,
    connections: &[Connection],
    cut: &BTreeSet<String>,
) {
    if cut.is_empty() {
        return;
    }
    let named = |one: &Connection| format!("{} ({})", one.id, one.who());
    let live_ones: Vec<String> = connections.iter().filter(|one| cut.contains(&one.id)).map(named).collect();
    let (count, cut) = (live_ones.len(), live_ones.join(", "));
    let why = if takes_everybody(live) {
        format!(
            "the attachment lets in whoever asks (`ACCEPT_AUTOMATIC`). To set that back with `reconcile_connections: true` would cut {count} \
             live connection(s) that the file does not allow: {cut}. Until then it stays open to whoever asks: `reconcile_connections: false` \
             shuts it at once and cuts nobody, and each of them is turned away with privnet reject --connection ID --sever-connections"
        )
    } else {
        format!(
            "with `reconcile_connections: true` this would cut {count} live connection(s), for whom the accept list has no room: {cut}. With \
             `reconcile_connections: false` all else of the edit is done, and cuts nobody"
        )
    };
    let address = lowering.address(KIND.name, "main");
    let flag = Some(SEVER.to_owned());
    lowering.lowered.refusals.push(Refusal { address, rule: Rule::WouldSever, why, flag });
}

/// Says what a change of the list's type makes of the reject list.
fn say_whom_the_lists_forget(
    lowering: &mut Lowering<'_>,
    by: GcpAcceptBy,
    rejected: &[String],
    kept: &[String],
) {
    let beside = |one: &[String], other: &[String]| {
        let alone: Vec<&str> = one.iter().filter(|text| !other.contains(text)).map(String::as_str).collect();
        alone.join(", ")
    };
    let (gone, new) = (beside(rejected, kept), beside(kept, rejected));
    if kept.len() > MOST_REJECTED {
        lowering.refuse(format!(
            "whoever was turned away is to stay so, which takes {} entries of the attachment's reject list: GCP allows {MOST_REJECTED}. Wait \
             until the consumers have deleted endpoints that were turned away, or take entries from the list",
            kept.len()
        ));
    }
    if gone.is_empty() {
        if !new.is_empty() {
            lowering.lowered.warnings.push(format!(
                "{}: since connections are decided on anew, whoever was turned away is kept out by new entries of the reject list: {new}; \
                 what else they name is turned away from now on, later requests too",
                lowering.service.name
            ));
        }
        return;
    }
    let new = if new.is_empty() {
        new
    } else {
        format!(", and puts those on it who are turned away by them: {new}")
    };
    let (name, word) = (&lowering.service.name, entry::word(by));
    lowering.lowered.warnings.push(format!(
        "{name}: an attachment's lists have entries of one type, so that `accept_by: {word}` clears {gone} from its reject list{new}: reject \
         again whoever asks and must not come in"
    ));
}

/// The service's connections, where they are known.
fn connections_of<'a>(lowering: &Lowering<'a>) -> Option<&'a [Connection]> {
    Some(lowering.world.services.get(lowering.service.name.as_str())?.connections.known())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_run_out_are_told_in_time() {
        assert!(!nearly_exhausted(1, 252) && !nearly_exhausted(201, 252) && nearly_exhausted(202, 252));
        assert!(nearly_exhausted(1, 1) && nearly_exhausted(4, 5) && !nearly_exhausted(0, 0));
    }
}
