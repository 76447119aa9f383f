//! How many requests of a run come one after the other, and how many a plan of many services takes: counted from what went through a
//! proxy.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use privnet::{Plan, PlanOptions, SandboxEndpoints, Session};

use crate::proxy::{Exchange, Proxy};
use crate::stage::{Fail, Stage, spec};

/// What must be known of a cloud to count its requests.
#[derive(Clone, Copy, Debug)]
pub struct Cloud {
    /// Its name, which is that of its state's file.
    pub name: &'static str,
    /// Leads a session to a URL.
    pub lead: fn(&mut SandboxEndpoints, String),
    /// Whether a request is about resources of this kind.
    pub concerns: fn(action: &str, kind: &str) -> bool,
    /// Whether a request writes.
    pub writes: fn(action: &str) -> bool,
    /// What requests are counted by.
    pub named: fn(action: &str) -> String,
}

/// A session for a file whose requests go through a proxy.
///
/// # Errors
/// When the proxy cannot be had, or the file is wrong.
pub async fn through(cloud: Cloud, stage: &Stage, text: &str) -> Result<(Proxy, Session), Fail> {
    let proxy = Proxy::start(&stage.url(cloud.name), Vec::new()).await?;
    let session = stage.session_at(spec(text)?, |endpoints| (cloud.lead)(endpoints, proxy.url()))?;
    Ok((proxy, session))
}

/// How many rounds a fresh apply takes.
#[derive(Clone, Copy, Debug)]
pub struct Fresh {
    /// Of looking.
    pub observing: usize,
    /// Of writing, on the longest way.
    pub writing: usize,
}

/// Applies a file to an empty cloud whose answers take long enough to be told apart, and counts.
///
/// # Errors
/// When it cannot be applied.
///
/// # Panics
/// Where the requests of an action cannot be told.
pub async fn fresh_apply(cloud: Cloud, text: &str) -> Result<Fresh, Fail> {
    let stage = Stage::open_with(None, |options| {
        options.latency = Duration::from_millis(200);
        options.speed = Some(200.0);
    })
    .await?;
    let (proxy, session) = through(cloud, &stage, text).await?;
    let planned = session.plan(PlanOptions::default()).await;
    let observing = proxy.exchanges();
    let plan = planned.plan.clone();
    let executed = session.execute(planned).await;
    if !executed.report.all_done() {
        return Err(format!("{:?}", executed.report).into());
    }
    let acting = &proxy.exchanges()[observing.len()..];
    let all = requests_of(cloud, &plan, acting);
    let own = own_requests(cloud, &all);
    for (id, requests) in &own {
        let names: Vec<String> = requests.iter().map(|one| (cloud.named)(&one.action)).collect();
        crate::tell!("{id}: {names:?}");
    }
    let fresh = Fresh { observing: rounds(&observing), writing: longest_way(&plan, &own) };
    crate::tell!(
        "fresh apply: {} round(s) of {} reads, and {} rounds of writing; {} with all that is read to see whether something is done",
        fresh.observing,
        observing.len(),
        fresh.writing,
        longest_way(&plan, &all)
    );
    Ok(fresh)
}

/// The requests about each action's resource. Two actions of one kind have those of both.
fn requests_of(cloud: Cloud, plan: &Plan, exchanges: &[Exchange]) -> BTreeMap<String, Vec<Exchange>> {
    let of = plan.actions.iter().map(|action| {
        let about = |exchange: &&Exchange| (cloud.concerns)(&exchange.action, &action.address.kind);
        (action.id.clone(), exchanges.iter().filter(about).cloned().collect())
    });
    of.collect()
}

/// Those by which each action's resource came about, up to its last write: what comes after shows that it is there.
fn own_requests(cloud: Cloud, all: &BTreeMap<String, Vec<Exchange>>) -> BTreeMap<String, Vec<Exchange>> {
    let own = all.iter().map(|(id, all)| {
        let last = all.iter().rposition(|exchange| (cloud.writes)(&exchange.action));
        let written = last.map_or(0, |last| last + 1);
        assert!(written > 0, "{id} was not written");
        (id.clone(), all[..written].to_vec())
    });
    own.collect()
}

/// Many services of a cloud, which are copies of one: applying each would take minutes.
#[derive(Clone, Copy, Debug)]
pub struct Many {
    /// The cloud.
    pub cloud: Cloud,
    /// A file of so many.
    pub file: fn(usize) -> String,
    /// The names in the cloud of all that the service of this number has.
    pub names: fn(usize) -> Vec<String>,
    /// What else tells one service from another in the state.
    pub words: fn(usize) -> Vec<String>,
    /// How many resources of the cloud a service is, with those that the cloud makes by itself.
    pub resources: usize,
}

impl Many {
    /// The requests of an empty plan of so many services, by their names.
    ///
    /// # Errors
    /// When they cannot be copied.
    ///
    /// # Panics
    /// Where the plan is not empty, or does not see them.
    pub async fn empty_plan(&self, services: usize) -> Result<BTreeMap<String, usize>, Fail> {
        let stage = self.stage(services).await?;
        let (proxy, session) = through(self.cloud, &stage, &(self.file)(services)).await?;
        let planned = session.plan(PlanOptions::default()).await;
        let plan = planned.plan;
        assert!(plan.is_empty() && plan.refusals.is_empty(), "{:?} {:?}", plan.actions, plan.refusals);
        assert_eq!(planned.world.live.len(), (self.names)(0).len() * services, "what is seen");
        let mut counts = BTreeMap::new();
        for action in proxy.actions() {
            *counts.entry((self.cloud.named)(&action)).or_insert(0) += 1;
        }
        Ok(counts)
    }

    /// A stage that has so many.
    async fn stage(&self, services: usize) -> Result<Stage, Fail> {
        let first = Stage::open(None).await?;
        let session = first.session(spec(&(self.file)(1))?, &first.url("aws"))?;
        let done = session.apply(PlanOptions::default()).await;
        if !done.report.all_done() {
            return Err(format!("{:?}", done.report).into());
        }
        let path = first.folder().join(format!("{}.json", self.cloud.name));
        let mut state: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
        let resources = state["resources"].as_object_mut().ok_or("the state has no resources")?;
        // An interface that the cloud makes begins with its owner's name; a consumer's endpoint only has it somewhere.
        let own_names = (self.names)(0);
        let originals: Vec<(String, String)> = resources
            .iter()
            .filter(|(key, _)| own_names.iter().any(|name| key.split('/').any(|part| part.starts_with(name))))
            .map(|(key, resource)| (key.clone(), resource.to_string()))
            .collect();
        assert_eq!(originals.len(), self.resources, "{originals:#?}");
        let own = |index: usize| (self.names)(index).into_iter().chain((self.words)(index));
        for index in 1..services {
            let pairs: Vec<(String, String)> = own(0).zip(own(index)).collect();
            let copied =
                |text: &str| pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
            for (key, resource) in &originals {
                resources.insert(copied(key), serde_json::from_str(&copied(resource))?);
            }
        }
        std::fs::write(&path, state.to_string())?;
        Stage::open(Some(first.folder())).await
    }
}

/// The most requests of which each came after the answer to the one before.
#[must_use]
pub fn rounds(exchanges: &[Exchange]) -> usize {
    let mut by_end: Vec<&Exchange> = exchanges.iter().collect();
    by_end.sort_by_key(|exchange| exchange.ended);
    let (mut rounds, mut free) = (0, Duration::ZERO);
    for exchange in by_end {
        if exchange.began >= free {
            rounds += 1;
            free = exchange.ended;
        }
    }
    rounds
}

/// The requests of the longest way through a plan that was carried out, `own` being those of each action by its id: of what an action
/// comes after, and of what was done before it under the same lock.
#[must_use]
pub fn longest_way(plan: &Plan, own: &BTreeMap<String, Vec<Exchange>>) -> usize {
    plan.actions.iter().map(|action| longest(plan, own, &action.id)).max().unwrap_or_default()
}

fn longest(plan: &Plan, own: &BTreeMap<String, Vec<Exchange>>, id: &str) -> usize {
    let began = |id: &str| own.get(id).and_then(|requests| requests.first()).map(|first| first.began);
    let Some(action) = plan.actions.iter().find(|action| action.id == id) else { return 0 };
    let locked = plan.actions.iter().filter(|other| {
        other.id != id
            && other.locks.iter().any(|lock| action.locks.contains(lock))
            && began(&other.id) < began(id)
    });
    let before: BTreeSet<&str> =
        action.after.iter().map(String::as_str).chain(locked.map(|other| other.id.as_str())).collect();
    let longest_before = before.into_iter().map(|other| longest(plan, own, other)).max().unwrap_or_default();
    own.get(id).map_or(0, |requests| rounds(requests)) + longest_before
}
