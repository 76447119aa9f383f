//! The clouds whose requests are counted, and how theirs are told apart.

#![allow(clippy::unwrap_used, reason = "test machinery")]

use crate::gcp::Called;
use crate::rounds::Cloud;

/// Azure, by the paths of ARM.
pub const AZURE: Cloud = Cloud {
    name: "azure",
    lead: |endpoints, url| endpoints.azure = url,
    // Ids match without case, and one that the file names may be in another than ARM's.
    concerns: |action, kind| action.to_lowercase().contains(&segment(kind).to_lowercase()),
    writes: |action| action.starts_with("PUT "),
    named: str::to_owned,
};

/// GCP, by the methods of its discovery document.
pub const GCP: Cloud = Cloud {
    name: "gcp",
    lead: |endpoints, url| endpoints.gcp = url,
    concerns: |action, kind| called(action).collection == collection(kind),
    writes: |action| called(action).writes(),
    named: |action| called(action).method(),
};

/// The segment of an id that tells the kind.
fn segment(kind: &str) -> &'static str {
    match kind {
        "nat-subnet" => "/subnets/",
        "network-security-group" => "/networkSecurityGroups/",
        "load-balancer" => "/loadBalancers/",
        "scale-set" => "/virtualMachineScaleSets/",
        "nic-membership" => "/networkInterfaces/",
        "private-link-service" => "/privateLinkServices/",
        other => panic!("nothing is known of {other}"),
    }
}

fn called(action: &str) -> Called {
    let (method, path) = action.split_once(' ').unwrap();
    Called::of(method, path).unwrap_or_else(|| panic!("what is {action}?"))
}

/// The collection of a kind.
fn collection(kind: &str) -> &'static str {
    match kind {
        "nat-subnet" => "subnetworks",
        "firewall-rule" => "firewalls",
        "health-check" => "regionHealthChecks",
        "endpoint-group" => "networkEndpointGroups",
        "backend-service" => "regionBackendServices",
        "forwarding-rule" => "forwardingRules",
        "service-attachment" => "serviceAttachments",
        other => panic!("nothing is known of {other}"),
    }
}
