//! Tags of everything, by id or ARN. Filters see a tag only after a lag; reading it at its object is immediate.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::frame::Table;

/// A tag's value, and what filters still see.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Tag {
    /// `None` once it was removed.
    value: Option<String>,
    since: Timestamp,
    /// What it was before `since`: filters go on seeing it for the length of the lag.
    before: Option<String>,
}

/// The last change of a tag.
pub(crate) struct Turn<'a> {
    pub(crate) value: Option<&'a str>,
    pub(crate) since: Timestamp,
    pub(crate) before: Option<&'a str>,
}

/// All tags.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct TagStore {
    by_resource: Table<BTreeMap<String, Tag>>,
}

impl TagStore {
    /// Sets a tag.
    pub(crate) fn set(&mut self, resource: &str, key: &str, value: &str, now: Timestamp) {
        let before = self.by_resource.get(resource).and_then(|tags| tags.get(key)?.value.clone());
        if before.as_deref() != Some(value) {
            let tags = self.by_resource.entry(resource);
            tags.insert(key.to_owned(), Tag { value: Some(value.to_owned()), since: now, before });
        }
    }

    /// Removes a tag; with a value, only when it has that value.
    pub(crate) fn remove(&mut self, resource: &str, key: &str, value: Option<&str>, now: Timestamp) {
        let Some(tag) = self.by_resource.get_mut(resource).and_then(|tags| tags.get_mut(key)) else { return };
        if tag.value.is_some() && value.is_none_or(|value| tag.value.as_deref() == Some(value)) {
            *tag = Tag { value: None, since: now, before: tag.value.take() };
        }
    }

    /// Forgets a resource that is gone.
    pub(crate) fn forget(&mut self, resource: &str) {
        self.by_resource.remove(resource);
    }

    /// The tags of a resource as they are.
    pub(crate) fn of(&self, resource: &str) -> BTreeMap<&str, &str> {
        self.by_resource
            .get(resource)
            .into_iter()
            .flatten()
            .filter_map(|(key, tag)| Some((key.as_str(), tag.value.as_deref()?)))
            .collect()
    }

    /// The tags of a resource as filters see them at `now`, which lag behind.
    pub(crate) fn seen(&self, resource: &str, now: Timestamp, lag: SignedDuration) -> BTreeMap<&str, &str> {
        self.by_resource
            .get(resource)
            .into_iter()
            .flatten()
            .filter_map(|(key, tag)| {
                let settled = now.duration_since(tag.since) >= lag;
                let value = if settled { &tag.value } else { &tag.before };
                Some((key.as_str(), value.as_deref()?))
            })
            .collect()
    }

    /// The state that the tag `sandbox-state` gives to a load balancer or a connection: for states that do not come about here
    /// by themselves.
    pub(crate) fn told_state(&self, resource: &str) -> Option<&str> {
        self.of(resource).get("sandbox-state").copied()
    }

    /// What became of a tag last, and when; `None` when there never was one.
    pub(crate) fn turn(&self, resource: &str, key: &str) -> Option<Turn<'_>> {
        let tag = self.by_resource.get(resource)?.get(key)?;
        Some(Turn { value: tag.value.as_deref(), since: tag.since, before: tag.before.as_deref() })
    }

    /// Every resource that has tags.
    pub(crate) fn resources(&self) -> impl Iterator<Item = &str> {
        self.by_resource.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_lag_behind_and_reads_do_not() {
        let mut store = TagStore::default();
        let (start, lag) = (Timestamp::UNIX_EPOCH, SignedDuration::from_secs(1));
        let later = start + SignedDuration::from_secs(2);
        store.set("r", "k", "old", start);
        assert_eq!(store.of("r").get("k"), Some(&"old"));
        assert!(store.seen("r", start, lag).is_empty());
        assert_eq!(store.seen("r", later, lag).get("k"), Some(&"old"));
        store.set("r", "k", "new", later);
        assert_eq!(store.seen("r", later, lag).get("k"), Some(&"old"));
        store.remove("r", "k", Some("other"), later);
        assert_eq!(store.of("r").get("k"), Some(&"new"), "another value is not removed");
        store.remove("r", "k", None, later);
        assert!(store.of("r").is_empty());
    }
}
