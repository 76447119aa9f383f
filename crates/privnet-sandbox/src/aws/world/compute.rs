//! Machine images, the parameters that name them, and launch templates.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Scope, World};
use crate::aws::ids::fresh;

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
        if value == "gone"
            && image.deregistered.is_none()
            && let Some(image) = self.images.get_mut(id)
        {
            image.deregistered = Some(now);
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

/// The key of a parameter among those of all regions.
pub(super) fn parameter_key(region: &str, name: &str) -> String {
    format!("{region} {name}")
}
