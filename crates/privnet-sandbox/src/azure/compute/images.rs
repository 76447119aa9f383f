//! The catalogue of platform images, as far as it is needed to make machines of them
//! (<https://learn.microsoft.com/rest/api/compute/virtual-machine-images>). It is the same in all locations.

use serde_json::{Value, json};

use crate::azure::error::ArmError;
use crate::azure::id::ArmPath;
use crate::azure::request::Cx;
use crate::frame::Answer;

/// Publisher, offer, sku, operating system, and versions with the newest first.
const CATALOGUE: [(&str, &str, &str, &str, &[&str]); 7] = [
    ("Canonical", "ubuntu-24_04-lts", "server", "Linux", &["24.04.202511100", "24.04.202510010"]),
    ("Canonical", "0001-com-ubuntu-server-jammy", "22_04-lts-gen2", "Linux", &["22.04.202511050"]),
    ("Canonical", "0001-com-ubuntu-server-focal", "20_04-lts-gen2", "Linux", &["20.04.202505200"]),
    ("Debian", "debian-12", "12-gen2", "Linux", &["0.20251112.2294"]),
    ("Debian", "debian-13", "13-gen2", "Linux", &["0.20251117.2299"]),
    ("RedHat", "RHEL", "9-lvm-gen2", "Linux", &["9.6.2025081513"]),
    (
        "MicrosoftWindowsServer",
        "WindowsServer",
        "2022-datacenter-azure-edition",
        "Windows",
        &["20348.4405.251112"],
    ),
];

/// The answer of the catalogue; nothing for any other path.
pub(crate) fn catalogue(cx: &Cx<'_>, path: &ArmPath) -> Option<Result<Answer, ArmError>> {
    let name = |index: usize, segment: &str| {
        let (found, name) = path.pairs.get(index)?;
        found.eq_ignore_ascii_case(segment).then_some(name.as_str())
    };
    let location = name(0, "locations")?;
    let (publisher, offer, sku) = (name(1, "publishers")?, name(3, "offers")?, name(4, "skus")?);
    if !name(2, "artifacttypes")?.eq_ignore_ascii_case("vmimage") {
        return None;
    }
    let not_found = || ArmError::new(404, "NotFound", "Artifact: VMImage was not found.");
    let Some((_, _, _, system, versions)) = find(publisher, offer, sku) else {
        return Some(Err(not_found()));
    };
    let shown = |version: &str| {
        let id = format!(
            "{}/{version}",
            cx.exchange.path.trim_end_matches('/').trim_end_matches(&format!("/{version}"))
        );
        json!({"location": location, "name": version, "id": id})
    };
    match (path.tail.as_deref(), name(5, "versions")) {
        (Some(tail), None) if tail.eq_ignore_ascii_case("versions") => {
            let top = cx.exchange.query_value("$top").and_then(|top| top.parse().ok()).unwrap_or(usize::MAX);
            let newest_first = cx.exchange.query_value("$orderby").is_some_and(|by| by.ends_with(" desc"));
            let mut list: Vec<&str> = versions.to_vec();
            if !newest_first {
                list.reverse();
            }
            let list: Vec<Value> = list.into_iter().take(top).map(shown).collect();
            Some(Ok(Answer::json(200, &Value::Array(list))))
        }
        (None, Some(version)) if versions.contains(&version) => {
            let mut body = shown(version);
            body["properties"] = json!({"osDiskImage": {"operatingSystem": system}, "dataDiskImages": [],
                "hyperVGeneration": "V2", "architecture": "x64",
                "automaticOSUpgradeProperties": {"automaticOSUpgradeSupported": true}});
            Some(Ok(Answer::json(200, &body)))
        }
        _ => Some(Err(not_found())),
    }
}

fn find(
    publisher: &str,
    offer: &str,
    sku: &str,
) -> Option<&'static (&'static str, &'static str, &'static str, &'static str, &'static [&'static str])> {
    CATALOGUE.iter().find(|(p, o, s, _, _)| {
        p.eq_ignore_ascii_case(publisher) && o.eq_ignore_ascii_case(offer) && s.eq_ignore_ascii_case(sku)
    })
}

/// The operating system of the catalogue's image; nothing of one by id, which is not looked at.
pub(super) fn system_of(reference: &Value) -> Option<&'static str> {
    let part = |name: &str| reference[name].as_str().unwrap_or_default();
    find(part("publisher"), part("offer"), part("sku")).map(|(_, _, _, system, _)| *system)
}

/// Whether an image is there to be used: the catalogue's, or one by id, which is not looked at.
pub(super) fn check(reference: &Value) -> Result<(), ArmError> {
    let part = |name: &str| reference[name].as_str().unwrap_or_default();
    if reference["id"].is_string() {
        return Ok(());
    }
    let (publisher, offer, sku, version) = (part("publisher"), part("offer"), part("sku"), part("version"));
    let known = find(publisher, offer, sku)
        .is_some_and(|(_, _, _, _, versions)| version == "latest" || versions.contains(&version));
    if known {
        return Ok(());
    }
    Err(ArmError::new(
        404,
        "PlatformImageNotFound",
        format!(
            "The platform image '{publisher}:{offer}:{sku}:{version}' is not available. Verify that all fields in the storage \
             profile are correct. For more details about storage profile information, please refer to \
             https://aka.ms/storageprofile"
        ),
    ))
}
