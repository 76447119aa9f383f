//! The image of forwarder machines, checked at plan: whether it is there, of the right processor, and of a system that can run one.
//!
//! Nothing is installed at boot, so the image must hold cloud-init, nftables and Python. What Canonical's server images are made with is
//! known; into others nobody can look from outside, which is said. No published image has been looked into.

use privnet_core::spec::gcp::{GcpForm, GcpForwarder, GcpService};
use privnet_core::{Error, ErrorKind};
use privnet_forwarder::ImageDoubt;
use serde::{Deserialize, Serialize};

use crate::buckets::Group;
use crate::cloud::Cloud;
use crate::collection::whole;
use crate::json::{Json, list, text};
use crate::path;

/// The image where the file names none. It is made with cloud-init, nftables and Python, and gets its updates from Canonical's mirror in
/// Google Cloud.
const DEFAULT: &str = "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64";
/// Google's projects of images, whose licenses tell the system (<https://cloud.google.com/compute/docs/images/os-details>), and why
/// the system cannot do the work.
const UNFIT: [(&str, &str); 4] = [
    ("debian-cloud", "Google's Debian images have no cloud-init"),
    ("cos-cloud", "Container-Optimized OS has no Python"),
    ("windows-cloud", "a forwarder needs Linux"),
    ("windows-sql-cloud", "a forwarder needs Linux"),
];
/// Canonical's project of images.
const CANONICAL: &str = "ubuntu-os-cloud";
/// Licenses of systems whose images are made with what a forwarder needs, by the beginning of their names; Canonical's images and families
/// are called so, too. A minimal one's begins with `ubuntu-minimal-`.
const FIT: [&str; 3] = ["ubuntu-2204", "ubuntu-2404", "ubuntu-2604"];
/// Systems that are too old for it: nftables or Python of their releases lack what the forwarder uses.
const TOO_OLD: [&str; 3] = ["ubuntu-1604", "ubuntu-1804", "ubuntu-2004"];
/// Series of machine types with Arm processors (<https://cloud.google.com/compute/docs/instances/arm-on-compute>).
const ARM: [&str; 4] = ["t2a", "c4a", "n4a", "a4x"];

/// What was seen of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Seen {
    /// It may not be looked at.
    Hidden,
    /// It is not there, or nothing of its family is.
    Missing,
    There(Image),
}

/// What an image tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Image {
    pub(crate) status: String,
    /// `X86_64` or `ARM64`; empty where it is not told.
    pub(crate) architecture: String,
    /// The licenses of what is in it, by project and name: `ubuntu-os-cloud/ubuntu-2404-lts`. One that is made of another keeps that
    /// one's.
    pub(crate) licenses: Vec<String>,
}

/// The image of a service's forwarders, as a path.
pub(crate) fn of(forwarder: &GcpForwarder) -> String {
    forwarder.image.as_deref().map_or_else(|| DEFAULT.to_owned(), path::of)
}

/// The same of a service, where it has forwarders.
pub(crate) fn of_service(gcp: &GcpService) -> Option<String> {
    let GcpForm::Made(made) = &gcp.form else { return None };
    let (forwarder, _) = crate::forwarders::of(made)?;
    Some(of(forwarder))
}

/// Looks for an image, or for the newest of a family.
///
/// # Errors
/// What Compute Engine answered, where that is neither "not there" nor "not yours".
pub(crate) async fn look(cloud: &Cloud<'_>, image: &str) -> Result<Seen, Error> {
    let (project, name) = (path::after(image, "projects").unwrap_or_default(), path::name(image));
    let images = &cloud.clients.images;
    let family = image.contains("/images/family/");
    let method = if family { "images.getFromFamily" } else { "images.get" };
    let sent = cloud.call(Group::Read, project, method, name, || async {
        if family {
            whole(Box::pin(images.get_from_family().set_project(project).set_family(name).send()).await?)
        } else {
            whole(Box::pin(images.get().set_project(project).set_image(name).send()).await?)
        }
    });
    match sent.await {
        Ok(found) => Ok(Seen::There(read(&found))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Seen::Missing),
        Err(error) if error.kind() == ErrorKind::Denied => Ok(Seen::Hidden),
        Err(error) => Err(error),
    }
}

fn read(image: &Json) -> Image {
    let word = |key| text(image, key).unwrap_or_default().to_owned();
    let license = |url: &Json| {
        let url = url.as_str()?;
        Some(format!("{}/{}", path::after(url, "projects")?, path::name(url)))
    };
    Image {
        status: word("status"),
        architecture: word("architecture"),
        licenses: list(image, "licenses").iter().filter_map(license).collect(),
    }
}

/// Why an image cannot be used for machines of this size, if it cannot.
pub(crate) fn problem(image: &str, size: &str, seen: &Seen) -> Option<String> {
    let projects = |seen: &Seen| -> Vec<String> {
        let own = path::after(image, "projects").map(str::to_owned);
        own.into_iter().chain(of_licenses(seen, |project, _| project.to_owned())).collect()
    };
    let unfit = UNFIT.iter().find(|(unfit, _)| projects(seen).iter().any(|project| project == unfit));
    if let Some((_, why)) = unfit {
        return Some(format!(
            "the image {image} cannot be a forwarder's: {why}; take one with cloud-init, nftables and Python 3, such as {DEFAULT}"
        ));
    }
    let family = path::name(image).to_owned();
    let systems = std::iter::once(family).chain(of_licenses(seen, |_, name| name.to_owned()));
    if is_any(systems, &TOO_OLD) {
        return Some(format!("the image {image} is too old for a forwarder: it needs Ubuntu 22.04 or later"));
    }
    let found = match seen {
        Seen::Hidden => return None,
        Seen::Missing => return Some(format!("the image {image} is not there")),
        Seen::There(found) => found,
    };
    let arm = ARM.iter().any(|series| size.split('-').next() == Some(series));
    let wanted = if arm { "ARM64" } else { "X86_64" };
    if !["", "ARCHITECTURE_UNSPECIFIED", wanted].contains(&found.architecture.as_str()) {
        return Some(format!("the image {image} is for {}, and {size} is {wanted}", found.architecture));
    }
    let ready = found.status.is_empty() || found.status == "READY";
    (!ready).then(|| format!("the image {image} is {}", found.status))
}

/// What cannot be known of an image, if there is something.
pub(crate) fn doubt(image: &str, seen: &Seen) -> Option<String> {
    let canonicals = path::after(image, "projects") == Some(CANONICAL);
    let own = canonicals.then(|| path::name(image).to_owned());
    let systems: Vec<String> = of_licenses(seen, |_, name| name.to_owned()).chain(own).collect();
    let doubt = if is_any(systems.iter().cloned(), &["ubuntu-minimal-"]) {
        ImageDoubt::Minimal
    } else if is_any(systems.into_iter(), &FIT) {
        return None;
    } else if *seen == Seen::Hidden {
        ImageDoubt::Unread
    } else {
        ImageDoubt::Unknown
    };
    Some(doubt.of(image))
}

fn of_licenses<'s>(
    seen: &'s Seen,
    part: impl Fn(&str, &str) -> String + 's,
) -> impl Iterator<Item = String> + 's {
    let licenses = match seen {
        Seen::There(found) => found.licenses.as_slice(),
        Seen::Hidden | Seen::Missing => &[],
    };
    licenses
        .iter()
        .filter_map(move |license| license.split_once('/').map(|(project, name)| part(project, name)))
}

fn is_any(systems: impl Iterator<Item = String>, begin: &[&str]) -> bool {
    systems.into_iter().any(|system| begin.iter().any(|begin| system.starts_with(begin)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(architecture: &str, licenses: &[&str]) -> Seen {
        Seen::There(Image {
            status: "READY".to_owned(),
            architecture: architecture.to_owned(),
            licenses: licenses.iter().map(|license| (*license).to_owned()).collect(),
        })
    }

    #[test]
    fn what_cannot_run_a_forwarder_is_refused_and_what_is_unknown_is_said() {
        let ubuntu = there("X86_64", &["ubuntu-os-cloud/ubuntu-2404-lts"]);
        assert_eq!((problem(DEFAULT, "e2-small", &ubuntu), doubt(DEFAULT, &ubuntu)), (None, None));
        let own = "projects/acme-data/global/images/golden";
        for (image, size, seen, word) in [
            (
                "projects/debian-cloud/global/images/family/debian-12",
                "e2-small",
                there("X86_64", &[]),
                "cloud-init",
            ),
            (
                "projects/cos-cloud/global/images/family/cos-stable",
                "e2-small",
                there("X86_64", &[]),
                "Python",
            ),
            (own, "e2-small", there("X86_64", &["windows-cloud/windows-server-2022-dc"]), "needs Linux"),
            (own, "e2-small", there("X86_64", &["ubuntu-os-cloud/ubuntu-2004-lts"]), "too old"),
            (own, "e2-small", there("ARM64", &[]), "is for ARM64, and e2-small is X86_64"),
            (own, "t2a-standard-1", ubuntu.clone(), "is for X86_64, and t2a-standard-1 is ARM64"),
            (own, "e2-small", Seen::Missing, "is not there"),
        ] {
            let why = problem(image, size, &seen).expect(word);
            assert!(why.contains(word), "{why}");
        }
        assert_eq!(problem(own, "c4a-standard-1", &there("ARM64", &[])), None);
        assert_eq!(doubt(own, &ubuntu), None, "it is made of one that is known");
        assert!(doubt(own, &there("X86_64", &[])).expect("a doubt").contains("python3"));
        let canonicals = "projects/ubuntu-os-cloud/global/images";
        assert_eq!(doubt(&format!("{canonicals}/ubuntu-2204-jammy-v20250712"), &Seen::Hidden), None);
        let minimal = there("X86_64", &["ubuntu-os-cloud/ubuntu-minimal-2404-lts"]);
        for (image, seen) in [
            (format!("{canonicals}/family/ubuntu-minimal-2404-lts-amd64"), &minimal),
            (format!("{canonicals}/ubuntu-minimal-2404-noble-amd64-v20241004"), &Seen::Hidden),
            (own.to_owned(), &minimal),
        ] {
            assert!(doubt(&image, seen).expect("a doubt").contains("a minimal one"), "{image}");
        }
        assert!(doubt(own, &Seen::Hidden).expect("a doubt").contains("could not be read"));
    }

    #[test]
    fn licenses_are_known_by_project_and_name() {
        let license =
            "https://www.googleapis.com/compute/v1/projects/ubuntu-os-cloud/global/licenses/ubuntu-2404-lts";
        let found =
            read(&serde_json::json!({ "status": "READY", "architecture": "ARM64", "licenses": [license] }));
        assert_eq!(Seen::There(found), there("ARM64", &["ubuntu-os-cloud/ubuntu-2404-lts"]));
    }
}
