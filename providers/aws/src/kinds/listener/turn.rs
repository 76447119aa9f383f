//! A listener that turns to another target group: not before that one is healthy.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::Action;
use privnet_core::execute::{Poll, Replay, Until};
use privnet_core::{Error, ErrorKind};

use super::Listener;
use super::change::{MODIFY, forward, forward_and_check};
use crate::balancing;
use crate::cloud::Cloud;
use crate::facts::Registered;
use crate::gather;
use crate::kinds::target_group;
use crate::taking_over::Serving;

/// How long new machines may take to boot, to reach their databases and to pass their checks.
const HEALTHY_WITHIN: Duration = Duration::from_secs(20 * 60);

/// How often a listener names a group that others take out of use while it is waited for.
const NAMED_AT_MOST: usize = 4;

/// Waits until the wanted group can take over from the one that serves now. Nobody checks a group that no listener names, so the
/// listener names it first, with no traffic; when it stays unhealthy the listener is as before. Where the old group serves nobody
/// there is nothing to wait for: while consumers are connected (`spares`) that is one with nothing in it, for what is not healthy now may
/// be so again when its database is. Returns what is to be noted of the turn.
pub(super) async fn when_healthy(
    cloud: &Cloud<'_>,
    arn: &str,
    shown: &Listener,
    wanted: &Listener,
    spares: bool,
) -> Result<Option<String>, Error> {
    // While a check is under way an old group that is unhealthy at this moment is no reason to end it unseen: the database may be
    // moving, and would be gone for both.
    let under_way = shown.also_forwards_to.contains(&wanted.target_group);
    let before = registered(cloud, &shown.target_group).await?;
    let may_serve = |there: &Registered| there.is_healthy() || (spares && there.is_asked());
    if !under_way && !before.iter().any(may_serve) {
        return Ok(None);
    }
    let serving = Serving::of(cloud, Some(&shown.load_balancer), &wanted.target_group, &before).await?;
    let both = forward_and_check(&shown.target_group, &wanted.target_group);
    // That another listener names it is not enough: that one may turn away meanwhile, and nobody would check it any more.
    if !under_way && let Some(why) = name(cloud, arn, both.clone()).await? {
        let is_checked = balancing::target_group(cloud, &wanted.target_group)
            .await?
            .is_some_and(|group| !group.load_balancer_arns().is_empty());
        // There the listener turns to what is registered.
        if !is_checked {
            return Ok(Some(unchecked(cloud, &why)));
        }
    }
    let mut named = 1;
    let error = loop {
        let groups = (shown.target_group.as_str(), wanted.target_group.as_str());
        match healthy(cloud, groups, &serving, named < NAMED_AT_MOST).await {
            Ok(Waited::Healthy) => return Ok(None),
            Ok(Waited::OutOfUse) => {
                if let Some(why) = name(cloud, arn, both.clone()).await? {
                    return Ok(Some(unchecked(cloud, &why)));
                }
                named += 1;
            }
            Err(error) => break error,
        }
    };
    // Who comes again goes on with the check: what nothing is sent to harms nobody.
    let comes_again =
        error.kind() == ErrorKind::TimedOut && cloud.context.patience(HEALTHY_WITHIN) < HEALTHY_WITHIN;
    if error.kind() != ErrorKind::Cancelled && !comes_again {
        // Whether that succeeds or not, everything goes where it went before; what is left of it shows in the next plan.
        let _ = modify(cloud, arn, forward(&shown.target_group)).await;
    }
    Err(error)
}

/// Has the listener name the group that is to be checked, with no traffic; why that cannot be where weights are not known.
async fn name(cloud: &Cloud<'_>, arn: &str, both: Action) -> Result<Option<Error>, Error> {
    match modify(cloud, arn, both).await {
        Ok(()) => Ok(None),
        Err(error) if knows_no_weights(&error) => Ok(Some(error)),
        Err(error) => Err(error),
    }
}

/// What is to be noted of a turn to what nobody checks.
fn unchecked(cloud: &Cloud<'_>, why: &Error) -> String {
    let note = format!("turned without a check: weights are not known here ({why})");
    cloud.context.progress(note.clone());
    note
}

/// Whether it is refused since network load balancers weigh no groups, as where their weights of November 2025 have not come to. The
/// words are all that tells it from any other mistake, whose code is the same
/// (<https://github.com/crossplane-contrib/provider-upjet-aws/issues/1771>, <https://github.com/aws/aws-cdk/issues/23922>).
fn knows_no_weights(error: &Error) -> bool {
    let refusals = [
        "You cannot specify a target group weight",
        "You cannot specify multiple target groups in a single action",
    ];
    error.kind() == ErrorKind::Invalid && refusals.iter().any(|words| error.message().contains(words))
}

async fn modify(cloud: &Cloud<'_>, arn: &str, action: Action) -> Result<(), Error> {
    let send = || cloud.reach.elb.modify_listener().listener_arn(arn).default_actions(action.clone()).send();
    cloud.call(MODIFY, arn, Replay::Safe, send).await.map(|_| ())
}

async fn registered(cloud: &Cloud<'_>, group: &str) -> Result<Vec<Registered>, Error> {
    let health = balancing::absent_is_none(balancing::target_health(cloud, group).await)?;
    Ok(gather::registered(&health.unwrap_or_default()))
}

/// How the wait for a group ended.
enum Waited {
    /// It can take over.
    Healthy,
    /// It was in use, and no listener names it any more: whoever changes listeners meanwhile, by hand too, ends its check.
    OutOfUse,
}

/// Waits for all of a group of forwarders, which are equal; for one of other targets, where the user may know of one that is down, or for
/// one in each zone that nothing else serves.
async fn healthy(
    cloud: &Cloud<'_>,
    (before, group): (&str, &str),
    serving: &Serving,
    ends_out_of_use: bool,
) -> Result<Waited, Error> {
    let all = target_group::is_of_machines(&balancing::tags_of(cloud, group).await?);
    let until = Until {
        operation: "DescribeTargetHealth",
        subject: group,
        what: "healthy, so that the listener can turn to it",
        limit: cloud.context.patience(HEALTHY_WITHIN),
    };
    let was_in_use = AtomicBool::new(false);
    let ended = cloud
        .context
        .until(until, || async {
            let registered = registered(cloud, group).await?;
            let staying: Vec<&Registered> = registered.iter().filter(|target| !target.is_leaving()).collect();
            // What was named a moment ago may be shown as unused for a while.
            let is_in_use = staying.iter().any(|target| target.is_asked());
            if was_in_use.fetch_or(is_in_use, Relaxed) && !is_in_use && ends_out_of_use {
                return Ok(Poll::Ready(Waited::OutOfUse));
            }
            let ready = staying.iter().filter(|target| target.is_healthy()).count();
            if ready == 0 || (all && ready < staying.len()) {
                return Ok(Poll::Pending(told(&staying)));
            }
            let by_now = if serving.is_apart() { self::registered(cloud, before).await? } else { Vec::new() };
            Ok(serving
                .lacking(cloud, &staying, &by_now)
                .await?
                .map_or(Poll::Ready(Waited::Healthy), Poll::Pending))
        })
        .await;
    ended.map_err(|error| match error.kind() {
        ErrorKind::TimedOut => error.with_hint(if all {
            "a machine is healthy when its database answers it, and its image must hold nft and python3 (its console output says what is \
             missing); everything goes to the old targets until then; `--sever-connections` does not wait where none of those is healthy"
        } else {
            "see that the new targets answer their health checks; everything goes to the old ones until then; `--sever-connections` does not \
             wait where none of those is healthy"
        }),
        _ => error,
    })
}

/// The targets that are not healthy, each with the reason that AWS gives.
fn told(targets: &[&Registered]) -> String {
    let ailing = targets.iter().filter(|target| !target.is_healthy());
    let words: Vec<String> = ailing
        .map(|target| {
            let why = target.reason.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
            format!("{} is {}{why}", target.id, target.state)
        })
        .collect();
    if words.is_empty() { "nothing is registered yet".to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_speaks_of_weights_turns_unchecked() {
        let refused = |message: &str| {
            knows_no_weights(
                &Error::new(ErrorKind::Invalid, MODIFY.name, "arn", message).with_code("ValidationError"),
            )
        };
        assert!(refused("You cannot specify a target group weight on load balancers of type 'network'"));
        assert!(refused(
            "You cannot specify multiple target groups in a single action with a load balancer of type 'network'"
        ));
        assert!(!refused("A target group ARN must be specified"));
    }
}
