//! What the names answer.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::frame::{SandboxError, Store};

/// How a name's answer is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Behaviour {
    /// All addresses, always.
    #[default]
    All,
    /// One address at a time, the next one at each query: reader endpoints.
    Rotate,
    /// One address at a time, any of them: reader endpoints that keep no turn. The same seed gives the same answers.
    Random(u64),
    /// `SERVFAIL`: the resolver is ill.
    Fail,
}

/// One name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// IPv4 and IPv6 addresses; none is an empty answer (`NOERROR` without records).
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// TXT values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub text: Vec<String>,
    /// How the answer is made.
    #[serde(default)]
    pub behaviour: Behaviour,
    /// How many answers of one address were given.
    #[serde(default)]
    pub turn: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Zone {
    names: BTreeMap<String, Name>,
}

impl Default for Zone {
    /// The database name of the default AWS world: an address in its first subnet.
    fn default() -> Self {
        let orders = Name { addresses: vec![IpAddr::from([10, 0, 0, 25])], ..Name::default() };
        Self {
            names: BTreeMap::from([("orders.cluster-abc.us-east-1.rds.amazonaws.com".to_owned(), orders)]),
        }
    }
}

/// The names of a sandbox folder. Names are compared without case and without the dot at the end.
#[derive(Debug)]
pub struct Names {
    store: Store<Zone>,
}

impl Names {
    /// Opens the folder's names.
    pub fn open(dir: &Path) -> Result<Self, SandboxError> {
        Ok(Self { store: Store::open(dir, "dns")? })
    }

    /// Sets the addresses of a name; an empty list is an empty answer. Its other properties stay, a failure ends.
    pub fn set(&self, name: &str, addresses: &[IpAddr]) -> Result<(), SandboxError> {
        self.change(name, |entry| {
            entry.addresses = addresses.to_vec();
            if entry.behaviour == Behaviour::Fail {
                entry.behaviour = Behaviour::All;
            }
        })
    }

    /// Sets how a name's answer is made; a name that is not there is made without addresses.
    pub fn set_behaviour(&self, name: &str, behaviour: Behaviour) -> Result<(), SandboxError> {
        self.change(name, |entry| entry.behaviour = behaviour)
    }

    /// Sets a name's TXT values, as the verification of a private DNS name looks for.
    pub fn set_text(&self, name: &str, text: &[String]) -> Result<(), SandboxError> {
        self.change(name, |entry| entry.text = text.to_vec())
    }

    /// Removes a name: `NXDOMAIN` from now on.
    pub fn remove(&self, name: &str) -> Result<(), SandboxError> {
        self.store.transact(|zone| {
            zone.names.remove(&canonical(name));
        })
    }

    /// What a name holds; `None` for an unknown one.
    pub fn get(&self, name: &str) -> Result<Option<Name>, SandboxError> {
        self.store.transact(|zone| zone.names.get(&canonical(name)).cloned())
    }

    /// The same for one query: a name that gives one address at a time gives its next one.
    pub(crate) fn query(&self, name: &str) -> Result<Option<Name>, SandboxError> {
        let name = canonical(name);
        self.store.transact(|zone| {
            let mut found = zone.names.get(&name)?.clone();
            let number = match found.behaviour {
                Behaviour::Rotate => Some(found.turn),
                Behaviour::Random(seed) => Some(mixed(seed.wrapping_add(found.turn))),
                Behaviour::All | Behaviour::Fail => None,
            };
            if let Some(number) = number.filter(|_| found.addresses.len() > 1) {
                let index = (number % found.addresses.len() as u64) as usize;
                found.addresses = vec![found.addresses[index]];
                zone.names.entry(name).and_modify(|entry| entry.turn += 1);
            }
            Some(found)
        })
    }

    /// All names, for people.
    pub fn describe(&self) -> Result<Value, SandboxError> {
        self.store.transact(|zone| {
            let line = |name: &Name| match name.behaviour {
                Behaviour::All => serde_json::json!(name.addresses),
                Behaviour::Rotate => serde_json::json!({"rotate": name.addresses}),
                Behaviour::Random(_) => serde_json::json!({"random": name.addresses}),
                Behaviour::Fail => Value::from("fail"),
            };
            zone.names.iter().map(|(key, name)| (key.clone(), line(name))).collect()
        })
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Name)) -> Result<(), SandboxError> {
        self.store.transact(|zone| change(zone.names.entry(canonical(name)).or_default()))
    }
}

/// The output function of SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>): numbers in a row become numbers all over the place.
fn mixed(number: u64) -> u64 {
    let z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn canonical(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotating_name_gives_one_address_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let names = Names::open(dir.path()).unwrap();
        let (a, b): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        names.set("Reader.Example.", &[a, b]).unwrap();
        names.set_behaviour("reader.example", Behaviour::Rotate).unwrap();
        let next = || names.query("reader.example").unwrap().unwrap().addresses;
        assert_eq!([next(), next(), next()], [vec![a], vec![b], vec![a]]);
    }

    #[test]
    fn a_random_name_gives_any_address_and_the_same_ones_for_the_same_seed() {
        let dir = tempfile::tempdir().unwrap();
        let names = Names::open(dir.path()).unwrap();
        let all: Vec<IpAddr> = ["10.0.0.1", "10.0.0.2"].map(|ip| ip.parse().unwrap()).to_vec();
        let answers = |name: &str| {
            names.set(name, &all).unwrap();
            names.set_behaviour(name, Behaviour::Random(7)).unwrap();
            (0..16).map(|_| names.query(name).unwrap().unwrap().addresses[0]).collect::<Vec<_>>()
        };
        let first = answers("one.example");
        assert!(all.iter().all(|address| first.contains(address)));
        assert!(first.windows(2).any(|pair| pair[0] == pair[1]), "it keeps no turn");
        assert_eq!(first, answers("another.example"));
    }
}
