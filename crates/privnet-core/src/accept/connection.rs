//! A connection as a cloud shows it to the producer: who it is, how it stands, and what a decision on it does to others.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Who somebody is to a cloud, in one canonical spelling: `account:834469178297`, `subscription:…`, `project:…`, `network:…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Identity(String);

impl Identity {
    /// An identity of a sort (`account`) and the cloud's id, which is compared without case.
    #[must_use]
    pub fn new(sort: &str, id: &str) -> Self {
        Self(format!("{sort}:{}", id.to_lowercase()))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The state of a connection, the same words for all clouds. The cloud's own word stands beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionState {
    /// It waits for a decision.
    Pending,
    /// It is let in.
    Accepted,
    /// It is let in, but does not work without somebody's help.
    NeedsAttention,
    /// It is being set up, torn down, or in a state that this release does not know: taken to be live.
    Changing,
    /// It was turned away, and did not come back.
    Rejected,
    /// It is gone for good: the consumer must make a new one.
    Closed,
}

impl ConnectionState {
    /// Whether traffic may flow, as far as can be known.
    #[must_use]
    pub fn may_be_live(self) -> bool {
        matches!(self, Self::Accepted | Self::NeedsAttention | Self::Changing)
    }
}

/// A consumer's connection to a service, as the cloud shows it to the producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// What identifies the endpoint, in the cloud's spelling: AWS vpce id, Azure endpoint resource id, GCP `PSC_CONNECTION_ID`.
    pub id: String,
    /// The name by which the cloud's calls address it, where that differs from `id`.
    pub handle: String,
    /// Everything the cloud says of who it is (GCP: project number and project id).
    pub identities: BTreeSet<Identity>,
    /// Its state.
    pub state: ConnectionState,
    /// The cloud's word for it.
    pub cloud_state: String,
    /// Since when, if the cloud says.
    pub since: Option<Timestamp>,
    /// What a person should know of this state (NAT nearly exhausted, consumer must recreate).
    pub note: Option<String>,
    /// The live connections that turning this one away cuts as well, by id: where the cloud's lists name whole consumers, all of one
    /// consumer's go together.
    pub cut_along: Vec<String>,
    /// Whom letting this one in lets in as well.
    pub company: Company,
    /// What can still be decided on it where it does not wait.
    pub again: Again,
    /// What a decision on it does besides.
    pub besides: Besides,
    /// The other services of the file that it may be meant for instead, since the cloud does not tell, and which would not let it in.
    pub may_be_for: Vec<String>,
    /// The id by which the cloud's own tools show the connection itself, where it has one besides.
    pub resource: Option<String>,
}

/// The other connections of a service that the cloud would let in together with one, where what it is told to let in stands for all of them:
/// each of them is decided on by the same rule, and where one is not to be let in, none is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Company {
    /// Those, by id.
    pub others: BTreeSet<String>,
    /// Why that is so, and how to let in the one alone, in the words of its cloud.
    pub instead: String,
}

/// What a decision on a connection does to others, in words: where a cloud's lists name whole consumers, or have room for one sort of
/// entries, it is about more than that connection. It is said before the decision is carried out, and is in the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Besides {
    /// When it is let in.
    pub accepting: Aside,
    /// When it is turned away.
    pub rejecting: Aside,
}

/// What one decision does to others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aside {
    /// In words.
    pub said: Vec<String>,
    /// The same as the provider compares it: each change of an entry that is not the connection's own. When the decision is carried out,
    /// nothing else may change with it. Absent where a cloud's decisions are about one connection each.
    pub entries: Option<BTreeSet<String>>,
    /// Who waits as well, and is turned away with it, by id.
    pub turned_away: BTreeSet<String>,
    /// Who stays connected, and loses what let it in, by id: it would not come in again, so that this takes the word as a cut does.
    pub bereft: BTreeSet<String>,
    /// What it takes of a list that has room for few.
    pub takes: Option<Takes>,
    /// Why it cannot be carried out as things are, and what to do about it: it is refused before anybody is asked.
    pub refused: Option<String>,
}

/// New entries of a list that has room for few: decisions that are made together share that room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Takes {
    /// The list.
    pub list: String,
    /// The entries. Two decisions may take the same one.
    pub entries: BTreeSet<String>,
    /// For how many the list has room, before any of these decisions.
    pub room: usize,
    /// Why a decision for which no room is left cannot be carried out, and what to do about it.
    pub full: String,
}

/// What a command that names a connection may do about one that is decided on already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Again {
    /// Nothing.
    #[default]
    Nothing,
    /// Let it in after all, where it was turned away: not every cloud can.
    LetIn,
    /// That, and bring the decision to its end: one that was cut short left something to be put back.
    Finish,
}

impl Connection {
    /// Whether `id` names this connection: without case, as Azure's ids are.
    #[must_use]
    pub fn is(&self, id: &str) -> bool {
        self.id.eq_ignore_ascii_case(id) || self.handle.eq_ignore_ascii_case(id)
    }

    /// Whether a person who names one connection means this one: by what identifies it, or by what the cloud's own tools call it.
    #[must_use]
    pub fn is_named(&self, id: &str) -> bool {
        self.is(id) || self.resource.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(id))
    }

    /// Who it is, for people.
    #[must_use]
    pub fn who(&self) -> String {
        let who: Vec<_> = self.identities.iter().map(Identity::to_string).collect();
        if who.is_empty() { "an unknown consumer".to_owned() } else { who.join(", ") }
    }
}
