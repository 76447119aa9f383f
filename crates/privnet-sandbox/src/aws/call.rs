//! One request, decoded: who asks, where, when, and what.

use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::ApiError;
use super::ids::partition;
use super::model::Api;
use super::world::{Scope, Session};
use crate::frame::{Exchange, Transaction};

/// The world within a request.
pub(crate) type Tx = Transaction<super::world::World>;

/// A handler of one action.
pub(crate) type Handler = fn(&mut Tx, &Call) -> super::error::Reply;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) api: Api,
    pub(crate) action: String,
    pub(crate) scope: Scope,
    pub(crate) caller: Session,
    pub(crate) now: Timestamp,
    /// How long new objects and tags are missing from lists and filters.
    pub(crate) lag: SignedDuration,
    pub(crate) input: Value,
}

impl Call {
    /// The request's members as a type.
    pub(crate) fn input<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_value(self.input.clone())
            .map_err(|error| ApiError::new("InvalidParameterCombination", error.to_string()))
    }

    /// The partition of the region.
    pub(crate) fn partition(&self) -> &'static str {
        partition(&self.scope.region)
    }

    /// An ARN of the caller's account and region.
    pub(crate) fn arn(&self, service: &str, resource: &str) -> String {
        super::ids::arn(service, &self.scope.region, &self.scope.account, resource)
    }

    /// Whether an object made at `created` shows in a list that does not name it.
    pub(crate) fn listed(&self, created: Timestamp) -> bool {
        self.now.duration_since(created) >= self.lag
    }
}

/// What a request's signature says, without checking it: the sandbox has no secrets to check against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) access_key: String,
    pub(crate) region: String,
    pub(crate) service: String,
}

impl Signature {
    /// Reads the credential scope of Signature Version 4: `Credential=KEY/DATE/REGION/SERVICE/aws4_request`.
    pub(crate) fn read(exchange: &Exchange) -> Option<Self> {
        let header = exchange.header("authorization")?;
        let credential = header.split(['=', ',', ' ']).skip_while(|part| *part != "Credential").nth(1)?;
        let mut parts = credential.split('/');
        let access_key = parts.next()?.to_owned();
        let region = parts.nth(1)?.to_owned();
        let service = parts.next()?.to_owned();
        Some(Self { access_key, region, service })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_is_read_from_the_signature() {
        let mut exchange = Exchange::default();
        let header = "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/ec2/aws4_request, SignedHeaders=host, Signature=0";
        exchange.headers.insert("authorization", header.parse().unwrap());
        let read = Signature::read(&exchange).unwrap();
        assert_eq!(
            (read.access_key.as_str(), read.region.as_str(), read.service.as_str()),
            ("AKID", "eu-west-1", "ec2")
        );
    }
}
