//! The image of forwarder machines, checked at plan: whether it is there, and whether it can run a forwarder.
//!
//! Nothing is installed at boot, so the image must hold nftables and Python. What Canonical's server images are made with is known; into
//! others nobody can look from outside, which is said. No published image has been looked into.

use privnet_core::Error;
use privnet_core::execute::Context;
use privnet_core::spec::azure::AzureMade;
use privnet_forwarder::ImageDoubt;
use serde::{Deserialize, Serialize};

use crate::arm::{Arm, Json, Target, concerns_everything, is_foreign, is_gone, text};

/// The image where the file names none. It is made with nftables and Python, and gets its updates from Canonical's mirror in Azure.
pub(crate) const DEFAULT: &str = "Canonical:ubuntu-24_04-lts:server:latest";

/// Offers whose images are made with what a forwarder needs, by publisher and the beginning of the offer's name; the minimal ones among
/// them are not.
const FIT: [(&str, &str); 4] = [
    ("canonical", "ubuntu-24_04"),
    ("canonical", "ubuntu-25"),
    ("canonical", "ubuntu-26_04"),
    ("canonical", "0001-com-ubuntu-server-jammy"),
];
/// Offers that are too old for it: nftables or Python of their releases lack what the forwarder uses.
const TOO_OLD: [(&str, &str); 6] = [
    ("canonical", "ubuntuserver"),
    ("canonical", "0001-com-ubuntu-server-bionic"),
    ("canonical", "0001-com-ubuntu-server-focal"),
    ("debian", "debian-10"),
    ("debian", "debian-11"),
    ("credativ", "debian"),
];

/// What was seen of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Seen {
    /// It may not be looked at.
    Hidden,
    /// ARM makes nothing of its name.
    Unclear { why: String },
    /// It is not there.
    Missing,
    /// It is there, with its operating system where that is told.
    There { system: Option<String> },
}

/// The image of a service's forwarders, if it has any.
pub(crate) fn of(made: &AzureMade) -> Option<&str> {
    made.forwarder.as_ref().map(|forwarder| forwarder.image.as_deref().unwrap_or(DEFAULT))
}

/// Looks for an image in a location.
///
/// # Errors
/// What ARM answered, where that concerns more than this image: another service's is not to suffer for it.
pub(crate) async fn look(
    arm: &Arm,
    context: &Context,
    subscription: &str,
    location: &str,
    image: &str,
) -> Result<Seen, Error> {
    let Some(path) = path(subscription, location, image) else { return Ok(Seen::Hidden) };
    let target = Target::of(path);
    let found = if target.path.ends_with("/versions") {
        arm.array(context, &target).await
    } else {
        arm.get(context, &target).await
    };
    match found {
        Ok(found) => Ok(Seen::There { system: system(&found).map(str::to_owned) }),
        Err(error) if is_foreign(&error) => Ok(Seen::Hidden),
        Err(error) if is_gone(&error) => Ok(Seen::Missing),
        Err(error) if !concerns_everything(&error) => Ok(Seen::Unclear { why: error.to_string() }),
        Err(error) => Err(error),
    }
}

/// Where an image is read: one of the marketplace by its version, or the list of its versions where the file says `latest`; one by
/// id where it is.
fn path(subscription: &str, location: &str, image: &str) -> Option<String> {
    if image.starts_with('/') {
        return Some(image.to_owned());
    }
    let mut parts = image.split(':');
    let (publisher, offer, sku, version) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let versions = format!(
        "/subscriptions/{subscription}/providers/Microsoft.Compute/locations/{location}/publishers/{publisher}/artifacttypes/vmimage/offers/{offer}/skus/{sku}/versions"
    );
    Some(if version.eq_ignore_ascii_case("latest") { versions } else { format!("{versions}/{version}") })
}

/// The operating system that an image tells of: one of the marketplace, of a gallery, or a managed one.
fn system(image: &Json) -> Option<&str> {
    ["properties.osDiskImage.operatingSystem", "properties.osType", "properties.storageProfile.osDisk.osType"]
        .iter()
        .find_map(|path| text(image, path))
}

/// Why an image cannot be used, if it cannot.
pub(crate) fn problem(image: &str, location: &str, seen: &Seen) -> Option<String> {
    if is_of(image, &TOO_OLD) {
        return Some(format!(
            "the image {image} is too old for a forwarder: it needs Ubuntu 22.04 or later, or Debian 12 or later with nftables put in"
        ));
    }
    match seen {
        Seen::Missing if image.starts_with('/') => Some(format!("the image {image} is not there")),
        Seen::Missing => {
            let mut parts = image.split(':');
            let (publisher, offer) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            Some(format!(
                "the image {image} is not there in {location}; `az vm image list --all -l {location} -p {publisher} -f {offer}` \
                 shows what is"
            ))
        }
        Seen::There { system: Some(system) } if !system.eq_ignore_ascii_case("linux") => {
            Some(format!("the image {image} runs {system}, and a forwarder needs Linux"))
        }
        Seen::Unclear { why } => Some(format!("the image {image} cannot be looked at: {why}")),
        Seen::There { .. } | Seen::Hidden => None,
    }
}

/// What cannot be known of an image, if there is something.
pub(crate) fn doubt(image: &str, seen: &Seen) -> Option<String> {
    // A minimal one has an offer of its own, or is a SKU of the release's: `ubuntu-24_04-lts:minimal`.
    let doubt = if is_of(image, &[("canonical", "")]) && image.to_lowercase().contains("minimal") {
        ImageDoubt::Minimal
    } else if is_of(image, &FIT) {
        return None;
    } else if is_of(image, &[("debian", "")]) {
        ImageDoubt::Debian
    } else if *seen == Seen::Hidden {
        ImageDoubt::Unread
    } else {
        ImageDoubt::Unknown
    };
    Some(doubt.of(image))
}

fn is_of(image: &str, offers: &[(&str, &str)]) -> bool {
    let lower = image.to_lowercase();
    let mut parts = lower.split(':');
    let (publisher, offer) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    offers.iter().any(|(p, o)| publisher == *p && offer.starts_with(o))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(system: &str) -> Seen {
        Seen::There { system: Some(system.to_owned()) }
    }

    #[test]
    fn what_cannot_run_a_forwarder_is_refused_and_what_is_unknown_is_said() {
        let listed = Seen::There { system: None };
        assert_eq!((problem(DEFAULT, "eastus2", &listed), doubt(DEFAULT, &listed)), (None, None));
        for (image, seen, word) in [
            ("Canonical:0001-com-ubuntu-server-focal:20_04-lts:latest", &listed, "too old"),
            ("Canonical:ubuntu-24_04-lts:sever:latest", &Seen::Missing, "az vm image list"),
            ("Contoso:appliance:one:1.0", &there("Windows"), "needs Linux"),
            ("/nonsense", &Seen::Unclear { why: "no such provider".to_owned() }, "no such provider"),
            (
                "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/x",
                &Seen::Missing,
                "not there",
            ),
        ] {
            assert!(problem(image, "eastus2", seen).unwrap().contains(word), "{image}");
        }
        for (image, word) in [
            ("RedHat:RHEL:9-lvm-gen2:latest", "cannot be looked into"),
            ("Debian:debian-12:12-gen2:latest", "Debian's own"),
            ("debian:debian-13-daily:13:latest", "Debian's own"),
            ("Canonical:ubuntu-24_04-lts:minimal-arm64:latest", "a minimal one"),
            ("Canonical:0001-com-ubuntu-minimal-jammy:minimal-22_04-lts-gen2:latest", "a minimal one"),
        ] {
            assert!(doubt(image, &listed).unwrap().contains(word), "{image}");
        }
        for known in [
            "Canonical:ubuntu-24_04-lts:server-arm64:latest",
            "canonical:0001-com-ubuntu-server-jammy:22_04-lts:latest",
        ] {
            assert_eq!(doubt(known, &listed), None);
        }
        assert!(
            doubt("/CommunityGalleries/x/Images/y", &Seen::Hidden).unwrap().contains("could not be read")
        );
        assert_eq!(problem("RedHat:RHEL:9-lvm-gen2:latest", "eastus2", &listed), None);
    }

    /// One service's image is that service's matter, and the subscription's other services are planned for all the same.
    #[tokio::test]
    async fn a_name_that_arm_makes_nothing_of_is_a_finding_and_no_failure() {
        use crate::arm::fake::{Script, context};
        let refused = serde_json::json!({"error": {"code": "InvalidResourceType", "message": "m"}});
        let (arm, _) = Script::arm(vec![(400, vec![], refused)]);
        let image = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/x/y/z";
        let seen = look(&arm, &context(), "s", "eastus2", image).await.unwrap();
        assert!(problem(image, "eastus2", &seen).unwrap().contains("InvalidResourceType"), "{seen:?}");
        let denied = serde_json::json!({"error": {"code": "ExpiredAuthenticationToken", "message": "m"}});
        let (arm, _) = Script::arm(vec![(401, vec![], denied)]);
        assert!(look(&arm, &context(), "s", "eastus2", image).await.is_err(), "that concerns all");
    }

    #[test]
    fn each_form_is_read_where_it_is() {
        let at = |image| path("s", "eastus2", image);
        assert!(at(DEFAULT).unwrap().ends_with("/offers/ubuntu-24_04-lts/skus/server/versions"));
        assert!(at("p:o:s:1.2.3").unwrap().ends_with("/skus/s/versions/1.2.3"));
        let id = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/galleries/x/images/y";
        assert_eq!(at(id).as_deref(), Some(id));
        assert_eq!(system(&serde_json::json!({"properties": {"osType": "Linux"}})), Some("Linux"));
    }
}
