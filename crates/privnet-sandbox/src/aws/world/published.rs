//! The public images of the default world, and the parameters that name them.
//!
//! Debian's, Canonical's and Amazon's accounts and names as they document them: Debian wiki "Cloud/AmazonEC2Image", Ubuntu on AWS
//! "Find Ubuntu images with SSM", Amazon Linux 2023 user guide "Launching AL2023 using the SSM parameter".

use jiff::Timestamp;

use super::compute::{Image, Parameter, parameter_key};
use crate::frame::Table;

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
