//! What Compute Engine answers, as the core's errors: converted once, here.
//!
//! Kinds go by the HTTP status and by `reason`, never by the canonical code: an error body without `status` has none
//! (<https://cloud.google.com/compute/docs/troubleshooting/troubleshooting-general>,
//! <https://cloud.google.com/storage/docs/json_api/v1/status-codes> for the reasons). Operations fail with HTTP 200 and
//! codes in capitals.

use google_cloud_gax::error::Error as ClientError;
use google_cloud_gax::error::rpc::{Code, StatusDetails};
use privnet_core::{Error, ErrorKind};
use serde_json::json;

use crate::json::{Json, list, text};

/// A method of the API, as its discovery document calls it: `serviceAttachments.insert`.
pub(crate) type Method = str;

/// Converts what the client returned for `method` on `subject`.
pub(crate) fn convert(method: &Method, subject: &str, error: ClientError) -> Error {
    if error.is_authentication() {
        return Error::new(
            ErrorKind::Unauthenticated,
            method,
            subject,
            "there are no usable Google credentials",
        )
        .with_hint("run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS")
        .with_cause(error);
    }
    if let Some(status) = error.http_status_code() {
        let body = error.http_payload().map(|payload| payload.to_vec()).unwrap_or_default();
        let body = serde_json::from_slice(&body).ok();
        if status == 404 && body.is_none() && error.status().is_none() {
            return unreadable(method, subject, status);
        }
        let body: Json = body.unwrap_or_else(|| understood(&error));
        let said = error.status().map(|status| status.message.clone());
        let converted = answered(method, subject, status, &body, said.as_deref());
        // What the client says of an answer that it understood is the same message again.
        return if said.is_some() { converted } else { converted.with_cause(error) };
    }
    if error.is_serialization() || error.is_binding() {
        return Error::new(ErrorKind::Invalid, method, subject, "the request cannot be built")
            .with_cause(error);
    }
    if error.is_deserialization() {
        return Error::new(ErrorKind::Unavailable, method, subject, "the answer cannot be read")
            .with_hint(PROXY)
            .with_cause(error);
    }
    Error::new(ErrorKind::Unavailable, method, subject, "no answer from Google Cloud").with_cause(error)
}

/// What may answer in Google's place.
const PROXY: &str = "is a proxy in between that answers by itself? What is there is not known";

/// The error of an answer that is none of Compute Engine's: it says nothing of what is there or not, whatever its status.
pub(crate) fn unreadable(method: &Method, subject: &str, status: u16) -> Error {
    let message = format!("the answer (HTTP {status}) is none of Compute Engine's");
    Error::new(ErrorKind::Unavailable, method, subject, message).with_hint(PROXY)
}

/// The error of a list that leads back to a page of its own, and so has no end.
pub(crate) fn repeated_page(method: &Method, subject: &str) -> Error {
    let message = "the list leads back to a page that was read already, so that its end is not known";
    Error::new(ErrorKind::Other, method, subject, message)
}

/// The body of an answer that the client understood: of such a one it keeps the reasons, and not the body.
fn understood(error: &ClientError) -> Json {
    let Some(status) = error.status() else { return Json::Null };
    let reason = |detail: &StatusDetails| match detail {
        StatusDetails::ErrorInfo(info) => Some(json!({ "reason": info.reason })),
        _ => None,
    };
    let quota = |detail: &StatusDetails| match detail {
        StatusDetails::QuotaFailure(_) => Some(json!({ "reason": "QUOTA_EXCEEDED" })),
        _ => None,
    };
    // Which quota it is may be one that is free again in a moment: the reason says so.
    let details = &status.details;
    let reasons: Vec<Json> =
        details.iter().filter_map(reason).chain(details.iter().filter_map(quota)).collect();
    let code = Some(status.code.name()).filter(|_| status.code != Code::Unknown);
    json!({ "error": { "errors": reasons, "status": code } })
}

/// The error of an answer with this status and body.
pub(crate) fn answered(
    method: &Method,
    subject: &str,
    status: u16,
    body: &Json,
    said: Option<&str>,
) -> Error {
    let inner = body.get("error").unwrap_or(&Json::Null);
    let mut reasons = list(inner, "errors").iter().filter_map(|error| text(error, "reason"));
    let first = list(inner, "errors").first().and_then(|error| text(error, "reason"));
    let reason = reasons.find(|reason| known(reason).is_some()).or(first);
    let reason = reason.or_else(|| text(inner, "status")).unwrap_or_default();
    let message = text(inner, "message").or(said).filter(|text| !text.is_empty());
    let message = message.map_or_else(|| format!("HTTP {status}"), str::to_owned);
    let code = if reason.is_empty() { format!("HTTP {status}") } else { reason.to_owned() };
    advised(method, Error::new(by_reason(status, reason), method, subject, message).with_code(code))
}

/// The error of an operation that failed, if it did: such an answer has HTTP 200.
pub(crate) fn failed_operation(method: &Method, subject: &str, operation: &Json) -> Option<Error> {
    let status = operation.get("httpErrorStatusCode").and_then(Json::as_u64).unwrap_or(200);
    let first = operation.get("error").map(|error| list(error, "errors")).unwrap_or_default().first();
    if first.is_none() && status < 400 {
        return None;
    }
    let first = first.unwrap_or(&Json::Null);
    let code = text(first, "code").unwrap_or("UNKNOWN");
    let message = text(first, "message").or_else(|| text(operation, "httpErrorMessage"));
    let status = u16::try_from(status).unwrap_or(200);
    let kind = by_code(status, code);
    let error = Error::new(kind, method, subject, message.unwrap_or("the operation failed")).with_code(code);
    Some(advised(method, error).with_request_id(text(operation, "name").map(str::to_owned)))
}

fn by_reason(status: u16, reason: &str) -> ErrorKind {
    match status {
        429 => ErrorKind::Throttled,
        _ => known(reason).unwrap_or(match status {
            413 => ErrorKind::Quota,
            401 => ErrorKind::Unauthenticated,
            403 => ErrorKind::Denied,
            404 => ErrorKind::NotFound,
            409 | 412 => ErrorKind::Conflict,
            408 | 500..=599 => ErrorKind::Unavailable,
            400..=499 => ErrorKind::Invalid,
            _ => ErrorKind::Other,
        }),
    }
}

/// What a reason says beyond the status, if it does.
fn known(reason: &str) -> Option<ErrorKind> {
    Some(match reason {
        "rateLimitExceeded" | "userRateLimitExceeded" | "tooManyRequests" | "RATE_LIMIT_EXCEEDED" => {
            ErrorKind::Throttled
        }
        // Too many operations at once: there is room when some of them are over (<https://cloud.google.com/compute/operations-quota>).
        "CONCURRENT_OPERATIONS_QUOTA_EXCEEDED" => ErrorKind::Throttled,
        "quotaExceeded" | "limitExceeded" | "QUOTA_EXCEEDED" => ErrorKind::Quota,
        "resourceInUseByAnotherResource" | "resourceInUse" | "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE" => {
            ErrorKind::InUse
        }
        "resourceNotReady" | "RESOURCE_NOT_READY" => ErrorKind::NotReady,
        _ => return None,
    })
}

fn by_code(status: u16, code: &str) -> ErrorKind {
    match code {
        "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE" | "RESOURCE_IN_USE" => ErrorKind::InUse,
        "RESOURCE_NOT_READY" => ErrorKind::NotReady,
        "QUOTA_EXCEEDED" | "LIMIT_EXCEEDED" => ErrorKind::Quota,
        "RATE_LIMIT_EXCEEDED" => ErrorKind::Throttled,
        "RESOURCE_NOT_FOUND" | "NOT_FOUND" => ErrorKind::NotFound,
        "RESOURCE_ALREADY_EXISTS" | "CONDITION_NOT_MET" => ErrorKind::Conflict,
        "PERMISSIONS_ERROR" | "PERMISSION_DENIED" => ErrorKind::Denied,
        "INVALID_FIELD_VALUE" | "BAD_REQUEST" => ErrorKind::Invalid,
        _ if status >= 400 => by_reason(status, ""),
        _ => ErrorKind::Other,
    }
}

fn advised(method: &Method, error: Error) -> Error {
    match error.kind() {
        ErrorKind::Denied => {
            let permission = permission_in(error.message()).unwrap_or_else(|| permission(method));
            error.with_hint(format!("the caller lacks the permission `{permission}`"))
        }
        ErrorKind::Unauthenticated => {
            error.with_hint("the credentials are refused: log in again, or check the clock")
        }
        ErrorKind::Quota => error.with_hint(
            "a quota of the project is reached: raise it under IAM & Admin, Quotas, or remove what is unused",
        ),
        _ => error,
    }
}

/// The permission that a method needs first (<https://cloud.google.com/compute/docs/access/iam-permissions>).
pub(crate) fn permission(method: &Method) -> String {
    let (collection, verb) = method.split_once('.').unwrap_or((method, "get"));
    let collection = match collection {
        "regionInstanceGroupManagers" => "instanceGroupManagers",
        "operations" => "regionOperations",
        other => other,
    };
    let verb = match verb {
        "insert" => "create",
        "patch" => "update",
        "aggregatedList" => "list",
        "wait" | "getHealth" | "listNetworkEndpoints" => "get",
        other => other,
    };
    format!("compute.{collection}.{verb}")
}

/// Google's own words name the permission: `Required 'compute.firewalls.create' permission for …`.
fn permission_in(message: &str) -> Option<String> {
    let quoted = message.split('\'').nth(1)?;
    quoted.starts_with("compute.").then(|| quoted.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_and_statuses_become_kinds() {
        let kind = |status: u16, reason: &str| {
            let body =
                json!({ "error": { "code": status, "message": "m", "errors": [{ "reason": reason }] } });
            answered("x.insert", "s", status, &body, None).kind()
        };
        assert_eq!(kind(403, "rateLimitExceeded"), ErrorKind::Throttled);
        assert_eq!(kind(403, "RATE_LIMIT_EXCEEDED"), ErrorKind::Throttled, "a newer answer's detail");
        assert_eq!(kind(403, "CONCURRENT_OPERATIONS_QUOTA_EXCEEDED"), ErrorKind::Throttled);
        assert_eq!(kind(403, "quotaExceeded"), ErrorKind::Quota);
        assert_eq!(kind(403, "forbidden"), ErrorKind::Denied);
        assert_eq!(kind(400, "resourceNotReady"), ErrorKind::NotReady);
        assert_eq!(kind(400, "resourceInUseByAnotherResource"), ErrorKind::InUse);
        assert_eq!(kind(412, "conditionNotMet"), ErrorKind::Conflict);
        assert_eq!(kind(404, "notFound"), ErrorKind::NotFound);
        let several =
            json!({ "error": { "errors": [{ "reason": "SOMETHING_NEW" }, { "reason": "QUOTA_EXCEEDED" }] } });
        assert_eq!(answered("x.insert", "s", 403, &several, None).kind(), ErrorKind::Quota);
        assert_eq!(kind(503, "backendError"), ErrorKind::Unavailable);
    }

    #[test]
    fn a_message_of_googles_is_said_once() {
        let said = "Invalid value for field 'resource.ports'";
        let status = google_cloud_gax::error::rpc::Status::default().set_message(said);
        let understood = ClientError::service_with_http_metadata(status, Some(400), None);
        assert!(understood.to_string().contains(said), "{understood}");
        let error = convert("forwardingRules.insert", "pn-a", understood);
        assert_eq!((error.kind(), error.message()), (ErrorKind::Invalid, said));
        assert_eq!(privnet_core::error::causes(&error), Vec::<String>::new());
        // Of what a proxy on the way answers only the client knows the words.
        let body = "<html>Bad Gateway, says the proxy</html>";
        let error = convert(
            "forwardingRules.insert",
            "pn-a",
            ClientError::http(502, http::HeaderMap::new(), body.into()),
        );
        assert_eq!((error.kind(), error.message()), (ErrorKind::Unavailable, "HTTP 502"));
        assert!(privnet_core::error::causes(&error).concat().contains("says the proxy"));
    }

    #[test]
    fn an_operation_that_failed_is_an_error_although_it_is_done() {
        let done = json!({ "status": "DONE", "name": "op-1" });
        assert!(failed_operation("x.delete", "s", &done).is_none());
        let failed = json!({ "status": "DONE", "httpErrorStatusCode": 400,
            "error": { "errors": [{ "code": "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE", "message": "in use" }] } });
        let error = failed_operation("x.delete", "s", &failed).expect("an error");
        assert_eq!((error.kind(), error.message()), (ErrorKind::InUse, "in use"));
    }

    #[test]
    fn a_missing_permission_is_named() {
        let body = json!({ "error": { "code": 403, "message": "Required 'compute.firewalls.create' permission for 'x'",
            "errors": [{ "reason": "forbidden" }] } });
        let error = answered("firewalls.insert", "s", 403, &body, None);
        assert_eq!(error.hints(), ["the caller lacks the permission `compute.firewalls.create`"]);
    }
}
