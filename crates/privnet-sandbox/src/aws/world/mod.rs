//! What is in the AWS sandbox: flat maps by id or ARN, each object with its account and region.
//!
//! Objects hold when something happened, never what state they are in: states are computed from these times when read.

mod balancing;
mod compute;
mod default;
mod network;
mod published;
mod scaling;
mod services;
mod tags;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::frame::Table;

pub(crate) use balancing::{
    AlsoTo, HealthCheck, Listener, LoadBalancer, REPROVISIONING, Target, TargetGroup, Zone,
};
pub(crate) use compute::{IMAGE_SWITCH, Image, LaunchTemplate, TemplateVersion};
pub(crate) use default::ids;
pub(crate) use network::{Group, Instance, Interface, Launch, Rule, SHUTTING_DOWN, Source, Subnet, Vpc};
pub(crate) use scaling::{
    ATTACHING, Activity, Attachment, Member, PENDING, REMOVED_SHOWS, ScalingGroup, TemplateRef, VANISHING,
    group_key,
};
pub(crate) use services::{Endpoint, Notification, Permission, PrivateDns, Service};
pub(crate) use tags::TagStore;

/// An account and region: what every object belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Scope {
    pub(crate) account: String,
    pub(crate) region: String,
}

impl Scope {
    pub(crate) fn new(account: &str, region: &str) -> Self {
        Self { account: account.to_owned(), region: region.to_owned() }
    }
}

/// A call that a client token made unrepeatable: what was asked, and what was answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) asked: String,
    pub(crate) answered: serde_json::Value,
}

/// Who an access key belongs to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) account: String,
    /// The caller as STS names it.
    pub(crate) arn: String,
    pub(crate) user_id: String,
}

/// The whole world.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct World {
    pub(crate) vpcs: Table<Vpc>,
    pub(crate) subnets: Table<Subnet>,
    pub(crate) groups: Table<Group>,
    pub(crate) rules: Table<Rule>,
    pub(crate) instances: Table<Instance>,
    pub(crate) interfaces: Table<Interface>,
    pub(crate) load_balancers: Table<LoadBalancer>,
    pub(crate) target_groups: Table<TargetGroup>,
    pub(crate) listeners: Table<Listener>,
    pub(crate) services: Table<Service>,
    pub(crate) endpoints: Table<Endpoint>,
    pub(crate) notifications: Table<Notification>,
    pub(crate) tags: TagStore,
    pub(crate) tokens: Table<Token>,
    /// Access keys that AssumeRole gave out.
    pub(crate) sessions: Table<Session>,
    /// Certificates that TLS listeners may name.
    pub(crate) certificates: BTreeSet<String>,
    /// Topics that notifications may name.
    pub(crate) topics: BTreeSet<String>,
    // A folder that an earlier release made has none of the following.
    #[serde(default = "published::images")]
    pub(crate) images: Table<Image>,
    #[serde(default = "published::parameters")]
    pub(crate) parameters: Table<compute::Parameter>,
    #[serde(default)]
    pub(crate) launch_templates: Table<LaunchTemplate>,
    /// By account, region and name.
    #[serde(default)]
    pub(crate) scaling_groups: Table<ScalingGroup>,
    /// The last groups that were deleted, by ARN: their activities can still be read.
    #[serde(default)]
    pub(crate) past_groups: Table<ScalingGroup>,
}

impl Default for World {
    fn default() -> Self {
        default::world()
    }
}

/// `time` and that many seconds.
pub(crate) fn after(time: Timestamp, seconds: i64) -> Timestamp {
    time.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

/// A time as AWS writes it: UTC with milliseconds.
pub(crate) fn wire_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
