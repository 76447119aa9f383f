//! Resources: what is desired, and what was observed.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::value::Value;

/// Where a resource stands in the file: the service, the kind, and which of that kind within the service.
///
/// It never changes while the file keeps the service's name: cloud names and ids are derived or found from it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The service's name in the file.
    pub service: String,
    /// The kind's name, such as `target-group`.
    pub kind: KindName,
    /// Which one, such as the port `5432`; `main` where there is just one.
    pub name: String,
}

impl Address {
    /// An address of its three parts.
    pub fn new(service: impl Into<String>, kind: impl Into<KindName>, name: impl Into<String>) -> Self {
        Self { service: service.into(), kind: kind.into(), name: name.into() }
    }
}

/// The name of a kind of resource, such as `target-group`: the one in a provider's table, or text where it was read back from a tag, a
/// marker or a saved plan. A plan of many services holds it for each resource several times, so the table's own is not copied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KindName(Cow<'static, str>);

impl KindName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&'static str> for KindName {
    fn from(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }
}

impl From<String> for KindName {
    fn from(name: String) -> Self {
        Self(Cow::Owned(name))
    }
}

impl From<&String> for KindName {
    fn from(name: &String) -> Self {
        name.clone().into()
    }
}

impl Deref for KindName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for KindName {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for KindName {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<KindName> for &str {
    fn eq(&self, other: &KindName) -> bool {
        *self == other.as_str()
    }
}

impl fmt::Display for KindName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.service, self.kind, self.name)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(service), Some(kind), Some(name)) => Ok(Self::new(service, kind.to_owned(), name)),
            _ => Err(format!("`{text}` is not `service/kind/name`")),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One of the two names that a resource may have: a create-first replacement makes the other one, then deletes this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Generation {
    /// The first.
    A,
    /// The other.
    B,
}

impl Generation {
    /// The one that this is not.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// The letter as it stands in names, tags and markers.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::A => 'a',
            Self::B => 'b',
        }
    }

    /// The generation of a letter that was read from a name, tag or marker.
    #[must_use]
    pub fn from_letter(text: &str) -> Option<Self> {
        match text {
            "a" => Some(Self::A),
            "b" => Some(Self::B),
            _ => None,
        }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.letter())
    }
}

/// The place that is searched and written as one: `aws/123456789012/us-east-1`, `azure/<subscription>/<group>`, `gcp/<project>/<region>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scope(pub String);

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose a desired resource is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// privnet makes it, keeps it and deletes it.
    Owned,
    /// privnet makes it inside something of the user's (`to` says what): shown under "adds to yours", removed by `destroy`.
    AddedTo {
        /// What it is added to, in words and with its id.
        to: String,
    },
    /// The user's own, named in the file: it is observed, referred to, and never written.
    Supplied,
}

/// A resource as the file wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Where it stands.
    pub address: Address,
    /// Where it is to be.
    pub scope: Scope,
    /// Whose it is.
    pub origin: Origin,
    /// Its fields. A *managed if set* field that the file does not set is absent.
    pub fields: BTreeMap<String, Value>,
    /// What must be there first, besides what `fields` refer to.
    pub needs: BTreeSet<Address>,
}

impl Resource {
    /// Everything that must be there first: `needs`, and what the fields refer to.
    #[must_use]
    pub fn all_needs(&self) -> BTreeSet<Address> {
        let mut all = self.needs.clone();
        for value in self.fields.values() {
            value.each_output(&mut |reference| {
                all.insert(reference.address.clone());
            });
        }
        all
    }
}

/// Whether an observed resource is privnet's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Found by name or parent, and proved by tag, label or marker.
    Ours,
    /// Named in the file by the user.
    Supplied,
    /// It has our name, but not our proof: it is never touched. `why` says what was found instead.
    Unproven {
        /// What is there, in words.
        why: String,
        /// What to do about it, where that is not to give it another name, or its proof back.
        mend: Option<String>,
    },
}

impl Ownership {
    /// That something stays where all of its service goes, since nothing proves that privnet made it, and what to do about that. It may be
    /// privnet's, and have lost its proof; or somebody else's.
    #[must_use]
    pub fn why_it_stays(&self, title: &str, id: &str, address: &Address) -> Option<String> {
        match self {
            Self::Ours | Self::Supplied => None,
            Self::Unproven { why, mend: Some(mend) } => {
                Some(format!("the {title} {id} stays as it is: {why}: {mend}"))
            }
            Self::Unproven { why, mend: None } => Some(format!(
                "the {title} {id} stays as it is: it has the name of {address}, but not its proof: {why}: if privnet made it, put that back as \
                 it was, and run this again, or delete it by hand"
            )),
        }
    }
}

/// Whether an observed resource works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// As it should be.
    Ready,
    /// On its way; `state` is the cloud's word.
    Busy {
        /// The cloud's word for it.
        state: String,
    },
    /// It will not become ready by itself; `state` is the cloud's word.
    Broken {
        /// The cloud's word for it.
        state: String,
    },
    /// It is being deleted, and nothing stops that; `state` is the cloud's word. It is never kept, whatever is wanted: what is to be there
    /// is made anew when it has gone.
    Going {
        /// The cloud's word for it.
        state: String,
    },
}

impl Health {
    /// Whether it is being deleted.
    pub fn is_going(&self) -> bool {
        matches!(self, Self::Going { .. })
    }
}

/// A resource as it was observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Where it stands: found from its name, tag, marker or parent.
    pub address: Address,
    /// Which of its two names it has; `None` for kinds that have one.
    pub generation: Option<Generation>,
    /// Where it is.
    pub scope: Scope,
    /// The cloud's id, for people and for the calls that change it.
    pub id: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// Its fields in the same form as a desired resource's.
    pub fields: BTreeMap<String, Value>,
    /// What others may refer to.
    pub outputs: BTreeMap<String, Value>,
    /// Whether it works.
    pub health: Health,
}

impl Live {
    /// Whether privnet may change or delete it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.ownership == Ownership::Ours
    }
}
