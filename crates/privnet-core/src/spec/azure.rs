//! A service on Azure Private Link.

use serde::Serialize;

use ipnet::Ipv4Net;

use super::azure_ids::{ArmId, AzureLocationName, AzureZone, ResourceGroupName, Subresource, SubscriptionId};
use super::{Forwarder, HostName, PortSpec, Upstream};

/// A service on Azure: its subscription, and which form it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AzureService {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// What is made, and what is there already.
    pub form: AzureForm,
}

/// The forms of a service on Azure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AzureForm {
    /// Everything is made: load balancer, rules, private link service.
    Made(Box<AzureMade>),
    /// A private link service on a load balancer's frontend that exists.
    OnFrontend(Box<AzureOnFrontend>),
    /// A private link service that exists: only decisions on connections.
    PrivateLinkService(ArmId),
    /// A service that Azure hosts: only decisions on connections.
    Hosted(AzureHosted),
    /// A tombstone of what was made: whatever the deployment owns under this name is to go. One of a hosted or an existing service keeps
    /// its form, since what was let in there stays, and is said.
    Removed {
        /// The resource group that holds what is to go.
        resource_group: ResourceGroupName,
    },
}

/// Where resources are made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct AzureScope {
    /// The resource group.
    pub resource_group: ResourceGroupName,
    /// The location; that of the virtual network too.
    pub location: AzureLocationName,
    /// The virtual network, by its full id.
    pub vnet: ArmId,
}

/// A private link service whose load balancer is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AzureMade {
    /// Where it is made.
    pub scope: AzureScope,
    /// The subnet of the load balancer's frontend, by its full id.
    pub load_balancer_subnet: ArmId,
    /// The ports; never empty.
    pub ports: Vec<AzurePort>,
    /// The forwarder machines; present exactly when a port leads to a forwarder.
    pub forwarder: Option<AzureForwarder>,
    /// NICs of the user's own machines may be joined to the pool.
    pub join_nics: bool,
    /// The private link service's settings.
    pub link: AzureLink,
}

/// A private link service on a frontend that the user supplied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AzureOnFrontend {
    /// Where it is made.
    pub scope: AzureScope,
    /// The frontend ip configuration, by its full id.
    pub frontend: ArmId,
    /// The private link service's settings.
    pub link: AzureLink,
}

/// Settings of a private link service that is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AzureLink {
    /// The subnet of the NAT addresses.
    pub nat_subnet: AzureNatSubnet,
    /// How many NAT addresses, 1 to 8.
    pub nat_addresses: u8,
    /// The network policy of an existing NAT subnet may be switched off.
    pub disable_subnet_policies: bool,
    /// Names that consumers may use for it.
    pub fqdns: Vec<HostName>,
    /// Whether the visibility list limits access.
    pub access_mode: AzureAccessMode,
    /// The PROXY v2 header is sent to targets.
    pub proxy_protocol: bool,
}

/// The subnet of a private link service's NAT addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AzureNatSubnet {
    /// Made in the virtual network, with this range.
    Create {
        /// The range.
        cidr: Ipv4Net,
    },
    /// One that exists in the virtual network, by its full id.
    Existing(ArmId),
}

/// Whether access is limited to the visibility list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum AzureAccessMode {
    /// Limited (`Restricted`).
    #[default]
    Restricted,
    /// Not limited (`Default`).
    Default,
}

/// A service that Azure hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AzureHosted {
    /// The resource.
    pub resource_id: ArmId,
    /// The part of it that is connected to; matched without case.
    pub subresource: Subresource,
}

/// One port on Azure.
pub type AzurePort = PortSpec<AzureTarget>;

/// What a port leads to on Azure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AzureTarget {
    /// Network interfaces of the user's machines, by their full ids; never empty.
    Nics(Vec<ArmId>),
    /// Something that only a forwarder can reach.
    Forwarder(Upstream),
}

/// Forwarder machines on Azure; subnets by their full ids.
pub type AzureForwarder = Forwarder<ArmId, AzureZone>;
