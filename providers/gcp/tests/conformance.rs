//! The core's suite on this provider: convergence, interruptions, edits and their undoing, concurrent applies, acceptance.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod stage;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use privnet_core::Provider;
use privnet_core::conformance::{self, Subject, Variant};
use privnet_core::spec::Spec;
use stage::{ONE, Stage, made};
use tokio::sync::OnceCell;

/// A stage that is looked at as a whole.
struct Whole {
    stage: Stage,
    /// What the default world has.
    before: OnceCell<BTreeSet<String>>,
}

fn edit(name: &'static str, ports: &str, block: &str, top: &str) -> Variant {
    Variant { name, spec: made(ports, block, top) }
}

#[async_trait]
impl Subject for Whole {
    async fn reset(&self) {
        self.stage.reset().await;
        self.before.get_or_init(|| self.stage.everything()).await;
    }

    fn provider(&self) -> Arc<dyn Provider> {
        self.stage.provider()
    }

    fn pace(&self) -> f64 {
        self.stage.pace()
    }

    fn base(&self) -> Spec {
        made(ONE, "", "")
    }

    fn edits(&self) -> Vec<Variant> {
        let to = |machines: &str| format!("{{ listen: 5432, to: {{ instances: [{machines}] }} }}");
        let (one, two) = ("zones/us-east4-b/instances/db-1", "zones/us-east4-c/instances/db-2");
        let checked = ONE
            .replace("listen: 5432", "listen: 5432, health_check: { port: 8080, http: /up, interval: 30s }");
        let forwarder = "forwarder: { subnets: [data], size: e2-small, zones: [us-east4-a, us-east4-b] }";
        let forwarded = "{ listen: 5432, engine: postgres, to: { forwarder: { ip: 10.90.0.3 } } }";
        vec![
            edit("forwarders", forwarded, forwarder, ""),
            edit("another machine", &to(two), "", ""),
            edit("two machines", &to(&format!("{one}, {two}")), "", ""),
            edit(
                "an instance group",
                "{ listen: 5432, to: { instance_group: zones/us-east4-a/instanceGroups/db-group } }",
                "",
                "",
            ),
            edit("a second port", &format!("{ONE}, {}", ONE.replace("5432", "5433")), "", ""),
            edit("another port", &ONE.replace("5432", "5433"), "", ""),
            edit("all ports", ONE, "all_ports: true", ""),
            edit("another health check", &checked, "", ""),
            edit("global access", ONE, "global_access: true", ""),
            edit("PROXY protocol", ONE, "proxy_protocol: true", ""),
            edit("reconciled connections", ONE, "reconcile_connections: true", ""),
            edit("tags", ONE, "", "tags: { owner: me, cost-center: \"4711\" }"),
        ]
    }

    async fn raise_requests(&self) {
        self.stage.until_pending(&self.base(), "orders", 2).await;
    }

    async fn census(&self) -> Vec<String> {
        let before = self.before.get_or_init(|| self.stage.everything()).await;
        self.stage.everything().await.difference(before).cloned().collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes() {
    let whole = Whole { stage: Stage::open().await, before: OnceCell::new() };
    let checks = conformance::run(&whole).await;
    assert_eq!(checks.len(), 6, "{checks:?}");
}
