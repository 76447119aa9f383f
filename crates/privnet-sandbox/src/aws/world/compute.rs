//! Machine images, the parameters that name them, and launch templates.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Scope, World};
use crate::aws::ids::fresh;
use crate::frame::Table;

/// A public machine image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Image {
    pub(crate) region: String,
    pub(crate) id: String,
    /// The publisher's account.
    pub(crate) owner: String,
    /// `amazon`, for the publisher that has an alias.
    pub(crate) owner_alias: Option<String>,
    pub(crate) name: String,
    pub(crate) description: String,
    /// `x86_64` or `arm64`.
    pub(crate) architecture: String,
    pub(crate) root_device: String,
    /// The size of its root disk, in GiB.
    pub(crate) root_size: i64,
    pub(crate) created: Timestamp,
    /// When its publisher took it away.
    pub(crate) deregistered: Option<Timestamp>,
}

/// A public parameter of Systems Manager: a name for the newest image of its kind, with the images that it named before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Parameter {
    pub(crate) region: String,
    pub(crate) name: String,
    /// Version n is the n-th image, counted from 1.
    pub(crate) images: Vec<String>,
}

/// A launch template.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LaunchTemplate {
    pub(crate) scope: Scope,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created_by: String,
    pub(crate) created: Timestamp,
    pub(crate) default_version: i64,
    /// The number that the last version got; numbers are not used twice.
    pub(crate) latest_version: i64,
    pub(crate) versions: BTreeMap<i64, TemplateVersion>,
}

/// A version of a launch template.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TemplateVersion {
    pub(crate) description: Option<String>,
    pub(crate) created_by: String,
    pub(crate) created: Timestamp,
    /// The published `LaunchTemplateData`, by member names; requests and answers have the same.
    pub(crate) data: Value,
}

impl LaunchTemplate {
    /// The version that `$Latest`, `$Default`, nothing or a number means.
    pub(crate) fn version(&self, wanted: Option<&str>) -> Option<(i64, &TemplateVersion)> {
        let number = match wanted.unwrap_or("$Default") {
            "$Default" => self.default_version,
            // Of the versions that are still there.
            "$Latest" => *self.versions.keys().next_back()?,
            number => number.parse().ok()?,
        };
        Some((number, self.versions.get(&number)?))
    }
}

/// The tag by which somebody tells the sandbox that a public image's publisher has done something.
pub(crate) const IMAGE_SWITCH: &str = "sandbox-image";

impl World {
    /// The image that a template's `ImageId` means in a region: an id, or `resolve:ssm:` and a parameter's name, with a
    /// version number if any.
    pub(crate) fn image_id(&self, region: &str, wanted: &str) -> Option<String> {
        let Some(parameter) = wanted.strip_prefix("resolve:ssm:") else { return Some(wanted.to_owned()) };
        let (name, version) = match parameter.split_once(':') {
            Some((name, version)) => (name, Some(version.parse::<usize>().ok()?)),
            None => (parameter, None),
        };
        let found = self.parameters.get(&parameter_key(region, name))?;
        match version {
            Some(version) => found.images.get(version.checked_sub(1)?).cloned(),
            None => found.images.last().cloned(),
        }
    }

    /// A machine image that is there.
    pub(crate) fn image(&self, region: &str, id: &str) -> Option<&Image> {
        self.images.get(id).filter(|image| image.region == region && image.deregistered.is_none())
    }

    /// Does what the switch on an image says: `newer` puts a newer build behind every name that led to it, `gone` takes it
    /// away. Both once.
    pub(crate) fn switch_image(&mut self, id: &str, value: &str, now: Timestamp) {
        let Some(image) = self.images.get(id).cloned() else { return };
        if value == "gone" && image.deregistered.is_none() {
            if let Some(image) = self.images.get_mut(id) {
                image.deregistered = Some(now);
            }
        }
        let led_to = |parameter: &Parameter| parameter.images.last().is_some_and(|last| last == id);
        if value == "newer" && self.parameters.values().any(led_to) {
            let newer = Image {
                id: fresh("ami"),
                name: format!("{}-{}", image.name, now.strftime("%Y%m%d%H%M%S")),
                created: now,
                ..image
            };
            self.parameters.update(led_to, |parameter| parameter.images.push(newer.id.clone()));
            self.images.insert(newer.id.clone(), newer);
        }
    }
}

fn parameter_key(region: &str, name: &str) -> String {
    format!("{region} {name}")
}

/// A kind of public image of the default world.
struct Published {
    owner: &'static str,
    owner_alias: Option<&'static str>,
    name: &'static str,
    description: &'static str,
    architecture: &'static str,
    root_device: &'static str,
    /// Eight hex digits of its ids.
    digits: &'static str,
    parameters: &'static [&'static str],
}

/// Debian's, Canonical's and Amazon's accounts, and the names that they document: Debian wiki "Cloud/AmazonEC2Image", Ubuntu on
/// AWS "Find Ubuntu images with SSM", Amazon Linux 2023 user guide "Launching AL2023 using the SSM parameter".
const PUBLISHED: [Published; 10] = [
    Published {
        owner: "136693071363",
        owner_alias: None,
        name: "debian-12-amd64-20260105-2347",
        description: "Debian 12 (20260105-2347)",
        architecture: "x86_64",
        root_device: "/dev/xvda",
        digits: "deb12086",
        parameters: &[
            "/aws/service/debian/release/12/latest/amd64",
            "/aws/service/debian/release/bookworm/latest/amd64",
        ],
    },
    Published {
        owner: "136693071363",
        owner_alias: None,
        name: "debian-12-arm64-20260105-2347",
        description: "Debian 12 (20260105-2347)",
        architecture: "arm64",
        root_device: "/dev/xvda",
        digits: "deb12064",
        parameters: &[
            "/aws/service/debian/release/12/latest/arm64",
            "/aws/service/debian/release/bookworm/latest/arm64",
        ],
    },
    Published {
        owner: "136693071363",
        owner_alias: None,
        name: "debian-13-amd64-20260105-2347",
        description: "Debian 13 (20260105-2347)",
        architecture: "x86_64",
        root_device: "/dev/xvda",
        digits: "deb13086",
        parameters: &[
            "/aws/service/debian/release/13/latest/amd64",
            "/aws/service/debian/release/trixie/latest/amd64",
        ],
    },
    Published {
        owner: "136693071363",
        owner_alias: None,
        name: "debian-13-arm64-20260105-2347",
        description: "Debian 13 (20260105-2347)",
        architecture: "arm64",
        root_device: "/dev/xvda",
        digits: "deb13064",
        parameters: &[
            "/aws/service/debian/release/13/latest/arm64",
            "/aws/service/debian/release/trixie/latest/arm64",
        ],
    },
    Published {
        owner: "099720109477",
        owner_alias: None,
        name: "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20260105",
        description: "Canonical, Ubuntu, 22.04, amd64 jammy image",
        architecture: "x86_64",
        root_device: "/dev/sda1",
        digits: "b2204086",
        parameters: &[
            "/aws/service/canonical/ubuntu/server/22.04/stable/current/amd64/hvm/ebs-gp2/ami-id",
            "/aws/service/canonical/ubuntu/server/jammy/stable/current/amd64/hvm/ebs-gp2/ami-id",
        ],
    },
    Published {
        owner: "099720109477",
        owner_alias: None,
        name: "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-arm64-server-20260105",
        description: "Canonical, Ubuntu, 22.04, arm64 jammy image",
        architecture: "arm64",
        root_device: "/dev/sda1",
        digits: "b2204064",
        parameters: &[
            "/aws/service/canonical/ubuntu/server/22.04/stable/current/arm64/hvm/ebs-gp2/ami-id",
            "/aws/service/canonical/ubuntu/server/jammy/stable/current/arm64/hvm/ebs-gp2/ami-id",
        ],
    },
    Published {
        owner: "099720109477",
        owner_alias: None,
        name: "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260105",
        description: "Canonical, Ubuntu, 24.04, amd64 noble image",
        architecture: "x86_64",
        root_device: "/dev/sda1",
        digits: "b2404086",
        parameters: &[
            "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
            "/aws/service/canonical/ubuntu/server/noble/stable/current/amd64/hvm/ebs-gp3/ami-id",
        ],
    },
    Published {
        owner: "099720109477",
        owner_alias: None,
        name: "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20260105",
        description: "Canonical, Ubuntu, 24.04, arm64 noble image",
        architecture: "arm64",
        root_device: "/dev/sda1",
        digits: "b2404064",
        parameters: &[
            "/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id",
            "/aws/service/canonical/ubuntu/server/noble/stable/current/arm64/hvm/ebs-gp3/ami-id",
        ],
    },
    Published {
        owner: "137112412989",
        owner_alias: Some("amazon"),
        name: "al2023-ami-2023.10.20260105.0-kernel-6.1-x86_64",
        description: "Amazon Linux 2023 AMI 2023.10.20260105.0 x86_64 HVM kernel-6.1",
        architecture: "x86_64",
        root_device: "/dev/xvda",
        digits: "a2023086",
        parameters: &["/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"],
    },
    Published {
        owner: "137112412989",
        owner_alias: Some("amazon"),
        name: "al2023-ami-2023.10.20260105.0-kernel-6.1-arm64",
        description: "Amazon Linux 2023 AMI 2023.10.20260105.0 arm64 HVM kernel-6.1",
        architecture: "arm64",
        root_device: "/dev/xvda",
        digits: "a2023064",
        parameters: &["/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"],
    },
];

/// When the default world's images were published.
const PUBLISHED_AT: i64 = 1_767_657_600;

/// The publishers' image id in the n-th region.
fn published_id(digits: &str, region: usize) -> String {
    format!("ami-0{digits}{region:08x}")
}

/// The default world's images, in every region that has networks.
pub(super) fn images() -> Table<Image> {
    let regions = super::ids::REGIONS.iter().enumerate();
    let all = regions.flat_map(|(n, region)| {
        PUBLISHED.iter().map(move |kind| {
            let image = Image {
                region: (*region).to_owned(),
                id: published_id(kind.digits, n),
                owner: kind.owner.to_owned(),
                owner_alias: kind.owner_alias.map(str::to_owned),
                name: kind.name.to_owned(),
                description: kind.description.to_owned(),
                architecture: kind.architecture.to_owned(),
                root_device: kind.root_device.to_owned(),
                root_size: 8,
                created: Timestamp::from_second(PUBLISHED_AT).unwrap_or_default(),
                deregistered: None,
            };
            (image.id.clone(), image)
        })
    });
    all.collect()
}

/// The names of the default world's images.
pub(super) fn parameters() -> Table<Parameter> {
    let mut out = Table::default();
    for (n, region) in super::ids::REGIONS.iter().enumerate() {
        for kind in &PUBLISHED {
            for name in kind.parameters {
                let parameter = Parameter {
                    region: (*region).to_owned(),
                    name: (*name).to_owned(),
                    images: vec![published_id(kind.digits, n)],
                };
                out.insert(parameter_key(region, name), parameter);
            }
        }
    }
    out
}
