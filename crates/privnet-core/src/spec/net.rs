//! Ports, durations and resolvers.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;

use serde::Serialize;

use super::text::{TextProblem, structured_text};

/// A TCP port, 1 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Port(NonZeroU16);

impl Port {
    /// The port, unless it is 0.
    pub fn new(port: u16) -> Option<Self> {
        NonZeroU16::new(port).map(Self)
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A duration in whole seconds, written `300s`, `5m` or `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seconds(pub u32);

impl Seconds {
    /// The number of seconds.
    pub fn get(self) -> u32 {
        self.0
    }

    fn parse(text: &str) -> Result<Self, TextProblem> {
        let advice = "write it as `300s`, `5m` or `1h`";
        let Some((number, factor)) = [('s', 1), ('m', 60), ('h', 3600)]
            .into_iter()
            .find_map(|(unit, factor)| text.strip_suffix(unit).map(|number| (number, factor)))
        else {
            return Err(TextProblem::new("has no unit").hint(advice));
        };
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(TextProblem::new("is not a whole number with one unit").hint(advice));
        }
        let seconds = number.parse::<u32>().ok().and_then(|n| n.checked_mul(factor));
        seconds.map(Self).ok_or_else(|| TextProblem::new("is too long"))
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0)
    }
}

structured_text!(Seconds, "a duration", Some("^[0-9]+[smh]$"), "300s");

/// Who answers for names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Resolver {
    /// The machine's own resolver.
    #[default]
    System,
    /// These name servers, in order, on port 53.
    Servers(Vec<IpAddr>),
}
