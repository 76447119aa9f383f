//! Endpoint services, their permissions, and the endpoints of consumers.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Scope, World, after};

/// How long a new endpoint service is `Pending`, in seconds of sandbox time.
const SERVICE_PENDING: i64 = 10;
/// How long a deleted one is `Deleting`, and then gone.
const SERVICE_DELETING: i64 = 15;
/// How long an accepted connection is `pending` before it is `available`.
const ENDPOINT_PENDING: i64 = 20;
/// How long a rejected connection still holds its service.
const REJECTED_HOLDS: i64 = 10;
/// How long a deleted endpoint is `deleting`.
const ENDPOINT_DELETING: i64 = 20;
/// How long a rejected or deleted connection lingers in lists.
const LINGER: i64 = 3600;
/// How long a request waits for a decision before it is `expired`.
const EXPIRES: i64 = 14 * 24 * 3600;

/// An allowed principal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Permission {
    pub(crate) id: String,
    pub(crate) since: Timestamp,
}

/// A private DNS name and the proof of its domain.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PrivateDns {
    pub(crate) name: String,
    /// The TXT record's name, below the domain.
    pub(crate) record: String,
    /// The TXT record's value.
    pub(crate) value: String,
    /// `pendingVerification`, `verified` or `failed`.
    pub(crate) state: String,
    /// When a verification that was asked for looks at the record.
    pub(crate) looks_at: Option<Timestamp>,
}

/// An endpoint service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Service {
    pub(crate) scope: Scope,
    pub(crate) id: String,
    pub(crate) acceptance: bool,
    /// Load balancer ARN → the zones that it had when it was associated: zones added to it later do not reach the service.
    pub(crate) load_balancers: BTreeMap<String, Vec<String>>,
    pub(crate) ip_types: BTreeSet<String>,
    /// Region → since when it is supported.
    pub(crate) regions: BTreeMap<String, Timestamp>,
    pub(crate) private_dns: Option<PrivateDns>,
    pub(crate) permissions: BTreeMap<String, Permission>,
    pub(crate) created: Timestamp,
    pub(crate) deleted: Option<Timestamp>,
    /// Accounts whose ordinary request has been raised: each asks once.
    pub(crate) asked: BTreeSet<String>,
}

impl Service {
    /// `com.amazonaws.vpce.<region>.<id>`; the prefix of China's regions differs.
    pub(crate) fn name(&self) -> String {
        let prefix =
            if crate::aws::ids::partition(&self.scope.region) == "aws-cn" { "cn.com" } else { "com" };
        format!("{prefix}.amazonaws.vpce.{}.{}", self.scope.region, self.id)
    }

    /// When it is ready for requests.
    pub(crate) fn available_at(&self) -> Timestamp {
        after(self.created, SERVICE_PENDING)
    }

    /// Its state; `None` when it is gone.
    pub(crate) fn state(&self, now: Timestamp) -> Option<&'static str> {
        match self.deleted {
            Some(deleted) if now >= after(deleted, SERVICE_DELETING) => None,
            Some(_) => Some("Deleting"),
            None if now < self.available_at() => Some("Pending"),
            None => Some("Available"),
        }
    }

    /// Since when a principal's permission lets an account in; `None` when nothing does.
    pub(crate) fn allows(&self, account: &str) -> Option<Timestamp> {
        let lets_in = |principal: &str| {
            principal == "*" || principal == account || principal.split(':').nth(4) == Some(account)
        };
        self.permissions.iter().filter(|(principal, _)| lets_in(principal)).map(|(_, p)| p.since).min()
    }

    /// The zones that consumers can use.
    pub(crate) fn zones(&self) -> BTreeSet<String> {
        self.load_balancers.values().flatten().cloned().collect()
    }
}

/// A consumer's endpoint, and with it the connection that the service's owner sees.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    /// The consumer's account and region.
    pub(crate) scope: Scope,
    pub(crate) id: String,
    pub(crate) connection: String,
    pub(crate) service: String,
    pub(crate) service_name: String,
    pub(crate) vpc: String,
    pub(crate) subnets: Vec<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) interfaces: Vec<String>,
    pub(crate) ip_type: String,
    pub(crate) private_dns: bool,
    pub(crate) load_balancers: Vec<String>,
    pub(crate) created: Timestamp,
    pub(crate) accepted: Option<Timestamp>,
    pub(crate) rejected: Option<Timestamp>,
    pub(crate) deleted: Option<Timestamp>,
}

impl Endpoint {
    /// Its state as the wire spells it; `None` when it no longer shows.
    pub(crate) fn state(&self, now: Timestamp) -> Option<&'static str> {
        if let Some(deleted) = self.deleted {
            return match () {
                () if now < after(deleted, ENDPOINT_DELETING) => Some("deleting"),
                () if now < after(deleted, LINGER) => Some("deleted"),
                () => None,
            };
        }
        if let Some(rejected) = self.rejected {
            return (now < after(rejected, LINGER)).then_some("rejected");
        }
        Some(match self.accepted {
            Some(accepted) if now < after(accepted, ENDPOINT_PENDING) => "pending",
            Some(_) => "available",
            None if now >= after(self.created, EXPIRES) => "expired",
            None => "pendingAcceptance",
        })
    }

    /// Its state as the service's owner sees it: its own, or what a switch on the connection says.
    pub(crate) fn seen<'w>(&self, world: &'w World, now: Timestamp) -> Option<&'w str> {
        let own = self.state(now)?;
        Some(world.tags.told_state(&self.connection).unwrap_or(own))
    }

    /// Whether its service cannot be deleted because of it.
    pub(crate) fn holds_service(&self, now: Timestamp) -> bool {
        match self.state(now) {
            Some("available" | "pendingAcceptance" | "pending" | "deleting") => true,
            Some("rejected") => self.rejected.is_some_and(|at| now < after(at, REJECTED_HOLDS)),
            _ => false,
        }
    }
}

/// A connection notification.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Notification {
    pub(crate) scope: Scope,
    pub(crate) id: String,
    pub(crate) service: Option<String>,
    pub(crate) endpoint: Option<String>,
    pub(crate) topic: String,
    pub(crate) events: Vec<String>,
    pub(crate) created: Timestamp,
}

impl World {
    /// The endpoints of a service that still show.
    pub(crate) fn connections_of<'a>(
        &'a self,
        service: &'a str,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a Endpoint> {
        self.endpoints.values().filter(move |e| e.service == service && e.state(now).is_some())
    }

    /// The service that a load balancer serves, unless it is being deleted.
    pub(crate) fn service_of(&self, load_balancer: &str) -> Option<&Service> {
        self.services.values().find(|s| s.deleted.is_none() && s.load_balancers.contains_key(load_balancer))
    }
}
