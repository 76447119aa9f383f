//! What consumers come in by stays: a NAT subnet that leaves the file, a service of another project in a shared network, and what was there
//! before the file turned to what is there already.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod stage;

use std::collections::BTreeSet;

use privnet_core::Value;
use privnet_core::accept::{Ask, ConnectionState};
use privnet_core::plan::{Op, Plan, PlanOptions, Rule};
use privnet_core::spec::Spec;
use stage::{ONE, Stage, assert_done, assert_live, connected, made, spec, with_policy};

const SEVER: PlanOptions = PlanOptions { prune: false, sever_connections: true, destroy: false };
const PRUNE: PlanOptions = PlanOptions { prune: true, sever_connections: false, destroy: false };
const ALLOW: &str = "allow: { fivetran: {} }";
/// An attachment that is there, whose list names projects.
const SHARED: &str = "accept_by: project\nexisting: { service_attachment: shared-db }";

/// Whom the firewall rule of the service lets in.
async fn sources(stage: &Stage, spec: &Spec) -> Value {
    let live = stage.world(spec).await.live;
    let rule =
        live.into_iter().find(|one| one.address.kind == "firewall-rule" && one.address.name == "clients");
    rule.unwrap().fields["sources"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nat_subnet_that_leaves_the_file_is_let_in_while_the_attachment_has_it() {
    let (own, spare) = ("{ create: { cidr: 10.8.0.0/24 } }", "{ existing: nat-spare }");
    let with = |subnets: &str| made(ONE, &format!("nat_subnets: [{subnets}]"), "");
    let both = with(&format!("{own}, {spare}"));
    let (stage, id) = connected(&both).await;
    let open = sources(&stage, &both).await;
    let one = with(own);
    let plan = stage.plan(&one).await;
    assert!(plan.is_empty() && plan.refusals.is_empty(), "{plan:#?}");
    assert!(plan.warnings.iter().any(|warning| warning.contains("nat-spare")), "{:?}", plan.warnings);
    // Nor does another one in its place shut it.
    let other = with(&format!("{own}, {{ create: {{ cidr: 10.8.7.0/28 }} }}"));
    stage.apply(&other).await;
    stage.assert_settled(&other).await;
    let now = sources(&stage, &other).await;
    let open = open.as_list().unwrap().iter();
    assert!(open.clone().all(|range| now.as_list().unwrap().contains(range)), "{now}");
    assert_live(&stage, &other, &id).await;
}

/// A file with these services.
fn file(services: &str) -> Spec {
    spec(&format!(
        "version: 1\ndeployment: stage\ndefaults: {{ gcp: {{ region: us-east4, subnet: ilb }} }}\nservices:\n{services}"
    ))
}

/// What a plan refuses of a service, with the flags.
fn refused<'a>(plan: &'a Plan, service: &str) -> Vec<(&'a str, Option<&'a str>)> {
    let own = plan.refusals.iter().filter(|one| one.address.service == service);
    own.map(|one| (one.why.as_str(), one.flag.as_deref())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_project_has_in_a_shared_network_stays_while_that_one_is_not_read() {
    let stage = Stage::open().await;
    let before = stage.everything().await;
    let hosted = file(
        "  - name: orders\n    allow: { fivetran: {} }\n    gcp:\n      project: acme-data\n      host_project: acme-net\n      network: shared\n      \
         nat_subnets: [{ create: { cidr: 10.8.1.0/28 } }]\n      \
         ports: [{ listen: 5432, to: { instances: [projects/acme-data/zones/us-east4-b/instances/db-hosted] } }]\n",
    );
    stage.apply(&hosted).await;
    stage.assert_settled(&hosted).await;
    let tombstone = |project: &str| {
        file(&format!(
            "  - name: other\n    remove: true\n    gcp: {{ project: {project}, host_project: acme-net, network: shared }}\n"
        ))
    };
    let there = stage.everything().await;
    let all = PlanOptions { destroy: true, ..SEVER };
    let elsewhere = tombstone("acme-tiny");
    for options in [PRUNE, PlanOptions { prune: true, ..SEVER }, all] {
        let (plan, report) = stage.driver().apply(&elsewhere, options).await;
        assert!(plan.is_empty() && report.outcomes.is_empty(), "{plan:#?}");
        let refused = refused(&plan, "orders");
        let said = |(why, flag): &(&str, Option<&str>)| why.contains("project: acme-data") && flag.is_none();
        assert!(!refused.is_empty() && refused.iter().all(said), "{plan:#?}");
    }
    assert_eq!(stage.everything().await, there);
    // Nor where the file names that project, and it cannot be read.
    let both = file(
        "  - name: other\n    remove: true\n    gcp: { project: acme-tiny, host_project: acme-net, network: shared }\n  \
         - name: third\n    remove: true\n    gcp: { project: acme-data, host_project: acme-net, network: shared }\n",
    );
    stage.fault("gcp:serviceAttachments.aggregatedList@acme-data:1+:code=forbidden");
    let (plan, ..) = stage.driver().plan(&both, all).await;
    assert!(plan.is_empty() && !refused(&plan, "orders").is_empty(), "{plan:#?}");
    stage.heal();
    // Where it is read, the whole of the service is seen, and goes.
    stage.apply_with(&tombstone("acme-data"), PlanOptions { prune: true, ..SEVER }).await;
    assert_eq!(stage.everything().await, before);
}

/// What was made and handed over goes only with the word, whether or not somebody came by then; who waits is turned away by a decision.
#[tokio::test(flavor = "multi_thread")]
async fn an_attachment_that_is_there_takes_the_place_of_one_that_was_made_with_the_word_only() {
    let stage = Stage::open().await;
    let (before, mine) = (stage.everything().await, made(ONE, "", ""));
    stage.apply(&mine).await;
    stage.until_pending(&mine, "orders", 1).await;
    let turned = with_policy(ALLOW, SHARED, "");
    let plan = stage.plan(&turned).await;
    assert!(plan.is_empty(), "{:#?}", plan.actions);
    let rules: BTreeSet<_> =
        plan.refusals.iter().map(|one| (one.rule.as_str(), one.flag.as_deref())).collect();
    assert_eq!(rules, BTreeSet::from([("hand-over", Some("--sever-connections"))]), "{:#?}", plan.refusals);
    let known = stage.connections(&turned, "orders").await;
    assert!(known.iter().all(|one| one.identities.iter().any(|who| who.to_string().contains("acme-reader"))));
    let plan = stage.apply_with(&turned, SEVER).await;
    assert!(plan.actions.iter().any(|one| one.op == Op::Reject), "{plan:#?}");
    stage.assert_settled(&turned).await;
    assert_eq!(stage.everything().await, before);
}

/// The file turned to an attachment in another region, and the run that took the old one away ended on its way: the next one ends it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_turn_to_another_region_left_when_it_was_cut_short_goes_with_the_next_run() {
    let central = file(
        "  - name: orders\n    allow: { fivetran: {} }\n    gcp:\n      project: acme-data\n      region: us-central1\n      network: prod\n      \
         nat_subnets: [{ create: { cidr: 10.8.5.0/28 } }]\n      \
         ports: [{ listen: 5432, to: { instances: [zones/us-central1-a/instances/db-central] } }]\n",
    );
    let turned = with_policy(ALLOW, SHARED, "");
    // After the attachment, after what consumers came through, and with nothing but what is for the network.
    for (fails, left) in [
        ("forwardingRules", "forwarding-rule"),
        ("regionHealthChecks", "health-check"),
        ("firewalls", "firewall-rule"),
        ("subnetworks", "nat-subnet"),
    ] {
        let stage = Stage::open().await;
        let before = stage.everything().await;
        stage.apply(&central).await;
        stage.fault(&format!("gcp:{fails}.delete:1+:code=forbidden"));
        let (plan, report) = stage.driver().apply(&turned, SEVER).await;
        assert!(plan.refusals.is_empty() && !report.all_done(), "{fails}: {plan:#?}");
        stage.heal();
        let live = stage.world(&turned).await.live;
        let ours: BTreeSet<_> =
            live.iter().filter(|one| one.is_ours()).map(|one| one.address.kind.as_str()).collect();
        assert!(ours.contains(left) && !ours.contains("service-attachment"), "{fails}: {ours:?}");
        // Nobody comes in by what is left.
        stage.apply_with(&turned, PlanOptions::default()).await;
        stage.assert_settled(&turned).await;
        assert_eq!(stage.everything().await, before, "{fails}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attachment_turns_to_another_forwarding_rule_with_the_word_only() {
    let rule = |name: &str| with_policy(ALLOW, &format!("existing: {{ forwarding_rule: {name} }}"), "");
    let (shared, mine) = (rule("shared-db"), made(ONE, "", ""));
    let (stage, id) = connected(&shared).await;
    let hands_over = |plan: &Plan| {
        assert!(plan.is_empty(), "{:#?}", plan.actions);
        let said = plan.refusals.iter().filter(|one| one.rule == Rule::HandOver);
        assert_eq!(said.filter(|one| one.flag.is_some()).count(), 1, "{:#?}", plan.refusals);
    };
    hands_over(&stage.plan(&mine).await);
    // Neither of two that differ in this takes the other's place, with no word.
    let global = made(ONE, "global_access: true", "");
    let (plan, ..) = stage.driver().plan(&global, SEVER).await;
    let refused = refused(&plan, "orders");
    assert!(
        plan.is_empty() && refused.iter().any(|(why, _)| why.contains("`global_access: false`")),
        "{plan:#?}"
    );
    stage.apply_with(&mine, SEVER).await;
    stage.assert_settled(&mine).await;
    hands_over(&stage.plan(&shared).await);
    stage.apply_with(&shared, SEVER).await;
    stage.assert_settled(&shared).await;
    assert_live(&stage, &shared, &id).await;
}

/// Two services of one project and region in networks of two projects: each is seen from both, and only its own place knows its file.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_beside_one_in_another_projects_network_decides_as_its_file_says() {
    let stage = Stage::open().await;
    let service = |name: &str, host: &str, network: &str, cidr: &str, machine: &str, more: &str| {
        format!(
            "  - name: {name}\n    allow: {{ fivetran: {{}} }}\n    gcp:\n      project: acme-data\n      host_project: {host}\n      \
             network: {network}\n      nat_subnets: [{{ create: {{ cidr: {cidr} }} }}]\n{more}      \
             ports: [{{ listen: 5432, to: {{ instances: [zones/us-east4-b/instances/{machine}] }} }}]\n"
        )
    };
    let both = file(&format!(
        "{}{}",
        service("plain", "acme-data", "prod", "10.8.0.0/28", "db-1", ""),
        service("hosted", "acme-net", "shared", "10.8.1.0/28", "db-hosted", "      accept_by: project\n")
    ));
    stage.apply(&both).await;
    let pending = stage.until_pending(&both, "hosted", 1).await;
    let (plan, report) = stage.reject(&both, &pending[0].id, false).await;
    assert_done(&plan, &report);
    let attachment = stage
        .world(&both)
        .await
        .live
        .into_iter()
        .find(|live| live.address.service == "hosted" && live.address.kind == "service-attachment");
    let rejected = attachment.unwrap().fields["rejected"].to_string();
    assert!(!rejected.contains("forwardingRules") && rejected != "[]", "{rejected}");
    stage.assert_settled(&both).await;
}

/// Whom a full reject list has no room for goes with the attachment.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_reject_list_does_not_stop_what_takes_the_attachment_away() {
    let spec = made(ONE, "", "");
    let empty = Stage::open().await.everything().await;
    let (stage, _) = connected(&spec).await;
    let id = stage.live(&spec, "service-attachment").await.unwrap().id;
    let full =
        (0..64).map(|nth| format!("projects/mallory-labs/regions/us-east4/forwardingRules/41{nth:02}"));
    let name = id.rsplit('/').next().unwrap();
    stage.edit_attachment(name, |there| there.consumer_reject_lists = full.collect()).await;
    let known = stage.connections(&spec, "orders").await;
    let pending = known.iter().find(|one| one.state == ConnectionState::Pending).unwrap();
    // It is known when the decision is planned: no word helps.
    let before = stage.attachment(name).await;
    for sever in [false, true] {
        let (plan, report) = stage.reject(&spec, &pending.id, sever).await;
        assert!(plan.is_empty() && report.outcomes.is_empty(), "{plan:#?} {report:#?}");
        let [refused] = plan.refusals.as_slice() else { panic!("{:#?}", plan.refusals) };
        assert_eq!((refused.rule, &refused.flag), (Rule::Unsuitable, &None));
        assert!(
            refused.why.contains("the reject list is full") && refused.why.contains("not needed any more")
        );
    }
    let others = Ask { reject_others: true, ..Ask::default() };
    let (decisions, plan, report) = stage.decide(&spec, &others).await;
    assert!(decisions.iter().any(|one| one.is_refused()) && plan.is_empty(), "{decisions:#?} {plan:#?}");
    assert!(report.outcomes.is_empty() && plan.refusals.iter().any(|one| one.why.contains("is full")));
    assert_eq!(stage.attachment(name).await, before);
    let plan = stage.apply_with(&spec, PlanOptions { destroy: true, ..SEVER }).await;
    assert!(plan.actions.iter().any(|one| one.op == Op::Reject), "{plan:#?}");
    assert_eq!(stage.everything().await, empty);
}
