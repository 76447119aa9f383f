//! What is there and not wanted: it goes, is left, or goes at once because its place is needed.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::Left;
use crate::plan::build::Draft;
use crate::plan::order::Timing;
use crate::plan::references::hold;
use crate::plan::steps::Step;
use crate::resource::{Address, Live, Origin, Resource};

impl Draft<'_> {
    /// What is there and not desired: parts of listed services go; services that are not listed are left or pruned.
    pub(super) fn delete_undesired(&mut self) {
        // What the file names of the user's own may stand where something of ours stood before, which goes.
        let owned = |resource: &&Resource| resource.origin != Origin::Supplied;
        let wanted: BTreeSet<&Address> =
            self.desired.resources.iter().filter(owned).map(|resource| &resource.address).collect();
        let named: BTreeSet<(&Address, &str)> =
            self.kept.iter().map(|(address, live)| (*address, live.id.as_str())).collect();
        let goes = |live: &&Live| {
            live.is_ours()
                && !wanted.contains(&live.address)
                && !named.contains(&(&live.address, live.id.as_str()))
        };
        let mut left: BTreeMap<&str, Vec<Address>> = BTreeMap::new();
        for live in self.world.live.iter().filter(goes) {
            let service = live.address.service.as_str();
            let intent = self.desired.services.get(service);
            if self.blocked.contains(service) {
                continue;
            }
            let reason = match intent {
                _ if self.options.destroy => "destroy",
                Some(intent) if intent.remove => "the service is a tombstone (`remove: true`)",
                Some(_) => "the file does not want it any more",
                None if self.options.prune => "the file does not list the service (--prune)",
                None => {
                    left.entry(service).or_default().push(live.address.clone());
                    continue;
                }
            };
            self.delete(live, reason, Timing::Late, false, &[]);
        }
        self.left = left.into_iter().map(|(service, resources)| leave(service, resources)).collect();
    }

    /// What must make room at once takes with it what would keep it from going: its users that go as well, and cannot let go of it.
    pub(super) fn hasten_users(&mut self) {
        let kinds = self.kinds;
        let by_id: BTreeMap<&str, &Live> =
            self.world.live.iter().map(|live| (live.id.as_str(), live)).collect();
        let live_of = |step: &Step| step.action.live_id.as_deref().and_then(|id| by_id.get(id).copied());
        let keeps =
            |user: &Live, gone: &Live| hold(kinds, user, gone).is_some_and(|hold| hold.let_go.is_none());
        loop {
            let early = self.steps.iter().filter(|step| step.timing == Timing::Early);
            let going: Vec<&Live> = early.filter_map(live_of).collect();
            let late = self.steps.iter().enumerate().filter(|(_, step)| step.timing == Timing::Late);
            let users: Vec<usize> = late
                .filter(|(_, step)| {
                    live_of(step).is_some_and(|user| going.iter().any(|gone| keeps(user, gone)))
                })
                .map(|(index, _)| index)
                .collect();
            if users.is_empty() {
                return;
            }
            for index in users {
                if let Some(step) = self.steps.get_mut(index) {
                    step.timing = Timing::Early;
                }
            }
        }
    }
}

fn leave(service: &str, resources: Vec<Address>) -> Left {
    Left {
        service: service.to_owned(),
        resources,
        why: "the deployment owns it, but the file does not list it; use --prune, or list it with `remove: true`".to_owned(),
    }
}
