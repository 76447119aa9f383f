//! Auto Scaling groups: what they should have, what they have, and what they did.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Scope, World, after};

/// How long a launched instance is `Pending`, in seconds of sandbox time.
pub(crate) const PENDING: i64 = 30;
/// How long a group takes to begin with what is to be done.
pub(crate) const REACTION: i64 = 2;
/// How long instances take to be registered with a target group that is attached to their group.
pub(crate) const ATTACHING: i64 = 5;
/// How long a group waits after a launch that failed; twice as long after each further one, up to the second number.
const RETRY: (i64, i64) = (30, 3600);
/// How long a target group still shows as removed.
pub(crate) const REMOVED_SHOWS: i64 = 10;
/// How long a group without instances takes to go.
pub(crate) const VANISHING: i64 = 5;
/// How many activities of a group are remembered.
const REMEMBERED: usize = 200;

/// A launch template as a group names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TemplateRef {
    pub(crate) id: String,
    pub(crate) name: String,
    /// `$Latest`, `$Default` or a number, as it was given.
    pub(crate) version: Option<String>,
}

/// A target group that is attached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Attachment {
    pub(crate) since: Timestamp,
    /// Whether it came with the group.
    pub(crate) at_creation: bool,
    /// Whether it was named as a traffic source: the calls about target groups do not know it then.
    pub(crate) as_source: bool,
    /// Whether the instances of that time have been registered.
    pub(crate) registered: bool,
    /// When it was detached; instances drain from then on.
    pub(crate) leaving: Option<Timestamp>,
}

/// An instance of a group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) zone: String,
    pub(crate) instance_type: String,
    pub(crate) template: TemplateRef,
    pub(crate) launched: Timestamp,
    /// When it came into service.
    pub(crate) in_service: Option<Timestamp>,
    pub(crate) protected: bool,
    pub(crate) unhealthy: bool,
    /// Since when it is being terminated.
    pub(crate) leaving: Option<Timestamp>,
    /// When EC2 was told to terminate it: after its targets have drained.
    pub(crate) stopping: Option<Timestamp>,
    /// The activity that is about it now.
    pub(crate) activity: String,
}

impl Member {
    /// Its lifecycle state.
    pub(crate) fn state(&self) -> &'static str {
        match (self.leaving, self.in_service) {
            (Some(_), _) => "Terminating",
            (None, Some(_)) => "InService",
            (None, None) => "Pending",
        }
    }
}

/// A scaling activity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Activity {
    pub(crate) id: String,
    pub(crate) description: String,
    pub(crate) cause: String,
    pub(crate) start: Timestamp,
    pub(crate) end: Option<Timestamp>,
    /// `PreInService`, `WaitingForELBConnectionDraining`, `InProgress`, `Successful`, `Failed`.
    pub(crate) status: String,
    pub(crate) message: Option<String>,
    pub(crate) details: String,
}

/// An Auto Scaling group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ScalingGroup {
    pub(crate) scope: Scope,
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) template: TemplateRef,
    pub(crate) min: i64,
    pub(crate) max: i64,
    pub(crate) desired: i64,
    /// Subnets, in the order in which they were given.
    pub(crate) subnets: Vec<String>,
    pub(crate) zones: Vec<String>,
    /// Target group ARN → how it is attached.
    pub(crate) attachments: BTreeMap<String, Attachment>,
    /// `EC2`, `ELB` or both with a comma.
    pub(crate) health_check: String,
    pub(crate) grace: i64,
    pub(crate) protect_new: bool,
    pub(crate) termination_policies: Vec<String>,
    pub(crate) deletion_protection: Option<String>,
    /// Settings that change nothing in the sandbox, by their published names: they are only shown again.
    pub(crate) settings: BTreeMap<String, Value>,
    /// Tag key → whether new instances get the tag. The values are with all the other tags.
    pub(crate) propagate: BTreeMap<String, bool>,
    /// Suspended process → since when.
    pub(crate) suspended: BTreeMap<String, Timestamp>,
    pub(crate) members: BTreeMap<String, Member>,
    pub(crate) activities: Vec<Activity>,
    pub(crate) created: Timestamp,
    pub(crate) deleted: Option<Timestamp>,
    /// When it looks whether it has what it should have.
    pub(crate) looks_at: Option<Timestamp>,
    /// Launches that failed, one after another.
    pub(crate) failures: u32,
    /// Why its desired capacity is what it is, for the causes of activities.
    pub(crate) why: String,
}

impl ScalingGroup {
    /// Members that are not on their way out.
    pub(crate) fn staying(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|member| member.leaving.is_none())
    }

    /// Whether something of it is still going on.
    pub(crate) fn is_busy(&self) -> bool {
        self.activities.iter().any(|activity| activity.end.is_none())
    }

    /// Whether one of its processes runs.
    pub(crate) fn runs(&self, process: &str) -> bool {
        !self.suspended.contains_key(process)
    }

    /// Target groups that new instances are registered with.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &String> {
        self.attachments.iter().filter(|(_, a)| a.leaving.is_none()).map(|(arn, _)| arn)
    }

    /// Has it look soon.
    pub(crate) fn wake(&mut self, now: Timestamp) {
        let at = after(now, REACTION);
        self.looks_at = Some(self.looks_at.map_or(at, |known| known.min(at)));
    }

    /// When it tries again after as many failures as it has had.
    pub(crate) fn retry_at(&self, now: Timestamp) -> Timestamp {
        let wait = RETRY.0.saturating_mul(1 << self.failures.min(16));
        after(now, wait.min(RETRY.1))
    }

    /// Notes an activity that begins.
    pub(crate) fn begin(&mut self, activity: Activity) {
        self.activities.push(activity);
        if self.activities.len() > REMEMBERED {
            let oldest = self.activities.iter().position(|activity| activity.end.is_some());
            oldest.map(|at| self.activities.remove(at));
        }
    }

    /// Notes the end of an activity.
    pub(crate) fn finish(&mut self, id: &str, now: Timestamp) {
        if let Some(activity) = self.activities.iter_mut().find(|activity| activity.id == id) {
            activity.end = Some(now);
            "Successful".clone_into(&mut activity.status);
        }
    }
}

/// The key of a group among all groups.
pub(crate) fn group_key(scope: &Scope, name: &str) -> String {
    format!("{}/{}/{name}", scope.account, scope.region)
}

impl World {
    /// The group that an instance belongs to.
    pub(crate) fn group_of(&self, instance: &str) -> Option<&ScalingGroup> {
        self.scaling_groups.values().find(|group| group.members.contains_key(instance))
    }
}
