//! Machine images: public ones, read only.
//!
//! Source: API reference of DescribeImages.

use serde::Deserialize;
use serde_json::{Value, json};

use super::listing::{Ask, Kind, Noun, one};
use super::tagging::shown;
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::filter::Filters;
use crate::aws::ids::well_formed;
use crate::aws::world::{Image, wire_time};

const IMAGE: Noun = Noun {
    prefix: "ami",
    what: "image id",
    missing: "InvalidAMIID.NotFound",
    malformed: "InvalidAMIID.Malformed",
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    #[serde(default)]
    image_ids: Vec<String>,
    #[serde(default)]
    owners: Vec<String>,
    #[serde(default)]
    executable_users: Vec<String>,
    #[serde(default)]
    filters: Filters,
    max_results: Option<usize>,
    next_token: Option<String>,
}

const FILTERS: [&str; 13] = [
    "architecture",
    "creation-date",
    "description",
    "image-id",
    "image-type",
    "is-public",
    "name",
    "owner-alias",
    "owner-id",
    "platform-details",
    "root-device-type",
    "state",
    "virtualization-type",
];

pub(super) fn describe(tx: &mut Tx, call: &Call) -> Reply {
    let Describe { image_ids: ids, owners, executable_users, filters, max_results, next_token } =
        call.input()?;
    let there = |image: &&Image| image.region == call.scope.region && image.deregistered.is_none();
    if let Some(id) = ids.iter().find(|id| tx.image(&call.scope.region, id).is_none()) {
        // EC2 words this one in its own way.
        return Err(match well_formed(id, IMAGE.prefix) {
            true => ApiError::new(IMAGE.missing, format!("The image id '[{id}]' does not exist")),
            false => IMAGE.error(id),
        });
    }
    let meant = |image: &&Image| {
        let by = |owner: &String| match owner.as_str() {
            "self" => image.owner == call.scope.account,
            alias @ ("amazon" | "aws-marketplace" | "aws-backup-vault") => {
                image.owner_alias.as_deref() == Some(alias)
            }
            account => image.owner == account,
        };
        // Every image here is public.
        (owners.is_empty() || owners.iter().any(by))
            && (executable_users.is_empty() || executable_users.iter().any(|user| user == "all"))
    };
    let ask = Ask { ids, filters, max_results, next_token };
    let kind = Kind { noun: &IMAGE, filters: &FILTERS, id: |image: &Image| &image.id, created: |_| None };
    let mine = tx.images.values().filter(there).filter(meant);
    let page = kind.list(tx, call, &ask, mine, |image, name| match name {
        "architecture" => one(&image.architecture),
        "creation-date" => one(wire_time(image.created)),
        "description" => one(&image.description),
        "image-id" => one(&image.id),
        "image-type" => one("machine"),
        "is-public" => one(true),
        "name" => one(&image.name),
        "owner-alias" => image.owner_alias.iter().cloned().collect(),
        "owner-id" => one(&image.owner),
        "platform-details" => one("Linux/UNIX"),
        "root-device-type" => one("ebs"),
        "state" => one("available"),
        _ => one("hvm"),
    })?;
    let images: Vec<Value> = page.items.iter().map(|image| show(tx, image)).collect();
    Ok(json!({"Images": images, "NextToken": page.next}))
}

fn show(tx: &Tx, image: &Image) -> Value {
    let parameter = tx.parameters.values().find(|p| p.images.last() == Some(&image.id));
    json!({
        "ImageId": image.id,
        "Name": image.name,
        "Description": image.description,
        "OwnerId": image.owner,
        "ImageOwnerAlias": image.owner_alias,
        "ImageLocation": format!("{}/{}", image.owner_alias.as_ref().unwrap_or(&image.owner), image.name),
        "Public": true,
        "State": "available",
        "Architecture": image.architecture,
        "CreationDate": wire_time(image.created),
        "ImageType": "machine",
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
        "BootMode": "uefi-preferred",
        "EnaSupport": true,
        "SriovNetSupport": "simple",
        "Hypervisor": "xen",
        "ImdsSupport": "v2.0",
        "RootDeviceName": image.root_device,
        "RootDeviceType": "ebs",
        "VirtualizationType": "hvm",
        "BlockDeviceMappings": [{
            "DeviceName": image.root_device,
            "Ebs": {
                "DeleteOnTermination": true,
                "Encrypted": false,
                "SnapshotId": image.id.replacen("ami-", "snap-", 1),
                "VolumeSize": image.root_size,
                "VolumeType": "gp3",
            },
        }],
        "PublicSsmParameterName": parameter.map(|parameter| &parameter.name),
        "Tags": shown(tx, &image.id),
    })
}
