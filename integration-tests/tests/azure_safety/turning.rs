//! A service whose file turns from what privnet made to what is there already: what was made is seen, goes with the word alone, and
//! nothing of it is left. The world is listed by azure-mgmt-* before and after.

use std::collections::BTreeSet;

use privnet_integration_tests::town::Town;

use super::orders;

const HEAD: &str = "version: 1
deployment: safety
consumers:
  acme: { azure: { subscriptions: [11111111-2222-3333-4444-555555555555] } }
services:
  - name: orders
    allow: { acme: {} }
    azure:
      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
";
const GROUP: &str = "/subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg-data/providers";

fn hosted() -> String {
    format!(
        "{HEAD}      hosted: {{ resource_id: {GROUP}/Microsoft.Sql/servers/crm, subresource: sqlServer }}\n"
    )
}

fn existing(service: &str) -> String {
    format!("{HEAD}      existing: {{ private_link_service: {service} }}\n")
}

/// Applies a file, and lets its consumer in.
fn connect(town: &Town, file: &str) {
    town.must(&format!("apply --yes {file}"), 0);
    town.must(&format!("accept-pending --watch --yes {file}"), 0);
}

/// The private link service of a file, by id.
fn service_of(town: &Town, file: &str) -> String {
    let said = town.must(&format!("handoff {file} --output json"), 0);
    let (_, rest) = said.split_once("\"service_id\"").expect("the hand-over names it");
    rest.split('"').nth(1).expect("an id").to_owned()
}

/// Turns the service to this text: refused, carried out with the word, and done.
fn turn(town: &mut Town, text: &str, before: &BTreeSet<String>) {
    let made = town.things();
    assert!(made.len() > before.len(), "{made:#?}");
    town.write("azure.yaml", text);
    for line in ["plan --detailed-exitcode azure.yaml", "apply --yes azure.yaml"] {
        let said = town.must(line, 3);
        assert!(said.contains("[hand-over]") && said.contains("--sever-connections"), "{said}");
        assert!(said.contains("would cut 1 live connection(s)"), "{said}");
    }
    let said = town.must("destroy --yes azure.yaml", 3);
    assert!(said.contains("[would-sever]"), "{said}");
    assert_eq!(town.things(), made, "nothing went without the word");
    town.must("apply --yes --sever-connections azure.yaml", 0);
    assert_eq!(town.things(), *before, "nothing is left");
    town.must("plan --detailed-exitcode azure.yaml", 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_what_azure_hosts() {
    let mut town = Town::new("azure", &orders()).await;
    let before = town.things();
    connect(&town, "azure.yaml");
    turn(&mut town, &hosted(), &before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_a_private_link_service_that_exists() {
    let mut town = Town::new("azure", &orders()).await;
    let other = orders()
        .replace("deployment: safety", "deployment: other")
        .replace("10.1.9.0/28", "10.1.10.0/28")
        .replace("db-1-nic", "db-2-nic");
    town.write("other.yaml", &other);
    connect(&town, "other.yaml");
    let before = town.things();
    connect(&town, "azure.yaml");

    // What privnet made for this very service is none of the user's own.
    town.write("azure.yaml", &existing(&service_of(&town, "azure.yaml")));
    let said = town.must("plan --detailed-exitcode azure.yaml", 3);
    assert!(said.contains("which privnet made for this service"), "{said}");
    town.must("apply --yes --sever-connections azure.yaml", 3);

    let named = service_of(&town, "other.yaml");
    turn(&mut town, &existing(&named), &before);
    // Who is connected to what the file names now was nobody's to cut.
    let said = town.must("status other.yaml", 0);
    assert!(said.contains("Approved"), "{said}");
}

/// Destroy sees it, too: there is nothing more to do only where nothing more is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destroy_after_the_turn_finds_it_all() {
    let mut town = Town::new("azure", &orders()).await;
    let before = town.things();
    connect(&town, "azure.yaml");
    town.write("azure.yaml", &hosted());
    let said = town.must("destroy --yes --sever-connections azure.yaml", 0);
    assert!(
        said.contains("azure/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee\n"),
        "the subscription was searched: {said}"
    );
    assert_eq!(town.things(), before);
    let again = town.must("destroy --yes azure.yaml", 0);
    assert!(!again.contains("delete "), "{again}");
}
