//! What somebody took from the place that it was made for, or put beside it, while consumers are connected: its place is filled anew, which
//! cuts nobody; where it stands now somebody may come in by it, so that it stays until the user says the word. All else goes on meanwhile: to
//! follow a database that moved is more than to clear away.

use std::collections::BTreeSet;

use crate::plan::build::Draft;
use crate::plan::guard::SEVER;
use crate::plan::steps::Step;
use crate::plan::{Op, Refusal, Rule};
use crate::resource::Address;

impl Draft<'_> {
    /// Keeps what would cut somebody by going from holding up what is made and changed beside it, in each plan, with a word on it. Where anything
    /// else is refused or goes, all of it waits for the word.
    pub(super) fn spare_misplaced(&mut self, refusals: &mut Vec<Refusal>) {
        let services: BTreeSet<String> =
            refusals.iter().map(|refusal| refusal.address.service.clone()).collect();
        for service in services {
            let of_service = || self.steps.iter().filter(|step| step.action.address.service == service);
            let made: BTreeSet<&Address> = of_service()
                .filter(|step| step.action.op == Op::Create)
                .map(|step| &step.action.address)
                .collect();
            let gone: Vec<&Step> = of_service().filter(|step| step.action.op == Op::Delete).collect();
            let stays: BTreeSet<&Address> = gone.iter().map(|step| &step.action.address).collect();
            let own = || refusals.iter().filter(|refusal| refusal.address.service == service);
            let is_of_it =
                |refusal: &Refusal| refusal.rule == Rule::WouldSever && stays.contains(&refusal.address);
            let said = gone.iter().map(|step| {
                let id = step.action.live_id.as_deref()?;
                let why = own().find(|refusal| refusal.address == step.action.address)?;
                let beside = match self.world.misplaced.get(id)? {
                    Some(place) if made.contains(place) => format!("{place} is made anew"),
                    Some(place) if self.world.at(place).is_some() => format!("{place} is in its place"),
                    Some(_) => return None,
                    None => "privnet did not make it".to_owned(),
                };
                Some(format!(
                    "{}: {id} stays, and {beside}: {}; `{SEVER}` takes it away, or delete it by hand when nobody comes in by it",
                    step.action.address, why.why
                ))
            });
            let said: Option<Vec<String>> = said.collect();
            let is_refused = self.refusals.iter().any(|refusal| refusal.address.service == service);
            let Some(said) = said.filter(|_| !is_refused && own().all(is_of_it)) else { continue };
            self.spared.extend(said);
            self.steps.retain(|step| step.action.address.service != service || step.action.op != Op::Delete);
            refusals.retain(|refusal| refusal.address.service != service);
        }
    }
}
