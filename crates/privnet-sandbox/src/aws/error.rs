//! Errors in the clouds' own words, and the two XML forms that they take.
//!
//! Sources: the EC2 API reference's "Error codes" page, the ELBv2 API reference's errors of each action.

use crate::frame::Answer;

use super::model::Api;
use super::xml::escape;

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) status: u16,
}

/// What a handler answers: the members of its output shape, by their published names.
pub(crate) type Reply = Result<serde_json::Value, ApiError>;

impl ApiError {
    /// A client error (HTTP 400, or what the code's own status is).
    pub(crate) fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        let code = code.into();
        let status = match code.as_str() {
            "InternalError" | "InternalFailure" | "HealthUnavailable" => 500,
            "RequestLimitExceeded" | "Unavailable" | "ServiceUnavailable" => 503,
            "UnauthorizedOperation"
            | "AccessDenied"
            | "MissingAuthenticationToken"
            | "InvalidClientTokenId" => 403,
            "AuthFailure" => 401,
            "DryRunOperation" => 412,
            _ => 400,
        };
        Self { code, message: message.into(), status }
    }

    /// EC2's word for a value that cannot be.
    pub(crate) fn bad_value(parameter: &str, value: impl std::fmt::Display, why: &str) -> Self {
        Self::new(
            "InvalidParameterValue",
            format!("Value ({value}) for parameter {parameter} is invalid. {why}"),
        )
    }

    /// EC2's word for an object that is not there: `what` as in `vpc ID`.
    pub(crate) fn not_found(code: &str, what: &str, id: &str) -> Self {
        Self::new(code, format!("The {what} '{id}' does not exist"))
    }

    /// A settled entry of an `unsuccessful` list.
    pub(crate) fn unsuccessful(&self, resource: &str) -> serde_json::Value {
        serde_json::json!({"ResourceId": resource, "Error": {"Code": self.code, "Message": self.message}})
    }

    /// The answer in the service's own form.
    pub(crate) fn answer(&self, api: Api, request_id: &str) -> Answer {
        let (code, message) = (escape(&self.code), escape(&self.message));
        let body = if api == Api::Ec2 {
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code>\
                 <Message>{message}</Message></Error></Errors><RequestID>{request_id}</RequestID></Response>"
            )
        } else {
            let fault = if self.status >= 500 { "Receiver" } else { "Sender" };
            format!(
                "<ErrorResponse xmlns=\"{}\">\n  <Error>\n    <Type>{fault}</Type>\n    <Code>{code}</Code>\n    \
                 <Message>{message}</Message>\n  </Error>\n  <RequestId>{request_id}</RequestId>\n</ErrorResponse>\n",
                api.model().namespace
            )
        };
        Answer::xml(self.status, body).with_header("x-amzn-requestid", request_id)
    }
}
