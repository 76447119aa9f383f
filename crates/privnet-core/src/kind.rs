//! Kinds as data: what each field of a resource means for a plan.
//!
//! A provider declares its kinds in tables of these types; [`plan()`](crate::plan::plan()) reads them and knows nothing else
//! about the clouds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::provider::Handled;
use crate::resource::Scope;
use crate::value::Value;

/// Who decides a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// privnet: the file's value, or the default that `version: 1` froze.
    Managed,
    /// The file, if it says so; else nobody (taking it out of the file leaves the cloud's value).
    ManagedIfSet,
    /// The cloud: it is read, never compared.
    Observed,
}

/// What a difference in a field leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The field is changed in place.
    Update,
    /// As `Update`, but refused while a consumer is connected, unless the user asks to sever: its clients would have to change too.
    UpdateUnlessConnected,
    /// The resource is replaced; the hand-over is kept.
    Replace,
    /// As `Replace`, but refused while a consumer is connected, unless the user asks to sever. Members that are added to a list cut
    /// nobody and are not refused.
    ReplaceUnlessConnected,
    /// The hand-over would change: refused without `--sever-connections`, then replaced.
    Refuse,
    /// Members may be added in place; taking one away is impossible on this cloud and always refused.
    Grow,
    /// Members may be added in place, and what is off be turned on; taking one away or turning it off is refused while a consumer is
    /// connected.
    GrowUnlessConnected,
    /// Bound by first use (a target group to its load balancer): not a difference while the cloud shows nothing; another
    /// value than the desired one leads to a replacement. What it will be bound to need not be there when it is made.
    Bind,
}

/// How two values of a field are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As they are.
    Plain,
    /// As lists whose order and repetition mean nothing.
    Set,
    /// As text, upper and lower case alike.
    IgnoreCase,
    /// As lists whose order, repetition and case mean nothing.
    SetIgnoreCase,
    /// As they are; two that are ranges of addresses may overlap.
    Range,
}

/// What a field says of traffic. It matters where a replacement that was cut short left two generations, neither of which will do: the
/// one that serves stays until its successor is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// What it names is in use.
    Goes,
    /// What it names gets nothing because of it: it is only checked, or it is where traffic comes from.
    GoesNowhere,
    /// How well this one serves, as a number: 0 where nothing new comes to it.
    Serves,
    /// When this one was made, in milliseconds since 1970: of two that serve alike the older one is in charge.
    Since,
}

/// What a field says of which service this is, whatever the service's name: no state is kept, so another name would be another service, if
/// nothing else told that it is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// Nothing: it may be alike in many services, or is made of the name.
    None,
    /// What is served: services that differ in it are two.
    Target,
    /// Where, on which ports or for whom: services that differ in it are two, and those that do not may be two all the same.
    Bounds,
}

/// A field of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, as plans show it.
    pub name: &'static str,
    /// Who decides it.
    pub class: Class,
    /// What a difference leads to.
    pub change: Change,
    /// How it is compared.
    pub shape: Shape,
    /// Whether it says which targets a load balancer sends to, and so follows names whose addresses move:
    /// [`plan::only_targets`](crate::plan::only_targets()) keeps it.
    pub follows_names: bool,
    /// Whether what is replaced for this alone has the same targets as its successor: until that is in its place it follows names as well.
    pub leaves_targets: bool,
    /// Whether the cloud refuses to delete the resource while this is true: so does a plan, before it takes anything else away.
    pub protects: bool,
    /// How many resources of the kind may have the same value here; one more is refused by the cloud. Where that is too little for what
    /// is made beside what goes, some goes before the rest is made.
    pub most: Option<usize>,
    /// What it says of traffic.
    pub traffic: Traffic,
    /// What it says of which service this is. It is read of services that the file does not list, too.
    pub likeness: Likeness,
}

impl Field {
    const fn plain(name: &'static str, class: Class) -> Self {
        Self {
            name,
            class,
            change: Change::Update,
            shape: Shape::Plain,
            follows_names: false,
            leaves_targets: false,
            protects: false,
            most: None,
            traffic: Traffic::Goes,
            likeness: Likeness::None,
        }
    }

    /// A managed field that is changed in place.
    #[must_use]
    pub const fn managed(name: &'static str) -> Self {
        Self::plain(name, Class::Managed)
    }

    /// A field that is managed only where the file sets it, and changed in place.
    #[must_use]
    pub const fn if_set(name: &'static str) -> Self {
        Self::plain(name, Class::ManagedIfSet)
    }

    /// A field that is only read.
    #[must_use]
    pub const fn observed(name: &'static str) -> Self {
        Self::plain(name, Class::Observed)
    }

    /// A field that is only read, and says something of traffic.
    #[must_use]
    pub const fn telling(name: &'static str, traffic: Traffic) -> Self {
        Self { traffic, ..Self::observed(name) }
    }

    /// The same, and what it names gets no traffic because of it.
    #[must_use]
    pub const fn without_traffic(self) -> Self {
        Self { traffic: Traffic::GoesNowhere, ..self }
    }

    /// The same with another consequence of a difference.
    #[must_use]
    pub const fn on_change(self, change: Change) -> Self {
        Self { change, ..self }
    }

    /// The same with another comparison.
    #[must_use]
    pub const fn shaped(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    /// The same, and it says which targets a load balancer sends to.
    #[must_use]
    pub const fn following_names(self) -> Self {
        Self { follows_names: true, ..self }
    }

    /// The same, and it says nothing of the targets: what gives way because of it has those of its successor.
    #[must_use]
    pub const fn leaving_targets(self) -> Self {
        Self { leaves_targets: true, ..self }
    }

    /// The same, and it says what is served: that tells a service from others, whatever its name.
    #[must_use]
    pub const fn naming_targets(self) -> Self {
        Self { likeness: Likeness::Target, ..self }
    }

    /// The same, and it says where, on which ports or for whom something is served: services that differ in it are two.
    #[must_use]
    pub const fn bounding_the_service(self) -> Self {
        Self { likeness: Likeness::Bounds, ..self }
    }

    /// The same, and no more than so many resources may share a value.
    #[must_use]
    pub const fn shared_by_at_most(self, most: usize) -> Self {
        Self { most: Some(most), ..self }
    }

    /// The same, and while it is true the cloud does not delete the resource.
    #[must_use]
    pub const fn protecting(self) -> Self {
        Self { protects: true, ..self }
    }
}

/// The order in which a replacement happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replacement {
    /// The new one is made under the other name, everything is pointed to it, then the old one is deleted.
    CreateFirst,
    /// The old one is deleted, then the new one made: for things that have one place only.
    DeleteFirst,
}

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its name in addresses, such as `target-group`.
    pub name: &'static str,
    /// How a person calls it, such as `target group`.
    pub title: &'static str,
    /// Its fields. A field that is not here does not exist for the plan: a test round-trips each kind through this table.
    pub fields: &'static [Field],
    /// How it is replaced.
    pub replacement: Replacement,
    /// The order of teardown within a service: lower goes first.
    pub teardown_rank: u8,
    /// Whether deleting one, with nothing in its place, cuts established sessions of consumers.
    pub severs: bool,
    /// The fields whose values name what must not be written in parallel (a VNet, a load balancer).
    pub serialized_by: &'static [&'static str],
    /// The outputs that tell something of it and do not name it (a version, an address): who has the same text does not refer to it.
    pub telling: &'static [&'static str],
}

impl Kind {
    /// The field of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Whether it tells of each of its own how well traffic is served there.
    #[must_use]
    pub fn tells_how_it_serves(&self) -> bool {
        self.fields.iter().any(|field| field.traffic == Traffic::Serves)
    }
}

/// All kinds of the providers that take part, by cloud and name: two clouds may call different things alike.
#[derive(Clone, Debug, Default)]
pub struct KindTable {
    clouds: BTreeMap<&'static str, BTreeMap<&'static str, Kind>>,
}

impl KindTable {
    /// A table of all these kinds. A test of each provider keeps its names apart.
    pub fn new(handled: impl IntoIterator<Item = Handled>) -> Self {
        let kinds = |of: Handled| of.kinds.iter().map(|kind| (kind.name, *kind)).collect();
        Self { clouds: handled.into_iter().map(|of| (of.cloud, kinds(of))).collect() }
    }

    /// The kind of this name in the cloud that the scope is of.
    #[must_use]
    pub fn get(&self, scope: &Scope, name: &str) -> Option<&Kind> {
        let cloud = scope.0.split('/').next().unwrap_or_default();
        self.clouds.get(cloud)?.get(name)
    }

    /// Each kind, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Kind> {
        self.clouds.values().flat_map(BTreeMap::values)
    }
}

/// The value in the one form that equal values share under this shape.
#[must_use]
pub fn canonical(value: &Value, shape: Shape) -> Value {
    match (shape, value) {
        (Shape::IgnoreCase | Shape::SetIgnoreCase, Value::Text(text)) => Value::text(text.to_lowercase()),
        (Shape::Set | Shape::SetIgnoreCase, Value::List(members)) => {
            let inner = if shape == Shape::SetIgnoreCase { Shape::IgnoreCase } else { Shape::Plain };
            let mut members: Vec<_> = members.iter().map(|member| canonical(member, inner)).collect();
            members.sort();
            members.dedup();
            Value::list(members)
        }
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_clouds_may_call_different_things_alike() {
        const fn kind(rank: u8) -> Kind {
            Kind {
                name: "load-balancer",
                title: "load balancer",
                fields: &[],
                replacement: Replacement::CreateFirst,
                teardown_rank: rank,
                severs: true,
                serialized_by: &[],
                telling: &[],
            }
        }
        const ONE: &[Kind] = &[kind(1)];
        const TWO: &[Kind] = &[kind(2)];
        let table =
            KindTable::new([Handled { cloud: "one", kinds: ONE }, Handled { cloud: "two", kinds: TWO }]);
        let rank =
            |scope: &str| table.get(&Scope(scope.to_owned()), "load-balancer").map(|kind| kind.teardown_rank);
        assert_eq!((rank("one/1"), rank("two/1"), rank("three/1")), (Some(1), Some(2), None));
    }

    #[test]
    fn order_of_a_set_is_no_difference() {
        let one = Value::texts(["b", "a", "a"]);
        let two = Value::texts(["a", "b"]);
        assert_eq!(canonical(&one, Shape::Set), canonical(&two, Shape::Set));
        assert_ne!(canonical(&one, Shape::Plain), canonical(&two, Shape::Plain));
    }
}
