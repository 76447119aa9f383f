//! What a plan refuses: nothing severs a live consumer unless the user asks in words.

use std::collections::{BTreeMap, BTreeSet};

use crate::accept::{Connection, Identity};
use crate::kind::{Change, Kind, Replacement};
use crate::plan::build::Draft;
use crate::plan::diff::Difference;
use crate::plan::references::{Named, are_together, hold, is_untimely};
use crate::plan::steps::Step;
use crate::plan::{FieldChange, Op, Refusal, Rule};
use crate::resource::{Address, Live};
use crate::value::Value;
use crate::world::Connections;

/// The flag that lifts refusals to sever: those of a plan, and those of a provider that name it.
pub const SEVER: &str = "--sever-connections";

/// What is there, by its address and its id: kinds may share an id.
type LiveByName<'a> = BTreeMap<(&'a Address, &'a str), &'a Live>;

/// What is there, and which of it is deleted before its successor is there.
struct There<'a> {
    live: LiveByName<'a>,
    early: Named<'a>,
}

impl There<'_> {
    /// Whether what a step is about is being deleted.
    fn is_going(&self, step: &Step) -> bool {
        let id = step.action.live_id.as_deref();
        let live = id.and_then(|id| self.live.get(&(&step.action.address, id)));
        live.is_some_and(|live| live.health.is_going())
    }
}

impl Draft<'_> {
    /// Refuses what would cut somebody off, change the hand-over, or is impossible.
    pub(super) fn guard(&mut self) {
        let mut refusals: Vec<Refusal> = self.moved();
        refusals.extend(self.elsewhere());
        refusals.extend(self.renamed());
        // That says it all: what its parts would ask a word for is not said beside it.
        let settled: BTreeSet<String> =
            refusals.iter().map(|refusal| refusal.address.service.clone()).collect();
        let by_name = self.world.live.iter().map(|live| ((&live.address, live.id.as_str()), live));
        let there = There { live: by_name.collect(), early: self.early() };
        for step in self.steps.iter().filter(|step| !settled.contains(&step.action.address.service)) {
            let Some(kind) = self.kinds.get(&step.action.scope, &step.action.address.kind) else { continue };
            let found = match step.action.op {
                Op::Create => None,
                // What is being deleted goes with the word and without: its action waits until it has gone.
                Op::Delete if there.is_going(step) => None,
                Op::Delete => self
                    .guard_held(step)
                    .or_else(|| guard_protected(step, kind, &there.live))
                    .or_else(|| self.guard_delete(step, kind, &there)),
                Op::Update => self
                    .guard_held(step)
                    .or_else(|| self.guard_differences(&step.action.address, &step.differences)),
                Op::Accept | Op::Reject => None,
            };
            refusals.extend(found);
        }
        // What a provider said of the same thing by the same rule says why in its own words.
        let key = |refusal: &Refusal| (refusal.address.clone(), refusal.rule, refusal.flag.is_some());
        let mut seen: BTreeSet<(Address, Rule, bool)> = self.refusals.iter().map(key).collect();
        refusals.retain(|refusal| seen.insert(key(refusal)));
        self.say_once(&mut refusals);
        self.spare_misplaced(&mut refusals);
        self.refusals.extend(refusals);
    }

    /// Where what consumers connect to would go, that says it all: its parts are not refused one by one.
    fn say_once(&self, refusals: &mut Vec<Refusal>) {
        let whole: BTreeMap<String, Address> = refusals
            .iter()
            .filter(|refusal| {
                let turned = self.world.former.contains_key(&refusal.address.service);
                refusal.rule == Rule::WouldSever || (refusal.rule == Rule::HandOver && turned)
            })
            .map(|refusal| (refusal.address.service.clone(), refusal.address.clone()))
            .filter(|(_, address)| self.is_exposed(address))
            .collect();
        refusals.retain(|refusal| {
            let part = whole.get(&refusal.address.service).is_some_and(|exposed| *exposed != refusal.address);
            !part || refusal.rule != Rule::WouldSever
        });
    }

    /// Whether this is what consumers connect to.
    fn is_exposed(&self, address: &Address) -> bool {
        self.world.ours_of(&address.service).is_some_and(|(exposed, _)| exposed == Some(address))
    }

    /// What somebody else's things stand on does not go, nor does what they use of it: whoever goes through them is none of our
    /// consumers, so that no word of the user's can be about them.
    fn guard_held(&self, step: &Step) -> Option<Refusal> {
        let held = self.world.held.get(step.action.live_id.as_deref()?)?;
        let loses_parts = || held.with_parts && step.differences.iter().any(takes_away);
        let goes = step.action.op == Op::Delete || loses_parts();
        goes.then(|| refusal(&step.action.address, Rule::Unsuitable, held.why.clone(), None))
    }

    fn guard_delete(&self, step: &Step, kind: &Kind, there: &There<'_>) -> Option<Refusal> {
        if step.replaced
            && let Some(refusal) = self.guard_differences(&step.action.address, &step.differences)
        {
            return Some(refusal);
        }
        if let Some(refusal) = self.guard_untimely(step, kind, there) {
            return Some(refusal);
        }
        if step.replaced {
            // Consumers go over to a successor by themselves, but not where they are connected to what goes.
            let is_left_over = step.differences.is_empty();
            let is_exposed = is_left_over && self.is_exposed(&step.action.address);
            if !is_exposed && (is_left_over || kind.replacement == Replacement::CreateFirst) {
                return None;
            }
        }
        if self.options.sever_connections {
            return None;
        }
        if let Some(refusal) = self.guard_turned(step) {
            return Some(refusal);
        }
        let live = self.live_consumers(&step.action.address.service, &[])?;
        if !kind.severs {
            return None;
        }
        let misplaced = step.action.live_id.as_deref().and_then(|id| self.world.misplaced.get(id)?.as_ref());
        let proof =
            misplaced.map(|made_as| format!(", which has the proof of {made_as},")).unwrap_or_default();
        let why = format!("deleting this {}{proof} would cut {live}", kind.title);
        Some(refusal(&step.action.address, Rule::WouldSever, why, Some(SEVER)))
    }

    /// What serves does not go before its successor is there. Two generations were left by a run that was cut short, and neither will
    /// do: one of the two names is needed. That is the one that does not serve; where it cannot be told, the user says it.
    fn guard_untimely(&self, step: &Step, kind: &Kind, there: &There<'_>) -> Option<Refusal> {
        if self.options.sever_connections || !is_untimely(step, kind) {
            return None;
        }
        let address = &step.action.address;
        let consumers = self.live_consumers(&address.service, &[])?;
        let gone = *there.live.get(&(address, step.action.live_id.as_deref()?))?;
        let first = Address::new(&address.service, "", "");
        let of_service =
            || there.live.range((&first, "")..).take_while(|((of, _), _)| of.service == address.service);
        let stays =
            |(name, other): &(&(&Address, &str), &&Live)| other.is_ours() && !there.early.contains(name);
        let staying =
            || of_service().filter(stays).map(|(_, other)| other).filter(|other| are_together(other, gone));
        let holds = |other: &&&Live| {
            let Some(hold) = hold(self.kinds, other, gone) else { return false };
            hold.with_traffic && (hold.let_go.is_none() || !self.standing.is_idle(gone))
        };
        let user = staying().find(holds);
        let tells = kind.tells_how_it_serves();
        let outlived = staying().any(|other| {
            other.address == *address && other.id != gone.id && !self.standing.serves_more(gone, other)
        });
        let what = match user {
            Some(user) => format!("{} still uses it", user.address),
            None if tells && !self.standing.is_idle(gone) => "it serves, as far as can be told".to_owned(),
            None if step.replaced && !outlived => "nothing else serves in its place".to_owned(),
            None => return None,
        };
        let why = format!(
            "{} makes room for a new one, since the one beside it, from a run that was cut short, will not do either; but {what}, and \
             deleting it first would cut {consumers}: apply the file that was in force before, then this one",
            gone.id
        );
        Some(refusal(address, Rule::WouldSever, why, Some(SEVER)))
    }

    /// A service that turns to what is there already has another hand-over, whether or not somebody is connected.
    fn guard_turned(&self, step: &Step) -> Option<Refusal> {
        let address = &step.action.address;
        let intent = self.desired.services.get(&address.service)?;
        let former = self.world.former.get(&address.service)?;
        if former.exposed.as_ref() != Some(address) || intent.remove || self.options.destroy {
            return None;
        }
        let cut = self.live_consumers(&address.service, &[]).map(|live| format!(", which would cut {live}"));
        let why = format!(
            "the file names what is there already in place of what privnet made: what the vendor was given would change, and {} \
             goes{}",
            step.action.live_id.as_deref().unwrap_or("what privnet made"),
            cut.unwrap_or_default()
        );
        Some(refusal(address, Rule::HandOver, why, Some(SEVER)))
    }

    fn guard_differences(&self, address: &Address, differences: &[Difference]) -> Option<Refusal> {
        differences.iter().find_map(|difference| self.guard_difference(address, difference))
    }

    fn guard_difference(&self, address: &Address, difference: &Difference) -> Option<Refusal> {
        let of = &difference.change_of;
        let live = || self.live_consumers(&address.service, &difference.taken_away);
        let lifted = self.options.sever_connections;
        match difference.change {
            Change::Update | Change::Replace | Change::Bind => None,
            Change::Grow if difference.taken_away.is_empty() => None,
            Change::GrowUnlessConnected if difference.taken_away.is_empty() => None,
            Change::ReplaceUnlessConnected if only_grows(difference) => None,
            Change::Grow => {
                let gone = Value::list(difference.taken_away.iter().cloned());
                let why = format!("{} can only grow on this cloud: {gone} cannot be taken away", of.field);
                Some(refusal(address, Rule::GrowOnly, why, None))
            }
            Change::GrowUnlessConnected | Change::ReplaceUnlessConnected | Change::UpdateUnlessConnected => {
                let live = live().filter(|_| !lifted)?;
                let why = format!("{} would cut {live}", in_words(difference));
                Some(refusal(address, Rule::WouldSever, why, Some(SEVER)))
            }
            Change::Refuse if lifted => None,
            Change::Refuse => {
                let why = format!(
                    "{} would change what the vendor was given, and cut who uses it",
                    in_words(difference)
                );
                Some(refusal(address, Rule::HandOver, why, Some(SEVER)))
            }
        }
    }

    /// Who would be cut, in words; nothing where nobody is connected. Where what is `taken_away` are connections, it is those.
    fn live_consumers(&self, service: &str, taken_away: &[Value]) -> Option<String> {
        let (_, connections) = self.world.ours_of(service)?;
        cut_in_words(connections, taken_away)
    }
}

/// Who is connected and would be cut by what a provider refuses of its own, in words; nothing where nobody is.
#[must_use]
pub fn who_would_be_cut(connections: &Connections) -> Option<String> {
    cut_in_words(connections, &[])
}

fn cut_in_words(connections: &Connections, taken_away: &[Value]) -> Option<String> {
    match connections {
        Connections::NotExposed => None,
        Connections::Unreadable { why } => {
            Some(format!("its connections, which cannot be read ({why}) and are taken to be live"))
        }
        Connections::Known(connections) => {
            let mut live: Vec<_> =
                connections.iter().filter(|connection| connection.state.may_be_live()).collect();
            let goes = |c: &&Connection| taken_away.iter().any(|gone| gone.as_text() == Some(c.id.as_str()));
            if live.iter().any(goes) {
                live.retain(goes);
            }
            let names: Vec<_> = live.into_iter().map(named).collect();
            (!names.is_empty()).then(|| format!("{} live connection(s): {}", names.len(), names.join(", ")))
        }
    }
}

/// What is protected from deletion is not half taken down before the cloud says so.
fn guard_protected(step: &Step, kind: &Kind, live: &LiveByName<'_>) -> Option<Refusal> {
    let live = live.get(&(&step.action.address, step.action.live_id.as_deref()?))?;
    let on = |name: &str| live.fields.get(name) == Some(&Value::Bool(true));
    let field = kind.fields.iter().find(|field| field.protects && on(field.name))?;
    let why = format!("{} is on: set `{}: false`, apply, then delete", field.name, field.name);
    Some(refusal(&step.action.address, Rule::Protected, why, None))
}

/// Whether a difference takes away what consumers use.
fn takes_away(difference: &Difference) -> bool {
    match difference.change {
        Change::Update | Change::Replace | Change::Bind => false,
        Change::Grow | Change::GrowUnlessConnected => !difference.taken_away.is_empty(),
        Change::ReplaceUnlessConnected => !only_grows(difference),
        Change::UpdateUnlessConnected | Change::Refuse => true,
    }
}

/// A connection for people: its id, and who it belongs to where the cloud says more than that id (Azure's is a path of a line and a half).
fn named(connection: &Connection) -> String {
    let own = Identity::new("endpoint", &connection.id);
    let who: Vec<_> =
        connection.identities.iter().filter(|who| **who != own).map(Identity::to_string).collect();
    match (who.is_empty(), connection.identities.is_empty()) {
        (true, true) => format!("{} ({})", connection.id, connection.who()),
        (true, false) => connection.id.clone(),
        _ => format!("{} ({})", connection.id, who.join(", ")),
    }
}

/// What a difference does, for people. Of a list, only the members that come or go: the others are of no matter.
fn in_words(difference: &Difference) -> String {
    let FieldChange { field, from, to } = &difference.change_of;
    let (Some(there), Some(wanted)) = (from.as_list(), to.as_list()) else {
        return format!("changing {field} from {} to {}", plain(from), plain(to));
    };
    let only = |some: &[Value], others: &[Value]| {
        let members: Vec<_> = some.iter().filter(|member| !others.contains(member)).map(plain).collect();
        members.join(" and ")
    };
    let (gone, new) = (only(there, wanted), only(wanted, there));
    match (gone.is_empty(), new.is_empty()) {
        (false, true) => format!("taking {gone} out of {field}"),
        (true, false) => format!("putting {new} into {field}"),
        (false, false) => format!("changing {field} from {gone} to {new}"),
        (true, true) => format!("changing the order of {field}"),
    }
}

/// A value without the brackets that data has: `port 5432, pool port-5432`.
fn plain(value: &Value) -> String {
    match value.as_map() {
        Some(entries) => entries
            .iter()
            .map(|(key, entry)| format!("{key} {}", plain(entry)))
            .collect::<Vec<_>>()
            .join(", "),
        None => value.to_string(),
    }
}

/// Whether a list gains members and loses none.
fn only_grows(difference: &Difference) -> bool {
    let of = &difference.change_of;
    of.from.as_list().is_some() && of.to.as_list().is_some() && difference.taken_away.is_empty()
}

pub(super) fn refusal(address: &Address, rule: Rule, why: String, flag: Option<&str>) -> Refusal {
    Refusal { address: address.clone(), rule, why, flag: flag.map(str::to_owned) }
}
