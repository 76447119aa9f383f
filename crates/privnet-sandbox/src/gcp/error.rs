//! How compute v1 says no: at once, as an HTTP error, or later, inside an operation that is answered with HTTP 200.
//!
//! The body of an HTTP error is `{error: {code, message, errors: [{message, domain, reason}]}}` (the recorded 404s of
//! the public API have exactly these members); the reasons are those of Google's "Resolve errors" page for Compute
//! Engine. A failed operation carries `error.errors[]` with a code in capitals, `httpErrorStatusCode` and
//! `httpErrorMessage`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// An answer other than 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    /// The HTTP status.
    pub(crate) status: u16,
    /// `errors[0].reason`.
    pub(crate) reason: String,
    /// What is wrong.
    pub(crate) message: String,
}

impl ApiError {
    fn new(status: u16, reason: &str, message: impl Into<String>) -> Self {
        Self { status, reason: reason.to_owned(), message: message.into() }
    }

    /// 404: nothing has that path.
    pub(crate) fn not_found(path: &str) -> Self {
        Self::new(404, "notFound", format!("The resource '{path}' was not found"))
    }

    /// 404: no such method, or none that the sandbox serves.
    pub(crate) fn not_served(method: &str, path: &str) -> Self {
        Self::new(404, "notFound", format!("The sandbox does not serve {method} {path}"))
    }

    /// 400: a value of the request is wrong.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid", message)
    }

    /// 400: a field of the resource has a wrong value.
    pub(crate) fn field(field: &str, value: &str, why: &str) -> Self {
        Self::invalid(format!("Invalid value for field '{field}': '{value}'. {why}"))
    }

    /// 400: the request cannot be read.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "badRequest", message)
    }

    /// 400: a field is missing.
    pub(crate) fn required(field: &str) -> Self {
        Self::new(400, "required", format!("Required field '{field}' not specified"))
    }

    /// 409: the name is taken.
    pub(crate) fn already_exists(path: &str) -> Self {
        Self::new(409, "alreadyExists", format!("The resource '{path}' already exists"))
    }

    /// 412: the fingerprint is not the current one.
    pub(crate) fn condition_not_met(field: &str) -> Self {
        Self::new(
            412,
            "conditionNotMet",
            format!("Invalid fingerprint: the value of '{field}' is not that of the current resource."),
        )
    }

    /// 400: something else needs the resource.
    pub(crate) fn in_use(noun: &str, path: &str, user: &str) -> Self {
        Self::new(
            400,
            "resourceInUseByAnotherResource",
            format!("The {noun} resource '{path}' is already being used by '{user}'"),
        )
    }

    /// 400: an operation on the resource is still running.
    pub(crate) fn not_ready(path: &str) -> Self {
        Self::new(400, "resourceNotReady", format!("The resource '{path}' is not ready"))
    }

    /// 403: a quota is used up.
    pub(crate) fn quota(metric: &str, limit: u64, place: &str) -> Self {
        Self::new(403, "quotaExceeded", format!("Quota '{metric}' exceeded.  Limit: {limit}.0 {place}."))
    }

    /// 403: too many requests in a minute.
    pub(crate) fn rate_limit(metric: &str) -> Self {
        Self::new(
            403,
            "rateLimitExceeded",
            format!(
                "Quota exceeded for quota metric '{metric}' and limit '{metric} per minute' of service 'compute.googleapis.com'."
            ),
        )
    }

    /// 403: the caller's project may not use a resource of another one.
    pub(crate) fn forbidden(permission: &str, path: &str) -> Self {
        Self::new(403, "forbidden", format!("Required '{permission}' permission for '{path}'"))
    }

    /// 401: no or bad credentials.
    pub(crate) fn unauthenticated() -> Self {
        Self::new(401, "required", "Login Required.")
    }

    /// An error with the reason that a fault on demand names.
    pub(crate) fn named(reason: &str) -> Self {
        let status = match reason {
            "notFound" => 404,
            "alreadyExists" => 409,
            "conditionNotMet" => 412,
            "forbidden" | "quotaExceeded" | "rateLimitExceeded" | "accessNotConfigured" => 403,
            "unauthorized" | "authError" => 401,
            "tooManyRequests" => 429,
            "backendError" | "internalError" => 500,
            "serviceUnavailable" => 503,
            _ => 400,
        };
        Self::new(status, reason, format!("A fault was asked for: {reason}."))
    }

    /// The body of the answer.
    pub(crate) fn body(&self) -> Value {
        let mut error = json!({
            "code": self.status,
            "message": self.message,
            "errors": [{ "message": self.message, "domain": "global", "reason": self.reason }],
        });
        if self.reason == "badRequest" {
            error["status"] = json!("INVALID_ARGUMENT");
        }
        json!({ "error": error })
    }
}

/// Why an operation fails. It is answered with HTTP 200, and the operation is DONE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OperationError {
    /// `error.errors[0].code`.
    pub(crate) code: String,
    /// `error.errors[0].message`.
    pub(crate) message: String,
}

impl OperationError {
    /// The recorded failure of a network's deletion.
    pub(crate) fn in_use(noun: &str, path: &str, user: &str) -> Self {
        Self {
            code: "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE".to_owned(),
            message: format!("The {noun} resource '{path}' is already being used by '{user}'"),
        }
    }

    /// A range that another subnetwork has.
    pub(crate) fn range_conflict(range: &str, subnetwork: &str, region: &str) -> Self {
        Self {
            code: "INVALID_USAGE".to_owned(),
            message: format!(
                "Invalid IPCidrRange: {range} conflicts with existing subnetwork '{subnetwork}' in region '{region}'."
            ),
        }
    }

    /// A failure that was asked for.
    pub(crate) fn named(code: &str) -> Self {
        Self { code: code.to_owned(), message: format!("A fault was asked for: {code}.") }
    }

    /// `httpErrorStatusCode` and `httpErrorMessage`.
    pub(crate) fn http(&self) -> (u16, &'static str) {
        match self.code.as_str() {
            "QUOTA_EXCEEDED" => (403, "FORBIDDEN"),
            "RESOURCE_NOT_FOUND" => (404, "NOT FOUND"),
            "RESOURCE_ALREADY_EXISTS" => (409, "CONFLICT"),
            "CONDITION_NOT_MET" => (412, "PRECONDITION FAILED"),
            "INTERNAL_ERROR" => (500, "INTERNAL SERVER ERROR"),
            "ZONE_RESOURCE_POOL_EXHAUSTED" => (503, "SERVICE UNAVAILABLE"),
            _ => (400, "BAD REQUEST"),
        }
    }
}

/// A refusal now, or an operation that fails.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An HTTP error.
    Now(ApiError),
    /// HTTP 200 and an operation that ends in this.
    Later(OperationError),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Now(error)
    }
}

impl From<OperationError> for Failure {
    fn from(error: OperationError) -> Self {
        Self::Later(error)
    }
}
