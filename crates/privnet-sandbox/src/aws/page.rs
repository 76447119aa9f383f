//! Pagination of all APIs: an opaque token that holds the last key of its page, so that pages stay right when objects go.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::call::Call;
use super::error::ApiError;
use super::model::Api;

/// One page: the items, and the token of the next page.
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<String>,
}

/// Cuts the page that `token` begins out of items that are sorted by `key`. Without `size`, everything up to the API's own
/// limit is one page.
pub(crate) fn page<T>(
    items: Vec<T>,
    key: impl Fn(&T) -> String,
    call: &Call,
    size: Option<usize>,
    token: Option<&str>,
) -> Result<Page<T>, ApiError> {
    let (usual, limit) = match call.api {
        Api::Ec2 if call.action.contains("LaunchTemplate") => (200, 200),
        Api::Ec2 => (1000, 1000),
        Api::Scaling => (50, 100),
        _ => (400, 400),
    };
    let size = size.unwrap_or(usual).clamp(1, limit);
    let after = token.filter(|token| !token.is_empty()).map(|token| read(token, call)).transpose()?;
    let mut rest: Vec<T> = match after {
        Some(after) => items.into_iter().filter(|item| key(item) > after).collect(),
        None => items,
    };
    let next = (rest.len() > size).then(|| write(&key(&rest[size - 1]), call));
    rest.truncate(size);
    Ok(Page { items: rest, next })
}

fn write(key: &str, call: &Call) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}\n{key}", call.action))
}

fn read(token: &str, call: &Call) -> Result<String, ApiError> {
    let text = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match text.as_deref().and_then(|text| text.split_once('\n')) {
        Some((action, key)) if action == call.action => Ok(key.to_owned()),
        _ if matches!(call.api, Api::Ec2 | Api::Scaling) => {
            Err(ApiError::new("InvalidNextToken", format!("The token '{token}' is invalid")))
        }
        _ => Err(ApiError::new("ValidationError", format!("The marker '{token}' is not valid"))),
    }
}
