//! What an edit of an attachment's lists does to who is connected. Pure.
//!
//! `apply` lets nobody in that was not decided on, and cuts nobody without the word.

use std::collections::BTreeSet;

use privnet_core::accept::{Connection, ConnectionState, Identity};
use privnet_core::spec::gcp::GcpAcceptBy;

use crate::entry::Entry;
use crate::path;

/// Whether an entry of a list is about this connection.
fn names(entry: &Entry, connection: &Connection) -> bool {
    let is = |sort, id: &str| connection.identities.contains(&Identity::new(sort, id));
    match entry {
        Entry::Project { project, .. } => is("project", project),
        Entry::Network { network, .. } => is("network", network),
        Entry::Endpoint { endpoint } => path::same(&connection.handle, endpoint),
    }
}

fn live(connections: &[Connection]) -> impl Iterator<Item = &Connection> {
    connections.iter().filter(|connection| connection.state.may_be_live())
}

fn live_of(entry: &Entry, connections: &[Connection]) -> usize {
    live(connections).filter(|connection| names(entry, connection)).count()
}

/// The accept list of a manual attachment: nobody has room in it but who is let in already. Entries of another type are exchanged for
/// such of this one, for the same connections.
pub(crate) fn manual(there: &[Entry], by: GcpAcceptBy, connections: &[Connection]) -> BTreeSet<Entry> {
    let named: Vec<Entry> = if there.iter().all(|entry| entry.by() == by) {
        there.to_vec()
    } else {
        live(connections).filter_map(|connection| entry_of(connection, by)).collect()
    };
    let kept = named.into_iter().filter_map(|mut entry| {
        let taken = live_of(&entry, connections);
        match entry.room() {
            Some(_) if taken == 0 => return None,
            Some(room) => entry.limit_to(room.min(taken)),
            // It names one endpoint, which was decided on.
            None => {}
        }
        Some(entry)
    });
    kept.collect()
}

/// The entries by which those who are let in and may be stay so, in the list of an attachment that took everybody in until now. None
/// stands for a live one that may not be.
pub(crate) fn who_may_stay(
    by: GcpAcceptBy,
    connections: &[Connection],
    may: impl Fn(&Connection) -> bool,
) -> BTreeSet<Entry> {
    let stands_for_those = |entry: &Entry| live(connections).filter(|one| names(entry, one)).all(&may);
    let named = live(connections).filter_map(|connection| entry_of(connection, by));
    let kept = named.filter(stands_for_those).map(|mut entry| {
        entry.limit_to(live_of(&entry, connections));
        entry
    });
    kept.collect()
}

/// The entry that stands for a connection.
fn entry_of(connection: &Connection, by: GcpAcceptBy) -> Option<Entry> {
    let limit = i64::MAX;
    let of = |sort: &str| {
        let spelled = connection.identities.iter().map(ToString::to_string);
        let found = spelled.filter_map(|one| one.strip_prefix(sort).map(str::to_owned));
        // Numbers sort before ids: of both, the id is the one that people know.
        found.max()
    };
    match by {
        GcpAcceptBy::Endpoint => Some(Entry::Endpoint { endpoint: connection.handle.clone() }),
        GcpAcceptBy::Project => of("project:").map(|project| Entry::Project { project, limit }),
        GcpAcceptBy::Network => of("network:").map(|network| Entry::Network { network, limit }),
    }
}

/// The live connections that an attachment with these lists cuts while it reconciles, by id. Where an entry has room for fewer than
/// there are, the cloud does not say which it keeps: it may be any.
pub(crate) fn cut(entries: &[Entry], rejected: &[String], connections: &[Connection]) -> BTreeSet<String> {
    let has_room = |entry: &Entry| entry.room().is_none_or(|room| live_of(entry, connections) <= room);
    let stays = |connection: &Connection| {
        entries.iter().any(|entry| names(entry, connection) && has_room(entry))
            && !rejected.iter().any(|text| names(&Entry::rejected(text), connection))
    };
    live(connections)
        .filter(|connection| !stays(connection))
        .map(|connection| connection.id.clone())
        .collect()
}

/// The connections that were turned away and that an attachment with these lists lets in when it reconciles, by id.
pub(crate) fn let_in_again(
    entries: &[Entry],
    rejected: &[String],
    connections: &[Connection],
) -> BTreeSet<String> {
    let has_room = |entry: &Entry| entry.room().is_none_or(|room| live_of(entry, connections) < room);
    let comes = |connection: &&Connection| {
        connection.state == ConnectionState::Rejected
            && entries.iter().any(|entry| names(entry, connection) && has_room(entry))
            && !rejected.iter().any(|text| names(&Entry::rejected(text), connection))
    };
    connections.iter().filter(comes).map(|connection| connection.id.clone()).collect()
}

/// The type of both lists: that of what is there.
pub(crate) fn listed_by(accept: &[Entry], rejected: &[String], by: GcpAcceptBy) -> GcpAcceptBy {
    let there = accept.first().map(Entry::by);
    there.or_else(|| rejected.first().map(|text| Entry::rejected(text).by())).unwrap_or(by)
}

/// The most entries of an accept list (<https://cloud.google.com/vpc/docs/about-controlling-access-published-services>).
pub(crate) const MOST_ACCEPTED: usize = 5000;

/// The most entries of a reject list (<https://cloud.google.com/vpc/docs/about-controlling-access-published-services>).
pub(crate) const MOST_REJECTED: usize = 64;

/// A reject list with entries of one type, and what it costs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rejects {
    /// Its entries.
    pub(crate) entries: Vec<String>,
    /// Those that were turned away, by id, and that no entry could stand for which stands for nobody else.
    pub(crate) forgotten: BTreeSet<String>,
}

/// A reject list beside an accept list of these entries: both have one type. Whoever was turned away by an entry of another type stays
/// so, by an entry of this one; with `anew`, where connections are about to be decided on anew, so does everybody who was turned away.
pub(crate) fn rejects_beside(
    accept: &[Entry],
    by: GcpAcceptBy,
    rejected: &[String],
    connections: &[Connection],
    anew: bool,
) -> Rejects {
    let (mut entries, dropped): (Vec<String>, Vec<String>) =
        rejected.iter().cloned().partition(|text| Entry::rejected(text).by() == by);
    let mut forgotten = BTreeSet::new();
    let is_away = |one: &Connection| one.state == ConnectionState::Rejected;
    let any = |list: &[String], one: &Connection| list.iter().any(|text| names(&Entry::rejected(text), one));
    for away in connections.iter().filter(|one| is_away(one)) {
        if any(&entries, away) || !(anew || any(&dropped, away)) {
            continue;
        }
        // An entry for a whole consumer must stand for nobody who was not turned away, nor beat an entry of the accept list.
        let stays_out = |entry: &Entry| {
            let harms = |other: &Connection| {
                !is_away(other) && other.state != ConnectionState::Closed && names(entry, other)
            };
            !connections.iter().any(harms) && !accept.iter().any(|one| names(one, away))
        };
        match entry_of(away, by).filter(stays_out) {
            Some(entry) => entries.push(entry.subject().to_owned()),
            None => {
                forgotten.insert(away.id.clone());
            }
        }
    }
    Rejects { entries, forgotten }
}

/// The connections that were turned away, by id, and that nothing keeps out any more when one reject list becomes another; with `anew`,
/// where connections are about to be decided on anew, those whom neither list named, too.
pub(crate) fn not_kept_out(
    before: &[String],
    after: &[String],
    connections: &[Connection],
    anew: bool,
) -> BTreeSet<String> {
    let any = |list: &[String], one: &Connection| list.iter().any(|text| names(&Entry::rejected(text), one));
    let away = connections.iter().filter(|one| one.state == ConnectionState::Rejected);
    let back = away.filter(|one| !any(after, one) && (anew || any(before, one)));
    back.map(|one| one.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use privnet_core::accept::{Again, Besides, Company};

    use super::*;

    fn connection(nth: u32, project: &str, state: ConnectionState) -> Connection {
        let identity = |sort, id: &str| Identity::new(sort, id);
        Connection {
            id: format!("900{nth}"),
            handle: format!("projects/{project}/regions/r/forwardingRules/7{nth}"),
            identities: BTreeSet::from([
                identity("project", project),
                identity("project", &format!("100{}", project.len())),
            ]),
            state,
            cloud_state: String::new(),
            since: None,
            note: None,
            cut_along: Vec::new(),
            company: Company::default(),
            again: Again::Nothing,
            besides: Besides::default(),
            may_be_for: Vec::new(),
            resource: None,
        }
    }

    fn project(project: &str, limit: i64) -> Entry {
        Entry::Project { project: project.to_owned(), limit }
    }

    #[test]
    fn a_manual_list_has_room_for_nobody_else() {
        use ConnectionState::{Accepted, Pending};
        let all =
            [connection(1, "p-1", Accepted), connection(2, "p-1", Pending), connection(3, "p-22", Pending)];
        let endpoint = Entry::Endpoint { endpoint: all[0].handle.clone() };
        let switched = manual(std::slice::from_ref(&endpoint), GcpAcceptBy::Project, &all);
        assert_eq!(switched, BTreeSet::from([project("p-1", 1)]));
        let clamped = manual(&[project("p-1", 5), project("p-22", 2)], GcpAcceptBy::Project, &all);
        assert_eq!(clamped, BTreeSet::from([project("p-1", 1)]));
        assert_eq!(
            manual(&[project("1003", 5)], GcpAcceptBy::Project, &all),
            BTreeSet::from([project("1003", 1)])
        );
        assert_eq!(manual(&[project("p-1", 5)], GcpAcceptBy::Endpoint, &all), BTreeSet::from([endpoint]));
    }

    #[test]
    fn who_came_in_while_everybody_was_taken_stays_where_it_may() {
        use ConnectionState::{Accepted, Pending};
        let all = [
            connection(1, "p-1", Accepted),
            connection(2, "p-1", Accepted),
            connection(3, "p-22", Accepted),
            connection(4, "p-333", Pending),
        ];
        let by = |by, but: &str| who_may_stay(by, &all, |one| one.id != but);
        assert_eq!(
            by(GcpAcceptBy::Project, "9003"),
            BTreeSet::from([project("p-1", 2)]),
            "no room for another"
        );
        // The project's entry would stand for the one that may not be, too.
        assert_eq!(by(GcpAcceptBy::Project, "9002"), BTreeSet::from([project("p-22", 1)]));
        let own = |nth: usize| Entry::Endpoint { endpoint: all[nth].handle.clone() };
        assert_eq!(by(GcpAcceptBy::Endpoint, "9002"), BTreeSet::from([own(0), own(2)]));
    }

    #[test]
    fn who_is_cut_and_who_comes_in_while_reconciling_is_known() {
        use ConnectionState::{Accepted, Rejected};
        let all =
            [connection(1, "p-1", Accepted), connection(2, "p-1", Accepted), connection(3, "p-22", Rejected)];
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(cut(&[project("p-1", 2)], &[], &all), ids(&[]));
        assert_eq!(cut(&[project("p-1", 3)], &["p-1".to_owned()], &all), ids(&["9001", "9002"]));
        assert_eq!(
            cut(&[project("p-1", 1)], &[], &all),
            ids(&["9001", "9002"]),
            "whom it keeps is not known"
        );
        assert_eq!(cut(&[], &[], &all), ids(&["9001", "9002"]));
        assert_eq!(let_in_again(&[project("p-22", 1)], &[], &all), ids(&["9003"]));
        assert_eq!(let_in_again(&[project("p-22", 1)], &["p-22".to_owned()], &all), ids(&[]));
    }

    #[test]
    fn who_was_turned_away_stays_so_by_an_entry_of_the_other_type() {
        use ConnectionState::{Accepted, Pending, Rejected};
        let all = [
            connection(1, "p-1", Rejected),
            connection(2, "p-1", Rejected),
            connection(3, "p-22", Rejected),
            connection(4, "p-22", Accepted),
            connection(5, "p-1", Pending),
        ];
        let beside = |accept: &[Entry], by, rejected: &[&str], all: &[Connection], anew| {
            let rejected: Vec<String> = rejected.iter().map(|text| (*text).to_owned()).collect();
            let Rejects { entries, forgotten } = rejects_beside(accept, by, &rejected, all, anew);
            (entries, forgotten.into_iter().collect::<Vec<_>>())
        };
        let paths = |nths: &[usize]| nths.iter().map(|nth| all[nth - 1].handle.clone()).collect::<Vec<_>>();
        let (endpoint, project_) = (GcpAcceptBy::Endpoint, GcpAcceptBy::Project);
        assert_eq!(beside(&[], endpoint, &["p-1"], &all, false), (paths(&[1, 2]), vec![]));
        assert_eq!(beside(&[], endpoint, &["1003", "p-9"], &all, true), (paths(&[1, 2, 3]), vec![]));
        assert_eq!(beside(&[], project_, &["p-1", "p-9"], &all, false).0, ["p-1", "p-9"]);
        // A project is turned away as a whole only where nobody of it waits or is let in, or is to be.
        let own = &all[0].handle;
        assert_eq!(beside(&[], project_, &[own], &all[..4], false), (vec!["p-1".to_owned()], vec![]));
        assert_eq!(beside(&[], project_, &[own], &all, false), (vec![], vec!["9001".to_owned()]));
        let accept = [project("1003", 1)];
        assert_eq!(beside(&accept, project_, &[own], &all[..4], false), (vec![], vec!["9001".to_owned()]));
        assert_eq!(beside(&[], project_, &[], &all[2..4], true), (vec![], vec!["9003".to_owned()]));
    }
}
