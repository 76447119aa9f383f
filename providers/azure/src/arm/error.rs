//! ARM's failures as the core's errors: converted here, once.
//!
//! Codes are those of <https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors>
//! and of Microsoft.Network's own messages.

use std::time::Duration;

use azure_core::error::ErrorKind as AzureKind;
use privnet_core::{Error, ErrorKind};
use serde_json::Value as Json;

use super::json::text;
use crate::credential::{LOG_IN, hint};

/// What a request was, for messages.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Method and resource type: `PUT Microsoft.Network/loadBalancers`.
    pub(super) operation: String,
    /// The resource's id.
    pub(super) subject: String,
}

/// The parts of an answer that errors are made of.
#[derive(Clone, Debug, Default)]
pub(super) struct Failed<'a> {
    pub(super) status: u16,
    /// Nothing where it is no JSON.
    pub(super) body: Option<&'a Json>,
    pub(super) request_id: Option<String>,
    pub(super) retry_after: Option<Duration>,
    /// Whether it was asked by a read: that is not begun anew, so what comes later is asked for once more.
    pub(super) read: bool,
}

/// The error of an HTTP answer that is no success.
///
/// A 404 without a code counts as one all the same: providers of what Azure hosts answer so where a connection is not there
/// (<https://github.com/Azure/terraform-provider-azapi/issues/274>, of Azure SQL and Storage: "ERROR CODE UNAVAILABLE"). What is made upon
/// it has a name that nobody else's has, and what has gone by it is looked for by the next plan.
pub(super) fn of_answer(asked: &Asked, failed: &Failed<'_>) -> Error {
    if failed.body.is_none() && failed.status == 404 {
        return of_no_json(asked, failed.status, failed.request_id.clone());
    }
    let (code, message) = code_and_message(failed.body);
    let message = message.unwrap_or_else(|| format!("HTTP {}", failed.status));
    let code = code.unwrap_or_else(|| format!("HTTP{}", failed.status));
    let kind = match (kind(failed.status, &code, &message), failed.status) {
        (ErrorKind::NotReady, 429) if failed.read => ErrorKind::Throttled,
        (ErrorKind::NotReady, 408 | 500..=599) if failed.read => ErrorKind::Unavailable,
        (kind, _) => kind,
    };
    make(asked, kind, &code, message)
        .with_request_id(failed.request_id.clone())
        .with_retry_after(failed.retry_after)
}

/// The error of an answer that is no JSON, which Azure Resource Manager's are: it says nothing of what is there or not, whatever its
/// status. It may have reached Azure or not, as a request that got no answer.
pub(super) fn of_no_json(asked: &Asked, status: u16, request_id: Option<String>) -> Error {
    broken(asked, ErrorKind::Unavailable, &format!("the answer (HTTP {status}) is no JSON"))
        .with_code(NO_JSON)
        .with_request_id(request_id)
}

/// A code of ours, for an answer that holds none.
const NO_JSON: &str = "NoJson";

/// Whether it is that of an answer that is no JSON.
pub(crate) fn is_no_json(error: &Error) -> bool {
    error.code() == Some(NO_JSON)
}

/// The error of an answer that is none to what was asked: taken for one, it would say that nothing is there.
pub(super) fn of_another_answer(asked: &Asked, wanted: &str) -> Error {
    broken(asked, ErrorKind::Other, &format!("the answer holds no {wanted}"))
}

/// The error of a list that leads back to a page of its own, and so has no end.
pub(super) fn of_repeated_page(asked: &Asked) -> Error {
    let message = "the list leads back to a page that was read already, so that its end is not known";
    Error::new(ErrorKind::Other, &asked.operation, &asked.subject, message)
}

fn broken(asked: &Asked, kind: ErrorKind, message: &str) -> Error {
    Error::new(kind, &asked.operation, &asked.subject, message)
        .with_hint("is a proxy in between that answers by itself? What is there is not known")
}

/// The error of an operation that was taken on and then failed.
pub(super) fn of_operation(asked: &Asked, state: &str, body: &Json, request_id: Option<String>) -> Error {
    let (code, message) = code_and_message(Some(body));
    let code = code.unwrap_or_else(|| state.to_owned());
    let message = message.unwrap_or_else(|| format!("the operation ended as `{state}`"));
    let status = if state.eq_ignore_ascii_case("canceled") { 409 } else { 200 };
    make(asked, kind(status, &code, &message), &code, message).with_request_id(request_id)
}

/// The error of a request that got no answer. Its cause is told in words: the client's own errors quote whole URLs, and those of
/// operations are signed.
pub(super) fn of_transport(asked: &Asked, error: &azure_core::Error) -> Error {
    let (kind, message) = match error.kind() {
        AzureKind::Credential => (ErrorKind::Unauthenticated, first_line(&error.to_string())),
        AzureKind::Connection | AzureKind::Io => {
            let message = format!("no answer from Azure Resource Manager: {}", innermost(error));
            (ErrorKind::Unavailable, message)
        }
        _ => (ErrorKind::Other, first_line(&error.to_string())),
    };
    let made = Error::new(kind, &asked.operation, &asked.subject, message);
    let hint = (kind == ErrorKind::Unauthenticated).then(|| hint(made.message())).flatten();
    match hint {
        Some(hint) => made.with_hint(hint),
        None => made,
    }
}

/// The last cause, which is the operating system's or the protocol's.
fn innermost(error: &azure_core::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    first_line(&cause.to_string())
}

fn first_line(text: &str) -> String {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or(text).to_owned()
}

fn make(asked: &Asked, kind: ErrorKind, code: &str, message: String) -> Error {
    let permission = (kind == ErrorKind::Denied).then(|| action_in(&message)).flatten();
    let error = Error::new(kind, &asked.operation, &asked.subject, message).with_code(code);
    match permission {
        Some(action) => error.with_hint(format!("the caller's role needs the action {action}")),
        None if kind == ErrorKind::Unauthenticated => error.with_hint(LOG_IN),
        None => error,
    }
}

/// The code and message of ARM's error body: `{error: {code, message, details: [...]}}`, or the same without the envelope.
/// Where the outer code says nothing, the first detail's does.
fn code_and_message(body: Option<&Json>) -> (Option<String>, Option<String>) {
    let Some(body) = body else { return (None, None) };
    let error =
        super::json::at(body, "error").or_else(|| super::json::at(body, "properties.error")).unwrap_or(body);
    let code = text(error, "code").map(str::to_owned);
    let message = text(error, "message").map(str::to_owned);
    let details = super::json::items(error, "details");
    let detail = details.first().filter(|detail| text(detail, "code").is_some());
    match detail {
        Some(detail) if code.as_deref().is_none_or(is_general) => {
            let inner = text(detail, "message").map(str::to_owned);
            (text(detail, "code").map(str::to_owned), inner.or(message))
        }
        _ => (code, message),
    }
}

fn is_general(code: &str) -> bool {
    ["OperationFailed", "ResourceDeploymentFailure", "DeploymentFailed", "Failed"]
        .iter()
        .any(|c| c.eq_ignore_ascii_case(code))
}

/// Codes of requests that were cancelled by another one, or came too early: the same request succeeds later.
const LATER: [&str; 9] = [
    "CanceledAndSupersededDueToAnotherOperation",
    "OperationNotAllowedOnUpdatingResource",
    "AnotherOperationInProgress",
    "RetryableError",
    "ReferencedResourceNotProvisioned",
    "ResourceNotProvisioned",
    "PrivateLinkServiceIsBusy",
    "OperationPreempted",
    "Canceled",
];

fn kind(status: u16, code: &str, message: &str) -> ErrorKind {
    let lower = code.to_ascii_lowercase();
    if LATER.iter().any(|later| later.eq_ignore_ascii_case(code)) || lower.ends_with("operationinprogress") {
        return ErrorKind::NotReady;
    }
    if lower.contains("quota")
        || (lower.contains("limit") && (lower.contains("exceeded") || lower.contains("reached")))
    {
        return if status == 429 { ErrorKind::Throttled } else { ErrorKind::Quota };
    }
    // `CannotDeleteLoadBalancerWithPrivateLinkService`, `PrivateLinkServiceWithPrivateEndpointConnectionsCannotBeDeleted`
    // (<https://learn.microsoft.com/troubleshoot/azure/azure-kubernetes/create-upgrade-delete/cannot-delete-load-balancer-private-link-service>).
    let in_words = lower.starts_with("cannotdelete") || lower.ends_with("cannotbedeleted");
    if lower.contains("inuse") || in_words {
        return ErrorKind::InUse;
    }
    match status {
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Denied,
        404 => ErrorKind::NotFound,
        409 if message.to_ascii_lowercase().contains("quota") => ErrorKind::Quota,
        409 | 412 => ErrorKind::Conflict,
        429 => ErrorKind::Throttled,
        408 | 500..=599 => ErrorKind::Unavailable,
        400..=499 => ErrorKind::Invalid,
        _ if lower.contains("internal") => ErrorKind::Unavailable,
        _ => ErrorKind::Other,
    }
}

/// Whether the same write may succeed later: it lost against another one.
pub(super) fn comes_later(error: &Error) -> bool {
    error.kind() == ErrorKind::NotReady
        || error.code().is_some_and(|code| code == "PreconditionFailed" || code == "HTTP412")
}

/// Whether the thing is not there. Where ARM knows no such subscription, nobody knows what is in it: that is told as a 404, too, to
/// whoever may not see the subscription.
pub(crate) fn is_gone(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound && !is_foreign(error)
}

/// Whether it is the resource group that is not there, so that nothing is in it
/// (<https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-not-found>).
pub(crate) fn is_group_gone(error: &Error) -> bool {
    is_gone(error) && error.code() == Some("ResourceGroupNotFound")
}

/// Whether the caller may not see this at all: another subscription or tenant, or no permission.
pub(crate) fn is_foreign(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Denied)
        || error.code().is_some_and(|code| code == "SubscriptionNotFound" || code == "InvalidSubscriptionId")
}

/// Whether an error is of no service in particular: no credentials, no network, no time.
pub(crate) fn concerns_everything(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unauthenticated
            | ErrorKind::Unavailable
            | ErrorKind::Cancelled
            | ErrorKind::Throttled
            | ErrorKind::TimedOut
    )
}

/// An error with its hints, as the reason of a refusal.
pub(crate) fn in_words(error: &Error) -> String {
    let hints: String = error.hints().iter().map(|hint| format!("; {hint}")).collect();
    format!("{error}{hints}")
}

/// The action in "does not have authorization to perform action 'X' over scope 'Y'".
fn action_in(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("perform action")?;
    let quoted = rest.trim_start().trim_start_matches(['\'', '"', '(']);
    let end = quoted.find(['\'', '"', ')', ' ']).unwrap_or(quoted.len());
    quoted.get(..end).filter(|action| action.contains('/')).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asked() -> Asked {
        Asked {
            operation: "PUT Microsoft.Network/loadBalancers".to_owned(),
            subject: "/subscriptions/s/x".to_owned(),
        }
    }

    fn answer(status: u16, body: &Json) -> Error {
        of_answer(&asked(), &Failed { status, body: Some(body), ..Failed::default() })
    }

    #[test]
    fn each_sort_of_refusal_has_its_kind() {
        let code = |code: &str| json!({"error": {"code": code, "message": "m"}});
        for (status, name, kind) in [
            (404, "ResourceNotFound", ErrorKind::NotFound),
            (401, "ExpiredAuthenticationToken", ErrorKind::Unauthenticated),
            (403, "AuthorizationFailed", ErrorKind::Denied),
            (409, "AnotherOperationInProgress", ErrorKind::NotReady),
            (409, "PrivateEndpointConnectionOperationInProgress", ErrorKind::NotReady),
            (429, "RetryableError", ErrorKind::NotReady),
            (429, "ReferencedResourceNotProvisioned", ErrorKind::NotReady),
            (429, "TooManyRequests", ErrorKind::Throttled),
            (429, "SubscriptionRequestsThrottledLimitExceeded", ErrorKind::Throttled),
            (400, "InUseSubnetCannotBeDeleted", ErrorKind::InUse),
            (400, "CannotDeleteLoadBalancerWithPrivateLinkService", ErrorKind::InUse),
            (400, "PrivateLinkServiceWithPrivateEndpointConnectionsCannotBeDeleted", ErrorKind::InUse),
            (400, "PrivateLinkServicesPerLoadBalancerLimitReached", ErrorKind::Quota),
            (400, "InvalidRequestFormat", ErrorKind::Invalid),
            (412, "PreconditionFailed", ErrorKind::Conflict),
            (503, "ServiceUnavailable", ErrorKind::Unavailable),
        ] {
            assert_eq!(answer(status, &code(name)).kind(), kind, "{status} {name}");
        }
    }

    #[test]
    fn a_subscription_that_is_not_known_is_not_an_empty_one() {
        let code = |code: &str| answer(404, &json!({"error": {"code": code, "message": "m"}}));
        for gone in ["ResourceNotFound", "ResourceGroupNotFound", "NotFound"] {
            assert!(is_gone(&code(gone)) && !is_foreign(&code(gone)), "{gone}");
        }
        let foreign = code("SubscriptionNotFound");
        assert!(is_foreign(&foreign) && !is_gone(&foreign));
    }

    #[test]
    fn a_failed_operation_keeps_its_code_and_message() {
        let body = json!({"status": "Failed", "error": {"code": "CanceledAndSupersededDueToAnotherOperation", "message": "beaten"}});
        let error = of_operation(&asked(), "Failed", &body, None);
        assert_eq!((error.kind(), error.message()), (ErrorKind::NotReady, "beaten"));
        assert!(comes_later(&error));
        let nested = json!({"error": {"code": "OperationFailed", "message": "outer", "details": [{"code": "SkuNotAvailable", "message": "inner"}]}});
        let error = of_operation(&asked(), "Failed", &nested, None);
        assert_eq!((error.code(), error.message()), (Some("SkuNotAvailable"), "inner"));
    }

    #[test]
    fn a_missing_permission_is_named() {
        let body = json!({"error": {"code": "AuthorizationFailed", "message":
            "The client 'x' with object id 'x' does not have authorization to perform action 'Microsoft.Network/loadBalancers/write' over scope '/s'."}});
        let error = answer(403, &body);
        assert!(error.hints()[0].contains("Microsoft.Network/loadBalancers/write"), "{:?}", error.hints());
    }

    #[test]
    fn a_body_without_envelope_is_read_too() {
        let error = answer(400, &json!({"code": "BadRequest", "message": "flat"}));
        assert_eq!((error.code(), error.message()), (Some("BadRequest"), "flat"));
        assert_eq!(answer(502, &Json::Null).message(), "HTTP 502");
    }
}
