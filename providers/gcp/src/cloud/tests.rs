use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;

use privnet_core::execute::{Events, Settings};

use super::*;
use crate::settings::GcpSettings;

const DEPLOYMENT: &str = "data";

/// A server that answers every request alike: as a proxy does, whatever is asked.
fn answers(status: &str, body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
                line.clear();
            }
            let mut body = vec![0; length];
            let _ = reader.read_exact(&mut body);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}

async fn clients(status: &str, body: &str) -> Clients {
    Clients::new(&GcpSettings::sandbox(answers(status, body))).await.expect("clients")
}

fn context() -> Context {
    let settings = Settings { pace: 1000.0, ..Settings::default() };
    Context::new(settings, Events::none(), tokio_util::sync::CancellationToken::new())
}

fn at() -> At {
    At::of(Collection::ServiceAttachments, "projects/acme/regions/us-east4/serviceAttachments/pn-orders")
}

/// A proxy may answer with a page of its own, or with nothing: that is no empty project.
#[tokio::test]
async fn what_is_no_answer_of_googles_says_of_nothing_that_it_is_not_there() {
    let page = "<html>Sign in</html>";
    let other = [("200 OK", page), ("200 OK", "null"), ("200 OK", "[]"), ("200 OK", "{}"), ("200 OK", "")];
    for (status, body) in other.into_iter().chain([("204 No Content", ""), ("404 Not Found", page)]) {
        let (clients, context) = (clients(status, body).await, context());
        let cloud = Cloud::new(&clients, &context, DEPLOYMENT);
        let is_unknown = |error: Error| {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{status} {body}: {error}");
            assert!(error.hints()[0].contains("is a proxy in between"), "{:?}", error.hints());
        };
        for collection in [Collection::ServiceAttachments, Collection::Firewalls] {
            is_unknown(cloud.list(collection, "acme").await.expect_err("no list"));
        }
        is_unknown(cloud.get(&at()).await.expect_err("no resource"));
        let group = "projects/acme/zones/us-east4-a/networkEndpointGroups/pn-orders";
        is_unknown(crate::snapshot::endpoints_of(&cloud, group).await.expect_err("no endpoints"));
        for body in [serde_json::json!({ "name": "x" }), serde_json::json!({ "consumerAcceptLists": [] })] {
            is_unknown(cloud.write(&at(), Write::Patch(&body)).await.expect_err("no operation"));
        }
    }
}

#[tokio::test]
async fn a_list_that_leads_back_to_itself_is_no_list() {
    let body = r#"{"kind": "compute#firewallList", "nextPageToken": "again"}"#;
    let (clients, context) = (clients("200 OK", body).await, context());
    let cloud = Cloud::new(&clients, &context, DEPLOYMENT);
    let error = cloud.list(Collection::Firewalls, "acme").await.expect_err("no end");
    assert!(error.to_string().contains("leads back to a page"), "{error}");
    let group = "projects/acme/zones/us-east4-a/networkEndpointGroups/pn-orders";
    let error = crate::snapshot::endpoints_of(&cloud, group).await.expect_err("no end");
    assert!(error.to_string().contains("leads back to a page"), "{error}");
}

/// Who deletes what something else keeps is told what that is: the same command again would only wait again.
#[tokio::test]
async fn a_wait_for_what_is_in_use_names_what_uses_it() {
    let user = "projects/acme/regions/us-east4/serviceAttachments/theirs";
    let message = format!("The forwarding_rule resource 'pn-orders' is already being used by '{user}'");
    let reason = serde_json::json!([{ "reason": "resourceInUseByAnotherResource", "message": message }]);
    let body = serde_json::json!({ "error": { "code": 400, "message": message, "errors": reason } });
    let (clients, context) = (clients("400 Bad Request", &body.to_string()).await, context());
    let cloud = Cloud::new(&clients, &context, DEPLOYMENT);
    let error = cloud.write(&at(), Write::Delete).await.expect_err("it is in use for good");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    let said =
        format!("it is still used by {user}: take it off there first, then run the same command again");
    assert_eq!(error.hints(), [said]);
}
