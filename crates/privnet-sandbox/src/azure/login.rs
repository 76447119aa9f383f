//! What clients need before ARM: tokens, their discovery, the managed identity's endpoint, and ARM's own metadata.
//!
//! Forms after Microsoft's "OAuth 2.0 client credentials flow", "How to use managed identities … to acquire an access token" and the
//! instance discovery that MSAL does. Any client id with any secret or assertion gets a token of the sandbox's tenant; nothing
//! of what is sent is kept. Times in tokens are real time: clients compare them with their own clocks.

use base64::Engine as _;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::default_world::TENANT;
use super::request::base_of;
use crate::frame::{Answer, Exchange};

/// The client that the sandbox's own variables name.
pub(crate) const CLIENT: &str = "22222222-aaaa-bbbb-cccc-333333333333";

const LIFETIME: i64 = 3600;

/// The answer of one of these endpoints; `None` when the path is none of them.
pub(crate) fn answer(exchange: &Exchange) -> Option<Answer> {
    let path = exchange.path.trim_end_matches('/').to_ascii_lowercase();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let get = exchange.method == "GET";
    match segments.as_slice() {
        ["metadata", "endpoints"] if get => Some(Answer::json(200, &endpoints(exchange))),
        ["metadata", "identity", "oauth2", "token"] if get => Some(managed_identity(exchange)),
        ["common", "discovery", "instance"] if get => Some(Answer::json(200, &discovery(exchange))),
        [tenant, "v2.0", ".well-known", "openid-configuration"] if get => {
            Some(Answer::json(200, &configuration(exchange, tenant, "/oauth2/v2.0")))
        }
        [tenant, ".well-known", "openid-configuration"] if get => {
            Some(Answer::json(200, &configuration(exchange, tenant, "/oauth2")))
        }
        [_, "discovery", "keys"] | [_, "discovery", "v2.0", "keys"] if get => {
            Some(Answer::json(200, &json!({"keys": []})))
        }
        [tenant, "oauth2", "token"] if !get => Some(token(exchange, tenant, false)),
        [tenant, "oauth2", "v2.0", "token"] if !get => Some(token(exchange, tenant, true)),
        _ => None,
    }
}

/// ARM's metadata, as clients of a registered cloud read it.
fn endpoints(exchange: &Exchange) -> Value {
    let base = base_of(exchange);
    let host = base.split("://").nth(1).unwrap_or_default().to_owned();
    json!({
        "name": "PrivnetSandbox",
        "portal": base, "galleryEndpoint": base, "graphEndpoint": base, "graph": base, "portalEndpoint": base,
        "graphAudience": base, "microsoftGraphResourceId": base, "media": base, "batch": base, "sqlManagement": base,
        "resourceManager": format!("{base}/"), "vmImageAliasDoc": format!("{base}/images"),
        "authentication": {
            "loginEndpoint": base, "audiences": [format!("{base}/"), "https://management.azure.com/"],
            "tenant": "common", "identityProvider": "AAD"},
        "suffixes": {"storage": host, "sqlServerHostname": "database.windows.net", "keyVaultDns": "vault.azure.net",
            "acrLoginServer": "azurecr.io", "storageSyncEndpointSuffix": "afs.azure.net"},
    })
}

fn discovery(exchange: &Exchange) -> Value {
    let base = base_of(exchange);
    let host = base.split("://").nth(1).unwrap_or_default().to_owned();
    let tenant = exchange
        .query_value("authorization_endpoint")
        .and_then(|endpoint| endpoint.split('/').nth(3).map(str::to_owned))
        .unwrap_or_else(|| TENANT.to_owned());
    json!({
        "tenant_discovery_endpoint": format!("{base}/{tenant}/v2.0/.well-known/openid-configuration"),
        "api-version": "1.1",
        "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
    })
}

fn configuration(exchange: &Exchange, tenant: &str, prefix: &str) -> Value {
    let base = base_of(exchange);
    let tenant_id = resolve(tenant).unwrap_or(TENANT);
    json!({
        "token_endpoint": format!("{base}/{tenant}{prefix}/token"),
        "authorization_endpoint": format!("{base}/{tenant}{prefix}/authorize"),
        "device_authorization_endpoint": format!("{base}/{tenant}{prefix}/devicecode"),
        "issuer": format!("{base}/{tenant_id}/v2.0"),
        "jwks_uri": format!("{base}/{tenant}/discovery/v2.0/keys"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "response_types_supported": ["code", "id_token"],
        "scopes_supported": ["openid", "profile", "offline_access"],
        "id_token_signing_alg_values_supported": ["RS256"],
    })
}

/// The tenant behind a path's first segment.
fn resolve(tenant: &str) -> Option<&'static str> {
    ["common", "organizations", "acme.example", TENANT].contains(&tenant).then_some(TENANT)
}

fn refused(status: u16, error: &str, code: u32, message: &str) -> Answer {
    let body = json!({"error": error, "error_description": format!("AADSTS{code}: {message}"), "error_codes": [code],
        "timestamp": Timestamp::now().to_string(), "error_uri": format!("https://login.microsoftonline.com/error?code={code}")});
    Answer::json(status, &body)
}

fn token(exchange: &Exchange, tenant: &str, v2: bool) -> Answer {
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&exchange.body).into_owned().collect();
    let field = |name: &str| form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    if resolve(tenant).is_none() {
        return refused(400, "invalid_request", 90002, &format!("Tenant '{tenant}' not found."));
    }
    if field("grant_type") != Some("client_credentials") {
        return refused(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.");
    }
    let basic = exchange.header("authorization").and_then(|value| value.strip_prefix("Basic "));
    let client = match (field("client_id"), basic) {
        (Some(client), _) if !client.is_empty() => client.to_owned(),
        (_, Some(_)) => CLIENT.to_owned(),
        _ => {
            return refused(
                400,
                "invalid_request",
                900144,
                "The request body must contain the following parameter: 'client_id'.",
            );
        }
    };
    let proof = ["client_secret", "client_assertion"]
        .iter()
        .any(|name| field(name).is_some_and(|value| !value.is_empty()));
    if !proof && basic.is_none() {
        return refused(
            401,
            "invalid_client",
            7_000_218,
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        );
    }
    let audience =
        if v2 { field("scope").map(|scope| scope.trim_end_matches("/.default")) } else { field("resource") };
    let Some(audience) = audience.filter(|audience| !audience.is_empty()) else {
        return refused(
            400,
            "invalid_request",
            900144,
            "The request body must contain the following parameter: 'scope'.",
        );
    };
    let now = Timestamp::now().as_second();
    let access = access_token(exchange, &client, audience, now);
    let body = if v2 {
        json!({"token_type": "Bearer", "expires_in": LIFETIME, "ext_expires_in": LIFETIME, "access_token": access})
    } else {
        json!({"token_type": "Bearer", "expires_in": LIFETIME.to_string(), "ext_expires_in": LIFETIME.to_string(),
            "not_before": now.to_string(), "expires_on": (now + LIFETIME).to_string(), "resource": audience,
            "access_token": access})
    };
    Answer::json(200, &body).with_header("cache-control", "no-store, no-cache")
}

fn managed_identity(exchange: &Exchange) -> Answer {
    if !exchange.header("metadata").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        let body = json!({"error": "invalid_request", "error_description": "Required metadata header not specified"});
        return Answer::json(400, &body);
    }
    let Some(resource) = exchange.query_value("resource") else {
        let body = json!({"error": "invalid_request", "error_description": "Required query variable 'resource' is missing"});
        return Answer::json(400, &body);
    };
    let now = Timestamp::now().as_second();
    let client = exchange.query_value("client_id").unwrap_or_else(|| CLIENT.to_owned());
    let access = access_token(exchange, &client, &resource, now);
    let body = json!({"access_token": access, "client_id": client, "expires_in": LIFETIME.to_string(),
        "expires_on": (now + LIFETIME).to_string(), "ext_expires_in": LIFETIME.to_string(), "not_before": now.to_string(),
        "resource": resource, "token_type": "Bearer"});
    Answer::json(200, &body)
}

/// A token in the form of a JWT, for clients that look inside. Its signature is a word: nobody but the sandbox takes it.
fn access_token(exchange: &Exchange, client: &str, audience: &str, now: i64) -> String {
    let part = |value: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({"typ": "JWT", "alg": "RS256", "kid": "sandbox"});
    let claims = json!({
        "aud": audience, "iss": format!("{}/{TENANT}/", base_of(exchange)), "iat": now, "nbf": now, "exp": now + LIFETIME,
        "appid": client, "appidacr": "1", "idtyp": "app", "oid": client, "sub": client, "tid": TENANT, "ver": "1.0"});
    format!("{}.{}.{}", part(&header), part(&claims), part(&json!("sandbox")))
}
