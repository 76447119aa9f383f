//! Zones, VPCs and subnets: read only, but for the deletion of a subnet.

use ipnet::Ipv6Net;
use serde::Deserialize;
use serde_json::{Value, json};

use super::listing::{Ask, Kind, Noun, one};
use super::tagging::shown;
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::filter::Filters;
use crate::aws::world::{Subnet, Vpc};

const VPC: Noun = Noun {
    prefix: "vpc",
    what: "vpc ID",
    missing: "InvalidVpcID.NotFound",
    malformed: "InvalidVpcId.Malformed",
};
const SUBNET: Noun = Noun {
    prefix: "subnet",
    what: "subnet ID",
    missing: "InvalidSubnetID.NotFound",
    malformed: "InvalidSubnetId.Malformed",
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeZones {
    #[serde(default)]
    zone_names: Vec<String>,
    #[serde(default)]
    zone_ids: Vec<String>,
    #[serde(default)]
    filters: Filters,
}

pub(super) fn describe_availability_zones(tx: &mut Tx, call: &Call) -> Reply {
    let input: DescribeZones = call.input()?;
    let known = [
        "group-name",
        "message",
        "opt-in-status",
        "region-name",
        "state",
        "zone-id",
        "zone-name",
        "zone-type",
    ];
    input.filters.check(&known, false)?;
    let mut zones: Vec<(&str, &str)> = tx
        .subnets
        .values()
        .filter(|subnet| subnet.scope == call.scope)
        .map(|subnet| (subnet.zone.as_str(), subnet.zone_id.as_str()))
        .collect();
    zones.sort_unstable();
    zones.dedup();
    let missing = |id: &&String| !zones.iter().any(|(name, zone_id)| name == id || zone_id == id);
    if let Some(zone) = input.zone_names.iter().chain(&input.zone_ids).find(missing) {
        return Err(ApiError::bad_value("ZoneName", zone, "Invalid availability zone."));
    }
    let region = call.scope.region.as_str();
    zones.retain(|(name, id)| {
        (input.zone_names.is_empty() || input.zone_names.iter().any(|wanted| wanted == name))
            && (input.zone_ids.is_empty() || input.zone_ids.iter().any(|wanted| wanted == id))
            && input.filters.matches(tx, call, "", |field| match field {
                "zone-name" => one(name),
                "zone-id" => one(id),
                "region-name" | "group-name" => one(region),
                "state" => one("available"),
                "opt-in-status" => one("opt-in-not-required"),
                "zone-type" => one("availability-zone"),
                _ => Vec::new(),
            })
    });
    let show = |(name, id): &(&str, &str)| {
        json!({
            "State": "available",
            "OptInStatus": "opt-in-not-required",
            "Messages": [],
            "RegionName": region,
            "ZoneName": name,
            "ZoneId": id,
            "GroupName": format!("{region}-zg-1"),
            "NetworkBorderGroup": region,
            "ZoneType": "availability-zone",
        })
    };
    Ok(json!({"AvailabilityZones": zones.iter().map(show).collect::<Vec<_>>()}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    #[serde(default, alias = "VpcIds", alias = "SubnetIds", alias = "PrefixListIds")]
    ids: Vec<String>,
    #[serde(default)]
    filters: Filters,
    max_results: Option<usize>,
    next_token: Option<String>,
}

impl From<Describe> for Ask {
    fn from(input: Describe) -> Self {
        let Describe { ids, filters, max_results, next_token } = input;
        Self { ids, filters, max_results, next_token }
    }
}

pub(super) fn describe_vpcs(tx: &mut Tx, call: &Call) -> Reply {
    let ask = Ask::from(call.input::<Describe>()?);
    let kind = Kind {
        noun: &VPC,
        filters: &["cidr", "cidr-block-association.cidr-block", "is-default", "owner-id", "state", "vpc-id"],
        id: |vpc: &Vpc| &vpc.id,
        created: |_| None,
    };
    let mine = tx.vpcs.values().filter(|vpc| vpc.scope == call.scope);
    let page = kind.list(tx, call, &ask, mine, |vpc, name| match name {
        "cidr" | "cidr-block-association.cidr-block" => one(vpc.cidr),
        "is-default" => one(false),
        "owner-id" => one(&vpc.scope.account),
        "state" => one("available"),
        _ => one(&vpc.id),
    })?;
    let vpcs: Vec<Value> = page.items.iter().map(|vpc| show_vpc(tx, vpc)).collect();
    Ok(json!({"Vpcs": vpcs, "NextToken": page.next}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeAttribute {
    vpc_id: String,
    attribute: String,
}

/// One attribute at a time, as the API has it
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcAttribute.html>). Names are resolved in every VPC here, as
/// an endpoint's private name needs.
pub(super) fn describe_vpc_attribute(tx: &mut Tx, call: &Call) -> Reply {
    let input: DescribeAttribute = call.input()?;
    let ask = Ask { ids: vec![input.vpc_id.clone()], ..Ask::default() };
    let kind = Kind { noun: &VPC, filters: &[], id: |vpc: &Vpc| &vpc.id, created: |_| None };
    let mine = tx.vpcs.values().filter(|vpc| vpc.scope == call.scope);
    kind.list(tx, call, &ask, mine, |_, _| Vec::new())?;
    let (member, value) = match input.attribute.as_str() {
        "enableDnsSupport" => ("EnableDnsSupport", true),
        "enableDnsHostnames" => ("EnableDnsHostnames", true),
        "enableNetworkAddressUsageMetrics" => ("EnableNetworkAddressUsageMetrics", false),
        other => return Err(ApiError::bad_value("attribute", other, "No such attribute of a VPC.")),
    };
    Ok(json!({"VpcId": input.vpc_id, member: {"Value": value}}))
}

const PREFIX_LIST: Noun = Noun {
    prefix: "pl",
    what: "prefix list ID",
    missing: "InvalidPrefixListId.NotFound",
    malformed: "InvalidPrefixListId.Malformed",
};

/// The lists of services that have gateway endpoints, of which there is none here
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribePrefixLists.html>).
pub(super) fn describe_prefix_lists(tx: &mut Tx, call: &Call) -> Reply {
    let ask = Ask::from(call.input::<Describe>()?);
    let kind = Kind {
        noun: &PREFIX_LIST,
        filters: &["prefix-list-id", "prefix-list-name"],
        id: |vpc: &Vpc| &vpc.id,
        created: |_| None,
    };
    let page = kind.list(tx, call, &ask, std::iter::empty(), |_, _| Vec::new())?;
    Ok(json!({"PrefixLists": [], "NextToken": page.next}))
}

fn show_vpc(tx: &Tx, vpc: &Vpc) -> Value {
    let association = |prefix: &str| format!("{prefix}-{}", vpc.id.trim_start_matches("vpc-"));
    json!({
        "VpcId": vpc.id,
        "OwnerId": vpc.scope.account,
        "State": "available",
        "CidrBlock": vpc.cidr.to_string(),
        "CidrBlockAssociationSet": [{
            "AssociationId": association("vpc-cidr-assoc"),
            "CidrBlock": vpc.cidr.to_string(),
            "CidrBlockState": {"State": "associated"},
        }],
        "Ipv6CidrBlockAssociationSet": ipv6(&vpc.id, "vpc-cidr-assoc", vpc.ipv6),
        "DhcpOptionsId": association("dopt"),
        "InstanceTenancy": "default",
        "IsDefault": false,
        "Tags": shown(tx, &vpc.id),
    })
}

fn ipv6(id: &str, prefix: &str, net: Option<Ipv6Net>) -> Vec<Value> {
    let digits = id.rsplit('-').next().unwrap_or_default();
    net.iter()
        .map(|net| {
            json!({
                "AssociationId": format!("{prefix}-{digits}"),
                "Ipv6CidrBlock": net.to_string(),
                "Ipv6CidrBlockState": {"State": "associated"},
            })
        })
        .collect()
}

pub(super) fn describe_subnets(tx: &mut Tx, call: &Call) -> Reply {
    let ask = Ask::from(call.input::<Describe>()?);
    let kind = Kind {
        noun: &SUBNET,
        filters: &[
            "availability-zone",
            "availabilityZone",
            "availability-zone-id",
            "availabilityZoneId",
            "cidr-block",
            "cidr",
            "cidrBlock",
            "default-for-az",
            "defaultForAz",
            "owner-id",
            "state",
            "subnet-arn",
            "subnet-id",
            "vpc-id",
        ],
        id: |subnet: &Subnet| &subnet.id,
        created: |_| None,
    };
    let mine = tx.subnets.values().filter(|subnet| subnet.scope == call.scope);
    let page = kind.list(tx, call, &ask, mine, |subnet, name| match name {
        "availability-zone" | "availabilityZone" => one(&subnet.zone),
        "availability-zone-id" | "availabilityZoneId" => one(&subnet.zone_id),
        "cidr-block" | "cidr" | "cidrBlock" => one(subnet.cidr),
        "default-for-az" | "defaultForAz" => one(false),
        "owner-id" => one(&subnet.scope.account),
        "state" => one("available"),
        "subnet-arn" => one(call.arn("ec2", &format!("subnet/{}", subnet.id))),
        "vpc-id" => one(&subnet.vpc),
        _ => one(&subnet.id),
    })?;
    let subnets: Vec<Value> = page.items.iter().map(|subnet| show_subnet(tx, call, subnet)).collect();
    Ok(json!({"Subnets": subnets, "NextToken": page.next}))
}

fn show_subnet(tx: &Tx, call: &Call, subnet: &Subnet) -> Value {
    let taken = tx.interfaces.values().filter(|i| i.subnet == subnet.id && i.exists(call.now)).count();
    // AWS keeps five addresses of each subnet.
    let size = 2usize.pow(u32::from(32 - subnet.cidr.prefix_len())) - 5;
    json!({
        "SubnetId": subnet.id,
        "SubnetArn": call.arn("ec2", &format!("subnet/{}", subnet.id)),
        "OwnerId": subnet.scope.account,
        "VpcId": subnet.vpc,
        "State": "available",
        "CidrBlock": subnet.cidr.to_string(),
        "Ipv6CidrBlockAssociationSet": ipv6(&subnet.id, "subnet-cidr-assoc", subnet.ipv6),
        "AssignIpv6AddressOnCreation": false,
        "AvailabilityZone": subnet.zone,
        "AvailabilityZoneId": subnet.zone_id,
        "AvailableIpAddressCount": size.saturating_sub(taken),
        "DefaultForAz": false,
        "MapPublicIpOnLaunch": false,
        "Tags": shown(tx, &subnet.id),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteSubnet {
    subnet_id: String,
}

/// What has an interface in a subnet holds it, an instance as well as a load balancer.
pub(super) fn delete_subnet(tx: &mut Tx, call: &Call) -> Reply {
    let DeleteSubnet { subnet_id: id } = call.input()?;
    if tx.subnets.get(&id).is_none_or(|subnet| subnet.scope != call.scope) {
        return Err(SUBNET.error(&id));
    }
    if tx.interfaces.values().any(|interface| interface.subnet == id && interface.exists(call.now)) {
        let why = format!("The subnet '{id}' has dependencies and cannot be deleted.");
        return Err(ApiError::new("DependencyViolation", why));
    }
    tx.subnets.remove(&id);
    tx.tags.forget(&id);
    Ok(Value::Null)
}
