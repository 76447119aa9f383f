//! What a tombstone names of the user's own that a service which stays names as well, as after a change of name: whoever is connected there is a
//! matter of the service that stays, and of it alone.

use std::collections::BTreeMap;

use crate::accept::Connection;
use crate::resource::Live;
use crate::world::{Desired, ServiceIntent, World};

/// The connections of a tombstone that a service which stays has as well, with that service's name.
#[derive(Debug, Default)]
pub(crate) struct NamedTwice<'a> {
    staying: BTreeMap<(&'a str, &'a str, Option<&'a str>), &'a str>,
}

impl<'a> NamedTwice<'a> {
    /// Nothing of a service that stays, nor of what privnet made for the one that goes.
    pub(crate) fn of(desired: &'a Desired, world: &'a World, gone: &ServiceIntent) -> Self {
        if !gone.remove {
            return Self::default();
        }
        let seen = world.services.get(&gone.name);
        let named = seen.and_then(|seen| seen.exposed.as_ref()).and_then(|exposed| world.at(exposed));
        let is_theirs = named.is_some_and(|live| !live.is_ours());
        if !is_theirs || seen.is_none_or(|seen| seen.connections.known().is_empty()) {
            return Self::default();
        }
        let same = |live: &Live| named.is_some_and(|named| named.id.eq_ignore_ascii_case(&live.id));
        let others = desired.services.values().filter(|other| !other.remove).filter_map(|other| {
            let seen = world.services.get(&other.name)?;
            world.at(seen.exposed.as_ref()?).filter(|live| same(live))?;
            Some(seen.connections.known().iter().map(|one| (key(one), other.name.as_str())))
        });
        Self { staying: others.flatten().collect() }
    }

    /// The service that stays whose connection this is.
    pub(crate) fn service_of(&self, connection: &Connection) -> Option<&'a str> {
        self.staying.get(&key(connection)).copied()
    }
}

/// What tells a connection from others of the same service: Azure shows what waits for one part of a resource beside what does for another.
fn key(connection: &Connection) -> (&str, &str, Option<&str>) {
    (&connection.id, &connection.handle, connection.resource.as_deref())
}
