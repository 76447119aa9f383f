use privnet_core::ErrorKind;
use privnet_core::execute::{Events, Settings};
use serde_json::json;

use super::super::fake::{Script, context};
use super::*;

const ID: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/loadBalancers/x";
const OP: &str = "https://management.azure.com/subscriptions/s/providers/Microsoft.Network/locations/l/operations/1?api-version=1&c=secret";

fn target() -> Target {
    Target::of(ID)
}

fn put(_: Option<&Json>) -> Result<Write, Error> {
    Ok(Write::Put(json!({"location": "l"})))
}

#[tokio::test]
async fn a_create_waits_for_its_operation_and_for_its_own_read() {
    let (arm, script) = Script::arm(vec![
        (404, vec![], json!({"error": {"code": "ResourceNotFound", "message": "m"}})),
        (201, vec![("azure-asyncoperation", OP)], json!({"properties": {"provisioningState": "Updating"}})),
        (404, vec![], json!({"error": {"code": "NotFound", "message": "m"}})),
        (200, vec![], json!({"status": "InProgress"})),
        (200, vec![], json!({"status": "SomethingNew"})),
        (200, vec![], json!({"status": "Succeeded"})),
        (404, vec![], json!({"error": {"code": "ResourceNotFound", "message": "m"}})),
        (200, vec![], json!({"name": "x", "properties": {"provisioningState": "Succeeded"}})),
    ]);
    let made = arm.write(&context(), &target(), &put).await.unwrap();
    assert_eq!(made["name"], "x");
    assert_eq!(script.seen()[1].1, None, "a create has no ETag");
}

#[tokio::test]
async fn what_is_new_is_written_without_a_look_and_what_is_there_is_looked_at() {
    let (arm, script) = Script::arm(vec![
        (201, vec![], json!({})),
        (200, vec![], json!({"properties": {"provisioningState": "Succeeded"}})),
    ]);
    arm.make(&context(), &target(), &put).await.unwrap();
    assert_eq!(script.asked(), [format!("PUT {ID}"), format!("GET {ID}")]);

    let (arm, script) = Script::arm(vec![
        (412, vec![], json!({"error": {"code": "PreconditionFailed", "message": "m"}})),
        (200, vec![("etag", "W/\"1\"")], json!({"tags": {"owner": "somebody"}})),
    ]);
    let refuse = |there: Option<&Json>| match there {
        None => put(None),
        Some(_) => Err(Error::new(ErrorKind::Conflict, "PUT", ID, "not ours")),
    };
    let error = arm.make(&context(), &target(), &refuse).await.unwrap_err();
    assert_eq!(error.message(), "not ours");
    assert_eq!(script.asked(), [format!("PUT {ID}"), format!("GET {ID}")], "it is not overwritten");
}

#[tokio::test]
async fn an_update_is_under_its_etag_and_begins_again_when_beaten() {
    let (arm, script) = Script::arm(vec![
        (200, vec![("etag", "W/\"1\"")], json!({})),
        (412, vec![], json!({"error": {"code": "PreconditionFailed", "message": "m"}})),
        (200, vec![("etag", "W/\"2\"")], json!({})),
        (429, vec![("retry-after", "3")], json!({"error": {"code": "RetryableError", "message": "m"}})),
        (200, vec![], json!({"etag": "W/\"3\""})),
        (200, vec![("azure-asyncoperation", OP)], json!({})),
        (
            200,
            vec![],
            json!({"status": "Failed", "error": {"code": "CanceledAndSupersededDueToAnotherOperation", "message": "m"}}),
        ),
        (200, vec![("etag", "W/\"4\"")], json!({})),
        (200, vec![], json!({})),
        (200, vec![], json!({"properties": {"provisioningState": "Succeeded"}})),
    ]);
    arm.write(&context(), &target(), &put).await.unwrap();
    let etags: Vec<_> =
        script.seen().into_iter().filter(|seen| seen.0.starts_with("PUT")).map(|seen| seen.1).collect();
    assert_eq!(etags, ["1", "2", "3", "4"].map(|n| Some(format!("W/\"{n}\""))));
}

/// Nobody begins a read anew, as a write that was beaten is: it is asked once more.
#[tokio::test]
async fn a_read_that_came_too_early_is_asked_once_more() {
    let early = |status| {
        (status, vec![("retry-after", "1")], json!({"error": {"code": "RetryableError", "message": "m"}}))
    };
    let (arm, script) = Script::arm(vec![early(429), early(503), (200, vec![], json!({"name": "x"}))]);
    assert_eq!(arm.get(&context(), &target()).await.unwrap()["name"], "x");
    assert_eq!(script.asked().len(), 3);
}

/// Asking for a write's end is no read: what ended too early is written again, and its end is not asked for over and over.
#[tokio::test]
async fn a_write_that_ended_too_early_is_begun_again() {
    let early = || (429, vec![], json!({"error": {"code": "RetryableError", "message": "m"}}));
    let (arm, script) = Script::arm(vec![
        (200, vec![("etag", "W/\"1\"")], json!({})),
        (202, vec![("location", OP)], Json::Null),
        early(),
        (200, vec![("etag", "W/\"2\"")], json!({})),
        (200, vec![], json!({})),
        (200, vec![], json!({"properties": {"provisioningState": "Succeeded"}})),
    ]);
    arm.write(&context(), &target(), &put).await.unwrap();
    assert_eq!(script.seen().iter().filter(|seen| seen.0.starts_with("PUT")).count(), 2);
}

/// What a look at the cloud showed is changed without one more read, and what has changed since is read: nothing that came meanwhile is
/// dropped.
#[tokio::test]
async fn what_was_seen_is_changed_under_the_etag_that_it_had() {
    let join = |there: Option<&Json>| {
        let mut body = there.cloned().unwrap_or_else(|| json!({}));
        let mut pools = json::items(&body, "pools").to_vec();
        if pools.contains(&json!("ours")) {
            return Ok(Write::Keep);
        }
        pools.push(json!("ours"));
        json::set(&mut body, "pools", json!(pools));
        Ok(Write::Put(body))
    };
    let seen = json!({"id": ID.to_uppercase(), "etag": "1", "pools": []});
    let joined = json!({"id": ID, "etag": "2", "pools": ["ours"]});
    let (arm, script) = Script::arm(vec![(200, vec![], json!({})), (200, vec![], joined.clone())]);
    arm.looked.saw([&seen]);
    arm.change(&context(), &target(), &join).await.unwrap();
    assert_eq!(script.asked(), [format!("PUT {ID}"), format!("GET {ID}")]);
    assert_eq!(script.seen()[0].1.as_deref(), Some("1"));

    let theirs = json!({"id": ID, "etag": "2", "pools": ["theirs"]});
    let both = json!({"id": ID, "etag": "3", "pools": ["theirs", "ours"]});
    let (arm, script) = Script::arm(vec![
        (412, vec![], json!({"error": {"code": "PreconditionFailed", "message": "m"}})),
        (200, vec![], theirs),
        (200, vec![], json!({})),
        (200, vec![], both.clone()),
    ]);
    arm.looked.saw([&seen]);
    arm.change(&context(), &target(), &join).await.unwrap();
    let sent = script.seen();
    assert_eq!((sent[2].1.as_deref(), &sent[2].2["pools"]), (Some("2"), &both["pools"]), "{sent:?}");

    // A list that lags shows what is not so any more: what seems to be done is looked at.
    let (arm, script) = Script::arm(vec![
        (200, vec![], json!({"id": ID, "etag": "4", "pools": []})),
        (200, vec![], json!({})),
        (200, vec![], joined.clone()),
    ]);
    arm.looked.saw([&joined]);
    arm.change(&context(), &target(), &join).await.unwrap();
    assert_eq!(script.asked(), ["GET", "PUT", "GET"].map(|method| format!("{method} {ID}")));
}

#[tokio::test]
async fn a_failed_operation_tells_its_code_and_message_and_no_url() {
    let (arm, _) = Script::arm(vec![
        (404, vec![], json!({})),
        (201, vec![("azure-asyncoperation", OP)], json!({})),
        (
            200,
            vec![("x-ms-request-id", "r1")],
            json!({"status": "Failed", "error": {"code": "SubnetIsFull", "message": "no room"}}),
        ),
    ]);
    let error = arm.write(&context(), &target(), &put).await.unwrap_err();
    assert_eq!(
        (error.code(), error.message(), error.request_id()),
        (Some("SubnetIsFull"), "no room", Some("r1"))
    );
    assert!(!format!("{error:?}").contains("secret"));
}

#[tokio::test]
async fn a_deletion_is_waited_for_by_location_and_by_its_own_read() {
    let (arm, script) = Script::arm(vec![
        (409, vec![], json!({"error": {"code": "AnotherOperationInProgress", "message": "m"}})),
        (202, vec![("location", OP)], Json::Null),
        (202, vec![], Json::Null),
        (204, vec![], Json::Null),
        (200, vec![], json!({"properties": {"provisioningState": "Deleting"}})),
        (404, vec![], json!({})),
    ]);
    arm.delete(&context(), &target()).await.unwrap();
    assert_eq!(script.asked().iter().filter(|asked| asked.starts_with("DELETE")).count(), 2);
}

#[tokio::test]
async fn gone_is_success_and_in_use_for_good_is_not() {
    let (arm, _) = Script::arm(vec![(404, vec![], json!({}))]);
    arm.delete(&context(), &target()).await.unwrap();
    // What is to be done is told: the same command again would only wait again.
    let user =
        "/subscriptions/s/resourceGroups/r/providers/x/y/privateLinkServices/mine/ipConfigurations/nat";
    let named = format!("Subnet nat is in use by {user} and cannot be deleted. In order to delete it, ...");
    let told = format!("it is still used by {user}: take it off there first");
    for (message, hint) in [("m", "something still uses it: take it off there first"), (&named, &told)] {
        let in_use = json!({"error": {"code": "InUseSubnetCannotBeDeleted", "message": message}});
        let (arm, _) = Script::arm(vec![(400, vec![], in_use); 400]);
        let error = arm.delete(&context(), &target()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InUse);
        assert!(error.hints().iter().any(|one| one.starts_with(hint)), "{:?}", error.hints());
    }
}

#[tokio::test]
async fn an_action_that_met_a_write_is_asked_for_again() {
    let (arm, script) = Script::arm(vec![
        (409, vec![], json!({"error": {"code": "AnotherOperationInProgress", "message": "m"}})),
        (429, vec![("retry-after", "3")], json!({"error": {"code": "RetryableError", "message": "m"}})),
        (202, vec![("azure-asyncoperation", OP)], Json::Null),
        (200, vec![], json!({"status": "Canceled", "error": {"code": "Canceled", "message": "m"}})),
        (200, vec![], json!({"loadBalancerBackendAddresses": [{"state": "Up"}]})),
    ]);
    let health = Target::of(format!("{ID}/loadBalancingRules/r/health"));
    let answer = arm.post(&context(), &health).await.unwrap();
    assert_eq!(answer["loadBalancerBackendAddresses"][0]["state"], "Up");
    assert_eq!(script.asked().iter().filter(|asked| asked.starts_with("POST")).count(), 4);
    let refused = (400, vec![], json!({"error": {"code": "InvalidRequestFormat", "message": "m"}}));
    let (arm, script) = Script::arm(vec![refused]);
    assert_eq!(arm.post(&context(), &health).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(script.asked().len(), 1, "what is wrong is wrong");
}

/// ARM may ask to be left alone for two minutes: who wants to stop meanwhile does not wait for them.
#[tokio::test(start_paused = true)]
async fn a_rest_ends_when_the_user_wants_to_stop() {
    let beaten = json!({"error": {"code": "AnotherOperationInProgress", "message": "m"}});
    let (arm, script) = Script::arm(vec![
        (404, vec![], json!({"error": {"code": "ResourceNotFound", "message": "m"}})),
        (409, vec![("retry-after", "100")], beaten),
    ]);
    let stop = tokio_util::sync::CancellationToken::new();
    let context = Context::new(Settings::default(), Events::none(), stop.clone());
    let started = tokio::time::Instant::now();
    let (target, soon) = (target(), Duration::from_secs(2));
    let stopping = async {
        tokio::time::sleep(soon).await;
        stop.cancel();
    };
    let (done, ()) = tokio::join!(arm.write(&context, &target, &put), stopping);
    assert_eq!(done.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(started.elapsed(), soon);
    assert_eq!(script.asked().len(), 2);
}

#[tokio::test]
async fn lists_are_read_to_the_last_page_and_lead_nowhere_else() {
    let next = "https://management.azure.com/next?$skiptoken=2";
    let (arm, script) = Script::arm(vec![
        (200, vec![], json!({"value": [{"n": 1}], "nextLink": next})),
        (0, vec![], Json::Null),
        (200, vec![], json!({"value": [{"n": 2}]})),
    ]);
    assert_eq!(arm.list(&context(), &target()).await.unwrap(), [json!({"n": 1}), json!({"n": 2})]);
    assert_eq!(script.asked()[1..], ["GET /next", "GET /next"], "a lost answer is asked for again");
    let (arm, _) =
        Script::arm(vec![(200, vec![], json!({"value": [], "nextLink": "https://evil.example/"}))]);
    let error = arm.list(&context(), &target()).await.unwrap_err();
    assert!(error.to_string().contains("evil.example"), "{error}");
}

#[tokio::test]
async fn a_list_that_leads_back_to_itself_is_no_list() {
    let (first, second) =
        (format!("https://management.azure.com{ID}?api-version=1"), "https://management.azure.com/next?p=2");
    let page = |next: &str| (200, vec![], json!({"value": [{"n": 1}], "nextLink": next}));
    let (arm, script) = Script::arm(vec![page(second), page(second)]);
    let error = arm.list(&context(), &target()).await.unwrap_err();
    assert!(error.to_string().contains("leads back to a page"), "{error}");
    assert_eq!(script.asked().len(), 2);
    let (arm, _) = Script::arm(vec![page(second), page(&first), page(second)]);
    let target = Target::with_version(ID, "1");
    let error = arm.list(&context(), &target).await.unwrap_err();
    assert!(error.to_string().contains("leads back to a page"), "{error}");
}

/// A proxy may answer with a page of its own, or with nothing: that is no empty cloud.
#[tokio::test]
async fn what_is_no_answer_of_azures_says_of_nothing_that_it_is_not_there() {
    let page = "<html>Sign in</html>";
    for (status, body) in [(200, page), (200, "{\"value\": [{\"name\": \"x\""), (404, page)] {
        let (arm, script) = Script::arm(vec![(status, vec![], json!(body)); 20]);
        let list = arm.list(&context(), &target()).await.unwrap_err();
        assert_eq!(list.kind(), ErrorKind::Unavailable, "{list}");
        assert!(list.to_string().contains(&format!("the answer (HTTP {status}) is no JSON")), "{list}");
        assert!(list.hints()[0].contains("is a proxy in between"), "{:?}", list.hints());
        assert!(script.asked().len() > 1, "it is asked once more");
        let find = arm.find(&context(), &target()).await.unwrap_err();
        assert_eq!(find.kind(), ErrorKind::Unavailable, "{find}");
    }
    for body in ["", "null", "[]", "{}", "{\"value\": null}", "{\"value\": {}}"] {
        let (arm, _) = Script::arm(vec![(200, vec![], json!(body))]);
        let error = arm.list(&context(), &target()).await.unwrap_err();
        assert!(error.to_string().contains("the answer holds no list"), "{body}: {error}");
    }
    for body in ["", "null", "[]"] {
        let (arm, _) = Script::arm(vec![(200, vec![], json!(body))]);
        let error = arm.find(&context(), &target()).await.unwrap_err();
        assert!(error.to_string().contains("the answer holds no resource"), "{body}: {error}");
    }
    let (arm, _) = Script::arm(vec![(204, vec![], Json::Null)]);
    assert!(arm.list(&context(), &target()).await.is_err());
    // A deletion is shown by no such answer either.
    let mut answers = vec![(202, vec![("location", OP)], Json::Null), (204, vec![], Json::Null)];
    answers.extend(vec![(404, vec![], json!(page)); 20]);
    let (arm, _) = Script::arm(answers);
    assert_eq!(arm.delete(&context(), &target()).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn the_versions_of_an_image_are_an_array_by_itself() {
    let (arm, _) = Script::arm(vec![(200, vec![], json!([{"name": "1"}])), (200, vec![], json!({}))]);
    assert_eq!(arm.array(&context(), &target()).await.unwrap(), json!([{"name": "1"}]));
    let error = arm.array(&context(), &target()).await.unwrap_err();
    assert!(error.to_string().contains("the answer holds no list"), "{error}");
}

/// Azure's own clients take it away, too.
#[tokio::test]
async fn a_byte_order_mark_is_none_of_an_answer() {
    let (arm, _) = Script::arm(vec![(200, vec![], json!("\u{feff}{\"value\": [{\"n\": 1}]}\n"))]);
    assert_eq!(arm.list(&context(), &target()).await.unwrap(), [json!({"n": 1})]);
}

#[tokio::test]
async fn a_resource_that_ends_failed_is_an_error_with_advice() {
    let (arm, _) = Script::arm(vec![
        (404, vec![], json!({})),
        (201, vec![], json!({"properties": {"provisioningState": "Updating"}})),
        (200, vec![], json!({"properties": {"provisioningState": "Updating"}})),
        (200, vec![], json!({"properties": {"provisioningState": "Failed"}})),
    ]);
    let error = arm.write(&context(), &target(), &put).await.unwrap_err();
    assert_eq!(error.code(), Some("Failed"));
    assert!(!error.hints().is_empty());
}

#[test]
fn targets_know_their_type_and_subscription() {
    let target = Target::of(format!("{ID}/backendAddressPools/p"));
    assert_eq!(target.kind(), "Microsoft.Network/loadBalancers/backendAddressPools");
    assert_eq!(target.subscription(), "s");
}

/// Somebody else deletes what is left as it is: it is made, not waited for.
#[tokio::test]
async fn what_was_there_and_has_gone_is_written_after_all() {
    let gone = || (404, vec![], json!({"error": {"code": "ResourceNotFound", "message": "m"}}));
    let (arm, script) = Script::arm(vec![
        (200, vec![], json!({"properties": {"provisioningState": "Deleting"}})),
        (200, vec![], json!({"properties": {"provisioningState": "Deleting"}})),
        gone(),
        gone(),
        (201, vec![], json!({})),
        (200, vec![], json!({"properties": {"provisioningState": "Succeeded"}})),
    ]);
    let keep = |there: Option<&Json>| if there.is_some() { Ok(Write::Keep) } else { put(None) };
    arm.write(&context(), &target(), &keep).await.unwrap();
    let (get, put) = (format!("GET {ID}"), format!("PUT {ID}"));
    assert_eq!(script.asked(), [&get, &get, &get, &get, &put, &get].map(Clone::clone));
}
