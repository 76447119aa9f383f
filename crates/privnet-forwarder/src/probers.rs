//! Where each cloud's health checks come from: who may ask a machine's health ports. On AWS the load balancer's own addresses probe, and the
//! machines' security group says who reaches the health ports.

use ipnet::IpNet;

/// Azure's load balancer (<https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16>).
pub const AZURE: &[&str] = &["168.63.129.16/32"];
/// GCP's health checks (<https://cloud.google.com/load-balancing/docs/health-check-concepts#ip-ranges>).
pub const GCP: &[&str] = &["130.211.0.0/22", "35.191.0.0/16"];

/// These as ranges.
#[must_use]
pub fn ranges(probers: &[&str]) -> Vec<IpNet> {
    probers.iter().filter_map(|range| range.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_a_range() {
        for probers in [AZURE, GCP] {
            assert_eq!(ranges(probers).len(), probers.len());
        }
    }
}
