//! Instances: read and terminated. Auto Scaling groups launch them.
//!
//! Sources: API reference of DescribeInstances, TerminateInstances; EC2 user guide, "Instance lifecycle".

use serde::Deserialize;
use serde_json::{Value, json};

use super::listing::{Ask, Kind, Noun, one};
use super::tagging::shown;
use crate::aws::call::{Call, Tx};
use crate::aws::error::Reply;
use crate::aws::filter::Filters;
use crate::aws::world::{Instance, World, wire_time};

const INSTANCE: Noun = Noun {
    prefix: "i",
    what: "instance ID",
    missing: "InvalidInstanceID.NotFound",
    malformed: "InvalidInstanceID.Malformed",
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    #[serde(default)]
    instance_ids: Vec<String>,
    #[serde(default)]
    filters: Filters,
    max_results: Option<usize>,
    next_token: Option<String>,
}

pub(super) fn describe_instances(tx: &mut Tx, call: &Call) -> Reply {
    let Describe { instance_ids: ids, filters, max_results, next_token } = call.input()?;
    let ask = Ask { ids, filters, max_results, next_token };
    let kind = Kind {
        noun: &INSTANCE,
        filters: &[
            "availability-zone",
            "image-id",
            "instance-id",
            "instance-state-code",
            "instance-state-name",
            "instance-type",
            "instance.group-id",
            "network-interface.network-interface-id",
            "owner-id",
            "private-ip-address",
            "subnet-id",
            "vpc-id",
        ],
        id: |instance: &Instance| &instance.id,
        created: |instance| Some(instance.launched),
    };
    let mine = tx
        .instances
        .values()
        .filter(|instance| instance.scope == call.scope && instance.state(call.now).is_some());
    let state = |instance: &Instance| instance.state(call.now).unwrap_or((48, "terminated"));
    let page = kind.list(tx, call, &ask, mine, |instance, name| match name {
        "availability-zone" => one(&instance.zone),
        "image-id" => one(&instance.launch.image),
        "instance-state-code" => one(state(instance).0),
        "instance-state-name" => one(state(instance).1),
        "instance-type" => one(&instance.launch.instance_type),
        "instance.group-id" => instance.groups.clone(),
        "network-interface.network-interface-id" => one(&instance.interface),
        "owner-id" => one(&instance.scope.account),
        "private-ip-address" => one(instance.address),
        "subnet-id" => one(&instance.subnet),
        "vpc-id" => one(&instance.vpc),
        _ => one(&instance.id),
    })?;
    let reservation = |instance: &&Instance| {
        json!({
            "ReservationId": instance.id.replacen("i-", "r-", 1),
            "OwnerId": instance.scope.account,
            "Groups": [],
            "Instances": [show(tx, call, instance)],
        })
    };
    Ok(
        json!({"Reservations": page.items.iter().map(reservation).collect::<Vec<_>>(), "NextToken": page.next}),
    )
}

fn show(tx: &Tx, call: &Call, instance: &Instance) -> Value {
    let groups: Vec<Value> = instance
        .groups
        .iter()
        .filter_map(|id| tx.groups.get(id))
        .map(|group| json!({"GroupId": group.id, "GroupName": group.name}))
        .collect();
    let (launch, (code, state)) = (&instance.launch, instance.state(call.now).unwrap_or((48, "terminated")));
    let mut shown = json!({
        "InstanceId": instance.id,
        "ImageId": launch.image,
        "InstanceType": launch.instance_type,
        "Architecture": launch.architecture,
        "AmiLaunchIndex": 0,
        "LaunchTime": wire_time(instance.launched),
        "Placement": {"AvailabilityZone": instance.zone, "GroupName": "", "Tenancy": "default"},
        "PublicDnsName": "",
        "State": {"Code": code, "Name": state},
        "EbsOptimized": true,
        "Hypervisor": "xen",
        "RootDeviceName": launch.root_device,
        "RootDeviceType": "ebs",
        "Monitoring": {"State": "disabled"},
        "VirtualizationType": "hvm",
        "MetadataOptions": launch.metadata,
        "Tags": shown(tx, &instance.id),
    });
    if state == "terminated" {
        // A terminated instance has no place in a network.
        shown["StateTransitionReason"] = json!("User initiated");
        return shown;
    }
    let address = instance.address.to_string();
    let name = format!("ip-{}.ec2.internal", address.replace('.', "-"));
    let public = launch.public_address.map(|address| address.to_string());
    let interface = json!({
        "NetworkInterfaceId": instance.interface,
        "OwnerId": instance.scope.account,
        "PrivateDnsName": name,
        "PrivateIpAddress": address,
        "PrivateIpAddresses": [{"Primary": true, "PrivateIpAddress": address, "PrivateDnsName": name}],
        "Association": public.as_ref().map(|public| json!({"IpOwnerId": "amazon", "PublicIp": public})),
        "SubnetId": instance.subnet,
        "VpcId": instance.vpc,
        "SourceDestCheck": true,
        "Status": "in-use",
        "Groups": groups,
    });
    for (member, value) in [
        ("PrivateDnsName", json!(name)),
        ("PrivateIpAddress", json!(address)),
        ("PublicIpAddress", json!(public)),
        ("SubnetId", json!(instance.subnet)),
        ("VpcId", json!(instance.vpc)),
        ("SecurityGroups", json!(groups)),
        ("SourceDestCheck", json!(true)),
        ("NetworkInterfaces", json!([interface])),
    ] {
        shown[member] = value;
    }
    shown
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Terminate {
    instance_ids: Vec<String>,
}

/// Terminating one that is terminated succeeds; one id that is not there fails the whole call.
pub(super) fn terminate_instances(tx: &mut Tx, call: &Call) -> Reply {
    let input: Terminate = call.input()?;
    let mine = |world: &World, id: &str| {
        world.instances.get(id).filter(|i| i.scope == call.scope).and_then(|i| i.state(call.now))
    };
    if let Some(id) = input.instance_ids.iter().find(|id| mine(tx, id).is_none()) {
        return Err(INSTANCE.error(id));
    }
    let mut changes = Vec::new();
    for id in &input.instance_ids {
        let before = mine(tx, id);
        tx.terminate_instance(id, call.now);
        let state =
            |state: Option<(i64, &str)>| state.map(|(code, name)| json!({"Code": code, "Name": name}));
        changes.push(json!({
            "InstanceId": id, "PreviousState": state(before), "CurrentState": state(mine(tx, id)),
        }));
    }
    Ok(json!({"TerminatingInstances": changes}))
}
