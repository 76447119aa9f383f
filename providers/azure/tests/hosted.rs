//! Services that Azure hosts, on the local cloud: nothing is made, requests are decided on.

mod stage;

use privnet_core::accept::{Ask, ConnectionState, Verdict, Why};
use privnet_core::conformance::Subject as _;
use stage::{GROUP, Stage, assert_done, hosted, until};

const PARTS: &[(&str, &str)] = &[
    ("Microsoft.Sql/servers/crm", "sqlServer"),
    ("Microsoft.Sql/managedInstances/erp", "managedInstance"),
    ("Microsoft.DBforMySQL/flexibleServers/shop", "mysqlServer"),
    ("Microsoft.DBforPostgreSQL/flexibleServers/billing", "postgresqlServer"),
    ("Microsoft.Storage/storageAccounts/acmedatalake", "dfs"),
    ("Microsoft.KeyVault/vaults/acme-keys", "vault"),
    ("Microsoft.DocumentDB/databaseAccounts/acme-cosmos", "Sql"),
    ("Microsoft.ServiceBus/namespaces/acme-bus", "namespace"),
    ("Microsoft.Search/searchServices/acme-search", "searchService"),
    ("Microsoft.Web/sites/acme-portal", "sites"),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_named_consumer_is_let_in_and_nobody_else() {
    let stage = Stage::open().await;
    let file = hosted("Microsoft.Sql/servers/crm", "SQLSERVER");
    stage.assert_settled(&file).await;
    let pending = stage.until_pending(&file, "orders", 2).await;
    assert!(pending.iter().any(|c| c.id.contains("99999999-8888")), "the stranger asks too: {pending:#?}");
    let (decisions, plan, report) = stage.decide(&file, &Ask { reject_others: true, ..Ask::default() }).await;
    assert_done(&plan, &report);
    assert_eq!(plan.summary.accept, 1);
    assert_eq!(
        decisions.iter().filter(|d| d.why == Why::Stranger && d.verdict == Verdict::Left).count(),
        1,
        "on what is shared others are left"
    );
    let states: Vec<_> = stage.connections(&file, "orders").await.into_iter().map(|c| c.state).collect();
    assert!(
        states.contains(&ConnectionState::Accepted) && states.contains(&ConnectionState::Pending),
        "{states:?}"
    );
    let again = stage.decide(&file, &Ask::default()).await.1;
    assert!(again.is_empty(), "{:?}", again.actions);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_provider_of_the_default_world_is_approved_and_rejected_in_its_own_way() {
    let stage = Stage::open().await;
    for (resource, subresource) in PARTS {
        let file = hosted(resource, subresource);
        let id = format!("{GROUP}/providers/{resource}");
        // Of SQL servers the consumer asks by itself.
        if !resource.starts_with("Microsoft.Sql/servers/") {
            stage.connect(&id, "consumer");
        }
        stage.until_pending(&file, "orders", 1).await;
        let (_, plan, report) = stage.decide(&file, &Ask::default()).await;
        assert_done(&plan, &report);
        assert_eq!(plan.summary.accept, 1, "{resource}: {:?}", plan.refusals);
        let accepted = stage.connections(&file, "orders").await;
        let accepted = accepted
            .iter()
            .find(|c| c.state == ConnectionState::Accepted && c.id.contains("11111111"))
            .expect("one");
        let (plan, report) = stage.reject(&file, &accepted.id, false).await;
        assert!(
            report.outcomes.is_empty() && plan.refusals.len() == 1,
            "{resource}: not cut without the word"
        );
        let (plan, report) = stage.reject(&file, &accepted.id, true).await;
        assert_done(&plan, &report);
        let after = stage.connections(&file, "orders").await;
        let state = after.iter().find(|c| c.id == accepted.id).map(|c| c.state);
        assert!(
            matches!(state, Some(ConnectionState::Rejected | ConnectionState::Closed) | None),
            "{resource}: {state:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_the_same_consumer_are_ambiguous_until_one_is_named() {
    let stage = Stage::open().await;
    let file = hosted("Microsoft.Sql/servers/crm", "sqlServer");
    stage.connect("crm", "consumer");
    let two = until("two requests", || async {
        let all = stage.connections(&file, "orders").await;
        let own: Vec<_> = all.into_iter().filter(|c| c.id.contains("11111111")).collect();
        (own.len() >= 2).then_some(own)
    })
    .await;
    let (_, plan, _) = stage.decide(&file, &Ask::default()).await;
    assert!(plan.is_empty() && plan.refusals.len() >= 2, "{plan:#?}");
    let ask = Ask { connection: Some(two[1].id.to_uppercase()), reject_others: false, again: false };
    let (_, plan, report) = stage.decide(&file, &ask).await;
    assert_done(&plan, &report);
    let all = stage.connections(&file, "orders").await;
    let accepted: Vec<_> =
        all.iter().filter(|c| c.state == ConnectionState::Accepted).map(|c| c.id.as_str()).collect();
    assert_eq!(accepted, [two[1].id.as_str()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_refused_in_words_and_a_plan_is_one_request_for_each() {
    let stage = Stage::open().await;
    let gone = hosted("Microsoft.Sql/servers/nowhere", "sqlServer");
    let plan = stage.plan(&gone).await;
    assert!(plan.refusals[0].why.contains("not there"), "{:?}", plan.refusals);
    let wrong = hosted("Microsoft.Sql/servers/crm", "blob");
    let plan = stage.plan(&wrong).await;
    assert!(plan.refusals[0].why.contains("it has: sqlServer"), "{:?}", plan.refusals);
    let there = hosted("Microsoft.Sql/servers/crm", "sqlServer");
    let calls = async |file: &privnet_core::spec::Spec| {
        let (plan, report) = stage.driver().apply(file, Default::default()).await;
        assert!(plan.is_empty());
        report.calls
    };
    // One for the service; five for what privnet may have made in the subscription before, however many services there are.
    let mut two = there.clone();
    let mut more = hosted("Microsoft.Sql/managedInstances/erp", "managedInstance").services.remove(0);
    more.name = "erp".parse().unwrap();
    two.services.push(more);
    assert_eq!((calls(&there).await, calls(&two).await), (1 + 5, 2 + 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hand_over_names_the_resource_and_its_part() {
    let stage = Stage::open().await;
    let file = hosted("Microsoft.Sql/servers/crm", "sqlserver");
    let world = stage.world(&file).await;
    let handoff = stage.provider().handoff(&file, &file.services[0], &world);
    assert_eq!(handoff.fields["resource_id"], format!("{GROUP}/providers/Microsoft.Sql/servers/crm"));
    assert_eq!(handoff.fields["subresource"], "sqlServer");
    assert!(handoff.notes.iter().any(|note| note.contains("4 to 5 minutes")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_survives_lost_answers_and_failed_operations() {
    let stage = Stage::open().await;
    let file = hosted("Microsoft.Sql/servers/crm", "sqlServer");
    stage.until_pending(&file, "orders", 1).await;
    stage.fault("azure:PUT Microsoft.Sql/servers/privateEndpointConnections:1:lost");
    let (_, plan, report) = stage.decide(&file, &Ask::default()).await;
    assert_done(&plan, &report);
    let all = stage.connections(&file, "orders").await;
    assert_eq!(all.iter().filter(|c| c.state == ConnectionState::Accepted).count(), 1);
}
