//! The role in `examples/permissions` allows what privnet asks of Azure, and nothing that it never asks.

use std::collections::BTreeSet;

use privnet::PlanOptions;
use privnet_core::accept::{Ask, ConnectionState};
use privnet_integration_tests::census::here;
use privnet_integration_tests::proxy::Proxy;
use privnet_integration_tests::stage::{Stage, spec};
use privnet_sandbox::Sandbox;

use super::orders;

/// What Azure itself checks where one resource is put into another, also where a write carries what was there before, and at an approval: no
/// request has its name. And the result of an operation, which is read where an answer names that alone.
fn is_implied(action: &str) -> bool {
    [
        "/join/action",
        "/joinipconfiguration/action",
        "/privateendpointconnectionsapproval/action",
        "operationresults/read",
    ]
    .iter()
    .any(|end| action.ends_with(end))
}

/// The action that a request needs: the provider and the types of the innermost resource, and what is done to it
/// (<https://learn.microsoft.com/azure/role-based-access-control/resource-provider-operations>).
fn needed(request: &str) -> String {
    let (method, path) = request.split_once(' ').unwrap();
    let (provider, inner) = match path.rsplit_once("/providers/") {
        Some((_, rest)) => rest.split_once('/').unwrap(),
        None => ("Microsoft.Resources", path.trim_start_matches('/')),
    };
    let mut segments: Vec<&str> = inner.split('/').collect();
    let verb = match method {
        "GET" => "read".to_owned(),
        "PUT" => "write".to_owned(),
        "DELETE" => "delete".to_owned(),
        "POST" => format!("{}/action", segments.pop().unwrap()),
        other => panic!("{other}"),
    };
    let types: Vec<&str> = segments.into_iter().step_by(2).collect();
    format!("{provider}/{}/{verb}", types.join("/"))
}

/// Files whose lives ask for everything: a subnet made and one whose policies are on, forwarders, a machine, what Azure hosts.
fn files() -> Vec<String> {
    let existing = orders()
        .replace("{ create: { cidr: 10.1.9.0/28 } }", "{ existing: db }")
        .replace("join_nics: true", "join_nics: true\n      disable_subnet_policies: true");
    let examples = ["azure.yaml", "azure-vm.yaml", "azure-hosted.yaml"]
        .map(|name| std::fs::read_to_string(here().join("../examples").join(name)).unwrap());
    [orders(), existing].into_iter().chain(examples).collect()
}

/// The requests of one file's life.
async fn requests(text: &str) -> Vec<String> {
    let stage = Stage::open(None).await.unwrap();
    let proxy = Proxy::start(&stage.url("azure"), Vec::new()).await.unwrap();
    let session = stage.session_at(spec(text).unwrap(), |endpoints| endpoints.azure = proxy.url()).unwrap();
    let applied = session.apply(PlanOptions::default()).await;
    assert!(applied.report.all_done() && applied.planned.plan.refusals.is_empty(), "{text}: {applied:?}");
    // What Azure hosts is asked for on demand, but for the server that the local cloud's consumer knows.
    let sandbox = Sandbox::open(stage.folder()).unwrap();
    for name in ["erp", "acmedatalake", "shop"].iter().filter(|name| text.contains(&format!("/{name}, "))) {
        sandbox.connect(name, Some("consumer")).unwrap();
    }
    // One of each service.
    let mut live = Vec::new();
    for _ in 0..200 {
        session.accept_pending(&Ask::default(), false).await;
        let (services, _) = session.status().await;
        let accepted = services.iter().map(|service| {
            service
                .connections
                .iter()
                .find(|one| one.state == ConnectionState::Accepted)
                .map(|one| one.id.clone())
        });
        live = accepted.collect();
        if live.iter().all(Option::is_some) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    for id in live {
        let id = id.unwrap_or_else(|| panic!("nobody is let in to a service of {text}"));
        let cut = session.plan_rejection(&id, true).await.expect("it is known");
        assert!(session.execute(cut).await.report.all_done(), "{text}");
    }
    let destroy = PlanOptions { destroy: true, sever_connections: true, ..PlanOptions::default() };
    assert!(session.apply(destroy).await.report.all_done(), "{text}");
    proxy.actions()
}

/// The requests of a plan alone, whose forwarders' image is one of the user's own by this id: it is looked at.
async fn requests_for_image(id: &str) -> Vec<String> {
    let size = "size: Standard_D2s_v5";
    let image = format!(
        "{size}, image: /subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg-data/providers/Microsoft.Compute/{id}"
    );
    let stage = Stage::open(None).await.unwrap();
    let proxy = Proxy::start(&stage.url("azure"), Vec::new()).await.unwrap();
    let text = orders().replace(size, &image);
    let session = stage.session_at(spec(&text).unwrap(), |endpoints| endpoints.azure = proxy.url()).unwrap();
    let planned = session.plan(PlanOptions::default()).await;
    assert!(
        planned.plan.refusals.iter().all(|refusal| refusal.why.contains("is not there")),
        "{:?}",
        planned.plan
    );
    proxy.actions()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_role_allows_what_is_asked_and_no_more() {
    let role = std::fs::read_to_string(here().join("../examples/permissions/azure.json")).unwrap();
    let role: serde_json::Value = serde_json::from_str(&role).unwrap();
    let allowed: BTreeSet<String> = role["Actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|action| action.as_str().unwrap().to_lowercase())
        .collect();
    let mut asked = BTreeSet::new();
    for text in files() {
        asked.extend(requests(&text).await.iter().map(|request| needed(request).to_lowercase()));
    }
    for id in ["images/fwd", "galleries/own/images/fwd", "galleries/own/images/fwd/versions/1.0.0"] {
        asked.extend(requests_for_image(id).await.iter().map(|request| needed(request).to_lowercase()));
    }
    let missing: Vec<_> = asked.difference(&allowed).collect();
    assert!(missing.is_empty(), "the role lacks {missing:#?}");
    let unused: Vec<_> = allowed.difference(&asked).filter(|action| !is_implied(action)).collect();
    assert!(unused.is_empty(), "nothing asks for {unused:#?}");
}
