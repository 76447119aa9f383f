//! Load balancers, target groups, targets and listeners.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Scope, World, after};

/// How long a new network load balancer is `provisioning`, in seconds of sandbox time.
const PROVISIONING: i64 = 120;
/// How long one is `provisioning` again after its subnets, security groups or enforcement changed.
pub(crate) const REPROVISIONING: i64 = 20;

/// One zone of a load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Zone {
    pub(crate) zone: String,
    pub(crate) subnet: String,
    /// A fixed private address, where the caller gave one.
    pub(crate) address: Option<String>,
}

/// A load balancer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LoadBalancer {
    pub(crate) scope: Scope,
    pub(crate) arn: String,
    pub(crate) name: String,
    /// `network` or `application` (the default world has one of these; only network ones can be made).
    pub(crate) kind: String,
    pub(crate) scheme: String,
    pub(crate) vpc: String,
    pub(crate) zones: Vec<Zone>,
    pub(crate) groups: Vec<String>,
    pub(crate) ip_type: String,
    /// `on` or `off`; only with security groups.
    pub(crate) enforce: Option<String>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) created: Timestamp,
    /// Until when it is provisioning.
    pub(crate) busy_until: Timestamp,
}

impl LoadBalancer {
    /// Its state as the wire spells it: `provisioning`, `active`, or what a switch says (`active_impaired`, `failed`).
    pub(crate) fn state<'w>(&self, world: &'w World, now: Timestamp) -> &'w str {
        let own = if now < self.busy_until { "provisioning" } else { "active" };
        world.tags.told_state(&self.arn).unwrap_or(own)
    }

    /// When a new one will be active.
    pub(crate) fn first_active(created: Timestamp) -> Timestamp {
        after(created, PROVISIONING)
    }

    /// `net/<name>/<16 hex>`: the end of its ARN.
    pub(crate) fn suffix(&self) -> &str {
        self.arn.split_once(":loadbalancer/").map_or("", |(_, rest)| rest)
    }

    /// Its DNS name.
    pub(crate) fn dns_name(&self) -> String {
        let hex = self.arn.rsplit('/').next().unwrap_or_default();
        let (region, suffix) = (&self.scope.region, crate::aws::ids::dns_suffix(&self.scope.region));
        format!("{}-{hex}.elb.{region}.{suffix}", self.name)
    }

    pub(crate) fn cross_zone(&self) -> bool {
        self.attributes.get("load_balancing.cross_zone.enabled").is_some_and(|value| value == "true")
    }
}

/// A target group's health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HealthCheck {
    pub(crate) protocol: String,
    pub(crate) port: String,
    pub(crate) path: Option<String>,
    pub(crate) codes: Option<String>,
    pub(crate) interval: i64,
    pub(crate) timeout: i64,
    pub(crate) healthy: i64,
    pub(crate) unhealthy: i64,
}

/// A registered target.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) id: String,
    pub(crate) port: i64,
    pub(crate) zone: Option<String>,
    pub(crate) registered: Timestamp,
    /// When it was deregistered; it drains from then on.
    pub(crate) leaving: Option<Timestamp>,
}

/// A target group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TargetGroup {
    pub(crate) scope: Scope,
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) protocol: String,
    pub(crate) port: i64,
    pub(crate) vpc: String,
    pub(crate) target_type: String,
    pub(crate) ip_type: String,
    pub(crate) check: HealthCheck,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) targets: Vec<Target>,
    pub(crate) created: Timestamp,
}

impl TargetGroup {
    /// How long a target drains after its deregistration, in seconds.
    pub(crate) fn drain(&self) -> i64 {
        self.attributes
            .get("deregistration_delay.timeout_seconds")
            .and_then(|value| value.parse().ok())
            .unwrap_or(300)
    }

    /// How long a target that became unhealthy is drained, in seconds; nothing where its connections are terminated at once.
    pub(crate) fn unhealthy_drain(&self) -> i64 {
        let attribute = |key: &str| self.attributes.get(key).map(String::as_str);
        if attribute("target_health_state.unhealthy.connection_termination.enabled") != Some("false") {
            return 0;
        }
        let seconds = attribute("target_health_state.unhealthy.draining_interval_seconds");
        seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(0)
    }

    /// Whether a target is still there: registered, or draining.
    pub(crate) fn holds(&self, target: &Target, now: Timestamp) -> bool {
        target.leaving.is_none_or(|leaving| now < after(leaving, self.drain()))
    }
}

/// A listener of a load balancer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Listener {
    pub(crate) scope: Scope,
    pub(crate) arn: String,
    pub(crate) load_balancer: String,
    pub(crate) protocol: String,
    pub(crate) port: i64,
    pub(crate) target_group: String,
    pub(crate) certificates: Vec<String>,
    pub(crate) ssl_policy: Option<String>,
    pub(crate) alpn: Vec<String>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) created: Timestamp,
    /// When its present target group was attached.
    pub(crate) attached: Timestamp,
    /// The weight of its target group, where it was given one.
    #[serde(default)]
    pub(crate) weight: Option<i64>,
    /// Further target groups that it forwards to.
    #[serde(default)]
    pub(crate) also: Vec<AlsoTo>,
}

/// A further target group of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AlsoTo {
    pub(crate) target_group: String,
    pub(crate) weight: Option<i64>,
    pub(crate) attached: Timestamp,
}

impl Listener {
    /// Since when it forwards to this group, whatever the weight: a group that a listener names is checked.
    pub(crate) fn forwards_since(&self, group: &str) -> Option<Timestamp> {
        if self.target_group == group {
            return Some(self.attached);
        }
        self.also.iter().find(|also| also.target_group == group).map(|also| also.attached)
    }
}

impl World {
    /// A load balancer's listeners, in the order of their ARNs.
    pub(crate) fn listeners_of<'a>(&'a self, load_balancer: &'a str) -> impl Iterator<Item = &'a Listener> {
        self.listeners.values().filter(move |listener| listener.load_balancer == load_balancer)
    }

    /// The listeners that forward to a target group.
    pub(crate) fn listeners_to<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Listener> {
        self.listeners.values().filter(move |listener| listener.forwards_since(group).is_some())
    }
}
