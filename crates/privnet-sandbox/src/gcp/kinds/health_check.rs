//! Health checks, regional and global.

use serde_json::{Value, json};

use super::super::body::{Body, Object};
use super::super::error::{ApiError, Failure};
use super::Made;

const PROTOCOLS: [(&str, &str, u16); 7] = [
    ("TCP", "tcpHealthCheck", 80),
    ("SSL", "sslHealthCheck", 443),
    ("HTTP", "httpHealthCheck", 80),
    ("HTTPS", "httpsHealthCheck", 443),
    ("HTTP2", "http2HealthCheck", 443),
    ("GRPC", "grpcHealthCheck", 0),
    ("GRPC_WITH_TLS", "grpcTlsHealthCheck", 0),
];

pub(super) fn insert(body: Object) -> Result<Made, Failure> {
    Ok(Made { body: complete(body)?, ..Made::default() })
}

pub(super) fn change(old: &Object, mut new: Object) -> Result<Object, Failure> {
    // A PATCH that brings another protocol takes the place of the old one.
    if old.text("type") != new.text("type") {
        let kept =
            PROTOCOLS.iter().find(|(kind, ..)| new.text("type") == Some(kind)).map(|(_, field, _)| *field);
        for (_, field, _) in PROTOCOLS.iter().filter(|(_, field, _)| Some(*field) != kept) {
            new.remove(*field);
        }
    }
    Ok(complete(new)?)
}

fn complete(mut body: Object) -> Result<Object, ApiError> {
    let kind = body.text("type").ok_or_else(|| ApiError::required("resource.type"))?.to_owned();
    let (_, field, port) = PROTOCOLS
        .iter()
        .find(|(known, ..)| *known == kind)
        .ok_or_else(|| ApiError::field("resource.type", &kind, "Unknown protocol."))?;
    if let Some((_, other, _)) =
        PROTOCOLS.iter().find(|(_, other, _)| other != field && body.contains_key(*other))
    {
        return Err(ApiError::field(
            &format!("resource.{other}"),
            "",
            &format!("The field does not match the type {kind}."),
        ));
    }
    body.default_to(field, json!({}));
    if let Some(Value::Object(settings)) = body.get_mut(*field) {
        if settings.text("portSpecification") != Some("USE_SERVING_PORT") {
            settings.default_to("port", *port);
        }
        settings.default_to("proxyHeader", "NONE");
        if field.starts_with("http") {
            settings.default_to("requestPath", "/");
        }
        if settings.int("port").is_some_and(|port| !(1..=65535).contains(&port)) {
            return Err(ApiError::field(
                &format!("resource.{field}.port"),
                "",
                "Must be between 1 and 65535.",
            ));
        }
    }
    for (name, default) in
        [("checkIntervalSec", 5), ("timeoutSec", 5), ("healthyThreshold", 2), ("unhealthyThreshold", 2)]
    {
        body.default_to(name, default);
        let limit = if name.ends_with("Sec") { 300 } else { 10 };
        let value = body.int(name).unwrap_or_default();
        if !(1..=limit).contains(&value) {
            return Err(ApiError::field(
                &format!("resource.{name}"),
                &value.to_string(),
                &format!("Must be between 1 and {limit}."),
            ));
        }
    }
    if body.int("timeoutSec") > body.int("checkIntervalSec") {
        let timeout = body.int("timeoutSec").unwrap_or_default().to_string();
        return Err(ApiError::field(
            "resource.timeoutSec",
            &timeout,
            "Must not be greater than checkIntervalSec.",
        ));
    }
    Ok(body)
}

/// The port that a check probes; none when it is the serving port.
pub(crate) fn port(body: &Object) -> Option<u16> {
    let settings = PROTOCOLS.iter().find_map(|(_, field, _)| body.get(*field)?.as_object())?;
    u16::try_from(settings.int("port")?).ok()
}
