//! Services of each form on the local cloud: made, decided on, destroyed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod stage;

use std::collections::BTreeSet;

use privnet_core::accept::{Ask, ConnectionState};
use privnet_core::conformance::Subject;
use privnet_core::plan::{PlanOptions, Rule};
use privnet_core::{Purpose, Value};
use stage::{ONE, PROJECT, REGION, Stage, assert_done, made, with_policy};

const DESTROY: PlanOptions = PlanOptions { destroy: true, prune: false, sever_connections: true };

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_behind_a_group_is_made_and_destroyed_without_a_trace() {
    let stage = Stage::open().await;
    let before = stage.everything().await;
    let spec = made(ONE, "", "tags: { owner: me }");
    stage.apply(&spec).await;
    stage.assert_settled(&spec).await;
    let world = stage.world(&spec).await;
    let handoff = stage.provider().handoff(&spec, &spec.services[0], &world);
    let uri = handoff.fields["service_attachment"].as_str().unwrap();
    assert!(uri.starts_with("projects/acme-data/regions/us-east4/serviceAttachments/pn-orders-"), "{uri}");
    stage.apply_with(&spec, DESTROY).await;
    assert_eq!(stage.everything().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_named_endpoint_alone_is_let_in_and_cut_with_the_word_only() {
    let stage = Stage::open().await;
    let spec = made(ONE, "", "");
    stage.apply(&spec).await;
    stage.until_pending(&spec, "orders", 2).await;
    let (_, plan, report) = stage.decide(&spec, &Ask::default()).await;
    assert_done(&plan, &report);
    let id = plan.actions[0].connection.as_ref().unwrap().id.clone();
    let state = |all: Vec<privnet_core::accept::Connection>, id: &str| {
        all.into_iter().find(|c| c.id == id).unwrap().state
    };
    assert_eq!(state(stage.connections(&spec, "orders").await, &id), ConnectionState::Accepted);
    stage.assert_settled(&spec).await;
    let (refused, _) = stage.reject(&spec, &id, false).await;
    assert!(refused.refusals.iter().any(|refusal| refusal.rule == Rule::WouldSever));
    let (plan, report) = stage.reject(&spec, &id, true).await;
    assert_done(&plan, &report);
    assert_eq!(state(stage.connections(&spec, "orders").await, &id), ConnectionState::Rejected);
    stage.assert_settled(&spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn others_entries_of_an_attachment_that_exists_stay() {
    let stage = Stage::open().await;
    let spec = with_policy(
        "allow: { fivetran: {} }",
        "accept_by: project\nexisting: { service_attachment: shared-db }",
        "",
    );
    assert!(stage.apply(&spec).await.is_empty());
    stage.connect("shared-db", "fivetran-donkeys");
    stage.until_pending(&spec, "orders", 1).await;
    let (_, plan, report) = stage.decide(&spec, &Ask::default()).await;
    assert_eq!(plan.actions.len(), 1, "{plan:#?}");
    assert_done(&plan, &report);
    let get = stage.attachments().await.get().set_project(PROJECT).set_region(REGION);
    let there = get.set_service_attachment("shared-db").send().await.unwrap();
    let mut listed: Vec<_> =
        there.consumer_accept_lists.into_iter().filter_map(|entry| entry.project_id_or_num).collect();
    listed.sort();
    assert_eq!(listed, ["acme-reader", "fivetran-donkeys"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_automatic_service_lets_its_projects_in_and_goes_over_to_endpoints() {
    let stage = Stage::open().await;
    let block = format!("ports: [{ONE}]");
    let spec =
        with_policy("allow: { fivetran: { max_connections: 2 } }\n    acceptance: automatic", &block, "");
    stage.apply(&spec).await;
    stage.assert_settled(&spec).await;
    let listed = |live: &privnet_core::Live| live.fields["consumers"].clone();
    let live = stage.live(&spec, "service-attachment").await.unwrap();
    assert_eq!(listed(&live), Value::texts(["project:fivetran-donkeys=2"]));
    stage.until_pending(&spec, "orders", 1).await;
    let manual = made(ONE, "", "");
    stage.apply(&manual).await;
    stage.assert_settled(&manual).await;
    let live = stage.live(&manual, "service-attachment").await.unwrap();
    assert!(listed(&live).to_string().contains("endpoint:projects/fivetran-donkeys"), "{}", listed(&live));
    let states = stage.connections(&manual, "orders").await;
    assert!(states.iter().any(|connection| connection.state == ConnectionState::Accepted), "{states:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_exists_is_attached_to_and_left_alone() {
    let stage = Stage::open().await;
    let before = stage.everything().await;
    let block = "nat_subnets: [{ existing: nat-spare }, { create: { cidr: 10.8.4.0/24 } }]\nexisting: { forwarding_rule: shared-db }";
    let spec = with_policy("allow: { fivetran: {} }", block, "");
    let plan = stage.apply(&spec).await;
    // No firewall rule of ours leads to it: that the new range needs one is said when it is made, and by the hand-over.
    let said = "let 10.8.4.0/24 reach the machines behind the forwarding rule `shared-db`";
    assert!(plan.warnings.iter().any(|warning| warning.contains(said)), "{:?}", plan.warnings);
    stage.assert_settled(&spec).await;
    assert!(stage.plan(&spec).await.warnings.iter().all(|warning| !warning.contains("firewall")));
    let handoff = stage.provider().handoff(&spec, &spec.services[0], &stage.world(&spec).await);
    let said = "let the range of `nat-spare`, 10.8.4.0/24 reach";
    assert!(handoff.notes.iter().any(|note| note.contains(said)), "{:?}", handoff.notes);
    stage.apply_with(&spec, DESTROY).await;
    assert_eq!(stage.everything().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_network_of_a_host_project() {
    let stage = Stage::open().await;
    let block = "host_project: acme-net\nnetwork: shared\nports: [{ listen: 5432, to: { instances: [zones/us-east4-b/instances/db-hosted] } }]";
    let spec = with_policy("allow: { fivetran: {} }", block, "");
    stage.apply(&spec).await;
    stage.assert_settled(&spec).await;
    stage.apply_with(&spec, DESTROY).await;
    assert!(stage.world(&spec).await.live.iter().all(|live| !live.is_ours()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_refused_at_plan() {
    let stage = Stage::open().await;
    let refused = |spec| {
        let stage = &stage;
        async move {
            stage
                .plan(&spec)
                .await
                .refusals
                .iter()
                .map(|refusal| refusal.why.clone())
                .collect::<Vec<_>>()
                .join("; ")
        }
    };
    let shared = refused(made(ONE, "nat_subnets: [{ existing: nat-shared-db }]", "")).await;
    assert!(shared.contains("two attachments cannot share one"), "{shared}");
    let overlap = refused(made(ONE, "nat_subnets: [{ create: { cidr: 10.7.1.0/28 } }]", "")).await;
    assert!(overlap.contains("overlaps with 10.7.1.0/24"), "{overlap}");
    // Ranges of one network may not overlap in whichever regions they are.
    let far = refused(made(ONE, "nat_subnets: [{ create: { cidr: 10.9.0.128/28 } }]", "")).await;
    assert!(far.contains("overlaps with 10.9.0.0/24 of the subnet `ilb` in us-central1"), "{far}");
    let rule =
        "network: other\nnat_subnets: [{ existing: nat-spare }]\nexisting: { forwarding_rule: shared-db }";
    let network = refused(with_policy("allow: { fivetran: {} }", rule, "")).await;
    assert!(
        network.contains("the forwarding rule `shared-db` is in projects/acme-data/global/networks/prod"),
        "{network}"
    );
    assert!(
        network.contains("the NAT subnet `nat-spare` is in projects/acme-data/global/networks/prod"),
        "{network}"
    );
    let machine = refused(made(&ONE.replace("db-1", "db-9"), "", "")).await;
    assert!(machine.contains("there is no machine"), "{machine}");
    let purpose = refused(made(ONE, "nat_subnets: [{ existing: data }]", "")).await;
    assert!(purpose.contains("has the purpose PRIVATE"), "{purpose}");
}

/// Nobody lets the probers in: no machine is healthy, and a status says where to look.
#[tokio::test(flavor = "multi_thread")]
async fn forwarders_that_are_not_healthy_are_told_of() {
    let stage = Stage::open().await;
    let block = "forwarder: { subnets: [data], size: e2-small }";
    let spec = made("{ listen: 5432, to: { forwarder: { ip: 10.90.0.3 } } }", block, "");
    stage.apply(&spec).await;
    let rules = stage.world(&spec).await.live.into_iter();
    let probers = rules.filter(|live| live.address.name == "probers").map(|live| live.id).next().unwrap();
    stage.disable_firewall(probers.rsplit('/').next().unwrap()).await;
    let (desired, world) = stage.driver().observe(&spec, Purpose::Status).await;
    let machines: BTreeSet<&str> =
        world.services["orders"].targets.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(machines.len(), 2, "{world:#?}");
    for machine in machines {
        let command =
            format!("`gcloud compute instances get-serial-port-output {machine} --project acme-data`");
        assert!(desired.waits.iter().any(|wait| wait.why.contains(&command)), "{:#?}", desired.waits);
    }
    assert_eq!(desired.waits.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarders_say_whose_they_are_and_other_tags_replace_none() {
    let stage = Stage::open().await;
    let file = |tags: &str| {
        let block = "forwarder: { subnets: [data], size: e2-small }";
        made("{ listen: 5432, to: { forwarder: { ip: 10.90.0.3 } } }", block, &format!("tags: {{ {tags} }}"))
    };
    let spec = file("team: data");
    let plan = stage.apply(&spec).await;
    // What is made in the user's network is said to be added to it.
    let added: BTreeSet<(&str, &str)> =
        plan.adds_to_yours.iter().map(|one| (one.address.kind.as_str(), one.to.as_str())).collect();
    let network = "the network prod (projects/acme-data/global/networks/prod)";
    assert_eq!(added, BTreeSet::from([("firewall-rule", network), ("nat-subnet", network)]));
    assert_eq!(plan.adds_to_yours.len(), 3);
    let machines = stage.machines_of("orders").await;
    assert_eq!(machines.len(), 2);
    for labels in machines.values() {
        let has = |key: &str, value: &str| labels.get(key).is_some_and(|there| there == value);
        assert!(has("privnet-deployment", "stage") && has("team", "data"), "{labels:?}");
    }
    let plan = stage.apply(&file("team: platform")).await;
    let changed: Vec<&str> = plan.actions.iter().map(|action| action.address.kind.as_str()).collect();
    assert_eq!(changed, ["forwarding-rule"]);
    assert_eq!(stage.machines_of("orders").await, machines);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_of_forwarders_is_looked_into() {
    let stage = Stage::open().await;
    let plan = |image: &str, size: &str| {
        let block = format!("forwarder: {{ subnets: [data], size: {size}, image: {image} }}");
        let spec = made("{ listen: 5432, to: { forwarder: { ip: 10.90.0.3 } } }", &block, "");
        let stage = &stage;
        async move { stage.plan(&spec).await }
    };
    let ubuntu = "projects/ubuntu-os-cloud/global/images/family";
    for (image, size, why) in [
        ("projects/acme-data/global/images/no-such-image", "e2-small", "is not there"),
        (&format!("{ubuntu}/ubuntu-2404-lts-amd46"), "e2-small", "is not there"),
        (&format!("{ubuntu}/ubuntu-2404-lts-arm64"), "e2-small", "is for ARM64, and e2-small is X86_64"),
        ("projects/debian-cloud/global/images/family/debian-12", "e2-small", "have no cloud-init"),
        ("projects/cos-cloud/global/images/cos-stable-121-18867-294-5", "e2-small", "has no Python"),
    ] {
        let plan = plan(image, size).await;
        assert!(
            plan.is_empty() && plan.refusals.iter().any(|one| one.why.contains(why)),
            "{image}: {plan:#?}"
        );
    }
    // What is there, of the right processor and made of a system that is known, leaves no doubt.
    let golden = "projects/acme-data/global/images/golden-forwarder";
    for image in [golden, &format!("{ubuntu}/ubuntu-2404-lts-amd64")] {
        let plan = plan(image, "e2-small").await;
        assert!(plan.refusals.is_empty() && !plan.is_empty(), "{image}: {:?}", plan.refusals);
        assert!(!plan.warnings.iter().any(|one| one.contains("nft, python3")), "{:?}", plan.warnings);
    }
    // One that may not be looked at is said to be unknown.
    stage.fault("gcp:images.get:1:code=forbidden");
    let hidden = plan(golden, "e2-small").await;
    assert!(hidden.warnings.iter().any(|one| one.contains("could not be read")), "{:?}", hidden.warnings);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_mysql_is_to_be_named() {
    let stage = Stage::open().await;
    let machines = "forwarder: { subnets: [data], size: e2-small }";
    let forwarded = "{ listen: 3307, port: 3306, ENGINE to: { forwarder: { ip: 10.90.0.3 } } }";
    let direct = "{ listen: 3306, ENGINE to: { instances: [zones/us-east4-b/instances/db-1] } }";
    let warned = async |ports: &str, engine: &str, block: &str| -> Vec<String> {
        let plan = stage.plan(&made(&ports.replace("ENGINE", engine), block, "")).await;
        plan.warnings.into_iter().filter(|text| text.contains("max_connect_errors")).collect()
    };
    let unsaid = warned(forwarded, "", machines).await;
    assert!(unsaid.len() == 1 && unsaid[0].contains("port 3307"), "{unsaid:#?}");
    assert!(
        unsaid[0].contains("write `engine: mysql`") && unsaid[0].contains("`engine: other`"),
        "{unsaid:#?}"
    );
    for engine in ["engine: mysql,", "engine: other,"] {
        assert_eq!(warned(forwarded, engine, machines).await, Vec::<String>::new(), "{engine}");
    }
    let named = warned(direct, "engine: mysql,", "").await;
    assert!(named.len() == 1 && !named[0].contains("engine: other"), "{named:#?}");
    let unsaid = warned(direct, "", "").await;
    assert!(unsaid.len() == 1 && unsaid[0].ends_with("say so with `engine: other`"), "{unsaid:#?}");
    assert_eq!(warned(direct, "engine: other,", "").await, Vec::<String>::new());
    // Wherever a check asks MySQL itself, also by HTTP: it leaves in the midst of the handshake too.
    for (port, how) in [
        (
            "listen: 3306, engine: mysql, health_check: { http: /x }",
            "HTTP health checks of MySQL's port 3306",
        ),
        (
            "listen: 13306, engine: mysql, health_check: { port: 3306 }",
            "TCP health checks of MySQL's port 3306",
        ),
        ("listen: 13306, health_check: { port: 3306 }", "TCP health checks of MySQL's port 3306"),
        ("listen: 3306, engine: mysql, health_check: { http: /x, port: 8080 }", ""),
        ("listen: 5432, engine: postgres, health_check: { port: 3306 }", ""),
    ] {
        let port = format!("{{ {port}, to: {{ instances: [zones/us-east4-b/instances/db-1] }} }}");
        let said = warned(&port, "", "").await;
        assert_eq!(said.len(), usize::from(!how.is_empty()), "{port}: {said:#?}");
        assert!(said.iter().all(|text| text.contains(how)), "{port}: {said:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_and_failed_operations_are_mended_by_the_next_run() {
    let stage = Stage::open().await;
    let spec = made(ONE, "", "");
    for call in ["serviceAttachments.insert", "forwardingRules.insert", "regionBackendServices.insert"] {
        stage.fault(&format!("gcp:{call}:1:lost"));
    }
    stage.fault("gcp:subnetworks.insert:1:code=QUOTA_EXCEEDED");
    let (_, report) = stage.driver().apply(&spec, PlanOptions::default()).await;
    assert!(report.failures().any(|error| error.kind() == privnet_core::ErrorKind::Quota), "{report:#?}");
    stage.heal();
    stage.apply(&spec).await;
    stage.assert_settled(&spec).await;
}

/// What is there under another name is known by its targets, its ports, its network and its NAT subnets.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_under_another_name_is_known_by_what_it_serves() {
    const SPARE: &str = "nat_subnets: [{ existing: nat-spare }]";
    const GROUP: &str = "{ listen: 5432, to: { instance_group: zones/us-east4-a/instanceGroups/db-group } }";
    const FORWARDED: &str = "{ listen: 5432, engine: postgres, to: { forwarder: { ip: 10.90.0.3 } } }";
    const FORWARDERS: &str = "forwarder: { subnets: [data], size: e2-small }";
    let on_rule = format!("{SPARE}\nexisting: {{ forwarding_rule: shared-db }}");
    let renamed = |file: &privnet_core::spec::Spec| {
        let mut other = file.clone();
        other.services[0].name = "renamed".parse().unwrap();
        other
    };
    for file in [
        made(ONE, "", ""),
        made(GROUP, SPARE, ""),
        made(FORWARDED, FORWARDERS, ""),
        with_policy("allow: { fivetran: {} }", &on_rule, ""),
    ] {
        let stage = Stage::open().await;
        stage.apply(&file).await;
        let plan = stage.plan(&renamed(&file)).await;
        let [refusal] = plan.refusals.as_slice() else { panic!("{:#?}", plan.refusals) };
        let in_vain = refusal.why.contains("more stands in its way");
        assert!(refusal.rule == Rule::HandOver && (refusal.flag.is_some() || in_vain), "{refusal:#?}");
        assert!(refusal.why.contains("`orders` was renamed"), "{refusal:#?}");
        assert!(plan.is_empty() && plan.left.len() == 1, "{:#?}", plan.actions);
    }
    // Another machine, or another range for another way to the same one.
    let stage = Stage::open().await;
    stage.apply(&made(ONE, "", "")).await;
    let other = ONE.replace("zones/us-east4-b/instances/db-1", "zones/us-east4-c/instances/db-2");
    for file in [made(&other, SPARE, ""), made(ONE, SPARE, "")] {
        let plan = stage.plan(&renamed(&file)).await;
        assert!(plan.refusals.is_empty() && !plan.is_empty(), "{:#?}", plan.refusals);
    }
    // What is the user's own has its own name.
    let name = stage.live(&made(ONE, "", ""), "service-attachment").await.unwrap().id;
    let yours = format!("existing: {{ service_attachment: {} }}", name.rsplit('/').next().unwrap());
    let yours = with_policy("allow: { fivetran: {} }", &yours, "");
    let plan = stage.plan(&renamed(&yours)).await;
    assert!(plan.refusals.iter().all(|one| one.rule != Rule::HandOver), "{:#?}", plan.refusals);
}
