//! What happens to connections is explained, and who would be cut along is named: nobody is without the word.

use serde_json::Value;

use super::{Ground, both, close, ground, machine};

/// The connection of this id in the status.
fn connection(status: &Value, id: &str) -> Value {
    let all = status["services"][0]["connections"].as_array().unwrap();
    all.iter().find(|one| one["id"] == id).unwrap_or_else(|| panic!("{status:#}")).clone()
}

/// Endpoints of the colleague's project, by id.
fn ask(ground: &Ground, count: usize) -> Vec<String> {
    let ask = |_| {
        let asked = ground.json("sandbox connect orders --as acme-reader");
        asked["connection"].as_str().unwrap().to_owned()
    };
    (0..count).map(ask).collect()
}

#[test]
fn what_outlives_its_service_is_explained_as_closed() {
    let ground = ground(&machine());
    ground.must("--sandbox apply --yes", 0);
    let ids = ask(&ground, 1);
    ground.must("--sandbox accept-pending --yes", 0);
    // GCP deletes an attachment whoever is connected: the command does not, without the word.
    let refused = ground.must("--sandbox destroy --yes", 3);
    assert!(both(&refused).contains(&ids[0]), "{}", both(&refused));
    ground.must("--sandbox destroy --yes --sever-connections", 0);
    // The consumer's endpoint is still there, closed for good, as the consumer sees it.
    let world = ground.json("sandbox world");
    let closed =
        world["gcp"]["endpoints"].as_array().unwrap().iter().find(|one| one["connection"] == ids[0].as_str());
    assert_eq!(closed.unwrap_or_else(|| panic!("{world:#}"))["status"], "CLOSED");
    // A new attachment is another: the old endpoint does not come back by itself, and the next one is decided on anew.
    ground.must("--sandbox apply --yes", 0);
    let again = ground.status();
    assert!(!again.to_string().contains(&ids[0]), "{again:#}");
}

#[test]
fn a_closed_connection_is_explained() {
    let ground = ground(&machine());
    ground.must("--sandbox apply --yes", 0);
    let ids = ask(&ground, 2);
    close(&ground, &ids[0]);
    let closed = connection(&ground.status(), &ids[0]);
    assert_eq!((closed["state"].as_str(), closed["cloud_state"].as_str()), (Some("closed"), Some("CLOSED")));
    assert!(
        closed["why"].as_str().unwrap().contains("must delete its endpoint and make a new one"),
        "{closed:#}"
    );
    // It takes no room, and is let in by no word.
    let named = ground.must(&format!("--sandbox accept-pending --yes --connection {}", ids[0]), 1);
    assert!(both(&named).contains("no pending connection request"), "{}", both(&named));
    assert_eq!(connection(&ground.status(), &ids[0])["state"], "closed");
    ground.must("--sandbox accept-pending --yes", 0);
    assert_eq!(connection(&ground.status(), &ids[1])["state"], "accepted");
}

#[test]
fn a_whole_project_is_not_cut_for_one_endpoint_without_the_word() {
    let file = machine()
        .replace("allow: { acme: {} }", "allow: { acme: { max_connections: 3 } }")
        .replace("    gcp:\n", "    gcp:\n      accept_by: project\n");
    let ground = ground(&file);
    ground.must("--sandbox apply --yes", 0);
    let ids = ask(&ground, 2);
    // One of two that ask: an entry for the project would let in either.
    for how in ["--dry-run", "--yes", "--yes --watch"] {
        let one = ground.must(&format!("--sandbox accept-pending {how} --connection {}", ids[0]), 3);
        assert!(both(&one).contains("accept_by: endpoint") && both(&one).contains(&ids[1]), "{}", both(&one));
    }
    ground.must("--sandbox accept-pending --yes", 0);
    for id in &ids {
        assert_eq!(connection(&ground.status(), id)["state"], "accepted");
    }
    // The entry has room for these two: whoever comes next waits for a decision.
    let third = ask(&ground, 1).remove(0);
    assert_eq!(connection(&ground.status(), &third)["state"], "pending");

    // `--yes` alone cuts nobody: neither for one that waits nor for one that is let in.
    for id in [&third, &ids[0]] {
        let refused = ground.must(&format!("--sandbox reject --yes --connection {id}"), 3);
        let said = both(&refused);
        assert!(said.contains("--sever-connections") && said.contains(&ids[1]), "{said}");
    }
    for id in &ids {
        assert_eq!(connection(&ground.status(), id)["state"], "accepted");
    }
    // With the word it is done, and whom it cuts stands in the plan and in the result.
    let line = format!("--sandbox reject --yes --sever-connections --output json --connection {}", ids[0]);
    let cut: Value = serde_json::from_slice(&ground.must(&line, 0).stdout).unwrap();
    assert_eq!(cut["actions"][0]["connection"]["along"], serde_json::json!([ids[1]]));
    assert!(cut["warnings"].to_string().contains(&ids[1]), "{cut:#}");
    for id in &ids {
        assert_eq!(connection(&ground.status(), id)["state"], "rejected");
    }
}

/// Why somebody was turned away is said before it is let in after all, and not as if it were so still.
#[test]
fn what_is_on_the_reject_list_no_more_is_not_said_to_be() {
    let file = machine().replace("allow: { acme: {} }", "allow: { acme: { max_connections: 2 } }");
    let ground = ground(&file);
    ground.must("--sandbox apply --yes", 0);
    let ids = ask(&ground, 2);
    let accept = |how: &str, id: &str| {
        both(&ground.must(&format!("--sandbox accept-pending {how} --connection {id}"), 0))
    };
    for id in &ids {
        ground.must(&format!("--sandbox reject --yes --connection {id}"), 0);
        let said = accept("--dry-run", id);
        assert!(
            said.contains("would accept") && said.contains("it is on the attachment's reject list"),
            "{said}"
        );
    }
    for (how, id) in [("--yes", &ids[0]), ("--yes --output json", &ids[1])] {
        let said = accept(how, id);
        assert!(said.contains("accepted") && !said.contains("reject list"), "{said}");
        assert_eq!(connection(&ground.status(), id)["state"], "accepted");
    }
}
