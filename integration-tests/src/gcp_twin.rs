//! A local Compute Engine in which two machines fit into one network endpoint group: the default world has one for each.

#![allow(clippy::unwrap_used, reason = "test machinery")]

use privnet_sandbox::Sandbox;
use serde_json::Value;

use crate::stage::Stage;

/// A stage with a second machine beside `us-east4-b/db-1`, in the same zone and subnet: `db-1-twin`.
///
/// # Panics
/// When it cannot be made.
pub async fn with_a_twin() -> Stage {
    let first = Stage::open(None).await.unwrap();
    let path = first.folder().join("gcp.json");
    // The state is written with the first change.
    Sandbox::open(first.folder()).unwrap().connect("shared-db", Some("acme-reader")).unwrap();
    let mut state: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let resources = state["resources"].as_object_mut().unwrap();
    let key = resources.keys().find(|key| key.ends_with("/instances/db-1")).unwrap().clone();
    let twin = resources[&key].to_string().replace("db-1", "db-1-twin").replace("10.7.0.10", "10.7.0.99");
    resources.insert(format!("{key}-twin"), serde_json::from_str(&twin).unwrap());
    std::fs::write(&path, state.to_string()).unwrap();
    first
}
