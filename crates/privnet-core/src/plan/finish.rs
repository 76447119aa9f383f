//! The end of a draft: refused services are dropped, the order is made, and what is not an action is said.

use std::collections::{BTreeMap, BTreeSet};

use crate::accept::Connection;
use crate::named_twice::NamedTwice;
use crate::plan::build::Draft;
use crate::plan::order::{self, Timing};
use crate::plan::references::Named;
use crate::plan::steps::{Step, update_step};
use crate::plan::{Action, Addition, Op, Plan, Rule, Summary, Wait, decisions};
use crate::resource::{Address, Generation, Health, Live, Origin, Ownership, Resource, Scope};
use crate::world::{Connections, ServiceIntent};

impl Draft<'_> {
    /// The plan: actions of refused services dropped, the rest in order.
    pub(super) fn finish(mut self) -> Plan {
        let refused: BTreeSet<&str> =
            self.refusals.iter().map(|refusal| refusal.address.service.as_str()).collect();
        let refused: BTreeSet<String> = refused.into_iter().map(str::to_owned).collect();
        self.steps.retain(|step| !refused.contains(&step.action.address.service));
        self.make_room();
        self.reject_before_delete();
        self.wait_for_the_busy();
        let actions = order::ordered(
            &self.desired.resources,
            &self.world.live,
            self.kinds,
            std::mem::take(&mut self.steps),
        );
        let summary = self.summary(&actions);
        let mut waits = self.desired.waits.clone();
        waits.retain(|wait| !refused.contains(&wait.service));
        waits.extend(self.connection_waits(&refused));
        waits.sort();
        waits.dedup();
        let mut warnings = self.desired.warnings.clone();
        warnings.append(&mut self.spared);
        // Places that share a project say the same.
        warnings.extend(self.world.unknown.values().flatten().cloned());
        warnings.extend(self.unseen_warnings(&actions));
        warnings.extend(self.kept_warnings(&actions));
        warnings.extend(self.unreadable_warnings());
        warnings.extend(self.remaining_warnings(&actions));
        warnings.extend(self.empty_tombstones());
        warnings.extend(self.unproven_warnings());
        warnings.extend(self.absent_places());
        warnings.extend(self.elsewhere_warnings(&actions));
        let mut said = BTreeSet::new();
        warnings.retain(|warning| said.insert(warning.clone()));
        Plan {
            format: crate::plan::Format::default(),
            adds_to_yours: self.additions(),
            actions,
            waits,
            refusals: self.refusals,
            warnings,
            left: self.left,
            summary,
            severs: self.options.sever_connections,
        }
    }

    /// A tombstone that finds nothing is no proof that nothing is left: its place may be a wrong one. What it names of the user's own is
    /// there, and stays.
    fn empty_tombstones(&self) -> Vec<String> {
        let is_seen = |name: &str| {
            let seen = self.world.services.get(name).map(|seen| &seen.connections);
            !self.blocked.contains(name) && !matches!(seen, Some(Connections::Unreadable { .. }))
        };
        let tombstones = self
            .desired
            .services
            .values()
            .filter(|intent| intent.remove && !self.options.destroy && is_seen(&intent.name));
        let mut empty: BTreeMap<&str, &Scope> =
            tombstones.map(|intent| (intent.name.as_str(), &intent.scope)).collect();
        if !empty.is_empty() {
            // What only has the name of a part of it may be one: of that it is said why it stays.
            let there: BTreeSet<&str> =
                self.world.live.iter().map(|live| live.address.service.as_str()).collect();
            empty.retain(|name, _| !there.contains(name));
        }
        let said = empty.into_iter().map(|(name, scope)| {
            let seen = match self.world.absent.contains(scope) {
                true => format!("{scope} is not there, and nothing of the service in it"),
                false => format!("nothing of it is in {scope}"),
            };
            format!(
                "{name}: {seen}: where it is gone, take it out of the file; where it was made elsewhere, give its \
                 tombstone (`remove: true`) that place"
            )
        });
        said.collect()
    }

    /// Where a service goes, what only has the name of a part of it stays. Nothing is wanted there that would be refused because of it, so it
    /// is said: privnet may have made it, and it lost its proof, or has not all of it yet.
    fn unproven_warnings(&self) -> Vec<String> {
        let refused: BTreeSet<&str> =
            self.refusals.iter().map(|refusal| refusal.address.service.as_str()).collect();
        let goes = |service: &str| match self.desired.services.get(service) {
            _ if self.blocked.contains(service) || refused.contains(service) => false,
            _ if self.options.destroy => true,
            Some(intent) => intent.remove,
            None => self.options.prune,
        };
        let unproven: Vec<&Live> = self
            .world
            .live
            .iter()
            .filter(|live| {
                matches!(live.ownership, Ownership::Unproven { .. }) && goes(&live.address.service)
            })
            .collect();
        // Where the one is there that privnet made under a name, another one is nobody's that lost its proof.
        let asked: BTreeSet<&Address> = unproven.iter().map(|live| &live.address).collect();
        let ours = self.world.live.iter().filter(|live| live.is_ours() && asked.contains(&live.address));
        let made: BTreeSet<(&Address, Option<Generation>)> =
            ours.map(|live| (&live.address, live.generation)).collect();
        let said = unproven.into_iter().filter(|live| !made.contains(&(&live.address, live.generation)));
        let said = said.filter_map(|live| {
            let title = self.kinds.get(&live.scope, &live.address.kind)?.title;
            live.ownership.why_it_stays(title, &live.id, &live.address)
        });
        said.collect()
    }

    /// A destroy ends as well where a place has gone as a whole, and says so.
    fn absent_places(&self) -> Vec<String> {
        let absent = self.world.absent.iter().filter(|_| self.options.destroy);
        absent.map(|scope| format!("{scope} is not there, and nothing of the deployment in it")).collect()
    }

    /// A service with open requests cannot be deleted on some clouds: they are turned away first, each audited.
    fn reject_before_delete(&mut self) {
        let mut goes: BTreeMap<&Address, &Action> = BTreeMap::new();
        for action in self.steps.iter().map(|step| &step.action).filter(|action| action.op == Op::Delete) {
            goes.entry(&action.address).or_insert(action);
        }
        let there = self.world.live.iter().filter(|live| live.health.is_going());
        let there: Named<'_> = there.map(|live| (&live.address, live.id.as_str())).collect();
        let mut rejects = Vec::new();
        for service in self.world.services.keys() {
            let Some((Some(exposed), connections)) = self.world.ours_of(service) else { continue };
            // Also one that is replaced: the guard has seen to it that the user asked for that. What is being deleted takes no decision.
            let going =
                |delete: &Action| delete.live_id.as_deref().is_some_and(|id| there.contains(&(exposed, id)));
            let Some(delete) = goes.get(exposed).filter(|delete| !going(delete)) else { continue };
            let policy = self.desired.services.get(service).map(|intent| &intent.policy);
            let known = connections.known().iter();
            let mut open: Vec<_> =
                known.filter(|connection| decisions::blocks_deletion(connection)).collect();
            open.sort_by_key(|connection| (connection.who(), connection.id.clone()));
            for connection in open {
                let mut action =
                    decisions::reject(exposed, connection, policy, self.options.sever_connections);
                action.scope = delete.scope.clone();
                action.live_id.clone_from(&delete.live_id);
                action.locks.clone_from(&delete.locks);
                action.reason = "the service goes".to_owned();
                rejects.push(Step {
                    action,
                    timing: Timing::Early,
                    differences: Vec::new(),
                    replaced: false,
                    turn: None,
                    place: 0,
                });
            }
        }
        self.steps.extend(rejects);
    }

    /// What others need and is still on its way becomes an action that waits for it.
    fn wait_for_the_busy(&mut self) {
        let state = |resource: &Resource| match &self.kept.get(&resource.address)?.health {
            Health::Busy { state } => Some(state.clone()),
            _ => None,
        };
        let on_their_way: Vec<_> =
            self.desired.resources.iter().filter_map(|resource| Some((resource, state(resource)?))).collect();
        if on_their_way.is_empty() {
            return;
        }
        let mut acted: BTreeSet<&Address> = BTreeSet::new();
        let mut forward: BTreeSet<&Address> = BTreeSet::new();
        for step in &self.steps {
            acted.insert(&step.action.address);
            if step.timing == Timing::Forward {
                forward.insert(&step.action.address);
            }
        }
        let users = self.desired.resources.iter().filter(|resource| forward.contains(&resource.address));
        let needed: BTreeSet<Address> = users
            .flat_map(|user| user.all_needs().into_iter().filter(|need| need.service == user.address.service))
            .collect();
        let mut busy = Vec::new();
        for (resource, state) in on_their_way {
            let Some(live) = self.kept.get(&resource.address) else { continue };
            if needed.contains(&resource.address) && !acted.contains(&resource.address) {
                let reason = format!("wait: its state is `{state}`");
                busy.push(update_step(resource, live, reason, Vec::new(), Vec::new(), Vec::new()));
            }
        }
        self.unchanged = self.unchanged.saturating_sub(busy.len());
        self.steps.extend(busy);
    }

    fn connection_waits(&self, refused: &BTreeSet<String>) -> Vec<Wait> {
        let intents =
            self.desired.services.values().filter(|intent| !intent.remove && !refused.contains(&intent.name));
        intents
            .filter_map(|intent| {
                let seen = self.world.services.get(&intent.name)?;
                Some(decisions::waits_of(intent, &seen.connections))
            })
            .flatten()
            .collect()
    }

    /// What could not be found out of where something is done.
    fn unseen_warnings(&self, actions: &[Action]) -> BTreeSet<String> {
        actions.iter().filter_map(|action| self.world.unseen.get(&action.scope)).flatten().cloned().collect()
    }

    /// What the cloud will not delete, of what is to go.
    fn kept_warnings(&self, actions: &[Action]) -> Vec<String> {
        let gone = actions.iter().filter(|action| action.op == Op::Delete);
        let kept = gone.filter_map(|gone| {
            let why = self.world.kept_by_others.get(gone.live_id.as_deref()?)?;
            Some(format!("{}: {why}", gone.address))
        });
        kept.collect()
    }

    /// A service that could not be observed is refused as that, and nothing is done to it.
    fn unreadable_warnings(&self) -> Vec<String> {
        let unobserved = self.refusals.iter().filter(|refusal| refusal.rule == Rule::Unobserved);
        let told: BTreeSet<&str> = unobserved.map(|refusal| refusal.address.service.as_str()).collect();
        let planned = self.world.services.iter().filter(|(service, _)| !told.contains(service.as_str()));
        let unreadable = planned.filter_map(|(service, seen)| match &seen.connections {
            Connections::Unreadable { why } => {
                Some(format!("{service}: its connections cannot be read ({why}); they are taken to be live"))
            }
            Connections::Known(_) | Connections::NotExposed => None,
        });
        unreadable.collect()
    }

    /// A destroy, and a tombstone, take nothing away from services that are not ours: the consumers that were let in there stay. Those
    /// that no consumer of the file answers for are told apart: they may be colleagues', or the file's of before. So does whatever lets in
    /// others there: nobody looks at it any more.
    fn remaining_warnings(&self, actions: &[Action]) -> Vec<String> {
        let deleted: BTreeSet<&Address> =
            actions.iter().filter(|action| action.op == Op::Delete).map(|action| &action.address).collect();
        let going: Vec<&ServiceIntent> =
            self.desired.services.values().filter(|intent| self.options.destroy || intent.remove).collect();
        let mut remaining = Vec::new();
        for intent in going {
            let Some(seen) = self.world.services.get(&intent.name) else { continue };
            // Where something of ours goes that the file's own took the place of, that is not what stays.
            let turned = self.world.former.contains_key(&intent.name);
            let goes = |exposed: &Address| !turned && deleted.contains(exposed);
            let ours = |exposed: &Address| self.world.at(exposed).is_some_and(Live::is_ours);
            let Some(exposed) = seen.exposed.as_ref() else { continue };
            if goes(exposed) || ours(exposed) || self.blocked.contains(intent.name.as_str()) {
                continue;
            }
            // Whoever is a service's that stays is told of there.
            let twice = NamedTwice::of(self.desired, self.world, intent);
            let (live, shared): (Vec<&Connection>, Vec<&Connection>) =
                seen.connections.known().iter().partition(|one| twice.service_of(one).is_none());
            if let Some(service) = shared.first().and_then(|one| twice.service_of(one)) {
                remaining.push(format!(
                    "{}: what it names is named by `{service}` as well and stays, with whoever is connected: take this service out of the file",
                    intent.name
                ));
            }
            let says_nothing = intent.remove && shared.is_empty();
            let live = live.into_iter().filter(|connection| connection.state.may_be_live());
            let (own, others): (Vec<&Connection>, _) =
                live.partition(|connection| intent.policy.consumer_of(connection).is_some());
            let is_known = matches!(seen.connections, Connections::Known(_));
            let said = staying(&own, &others, says_nothing && is_known).into_iter();
            let notes = self.world.notes.get(&intent.name).into_iter().flatten().cloned();
            remaining.extend(said.chain(notes).map(|said| format!("{}: {said}", intent.name)));
        }
        remaining
    }

    fn additions(&self) -> Vec<Addition> {
        let added = self.desired.resources.iter().filter_map(|resource| match &resource.origin {
            Origin::AddedTo { to } => Some(Addition { address: resource.address.clone(), to: to.clone() }),
            Origin::Owned | Origin::Supplied => None,
        });
        added.collect()
    }

    fn summary(&self, actions: &[Action]) -> Summary {
        let count = |op: Op| actions.iter().filter(|action| action.op == op).count();
        Summary {
            create: count(Op::Create),
            update: count(Op::Update),
            delete: count(Op::Delete),
            accept: count(Op::Accept),
            reject: count(Op::Reject),
            unchanged: self.unchanged,
        }
    }
}

/// What stays of connections to something that is not ours, in words: those of the file's consumers and how one is ended, and others, which
/// may be colleagues' and are not to be ended by a hint. A tombstone says as well that nothing does.
fn staying(own: &[&Connection], others: &[&Connection], says_nothing: bool) -> Option<String> {
    const ENDS: &str = "`privnet reject --connection ID --sever-connections` ends one";
    let ids = |some: &[&Connection]| some.iter().map(|one| one.id.as_str()).collect::<Vec<_>>().join(", ");
    let said = match (own, others) {
        ([], []) if says_nothing => {
            "what it names is not privnet's and stays; nobody's connection to it is accepted: take the service out of the file"
                .to_owned()
        }
        ([], []) => return None,
        (own, []) => format!("{} connection(s) stay accepted: {}; {ENDS}", own.len(), ids(own)),
        ([], others) => {
            format!("{} connection(s) of nobody in this file stay accepted: {}", others.len(), ids(others))
        }
        (own, others) => format!(
            "{} connection(s) stay accepted: {}; {ENDS}; and {} of nobody in this file: {}",
            own.len(),
            ids(own),
            others.len(),
            ids(others)
        ),
    };
    Some(said)
}
