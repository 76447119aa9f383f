//! Who a token is for.

/// Who a token is for, as far as the token tells: `name (object id)`. Claims are the standard ones of Entra's access tokens
/// (<https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference>).
pub(crate) fn who(token: &str) -> Option<String> {
    let payload = token.split('.').nth(1)?;
    let bytes = azure_core::base64::decode_url_safe(payload).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    let claim = |name: &str| claims.get(name).and_then(serde_json::Value::as_str);
    let name = ["upn", "unique_name", "preferred_username", "app_displayname", "appid", "azp"]
        .iter()
        .find_map(|name| claim(name));
    match (name, claim("oid")) {
        (Some(name), Some(oid)) => Some(format!("{name} ({oid})")),
        (Some(only), None) | (None, Some(only)) => Some(only.to_owned()),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_is_read_from_the_token_and_nothing_else_is() {
        let payload =
            azure_core::base64::encode_url_safe(br#"{"upn":"a@b.example","oid":"1-2","secret":"x"}"#);
        assert_eq!(who(&format!("h.{payload}.s")).as_deref(), Some("a@b.example (1-2)"));
        assert_eq!(who("sandbox"), None);
        assert_eq!(who("a.!!.c"), None);
    }
}
