//! The api-version that is sent for each resource type.
//!
//! They are fixed: another version may mean other defaults, and defaults are frozen within `version: 1` of the file.

/// Microsoft.Network: the first version with `accessMode` of private link services
/// (<https://learn.microsoft.com/azure/templates/microsoft.network/change-log/privatelinkservices>).
const NETWORK: &str = "2025-05-01";
/// Microsoft.Compute (<https://learn.microsoft.com/azure/templates/microsoft.compute/virtualmachinescalesets>).
const COMPUTE: &str = "2024-11-01";
/// Galleries of images, which have versions of their own
/// (<https://learn.microsoft.com/azure/templates/microsoft.compute/change-log/galleries>).
const GALLERIES: &str = "2024-03-03";
/// Microsoft.Resources: subscriptions and their locations
/// (<https://learn.microsoft.com/rest/api/resources/subscriptions/list-locations>).
const RESOURCES: &str = "2022-12-01";

/// The api-version of the resource type that a path ends in; the hosted services' versions are in their own table.
pub(crate) fn of(path: &str) -> &'static str {
    let provider =
        path.rsplit_once("/providers/").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
    match provider {
        Some(provider) if provider.eq_ignore_ascii_case("Microsoft.Network") => NETWORK,
        Some(provider) if provider.eq_ignore_ascii_case("Microsoft.Compute") => {
            if path.to_ascii_lowercase().contains("/galleries/") { GALLERIES } else { COMPUTE }
        }
        _ => RESOURCES,
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn the_innermost_provider_decides() {
        assert_eq!(
            of("/subscriptions/s/resourceGroups/g/providers/microsoft.network/loadBalancers/x"),
            "2025-05-01"
        );
        assert_eq!(
            of("/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachineScaleSets"),
            "2024-11-01"
        );
        assert_eq!(
            of(
                "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/Galleries/x/images/y/versions/1.0.0"
            ),
            "2024-03-03"
        );
        assert_eq!(of("/subscriptions/s/locations"), "2022-12-01");
    }
}
