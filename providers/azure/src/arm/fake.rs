//! A scripted ARM for unit tests: answers in the order in which they were written down, and remembers what was asked.

use std::sync::{Arc, Mutex};

use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Request, StatusCode, Transport, Url};

use super::{Arm, Json};
use crate::credential::GivenToken;

/// One answer: status, headers, body. A text is sent as it stands.
pub(crate) type Scripted = (u16, Vec<(&'static str, &'static str)>, Json);

/// What was asked: method and path, the `If-Match` header, the body.
pub(crate) type Seen = (String, Option<String>, Json);

/// The script, and what was asked so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    answers: Arc<Mutex<Vec<Scripted>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Script {
    /// A client that gets these answers, in this order.
    pub(crate) fn arm(answers: Vec<Scripted>) -> (Arm, Self) {
        let script = Self { answers: Arc::new(Mutex::new(answers)), seen: Arc::default() };
        let base = Url::parse("https://management.azure.com").unwrap();
        let transport = Transport::new(Arc::new(script.clone()));
        let arm = Arm::over(base, None, GivenToken::credential("hush"), "scope".to_owned(), Some(transport));
        (arm, script)
    }

    /// What was asked.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Methods and paths of what was asked.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.seen().into_iter().map(|(asked, _, _)| asked).collect()
    }
}

#[async_trait::async_trait]
impl HttpClient for Script {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let body = match request.body() {
            Body::Bytes(bytes) => serde_json::from_slice(bytes).unwrap_or(Json::Null),
            Body::SeekableStream(_) => Json::Null,
        };
        let if_match = request.headers().get_optional_string(&azure_core::http::headers::IF_MATCH);
        let asked = format!("{} {}", request.method(), request.url().path());
        self.seen.lock().unwrap().push((asked.clone(), if_match, body));
        let mut answers = self.answers.lock().unwrap();
        assert!(!answers.is_empty(), "nothing is scripted for {asked}");
        let (status, headers, body) = answers.remove(0);
        if status == 0 {
            return Err(azure_core::Error::with_message(
                azure_core::error::ErrorKind::Io,
                "the line is dead",
            ));
        }
        let mut sent = Headers::new();
        for (name, value) in headers {
            sent.insert(name, value);
        }
        let bytes = match body {
            Json::Null => Vec::new(),
            Json::String(text) => text.into_bytes(),
            json => json.to_string().into_bytes(),
        };
        Ok(AsyncRawResponse::from_bytes(StatusCode::from(status), sent, bytes))
    }
}

/// A context whose time passes a thousand times faster.
pub(crate) fn context() -> privnet_core::execute::Context {
    use privnet_core::execute::{Context, Events, Settings};
    let settings = Settings { pace: 1000.0, ..Settings::default() };
    Context::new(settings, Events::none(), tokio_util::sync::CancellationToken::new())
}
