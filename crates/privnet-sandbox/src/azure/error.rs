//! Errors as ARM words them: `{"error": {"code", "message", "details": [...]}}`.
//!
//! The form is that of the recorded exchanges and of Microsoft's "Common Resource Manager errors".

use serde_json::{Value, json};

use super::id::ResourceId;
use crate::frame::Answer;

/// One of ARM's errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArmError {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The code that clients branch on.
    pub(crate) code: String,
    /// The sentence for people.
    pub(crate) message: String,
    /// Further codes with their messages.
    pub(crate) details: Vec<(String, String)>,
    /// Seconds after which to try again.
    pub(crate) retry_after: Option<u64>,
}

impl ArmError {
    /// An error with a code of its own.
    pub(crate) fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), details: Vec::new(), retry_after: None }
    }

    /// 400 with a code and a sentence.
    pub(crate) fn invalid(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    /// The network provider's answer to JSON that does not fit the model.
    pub(crate) fn unreadable(detail: impl Into<String>) -> Self {
        let mut error = Self::invalid("InvalidRequestFormat", "Cannot parse the request.");
        error.details.push(("InvalidJson".to_owned(), detail.into()));
        error
    }

    /// 404 of a top resource.
    pub(crate) fn not_found(id: &ResourceId) -> Self {
        let path: Vec<String> = id.pairs.iter().map(|(segment, name)| format!("{segment}/{name}")).collect();
        Self::new(
            404,
            "ResourceNotFound",
            format!(
                "The Resource '{}/{}' under resource group '{}' was not found. For more details please go to \
                 https://aka.ms/ARMResourceNotFoundFix",
                id.namespace,
                path.join("/"),
                id.group
            ),
        )
    }

    /// 404 of a child.
    pub(crate) fn child_not_found(id: &ResourceId) -> Self {
        Self::new(404, "NotFound", format!("Resource {id} not found."))
    }

    /// A reference to something that is not there.
    pub(crate) fn dangling(target: &str, by: &ResourceId) -> Self {
        Self::invalid(
            "InvalidResourceReference",
            format!(
                "Resource {target} referenced by resource {by} was not found. Please make sure that the referenced \
                 resource exists, and that both resources are in the same region."
            ),
        )
    }

    /// A reference to something that is being written: 429, to be tried again.
    pub(crate) fn not_provisioned(target: &str, by: &ResourceId, state: &str, operation: &str) -> Self {
        let mut error = Self::new(429, "RetryableError", "A retryable error occurred.");
        error.details.push((
            "ReferencedResourceNotProvisioned".to_owned(),
            format!(
                "Cannot proceed with operation because resource {target} used by resource {by} is not in Succeeded state. \
                 Resource is in {state} state and the last operation that updated/is updating the resource is {operation}."
            ),
        ));
        error.retry_after = Some(1);
        error
    }

    /// The error object, as operations and deployments carry it too.
    pub(crate) fn object(&self) -> Value {
        let details: Vec<Value> =
            self.details.iter().map(|(code, message)| json!({"code": code, "message": message})).collect();
        json!({"code": self.code, "message": self.message, "details": details})
    }

    /// The answer.
    pub(crate) fn answer(&self) -> Answer {
        let answer = Answer::json(self.status, &json!({"error": self.object()}))
            .with_header("x-ms-failure-cause", "service");
        match self.retry_after {
            Some(seconds) => answer.with_header("retry-after", seconds.to_string()),
            None => answer,
        }
    }
}
