//! The consumers of the sandbox: who raises connection requests, and when.
//!
//! Fivetran asks once for every service that allows its account, [`FIVETRAN_AFTER`] seconds after the service is available
//! and allows it. A stranger asks once too, for every service with manual acceptance that allows anybody at all. In the
//! real cloud a stranger's request gets through only when its account was allowed for a while, or `*` was; here it always
//! does, so that everybody sees what is done about one. A stranger is never let in by itself: where acceptance is automatic
//! it asks only when it is allowed.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::call::Tx;
use super::ids::fresh;
use super::world::{Endpoint, Scope, Service, World, after, ids, wire_time};
use crate::dns::Names;
use crate::frame::KnownBy;

/// How long Fivetran takes to ask, in seconds of sandbox time.
const FIVETRAN_AFTER: i64 = 30;
/// How long the stranger takes.
const STRANGER_AFTER: i64 = 45;

/// The tag by which somebody tells the consumers to leave a service alone: `sandbox-consumers: none`.
const SWITCH: &str = "sandbox-consumers";

/// Brings the world up to `now`: requests that are due, verifications that are due. Consumers ask `since` then, or not at all.
pub(crate) fn tick(tx: &mut Tx, dir: &Path, now: Timestamp, since: Option<Timestamp>) {
    let quiet = |service: &&Service| tx.tags.of(&service.id).get(SWITCH) == Some(&"none");
    let asked = tx.services.values().filter(|service| since.is_some() && !quiet(service));
    let due: Vec<Due> = asked.flat_map(|service| due_requests(service, now)).collect();
    for Due { service, account, at } in due {
        // The request came when it was due, whenever somebody looks.
        raise(tx, &service, account, since.map_or(at, |since| at.max(since)));
        if let Some(service) = tx.services.get_mut(&service) {
            service.asked.insert(account.to_owned());
        }
    }
    verify(tx, dir, now);
}

/// A request that has come by now.
struct Due {
    service: String,
    account: &'static str,
    at: Timestamp,
}

fn due_requests(service: &Service, now: Timestamp) -> Vec<Due> {
    if service.state(now) != Some("Available") {
        return Vec::new();
    }
    let stranger_may = if service.acceptance {
        service.permissions.values().map(|permission| permission.since).min()
    } else {
        service.allows(ids::STRANGER)
    };
    let asking = [
        (ids::FIVETRAN, service.allows(ids::FIVETRAN), FIVETRAN_AFTER),
        (ids::STRANGER, stranger_may, STRANGER_AFTER),
    ];
    asking
        .into_iter()
        .filter(|(account, ..)| !service.asked.contains(*account))
        .filter_map(|(account, since, wait)| {
            let at = after(since?.max(service.available_at()), wait);
            (now >= at).then(|| Due { service: service.id.clone(), account, at })
        })
        .collect()
}

/// Makes an endpoint of that account for a service. Its VPC is the consumer's own and not in this world.
fn raise(tx: &mut Tx, service: &str, account: &str, now: Timestamp) -> Option<Endpoint> {
    let service = tx.services.get(service)?;
    let endpoint = Endpoint {
        scope: Scope::new(account, &service.scope.region),
        id: fresh("vpce"),
        connection: fresh("vpce-svc-conn"),
        service: service.id.clone(),
        service_name: service.name(),
        vpc: fresh("vpc"),
        subnets: vec![fresh("subnet")],
        groups: vec![fresh("sg")],
        interfaces: Vec::new(),
        ip_type: "ipv4".to_owned(),
        private_dns: false,
        load_balancers: service.load_balancers.keys().cloned().collect(),
        created: now,
        accepted: (!service.acceptance).then_some(now),
        rejected: None,
        deleted: None,
    };
    tx.endpoints.insert(endpoint.id.clone(), endpoint.clone());
    Some(endpoint)
}

/// Settles verifications of private DNS names: the TXT record is looked up in the sandbox's own DNS.
fn verify(tx: &mut Tx, dir: &Path, now: Timestamp) {
    let due: Vec<String> = tx
        .services
        .values()
        .filter(|service| {
            let looks_at = service.private_dns.as_ref().and_then(|dns| dns.looks_at);
            looks_at.is_some_and(|at| now >= at)
        })
        .map(|service| service.id.clone())
        .collect();
    if due.is_empty() {
        return;
    }
    let names = Names::open(dir).ok();
    for id in due {
        let Some(dns) = tx.services.get_mut(&id).and_then(|service| service.private_dns.as_mut()) else {
            continue;
        };
        let domain = dns.name.trim_start_matches("*.");
        let record = names.as_ref().and_then(|n| n.get(&format!("{}.{domain}", dns.record)).ok().flatten());
        let proved = record.is_some_and(|record| record.text.contains(&dns.value));
        dns.state = if proved { "verified" } else { "failed" }.to_owned();
        dns.looks_at = None;
    }
}

/// Raises a further request on demand; see [`crate::frame::CloudServer::connect`].
pub(crate) fn connect(
    tx: &mut Tx,
    service: &str,
    consumer: Option<&str>,
    now: Timestamp,
) -> Result<Value, String> {
    let service = find(tx, service, now)?;
    let account = account_of(consumer)?;
    if account != ids::STRANGER && service.allows(&account).is_none() {
        return Err(format!("{} does not allow account {account}: no principal lets it in", service.id));
    }
    if service.state(now) != Some("Available") {
        return Err(format!("{} is not Available yet", service.id));
    }
    let endpoint = raise(tx, &service.id, &account, now).ok_or("the service is gone")?;
    Ok(json!({
        "service": endpoint.service,
        "connection": endpoint.id,
        "consumer": endpoint.scope.account,
        "state": endpoint.state(now),
        "time": wire_time(now),
    }))
}

/// By what a service is known.
pub(crate) fn knows(world: &World, wanted: &str, now: Timestamp) -> Option<KnownBy> {
    let known = world.services.values().filter(|service| service.state(now).is_some());
    known.filter_map(|service| known_by(world, service, wanted)).max()
}

/// A service's tags, its id and its names.
fn known_by(world: &World, service: &Service, wanted: &str) -> Option<KnownBy> {
    let tags = world.tags.of(&service.id);
    let is = |key: &str| tags.get(key) == Some(&wanted);
    if is("privnet:service") {
        return Some(KnownBy::Mark);
    }
    (service.id == wanted || service.name() == wanted || is("Name")).then_some(KnownBy::Name)
}

fn account_of(consumer: Option<&str>) -> Result<String, String> {
    let account = match consumer.unwrap_or("fivetran") {
        "fivetran" => ids::FIVETRAN,
        "stranger" => ids::STRANGER,
        given if given.starts_with("arn:") => given.split(':').nth(4).unwrap_or_default(),
        given => given,
    };
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    is_account.then(|| account.to_owned()).ok_or_else(|| {
        format!("`{account}` is not an AWS account: 12 digits, an ARN, `fivetran` or `stranger`")
    })
}

/// A service by id, by service name, or by what its tags call it.
fn find(world: &World, wanted: &str, now: Timestamp) -> Result<Service, String> {
    let best = knows(world, wanted, now);
    let mut found = world.services.values().filter(|service| {
        service.state(now).is_some() && best.is_some() && known_by(world, service, wanted) == best
    });
    match (found.next(), found.next()) {
        (Some(service), None) => Ok(service.clone()),
        (Some(one), Some(other)) => Err(format!("{} and {} are both called {wanted}", one.id, other.id)),
        (None, _) => Err("no such endpoint service".to_owned()),
    }
}
