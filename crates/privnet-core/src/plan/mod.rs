//! The plan: a pure, total function of what is desired, what was observed, and what the user allows.
//!
//! All choices are made here: which resource of two generations is kept, what is changed in place or replaced, in which
//! order, and what is refused. The executor makes none. No I/O, no clock, no randomness.

mod build;
mod choose;
mod decisions;
mod diff;
mod finish;
mod follow;
mod guard;
mod misplaced;
mod moved;
mod order;
mod references;
mod renamed;
mod room;
mod standing;
mod steps;
#[cfg(test)]
mod tests;
mod undesired;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::accept::ConnectionState;
use crate::kind::KindTable;
use crate::resource::{Address, Generation, Scope};
use crate::value::Value;
use crate::world::{Desired, World};

pub(crate) use decisions::requests_to_come;
pub use decisions::{pending_wait, plan_decisions, plan_rejection};
pub use follow::only_targets;
pub use guard::{SEVER, who_would_be_cut};

/// What an action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Makes a resource.
    Create,
    /// Changes one in place.
    Update,
    /// Deletes one.
    Delete,
    /// Lets a connection in.
    Accept,
    /// Turns a connection away, or cuts it.
    Reject,
}

impl Op {
    /// The word as it stands in plans.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Accept => "accept",
            Self::Reject => "reject",
        }
    }
}

/// A field's name: the one in its kind's table, or text where a plan was read back.
pub type FieldName = Cow<'static, str>;

/// One field's difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The field.
    pub field: FieldName,
    /// What is there.
    pub from: Value,
    /// What is wanted.
    pub to: Value,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Its name within the plan: `create orders/listener/5432@a`.
    pub id: String,
    /// What it is done to.
    pub address: Address,
    /// What is done.
    pub op: Op,
    /// Why, for people; it never steers.
    pub reason: String,
    /// The fields in question. A create lists all of them; one in the place of another has what is there now of those that differ.
    pub changes: Vec<FieldChange>,
    /// The actions (by `id`) that must be done before.
    pub after: Vec<String>,
    /// Which of the resource's two names is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<Generation>,
    /// Where.
    pub scope: Scope,
    /// The cloud's id of what is changed or deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_id: Option<String>,
    /// The connection that is decided on. Boxed, since most actions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Box<ConnectionAction>>,
    /// What must not be written in parallel with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<String>,
}

/// The connection that an accept or reject is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionAction {
    /// The endpoint's id.
    pub id: String,
    /// The name by which the cloud's calls address it.
    pub handle: String,
    /// The consumer it matches, for the audit log.
    pub consumer: Option<String>,
    /// Who the cloud says it is.
    pub who: String,
    /// The preset behind the consumer, as `name version`.
    pub preset: Option<String>,
    /// The state that the plan saw it in: whoever was turned away since then is not let in.
    #[serde(default = "waiting", skip_serializing_if = "is_waiting")]
    pub state: ConnectionState,
    /// Whether the user allowed that live sessions are cut.
    pub sever: bool,
    /// The other connections that are let in or cut with it, by id, where the cloud's lists name whole consumers: those alone,
    /// whoever comes meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub along: Vec<String>,
    /// What it does besides, in words, for the audit log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub besides: Vec<String>,
    /// The same as the provider compares it ([`Aside::entries`](crate::accept::Aside::entries)): a decision that would change anything
    /// else by now is not carried out. Absent where that is nobody's matter: the lists go with the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<BTreeSet<String>>,
    /// Who those are that a rejection cuts along, for the audit log, where they have no action of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<CutAlong>,
    /// The same of those who wait, and are turned away with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turned_away: Vec<CutAlong>,
}

/// A connection that is cut, or turned away, with another one, which a decision is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutAlong {
    /// The endpoint's id.
    pub id: String,
    /// The consumer it matches.
    pub consumer: Option<String>,
    /// Who the cloud says it is.
    pub who: String,
    /// The preset behind the consumer, as `name version`.
    pub preset: Option<String>,
}

fn waiting() -> ConnectionState {
    ConnectionState::Pending
}

fn is_waiting(state: &ConnectionState) -> bool {
    *state == ConnectionState::Pending
}

/// Something that somebody else must do or that takes its time; a plan with waits only is done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Wait {
    /// Who or what is waited for: `you`, a consumer, a cloud.
    #[serde(rename = "for")]
    pub on: String,
    /// For what.
    pub why: String,
    /// The service.
    pub service: String,
}

/// Which safety rule refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    /// A live consumer would be cut, or one that cannot be ruled out.
    WouldSever,
    /// What was handed over to the vendor would change.
    HandOver,
    /// It has our name but not our proof.
    NotOurs,
    /// The cloud allows growing only.
    GrowOnly,
    /// The cloud keeps it from being deleted, as somebody asked it to.
    Protected,
    /// What the file names is not there, or is not what it must be.
    Unsuitable,
    /// The file is for another account.
    WrongAccount,
    /// It could not be observed; nothing is done to it.
    Unobserved,
    /// The user must choose.
    Ambiguous,
}

impl Rule {
    /// The rule as JSON spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WouldSever => "would-sever",
            Self::HandOver => "hand-over",
            Self::NotOurs => "not-ours",
            Self::GrowOnly => "grow-only",
            Self::Protected => "protected",
            Self::Unsuitable => "unsuitable",
            Self::WrongAccount => "wrong-account",
            Self::Unobserved => "unobserved",
            Self::Ambiguous => "ambiguous",
        }
    }
}

/// Something that is not done, and why. A service with a refusal is left alone as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What.
    pub address: Address,
    /// By which rule.
    pub rule: Rule,
    /// Why, in words that say what to do.
    pub why: String,
    /// The flag that lifts it, where one does.
    pub flag: Option<String>,
}

/// A service of the deployment that the file no longer lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The service.
    pub service: String,
    /// Its resources.
    pub resources: Vec<Address>,
    /// What to do about it.
    pub why: String,
}

/// Something of privnet's inside something of the user's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addition {
    /// What is added.
    pub address: Address,
    /// To what.
    pub to: String,
}

/// How many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Resources to make.
    pub create: usize,
    /// Resources to change.
    pub update: usize,
    /// Resources to delete.
    pub delete: usize,
    /// Connections to let in.
    pub accept: usize,
    /// Connections to turn away.
    pub reject: usize,
    /// Resources that are as they should be.
    pub unchanged: usize,
}

/// What would be done. Plain data: printed, saved, read back, compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The format of this JSON.
    pub format: Format,
    /// What to do, in an order that respects `after`.
    pub actions: Vec<Action>,
    /// What is waited for.
    pub waits: Vec<Wait>,
    /// What is refused.
    pub refusals: Vec<Refusal>,
    /// What a user should know.
    pub warnings: Vec<String>,
    /// What is there and not in the file.
    pub left: Vec<Left>,
    /// What is added to the user's own things.
    pub adds_to_yours: Vec<Addition>,
    /// The counts.
    pub summary: Summary,
    /// Whether the user allowed in words that live consumers are cut.
    #[serde(default, skip_serializing_if = "is_false")]
    pub severs: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// The version of the plan's JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Format(pub u32);

impl Default for Format {
    fn default() -> Self {
        Self(1)
    }
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }

    /// Whether another plan does the same. What is only waited for or warned about may differ.
    #[must_use]
    pub fn does_what(&self, other: &Self) -> bool {
        self.actions == other.actions && self.refusals == other.refusals
    }

    /// The action of this id.
    #[must_use]
    pub fn action(&self, id: &str) -> Option<&Action> {
        self.actions.iter().find(|action| action.id == id)
    }
}

/// What the user allows in this run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanOptions {
    /// Delete services of the deployment that the file does not list.
    pub prune: bool,
    /// Cut live consumers where the plan needs it.
    pub sever_connections: bool,
    /// Delete all that the deployment owns.
    pub destroy: bool,
}

/// Plans how the observed world becomes the desired one.
#[must_use]
pub fn plan(desired: &Desired, world: &World, kinds: &KindTable, options: PlanOptions) -> Plan {
    let mut draft = build::Draft::new(desired, world, kinds, options);
    draft.match_resources();
    draft.delete_undesired();
    draft.hasten_users();
    draft.guard();
    draft.let_go();
    draft.finish()
}

/// An index of the plan's actions by id.
#[must_use]
pub fn by_id(plan: &Plan) -> BTreeMap<&str, usize> {
    plan.actions.iter().enumerate().map(|(index, action)| (action.id.as_str(), index)).collect()
}
