//! The core's suite on this provider: convergence, interruptions, edits and their undoing, concurrent applies, acceptance.

mod stage;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use privnet_core::Provider;
use privnet_core::conformance::{self, Subject, Variant};
use privnet_core::spec::Spec;
use stage::{DIRECT, FORWARDED, Stage, made};
use tokio::sync::OnceCell;

/// A stage that is looked at as a whole.
struct Whole {
    stage: Stage,
    /// What the default world has.
    before: OnceCell<BTreeSet<String>>,
}

impl Whole {
    async fn everything(&self) -> BTreeSet<String> {
        self.stage.everything().await.into_iter().collect()
    }
}

/// The stranger sees a service only where the visibility list does not limit access.
const OPEN: &str = "access_mode: default";

fn edit(name: &'static str, ports: &str, block: &str, top: &str) -> Variant {
    Variant { name, spec: made(ports, &format!("{OPEN}\n{block}"), top) }
}

#[async_trait]
impl Subject for Whole {
    async fn reset(&self) {
        self.stage.reset().await;
        self.before.get_or_init(|| self.everything()).await;
    }

    fn provider(&self) -> Arc<dyn Provider> {
        self.stage.provider()
    }

    fn pace(&self) -> f64 {
        self.stage.pace()
    }

    fn base(&self) -> Spec {
        made(FORWARDED, OPEN, "")
    }

    fn edits(&self) -> Vec<Variant> {
        let both = format!("{FORWARDED}, {DIRECT}");
        vec![
            edit("another target", &FORWARDED.replace("172.16.4.20", "172.16.4.21"), "", ""),
            edit(
                "a name for a target",
                &FORWARDED.replace("ip: 172.16.4.20", "dns: db.corp.example"),
                "",
                "",
            ),
            edit(
                "another health check",
                &FORWARDED.replace(
                    "engine: sqlserver",
                    "engine: sqlserver, health_check: { interval: 30s, threshold: 5 }",
                ),
                "",
                "",
            ),
            edit("a port of the user's own machine", &both, "join_nics: true", ""),
            edit("that machine alone", DIRECT, "join_nics: true", ""),
            edit(
                "another size and count",
                FORWARDED,
                "forwarder: { subnets: [fwd], size: Standard_D4s_v5, count: 3 }",
                "",
            ),
            edit(
                "one zone and a longer drain",
                FORWARDED,
                "forwarder: { subnets: [fwd], size: Standard_D2s_v5, zones: [\"1\"], drain: 10m }",
                "",
            ),
            edit("PROXY protocol", DIRECT, "join_nics: true\nproxy_protocol: true", ""),
            edit("names", FORWARDED, "fqdns: [db.example.com]", ""),
            edit("tags", FORWARDED, "", "tags: { owner: me, \"cost center\": \"4711\" }"),
        ]
    }

    async fn raise_requests(&self) {
        self.stage.until_pending(&self.base(), "orders", 2).await;
    }

    async fn hold_requests(&self) {
        self.stage.hold_requests().await;
    }

    async fn census(&self) -> Vec<String> {
        let before = self.before.get_or_init(|| self.everything()).await;
        self.everything().await.difference(before).cloned().collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes() {
    let whole = Whole { stage: Stage::open().await, before: OnceCell::new() };
    let checks = conformance::run(&whole).await;
    assert_eq!(checks.len(), 6, "{checks:?}");
}
