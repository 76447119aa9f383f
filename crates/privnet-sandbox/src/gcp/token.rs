//! A token endpoint, so that service-account keys whose `token_uri` points here work on loopback.
//!
//! It grants a token for any well-formed assertion (RFC 7523): the sandbox has no identities to check. Tokens are not
//! looked at when they come back either.

use serde_json::json;

use crate::frame::{Answer, Exchange};

/// Where tokens are given.
pub(crate) const PATH: &str = "/token";

/// Answers a request for a token.
pub(crate) fn answer(exchange: &Exchange) -> Answer {
    let form: std::collections::BTreeMap<String, String> =
        url::form_urlencoded::parse(&exchange.body).into_owned().collect();
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let assertion = field("assertion").split('.').filter(|part| !part.is_empty()).count() == 3;
    let granted = match field("grant_type") {
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => assertion,
        "refresh_token" => !field("refresh_token").is_empty(),
        _ => false,
    };
    if exchange.method != "POST" || !granted {
        let why = json!({ "error": "invalid_grant", "error_description": "A signed JWT or a refresh token is needed." });
        return Answer::json(400, &why);
    }
    let token = format!("ya29.sandbox-{}", uuid::Uuid::new_v4().simple());
    Answer::json(200, &json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3599 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(body: &str) -> Answer {
        answer(&Exchange {
            method: "POST".into(),
            path: PATH.into(),
            body: body.into(),
            ..Exchange::default()
        })
    }

    #[test]
    fn grants_for_an_assertion_only() {
        let granted = ask("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=a.b.c");
        assert_eq!(granted.status, 200);
        assert!(granted.text().contains("ya29.sandbox-"));
        assert_eq!(ask("grant_type=refresh_token&refresh_token=x").status, 200);
        assert_eq!(
            ask("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=a").status,
            400
        );
        assert_eq!(ask("").status, 400);
    }
}
