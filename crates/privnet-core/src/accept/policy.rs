//! Who may connect to a service: its consumers, how many connections each may have, and which endpoints.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Connection, Identity};

/// The version of a preset that a consumer's identities came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresetVersion {
    /// The preset's name.
    pub name: String,
    /// Its date.
    pub version: String,
}

/// One consumer that a service allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerPolicy {
    /// Its name in the file.
    pub name: String,
    /// Who it is on this cloud. One match is enough.
    pub identities: BTreeSet<Identity>,
    /// How many connections it may have, those that are there included.
    pub max_connections: u32,
    /// The only endpoints that may connect; empty: any of this consumer.
    pub only: BTreeSet<String>,
    /// Where the identities came from.
    pub preset: Option<PresetVersion>,
}

/// Who may connect to one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePolicy {
    /// The service.
    pub service: String,
    /// Its consumers, each once.
    pub consumers: Vec<ConsumerPolicy>,
    /// Whether the service is the user's own or hosted by the cloud: other people's requests arrive there too.
    pub shared: bool,
}

impl ServicePolicy {
    /// The consumer that this connection belongs to: one that lists it in `only` before one that takes any, then by name.
    #[must_use]
    pub fn consumer_of(&self, connection: &Connection) -> Option<&ConsumerPolicy> {
        let matching = self.consumers.iter().filter(|consumer| is_of(consumer, connection));
        matching.min_by_key(|c| (!lists(c, connection), !c.only.is_empty(), c.name.clone()))
    }

    /// Whether somebody may let this connection in at all, were there room: it is a consumer's, and in `only` where that is given.
    #[must_use]
    pub fn admits(&self, connection: &Connection) -> bool {
        let consumer = self.consumer_of(connection);
        consumer.is_some_and(|consumer| takes(consumer, connection))
    }

    /// Whether each consumer has a live connection of those that it may have: somebody else's behind the same account is not
    /// the one that `only` waits for.
    #[must_use]
    pub fn is_served(&self, connections: &[Connection]) -> bool {
        let live = || connections.iter().filter(|connection| connection.state.may_be_live());
        self.consumers.iter().all(|consumer| {
            live().any(|connection| {
                self.consumer_of(connection).is_some_and(|own| own.name == consumer.name)
                    && takes(consumer, connection)
            })
        })
    }
}

/// Whether the cloud says of a connection that it is one of this consumer's identities.
pub(super) fn is_of(consumer: &ConsumerPolicy, connection: &Connection) -> bool {
    !consumer.identities.is_disjoint(&connection.identities)
}

/// Whether a connection of a consumer's identity may be its own: `only` does not leave it out.
pub(super) fn takes(consumer: &ConsumerPolicy, connection: &Connection) -> bool {
    consumer.only.is_empty() || lists(consumer, connection)
}

pub(super) fn lists(consumer: &ConsumerPolicy, connection: &Connection) -> bool {
    consumer.only.iter().any(|id| connection.is(id))
}
