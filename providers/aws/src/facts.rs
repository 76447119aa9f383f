//! What a plan needs to know of the world around a service. Written by `observe`, read by `lower`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use privnet_core::World;
use serde::{Deserialize, Serialize};

/// The facts of one service, under the key `aws/service/<name>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ServiceFacts {
    /// `aws/<account>/<region>`; absent where the account could not be reached.
    pub(crate) scope: Option<String>,
    /// The partition of the caller.
    pub(crate) partition: Option<String>,
    /// Whether the network around the service was read at all: an observation for connections does not.
    pub(crate) network_read: bool,
    /// The subnets of the service's VPC, by id.
    pub(crate) subnets: BTreeMap<String, Subnet>,
    /// The ranges of the service's VPC; empty where it is not there.
    pub(crate) vpc_ranges: BTreeSet<IpNet>,
    /// The instances that the file names and that are there, by id.
    pub(crate) instances: BTreeMap<String, Instance>,
    /// The application load balancers that the file names and that are there, with the protocol of each port that they listen on.
    pub(crate) applications: BTreeMap<String, BTreeMap<i64, String>>,
    /// The database security groups that the file names and that are there, with their VPCs.
    pub(crate) database_groups: BTreeMap<String, String>,
    /// Ports that a database security group opens to the load balancer's group by a rule that is not privnet's: `<group>/<port>/<which>`.
    pub(crate) opened_by_others: BTreeMap<String, String>,
    /// The forwarders' image where the file names it by its id, if it is there.
    pub(crate) image: Option<Image>,
    /// The forwarder machines that are there, old ones among them, by id: the zone of each.
    pub(crate) machines: BTreeMap<String, String>,
    /// The supplied load balancer.
    pub(crate) supplied: Option<SuppliedLoadBalancer>,
    /// The names of `dns` targets, by listening port.
    pub(crate) names: BTreeMap<String, ResolvedName>,
    /// What is registered now, by listening port.
    pub(crate) registered: BTreeMap<String, Vec<Registered>>,
    /// The listening ports whose group, as it is now, has the forwarders' machines as its members.
    pub(crate) led_to_machines: BTreeSet<String>,
    /// The listening ports whose group a load balancer sends to.
    #[serde(default)]
    pub(crate) sent_to: BTreeSet<String>,
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subnet {
    /// The zone by the account's own name: `us-east-1a`.
    pub(crate) zone: String,
    /// The zone by the name that all accounts share: `use1-az1`.
    pub(crate) zone_id: String,
    /// Its range.
    pub(crate) cidr: Option<IpNet>,
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Instance {
    /// Its zone.
    pub(crate) zone: String,
    /// Its VPC; absent while it is being terminated.
    pub(crate) vpc: Option<String>,
    /// The cloud's word for its state.
    pub(crate) state: String,
}

/// An image of machines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Image {
    /// The cloud's word for the processor that it is for: `x86_64`, `arm64`.
    pub(crate) architecture: String,
    /// The cloud's word for its state.
    pub(crate) state: String,
    /// The device of its root disk: `/dev/sda1`.
    pub(crate) root_device: String,
    /// Whether Windows is in it.
    #[serde(default)]
    pub(crate) windows: bool,
    /// The account that published it.
    #[serde(default)]
    pub(crate) owner: String,
    /// Its name there; an owner may give any.
    #[serde(default)]
    pub(crate) name: String,
}

/// A load balancer that the user supplied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SuppliedLoadBalancer {
    /// Its scheme: `internal` or `internet-facing`.
    pub(crate) scheme: String,
    /// Its VPC.
    pub(crate) vpc: String,
    /// Its zones: name and subnet.
    pub(crate) zones: BTreeMap<String, String>,
    /// Whether each node sends to targets of every zone.
    pub(crate) cross_zone: bool,
    /// The API's word for its address families: `ipv4` or `dualstack`.
    #[serde(default)]
    pub(crate) ip_address_type: String,
    /// Its security groups; it may have none.
    #[serde(default)]
    pub(crate) security_groups: BTreeSet<String>,
    /// The ports of listeners that are not privnet's.
    pub(crate) foreign_ports: BTreeSet<i64>,
    /// Of these, those whose tags name something of this deployment, and what.
    #[serde(default)]
    pub(crate) claimed_ports: BTreeMap<i64, ClaimedPort>,
}

/// What the tags of a listener name that is not proven to be privnet's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClaimedPort {
    /// The service.
    pub(crate) service: String,
    /// The port.
    pub(crate) name: String,
}

/// What a name resolves to, over several samples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResolvedName {
    /// The name.
    pub(crate) name: String,
    /// Who answered: `system`, or the server's address.
    pub(crate) resolver: String,
    /// The answers, in the order of time.
    pub(crate) samples: Vec<Sample>,
    /// Which of them, by number, may be cached copies of one before: they came before it had expired.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) copies: BTreeSet<usize>,
    /// Registered addresses that are in no sample and yet not gone, for too few answers left them out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) awaited: BTreeMap<IpAddr, Awaited>,
}

/// How far an address is from being gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Awaited {
    /// So many answers in a row left it out.
    pub(crate) absent: usize,
    /// So many must.
    pub(crate) demanded: usize,
    /// Whether the name gives its addresses in turn.
    pub(crate) in_turn: bool,
    /// For how many seconds the last answer holds that is a copy of none before.
    pub(crate) holds: u64,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sample {
    /// These addresses; none is an answer too.
    Addresses(BTreeSet<IpAddr>),
    /// No answer, and why.
    Failed(String),
}

/// A registered target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Registered {
    /// The address, instance or load balancer.
    pub(crate) id: String,
    /// Its port.
    pub(crate) port: i64,
    /// Its zone, where it was given one.
    pub(crate) zone: Option<String>,
    /// The cloud's word for its state, in lower case.
    pub(crate) state: String,
    /// Why, in the cloud's words.
    pub(crate) reason: Option<String>,
}

impl Registered {
    /// Whether it takes connections.
    pub(crate) fn is_healthy(&self) -> bool {
        self.state == "healthy"
    }

    /// Whether it is on its way out.
    pub(crate) fn is_leaving(&self) -> bool {
        self.state.ends_with("draining")
    }

    /// Whether somebody took it off. One that fails its checks may be drained too, and is registered all the while
    /// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-health-checks.html>).
    pub(crate) fn is_taken_off(&self) -> bool {
        self.state == "draining"
    }

    /// Whether it stays and the load balancer asks it for its health: it may be a database's that is down, or one that serves while the
    /// check is wrong, for where none is healthy a load balancer sends to all
    /// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-health-checks.html>).
    pub(crate) fn is_asked(&self) -> bool {
        !self.is_leaving() && self.state != "unused"
    }
}

impl ResolvedName {
    /// A name that was not asked for yet.
    pub(crate) fn of(name: &str, resolver: &str) -> Self {
        Self {
            name: name.to_owned(),
            resolver: resolver.to_owned(),
            samples: Vec::new(),
            copies: BTreeSet::new(),
            awaited: BTreeMap::new(),
        }
    }

    /// The answers that did not fail.
    pub(crate) fn answers(&self) -> impl Iterator<Item = &BTreeSet<IpAddr>> {
        self.samples.iter().filter_map(|sample| match sample {
            Sample::Addresses(addresses) => Some(addresses),
            Sample::Failed(_) => None,
        })
    }

    /// The addresses of all samples.
    pub(crate) fn seen(&self) -> BTreeSet<IpAddr> {
        self.answers().flatten().copied().collect()
    }

    /// How many samples are copies of none before.
    pub(crate) fn fresh(&self) -> usize {
        self.samples.len() - self.copies.len()
    }

    /// Whether there is an address in each sample: else nothing is taken away.
    pub(crate) fn is_answered(&self) -> bool {
        self.samples.iter().all(|sample| matches!(sample, Sample::Addresses(all) if !all.is_empty()))
    }
}

impl ServiceFacts {
    /// The addresses that are registered at a port and stay.
    pub(crate) fn staying(&self, listen: &str) -> BTreeSet<IpAddr> {
        self.addresses(listen, |target| !target.is_leaving())
    }

    /// The registered addresses of a port that are in no sample of its name, and that it would be a loss to take for gone: those that are
    /// healthy or were registered just now; of a name that `rotates`, all. Where an answer failed, or no address that was given is healthy,
    /// nothing is taken away, and there is nothing to look for.
    pub(crate) fn hidden(&self, listen: &str, name: &ResolvedName, rotates: bool) -> BTreeSet<IpAddr> {
        let seen = name.seen();
        let healthy = self.addresses(listen, Registered::is_healthy);
        if !name.is_answered() || healthy.is_disjoint(&seen) {
            return BTreeSet::new();
        }
        let matters = |target: &Registered| rotates || target.is_healthy() || target.state == "initial";
        let there = self.addresses(listen, |target| !target.is_leaving() && matters(target));
        there.difference(&seen).copied().collect()
    }

    fn addresses(&self, listen: &str, is: impl Fn(&Registered) -> bool) -> BTreeSet<IpAddr> {
        let registered = self.registered.get(listen).into_iter().flatten();
        registered.filter(|target| is(target)).filter_map(|target| target.id.parse().ok()).collect()
    }

    /// Where the facts of a service are in a world.
    pub(crate) fn key(service: &str) -> String {
        format!("aws/service/{service}")
    }

    /// The facts of a service; the default where there are none.
    pub(crate) fn of(world: &World, service: &str) -> Self {
        let found = world.facts.get(&Self::key(service));
        found.and_then(|json| Self::deserialize(json).ok()).unwrap_or_default()
    }
}
