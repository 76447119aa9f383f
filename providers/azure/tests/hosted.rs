//! Services that Azure hosts, on the local cloud: nothing is made, requests are decided on.

mod stage;

use privnet_core::accept::{Ask, ConnectionState, Verdict, Why};
use privnet_core::conformance::Subject as _;
use privnet_core::plan::{PlanOptions, Rule};
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

/// Storage's connections do not tell which part they are for: with another consumer's part in the file, a person decides.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_may_be_for_anothers_part_is_let_in_by_a_person_alone() {
    let stage = Stage::open().await;
    let lake = format!("{GROUP}/providers/Microsoft.Storage/storageAccounts/acmedatalake");
    let file = |blob: &str, dfs: &str| {
        let part = |name: &str, allow: &str| {
            format!(
                "  - name: lake-{name}
    allow: {{ {allow} }}
    azure:
      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
      hosted: {{ resource_id: {lake}, subresource: {name} }}
"
            )
        };
        stage::spec(&format!(
            "version: 1
deployment: stage
consumers:
  acme: {{ azure: {{ subscriptions: [22222222-3333-4444-5555-666666666666] }} }}
  rival: {{ azure: {{ subscriptions: [11111111-2222-3333-4444-555555555555] }} }}
services:
{}{}",
            part("blob", blob),
            part("dfs", dfs)
        ))
    };
    let apart = file("acme: {}", "rival: {}");
    stage.connect(&lake, "consumer");
    let pending = stage.until_pending(&apart, "lake-dfs", 1).await;
    let id = pending.iter().find(|c| c.id.contains("11111111")).unwrap().id.clone();
    let (decisions, plan, report) = stage.decide(&apart, &Ask::default()).await;
    assert!(plan.actions.is_empty() && report.outcomes.is_empty(), "{plan:#?}");
    let rules: Vec<_> = plan.refusals.iter().map(|r| (r.address.service.as_str(), r.rule)).collect();
    assert_eq!(rules, [("lake-dfs", Rule::Ambiguous)], "{:?}", plan.refusals);
    assert!(plan.refusals[0].why.contains("lake-blob"), "{}", plan.refusals[0].why);
    let own = decisions.iter().find(|d| d.service == "lake-dfs" && d.connection == id).unwrap();
    assert!(own.note.as_ref().is_some_and(|note| note.contains("does not tell which part")), "{own:?}");
    let waits = stage.plan(&apart).await.waits;
    assert!(waits.iter().any(|wait| wait.why.contains("another service")), "{waits:?}");
    // Where both parts would let it in, it does not matter which one it is for; where the file names it, nobody has to be asked.
    let mut both = file("rival: {}", "rival: {}");
    // Nor does a tombstone, which lets nobody in, stand in the way of the name that the service has now.
    let mut old = both.services[1].clone();
    (old.name, old.remove, old.allow) = ("old".parse().unwrap(), true, Default::default());
    both.services.push(old);
    let shown = stage.connections(&both, "lake-dfs").await;
    assert!(shown.iter().any(|c| c.id == id) && shown.iter().all(|c| c.may_be_for.is_empty()), "{shown:?}");
    let named = file("acme: {}", &format!("rival: {{ only: [\"{id}\"] }}"));
    let (_, plan, report) = stage.decide(&named, &Ask::default()).await;
    assert_done(&plan, &report);
    assert_eq!(plan.summary.accept, 1);
}

/// Nothing is made for a hosted service, and so nothing is taken away: who was let in stays in, and is said, also where the file does not
/// know him any more.
#[tokio::test(flavor = "multi_thread")]
async fn what_stays_accepted_is_said_by_destroy_and_of_a_tombstone() {
    let stage = Stage::open().await;
    let file = hosted("Microsoft.Sql/servers/crm", "sqlServer");
    stage.until_pending(&file, "orders", 1).await;
    let (_, plan, report) = stage.decide(&file, &Ask::default()).await;
    assert_done(&plan, &report);
    let accepted = stage.connections(&file, "orders").await;
    let id = accepted.into_iter().find(|c| c.state == ConnectionState::Accepted).unwrap().id;
    let said = async |file: &privnet_core::spec::Spec, destroy: bool| {
        let options = PlanOptions { destroy, ..PlanOptions::default() };
        let (plan, report) = stage.driver().apply(file, options).await;
        assert!(plan.is_empty() && report.outcomes.is_empty() && plan.refusals.is_empty(), "{plan:#?}");
        plan.warnings
    };
    let word = "`privnet reject --connection ID --sever-connections` ends one";
    let own = format!("orders: 1 connection(s) stay accepted: {id}; {word}");
    assert_eq!(said(&file, true).await, std::slice::from_ref(&own));
    assert_eq!(said(&file, false).await, Vec::<String>::new());
    let mut tombstone = file.clone();
    tombstone.services[0].remove = true;
    assert_eq!(said(&tombstone, false).await, std::slice::from_ref(&own));
    assert_eq!(said(&tombstone, true).await, [own]);
    // The consumer was changed in the file: what was approved is nobody's now, and is not passed over.
    let mut other = tombstone.clone();
    for consumer in other.consumers.values_mut() {
        let azure = consumer.azure.as_mut().unwrap();
        azure.subscriptions =
            [privnet_core::spec::Who::Is("22222222-3333-4444-5555-666666666666".parse().unwrap())].into();
    }
    let others = format!("orders: 1 connection(s) of nobody in this file stay accepted: {id}");
    assert_eq!(said(&other, true).await, std::slice::from_ref(&others));
    assert_eq!(said(&other, false).await, [others]);
    let (desired, world) = stage.driver().observe(&other, privnet_core::Purpose::Status).await;
    let status = privnet_core::status::status(&desired, &world).remove(0);
    let note = status.notes.iter().find(|note| note.contains("remove: true")).unwrap();
    assert!(note.contains("servers/crm is not privnet's and stays"), "{note}");
    assert_eq!(status.connections.iter().filter(|c| c.state == ConnectionState::Accepted).count(), 1);
    // It can be ended by the tombstone's own file; then nothing stays.
    let (plan, report) = stage.reject(&tombstone, &id, true).await;
    assert_done(&plan, &report);
    let last = said(&tombstone, false).await;
    assert!(last.len() == 1 && last[0].contains("nobody's connection to it is accepted"), "{last:?}");
    // Who may not look is not kept from the rest of the file.
    stage.fault("azure:GET Microsoft.Sql/servers/privateEndpointConnections:*:code=AuthorizationFailed");
    let unseen = said(&tombstone, false).await;
    assert!(unseen.len() == 1 && unseen[0].contains("cannot be read"), "{unseen:?}");
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
