//! VPCs, subnets, security groups, instances and network interfaces.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Scope, World, after};

/// A VPC.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Vpc {
    pub(crate) scope: Scope,
    pub(crate) id: String,
    pub(crate) cidr: Ipv4Net,
    pub(crate) ipv6: Option<ipnet::Ipv6Net>,
}

/// A subnet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Subnet {
    pub(crate) scope: Scope,
    pub(crate) id: String,
    pub(crate) vpc: String,
    pub(crate) cidr: Ipv4Net,
    pub(crate) ipv6: Option<ipnet::Ipv6Net>,
    pub(crate) zone: String,
    pub(crate) zone_id: String,
}

/// A security group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) scope: Scope,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) vpc: String,
    pub(crate) created: Timestamp,
}

/// Where a rule's traffic comes from or goes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    V4(String),
    V6(String),
    Group { id: String, account: String },
    PrefixList(String),
}

/// One rule of a security group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub(crate) scope: Scope,
    pub(crate) id: String,
    pub(crate) group: String,
    pub(crate) egress: bool,
    /// `tcp`, `udp`, `icmp`, `icmpv6`, `-1` or a number.
    pub(crate) protocol: String,
    /// First port, or ICMP type; -1 with protocol `-1`.
    pub(crate) from: i64,
    /// Last port, or ICMP code.
    pub(crate) to: i64,
    pub(crate) source: Source,
    pub(crate) description: Option<String>,
    pub(crate) created: Timestamp,
}

impl Rule {
    /// What makes two rules the same for AWS: everything but id and description.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.group == other.group
            && self.egress == other.egress
            && self.protocol == other.protocol
            && (self.from, self.to) == (other.from, other.to)
            && self.source == other.source
    }
}

/// What an instance was launched with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Launch {
    pub(crate) image: String,
    pub(crate) instance_type: String,
    pub(crate) architecture: String,
    pub(crate) root_device: String,
    /// `MetadataOptions` as answers show them.
    pub(crate) metadata: serde_json::Value,
    /// Its public address, where its template asked for one.
    pub(crate) public_address: Option<Ipv4Addr>,
}

impl Launch {
    /// How the default world's instances were launched.
    pub(crate) fn long_ago() -> Self {
        Self {
            image: "ami-0a1b2c3d4e5f60718".to_owned(),
            instance_type: "m7g.large".to_owned(),
            architecture: "arm64".to_owned(),
            root_device: "/dev/xvda".to_owned(),
            metadata: serde_json::json!({
                "State": "applied", "HttpTokens": "required", "HttpPutResponseHopLimit": 2, "HttpEndpoint": "enabled",
                "HttpProtocolIpv6": "disabled", "InstanceMetadataTags": "disabled",
            }),
            public_address: None,
        }
    }
}

/// How long a new instance is `pending`, in seconds of sandbox time.
const INSTANCE_PENDING: i64 = 10;
/// How long one that is terminated is `shutting-down`.
pub(crate) const SHUTTING_DOWN: i64 = 20;
/// How long a terminated one still shows.
const INSTANCE_LINGER: i64 = 3600;

/// An instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Instance {
    pub(crate) scope: Scope,
    pub(crate) id: String,
    pub(crate) vpc: String,
    pub(crate) subnet: String,
    pub(crate) zone: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) groups: Vec<String>,
    pub(crate) interface: String,
    pub(crate) launched: Timestamp,
    #[serde(default = "Launch::long_ago")]
    pub(crate) launch: Launch,
    /// When EC2 was told to terminate it.
    #[serde(default)]
    pub(crate) terminated: Option<Timestamp>,
}

impl Instance {
    /// Its state, as code and name; `None` when it no longer shows.
    pub(crate) fn state(&self, now: Timestamp) -> Option<(i64, &'static str)> {
        match self.terminated {
            Some(at) if now >= after(at, INSTANCE_LINGER) => None,
            Some(at) if now >= after(at, SHUTTING_DOWN) => Some((48, "terminated")),
            Some(_) => Some((32, "shutting-down")),
            None if now < after(self.launched, INSTANCE_PENDING) => Some((0, "pending")),
            None => Some((16, "running")),
        }
    }
}

/// A network interface: an instance's, a load balancer's (one in each of its subnets) or an endpoint's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Interface {
    pub(crate) scope: Scope,
    pub(crate) id: String,
    pub(crate) vpc: String,
    pub(crate) subnet: String,
    pub(crate) zone: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) groups: Vec<String>,
    pub(crate) description: String,
    /// `interface`, `network_load_balancer` or `vpc_endpoint`.
    pub(crate) kind: String,
    /// The id or ARN of what it belongs to.
    pub(crate) owner: String,
    pub(crate) created: Timestamp,
    /// When its owner was deleted.
    pub(crate) released: Option<Timestamp>,
}

/// How long a load balancer's interfaces outlive it, in seconds of sandbox time.
pub(crate) const INTERFACE_LINGER: i64 = 40;

impl Interface {
    /// Whether it is still there.
    pub(crate) fn exists(&self, now: Timestamp) -> bool {
        // An instance's goes with it, when it has shut down.
        let linger = if self.kind == "interface" { SHUTTING_DOWN } else { INTERFACE_LINGER };
        self.released.is_none_or(|released| now < after(released, linger))
    }
}

impl World {
    /// A free address of a subnet; AWS keeps the first four and the last for itself.
    pub(crate) fn free_address(&self, subnet: &Subnet, now: Timestamp) -> Option<Ipv4Addr> {
        let taken: std::collections::HashSet<Ipv4Addr> = self
            .interfaces
            .values()
            .filter(|interface| interface.subnet == subnet.id && interface.exists(now))
            .map(|interface| interface.address)
            .collect();
        // Not from the beginning, so that the examples' database addresses stay free.
        subnet.cidr.hosts().skip(255).find(|address| !taken.contains(address))
    }

    /// Makes an interface in a subnet.
    pub(crate) fn add_interface(
        &mut self,
        subnet: &str,
        kind: &str,
        owner: &str,
        description: String,
        groups: &[String],
        now: Timestamp,
    ) -> Option<Interface> {
        let place = self.subnets.get(subnet)?.clone();
        let address = self.free_address(&place, now)?;
        let interface = Interface {
            scope: place.scope,
            id: crate::aws::ids::fresh("eni"),
            vpc: place.vpc,
            subnet: place.id,
            zone: place.zone,
            address,
            groups: groups.to_vec(),
            description,
            kind: kind.to_owned(),
            owner: owner.to_owned(),
            created: now,
            released: None,
        };
        self.interfaces.insert(interface.id.clone(), interface.clone());
        Some(interface)
    }

    /// Lets go of an owner's interfaces (all, or those of one subnet); they linger.
    pub(crate) fn release_interfaces(&mut self, owner: &str, subnet: Option<&str>, now: Timestamp) {
        let meant = |interface: &Interface| {
            interface.owner == owner
                && subnet.is_none_or(|subnet| interface.subnet == subnet)
                && interface.released.is_none()
        };
        self.interfaces.update(meant, |interface| interface.released = Some(now));
        self.interfaces.retain(|_, interface| interface.exists(now));
    }

    /// Begins to shut an instance down, unless that has begun; forgets those that no longer show.
    pub(crate) fn terminate_instance(&mut self, id: &str, now: Timestamp) {
        let Some(instance) = self.instances.get_mut(id).filter(|instance| instance.terminated.is_none())
        else {
            return;
        };
        instance.terminated = Some(now);
        self.release_interfaces(id, None, now);
        let gone: Vec<String> =
            self.instances.values().filter(|i| i.state(now).is_none()).map(|i| i.id.clone()).collect();
        for id in gone {
            self.instances.remove(&id);
            self.tags.forget(&id);
        }
    }
}
