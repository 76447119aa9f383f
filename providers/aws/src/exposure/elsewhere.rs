//! Endpoint services of this deployment in other regions of the account. Nothing but the cloud remembers where a service was: one that gets
//! another `region` in its file, alone there, would be made anew, and what consumers are connected to would be left in a region where nobody
//! looks any more. So whoever is about to make one looks for it in the account's other regions first. That is once in a service's life: a
//! service that is there is not looked for elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_ec2::types::{Region, ServiceConfiguration};
use futures::future::join_all;
use privnet_core::world::Elsewhere;
use privnet_core::{Error, ErrorKind, Purpose};
use tokio::sync::OnceCell;

use super::{Exposure, is_made, not_made};
use crate::cloud::Cloud;
use crate::kinds::{ENDPOINT_SERVICE, endpoint_service};
use crate::network::tags_of;
use crate::observe::Wanted;
use crate::ownership;
use crate::privatelink;

/// How long the other regions have for their answers: a machine that reaches one region only gets none from the others.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// What is known of an account's other regions; kept with what reaches the account.
#[derive(Debug, Default)]
pub(crate) struct Others {
    /// Their names, or why they are not known.
    regions: OnceCell<Result<Vec<String>, String>>,
    /// What was looked for and not found, by deployment and service, with what could not be seen: whoever looks again and again asks once.
    absent: Mutex<BTreeMap<(String, String), Option<String>>>,
}

/// What a look into the other regions brought.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// Which services are there, by name, and where.
    pub(crate) found: Vec<(String, Elsewhere)>,
    /// What could not be seen, in words.
    pub(crate) unseen: BTreeSet<String>,
}

/// Asks for the account's regions, where something may have to be looked for in them: beside the other reads, so that nobody waits for it.
pub(super) async fn learn_regions(cloud: &Cloud<'_>, wanted: &Wanted<'_>) {
    let makes_one = wanted.services.iter().any(|(_, aws)| is_made(&aws.form));
    if wanted.purpose == Purpose::Plan && makes_one {
        cloud.reach.others.regions.get_or_init(|| regions(cloud)).await;
    }
}

async fn regions(cloud: &Cloud<'_>) -> Result<Vec<String>, String> {
    let own = cloud.reach.region.as_str();
    let all = in_time(privatelink::regions(cloud)).await?;
    let others = all.into_iter().filter(is_enabled).filter_map(|region| region.region_name);
    Ok(others.filter(|name| name != own).collect())
}

/// Whether the account may have something there.
fn is_enabled(region: &Region) -> bool {
    region.opt_in_status() != Some("not-opted-in")
}

/// Looks for the services of the file that this deployment has not made here.
pub(crate) async fn look(cloud: &Cloud<'_>, wanted: &Wanted<'_>, exposure: &Exposure) -> Looked {
    let others = &cloud.reach.others;
    // They were asked for where there is something to look for.
    let Some(regions) = others.regions.get().filter(|_| wanted.purpose == Purpose::Plan) else {
        return Looked::default();
    };
    let mut looked = Looked::default();
    let unknown: BTreeSet<&str> = {
        let absent = others.absent.lock().unwrap_or_else(PoisonError::into_inner);
        let new = not_made(&exposure.services, wanted).into_iter();
        let key = |name: &str| (wanted.deployment.to_owned(), name.to_owned());
        let (known, unknown): (Vec<&str>, Vec<&str>) = new.partition(|name| absent.contains_key(&key(name)));
        looked.unseen.extend(known.into_iter().filter_map(|name| absent.get(&key(name)).cloned().flatten()));
        unknown.into_iter().collect()
    };
    if unknown.is_empty() {
        return looked;
    }
    let (found, unseen) = match regions {
        Ok(regions) => in_regions(cloud, wanted.deployment, regions, &unknown).await,
        Err(why) => (Vec::new(), Some(format!("the account's regions are not known: {why}"))),
    };
    let unseen = unseen.map(|why| {
        let names: Vec<&str> = unknown.iter().copied().collect();
        format!(
            "{}: whether it is in another region already is not seen; if the file's `region` was changed, it is made anew, and the old one \
             left. {why}",
            names.join(", ")
        )
    });
    let mut absent = others.absent.lock().unwrap_or_else(PoisonError::into_inner);
    for name in unknown.iter().filter(|name| found.iter().all(|(found, _)| found != *name)) {
        absent.insert((wanted.deployment.to_owned(), (*name).to_owned()), unseen.clone());
    }
    looked.found = found;
    looked.unseen.extend(unseen);
    looked
}

/// Those of these services in these regions, and what could not be seen.
async fn in_regions(
    cloud: &Cloud<'_>,
    deployment: &str,
    regions: &[String],
    services: &BTreeSet<&str>,
) -> (Vec<(String, Elsewhere)>, Option<String>) {
    let reads = regions.iter().map(|region| async move {
        let there = cloud.reach.in_region(region);
        let cloud = Cloud { reach: &there, context: cloud.context };
        (region, in_time(privatelink::services_of(&cloud, deployment)).await)
    });
    let (mut found, mut silent): (Vec<_>, BTreeMap<String, Vec<&str>>) = Default::default();
    for (region, read) in join_all(reads).await {
        match read {
            Ok(all) => found.extend(all.iter().filter_map(|one| {
                ours(one, deployment, region).filter(|(service, _)| services.contains(service.as_str()))
            })),
            Err(why) => silent.entry(why).or_default().push(region),
        }
    }
    let told = silent.into_iter().map(|(why, regions)| format!("{}: {why}", regions.join(", ")));
    let told: Vec<String> = told.collect();
    (found, (!told.is_empty()).then(|| told.join("; ")))
}

/// The service that this is of, if it is ours; what is going is as good as gone.
fn ours(described: &ServiceConfiguration, deployment: &str, region: &str) -> Option<(String, Elsewhere)> {
    let proof = ownership::proof_as_shown(&tags_of(described.tags()), deployment)?;
    let is_one = proof.address.kind == ENDPOINT_SERVICE && !endpoint_service::is_going(described);
    let id = described.service_id().unwrap_or_default();
    let it = Elsewhere { place: region.to_owned(), what: format!("the endpoint service {id}") };
    is_one.then_some((proof.address.service, it))
}

/// An answer, or why there is none, in words that are the same for each region.
async fn in_time<T>(read: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
    match tokio::time::timeout(ANSWERED_WITHIN, read).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) if error.kind() == ErrorKind::Denied => {
            Err(format!("the caller lacks the permission `ec2:{}`", error.operation()))
        }
        Ok(Err(error)) => {
            let code = error.code().map(|code| format!(" ({code})")).unwrap_or_default();
            Err(format!("{}{code}", error.message()))
        }
        Err(_) => Err(format!("no answer within {} s", ANSWERED_WITHIN.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that reaches one region only gets no answer at all from the others.
    #[tokio::test(start_paused = true)]
    async fn a_region_that_is_not_reached_is_waited_for_a_short_time() {
        let began = tokio::time::Instant::now();
        let silent = in_time(std::future::pending::<Result<(), Error>>()).await;
        assert_eq!(silent.unwrap_err(), "no answer within 5 s");
        assert_eq!(began.elapsed(), ANSWERED_WITHIN);
    }

    #[tokio::test]
    async fn why_nothing_was_seen_is_said_without_the_region() {
        let of =
            |kind| Error::new(kind, "DescribeRegions", "aws/1/eu-west-1", "not for you").with_code("Nope");
        let denied = in_time(std::future::ready(Err::<(), _>(of(ErrorKind::Denied)))).await;
        assert_eq!(denied.unwrap_err(), "the caller lacks the permission `ec2:DescribeRegions`");
        let failed = in_time(std::future::ready(Err::<(), _>(of(ErrorKind::Unauthenticated)))).await;
        assert_eq!(failed.unwrap_err(), "not for you (Nope)");
    }

    #[test]
    fn a_region_that_has_to_be_asked_for_holds_nothing() {
        let with =
            |status: Option<&str>| Region::builder().set_opt_in_status(status.map(str::to_owned)).build();
        assert!(is_enabled(&with(None)) && is_enabled(&with(Some("opted-in"))));
        assert!(is_enabled(&with(Some("opt-in-not-required"))) && !is_enabled(&with(Some("not-opted-in"))));
    }
}
