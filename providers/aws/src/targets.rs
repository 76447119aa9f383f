//! What a port's targets shall be, in view of the facts. Pure.

mod answers;
mod crossing;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use privnet_core::spec::aws::{AwsPort, AwsTarget};

use crate::facts::{Registered, ServiceFacts};

use answers::{kept_with, resolved};

pub(crate) use crossing::{Crossing, check_zones, zones};

/// The zone of an address outside the VPC: reached from every zone of the load balancer
/// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetDescription.html>).
pub(crate) const ALL_ZONES: &str = "all";

/// The type of a target group's members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetType {
    /// Addresses.
    Ip,
    /// Instances.
    Instance,
    /// The machines of a forwarder group. To the API they are instances; one list is never changed into the other.
    Forwarders,
    /// An application load balancer.
    Alb,
}

impl TargetType {
    /// The word in plans: the API's, but for forwarders.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Instance => "instance",
            Self::Forwarders => "forwarders",
            Self::Alb => "alb",
        }
    }
}

/// One target as plans show it: `10.0.1.5:5432`, `10.9.0.1:5432@all`, `i-0123456789abcdef0:5432`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TargetId {
    /// The address, instance or load balancer.
    pub(crate) id: String,
    /// Its port.
    pub(crate) port: i64,
    /// Its zone, where one must be given.
    pub(crate) zone: Option<String>,
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.id.parse::<std::net::Ipv6Addr>().is_ok() {
            write!(f, "[{}]:{}", self.id, self.port)?;
        } else {
            write!(f, "{}:{}", self.id, self.port)?;
        }
        self.zone.as_ref().map_or(Ok(()), |zone| write!(f, "@{zone}"))
    }
}

impl TargetId {
    /// What [`Display`](fmt::Display) wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (rest, zone) = match text.rsplit_once('@') {
            Some((rest, zone)) => (rest, Some(zone.to_owned())),
            None => (text, None),
        };
        let (id, port) = rest.rsplit_once(':')?;
        let id = id.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some(Self { id, port: port.parse().ok()?, zone })
    }

    /// What is registered, in the form that the file's targets have: within the VPC's ranges AWS finds the zone by itself,
    /// and shows it.
    pub(crate) fn of(registered: &Registered, vpc_ranges: &BTreeSet<IpNet>) -> Self {
        let inside =
            registered.id.parse().is_ok_and(|ip: IpAddr| vpc_ranges.iter().any(|range| range.contains(&ip)));
        let is_address = registered.id.parse::<IpAddr>().is_ok();
        let told = |zone: &&String| zone.as_str() == ALL_ZONES || (!inside && !vpc_ranges.is_empty());
        let zone = registered.zone.as_ref().filter(|zone| is_address && told(zone)).cloned();
        Self { id: registered.id.clone(), port: registered.port, zone }
    }
}

/// What a port's targets shall be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The targets.
    pub(crate) targets: BTreeSet<TargetId>,
    /// What is waited for.
    pub(crate) waits: Vec<String>,
    /// What cannot be done.
    pub(crate) refusals: Vec<String>,
    /// What a user should know.
    pub(crate) warnings: Vec<String>,
}

/// The type of the members that a port leads to.
pub(crate) fn type_of(port: &AwsPort) -> TargetType {
    match &port.port.to {
        AwsTarget::Ips(_) | AwsTarget::Dns(_) => TargetType::Ip,
        AwsTarget::Instances(_) => TargetType::Instance,
        AwsTarget::Forwarder(_) => TargetType::Forwarders,
        AwsTarget::Alb(_) => TargetType::Alb,
    }
}

/// The targets of a port. `target_ranges` is where addresses of a name may lie; absent: the VPC's ranges.
pub(crate) fn wanted(
    port: &AwsPort,
    facts: &ServiceFacts,
    target_ranges: Option<&BTreeSet<IpNet>>,
) -> Wanted {
    let number = i64::from(port.port.port.get());
    let plain = |id: String| TargetId { id, port: number, zone: None };
    match &port.port.to {
        AwsTarget::Ips(ips) => Wanted {
            targets: ips.iter().map(|ip| address(*ip, number, facts)).collect(),
            ..Wanted::default()
        },
        AwsTarget::Instances(ids) => {
            let missing =
                ids.iter().filter(|id| facts.network_read && !facts.instances.contains_key(id.as_str()));
            let refusals = missing.map(|id| format!("the instance {id} is not there")).collect();
            let listen = port.port.listen.to_string();
            let why_not = |id: &str| not_running(id, &listen, facts);
            let (resting, running): (Vec<_>, Vec<_>) =
                ids.iter().partition(|id| why_not(id.as_str()).is_some());
            let whys = resting.iter().filter_map(|id| why_not(id.as_str()));
            let mut wanted = Wanted { refusals, ..Wanted::default() };
            // One of several may rest for maintenance: all else of the service goes on meanwhile.
            let taken = if running.is_empty() {
                wanted.refusals.extend(whys);
                resting
            } else {
                wanted.waits.extend(whys.map(|why| format!("{why}; it is left out until then")));
                running
            };
            wanted.targets = taken.into_iter().map(|id| plain(id.to_string())).collect();
            wanted
        }
        AwsTarget::Alb(arn) => {
            let arn = arn.to_string();
            let refusals = match facts.applications.get(&arn) {
                None => facts.network_read.then(|| format!("the application load balancer {arn} is not there")),
                // <https://docs.aws.amazon.com/elasticloadbalancing/latest/network/application-load-balancer-target.html>
                Some(listening) => (!listening.contains_key(&number)).then(|| {
                    format!(
                        "the application load balancer {arn} has no listener on port {number}, and AWS takes it as a target on the port \
                         of a listener only: give that as `port:`"
                    )
                }),
            };
            Wanted {
                targets: BTreeSet::from([plain(arn)]),
                refusals: refusals.into_iter().collect(),
                ..Wanted::default()
            }
        }
        AwsTarget::Dns(_) => {
            let listen = port.port.listen.to_string();
            let registered = facts.registered.get(&listen).map(Vec::as_slice).unwrap_or_default();
            let ranges = target_ranges.unwrap_or(&facts.vpc_ranges);
            match facts.names.get(&listen) {
                Some(name) => resolved(name, registered, ranges, number, facts),
                None => Wanted { targets: kept_with(registered, number, facts), ..Wanted::default() },
            }
        }
        AwsTarget::Forwarder(_) => Wanted::default(),
    }
}

/// Why an instance cannot be registered, if it cannot: AWS takes running ones only
/// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-register-targets.html>). One that is registered stays so,
/// and one that starts will run.
fn not_running(id: &str, listen: &str, facts: &ServiceFacts) -> Option<String> {
    let state = facts.instances.get(id)?.state.as_str();
    let registered = facts.registered.get(listen).into_iter().flatten();
    let is_there = registered.filter(|target| !target.is_leaving()).any(|target| target.id == id);
    let mend = match state {
        "stopping" | "stopped" => "start it, or name another one",
        "shutting-down" | "terminated" => "name another one",
        _ => return None,
    };
    (!is_there).then(|| {
        format!("port {listen}: the instance {id} is {state}, and AWS registers running ones only: {mend}")
    })
}

/// An address; outside the VPC it carries its zone.
fn address(ip: IpAddr, port: i64, facts: &ServiceFacts) -> TargetId {
    let inside = facts.vpc_ranges.is_empty() || facts.vpc_ranges.iter().any(|range| range.contains(&ip));
    TargetId { id: ip.to_string(), port, zone: (!inside).then(|| ALL_ZONES.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(all: &[&str]) -> BTreeSet<IpNet> {
        all.iter().map(|range| range.parse().unwrap()).collect()
    }

    pub(super) fn facts() -> ServiceFacts {
        ServiceFacts { vpc_ranges: ranges(&["10.0.0.0/16"]), ..ServiceFacts::default() }
    }

    pub(super) fn there(id: &str, state: &str) -> Registered {
        Registered { id: id.to_owned(), port: 5432, zone: None, state: state.to_owned(), reason: None }
    }

    #[test]
    fn targets_read_back() {
        for text in ["10.0.1.5:5432", "10.9.0.1:5432@all", "[fd00::1]:1@us-east-1a", "i-0123456789abcdef0:80"]
        {
            assert_eq!(TargetId::parse(text).unwrap().to_string(), text);
        }
        let arn =
            "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/x/0123456789abcdef:443";
        assert_eq!(TargetId::parse(arn).unwrap().port, 443);
    }

    #[test]
    fn a_zone_is_told_only_outside_the_vpc() {
        let with = |id: &str, zone: &str| Registered { zone: Some(zone.to_owned()), ..there(id, "healthy") };
        let of = |registered: &Registered| TargetId::of(registered, &ranges(&["10.0.0.0/16"])).to_string();
        assert_eq!(of(&with("10.0.1.5", "us-east-1a")), "10.0.1.5:5432");
        assert_eq!(of(&with("10.9.1.5", "all")), "10.9.1.5:5432@all");
        assert_eq!(of(&with("10.9.1.5", "us-east-1a")), "10.9.1.5:5432@us-east-1a");
        assert_eq!(of(&with("i-1", "us-east-1a")), "i-1:5432");
        assert_eq!(address("10.9.1.5".parse().unwrap(), 1, &facts()).to_string(), "10.9.1.5:1@all");
    }
}
