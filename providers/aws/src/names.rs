//! The names of `dns` targets, asked at least twice, one time-to-live apart.
//!
//! An address that a name server gives once may be a reader of several in turn, or the old one of a failover: what is absent from
//! every sample is gone, what is in one of them is there. A target that is registered and healthy may be a reader whose turn has not come:
//! for it the name is asked as often as it ever is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
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

use crate::facts::{ResolvedName, Sample, ServiceFacts};
use crate::snapshot::ports;

/// How often each name is asked, at least.
const SAMPLES: usize = 2;
/// And at most: a name that gives its addresses in turn is asked until an answer brings nothing new, and all healthy ones were seen.
const MOST_SAMPLES: usize = 8;
/// The time between two samples is the answer's time-to-live, within these. Amazon RDS gives 5 s, Aurora 1 s to 5 s; nobody
/// waits an hour for a plan.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest time for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the names of these services' `dns` targets resolve to: by service, by listening port.
pub(crate) async fn resolve(
    local: Option<SocketAddr>,
    services: &[(&Service, &AwsService)],
    context: &Context,
) -> BTreeMap<String, BTreeMap<String, ResolvedName>> {
    let mut asked = Vec::new();
    for (service, aws) in services {
        let Some(resolver) = resolver_of(aws) else { continue };
        for port in ports(aws) {
            if let AwsTarget::Dns(name) = &port.port.to {
                asked.push((
                    service.name.to_string(),
                    port.port.listen.to_string(),
                    name.to_string(),
                    resolver,
                ));
            }
        }
    }
    let mut answers: Vec<BoxFuture<'_, (String, String, ResolvedName)>> = Vec::with_capacity(asked.len());
    for (service, listen, name, resolver) in asked {
        answers
            .push(Box::pin(async move { (service, listen, sampled(local, resolver, name, context).await) }));
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
    name: String,
    context: &Context,
) -> ResolvedName {
    let (title, client) = client(local, resolver);
    let mut resolved = ResolvedName { name, resolver: title, samples: Vec::with_capacity(SAMPLES) };
    match client {
        Ok(client) => ask(&client, &mut resolved, &BTreeSet::new(), context).await,
        Err(error) => resolved.samples.push(Sample::Failed(error.to_string())),
    }
    resolved
}

/// Asks for a name again where a registered and healthy address of its is in no sample yet.
pub(crate) async fn look_again(
    local: Option<SocketAddr>,
    services: &[(&Service, &AwsService)],
    world: &mut World,
    context: &Context,
) {
    let looks = services.iter().filter_map(|(service, aws)| Some((service.name.as_str(), resolver_of(aws)?)));
    let looks = looks.map(|(service, resolver)| {
        let mut facts = ServiceFacts::of(world, service);
        async move {
            let hidden = facts.hidden();
            let (_, client) = client(local, resolver);
            let Ok(client) = client else { return None };
            let names = facts.names.iter_mut();
            let asked = names.filter_map(|(listen, name)| Some((name, hidden.get(listen)?)));
            join_all(asked.map(|(name, hidden)| ask(&client, name, hidden, context))).await;
            (!hidden.is_empty()).then_some((service, facts))
        }
    });
    for (service, facts) in join_all(looks.collect::<Vec<_>>()).await.into_iter().flatten() {
        if let Ok(json) = serde_json::to_value(facts) {
            world.facts.insert(ServiceFacts::key(service), json);
        }
    }
}

/// Adds samples until there are enough. While one of the `hidden` addresses was not seen they are not.
async fn ask(
    client: &TokioResolver,
    resolved: &mut ResolvedName,
    hidden: &BTreeSet<IpAddr>,
    context: &Context,
) {
    let mut seen = resolved.seen();
    loop {
        let (sample, ttl) = sample(client, &resolved.name).await;
        resolved.samples.push(sample);
        let now = resolved.seen();
        let least = if now.len() > seen.len() || !hidden.is_subset(&now) { MOST_SAMPLES } else { SAMPLES };
        seen = now;
        if resolved.samples.len() >= least {
            return;
        }
        tokio::time::sleep(context.paced(ttl.clamp(SHORTEST_PAUSE, LONGEST_PAUSE))).await;
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
async fn sample(client: &TokioResolver, name: &str) -> (Sample, Duration) {
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
