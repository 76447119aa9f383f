//! The names of `dns` targets, asked at least twice, one time-to-live apart, or 30 s where that is longer: then the second answer may be a
//! copy of the first, and what goes on it is what fails its health checks.
//!
//! An address that a name server gives once may be a reader of several in turn, or the old one of a failover: what is absent from
//! every sample is gone, what is in one of them is there. A target that is registered and healthy may be a reader whose turn has not come:
//! for it the name is asked again, until enough answers in a row left it out (`absences`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use privnet_core::World;
use privnet_core::execute::Context;
use privnet_core::spec::aws::{AwsForm, AwsService, AwsTarget};
use privnet_core::spec::{Resolver, Service};
use tokio::time::Instant;

use crate::absences::{Absences, Demand, GONE};
use crate::facts::{Awaited, ResolvedName, Sample, ServiceFacts};
use crate::snapshot::ports;

/// How often each name is asked, at least.
const SAMPLES: usize = 2;
/// And at most, while each answer brings something new: so a name that gives its addresses in turn shows them.
const MOST_SAMPLES: usize = GONE;
/// The time between two samples is the answer's time-to-live, within these. Amazon RDS gives 5 s, Aurora 1 s to 5 s; nobody
/// waits an hour for a plan. A sample that did not wait for so long may be a copy out of a cache.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The pauses of one look take no longer together: there is room for eight answers that hold for a minute, which is the most that Route 53
/// advises for names that move (<https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-values-failover.html>).
const LONGEST_LOOK: Duration = Duration::from_secs(480);
/// The longest time for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A name of a service's port: service, listening port, name.
type Asked = (String, String, String);

/// What earlier looks of this process saw.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<BTreeMap<Asked, Remembered>>);

#[derive(Clone, Debug, Default)]
struct Remembered {
    absences: Absences,
    /// When nobody may hold the last answer any longer that was a copy of none before.
    expires: Option<Instant>,
    /// Its time-to-live, at pace 1.
    holds: Duration,
    /// How long the pauses of this look took so far, at pace 1.
    paused: Duration,
}

impl Memory {
    fn of(&self, asked: &Asked) -> Remembered {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(asked).cloned().unwrap_or_default()
    }

    fn keep(&self, asked: Asked, remembered: Remembered) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(asked, remembered);
    }
}

impl Remembered {
    /// How long an answer may still be a copy of the last one, at pace 1.
    fn remaining(&self, context: &Context) -> Duration {
        let remaining = self.expires.map(|expires| expires.saturating_duration_since(Instant::now()));
        remaining.unwrap_or_default().mul_f64(context.settings().pace).min(self.holds)
    }

    async fn pause(&mut self, longest: Duration, context: &Context) {
        let Some(expires) = self.expires else { return };
        self.paused += self.remaining(context).min(longest);
        tokio::time::sleep_until(expires.min(Instant::now() + context.paced(longest))).await;
    }

    /// What is left of the look's time, at pace 1. Who looks again has other work, too.
    fn left(&self, context: &Context) -> Duration {
        let longest = context.settings().patience.map_or(LONGEST_LOOK, |patience| patience * 2 / 3);
        longest.min(LONGEST_LOOK).saturating_sub(self.paused)
    }

    /// Asks once. A copy expires with the answer that it is a copy of.
    async fn sample(&mut self, client: &TokioResolver, name: &mut ResolvedName, context: &Context) {
        let may_be_copy = self.expires.is_some_and(|expires| Instant::now() < expires);
        let (sample, ttl) = answer(client, &name.name).await;
        let is_answer = matches!(&sample, Sample::Addresses(all) if !all.is_empty());
        if may_be_copy {
            name.copies.insert(name.samples.len());
        }
        if !may_be_copy || !is_answer {
            self.holds = ttl.max(SHORTEST_PAUSE);
            self.expires = Some(Instant::now() + context.paced(self.holds));
        }
        name.samples.push(sample);
    }
}

/// What the names of these services' `dns` targets resolve to: by service, by listening port.
pub(crate) async fn resolve(
    local: Option<SocketAddr>,
    services: &[(&Service, &AwsService)],
    memory: &Memory,
    context: &Context,
) -> BTreeMap<String, BTreeMap<String, ResolvedName>> {
    let mut answers: Vec<BoxFuture<'_, (String, String, ResolvedName)>> = Vec::new();
    for (service, aws) in services {
        let Some(resolver) = resolver_of(aws) else { continue };
        for port in ports(aws) {
            if let AwsTarget::Dns(name) = &port.port.to {
                let asked = (service.name.to_string(), port.port.listen.to_string(), name.to_string());
                answers.push(Box::pin(async move {
                    let resolved = sampled(local, resolver, &asked, memory, context).await;
                    (asked.0, asked.1, resolved)
                }));
            }
        }
    }
    let mut by_service: BTreeMap<String, BTreeMap<String, ResolvedName>> = BTreeMap::new();
    for (service, listen, answer) in join_all(answers).await {
        by_service.entry(service).or_default().insert(listen, answer);
    }
    by_service
}

fn resolver_of(aws: &AwsService) -> Option<&Resolver> {
    match &aws.form {
        AwsForm::Made(made) => Some(&made.targets.resolver),
        AwsForm::OnLoadBalancer(on) => Some(&on.targets.resolver),
        AwsForm::EndpointService(_) | AwsForm::Removed => None,
    }
}

async fn sampled(
    local: Option<SocketAddr>,
    resolver: &Resolver,
    asked: &Asked,
    memory: &Memory,
    context: &Context,
) -> ResolvedName {
    let (title, client) = client(local, resolver);
    let mut remembered = Remembered { paused: Duration::ZERO, ..memory.of(asked) };
    let mut resolved = ResolvedName::of(&asked.2, &title);
    match client {
        Ok(client) => ask(&client, &mut resolved, &mut remembered, context).await,
        Err(error) => resolved.samples.push(Sample::Failed(error.to_string())),
    }
    memory.keep(asked.clone(), remembered);
    resolved
}

/// Adds samples until there are enough, or the look's time is over.
async fn ask(
    client: &TokioResolver,
    resolved: &mut ResolvedName,
    remembered: &mut Remembered,
    context: &Context,
) {
    let mut seen = 0;
    loop {
        remembered.sample(client, resolved, context).await;
        let now = resolved.seen().len();
        let least = if now > seen { MOST_SAMPLES } else { SAMPLES };
        seen = now;
        let pause = remembered.remaining(context).min(LONGEST_PAUSE);
        let asked = resolved.samples.len();
        if asked >= least || (asked >= SAMPLES && pause > remembered.left(context)) {
            return;
        }
        remembered.pause(LONGEST_PAUSE, context).await;
    }
}

/// Asks for a name again where a registered address of its is in no sample yet, and remembers what was absent.
pub(crate) async fn look_again(
    local: Option<SocketAddr>,
    services: &[(&Service, &AwsService)],
    memory: &Memory,
    world: &mut World,
    context: &Context,
) {
    let looks = services.iter().filter_map(|(service, aws)| Some((service.name.as_str(), resolver_of(aws)?)));
    let looks = looks.map(|(service, resolver)| {
        let mut facts = ServiceFacts::of(world, service);
        async move {
            let names = std::mem::take(&mut facts.names);
            let looked = names.into_iter().map(|(listen, name)| {
                let (facts, key) = (&facts, (service.to_owned(), listen.clone(), name.name.clone()));
                async move {
                    let look = Look { facts, listen: &listen, name, remembered: memory.of(&key) };
                    let (name, remembered) = look.finish(client(local, resolver).1, context).await;
                    memory.keep(key, remembered);
                    (listen, name)
                }
            });
            let names = join_all(looked.collect::<Vec<_>>()).await.into_iter().collect();
            (service, ServiceFacts { names, ..facts })
        }
    });
    for (service, facts) in join_all(looks.collect::<Vec<_>>()).await {
        if facts.names.is_empty() {
            continue;
        }
        if let Ok(json) = serde_json::to_value(facts) {
            world.facts.insert(ServiceFacts::key(service), json);
        }
    }
}

/// A look at one name, after its first samples.
struct Look<'a> {
    facts: &'a ServiceFacts,
    listen: &'a str,
    name: ResolvedName,
    remembered: Remembered,
}

impl Look<'_> {
    async fn finish(
        mut self,
        client: Result<TokioResolver, NetError>,
        context: &Context,
    ) -> (ResolvedName, Remembered) {
        let registered = self.facts.staying(self.listen);
        if context.settings().patience.is_some() {
            self.remembered.absences.look_again();
        }
        self.remembered.absences.add_all(&self.name, &registered);
        if let Ok(client) = client {
            while self.is_worth_asking(context) {
                // The cloud was read meanwhile, and that may have taken no time.
                self.remembered.pause(LONGEST_LOOK, context).await;
                self.remembered.sample(&client, &mut self.name, context).await;
                if let Some(sample) = self.name.samples.last() {
                    self.remembered.absences.add(sample, &registered, false);
                }
            }
        }
        let (demand, hidden) = self.hidden();
        let absences = &mut self.remembered.absences;
        let holds = self.remembered.holds.as_secs();
        let awaited = hidden.into_iter().map(|address| {
            let (absent, demanded) = (absences.of(&address), demand.absent);
            (address, Awaited { absent, demanded, in_turn: demand.rotates, holds })
        });
        self.name.awaited = awaited.filter(|(_, awaited)| awaited.absent < awaited.demanded).collect();
        absences.end(&self.name, &registered);
        (self.name, self.remembered)
    }

    /// What is demanded, and the addresses that would be taken for gone.
    fn hidden(&self) -> (Demand, BTreeSet<IpAddr>) {
        let demand = self.remembered.absences.demand(&self.name, &self.facts.staying(self.listen));
        (demand, self.facts.hidden(self.listen, &self.name, demand.rotates))
    }

    /// Whether another answer may show an address that would be taken for gone. Where no later look goes on counting, and the time that
    /// is left is too short to count to the end, it may not: the address stays.
    fn is_worth_asking(&self, context: &Context) -> bool {
        let (demand, hidden) = self.hidden();
        let absences = &self.remembered.absences;
        let lacking = hidden.iter().map(|address| demand.absent.saturating_sub(absences.of(address)));
        let Some(lacking) = lacking.filter(|lacking| *lacking > 0).min() else { return false };
        let after =
            if absences.are_looked_for_again() { 0 } else { u32::try_from(lacking - 1).unwrap_or(u32::MAX) };
        let takes = self.remembered.remaining(context) + self.remembered.holds.saturating_mul(after);
        self.name.fresh() < demand.samples && takes <= self.remembered.left(context)
    }
}

/// The resolver, and what to call it. It keeps nothing: each sample is an answer of its own.
fn client(local: Option<SocketAddr>, resolver: &Resolver) -> (String, Result<TokioResolver, NetError>) {
    let (title, builder) = match (local, resolver) {
        (Some(server), _) => (server.to_string(), Ok(with_servers(vec![at(server)]))),
        (None, Resolver::System) => ("system".to_owned(), TokioResolver::builder_tokio()),
        (None, Resolver::Servers(servers)) => {
            let title = servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            (title, Ok(with_servers(servers.iter().map(|ip| NameServerConfig::udp_and_tcp(*ip)).collect())))
        }
    };
    let client = builder.and_then(|mut builder| {
        let options = builder.options_mut();
        options.cache_size = 0;
        options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
        options.timeout = PATIENCE;
        options.attempts = 1;
        builder.build()
    });
    (title, client)
}

fn with_servers(servers: Vec<NameServerConfig>) -> hickory_resolver::ResolverBuilder<TokioRuntimeProvider> {
    TokioResolver::builder_with_config(
        ResolverConfig::from_parts(None, Vec::new(), servers),
        TokioRuntimeProvider::default(),
    )
}

fn at(server: SocketAddr) -> NameServerConfig {
    let mut udp = ConnectionConfig::udp();
    udp.port = server.port();
    NameServerConfig::new(server.ip(), true, vec![udp])
}

/// Whether a name has this text in its TXT record, as far as the machine's own resolver sees it.
pub(crate) async fn holds_text(local: Option<SocketAddr>, name: &str, text: &str) -> bool {
    let (_, Ok(client)) = client(local, &Resolver::System) else { return false };
    let Ok(answer) = client.txt_lookup(format!("{}.", name.trim_end_matches('.'))).await else {
        return false;
    };
    answer.answers().iter().any(|record| match &record.data {
        // A long text comes in pieces.
        RData::TXT(txt) => txt.txt_data.concat() == text.as_bytes(),
        _ => false,
    })
}

/// One answer and how long it holds.
async fn answer(client: &TokioResolver, name: &str) -> (Sample, Duration) {
    // With the final dot no search list applies.
    let absolute = format!("{}.", name.trim_end_matches('.'));
    match client.lookup_ip(absolute).await {
        Ok(answer) => {
            let ttl = answer.as_lookup().answers().iter().map(|record| record.ttl).min().unwrap_or_default();
            (Sample::Addresses(answer.iter().collect()), Duration::from_secs(ttl.into()))
        }
        Err(error) if error.is_nx_domain() => {
            (Sample::Failed("there is no such name".to_owned()), SHORTEST_PAUSE)
        }
        Err(error) if error.is_no_records_found() => (Sample::Addresses(Default::default()), SHORTEST_PAUSE),
        Err(error) => (Sample::Failed(error.to_string()), SHORTEST_PAUSE),
    }
}

#[cfg(test)]
mod tests;
