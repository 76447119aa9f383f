//! A service on AWS PrivateLink.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use super::aws_ids::{
    AccountId, ApplicationLoadBalancerArn, CertificateArn, EndpointServiceId, ExternalId, InstanceId,
    NetworkLoadBalancerArn, Partition, PrivateDnsName, ProfileName, Region, RoleArn, SecurityGroupId,
    SubnetId, TopicArn, VpcId, ZoneName,
};
use super::{Forwarder, HostName, PortSpec, Resolver, Seconds, Upstream};

/// A service on AWS: where it is, and which form it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AwsService {
    /// The account and region, and how to get there.
    pub location: AwsLocation,
    /// What is made, and what is there already.
    pub form: AwsForm,
}

/// The account and region of a service, and how to get there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct AwsLocation {
    /// The account that the credentials must belong to; absent: not checked.
    pub account: Option<AccountId>,
    /// The region.
    pub region: Region,
    /// A profile of the AWS configuration files.
    pub profile: Option<ProfileName>,
    /// A role to take on.
    pub assume_role: Option<AssumeRole>,
}

impl AwsLocation {
    /// The region's partition.
    pub fn partition(&self) -> Partition {
        self.region.partition()
    }
}

/// A role to take on before any call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct AssumeRole {
    /// The role.
    pub arn: RoleArn,
    /// The external id that the role's trust policy asks for.
    pub external_id: Option<ExternalId>,
}

/// The forms of a service on AWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AwsForm {
    /// Everything is made: security group, network load balancer, target groups, listeners, endpoint service.
    Made(Box<AwsMade>),
    /// An endpoint service on a load balancer that exists.
    OnLoadBalancer(Box<AwsOnLoadBalancer>),
    /// An endpoint service that exists: only principals and decisions on connections.
    EndpointService(EndpointServiceId),
    /// A tombstone: whatever the deployment owns under this name is to go.
    Removed,
}

/// A service whose load balancer is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AwsMade {
    /// The VPC.
    pub vpc: VpcId,
    /// The subnets of the load balancer; never empty.
    pub subnets: BTreeSet<SubnetId>,
    /// The load balancer's settings.
    pub load_balancer: AwsLoadBalancer,
    /// Security groups of databases; each gets one owned rule.
    pub database_security_groups: BTreeSet<SecurityGroupId>,
    /// The target groups' and listeners' settings.
    pub targets: AwsTargets,
    /// The ports; never empty.
    pub ports: Vec<AwsPort>,
    /// The forwarder machines; present exactly when a port leads to a forwarder.
    pub forwarder: Option<AwsForwarder>,
    /// The endpoint service's settings.
    pub endpoint_service: AwsEndpointService,
}

/// An endpoint service on a load balancer that the user supplied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AwsOnLoadBalancer {
    /// The load balancer.
    pub load_balancer: NetworkLoadBalancerArn,
    /// The VPC of the target groups; present whenever there are ports.
    pub vpc: Option<VpcId>,
    /// The target groups' and listeners' settings.
    pub targets: AwsTargets,
    /// Listeners to add to the load balancer; empty when it has its own.
    pub ports: Vec<AwsPort>,
    /// The forwarder machines; present exactly when a port leads to a forwarder.
    pub forwarder: Option<AwsForwarder>,
    /// The endpoint service's settings.
    pub endpoint_service: AwsEndpointService,
}

/// Settings of a network load balancer that is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AwsLoadBalancer {
    /// IPv4 alone, or IPv6 as well.
    pub ip_address_type: AwsIpAddressType,
    /// Each node sends to targets of every zone.
    pub cross_zone: bool,
    /// The API refuses to delete it.
    pub deletion_protection: bool,
    /// Inbound rules are enforced on PrivateLink traffic too, for these ranges. Absent: not enforced, and the
    /// security group has no inbound rule at all.
    pub enforce_inbound: Option<BTreeSet<IpNet>>,
}

/// The address families of a load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum AwsIpAddressType {
    /// IPv4 alone.
    #[default]
    Ipv4,
    /// IPv4 and IPv6.
    Dualstack,
}

impl AwsIpAddressType {
    /// The word that the file and the API use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Dualstack => "dualstack",
        }
    }
}

/// Settings that all target groups and listeners of a service share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AwsTargets {
    /// How long a target that goes keeps its sessions (0 to 3600 s).
    pub drain: Seconds,
    /// How long a listener keeps an idle session (60 to 6000 s). Absent: as long as AWS makes it, 350 s, and nobody looks after it.
    pub tcp_idle_timeout: Option<Seconds>,
    /// The PROXY v2 header is sent to targets.
    pub proxy_protocol: bool,
    /// Who resolves `dns` targets.
    pub resolver: Resolver,
    /// Where addresses of `dns` targets may lie; absent: the VPC's ranges.
    pub target_ranges: Option<BTreeSet<IpNet>>,
}

/// Settings of the endpoint service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AwsEndpointService {
    /// The private DNS name that consumers may use.
    pub private_dns_name: Option<PrivateDnsName>,
    /// Further regions that consumers may connect from; absent: not managed.
    pub supported_regions: Option<BTreeSet<Region>>,
    /// Whom to notify of connection events.
    pub notification: Option<AwsNotification>,
}

/// A notification of connection events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AwsNotification {
    /// The topic.
    pub sns_topic: TopicArn,
    /// The events; never empty.
    pub events: BTreeSet<AwsEvent>,
}

/// An event of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum AwsEvent {
    /// A request was accepted.
    Accept,
    /// A request was rejected.
    Reject,
    /// A request was made.
    Connect,
    /// An endpoint was deleted.
    Delete,
}

impl AwsEvent {
    /// The word that the file and the API use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "Accept",
            Self::Reject => "Reject",
            Self::Connect => "Connect",
            Self::Delete => "Delete",
        }
    }
}

/// One port on AWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AwsPort {
    /// What all clouds' ports have.
    #[serde(flatten)]
    pub port: PortSpec<AwsTarget>,
    /// The certificate of a TLS listener; absent: TCP.
    pub tls: Option<CertificateArn>,
}

/// What a port leads to on AWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AwsTarget {
    /// Addresses of one family; never empty, never public.
    Ips(BTreeSet<IpAddr>),
    /// Instances; never empty.
    Instances(BTreeSet<InstanceId>),
    /// A name whose addresses are followed.
    Dns(HostName),
    /// An application load balancer.
    Alb(ApplicationLoadBalancerArn),
    /// Something that only a forwarder can reach.
    Forwarder(Upstream),
}

/// Forwarder machines on AWS.
pub type AwsForwarder = Forwarder<SubnetId, ZoneName>;
