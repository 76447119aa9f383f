//! Instances: read only.

use serde::Deserialize;
use serde_json::{Value, json};

use super::listing::{Ask, Kind, Noun, one};
use super::tagging::shown;
use crate::aws::call::{Call, Tx};
use crate::aws::error::Reply;
use crate::aws::filter::Filters;
use crate::aws::world::{Instance, wire_time};

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
            "instance-id",
            "instance-state-name",
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
    let mine = tx.instances.values().filter(|instance| instance.scope == call.scope);
    let page = kind.list(tx, call, &ask, mine, |instance, name| match name {
        "availability-zone" => one(&instance.zone),
        "instance-state-name" => one("running"),
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
            "Instances": [show(tx, instance)],
        })
    };
    Ok(
        json!({"Reservations": page.items.iter().map(reservation).collect::<Vec<_>>(), "NextToken": page.next}),
    )
}

fn show(tx: &Tx, instance: &Instance) -> Value {
    let groups: Vec<Value> = instance
        .groups
        .iter()
        .filter_map(|id| tx.groups.get(id))
        .map(|group| json!({"GroupId": group.id, "GroupName": group.name}))
        .collect();
    let address = instance.address.to_string();
    let name = format!("ip-{}.ec2.internal", address.replace('.', "-"));
    json!({
        "InstanceId": instance.id,
        "ImageId": "ami-0a1b2c3d4e5f60718",
        "InstanceType": "m7g.large",
        "Architecture": "arm64",
        "AmiLaunchIndex": 0,
        "LaunchTime": wire_time(instance.launched),
        "Placement": {"AvailabilityZone": instance.zone, "GroupName": "", "Tenancy": "default"},
        "PrivateDnsName": name,
        "PrivateIpAddress": address,
        "PublicDnsName": "",
        "State": {"Code": 16, "Name": "running"},
        "SubnetId": instance.subnet,
        "VpcId": instance.vpc,
        "SecurityGroups": groups,
        "EbsOptimized": true,
        "Hypervisor": "xen",
        "RootDeviceType": "ebs",
        "SourceDestCheck": true,
        "VirtualizationType": "hvm",
        "NetworkInterfaces": [{
            "NetworkInterfaceId": instance.interface,
            "OwnerId": instance.scope.account,
            "PrivateDnsName": name,
            "PrivateIpAddress": address,
            "SubnetId": instance.subnet,
            "VpcId": instance.vpc,
            "SourceDestCheck": true,
            "Status": "in-use",
            "Groups": groups,
        }],
        "Tags": shown(tx, &instance.id),
    })
}
