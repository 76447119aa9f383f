//! A listener's create, update and delete.

use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, Certificate, ForwardActionConfig, ListenerAttribute, ProtocolEnum,
    TargetGroupTuple,
};
use futures::future::{try_join, try_join3};
use privnet_core::execute::{Poll, Replay, Until};
use privnet_core::{Applied, Error, ErrorKind, Step, Value};

use super::{FIXED_IDLE_TIMEOUT, IDLE_TAG, IDLE_TIMEOUT, Listener, turn};
use crate::balancing::{self, tag_list};
use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::error::gone_is_fine;
use crate::kinds::{created_as, live_id, outputs};
use crate::ownership::{self, Retag};
use crate::tagging;

const CREATE: Operation = Operation::elb("CreateListener");
const DELETE: Operation = Operation::elb("DeleteListener");
pub(super) const MODIFY: Operation = Operation::elb("ModifyListener");
const MODIFY_ATTRIBUTES: Operation = Operation::elb("ModifyListenerAttributes");

const SHOWS_WITHIN: Duration = Duration::from_secs(180);

/// The ARN of what is there on that port, as soon as a list shows it: the API has just refused another one because of it.
async fn on_port(cloud: &Cloud<'_>, load_balancer: &str, port: i64) -> Result<String, Error> {
    let until = Until {
        operation: "DescribeListeners",
        subject: load_balancer,
        what: "shown with the listener that is there already",
        limit: SHOWS_WITHIN,
    };
    cloud
        .context
        .until(until, || async {
            let all = balancing::listeners(cloud, load_balancer).await?;
            let found = all.into_iter().find(|listener| listener.port().map(i64::from) == Some(port));
            let arn = found.and_then(|listener| listener.listener_arn);
            Ok(arn.map_or_else(|| Poll::Pending(format!("port {port} is not listed yet")), Poll::Ready))
        })
        .await
}

/// What is there, as reads show it, all of them at once.
async fn read(cloud: &Cloud<'_>, load_balancer: &str, arn: &str) -> Result<Option<Listener>, Error> {
    let attributes = async { balancing::absent_is_none(balancing::listener_attributes(cloud, arn).await) };
    let reads =
        try_join3(balancing::listeners(cloud, load_balancer), attributes, balancing::tags_of(cloud, arn));
    let (all, attributes, tags) = reads.await?;
    let described = all.into_iter().find(|listener| listener.listener_arn() == Some(arn));
    Ok(described
        .zip(attributes)
        .map(|(described, attributes)| Listener::of(&described, Some(&attributes), &tags)))
}

// Create.

pub(crate) async fn create(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let wanted = Listener::from_fields(step.fields)?;
    let (_, mut tags) = created_as(step, &wanted.tags);
    tags.extend(own_time(&wanted));
    let port = i32::try_from(wanted.port).unwrap_or_default();
    let made = cloud
        .create(CREATE, &wanted.load_balancer, || {
            let request =
                cloud.reach.elb.create_listener().load_balancer_arn(&wanted.load_balancer).port(port);
            let request = request.protocol(ProtocolEnum::from(wanted.protocol.as_str()));
            let request =
                request.set_ssl_policy(wanted.ssl_policy.clone()).set_certificates(certificates(&wanted));
            request.default_actions(forward(&wanted.target_group)).set_tags(Some(tag_list(&tags))).send()
        })
        .await;
    let (arn, note) = match made {
        Ok(made) => {
            let arn = made.listeners.unwrap_or_default().into_iter().find_map(|made| made.listener_arn);
            (arn.unwrap_or_default(), None)
        }
        Err(error) if error.kind() == ErrorKind::Conflict => {
            let found = on_port(cloud, &wanted.load_balancer, wanted.port).await;
            // One that goes meanwhile is never listed: then what the API said is told.
            let timed_out = |late: &Error| late.kind() == ErrorKind::TimedOut;
            let arn = found.map_err(|late| if timed_out(&late) { error } else { late })?;
            (arn, Some("it was there already".to_owned()))
        }
        Err(error) => return Err(error),
    };
    // Only reads, until it is known whose it is.
    let ((), there) = try_join(demand_proof(cloud, &arn, step), shown(cloud, &arn, &wanted, false)).await?;
    let turned = converge(cloud, &arn, &wanted, there, step.spares).await?;
    Ok(Applied { outputs: outputs([("arn", &arn)]), note: turned.or(note) })
}

/// A listener has no name; in the user's load balancer its tags alone say whose it is.
async fn demand_proof(cloud: &Cloud<'_>, arn: &str, step: &Step<'_>) -> Result<(), Error> {
    let until = Until { operation: "DescribeTags", subject: arn, what: "tagged", limit: SHOWS_WITHIN };
    let tags = cloud
        .context
        .until(until, || async {
            let tags = balancing::tags_of(cloud, arn).await?;
            Ok(if tags.is_empty() { Poll::Pending("no tags show yet".to_owned()) } else { Poll::Ready(tags) })
        })
        .await?;
    match ownership::proof(&tags, step.deployment) {
        Some(proof) if proof.address == step.action.address => Ok(()),
        _ => {
            let message = format!(
                "the port has a listener already: {}",
                ownership::why_not(&tags, step.deployment, &step.action.address)
            );
            Err(Error::new(ErrorKind::Conflict, CREATE.name, arn, message))
        }
    }
}

/// The tag of a listener whose idle timeout is not the one that AWS gives.
fn own_time(wanted: &Listener) -> Option<(String, String)> {
    let idle = wanted.idle_timeout.filter(|idle| *idle != FIXED_IDLE_TIMEOUT)?;
    Some((IDLE_TAG.to_owned(), idle.to_string()))
}

fn certificates(wanted: &Listener) -> Option<Vec<Certificate>> {
    let arn = wanted.certificate.as_ref()?;
    Some(vec![Certificate::builder().certificate_arn(arn).build()])
}

pub(super) fn forward(target_group: &str) -> Action {
    Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(target_group).build()
}

/// Sends everything to the one group, and has the other one checked, which gets nothing: a group is checked once a listener names it,
/// and NLBs weigh their groups from 0 to 999 (TargetGroupTuple;
/// <https://aws.amazon.com/blogs/networking-and-content-delivery/network-load-balancers-now-support-weighted-target-groups>).
pub(super) fn forward_and_check(target_group: &str, checked: &str) -> Action {
    let tuple = |arn: &str, weight| TargetGroupTuple::builder().target_group_arn(arn).weight(weight).build();
    let groups = vec![tuple(target_group, 1), tuple(checked, 0)];
    let config = ForwardActionConfig::builder().set_target_groups(Some(groups)).build();
    Action::builder().r#type(ActionTypeEnum::Forward).forward_config(config).build()
}

// Update.

pub(crate) async fn update(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let wanted = Listener::from_fields(step.fields)?;
    let arn = live_id(step)?;
    let there = shown(cloud, &arn, &wanted, false).await?;
    let note = converge(cloud, &arn, &wanted, there, step.spares).await?;
    Ok(Applied { outputs: outputs([("arn", &arn)]), note })
}

/// Writes what differs from what is `there`, and returns when reads show it: what is to be noted of it.
async fn converge(
    cloud: &Cloud<'_>,
    arn: &str,
    wanted: &Listener,
    there: Listener,
    spares: bool,
) -> Result<Option<String>, Error> {
    if there.is(wanted) {
        return Ok(None);
    }
    let note = write(cloud, arn, &there, wanted, spares).await?;
    shown(cloud, arn, wanted, true).await.map(|_| note)
}

/// What is there, as soon as reads show it: once all is `written`, as soon as they show that.
async fn shown(cloud: &Cloud<'_>, arn: &str, wanted: &Listener, written: bool) -> Result<Listener, Error> {
    let until = Until {
        operation: "DescribeListeners",
        subject: arn,
        what: "as the file wants it",
        limit: SHOWS_WITHIN,
    };
    cloud
        .context
        .until(until, || async {
            Ok(match read(cloud, &wanted.load_balancer, arn).await? {
                Some(shown) if !written || shown.is(wanted) => Poll::Ready(shown),
                Some(_) => Poll::Pending("the change does not show yet".to_owned()),
                None => Poll::Pending("not listed yet".to_owned()),
            })
        })
        .await
}

async fn write(
    cloud: &Cloud<'_>,
    arn: &str,
    shown: &Listener,
    wanted: &Listener,
    spares: bool,
) -> Result<Option<String>, Error> {
    let main = |listener: &Listener| {
        let Listener { protocol, certificate, ssl_policy, target_group, also_forwards_to, .. } =
            listener.clone();
        (protocol, certificate, ssl_policy, target_group, also_forwards_to)
    };
    let note = if shown.target_group == wanted.target_group {
        None
    } else {
        turn::when_healthy(cloud, arn, shown, wanted, spares).await?
    };
    if main(shown) != main(wanted) {
        cloud
            .call(MODIFY, arn, Replay::Safe, || {
                let request = cloud.reach.elb.modify_listener().listener_arn(arn);
                let request = request.protocol(ProtocolEnum::from(wanted.protocol.as_str()));
                let request =
                    request.set_ssl_policy(wanted.ssl_policy.clone()).set_certificates(certificates(wanted));
                request.default_actions(forward(&wanted.target_group)).send()
            })
            .await?;
    }
    // After the protocol: only a TCP listener has it.
    if let Some(idle) = wanted.idle_timeout.filter(|idle| shown.idle_timeout != Some(*idle)) {
        // Marked first, so that whatever becomes of the time is seen.
        let mark = Retag { set: own_time(wanted).into_iter().collect(), remove: Vec::new() };
        tagging::retag_elb(cloud, arn, &mark).await?;
        let attribute = ListenerAttribute::builder().key(IDLE_TIMEOUT).value(idle.to_string()).build();
        cloud
            .call(MODIFY_ATTRIBUTES, arn, Replay::Safe, || {
                let request = cloud.reach.elb.modify_listener_attributes().listener_arn(arn);
                request.attributes(attribute.clone()).send()
            })
            .await?;
    }
    if shown.tags != wanted.tags {
        tagging::retag_elb(cloud, arn, &ownership::retag(&shown.tags, &wanted.tags)).await?;
    }
    Ok(note)
}

// Delete.

pub(crate) async fn delete(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let arn = live_id(step)?;
    let sent = cloud
        .call(DELETE, &arn, Replay::Safe, || cloud.reach.elb.delete_listener().listener_arn(&arn).send())
        .await;
    gone_is_fine(sent.map(|_| ()))?;
    let Some(balancer) = step.live.and_then(|live| live.fields.get("load_balancer")).and_then(Value::as_text)
    else {
        return Ok(Applied::default());
    };
    let until = Until { operation: DELETE.name, subject: &arn, what: "gone", limit: SHOWS_WITHIN };
    cloud
        .context
        .until(until, || async {
            let all = balancing::listeners(cloud, balancer).await?;
            let there = all.iter().any(|listener| listener.listener_arn() == Some(arn.as_str()));
            Ok(if there { Poll::Pending("still listed".to_owned()) } else { Poll::Ready(()) })
        })
        .await?;
    Ok(Applied::default())
}
