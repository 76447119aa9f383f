//! The entries of a service attachment's accept list, in one spelling for plans.
//!
//! `project:ID=LIMIT`, `network:PATH=LIMIT` or `endpoint:PATH`. An attachment has entries of one type at a time
//! (<https://cloud.google.com/vpc/docs/about-vpc-hosted-services>).

use privnet_core::spec::gcp::GcpAcceptBy;
use serde_json::json;

use crate::json::{Json, number, text};
use crate::path;

/// One consumer that is let in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Entry {
    Project { project: String, limit: i64 },
    Network { network: String, limit: i64 },
    Endpoint { endpoint: String },
}

impl Entry {
    /// The entry of the API's answer; nothing where it has none of the three forms.
    pub(crate) fn of(json: &Json) -> Option<Self> {
        let limit = number(json, "connectionLimit").unwrap_or(0);
        let filled = |key| text(json, key).filter(|text| !text.is_empty());
        if let Some(url) = filled("endpointUrl") {
            return Some(Self::Endpoint { endpoint: path::of(url) });
        }
        if let Some(url) = filled("networkUrl") {
            return Some(Self::Network { network: path::of(url), limit });
        }
        filled("projectIdOrNum").map(|project| Self::Project { project: project.to_owned(), limit })
    }

    /// The entry of a reject list: a project's id or number, or the URL of a network or an endpoint.
    pub(crate) fn rejected(text: &str) -> Self {
        if !text.contains('/') {
            Self::Project { project: text.to_owned(), limit: 0 }
        } else if text.contains("/networks/") {
            Self::Network { network: path::of(text), limit: 0 }
        } else {
            Self::Endpoint { endpoint: path::of(text) }
        }
    }

    /// The entry as the API takes it.
    pub(crate) fn json(&self) -> Json {
        match self {
            Self::Project { project, limit } => {
                json!({ "projectIdOrNum": project, "connectionLimit": limit })
            }
            Self::Network { network, limit } => json!({ "networkUrl": network, "connectionLimit": limit }),
            Self::Endpoint { endpoint } => json!({ "endpointUrl": endpoint, "connectionLimit": 1 }),
        }
    }

    /// Gives it room for so many endpoints. One that names an endpoint has room for that.
    pub(crate) fn limit_to(&mut self, endpoints: usize) {
        if let Self::Project { limit, .. } | Self::Network { limit, .. } = self {
            *limit = i64::try_from(endpoints).unwrap_or(i64::MAX);
        }
    }

    /// For how many endpoints it has room; one that names an endpoint has room for that, whatever its limit.
    pub(crate) fn room(&self) -> Option<usize> {
        match self {
            Self::Project { limit, .. } | Self::Network { limit, .. } => {
                Some((*limit).try_into().unwrap_or(0))
            }
            Self::Endpoint { .. } => None,
        }
    }

    /// Its type.
    pub(crate) fn by(&self) -> GcpAcceptBy {
        match self {
            Self::Project { .. } => GcpAcceptBy::Project,
            Self::Network { .. } => GcpAcceptBy::Network,
            Self::Endpoint { .. } => GcpAcceptBy::Endpoint,
        }
    }

    /// What it names, as a reject list does.
    pub(crate) fn subject(&self) -> &str {
        match self {
            Self::Project { project, .. } => project,
            Self::Network { network, .. } => network,
            Self::Endpoint { endpoint } => endpoint,
        }
    }

    /// As plans spell it.
    pub(crate) fn spelled(&self) -> String {
        match self {
            Self::Project { project, limit } => format!("project:{project}={limit}"),
            Self::Network { network, limit } => format!("network:{network}={limit}"),
            Self::Endpoint { endpoint } => format!("endpoint:{endpoint}"),
        }
    }

    /// The entry of a plan's spelling.
    pub(crate) fn parse(spelled: &str) -> Option<Self> {
        let (by, rest) = spelled.split_once(':')?;
        let limited = || {
            let (name, limit) = rest.rsplit_once('=')?;
            Some((name.to_owned(), limit.parse().ok()?))
        };
        match by {
            "project" => limited().map(|(project, limit)| Self::Project { project, limit }),
            "network" => limited().map(|(network, limit)| Self::Network { network, limit }),
            "endpoint" => Some(Self::Endpoint { endpoint: rest.to_owned() }),
            _ => None,
        }
    }
}

/// The type as the file spells it.
pub(crate) fn word(by: GcpAcceptBy) -> &'static str {
    match by {
        GcpAcceptBy::Endpoint => "endpoint",
        GcpAcceptBy::Project => "project",
        GcpAcceptBy::Network => "network",
    }
}

/// What is said of an attachment of the user's whose list lets in whole projects or networks, where the file decides on each endpoint: each
/// one of theirs comes in with nobody asked, up to the entry's limit; and how they are taken out
/// (<https://cloud.google.com/vpc/docs/about-controlling-access-published-services>).
pub(crate) fn said_of_whole_consumers(listed: &[Entry], taken_out: &str) -> Option<String> {
    let whole: Vec<&str> =
        listed.iter().filter(|entry| entry.by() != GcpAcceptBy::Endpoint).map(Entry::subject).collect();
    (!whole.is_empty()).then(|| {
        format!(
            "its accept list lets in each endpoint of {} by itself, up to the limits there, with nobody asked: the attachment is yours, and \
             privnet leaves those entries. What is not meant you take out {taken_out}",
            whole.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_survive_both_spellings() {
        let all = [
            Entry::Project { project: "fivetran-donkeys".to_owned(), limit: 2 },
            Entry::Network { network: "projects/p-1/global/networks/n".to_owned(), limit: 1 },
            Entry::Endpoint { endpoint: "projects/p/regions/r/forwardingRules/17".to_owned() },
        ];
        for entry in all {
            assert_eq!(Entry::parse(&entry.spelled()), Some(entry.clone()));
            assert_eq!(Entry::of(&entry.json()), Some(entry));
        }
    }

    #[test]
    fn whole_consumers_that_a_list_lets_in_are_said() {
        let endpoint = Entry::Endpoint { endpoint: "projects/p/regions/r/forwardingRules/17".to_owned() };
        let project = Entry::Project { project: "acme-reader".to_owned(), limit: 2 };
        assert_eq!(said_of_whole_consumers(&[], ""), None);
        assert_eq!(said_of_whole_consumers(std::slice::from_ref(&endpoint), ""), None);
        let said = said_of_whole_consumers(&[endpoint, project], "by hand").expect("the project is said");
        assert!(
            said.contains("each endpoint of acme-reader by itself") && said.ends_with("out by hand"),
            "{said}"
        );
    }
}
