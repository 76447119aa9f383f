//! Connections of consumers: what their states mean, and the decisions on them.
//!
//! States are those of
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_VpcEndpointConnection.html>; the wire and the SDK's model
//! spell them with different capitals.

use std::time::Duration;

use aws_sdk_ec2::types::{UnsuccessfulItem, VpcEndpointConnection};
use jiff::Timestamp;
use privnet_core::accept::{Again, Besides, Company, Connection, ConnectionState};
use privnet_core::execute::{Poll, Replay, Until};
use privnet_core::plan::ConnectionAction;
use privnet_core::{Applied, Error, ErrorKind, Step};

use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::policy;
use crate::privatelink;

pub(crate) use crate::exposure::{Exposure, facts, look_for_records, read, service_worlds};

const ACCEPT: Operation = Operation::ec2("AcceptVpcEndpointConnections");
const REJECT: Operation = Operation::ec2("RejectVpcEndpointConnections");

/// How long a decision may take to show. An accepted endpoint needs a few minutes until its interfaces are there.
const SHOWN_WITHIN: Duration = Duration::from_secs(15 * 60);

/// What AWS's word for a state means, and what a person should know of it. Words that this release does not know are taken
/// for live ones.
fn meaning(word: &str) -> (ConnectionState, Option<&'static str>) {
    match word.to_ascii_lowercase().as_str() {
        "pendingacceptance" => (ConnectionState::Pending, None),
        "available" => (ConnectionState::Accepted, None),
        "partial" => {
            (ConnectionState::NeedsAttention, Some("the endpoint is there in a part of its zones only"))
        }
        "pending" => (ConnectionState::Changing, None),
        "deleting" => (ConnectionState::Changing, Some("the consumer's endpoint is being deleted")),
        "rejected" => (ConnectionState::Rejected, None),
        "deleted" => (ConnectionState::Closed, None),
        "failed" => (ConnectionState::Closed, Some("the endpoint failed: the consumer must make a new one")),
        "expired" => (ConnectionState::Closed, Some("the request expired: the consumer must make a new one")),
        _ => {
            (ConnectionState::Changing, Some("this release does not know the state; it is taken to be live"))
        }
    }
}

/// A connection as AWS shows it, to a service in `own_region`. One without an endpoint's id cannot be told from others, so it is none.
pub(crate) fn seen(connection: &VpcEndpointConnection, own_region: &str) -> Option<Connection> {
    let id = connection.vpc_endpoint_id()?;
    let word = connection.vpc_endpoint_state().map_or("", |state| state.as_str());
    let (state, note) = meaning(word);
    let region = connection.vpc_endpoint_region().filter(|region| *region != own_region);
    let region = region.map(|region| format!("its endpoint is in {region}"));
    let note = match (note, region) {
        (Some(note), Some(region)) => Some(format!("{note}; {region}")),
        (note, region) => region.or_else(|| note.map(str::to_owned)),
    };
    Some(Connection {
        id: id.to_owned(),
        handle: handle(connection.service_id().unwrap_or_default(), id),
        identities: connection.vpc_endpoint_owner().map(policy::account).into_iter().collect(),
        state,
        cloud_state: word.to_owned(),
        since: connection
            .creation_timestamp()
            .and_then(|at| Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok()),
        note,
        cut_along: Vec::new(),
        company: Company::default(),
        again: Again::Nothing,
        besides: Besides::default(),
        may_be_for: Vec::new(),
        resource: None,
    })
}

/// The calls address a connection by its service and its endpoint.
fn handle(service: &str, endpoint: &str) -> String {
    format!("{service}/{endpoint}")
}

/// The connection of a step, with its service.
fn decided<'a>(step: &Step<'a>) -> Result<(&'a ConnectionAction, &'a str), Error> {
    let action = step.action;
    let wrong =
        |message: &str| Error::new(ErrorKind::Other, action.op.as_str(), action.address.to_string(), message);
    let connection = action.connection.as_ref().ok_or_else(|| wrong("the decision names no connection"))?;
    let (service, _) =
        connection.handle.split_once('/').ok_or_else(|| wrong("the connection's handle names no service"))?;
    Ok((connection, service))
}

/// The connection as it is now.
async fn now(cloud: &Cloud<'_>, service: &str, id: &str) -> Result<Option<Connection>, Error> {
    let by_service = privatelink::connections(cloud, Some(service)).await?;
    let mut all = by_service.values().flatten().filter_map(|found| seen(found, &cloud.reach.region));
    Ok(all.find(|connection| connection.is(id)))
}

/// Lets a connection in: only one that still waits, and whose owner is still the one that the decision was made on.
pub(crate) async fn accept(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let (wanted, service) = decided(step)?;
    let id = wanted.id.as_str();
    let gone =
        || Error::new(ErrorKind::NotFound, ACCEPT.name, id, "the connection request is not there any more");
    let found = now(cloud, service, id).await?.ok_or_else(gone)?;
    if found.who() != wanted.who {
        let message = format!("it belongs to {} now; the decision was on {}", found.who(), wanted.who);
        return Err(Error::new(ErrorKind::Conflict, ACCEPT.name, id, message));
    }
    let mut note = None;
    match found.state {
        ConnectionState::Pending => {
            let answer = cloud
                .call(ACCEPT, id, Replay::Safe, || {
                    cloud
                        .reach
                        .ec2
                        .accept_vpc_endpoint_connections()
                        .service_id(service)
                        .vpc_endpoint_ids(id)
                        .send()
                })
                .await?;
            settled(cloud, ACCEPT, service, id, answer.unsuccessful.as_deref(), is_let_in).await?;
        }
        ConnectionState::Accepted | ConnectionState::NeedsAttention | ConnectionState::Changing => {
            note = Some(format!("it was {} already", found.cloud_state));
        }
        ConnectionState::Rejected | ConnectionState::Closed => return Err(turned_away(id, &found)),
    }
    cloud
        .context
        .until(shown(ACCEPT, id, "available"), || async move {
            let Some(connection) = now(cloud, service, id).await? else { return Err(gone()) };
            match connection.state {
                ConnectionState::Accepted | ConnectionState::NeedsAttention => Ok(Poll::Ready(())),
                ConnectionState::Pending | ConnectionState::Changing => {
                    Ok(Poll::Pending(connection.cloud_state))
                }
                ConnectionState::Rejected | ConnectionState::Closed => Err(turned_away(id, &connection)),
            }
        })
        .await?;
    Ok(Applied { note, ..Applied::default() })
}

fn turned_away(id: &str, connection: &Connection) -> Error {
    let message = format!("it is {} and cannot be accepted", connection.cloud_state);
    let error = Error::new(ErrorKind::Conflict, ACCEPT.name, id, message);
    error.with_hint("the consumer must ask again with a new endpoint")
}

/// Turns a connection away, or cuts it where the user allowed that.
pub(crate) async fn reject(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let (wanted, service) = decided(step)?;
    let id = wanted.id.as_str();
    let found = match now(cloud, service, id).await {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        other => other?,
    };
    let Some(found) = found.filter(|connection| !is_out(connection.state)) else {
        let note = Some("it was out already".to_owned());
        return Ok(Applied { note, ..Applied::default() });
    };
    if found.state != ConnectionState::Pending && !wanted.sever && !is_leaving(&found) {
        let message = format!("it is {} meanwhile and would be cut", found.cloud_state);
        let error = Error::new(ErrorKind::Conflict, REJECT.name, id, message);
        return Err(error.with_hint("use --sever-connections to cut it"));
    }
    if !is_leaving(&found) {
        let answer = cloud
            .call(REJECT, id, Replay::Safe, || {
                cloud
                    .reach
                    .ec2
                    .reject_vpc_endpoint_connections()
                    .service_id(service)
                    .vpc_endpoint_ids(id)
                    .send()
            })
            .await?;
        settled(cloud, REJECT, service, id, answer.unsuccessful.as_deref(), is_out).await?;
    }
    cloud
        .context
        .until(shown(REJECT, id, "rejected"), || async move {
            Ok(match now(cloud, service, id).await? {
                Some(connection) if !is_out(connection.state) => Poll::Pending(connection.cloud_state),
                Some(_) | None => Poll::Ready(()),
            })
        })
        .await?;
    Ok(Applied::default())
}

/// Whether the endpoint goes by itself.
fn is_leaving(connection: &Connection) -> bool {
    connection.cloud_state.eq_ignore_ascii_case("deleting")
}

fn is_let_in(state: ConnectionState) -> bool {
    state.may_be_live()
}

fn is_out(state: ConnectionState) -> bool {
    matches!(state, ConnectionState::Rejected | ConnectionState::Closed)
}

fn shown<'a>(operation: Operation, id: &'a str, what: &'a str) -> Until<'a> {
    Until { operation: operation.name, subject: id, what, limit: SHOWN_WITHIN }
}

/// An answer of HTTP 200 may list the connection as unsuccessful: that is a failure, unless it is as it should be all the
/// same (the first answer was lost and the request sent again).
async fn settled(
    cloud: &Cloud<'_>,
    operation: Operation,
    service: &str,
    id: &str,
    unsuccessful: Option<&[UnsuccessfulItem]>,
    as_wanted: fn(ConnectionState) -> bool,
) -> Result<(), Error> {
    let Err(error) = privatelink::failure_within(operation, id, unsuccessful, false) else { return Ok(()) };
    match now(cloud, service, id).await? {
        Some(connection) if as_wanted(connection.state) => Ok(()),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::primitives::DateTime;
    use aws_sdk_ec2::types::State;

    use super::*;

    fn connection(state: &str) -> VpcEndpointConnection {
        VpcEndpointConnection::builder()
            .service_id("vpce-svc-1")
            .vpc_endpoint_id("vpce-1")
            .vpc_endpoint_owner("834469178297")
            .vpc_endpoint_state(State::from(state))
            .creation_timestamp(DateTime::from_secs(1_700_000_000))
            .build()
    }

    fn here(connection: &VpcEndpointConnection) -> Option<Connection> {
        seen(connection, "us-east-1")
    }

    #[test]
    fn another_region_is_told() {
        let of = |region: &str| {
            let connection =
                VpcEndpointConnection::builder().vpc_endpoint_id("vpce-1").vpc_endpoint_region(region);
            here(&connection.vpc_endpoint_state(State::Available).build()).unwrap().note
        };
        assert_eq!(of("us-east-1"), None);
        assert_eq!(of("eu-west-1").as_deref(), Some("its endpoint is in eu-west-1"));
    }

    #[test]
    fn states_mean_the_same_in_any_case() {
        for (word, state) in [
            ("pendingAcceptance", ConnectionState::Pending),
            ("PendingAcceptance", ConnectionState::Pending),
            ("PENDINGACCEPTANCE", ConnectionState::Pending),
            ("available", ConnectionState::Accepted),
            ("Available", ConnectionState::Accepted),
            ("partial", ConnectionState::NeedsAttention),
            ("pending", ConnectionState::Changing),
            ("deleting", ConnectionState::Changing),
            ("rejected", ConnectionState::Rejected),
            ("deleted", ConnectionState::Closed),
            ("failed", ConnectionState::Closed),
            ("Expired", ConnectionState::Closed),
            ("quarantined", ConnectionState::Changing),
            ("", ConnectionState::Changing),
        ] {
            assert_eq!(here(&connection(word)).unwrap().state, state, "{word}");
        }
    }

    #[test]
    fn unknown_states_count_as_live() {
        let unknown = here(&connection("quarantined")).unwrap();
        assert!(unknown.state.may_be_live());
        assert_eq!(unknown.cloud_state, "quarantined");
    }

    #[test]
    fn who_it_is_and_how_it_is_addressed() {
        let seen = here(&connection("available")).unwrap();
        assert_eq!(seen.who(), "account:834469178297");
        assert_eq!(seen.handle, "vpce-svc-1/vpce-1");
        assert!(seen.is("vpce-1"));
        assert_eq!(seen.since, Some(Timestamp::new(1_700_000_000, 0).unwrap()));
    }

    #[test]
    fn a_connection_of_nobody_matches_nobody() {
        let nobody = VpcEndpointConnection::builder().vpc_endpoint_id("vpce-1").build();
        assert!(here(&nobody).unwrap().identities.is_empty());
        assert!(here(&VpcEndpointConnection::builder().build()).is_none());
    }
}
