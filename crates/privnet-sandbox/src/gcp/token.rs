//! Whose credentials these are: tokens for service-account keys and refresh tokens, and what a token says of its owner.
//!
//! A token is granted for any well-formed assertion (RFC 7523) and any refresh token: the sandbox has no identities to check, and does
//! not look at tokens when they come back. `tokeninfo` is what gcloud's reference tells of
//! (<https://cloud.google.com/sdk/gcloud/reference/auth/application-default/print-access-token>): it names the account where the token
//! was granted for the scope of e-mail addresses.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::frame::{Answer, Exchange};

/// Whose refresh tokens these are.
pub(crate) const USER: &str = "ada@acme.example";
/// What a token of the sandbox begins with, and one that tells its owner's address.
const TOKEN: &str = "ya29.sandbox-";
const TELLING: &str = "ya29.sandbox-email-";
const CLOUD: &str = "https://www.googleapis.com/auth/cloud-platform";
const EMAIL: &str = "https://www.googleapis.com/auth/userinfo.email";

/// The answer of one of the endpoints of OAuth; nothing where the path is none of them.
pub(crate) fn answer(exchange: &Exchange) -> Option<Answer> {
    match exchange.path.as_str() {
        "/token" => Some(grant(exchange)),
        "/v1/token" => Some(exchanged(exchange)),
        "/tokeninfo" => Some(info(exchange)),
        _ => None,
    }
}

/// A token of a machine's own, without its owner's address.
pub(crate) fn fresh(telling: bool) -> String {
    format!("{}{}", if telling { TELLING } else { TOKEN }, uuid::Uuid::new_v4().simple())
}

fn grant(exchange: &Exchange) -> Answer {
    let fields = fields(exchange);
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let refreshed = field("grant_type") == "refresh_token";
    let granted = match field("grant_type") {
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => {
            field("assertion").split('.').filter(|part| !part.is_empty()).count() == 3
        }
        "refresh_token" => !field("refresh_token").is_empty(),
        _ => false,
    };
    if exchange.method != "POST" || !granted {
        let why = json!({ "error": "invalid_grant", "error_description": "A signed JWT or a refresh token is needed." });
        return Answer::json(400, &why);
    }
    // A refresh token was granted for both scopes; who asks for some of them gets those (RFC 6749, section 6).
    let asked = field("scope");
    let telling = refreshed && (asked.is_empty() || asked.split(' ').any(|scope| scope == EMAIL));
    Answer::json(200, &json!({ "access_token": fresh(telling), "token_type": "Bearer", "expires_in": 3599 }))
}

/// A federated identity's token for one of Google's (<https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token>).
fn exchanged(exchange: &Exchange) -> Answer {
    let fields = fields(exchange);
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let exchange_of_tokens = field("grant_type") == "urn:ietf:params:oauth:grant-type:token-exchange";
    if !exchange_of_tokens || field("subject_token").is_empty() || field("audience").is_empty() {
        let why = json!({ "error": "invalid_request", "error_description": "A token and its audience are needed." });
        return Answer::json(400, &why);
    }
    let kind = "urn:ietf:params:oauth:token-type:access_token";
    Answer::json(
        200,
        &json!({ "access_token": fresh(false), "issued_token_type": kind, "token_type": "Bearer", "expires_in": 3599 }),
    )
}

fn info(exchange: &Exchange) -> Answer {
    let fields = fields(exchange);
    let token = fields.get("access_token").map(String::as_str).unwrap_or_default();
    if !token.starts_with(TOKEN) {
        return Answer::json(400, &json!({ "error": "invalid_token", "error_description": "Invalid Value" }));
    }
    let mut about = json!({ "azp": "sandbox.apps.googleusercontent.com", "aud": "sandbox.apps.googleusercontent.com",
        "scope": CLOUD, "expires_in": "3599", "access_type": "offline" });
    if token.starts_with(TELLING) {
        about["scope"] = json!(format!("{CLOUD} {EMAIL}"));
        about["email"] = json!(USER);
        about["email_verified"] = json!("true");
    }
    Answer::json(200, &about)
}

/// What a request says: as a form, in the query, or in JSON, which Google's own libraries send.
fn fields(exchange: &Exchange) -> BTreeMap<String, String> {
    if exchange.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        let body: BTreeMap<String, Value> = serde_json::from_slice(&exchange.body).unwrap_or_default();
        return body
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())))
            .collect();
    }
    let form = url::form_urlencoded::parse(&exchange.body).into_owned();
    exchange.query_pairs().into_iter().chain(form).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(path: &str, body: &str) -> Answer {
        let exchange =
            Exchange { method: "POST".into(), path: path.into(), body: body.into(), ..Exchange::default() };
        answer(&exchange).unwrap()
    }

    fn token(granted: &Answer) -> String {
        let body: Value = serde_json::from_str(&granted.text()).unwrap();
        body["access_token"].as_str().unwrap().to_owned()
    }

    #[test]
    fn grants_for_an_assertion_only() {
        let granted =
            ask("/token", "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=a.b.c");
        assert_eq!(granted.status, 200);
        assert!(granted.text().contains("ya29.sandbox-"));
        assert_eq!(ask("/token", "grant_type=refresh_token&refresh_token=x").status, 200);
        let jwt = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=a";
        assert_eq!(ask("/token", jwt).status, 400);
        assert_eq!(ask("/token", "").status, 400);
    }

    #[test]
    fn a_token_tells_its_owner_where_it_was_granted_for_that() {
        let about = |scope: &str| {
            let granted = ask("/token", &format!("grant_type=refresh_token&refresh_token=x{scope}"));
            ask("/tokeninfo", &format!("access_token={}", token(&granted))).text()
        };
        assert!(about("").contains(USER));
        assert!(!about("&scope=https://www.googleapis.com/auth/cloud-platform").contains(USER));
        assert_eq!(ask("/tokeninfo", "access_token=somebodys").status, 400);
    }
}
