//! Which images are known to hold what a forwarder needs, by who published them and under which name. Pure. Whether an image is there and for
//! which processor is [`crate::forwarders::unfit`]'s.

use privnet_forwarder::ImageDoubt;

use crate::facts::Image;

/// Canonical's accounts: in the standard partition, in GovCloud and in China
/// (<https://documentation.ubuntu.com/aws/aws-how-to/instances/find-ubuntu-images/#ownership-verification>).
const CANONICAL: [&str; 3] = ["099720109477", "513442679011", "837727238323"];
/// Debian's account (<https://wiki.debian.org/Cloud/AmazonEC2Image>).
const DEBIAN: &str = "136693071363";
/// Releases whose server images hold what a forwarder needs, by the number and the word that names have.
const FIT: [(&str, &str); 3] = [("22.04", "jammy"), ("24.04", "noble"), ("26.04", "resolute")];

/// What a forwarder's machines are made from: an AMI id, which may have been looked up, or `resolve:ssm:` and the parameter of one. What is
/// behind a parameter can be changed by its owner at any time, so its name alone tells.
pub(crate) fn doubt(image: &str, seen: Option<&Image>) -> Option<ImageDoubt> {
    match image.strip_prefix("resolve:ssm:") {
        Some(parameter) => of_parameter(parameter),
        None => of_image(seen?),
    }
}

fn of_parameter(name: &str) -> Option<ImageDoubt> {
    if name.starts_with("/aws/service/debian/") {
        return Some(ImageDoubt::Debian);
    }
    let Some(ubuntu) = name.strip_prefix("/aws/service/canonical/ubuntu/") else {
        return Some(ImageDoubt::Unknown);
    };
    let (product, rest) = ubuntu.split_once('/').unwrap_or((ubuntu, ""));
    let release = rest.split('/').next().unwrap_or_default();
    let fits = FIT.iter().any(|(number, word)| [*number, *word].contains(&release));
    match product {
        "server" | "pro-server" if fits => None,
        product if product.contains("minimal") => Some(ImageDoubt::Minimal),
        _ => Some(ImageDoubt::Unknown),
    }
}

/// `ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260105`; whoever copies an image may give it such a name, so that the owner
/// counts, too.
fn of_image(image: &Image) -> Option<ImageDoubt> {
    if image.owner == DEBIAN {
        return Some(ImageDoubt::Debian);
    }
    let (folder, name) = image.name.rsplit_once('/').unwrap_or(("", &image.name));
    if !CANONICAL.contains(&image.owner.as_str()) {
        return Some(ImageDoubt::Unknown);
    }
    if name.contains("-minimal-") {
        return Some(ImageDoubt::Minimal);
    }
    let published =
        ["ubuntu/images/", "ubuntu-pro-server/images/"].iter().any(|start| folder.starts_with(start));
    let fits = FIT.iter().any(|(number, word)| name.starts_with(&format!("ubuntu-{word}-{number}-")));
    (!(published && fits && name.contains("-server-"))).then_some(ImageDoubt::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(owner: &str, name: &str) -> Option<ImageDoubt> {
        let image = Image { owner: owner.to_owned(), name: name.to_owned(), ..Image::default() };
        doubt("ami-1", Some(&image))
    }

    #[test]
    fn a_parameters_name_tells_what_is_behind_it() {
        let behind = |name: &str| doubt(&format!("resolve:ssm:{name}"), None);
        let ubuntu = "/aws/service/canonical/ubuntu";
        for known in ["server/24.04", "server/noble", "server/22.04", "pro-server/24.04"] {
            assert_eq!(
                behind(&format!("{ubuntu}/{known}/stable/current/amd64/hvm/ebs-gp3/ami-id")),
                None,
                "{known}"
            );
        }
        assert_eq!(behind(&format!("{ubuntu}/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id:2")), None);
        for (name, why) in [
            (
                format!("{ubuntu}/server-minimal/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"),
                ImageDoubt::Minimal,
            ),
            (format!("{ubuntu}/server/20.04/stable/current/amd64/hvm/ebs-gp2/ami-id"), ImageDoubt::Unknown),
            (format!("{ubuntu}/eks/24.04/1.31/stable/current/amd64/hvm/ebs-gp3/ami-id"), ImageDoubt::Unknown),
            ("/aws/service/debian/release/12/latest/amd64".to_owned(), ImageDoubt::Debian),
            (
                "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64".to_owned(),
                ImageDoubt::Unknown,
            ),
            ("/images/forwarder".to_owned(), ImageDoubt::Unknown),
        ] {
            assert_eq!(behind(&name), Some(why), "{name}");
        }
    }

    #[test]
    fn an_image_is_known_by_its_owner_and_name() {
        let noble = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260105";
        for owner in CANONICAL {
            assert_eq!(of(owner, noble), None, "{owner}");
        }
        let canonical = CANONICAL[0];
        assert_eq!(of(canonical, "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-arm64-server-20260105"), None);
        assert_eq!(of("111122223333", noble), Some(ImageDoubt::Unknown), "a copy by somebody else");
        for (name, why) in [
            (
                "ubuntu-minimal/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-minimal-20260105",
                ImageDoubt::Minimal,
            ),
            (
                "ubuntu-eks/k8s_1.34/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260105",
                ImageDoubt::Unknown,
            ),
            ("ubuntu/images/hvm-ssd/ubuntu-focal-20.04-amd64-server-20260105", ImageDoubt::Unknown),
            ("", ImageDoubt::Unknown),
        ] {
            assert_eq!(of(canonical, name), Some(why), "{name}");
        }
        assert_eq!(of(DEBIAN, "debian-12-amd64-20260105-2347"), Some(ImageDoubt::Debian));
        // Of one that was not looked up, or is not there, is spoken elsewhere.
        assert_eq!(doubt("ami-1", None), None);
    }
}
