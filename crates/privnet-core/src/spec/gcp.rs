//! A service on GCP Private Service Connect.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::Serialize;

use super::gcp_ids::{DomainName, GcpInstance, GcpInstanceGroup, GcpName, GcpRegion, GcpZone, ProjectId};
use super::{Engine, Forwarder, HealthCheck, Port, PortSpec, Upstream};

/// A service on GCP: where it is, and which form it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GcpService {
    /// The project and region.
    pub location: GcpLocation,
    /// What is made, and what is there already.
    pub form: GcpForm,
}

/// The project and region of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct GcpLocation {
    /// The project of the load balancer and the attachment.
    pub project: ProjectId,
    /// The region.
    pub region: GcpRegion,
    /// The project of the network and its subnets: the host project with Shared VPC, else `project` itself.
    pub host_project: ProjectId,
    /// The network; absent only where nothing is made.
    pub network: Option<GcpName>,
}

/// The forms of a service on GCP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GcpForm {
    /// Everything is made: backend, health check, backend service, forwarding rule, service attachment.
    Made(Box<GcpMade>),
    /// A service attachment on a forwarding rule that exists.
    OnForwardingRule(Box<GcpOnForwardingRule>),
    /// A service attachment that exists: only its accept list, by decisions on connections. Of a tombstone, too: nothing of it is to go, and who
    /// was let in there is looked at.
    ServiceAttachment {
        /// The attachment.
        name: GcpName,
        /// What an accepted entry names.
        accept_by: GcpAcceptBy,
    },
    /// A tombstone: whatever the deployment owns under this name is to go.
    Removed,
}

/// A service whose load balancer is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GcpMade {
    /// The network.
    pub network: GcpName,
    /// The subnet of the forwarding rule.
    pub subnet: GcpName,
    /// The forwarding rule's address.
    pub ip_address: GcpAddress,
    /// Clients of every region may use the forwarding rule.
    pub global_access: bool,
    /// The forwarding rule takes all ports instead of the listed ones.
    pub all_ports: bool,
    /// The ports and what is behind them.
    pub backend: GcpBackend,
    /// The service attachment's settings.
    pub attachment: GcpAttachment,
}

/// A service attachment on a forwarding rule that the user supplied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GcpOnForwardingRule {
    /// The network.
    pub network: GcpName,
    /// The forwarding rule.
    pub forwarding_rule: GcpName,
    /// The service attachment's settings.
    pub attachment: GcpAttachment,
}

/// The forwarding rule's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum GcpAddress {
    /// One that GCP chooses.
    #[default]
    Auto,
    /// This one.
    Ip(Ipv4Addr),
}

/// The one backend that a pass-through load balancer has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GcpBackend {
    /// The user's machines. The load balancer does not translate ports, so a port listens where it leads.
    Direct {
        /// The machines.
        to: GcpDirect,
        /// The ports; one to five, more only with `all_ports`.
        ports: Vec<GcpDirectPort>,
    },
    /// Forwarder machines, which do translate.
    Forwarder {
        /// The machines.
        forwarder: GcpForwarder,
        /// The ports; one to five, more only with `all_ports`.
        ports: Vec<PortSpec<Upstream>>,
    },
}

/// The user's machines behind a load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GcpDirect {
    /// Instances, through a network endpoint group for each zone; never empty.
    Instances(BTreeSet<GcpInstance>),
    /// An instance group.
    InstanceGroup(GcpInstanceGroup),
}

/// A port of the user's machines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GcpDirectPort {
    /// The port that the consumer connects to, and the machine's own.
    pub listen: Port,
    /// What speaks there, if the file says so.
    pub engine: Option<Engine>,
    /// The health check, if the file changes the default one.
    pub health_check: Option<HealthCheck>,
}

/// Settings of a service attachment that is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GcpAttachment {
    /// The subnets of the NAT addresses; never empty.
    pub nat_subnets: Vec<GcpNatSubnet>,
    /// Domain names of the attachment: none or one.
    pub domain_names: Vec<DomainName>,
    /// What an accepted entry names.
    pub accept_by: GcpAcceptBy,
    /// A change of the lists also applies to connections that were accepted before.
    pub reconcile_connections: bool,
    /// The PROXY v2 header is sent to targets.
    pub proxy_protocol: bool,
    /// How many propagated connections a consumer may have; absent: not managed.
    pub propagated_connection_limit: Option<u32>,
}

/// A subnet for NAT addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GcpNatSubnet {
    /// Made in the network, with this range.
    Create {
        /// The range.
        cidr: Ipv4Net,
    },
    /// One that exists in the network and region.
    Existing(GcpName),
}

/// What an entry of the accept list names. An attachment has one type at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GcpAcceptBy {
    /// One endpoint.
    Endpoint,
    /// A project.
    Project,
    /// A network.
    Network,
}

/// Forwarder machines on GCP.
pub type GcpForwarder = Forwarder<GcpName, GcpZone>;
