//! Deleting an endpoint service.

use std::time::Duration;

use privnet_core::accept::ConnectionState;
use privnet_core::execute::{Poll, Replay, Until};
use privnet_core::{Applied, Error, ErrorKind, Step};

use super::change::held;
use super::is_going;
use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::connections;
use crate::network::tags_of;
use crate::ownership;
use crate::privatelink;

const DELETE: Operation = Operation::ec2("DeleteVpcEndpointServiceConfigurations");

/// How long rejected connections may linger, and the service until it is gone.
const GONE_WITHIN: Duration = Duration::from_secs(15 * 60);

/// Deletes the service once nobody is connected. The plan has turned pending requests away before, each by its own action.
pub(crate) async fn delete(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let id = step.action.live_id.as_deref().unwrap_or_default();
    let Some(service) = privatelink::service(cloud, id).await? else { return Ok(Applied::default()) };
    let proof = ownership::proof(&tags_of(service.tags()), step.deployment);
    if proof.is_none_or(|proof| proof.address != step.action.address) {
        let message = format!(
            "it is left alone: {}",
            ownership::why_not(&tags_of(service.tags()), step.deployment, &step.action.address)
        );
        return Err(Error::new(ErrorKind::Conflict, DELETE.name, id, message));
    }
    let until = |what| Until { operation: DELETE.name, subject: id, what, limit: GONE_WITHIN };
    if !is_going(&service) {
        cloud.context.until(until("free of connections"), || attempt(cloud, id)).await?;
    }
    cloud
        .context
        .until(until("gone"), || async move {
            Ok(match privatelink::service(cloud, id).await? {
                Some(service) if !ended(service.service_state().map(|state| state.as_str())) => {
                    Poll::Pending("it is still there".to_owned())
                }
                Some(_) | None => Poll::Ready(()),
            })
        })
        .await?;
    Ok(Applied::default())
}

fn ended(state: Option<&str>) -> bool {
    state.is_some_and(|state| state.eq_ignore_ascii_case("deleted"))
}

/// Asks for the deletion. An answer of HTTP 200 may list it as unsuccessful: connections that were turned away may linger for
/// a while, and those that were not are reported.
async fn attempt(cloud: &Cloud<'_>, id: &str) -> Result<Poll<()>, Error> {
    let answer = cloud
        .call(DELETE, id, Replay::Safe, || {
            cloud.reach.ec2.delete_vpc_endpoint_service_configurations().service_ids(id).send()
        })
        .await;
    let result = match answer {
        Ok(answer) => privatelink::failure_within(DELETE, id, answer.unsuccessful.as_deref(), true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    let error = match result {
        Ok(()) => return Ok(Poll::Ready(())),
        Err(error) if error.code() == Some("ExistingVpcEndpointConnections") => error,
        Err(error) => return Err(error),
    };
    let found = privatelink::connections(cloud, Some(id)).await;
    let by_service = match found {
        Ok(by_service) => by_service,
        Err(_) => return Err(held(cloud, id, DELETE, "it is not deleted", error).await),
    };
    let found = by_service.values().flatten();
    let seen: Vec<_> = found.filter_map(|found| connections::seen(found, &cloud.reach.region)).collect();
    if let Some(request) = seen.iter().find(|connection| connection.state == ConnectionState::Pending) {
        let message =
            format!("it is not deleted: {} ({}) asked for a connection meanwhile", request.id, request.who());
        return Err(Error::new(ErrorKind::InUse, DELETE.name, id, message)
            .with_hint("run the same command again: it turns new requests away first")
            .with_cause(error));
    }
    let stays = |word: &str| !word.eq_ignore_ascii_case("deleting");
    if seen.iter().any(|connection| connection.state.may_be_live() && stays(&connection.cloud_state)) {
        return Err(held(cloud, id, DELETE, "it is not deleted", error).await);
    }
    Ok(Poll::Pending("connections that were turned away linger".to_owned()))
}
