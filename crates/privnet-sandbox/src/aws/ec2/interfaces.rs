//! Network interfaces: read only. A load balancer's linger for a while after it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::listing::{Ask, Kind, Noun, one};
use super::tagging::shown;
use crate::aws::call::{Call, Tx};
use crate::aws::error::Reply;
use crate::aws::filter::Filters;
use crate::aws::world::{Interface, wire_time};

const INTERFACE: Noun = Noun {
    prefix: "eni",
    what: "networkInterface ID",
    missing: "InvalidNetworkInterfaceID.NotFound",
    malformed: "InvalidNetworkInterfaceId.Malformed",
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    #[serde(default)]
    network_interface_ids: Vec<String>,
    #[serde(default)]
    filters: Filters,
    max_results: Option<usize>,
    next_token: Option<String>,
}

pub(super) fn describe_network_interfaces(tx: &mut Tx, call: &Call) -> Reply {
    let Describe { network_interface_ids: ids, filters, max_results, next_token } = call.input()?;
    let ask = Ask { ids, filters, max_results, next_token };
    let kind = Kind {
        noun: &INTERFACE,
        filters: &[
            "addresses.private-ip-address",
            "attachment.instance-id",
            "availability-zone",
            "description",
            "group-id",
            "interface-type",
            "network-interface-id",
            "owner-id",
            "private-ip-address",
            "requester-id",
            "requester-managed",
            "status",
            "subnet-id",
            "vpc-id",
        ],
        id: |interface: &Interface| &interface.id,
        created: |interface| Some(interface.created),
    };
    let mine = tx.interfaces.values().filter(|i| i.scope == call.scope && i.exists(call.now));
    let page = kind.list(tx, call, &ask, mine, |interface, name| match name {
        "addresses.private-ip-address" | "private-ip-address" => one(interface.address),
        "attachment.instance-id" if !managed(interface) => one(&interface.owner),
        "availability-zone" => one(&interface.zone),
        "description" => one(&interface.description),
        "group-id" => interface.groups.clone(),
        "interface-type" => one(&interface.kind),
        "network-interface-id" => one(&interface.id),
        "owner-id" => one(&interface.scope.account),
        "requester-id" => requester(interface).map(one).unwrap_or_default(),
        "requester-managed" => one(managed(interface)),
        "status" => one("in-use"),
        "subnet-id" => one(&interface.subnet),
        "vpc-id" => one(&interface.vpc),
        _ => Vec::new(),
    })?;
    let interfaces: Vec<Value> = page.items.iter().map(|interface| show(tx, interface)).collect();
    Ok(json!({"NetworkInterfaces": interfaces, "NextToken": page.next}))
}

fn managed(interface: &Interface) -> bool {
    interface.kind != "interface"
}

fn requester(interface: &Interface) -> Option<&'static str> {
    match interface.kind.as_str() {
        "network_load_balancer" => Some("amazon-elb"),
        "vpc_endpoint" => Some("727180483921"),
        _ => None,
    }
}

fn show(tx: &Tx, interface: &Interface) -> Value {
    let groups: Vec<Value> = interface
        .groups
        .iter()
        .filter_map(|id| tx.groups.get(id))
        .map(|group| json!({"GroupId": group.id, "GroupName": group.name}))
        .collect();
    let attachment = if managed(interface) {
        json!({
            "AttachmentId": interface.id.replacen("eni-", "ela-attach-", 1),
            "DeleteOnTermination": false,
            "DeviceIndex": 1,
            "InstanceOwnerId": "amazon-aws",
            "Status": "attached",
        })
    } else {
        json!({
            "AttachmentId": interface.id.replacen("eni-", "eni-attach-", 1),
            "AttachTime": wire_time(interface.created),
            "DeleteOnTermination": true,
            "DeviceIndex": 0,
            "InstanceId": interface.owner,
            "InstanceOwnerId": interface.scope.account,
            "Status": "attached",
        })
    };
    let address = interface.address.to_string();
    json!({
        "NetworkInterfaceId": interface.id,
        "Attachment": attachment,
        "AvailabilityZone": interface.zone,
        "Description": interface.description,
        "Groups": groups,
        "InterfaceType": interface.kind,
        "Ipv6Addresses": [],
        "OwnerId": interface.scope.account,
        "PrivateIpAddress": address,
        "PrivateIpAddresses": [{"Primary": true, "PrivateIpAddress": address}],
        "RequesterId": requester(interface),
        "RequesterManaged": managed(interface),
        "SourceDestCheck": !managed(interface),
        "Status": "in-use",
        "SubnetId": interface.subnet,
        "VpcId": interface.vpc,
        "TagSet": shown(tx, &interface.id),
    })
}
