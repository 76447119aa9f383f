//! What was found in the clouds, by the service that it belongs to.

use std::ops::Deref;

use crate::resource::{Address, Live};

/// Everything that was found, kept together by service, each service's in the order in which it was found. A file may have thousands of
/// services, and each of them asks for its own again and again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lives(Vec<Live>);

impl Lives {
    /// What was found of one service.
    #[must_use]
    pub fn of(&self, service: &str) -> &[Live] {
        let from = self.0.partition_point(|live| live.address.service.as_str() < service);
        let (_, rest) = self.0.split_at(from);
        let (own, _) = rest.split_at(rest.partition_point(|live| live.address.service == service));
        own
    }

    /// What of this deployment was found at an address: two where a replacement was cut short.
    pub fn ours_at<'a>(&'a self, address: &Address) -> impl Iterator<Item = &'a Live> + Clone + use<'a> {
        let address = address.clone();
        self.of(&address.service).iter().filter(move |live| live.address == address && live.is_ours())
    }

    /// Adds what else was found.
    pub fn push(&mut self, live: Live) {
        let at = self.0.partition_point(|one| one.address.service <= live.address.service);
        self.0.insert(at, live);
    }

    /// Keeps what is to be kept.
    pub fn retain(&mut self, keep: impl FnMut(&Live) -> bool) {
        self.0.retain(keep);
    }

    /// All of it, to be changed. The service of an address is not: what was found of it would not be found again.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Live> {
        self.0.iter_mut()
    }
}

impl Deref for Lives {
    type Target = [Live];

    fn deref(&self) -> &[Live] {
        &self.0
    }
}

impl From<Vec<Live>> for Lives {
    fn from(mut all: Vec<Live>) -> Self {
        // It keeps the order within a service.
        all.sort_by(|one, other| one.address.service.cmp(&other.address.service));
        Self(all)
    }
}

impl Extend<Live> for Lives {
    fn extend<T: IntoIterator<Item = Live>>(&mut self, more: T) {
        let mut all = std::mem::take(&mut self.0);
        all.extend(more);
        *self = Self::from(all);
    }
}

impl FromIterator<Live> for Lives {
    fn from_iter<T: IntoIterator<Item = Live>>(all: T) -> Self {
        Self::from(all.into_iter().collect::<Vec<_>>())
    }
}

impl IntoIterator for Lives {
    type Item = Live;
    type IntoIter = std::vec::IntoIter<Live>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Lives {
    type Item = &'a Live;
    type IntoIter = std::slice::Iter<'a, Live>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::resource::{Health, Ownership, Scope};

    fn live(service: &str, id: usize) -> Live {
        Live {
            address: Address::new(service, "listener", "main"),
            generation: None,
            scope: Scope("aws/1/us-east-1".to_owned()),
            id: id.to_string(),
            ownership: if id.is_multiple_of(3) {
                Ownership::Unproven { why: String::new(), mend: None }
            } else {
                Ownership::Ours
            },
            fields: BTreeMap::new(),
            outputs: BTreeMap::new(),
            health: Health::Ready,
        }
    }

    proptest! {
        /// However it came in, what is found of a service is what a look at everything finds, in the same order.
        #[test]
        fn what_is_found_of_a_service_is_all_of_it_in_its_order(
            found in prop::collection::vec((prop::sample::select(vec!["a", "a-b", "ab", "b", "z"]), 0..3_usize), 0..40),
        ) {
            let (mut all, mut kept) = (Vec::new(), Lives::default());
            for (id, (service, way)) in found.into_iter().enumerate() {
                let one = live(service, id);
                all.push(one.clone());
                match way {
                    0 => kept.push(one),
                    1 => kept.extend([one]),
                    _ => kept = kept.into_iter().chain([one]).collect(),
                }
            }
            prop_assert_eq!(kept.len(), all.len());
            for service in ["", "a", "a-b", "ab", "b", "c", "z"] {
                let of: Vec<&Live> = all.iter().filter(|live| live.address.service == service).collect();
                prop_assert_eq!(kept.of(service).iter().collect::<Vec<_>>(), of.clone());
                let ours: Vec<&Live> = of.into_iter().filter(|live| live.is_ours()).collect();
                let address = Address::new(service, "listener", "main");
                prop_assert_eq!(kept.ours_at(&address).collect::<Vec<_>>(), ours);
            }
        }
    }
}
