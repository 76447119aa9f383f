//! Batches: several requests in one, as gcloud sends them when a command is about more than one resource.
//!
//! From "Batching requests" of the Compute Engine documents: a `multipart/mixed` body whose parts are HTTP requests
//! (`application/http`); the answer has a part for each, whose `Content-ID` is the request's with `response-` before it.

use crate::frame::{Answer, Exchange};

/// Where batches are taken.
pub(crate) const PATHS: [&str; 2] = ["/batch/compute/v1", "/batch"];

/// The most requests of a batch.
const LIMIT: usize = 1000;

/// Answers a batch, each of its requests by `one`.
pub(crate) fn answer(exchange: &Exchange, one: impl Fn(&Exchange) -> Answer) -> Answer {
    let parts = boundary(exchange).map(|boundary| parts(&exchange.text(), &boundary)).unwrap_or_default();
    let requests: Option<Vec<(String, Exchange)>> =
        parts.iter().map(|part| request(part, exchange)).collect();
    let Some(requests) =
        requests.filter(|requests| exchange.method == "POST" && (1..=LIMIT).contains(&requests.len()))
    else {
        let error = super::error::ApiError::bad_request("Failed to parse batch request.");
        return Answer::json(400, &error.body());
    };
    let boundary = "batch_sandbox";
    let mut body = String::new();
    for (id, inner) in &requests {
        let answer = one(inner);
        let id =
            id.strip_prefix('<').map_or_else(|| format!("response-{id}"), |rest| format!("<response-{rest}"));
        body.push_str(&format!("--{boundary}\r\nContent-Type: application/http\r\nContent-ID: {id}\r\n\r\n"));
        let reason =
            http::StatusCode::from_u16(answer.status).ok().and_then(|status| status.canonical_reason());
        body.push_str(&format!("HTTP/1.1 {} {}\r\n", answer.status, reason.unwrap_or("Unknown")));
        for (name, value) in &answer.headers {
            body.push_str(&format!("{name}: {value}\r\n"));
        }
        body.push_str(&format!("Content-Length: {}\r\n\r\n{}\r\n", answer.body.len(), answer.text()));
    }
    body.push_str(&format!("--{boundary}--\r\n"));
    let kind = format!("multipart/mixed; boundary={boundary}");
    Answer { status: 200, headers: vec![("content-type".to_owned(), kind)], body: body.into_bytes() }
}

fn boundary(exchange: &Exchange) -> Option<String> {
    let kind = exchange.header("content-type").filter(|kind| kind.starts_with("multipart/mixed"))?;
    let value = kind.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?;
    Some(value.trim_matches('"').to_owned())
}

fn parts(text: &str, boundary: &str) -> Vec<String> {
    let text = text.replace("\r\n", "\n");
    let separator = format!("--{boundary}");
    let inner = text.split(&separator).skip(1).take_while(|part| !part.starts_with("--"));
    inner.map(|part| part.trim_start_matches('\n').to_owned()).collect()
}

/// The content's id and the request within a part.
fn request(part: &str, outer: &Exchange) -> Option<(String, Exchange)> {
    let (head, inner) = part.split_once("\n\n")?;
    let id = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-id").then(|| value.trim().to_owned())
    });
    let (head, body) = inner.split_once("\n\n").unwrap_or((inner, ""));
    let mut words = head.lines().next()?.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    // A target may be absolute.
    let target = target.find("/compute/").map_or(target, |at| &target[at..]);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let exchange = Exchange {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers: outer.headers.clone(),
        body: body.trim().as_bytes().to_vec(),
        scheme: outer.scheme.clone(),
        host: outer.host.clone(),
    };
    Some((id.unwrap_or_default(), exchange))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "--b\r\nContent-Type: application/http\r\nContent-ID: <x+0>\r\n\r\n\
        GET /compute/v1/projects/acme-data?alt=json HTTP/1.1\r\nHost: h\r\n\r\n\r\n--b\r\nContent-ID: <x+1>\r\n\r\n\
        POST /compute/v1/projects/p/global/networks HTTP/1.1\r\n\r\n{\"name\": \"n\"}\r\n--b--\r\n";

    fn ask(body: &str, kind: &str) -> Answer {
        let mut exchange = Exchange {
            method: "POST".into(),
            path: PATHS[0].into(),
            body: body.into(),
            ..Exchange::default()
        };
        exchange.headers.insert("content-type", kind.parse().unwrap());
        answer(&exchange, |inner| {
            Answer::json(200, &serde_json::json!([inner.method, inner.path, inner.query, inner.text()]))
        })
    }

    #[test]
    fn each_request_has_its_answer() {
        let text = ask(BODY, "multipart/mixed; boundary=\"b\"").text();
        assert!(text.contains("Content-ID: <response-x+0>") && text.contains("Content-ID: <response-x+1>"));
        assert!(text.contains(r#"["GET","/compute/v1/projects/acme-data","alt=json",""]"#), "{text}");
        assert!(text.contains(r#"{\"name\": \"n\"}"#), "{text}");
        assert!(text.contains("HTTP/1.1 200 OK\r\n"));
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        assert_eq!(ask(BODY, "application/json").status, 400);
        assert_eq!(ask("--b--", "multipart/mixed; boundary=b").status, 400);
    }
}
