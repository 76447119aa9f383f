//! An endpoint service of the user's own: whom privnet allows there comes and goes, and everything else stays the user's.

use privnet_core::ErrorKind;
use privnet_core::execute::Outcome;
use privnet_core::plan::{Op, PlanOptions, Rule};

use crate::stage::{Stage, failure, file, spec, until};
use crate::{DESTROY, FIVETRAN, SUPPLIED, existing, existing_of, principals};

/// Whom privnet allows on the user's service and cannot tag would be taken for the user's from then on.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_stays_allowed_on_a_supplied_service_without_proof_whose_that_is() {
    let stage = Stage::open().await;
    let supplied = existing(&format!("endpoint_service: {SUPPLIED}"), "allow: { fivetran: {} }");
    let colleagues = principals(&stage, SUPPLIED).await;
    stage.fault("aws:CreateTags:*:code=UnauthorizedOperation");
    let (_, report) = stage.driver().apply(&supplied, PlanOptions::default()).await;
    let error = failure(&report);
    assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
    assert!(error.hints().iter().any(|hint| hint.contains("was not left allowed")), "{error:?}");
    assert_eq!(principals(&stage, SUPPLIED).await, colleagues);

    // Where he cannot be taken back either, that is said.
    stage.fault("aws:ModifyVpcEndpointServicePermissions:2+:code=UnauthorizedOperation");
    let (_, report) = stage.driver().apply(&supplied, PlanOptions::default()).await;
    assert!(failure(&report).hints().iter().any(|hint| hint.contains("by hand")), "{report:?}");
    stage.heal();
    let plan = stage.plan(&supplied).await;
    assert!(plan.warnings.iter().any(|warning| warning.contains("allowed already")), "{plan:#?}");
}

/// The answer that would tell whom this run allowed is lost, and the next call finds him there: nobody takes him back, and a rerun says so.
#[tokio::test(flavor = "multi_thread")]
async fn whom_a_lost_answer_hides_is_told_by_the_next_plan() {
    let stage = Stage::open().await;
    let supplied = existing(&format!("endpoint_service: {SUPPLIED}"), "allow: { fivetran: {} }");
    stage.fault("aws:CreateTags:*:code=UnauthorizedOperation");
    stage.fault("aws:ModifyVpcEndpointServicePermissions:1:lost");
    let (_, report) = stage.driver().apply(&supplied, PlanOptions::default()).await;
    assert_eq!(failure(&report).kind(), ErrorKind::Denied, "{report:?}");
    assert!(principals(&stage, SUPPLIED).await.contains(FIVETRAN));
    stage.heal();
    let told = |plan: &privnet_core::Plan| {
        plan.warnings.iter().any(|warning| warning.contains(FIVETRAN) && warning.contains("allowed"))
    };
    let again = stage.plan(&supplied).await;
    assert!(told(&again) && again.is_empty(), "{again:#?}");
    let gone =
        stage.driver().plan(&supplied, PlanOptions { destroy: true, ..PlanOptions::default() }).await.0;
    assert!(told(&gone), "{gone:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supplied_service_gets_principals_and_keeps_everything_else() {
    let stage = Stage::open().await;
    let supplied = existing(&format!("endpoint_service: {SUPPLIED}"), "allow: { fivetran: {} }");
    let before = stage
        .ec2()
        .describe_vpc_endpoint_service_configurations()
        .service_ids(SUPPLIED)
        .send()
        .await
        .unwrap();
    let colleagues = principals(&stage, SUPPLIED).await;
    let plan = stage.plan(&supplied).await;
    assert_eq!(plan.adds_to_yours.len(), 1, "{plan:#?}");
    stage.apply(&supplied).await;
    stage.assert_settled(&supplied).await;
    let all = principals(&stage, SUPPLIED).await;
    assert!(all.contains(FIVETRAN) && all.is_superset(&colleagues));

    // The colleague's live consumer stands in nobody's way, and nobody is ever turned away there.
    let asked = stage.connections(&supplied, "orders").await;
    assert!(asked.iter().any(|connection| connection.state.may_be_live()), "{asked:?}");
    stage.connect(SUPPLIED, "stranger");
    stage.until_pending(&supplied, "orders", 1).await;
    let (_, plan, _) = stage
        .decide(&supplied, &privnet_core::accept::Ask { connection: None, reject_others: true, again: false })
        .await;
    assert!(plan.actions.iter().all(|action| action.op != Op::Reject), "{plan:#?}");

    // A file that turns to something else says that whoever was let in here stays.
    let turned = stage.plan(&file("")).await;
    let stays = |plan: &privnet_core::Plan| {
        plan.warnings
            .iter()
            .any(|one| one.contains(SUPPLIED) && one.contains("whoever was let in there stays"))
    };
    assert!(stays(&turned), "{turned:#?}");
    let mut tombstone = file("");
    tombstone.services[0].remove = true;
    let gone = stage.plan(&tombstone).await;
    assert!(stays(&gone) && !stays(&stage.plan(&supplied).await), "{gone:#?}");

    stage.apply_with(&supplied, DESTROY).await;
    assert_eq!(principals(&stage, SUPPLIED).await, colleagues);
    let after = stage
        .ec2()
        .describe_vpc_endpoint_service_configurations()
        .service_ids(SUPPLIED)
        .send()
        .await
        .unwrap();
    assert_eq!(before.service_configurations(), after.service_configurations());
}

/// What the vendor was given would change, whether or not somebody is connected: a file that names another endpoint service is refused
/// without the word, and with it who has asked for the one that was made is turned away, and nobody at the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_turns_to_a_supplied_one_with_the_word_only() {
    let stage = Stage::open().await;
    let made = file("");
    stage.apply(&made).await;
    let asked = stage.until_pending(&made, "orders", 2).await;
    let supplied = existing(&format!("endpoint_service: {SUPPLIED}"), "allow: { fivetran: {} }");
    let plan = stage.plan(&supplied).await;
    assert!(plan.is_empty(), "{plan:#?}");
    let refused: Vec<_> =
        plan.refusals.iter().map(|refusal| (refusal.rule, refusal.flag.is_some())).collect();
    assert_eq!(refused, [(Rule::HandOver, true)], "{plan:#?}");

    let word = PlanOptions { sever_connections: true, ..PlanOptions::default() };
    // A run that stops when the endpoint service has gone is finished without the word: whoever is connected is at the other one.
    stage.fault("aws:DeleteListener:*:code=AccessDenied");
    let (plan, report) = stage.driver().apply(&supplied, word).await;
    assert_eq!(failure(&report).kind(), ErrorKind::Denied, "{report:?}");
    stage.heal();
    let turned_away: Vec<_> = plan.actions.iter().filter_map(|action| action.connection.as_ref()).collect();
    assert!(!turned_away.is_empty(), "{plan:#?}");
    assert!(turned_away.iter().all(|one| asked.iter().any(|pending| pending.id == one.id)), "{plan:#?}");
    stage.apply(&supplied).await;
    stage.assert_settled(&supplied).await;
    let asked = stage.connections(&supplied, "orders").await;
    assert!(
        asked.iter().any(|connection| connection.state.may_be_live()),
        "the colleague's stays: {asked:?}"
    );
}

/// A tombstone, a file without the service and one that makes it say nothing of the user's endpoint service: whom privnet allowed there
/// is found by the tags. Whom the user allows stays, and the colleague's live consumer stands in nobody's way.
#[tokio::test(flavor = "multi_thread")]
async fn whom_privnet_allowed_goes_with_the_service() {
    let tombstone = spec(
        "version: 1
deployment: stage
services: [{ name: orders, remove: true, aws: { account: \"123456789012\", region: us-east-1 } }]
",
    );
    let mut another = file("");
    another.services[0].name = "others".parse().unwrap();
    for (next, prune) in [(tombstone, false), (another, true), (file(""), false)] {
        let stage = Stage::open().await;
        let colleagues = principals(&stage, SUPPLIED).await;
        let supplied = existing(&format!("endpoint_service: {SUPPLIED}"), "allow: { fivetran: {} }");
        stage.apply(&supplied).await;
        assert!(principals(&stage, SUPPLIED).await.contains(FIVETRAN));
        until("the tags show", || async {
            let plan = stage.driver().plan(&next, PlanOptions { prune, ..PlanOptions::default() }).await.0;
            let gone = plan.actions.iter().any(|action| action.op == Op::Delete);
            gone.then_some(())
        })
        .await;
        stage.apply_with(&next, PlanOptions { prune, ..PlanOptions::default() }).await;
        assert_eq!(principals(&stage, SUPPLIED).await, colleagues);
    }
}

/// What cannot be looked for is not said to be gone.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_look_for_tags_is_told_what_stays() {
    let stage = Stage::open().await;
    let orders = file("");
    let told = |plan: &privnet_core::Plan| {
        plan.warnings.iter().any(|warning| warning.contains("`ec2:DescribeTags`"))
    };
    assert!(!told(&stage.plan(&orders).await));
    stage.fault("aws:DescribeTags:*:code=UnauthorizedOperation");
    assert!(told(&stage.plan(&orders).await));
    // Also where all goes: who stays allowed is no end of it.
    let destroy = PlanOptions { destroy: true, ..PlanOptions::default() };
    assert!(told(&stage.driver().plan(&orders, destroy).await.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_user_allows_on_his_service_stays_his() {
    let stage = Stage::open().await;
    let add = stage
        .ec2()
        .modify_vpc_endpoint_service_permissions()
        .service_id(SUPPLIED)
        .add_allowed_principals(FIVETRAN);
    add.send().await.unwrap();
    let supplied =
        existing(&format!("endpoint_service: {SUPPLIED}"), "allow: { fivetran: {}, dbt-cloud: {} }");
    let plan = until("the principal is seen as the user's", || async {
        let plan = stage.plan(&supplied).await;
        plan.warnings.iter().any(|warning| warning.contains("is allowed already")).then_some(plan)
    })
    .await;
    assert!(!format!("{:?}", plan.actions).contains(FIVETRAN), "{plan:#?}");
    stage.apply(&supplied).await;
    stage.assert_settled(&supplied).await;
    stage.apply_with(&supplied, DESTROY).await;
    assert!(principals(&stage, SUPPLIED).await.contains(FIVETRAN));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supplied_service_without_acceptance_is_refused() {
    let stage = Stage::open().await;
    let modify = stage
        .ec2()
        .modify_vpc_endpoint_service_configuration()
        .service_id(SUPPLIED)
        .acceptance_required(false);
    modify.send().await.unwrap();
    let manual = existing(&format!("endpoint_service: {SUPPLIED}"), "allow: { fivetran: {} }");
    let plan = stage.plan(&manual).await;
    assert!(plan.actions.is_empty());
    assert!(plan.refusals.iter().any(|refusal| refusal.why.contains("acceptance: manual")), "{plan:#?}");
    let automatic = existing(
        &format!("endpoint_service: {SUPPLIED}"),
        "allow: { fivetran: {} }\n    acceptance: automatic",
    );
    assert_eq!(stage.plan(&automatic).await.refusals, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supplied_service_that_is_not_there_is_refused() {
    let stage = Stage::open().await;
    let missing = existing("endpoint_service: vpce-svc-00000000000000000", "allow: { fivetran: {} }");
    let plan = stage.plan(&missing).await;
    assert!(plan.actions.is_empty());
    assert!(plan.refusals.iter().any(|refusal| refusal.rule == Rule::Unsuitable), "{plan:#?}");
}

/// Two deployments that are planned before either is applied: whom the first allowed is not the second's, and its action says so.
#[tokio::test(flavor = "multi_thread")]
async fn whom_another_deployment_allowed_meanwhile_is_not_told_as_done() {
    let stage = Stage::open().await;
    let of = |deployment| {
        existing_of(deployment, &format!("endpoint_service: {SUPPLIED}"), "allow: { fivetran: {} }")
    };
    let (first, second) = (of("stage"), of("other"));
    let driver = stage.driver();
    let (plan, desired, world) = driver.plan(&second, PlanOptions::default()).await;
    assert_eq!(plan.actions.len(), 1, "{plan:#?}");
    stage.apply(&first).await;
    let report = driver.execute(&plan, &desired, &world).await;
    let Outcome::Done { note: Some(note) } = &report.outcomes[0] else { panic!("{report:#?}") };
    for word in [FIVETRAN, SUPPLIED, "another one's", "`stage`"] {
        assert!(note.contains(word), "{word}: {note}");
    }
    // The first one's tags are as they were, and the second has nothing there, as its plan says.
    let plan = stage.plan(&second).await;
    assert!(plan.is_empty() && plan.warnings.iter().any(|one| one.contains(note)), "{plan:#?}");
    stage.assert_settled(&first).await;
    stage.apply_with(&second, DESTROY).await;
    assert!(principals(&stage, SUPPLIED).await.contains(FIVETRAN));
    stage.apply_with(&first, DESTROY).await;
    assert!(!principals(&stage, SUPPLIED).await.contains(FIVETRAN));
}
