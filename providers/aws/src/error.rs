//! What AWS answers, as the core's errors: converted once, here.
//!
//! EC2's errors are not in its model, so everything goes by the code of the answer. The codes are those of
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html> and of the load balancing API's reference.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use privnet_core::{Error, ErrorKind};

use crate::buckets::{Api, Operation};
use crate::plain_http::{NoCertificates, PlainHttp};

/// What the code of an answer begins with that has none of AWS's: its HTTP status follows.
const NO_CODE: &str = "HTTP ";

/// What may answer in the place of AWS.
const PROXY: &str = "is a proxy in between that answers by itself? What is there is not known";

/// Whether the answer was none of AWS's own errors.
pub(crate) fn is_foreign(error: &Error) -> bool {
    error.code().is_some_and(|code| code.starts_with(NO_CODE))
}

/// Converts what the SDK returned for `operation` on `subject`.
pub(crate) fn convert<E>(operation: Operation, subject: &str, error: SdkError<E, Response>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    match error {
        SdkError::ServiceError(context) => {
            let status = context.raw().status().as_u16();
            let meta = context.err().meta();
            let request_id = meta.extra("aws_request_id").map(str::to_owned);
            // A gateway's page, or a server that does not know the call, has no code: the status is all there is to tell.
            let code = meta.code().filter(|code| !code.is_empty());
            let code = code.map_or_else(|| format!("{NO_CODE}{status}"), str::to_owned);
            let message = meta.message().unwrap_or("the answer has no message").to_owned();
            // The answer is told whole by its code and message: the SDK's error would only repeat them, in the form of its own types.
            answered(operation, subject, status, &code, &message).with_request_id(request_id)
        }
        SdkError::ResponseError(context) => {
            let status = context.raw().status().as_u16();
            let message = format!("the answer (HTTP {status}) cannot be read");
            let kind = by_status(status).filter(|kind| *kind != ErrorKind::NotFound);
            Error::new(kind.unwrap_or(ErrorKind::Unavailable), operation.name, subject, message)
                .with_hint(PROXY)
        }
        SdkError::TimeoutError(_) => {
            Error::new(ErrorKind::Unavailable, operation.name, subject, "no answer in time")
        }
        other => unsent(operation, subject, other),
    }
}

/// A request that got no answer: no connection, no credentials, or a request that cannot be built.
fn unsent<E>(operation: Operation, subject: &str, error: SdkError<E, Response>) -> Error
where
    E: StdError + Send + Sync + 'static,
{
    if let Some(refused) = caused_by::<PlainHttp>(&error) {
        return Error::new(ErrorKind::Invalid, operation.name, subject, refused.to_string())
            .with_hint("give an https endpoint, or one on this machine");
    }
    if let Some(none) = caused_by::<NoCertificates>(&error) {
        return Error::new(ErrorKind::Invalid, operation.name, subject, none.to_string()).with_hint(
            "name a file with the certificates of the authorities to trust, or unset the variable",
        );
    }
    if let Some(untrusted) = caused_by::<rustls::Error>(&error).filter(|cause| is_untrusted(cause)) {
        let message = format!("the server is not trusted: {untrusted}");
        return Error::new(ErrorKind::Invalid, operation.name, subject, message).with_hint(
            "where a proxy looks into TLS, name a file with its authority's certificate (PEM) in SSL_CERT_FILE; look at the endpoint's \
             name and at this machine's clock",
        );
    }
    if let Some((code, message)) = refused_role(&error) {
        return refused_assumption(operation, subject, &code, &message);
    }
    if caused_by::<CredentialsError>(&error).is_some() {
        let none = Error::new(
            ErrorKind::Unauthenticated,
            operation.name,
            subject,
            "there are no usable AWS credentials",
        )
        .with_hint("run `aws sso login`, set AWS_PROFILE, or give `profile:` or `assume_role:` in the file");
        return match without_output(&error) {
            Some(why) => none.with_cause(why),
            None => none.with_cause(error),
        };
    }
    let kind = match &error {
        SdkError::DispatchFailure(failure) if failure.is_user() => ErrorKind::Invalid,
        SdkError::ConstructionFailure(_) => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    };
    let message =
        if kind == ErrorKind::Invalid { "the request cannot be built" } else { "no answer from AWS" };
    Error::new(kind, operation.name, subject, message).with_cause(error)
}

/// Why a credential process of a profile failed, if one did, without what it wrote: nobody knows what is in that. The SDK's words end with it.
fn without_output(error: &(dyn StdError + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some((why, _)) = error.to_string().split_once(OUTPUT) {
            return Some(why.trim_end().to_owned());
        }
        next = error.source();
    }
    None
}

/// What stands before the output of a credential process in the SDK's words.
const OUTPUT: &str = "Stderr:";

/// The code and message with which STS refused a role, if that is why there are no credentials.
fn refused_role(error: &(dyn StdError + 'static)) -> Option<(String, String)> {
    let mut next = Some(error);
    while let Some(error) = next {
        let by_key = error.downcast_ref::<AssumeRoleError>().map(ProvideErrorMetadata::meta);
        let by_token =
            || error.downcast_ref::<AssumeRoleWithWebIdentityError>().map(ProvideErrorMetadata::meta);
        if let Some(meta) = by_key.or_else(by_token)
            && let Some(code) = meta.code().filter(|code| classify(code, 403) == ErrorKind::Denied)
        {
            return Some((
                code.to_owned(),
                meta.message().unwrap_or("the role may not be assumed").to_owned(),
            ));
        }
        next = error.source();
    }
    None
}

/// There are credentials, and they may not take the role: STS does not tell whether by their own policies or by the role's.
fn refused_assumption(operation: Operation, subject: &str, code: &str, message: &str) -> Error {
    let permission = permission_in(message).unwrap_or_else(|| "sts:AssumeRole".to_owned());
    Error::new(ErrorKind::Denied, operation.name, subject, format!("the role is refused: {message}"))
        .with_code(code)
        .with_hint(format!(
            "the caller lacks the permission `{permission}` on the role, or the role is not there, or its trust policy does not let the \
             caller in (with its `external_id`, if it asks for one)"
        ))
}

/// The first of this type among an error and its causes.
fn caused_by<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        // What an I/O error was made of is none of its causes: these are its own.
        next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => error.source(),
        };
    }
    None
}

/// Whether it is the server's certificate: that is the same at the next attempt.
fn is_untrusted(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidCertificate(_))
}

fn answered(operation: Operation, subject: &str, status: u16, code: &str, message: &str) -> Error {
    let kind = match classify(code, status) {
        // Auto Scaling has no code for what is not there.
        ErrorKind::Invalid if operation.api == Api::AutoScaling && message.contains("not found") => {
            ErrorKind::NotFound
        }
        kind => kind,
    };
    // The encoded part is long, and only an administrator can read it.
    let message = message.split(" Encoded authorization failure message").next().unwrap_or(message);
    let error = Error::new(kind, operation.name, subject, message);
    let error = if code.is_empty() { error } else { error.with_code(code) };
    match (kind, code) {
        (ErrorKind::Denied, _) => {
            let permission = permission_in(message).unwrap_or_else(|| operation.permission());
            error.with_hint(format!("the caller lacks the permission `{permission}`"))
        }
        (ErrorKind::Unauthenticated, _) => {
            error.with_hint("the credentials are refused: log in again, or check the clock")
        }
        (ErrorKind::Unavailable, _) if says_nothing(code, status) => error.with_hint(PROXY),
        (_, "OperationNotPermitted") if operation.name == "DeleteLoadBalancer" => {
            error.with_hint("deletion protection is on: set `deletion_protection: false`, apply, then delete")
        }
        (ErrorKind::InUse, _) if operation.name == "SetSubnets" => {
            error.with_hint("endpoints are attached: reject their connections first, or keep the subnet")
        }
        (ErrorKind::Quota, _) => error.with_hint(
            "a quota of the account is reached: raise it in Service Quotas, or remove what is unused",
        ),
        _ => error,
    }
}

/// IAM's own words name the permission: `… is not authorized to perform: ec2:CreateSecurityGroup on resource …`.
fn permission_in(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("to perform: ")?;
    let permission = rest.split_whitespace().next()?.trim_end_matches(['.', ',']);
    permission.contains(':').then(|| permission.to_owned())
}

/// The kind of an error's code; where the code says nothing, of the HTTP status.
pub(crate) fn classify(code: &str, status: u16) -> ErrorKind {
    match code {
        "RequestLimitExceeded"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "PriorRequestNotComplete"
        | "RequestThrottled"
        | "SlowDown" => ErrorKind::Throttled,
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" | "OptInRequired" => {
            ErrorKind::Denied
        }
        "AuthFailure"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken" => ErrorKind::Unauthenticated,
        "ResourceInUse"
        | "DependencyViolation"
        | "InvalidGroup.InUse"
        | "ExistingVpcEndpointConnections"
        | "OperationNotPermitted"
        | "ScalingActivityInProgress"
        | "ScalingActivityInProgressFault" => ErrorKind::InUse,
        "InvalidGroup.Duplicate"
        | "InvalidPermission.Duplicate"
        | "DuplicateLoadBalancerName"
        | "DuplicateTargetGroupName"
        | "DuplicateListener"
        | "IdempotentParameterMismatch"
        | "DuplicateTagKeys"
        | "AlreadyExists"
        | "AlreadyExistsFault" => ErrorKind::Conflict,
        "IncorrectState" | "InvalidState" | "ResourceNotReady" => ErrorKind::NotReady,
        "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "ServiceUnavailable"
        | "Unavailable"
        | "ServerInternal"
        // An update of the same group is under way.
        | "ResourceContention"
        | "ResourceContentionFault" => ErrorKind::Unavailable,
        _ if is_absence(code) => ErrorKind::NotFound,
        _ if code.starts_with("TooMany") || code.ends_with("LimitExceeded") => ErrorKind::Quota,
        _ if code.starts_with("Duplicate") || code.ends_with("AlreadyExistsException") => ErrorKind::Conflict,
        _ if says_nothing(code, status) => ErrorKind::Unavailable,
        _ if code.is_empty() || code == "Unknown" || code.starts_with(NO_CODE) => {
            by_status(status).unwrap_or(ErrorKind::Other)
        }
        _ => by_status(status).filter(|kind| *kind == ErrorKind::Unavailable).unwrap_or(ErrorKind::Invalid),
    }
}

/// Whether an answer is none of AWS's, although its status would say something of what is there: a page of a proxy's.
fn says_nothing(code: &str, status: u16) -> bool {
    code.starts_with(NO_CODE) && matches!(status, 200..=299 | 404)
}

/// The codes that say that a thing is not there.
fn is_absence(code: &str) -> bool {
    code.ends_with(".NotFound")
        || code.ends_with("NotFoundException")
        || code.ends_with(".VersionNotFound")
        || matches!(
            code,
            "LoadBalancerNotFound"
                | "TargetGroupNotFound"
                | "ListenerNotFound"
                | "CertificateNotFound"
                | "SubnetNotFound"
                | "InvalidSecurityGroup"
        )
        // Its name says something else, but it is the answer about a notification that is gone.
        || code == "InvalidConnectionNotification"
}

fn by_status(status: u16) -> Option<ErrorKind> {
    match status {
        401 => Some(ErrorKind::Unauthenticated),
        403 => Some(ErrorKind::Denied),
        404 => Some(ErrorKind::NotFound),
        409 => Some(ErrorKind::Conflict),
        429 => Some(ErrorKind::Throttled),
        400..=499 => Some(ErrorKind::Invalid),
        500..=599 => Some(ErrorKind::Unavailable),
        _ => None,
    }
}

/// What is gone already is deleted.
pub(crate) fn gone_is_fine<T: Default>(result: Result<T, Error>) -> Result<T, Error> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(T::default()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_classified() {
        for (code, status, kind) in [
            ("InvalidVpcEndpointServiceId.NotFound", 400, ErrorKind::NotFound),
            ("InvalidGroup.NotFound", 400, ErrorKind::NotFound),
            ("InvalidPermission.NotFound", 400, ErrorKind::NotFound),
            ("LoadBalancerNotFound", 400, ErrorKind::NotFound),
            ("InvalidConnectionNotification", 400, ErrorKind::NotFound),
            ("InvalidPermission.Duplicate", 400, ErrorKind::Conflict),
            ("DuplicateListener", 400, ErrorKind::Conflict),
            ("DependencyViolation", 400, ErrorKind::InUse),
            ("InvalidGroup.InUse", 400, ErrorKind::InUse),
            ("ExistingVpcEndpointConnections", 400, ErrorKind::InUse),
            ("RequestLimitExceeded", 503, ErrorKind::Throttled),
            ("Throttling", 400, ErrorKind::Throttled),
            ("TooManyTargetGroups", 400, ErrorKind::Quota),
            ("VpcLimitExceeded", 400, ErrorKind::Quota),
            ("UnauthorizedOperation", 403, ErrorKind::Denied),
            ("ExpiredToken", 400, ErrorKind::Unauthenticated),
            ("InvalidParameter", 400, ErrorKind::Invalid),
            ("InternalError", 500, ErrorKind::Unavailable),
            ("", 500, ErrorKind::Unavailable),
            ("HTTP 500", 500, ErrorKind::Unavailable),
            ("HTTP 403", 403, ErrorKind::Denied),
            ("SomethingNew", 503, ErrorKind::Unavailable),
            ("", 404, ErrorKind::NotFound),
        ] {
            assert_eq!(classify(code, status), kind, "{code} {status}");
        }
    }

    /// What the SDK makes of an answer is its own types' form, which says nothing more.
    #[test]
    fn an_answer_is_told_in_words() {
        use aws_sdk_ec2::operation::describe_vpcs::DescribeVpcsError;
        let meta =
            aws_smithy_types::error::ErrorMetadata::builder().code("InternalError").message("try later");
        let meta = meta.custom("aws_request_id", "req-1").build();
        let status = 500.try_into().unwrap();
        let response = Response::new(status, aws_smithy_types::body::SdkBody::empty());
        let error = SdkError::service_error(DescribeVpcsError::generic(meta), response);
        let error = convert(Operation::ec2("DescribeVpcs"), "vpc-1", error);
        assert_eq!(error.to_string(), "DescribeVpcs on vpc-1: try later (InternalError)");
        assert_eq!((privnet_core::error::causes(&error), error.request_id()), (Vec::new(), Some("req-1")));
    }

    #[test]
    fn a_certificate_that_is_not_trusted_is_said_and_not_tried_again() {
        use aws_sdk_ec2::operation::describe_vpcs::DescribeVpcsError;
        let failed = |cause: rustls::Error| {
            let cause = std::io::Error::new(std::io::ErrorKind::InvalidData, cause);
            let cause = aws_smithy_runtime_api::client::result::ConnectorError::io(cause.into());
            let error: SdkError<DescribeVpcsError, Response> = SdkError::dispatch_failure(cause);
            convert(Operation::ec2("DescribeVpcs"), "us-east-1", error)
        };
        let untrusted = failed(rustls::CertificateError::UnknownIssuer.into());
        assert_eq!(untrusted.kind(), ErrorKind::Invalid);
        assert!(untrusted.to_string().contains("the server is not trusted"), "{untrusted}");
        assert!(untrusted.hints()[0].contains("SSL_CERT_FILE"), "{:?}", untrusted.hints());
        // A handshake that broke off may do better next time.
        assert_eq!(failed(rustls::Error::HandshakeNotComplete).kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn the_missing_permission_is_named() {
        let operation = Operation::ec2("CreateSecurityGroup");
        let message = "User: arn:aws:sts::1:assumed-role/x is not authorized to perform: ec2:CreateTags on resource: y. \
                       Encoded authorization failure message: AAAA";
        let error = answered(operation, "s", 403, "UnauthorizedOperation", message);
        assert_eq!(error.hints(), ["the caller lacks the permission `ec2:CreateTags`"]);
        assert!(!error.to_string().contains("AAAA"));
        let error = answered(operation, "s", 403, "UnauthorizedOperation", "You are not authorized.");
        assert_eq!(error.hints(), ["the caller lacks the permission `ec2:CreateSecurityGroup`"]);
    }
}
