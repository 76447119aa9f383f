//! The examples' files, as they stand, on the local cloud; and the role that they need.

mod stage;

use std::path::Path;

use privnet_core::plan::PlanOptions;
use privnet_core::spec::Spec;
use stage::Stage;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_file_is_applied_and_undone() {
    for name in ["azure.yaml", "azure-vm.yaml", "azure-hosted.yaml"] {
        let stage = Stage::open().await;
        let before = stage.everything().await;
        let spec: Spec = stage::spec(&read(name));
        stage.apply(&spec).await;
        stage.assert_settled(&spec).await;
        stage.apply_with(&spec, PlanOptions { destroy: true, ..PlanOptions::default() }).await;
        assert_eq!(stage.everything().await, before, "{name}");
    }
}

#[test]
fn the_role_names_each_action_once() {
    let role: serde_json::Value = serde_json::from_str(&read("permissions/azure.json")).unwrap();
    let actions: Vec<_> =
        role["Actions"].as_array().unwrap().iter().filter_map(|action| action.as_str()).collect();
    let mut once = actions.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), actions.len());
    for kind in ["loadBalancers", "networkSecurityGroups", "privateLinkServices", "virtualMachineScaleSets"] {
        for verb in ["read", "write", "delete"] {
            assert!(
                actions.iter().any(|action| action.ends_with(&format!("/{kind}/{verb}"))),
                "{kind}/{verb}"
            );
        }
    }
}
