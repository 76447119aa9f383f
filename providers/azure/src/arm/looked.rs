//! What the last look at the cloud left behind for the writes after it. Nothing is decided by it: a write that rests on what was seen
//! carries the ETag that this had, and a wait asks the list that the next plan reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::{Json, text};

/// What was seen, by paths in lower case.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    resources: Mutex<BTreeMap<String, Json>>,
    collections: Mutex<BTreeSet<String>>,
}

impl Looked {
    /// Takes note of resources as they were read.
    pub(crate) fn saw<'a>(&self, resources: impl IntoIterator<Item = &'a Json>) {
        let mut known = self.resources.lock().unwrap_or_else(PoisonError::into_inner);
        let with_id = |resource: &'a Json| Some((text(resource, "id")?.to_lowercase(), resource.clone()));
        known.extend(resources.into_iter().filter_map(with_id));
    }

    /// A resource as it was read, once: what is written changes it.
    pub(super) fn take(&self, path: &str) -> Option<Json> {
        self.resources.lock().unwrap_or_else(PoisonError::into_inner).remove(&path.to_lowercase())
    }

    /// Takes note that a collection was read.
    pub(super) fn listed(&self, path: &str) {
        self.collections.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_lowercase());
    }

    /// The lists that were read and have a resource of this path in them, of its subscription and of its group; where none was read, that
    /// of its group.
    pub(crate) fn lists_with(&self, path: &str) -> Vec<String> {
        let Some((of_group, _)) = path.rsplit_once('/') else { return Vec::new() };
        let parts: Vec<&str> = of_group.splitn(6, '/').collect();
        let of_subscription = match parts[..] {
            ["", subscriptions, id, _, _, kind] => format!("/{subscriptions}/{id}/{kind}"),
            _ => String::new(),
        };
        let known = self.collections.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lists = vec![of_subscription, of_group.to_owned()];
        lists.retain(|list| known.contains(&list.to_lowercase()));
        if lists.is_empty() { vec![of_group.to_owned()] } else { lists }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_waited_for_where_it_was_looked_for() {
        let looked = Looked::default();
        let path = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Network/loadBalancers/x";
        let of_group = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Network/loadBalancers";
        let of_subscription = "/subscriptions/S/providers/Microsoft.Network/loadBalancers";
        assert_eq!(looked.lists_with(path), [of_group]);
        looked.listed("/subscriptions/s/providers/microsoft.network/privatelinkservices");
        assert_eq!(looked.lists_with(path), [of_group]);
        looked.listed(&of_subscription.to_lowercase());
        assert_eq!(looked.lists_with(path), [of_subscription]);
        looked.listed(of_group);
        assert_eq!(looked.lists_with(path), [of_subscription, of_group]);
    }
}
