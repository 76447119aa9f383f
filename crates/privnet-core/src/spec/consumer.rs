//! Consumers: who may ask for a connection, as each cloud knows them.

use std::collections::BTreeSet;
use std::fmt;

use ipnet::IpNet;
use serde::Serialize;

use super::Place;
use super::aws_ids::{AccountId, Partition, PrincipalArn, Region};
use super::azure_ids::{ArmId, SubscriptionId};
use super::gcp_ids::{NetworkPath, ProjectRef};

/// A consumer after its preset is resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Consumer {
    /// The preset that fills what the file does not say.
    pub preset: Option<PresetRef>,
    /// As AWS knows it; absent: it cannot be named on AWS.
    pub aws: Option<AwsConsumer>,
    /// As Azure knows it.
    pub azure: Option<AzureConsumer>,
    /// As GCP knows it.
    pub gcp: Option<GcpConsumer>,
    /// Where the file defines it; absent: it is used as a preset only.
    pub place: Option<Place>,
}

/// Which preset, and of which date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PresetRef {
    /// The preset's name.
    pub name: String,
    /// The date of the preset's data, `YYYY-MM-DD`.
    pub version: String,
}

/// One entry of a consumer's list, or the wildcard.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who<T> {
    /// `*`: anyone; only where a service says `allow_anyone`.
    Anyone,
    /// This one.
    Is(T),
}

impl<T: fmt::Display> fmt::Display for Who<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("*"),
            Self::Is(one) => one.fmt(f),
        }
    }
}

impl<T: fmt::Display> Serialize for Who<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A consumer on AWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Default)]
pub struct AwsConsumer {
    /// Allowed principals. Those of presets are templates for partition and region.
    pub principals: BTreeSet<Who<PrincipalArn>>,
    /// Where its traffic comes from, for inbound rules.
    pub cidrs: BTreeSet<IpNet>,
}

impl AwsConsumer {
    /// The principals to safelist on a service in that partition and region, as the API takes them.
    pub fn principals_for(&self, partition: Partition, region: &Region) -> BTreeSet<String> {
        self.principals
            .iter()
            .map(|who| match who {
                Who::Anyone => "*".to_owned(),
                Who::Is(principal) => principal.resolve(partition, region),
            })
            .collect()
    }

    /// The accounts of the principals: all that AWS tells of a connection's owner.
    pub fn accounts(&self) -> BTreeSet<AccountId> {
        self.principals
            .iter()
            .filter_map(|who| match who {
                Who::Anyone => None,
                Who::Is(principal) => Some(principal.account().clone()),
            })
            .collect()
    }

    /// The wildcard is among the principals.
    pub fn anyone(&self) -> bool {
        self.principals.contains(&Who::Anyone)
    }
}

/// A consumer on Azure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Default)]
pub struct AzureConsumer {
    /// Subscriptions that the consumer's private endpoints are in.
    pub subscriptions: BTreeSet<Who<SubscriptionId>>,
    /// Private endpoints by resource id, where the vendor named them.
    pub endpoints: BTreeSet<ArmId>,
}

impl AzureConsumer {
    /// The subscriptions, those of the named endpoints included, in lower case; `*` for the wildcard.
    pub fn visible_to(&self) -> BTreeSet<String> {
        let named = self.subscriptions.iter().map(ToString::to_string);
        named.chain(self.endpoints.iter().map(|id| id.subscription().to_string())).collect()
    }

    /// Endpoints alone are named: no subscription is meant as a whole.
    pub fn by_endpoints_alone(&self) -> bool {
        self.subscriptions.is_empty() && !self.endpoints.is_empty()
    }

    /// The wildcard is among the subscriptions.
    pub fn anyone(&self) -> bool {
        self.subscriptions.contains(&Who::Anyone)
    }
}

/// A consumer on GCP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Default)]
pub struct GcpConsumer {
    /// Projects that the consumer's endpoints are in, by id or number.
    pub projects: BTreeSet<Who<ProjectRef>>,
    /// Networks that the consumer's endpoints are in, for `accept_by: network`.
    pub networks: BTreeSet<NetworkPath>,
}

impl GcpConsumer {
    /// The wildcard is among the projects.
    pub fn anyone(&self) -> bool {
        self.projects.contains(&Who::Anyone)
    }
}
