//! Client tokens: the same token with the same parameters answers the same thing again; with others it is an error.
//!
//! Source: EC2 developer guide, "Ensuring idempotency in Amazon EC2 API requests".

use serde_json::Value;

use super::call::{Call, Handler, Tx};
use super::error::{ApiError, Reply};
use super::world::Token;

/// Runs a handler once for each client token; a call without a token runs always.
pub(crate) fn once(tx: &mut Tx, call: &Call, handler: Handler) -> Reply {
    let Some(token) = call.input.get("ClientToken").and_then(Value::as_str).filter(|token| !token.is_empty())
    else {
        return handler(tx, call);
    };
    let key = format!("{}/{}/{}/{token}", call.scope.account, call.scope.region, call.action);
    let asked = call.input.to_string();
    if let Some(known) = tx.tokens.get(&key) {
        if known.asked == asked {
            return Ok(known.answered.clone());
        }
        let why = "The client token is already used with different parameters.";
        return Err(ApiError::new("IdempotentParameterMismatch", why));
    }
    let mut answered = handler(tx, call)?;
    if let Some(members) = answered.as_object_mut().filter(|_| call.api.answers(&call.action, "ClientToken"))
    {
        members.insert("ClientToken".to_owned(), Value::from(token));
    }
    tx.tokens.insert(key, Token { asked, answered: answered.clone() });
    Ok(answered)
}
