use serde_json::json;

use super::*;
use crate::arm::fake::{Script, context};

const DENIED: &str = "The client 'x' does not have authorization to perform action 'Microsoft.Network/privateLinkServices/read' over \
                      scope '/subscriptions/s' or the scope is invalid.";

/// A single group is read in as many requests as its own lists take, with the private link services of the whole subscription; where
/// these may not be read, its own are, and that is said with the permission.
#[tokio::test]
async fn what_may_not_be_seen_of_a_subscription_is_said() {
    let snapshots = [Snapshot::new("data", crate::scope::of("s", "rg"), Vec::new())];
    let link =
        |group: &str| json!({"id": format!("/subscriptions/s/resourceGroups/{group}/providers/x/y/z")});
    let empty = || (200, Vec::new(), json!({"value": []}));
    let denied = (403, Vec::new(), json!({"error": {"code": "AuthorizationFailed", "message": DENIED}}));
    let all = (200, Vec::new(), json!({"value": [link("other"), link("RG")]}));
    let own = (200, Vec::new(), json!({"value": [link("rg")]}));
    for first in [denied, all] {
        let is_denied = first.0 == 403;
        let mut answers = vec![first, empty(), empty(), empty()];
        answers.extend(is_denied.then(|| own.clone()));
        let count = answers.len();
        let (arm, script) = Script::arm(answers);
        let read = read_groups(&arm, &context(), &snapshots, Purpose::Plan).await.unwrap();
        assert_eq!(script.asked()[0], "GET /subscriptions/s/providers/Microsoft.Network/privateLinkServices");
        assert_eq!((script.asked().len(), read.lists[0].as_ref().unwrap()[0].len()), (count, 1));
        let mut around = surroundings::of_file(&arm, &context(), &snapshots).await.unwrap();
        around.take_services(read.everywhere);
        let mut world = World::default();
        say_unseen(&around, &snapshots, &mut world);
        let said: Vec<&String> = world.unseen.values().flatten().collect();
        assert_eq!(
            (said.len(), around.services().map_or(0, <[Json]>::len)),
            if is_denied { (1, 0) } else { (0, 2) }
        );
        assert!(
            said.iter().all(|said| said.contains("Microsoft.Network/privateLinkServices/read")),
            "{said:?}"
        );
    }
}
