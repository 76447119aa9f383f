//! What carrying out an action has at hand, and the three things that every owned resource needs: to be written with proof,
//! to be deleted only with proof, and to be seen in the list that the next plan reads.

use std::time::Duration;

use privnet_core::execute::{Context, Poll, Until};
use privnet_core::{Error, ErrorKind, Generation, Step};

use crate::arm::{Arm, Json, Target, Write, merge_text_map, same_id, set, text, text_map};
use crate::ownership::{self, Tags};

/// How long a list may lag behind.
const LAG: Duration = Duration::from_secs(10 * 60);

/// One action at work.
#[derive(Clone, Copy)]
pub(crate) struct Act<'a> {
    pub(crate) arm: &'a Arm,
    pub(crate) context: &'a Context,
    pub(crate) step: Step<'a>,
}

impl Act<'_> {
    /// The path of the resource group that the action's scope is.
    pub(crate) fn group(&self) -> String {
        crate::scope::path(&self.step.action.scope)
    }

    /// The name of what is made.
    pub(crate) fn name(&self) -> String {
        ownership::cloud_name(self.step.deployment, &self.step.action.address, self.generation())
    }

    pub(crate) fn generation(&self) -> Generation {
        self.step.action.generation.unwrap_or(Generation::A)
    }

    /// The id of what is changed or deleted.
    ///
    /// # Errors
    /// A fault of the plan's.
    pub(crate) fn live_id(&self) -> Result<String, Error> {
        self.step
            .action
            .live_id
            .clone()
            .ok_or_else(|| self.error(ErrorKind::Other, "the plan does not say which one is meant"))
    }

    /// An error about this action.
    pub(crate) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, self.step.action.op.as_str(), self.step.action.address.to_string(), message)
    }

    /// An error about what somebody else has done since the plan was made, and what this action would undo.
    pub(crate) fn overtaken(&self, message: impl Into<String>) -> Error {
        self.error(ErrorKind::Conflict, message)
            .with_hint("run the same command again: it plans with what is there now")
    }

    /// Whether what is there is this action's resource.
    ///
    /// # Errors
    /// `Conflict` where it is not.
    pub(crate) fn check_ours(&self, there: &Json) -> Result<(), Error> {
        let tags = text_map(there, "tags");
        let address = &self.step.action.address;
        let name = text(there, "name").unwrap_or_default();
        let claim = ownership::claim(self.step.deployment, name, &tags, &[]);
        if claim.is_some_and(|claim| claim.address == *address) {
            return Ok(());
        }
        let message = format!("`{name}` has the name that privnet uses, but {}", ownership::why_not(&tags));
        Err(self.error(ErrorKind::Conflict, message))
    }

    /// Makes or changes a resource of ours: what is there, with the proof, the tags and what `shape` sets. Writes nothing where
    /// that changes nothing.
    ///
    /// # Errors
    /// `Conflict` where it is not ours, or what ARM answered.
    pub(crate) async fn write(
        &self,
        target: &Target,
        tags: &Tags,
        shape: &(dyn Fn(&mut Json) -> Result<(), Error> + Sync),
    ) -> Result<Json, Error> {
        let build = |there: Option<&Json>| {
            if let Some(there) = there {
                self.check_ours(there)?;
            }
            let mut body = there.cloned().unwrap_or_else(|| serde_json::json!({}));
            let old = text_map(&body, "tags");
            let all = ownership::all_tags(
                &old,
                self.step.deployment,
                &self.step.action.address,
                self.generation(),
                tags,
            );
            set(&mut body, "tags", merge_text_map(&all));
            shape(&mut body)?;
            let failed = there.is_some_and(|there| {
                matches!(text(there, "properties.provisioningState"), Some("Failed" | "Canceled"))
            });
            Ok(if there == Some(&body) && !failed { Write::Keep } else { Write::Put(body) })
        };
        self.arm.write(self.context, target, &build).await
    }

    /// Deletes a resource of ours, and returns when neither a read nor the list shows it.
    ///
    /// # Errors
    /// `Conflict` where it is not ours any more, or what ARM answered.
    pub(crate) async fn delete(&self, target: &Target) -> Result<(), Error> {
        self.delete_only(target, &|_| Ok(())).await
    }

    /// The same, where `check` has nothing against what is there now.
    ///
    /// # Errors
    /// As [`Act::delete`], or what `check` says.
    pub(crate) async fn delete_only(
        &self,
        target: &Target,
        check: &(dyn Fn(&Json) -> Result<(), Error> + Sync),
    ) -> Result<(), Error> {
        if let Some(there) = self.arm.find(self.context, target).await? {
            self.check_ours(&there)?;
            check(&there)?;
            self.check_going(&there)?;
            self.arm.delete(self.context, target).await?;
        }
        self.until_listed(target, false).await
    }

    /// What the plan saw being deleted goes with no word, for it goes anyway: but not where that deletion failed since.
    fn check_going(&self, there: &Json) -> Result<(), Error> {
        let goes = text(there, "properties.provisioningState").is_some_and(|state| state == "Deleting");
        if goes || !self.step.live.is_some_and(|live| live.health.is_going()) {
            return Ok(());
        }
        Err(self.overtaken("it was being deleted, and that has not come about: it is still there".to_owned()))
    }

    /// Waits until the lists that the next plan reads show a resource, or do not show it any more: those of its resource group or of its
    /// subscription that this plan read.
    ///
    /// # Errors
    /// What ARM answered.
    pub(crate) async fn until_listed(&self, target: &Target, there: bool) -> Result<(), Error> {
        for collection in self.arm.looked.lists_with(&target.path) {
            self.until_in(&collection, target, there).await?;
        }
        Ok(())
    }

    /// All of a type that the lists show whose lag is waited for: those that the next plan reads.
    ///
    /// # Errors
    /// What ARM answered.
    pub(crate) async fn listed(&self, kind: &str) -> Result<Vec<Json>, Error> {
        let mut all: Vec<Json> = Vec::new();
        for collection in self.arm.looked.lists_with(&format!("{}/providers/{kind}/x", self.group())) {
            let shown = self.arm.list(self.context, &Target::of(collection)).await?;
            let is_new = |one: &Json| {
                let id = text(one, "id").unwrap_or_default();
                all.iter().all(|known| !same_id(text(known, "id").unwrap_or_default(), id))
            };
            let new: Vec<Json> = shown.into_iter().filter(is_new).collect();
            all.extend(new);
        }
        let of_group =
            |one: &Json| text(one, "id").is_some_and(|id| crate::scope::of_id(id) == self.step.action.scope);
        all.retain(of_group);
        Ok(all)
    }

    async fn until_in(&self, collection: &str, target: &Target, there: bool) -> Result<(), Error> {
        let collection = Target::with_version(collection, &target.version);
        let what = if there { "in the list" } else { "out of the list" };
        let until = Until { operation: "GET", subject: &target.path, what, limit: LAG };
        let collection = &collection;
        let ask = || async move {
            let listed = self.arm.list(self.context, collection).await?;
            let found =
                listed.iter().any(|item| text(item, "id").is_some_and(|id| same_id(id, &target.path)));
            Ok(if found == there { Poll::Ready(()) } else { Poll::Pending("the list lags".to_owned()) })
        };
        self.context.until(until, ask).await
    }
}
