//! What load balancers say of the machines behind them.

use futures::future::{join_all, try_join_all};
use privnet_core::Error;
use privnet_core::execute::Context;

use crate::arm::{Arm, Json, concerns_everything, same_id, text};
use crate::kinds::scale_set;
use crate::snapshot::Snapshot;

/// Reads which groups of machines answer, where a run that was cut short left two of one: a plan may have to let one go, and not the one that
/// serves. Of a pool where that cannot be read in full, nothing is known.
///
/// # Errors
/// What concerns everything: no credentials, no network.
pub(super) async fn read_answering(
    arm: &Arm,
    context: &Context,
    snapshot: &mut Snapshot<'_>,
) -> Result<(), Error> {
    let doubled = scale_set::doubled(snapshot);
    let reads = doubled.iter().map(|(pool, groups)| {
        let balancer = scale_set::balancer_of(pool);
        let mut balancers = snapshot.load_balancers.iter();
        let balancer = balancers.find(|one| text(one, "id").is_some_and(|id| same_id(id, &balancer)));
        let calls = balancer.map(|balancer| scale_set::health_calls(balancer, pool)).unwrap_or_default();
        async move {
            let asks = calls.iter().map(|(_, health)| arm.post(context, health));
            (groups, try_join_all(asks).await)
        }
    });
    let mut answering = Vec::new();
    for (groups, read) in join_all(reads).await {
        let rules: Vec<Json> = match read {
            Err(error) if concerns_everything(&error) => return Err(error),
            read => read.unwrap_or_default(),
        };
        let answers = |group: &&String| rules.iter().any(|rule| scale_set::healthy(rule, group) > 0);
        answering.extend(groups.iter().filter(answers).cloned());
    }
    snapshot.answering.extend(answering);
    Ok(())
}
