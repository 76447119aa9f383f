//! A service whose resource group is not there: nobody can ask for a connection to it, and whoever decides on connections is told so.

use privnet_integration_tests::ground::{Ground, both};

use super::orders;

const GROUP: &str = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg-nowhere/providers";

/// A service of each form, in a group that is not there.
fn forms() -> [(&'static str, String); 3] {
    let (before, _) =
        orders().split_once("      resource_group").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    [
        ("made", orders().replace("rg-data", "rg-nowhere").replace("vnet: hub", &format!("vnet: {}", hub()))),
        (
            "existing",
            format!(
                "{before}      existing: {{ private_link_service: {GROUP}/Microsoft.Network/privateLinkServices/own }}\n"
            ),
        ),
        (
            "hosted",
            format!(
                "{before}      hosted: {{ resource_id: {GROUP}/Microsoft.Sql/servers/crm, subresource: sqlServer }}\n"
            ),
        ),
    ]
}

fn hub() -> String {
    format!("{}/Microsoft.Network/virtualNetworks/hub", GROUP.replace("rg-nowhere", "rg-data"))
}

#[test]
fn what_has_no_place_is_told_and_not_that_nothing_is_pending() {
    for (form, file) in forms() {
        let ground = Ground::new("azure.yaml", &file);
        for line in [
            "accept-pending --dry-run",
            "accept-pending --yes",
            "accept-pending --yes --connection nobody",
            "reject --yes --connection nobody",
        ] {
            let said = both(&ground.must(&format!("--sandbox {line}"), 1));
            assert!(said.contains("rg-nowhere"), "{form}: {line}: {said}");
            assert!(!said.contains("No connection request is pending."), "{form}: {line}: {said}");
        }
        let said = both(&ground.must("--sandbox status", 0));
        assert!(said.contains("degraded") && said.contains("rg-nowhere"), "{form}: {said}");
        // What is to go has gone.
        ground.edit(&file.replace("  - name: orders\n", "  - name: orders\n    remove: true\n"));
        ground.must("--sandbox accept-pending --dry-run", 0);
    }
}
