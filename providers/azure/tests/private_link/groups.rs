//! Services in several resource groups: how they are read, what they share, and that none moves.

use privnet_core::accept::Ask;
use privnet_core::conformance::Subject as _;
use privnet_core::plan::{PlanOptions, Rule};
use serde_json::json;

use crate::stage::{self, DIRECT, GROUP, Stage, assert_done};

/// Services over machines of the user's own, by name and resource group.
fn in_groups(services: &[(&str, &str)]) -> privnet_core::spec::Spec {
    in_groups_with(services, |network, _| format!("existing: {network}/subnets/nat"))
}

/// The same with NAT subnets as this says, of the network and the service's place in the list.
fn in_groups_with(
    services: &[(&str, &str)],
    subnet: impl Fn(&str, usize) -> String,
) -> privnet_core::spec::Spec {
    let network = format!("{GROUP}/providers/Microsoft.Network/virtualNetworks/hub");
    let services: String = services
        .iter()
        .enumerate()
        .map(|(nth, (name, group))| {
            // Azure takes a machine behind one internal load balancer.
            let port = DIRECT.replace("db-1-nic", &format!("db-{}-nic", nth + 1));
            let subnet = subnet(&network, nth);
            format!(
                "  - name: {name}
    allow: {{ acme: {{}} }}
    azure: {{ resource_group: {group}, nat_subnet: {{ {subnet} }}, join_nics: true, ports: [{port}] }}
"
            )
        })
        .collect();
    stage::spec(&format!(
        "version: 1
deployment: stage
consumers:
  acme: {{ azure: {{ subscriptions: [11111111-2222-3333-4444-555555555555] }} }}
defaults:
  azure:
    subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
    location: eastus2
    vnet: {network}
    load_balancer_subnet: {network}/subnets/lb
services:
{services}"
    ))
}

pub(super) async fn make_groups(stage: &Stage, names: &[&str]) {
    for name in names {
        let path = GROUP.replace("rg-data", name).replace("resourceGroups", "resourcegroups");
        let body = json!({"location": "eastus2"});
        let (status, answer) =
            stage.request("PUT", &format!("{path}?api-version=2021-04-01"), Some(&body)).await;
        assert!(status < 300, "{answer}");
    }
}

/// Interfaces beside those of the default world.
async fn make_interfaces(stage: &Stage, names: &[&str]) {
    for name in names {
        let path = format!("{GROUP}/providers/Microsoft.Network/networkInterfaces/{name}");
        let subnet = format!("{GROUP}/providers/Microsoft.Network/virtualNetworks/hub/subnets/db");
        let body = json!({"location": "eastus2", "properties": {"ipConfigurations": [
            {"name": "ipconfig1", "properties": {"subnet": {"id": subnet}}}]}});
        let (status, answer) =
            stage.request("PUT", &format!("{path}?api-version=2025-05-01"), Some(&body)).await;
        assert!(status < 300, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_groups_are_read_by_the_subscriptions_pages() {
    let stage = Stage::open().await;
    make_groups(&stage, &["rg-2", "rg-3", "rg-4"]).await;
    make_interfaces(&stage, &["db-3-nic", "db-4-nic"]).await;
    let all = [("one", "rg-data"), ("two", "rg-2"), ("three", "rg-3"), ("four", "rg-4")];
    let (two, four) = (in_groups(&all[..2]), in_groups(&all));
    stage.apply(&four).await;
    stage.assert_settled(&four).await;
    let calls = async |spec: &privnet_core::spec::Spec| {
        let driver = stage.driver();
        let (desired, world) = driver.observe(spec, privnet_core::Purpose::Plan).await;
        driver.execute(&privnet_core::Plan::default(), &desired, &world).await.calls
    };
    let (first, second) = (calls(&two).await, calls(&four).await);
    assert_eq!(first, second, "nothing is read by groups");
    assert!(first <= 8, "{first}");
    // A role on the groups alone: the subscription's lists may not be read.
    stage.fault("azure:GET Microsoft.Network/privateLinkServices:1-2:code=403.AuthorizationFailed");
    let by_groups = calls(&four).await;
    stage.heal();
    // That matters to a plan that takes something away, and is said there once.
    let said = |warning: &String| warning.contains("in other resource groups") && warning.contains("403");
    for (destroy, times) in [(false, 0), (true, 1)] {
        stage.fault("azure:GET Microsoft.Network/privateLinkServices:1-2:code=403.AuthorizationFailed");
        let (plan, ..) = stage.driver().plan(&four, PlanOptions { destroy, ..PlanOptions::default() }).await;
        stage.heal();
        assert!(plan.is_empty() != destroy && plan.refusals.is_empty(), "{plan:#?}");
        assert_eq!(
            plan.warnings.iter().filter(|warning| said(warning)).count(),
            times,
            "{:?}",
            plan.warnings
        );
    }
    assert!(by_groups > second, "{by_groups}");
    // Where another list alone is denied, others' services are seen all the same.
    stage.fault("azure:GET Microsoft.Compute/virtualMachineScaleSets:1:code=403.AuthorizationFailed");
    let plan = stage.plan(&four).await;
    stage.heal();
    assert!(plan.is_empty() && !plan.warnings.iter().any(said), "{plan:#?}");
    // One group that is not there refuses its own service.
    let missing = in_groups(&[all[0], ("two", "rg-2"), ("five", "rg-5")]);
    let plan = stage.plan(&missing).await;
    let refused: Vec<_> = plan.refusals.iter().map(|refusal| refusal.address.service.as_str()).collect();
    assert_eq!(refused, ["five"], "{:?}", plan.refusals);
    stage.apply_with(&four, PlanOptions { destroy: true, ..PlanOptions::default() }).await;
}

/// The names of two subnets of one network tell their services in clear, and each is where its own service is.
#[tokio::test(flavor = "multi_thread")]
async fn services_in_two_groups_make_their_subnets_in_one_network() {
    let stage = Stage::open().await;
    let before = stage.everything().await;
    make_groups(&stage, &["rg-2"]).await;
    let both = in_groups_with(&[("orders", "rg-data"), ("billing", "rg-2")], |_, nth| {
        format!("create: {{ cidr: 10.1.{}.0/28 }}", 100 + nth)
    });
    stage.apply(&both).await;
    stage.assert_settled(&both).await;
    // A file that does not know of the other one's group leaves its subnet to it.
    let one = in_groups_with(&[("orders", "rg-data")], |_, nth| {
        format!("create: {{ cidr: 10.1.{}.0/28 }}", 100 + nth)
    });
    assert_eq!(stage.plan(&one).await.left, []);
    stage.apply_with(&both, PlanOptions { destroy: true, ..PlanOptions::default() }).await;
    assert_eq!(stage.everything().await, before);
}

/// What is proven to be of a service in a group that the file does not name is seen where the subscription is read.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_moves_to_another_group_is_refused_and_not_cut() {
    let stage = Stage::open().await;
    make_groups(&stage, &["rg-2", "rg-3"]).await;
    let before = in_groups(&[("one", "rg-data"), ("orders", "rg-2")]);
    stage.apply(&before).await;
    stage.until_pending(&before, "orders", 1).await;
    let (_, plan, report) = stage.decide(&before, &Ask::default()).await;
    assert_done(&plan, &report);
    let after = in_groups(&[("one", "rg-data"), ("orders", "rg-3")]);
    let plan = stage.plan(&after).await;
    assert!(plan.is_empty(), "{:?}", plan.actions);
    assert!(
        plan.refusals.len() == 1 && plan.refusals[0].why.contains("/rg-2 and the file puts it into"),
        "{:?}",
        plan.refusals
    );
    let destroy = PlanOptions { destroy: true, ..PlanOptions::default() };
    let plan = stage.driver().plan(&after, destroy).await.0;
    assert!(
        plan.refusals
            .iter()
            .any(|refusal| refusal.rule == Rule::WouldSever && refusal.address.service == "orders"),
        "who is connected at the old place is not cut: {:?} {:?}",
        plan.refusals,
        plan.actions
    );
}

/// The only service of a file that moves to another group is seen where it was, by its private link service: the move is refused, and
/// `destroy` takes away what is there, but nothing of a service that the file does not list.
#[tokio::test(flavor = "multi_thread")]
async fn a_lone_service_that_moves_to_another_group_is_refused_and_found() {
    let stage = Stage::open().await;
    stage.hold_requests().await;
    make_groups(&stage, &["rg-2", "rg-3"]).await;
    stage.apply(&in_groups(&[("orders", "rg-2"), ("other", "rg-2")])).await;
    let after = in_groups(&[("orders", "rg-3")]);
    let plan = stage.plan(&after).await;
    assert!(plan.is_empty() && plan.left.is_empty(), "{plan:#?}");
    assert!(
        plan.refusals.len() == 1 && plan.refusals[0].why.contains("/rg-2 and the file puts it into"),
        "{:?}",
        plan.refusals
    );
    stage.apply_with(&after, PlanOptions { destroy: true, ..PlanOptions::default() }).await;
    let subscription = GROUP.split("/resourceGroups").next().unwrap();
    for kind in ["Network/privateLinkServices", "Network/loadBalancers"] {
        let listed = stage.get(&format!("{subscription}/providers/Microsoft.{kind}")).await;
        let names: Vec<_> =
            listed["value"].as_array().unwrap().iter().map(|one| one["name"].to_string()).collect();
        assert!(names.len() == 1 && names[0].contains("pn-other-"), "{names:?}");
    }
}

/// Somebody deleted the whole resource group: a tombstone and a destroy take what is left elsewhere, and say that the group is gone. What
/// is still wanted has no place.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_was_deleted_holds_nothing_up() {
    let stage = Stage::open().await;
    stage.hold_requests().await;
    let before = stage.everything().await;
    make_groups(&stage, &["rg-2"]).await;
    let subnet = |_: &str, _: usize| "create: { cidr: 10.1.9.0/28 }".to_owned();
    let file = in_groups_with(&[("orders", "rg-2")], subnet);
    stage.apply(&file).await;
    let group = GROUP.replace("rg-data", "rg-2").replace("resourceGroups", "resourcegroups");
    let (status, answer) = stage.request("DELETE", &format!("{group}?api-version=2021-04-01"), None).await;
    assert!(status < 300, "{answer}");
    stage::until("the group is gone", || async {
        let path = format!("{group}?api-version=2021-04-01");
        (stage.request("GET", &path, None).await.0 == 404).then_some(())
    })
    .await;
    let plan = stage.plan(&file).await;
    let whys: Vec<_> = plan.refusals.iter().map(|refusal| refusal.why.as_str()).collect();
    assert!(plan.is_empty() && whys.len() == 1, "{plan:#?}");
    assert!(
        whys[0].contains("rg-2 is not there") && whys[0].contains("az group create --name rg-2"),
        "{whys:?}"
    );
    let destroy = PlanOptions { destroy: true, ..PlanOptions::default() };
    let says = |plan: &privnet_core::Plan| plan.warnings.iter().any(|one| one.contains("/rg-2 is not there"));
    let plan = stage.driver().plan(&file, destroy).await.0;
    assert!(says(&plan) && plan.refusals.is_empty(), "{plan:#?}");
    let kinds: Vec<_> = plan.actions.iter().map(|action| action.address.kind.as_str()).collect();
    assert_eq!(kinds, ["nat-subnet"], "what is in the network is there still");
    let tombstone = stage::spec(
        "version: 1
deployment: stage
services:
  - { name: orders, remove: true, azure: { subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee, resource_group: rg-2 } }
",
    );
    stage.apply(&tombstone).await;
    assert_eq!(stage.everything().await, before);
    for (spec, options) in [(&tombstone, PlanOptions::default()), (&file, destroy)] {
        let plan = stage.driver().plan(spec, options).await.0;
        assert!(plan.is_empty() && says(&plan) && plan.refusals.is_empty(), "{plan:#?}");
    }
    // One that is not there among others that are.
    make_groups(&stage, &["rg-3"]).await;
    let both = in_groups(&[("one", "rg-3"), ("orders", "rg-2")]);
    let plan = stage.driver().plan(&both, destroy).await.0;
    assert!(plan.is_empty() && says(&plan) && plan.refusals.is_empty(), "{plan:#?}");
}
