//! The metadata server of a machine, for credentials that come from there: `GCE_METADATA_HOST` names it.
//!
//! From "Query VM metadata" and "Predefined metadata keys"
//! (<https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys>): every request says `Metadata-Flavor: Google`, and so does
//! every answer.

use serde_json::json;

use super::token;
use crate::frame::{Answer, Exchange};

const ROOT: &str = "/computeMetadata/v1/";
const ACCOUNT: &str = "instance/service-accounts/default/";
/// The machine's service account.
pub(crate) const EMAIL: &str = "forwarders@acme-data.iam.gserviceaccount.com";

/// The answer of the metadata server; nothing where the path is none of its.
pub(crate) fn answer(exchange: &Exchange) -> Option<Answer> {
    let key = exchange.path.strip_prefix(ROOT)?;
    let asked = exchange.header("metadata-flavor") == Some("Google");
    let text = |text: &str| Answer {
        status: 200,
        headers: vec![("content-type".into(), "application/text".into())],
        body: text.as_bytes().to_vec(),
    };
    let found = match (asked, key.strip_prefix(ACCOUNT)) {
        (false, _) => Answer::empty(403),
        (true, Some("token")) => {
            let granted =
                json!({ "access_token": token::fresh(false), "expires_in": 3599, "token_type": "Bearer" });
            Answer::json(200, &granted)
        }
        (true, Some("email")) => text(EMAIL),
        (true, None) if key == "universe/universe-domain" => text("googleapis.com"),
        (true, _) => Answer::empty(404),
    };
    Some(found.with_header("metadata-flavor", "Google"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_who_asks_as_documented() {
        let mut exchange = Exchange { method: "GET".into(), ..Exchange::default() };
        exchange.path = format!("{ROOT}{ACCOUNT}email");
        assert_eq!(
            answer(&exchange).unwrap().status,
            403,
            "a browser that was led here does not say the word"
        );
        exchange.headers.insert("metadata-flavor", "Google".parse().unwrap());
        let told = answer(&exchange).unwrap();
        assert_eq!((told.status, told.text().as_str()), (200, EMAIL));
        exchange.path = "/compute/v1/projects/p".to_owned();
        assert!(answer(&exchange).is_none());
    }
}
