//! Compute Engine's calls by the names of its discovery document, and records of them held to it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::census::{here, python};
use crate::stage::Fail;

/// Holds records to the compute.v1 discovery document, both ways, and returns the methods that were seen. `own` ones have privnet's
/// requests only: these send nothing that only the server sets.
///
/// # Errors
/// What does not validate.
pub fn validate<P: AsRef<Path>>(records: &[P], own: bool) -> Result<BTreeSet<String>, Fail> {
    let mut check = Command::new(python()?);
    check.arg(here().join("gcp/discovery_check.py")).arg("--methods");
    check.args(own.then_some("--forbid-output-only")).args(records.iter().map(AsRef::as_ref));
    let checked = check.output()?;
    let said = String::from_utf8_lossy(&checked.stdout);
    if !checked.status.success() {
        return Err(format!("{said}{}", String::from_utf8_lossy(&checked.stderr)).into());
    }
    Ok(said.lines().filter_map(|line| line.strip_prefix("compute.")).map(str::to_owned).collect())
}

/// A call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Called {
    /// The collection, such as `regionBackendServices`.
    pub collection: String,
    /// The method's last word, such as `insert`.
    pub verb: String,
}

impl Called {
    /// The call of this HTTP method and path; nothing where it is none of Compute Engine's.
    #[must_use]
    pub fn of(method: &str, path: &str) -> Option<Self> {
        let path = path.split('?').next()?;
        let rest = path.split_once("/projects/")?.1;
        let parts: Vec<&str> = rest.split('/').collect();
        let (regional, parts) = match parts.as_slice() {
            [_project] => return Some(Self { collection: "projects".to_owned(), verb: "get".to_owned() }),
            [_project, "aggregated", collection] => {
                let collection = if *collection == "operations" { "globalOperations" } else { collection };
                return Some(Self { collection: collection.to_owned(), verb: "aggregatedList".to_owned() });
            }
            [_project, "global", parts @ ..] => ("global", parts),
            [_project, "regions", _region, parts @ ..] => ("region", parts),
            [_project, "zones", _zone, parts @ ..] => ("zone", parts),
            _ => return None,
        };
        let verb = match (method, parts) {
            ("GET", [_]) => "list",
            ("GET", [_, "family", _]) => "getFromFamily",
            ("GET", [_, _]) => "get",
            ("POST", [_]) => "insert",
            ("PATCH", [_, _]) => "patch",
            ("PUT", [_, _]) => "update",
            ("DELETE", [_, _]) => "delete",
            ("POST", [_, _, verb]) => verb,
            _ => return None,
        };
        let collection = match (regional, *parts.first()?) {
            (
                "region",
                name @ ("backendServices" | "healthChecks" | "instanceGroupManagers" | "instanceGroups"),
            ) => {
                format!("region{}{}", name[..1].to_uppercase(), &name[1..])
            }
            (place, "operations") => format!("{place}Operations"),
            (_, name) => name.to_owned(),
        };
        Some(Self { collection, verb: verb.to_owned() })
    }

    /// As the sandbox's faults name it.
    #[must_use]
    pub fn method(&self) -> String {
        format!("{}.{}", self.collection, self.verb)
    }

    /// Whether it begins an operation.
    #[must_use]
    pub fn writes(&self) -> bool {
        !matches!(
            self.verb.as_str(),
            "list"
                | "get"
                | "getFromFamily"
                | "aggregatedList"
                | "wait"
                | "getHealth"
                | "listNetworkEndpoints"
        )
    }

    /// The permission that it needs first (<https://cloud.google.com/compute/docs/access/iam-permissions>).
    #[must_use]
    pub fn permission(&self) -> String {
        let collection = match self.collection.as_str() {
            "regionInstanceGroupManagers" => "instanceGroupManagers",
            "regionInstanceGroups" => "instanceGroups",
            other => other,
        };
        let verb = match self.verb.as_str() {
            "insert" => "create",
            "patch" => "update",
            "aggregatedList" => "list",
            "wait" | "getHealth" | "listNetworkEndpoints" => "get",
            other => other,
        };
        format!("compute.{collection}.{verb}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_by_method_and_path() {
        let named = |method: &str, path: &str| Called::of(method, path).map(|called| called.method());
        let base = "/compute/v1/projects/p";
        assert_eq!(
            named("POST", &format!("{base}/regions/r/backendServices?requestId=1")).as_deref(),
            Some("regionBackendServices.insert")
        );
        assert_eq!(
            named("POST", &format!("{base}/zones/z/networkEndpointGroups/n/attachNetworkEndpoints"))
                .as_deref(),
            Some("networkEndpointGroups.attachNetworkEndpoints")
        );
        assert_eq!(
            named("POST", &format!("{base}/global/operations/o/wait")).as_deref(),
            Some("globalOperations.wait")
        );
        assert_eq!(
            named("GET", &format!("{base}/aggregated/instances")).as_deref(),
            Some("instances.aggregatedList")
        );
        assert_eq!(
            named("GET", &format!("{base}/aggregated/operations?filter=x")).as_deref(),
            Some("globalOperations.aggregatedList")
        );
        assert_eq!(
            named("GET", &format!("{base}/global/images/family/ubuntu-2404-lts-amd64")).as_deref(),
            Some("images.getFromFamily")
        );
        assert_eq!(named("GET", "/somewhere"), None);
    }
}
