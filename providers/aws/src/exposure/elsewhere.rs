//! Endpoint services of this deployment in other regions of the account. Nothing but the cloud remembers where a service was: one that gets
//! another `region` in its file, alone there, would be made anew, and what consumers are connected to would be left in a region where nobody
//! looks any more. So whoever is about to make one looks for it in the account's other regions first, and so does whoever is to take one away
//! and finds none. That is once in a service's life: a service that is there is not looked for elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_ec2::types::{Region, ServiceConfiguration};
use futures::future::join_all;
use privnet_core::spec::aws::AwsForm;
use privnet_core::world::Elsewhere;
use privnet_core::{Error, ErrorKind, Ownership, Purpose, Scope};

use super::Exposure;
use crate::cloud::Cloud;
use crate::kinds::{ENDPOINT_SERVICE, endpoint_service};
use crate::network::tags_of;
use crate::observe::Wanted;
use crate::ownership;
use crate::privatelink;

/// How long the other regions have for their answers: a machine that reaches one region only gets none from the others.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// What is remembered of an account's regions, for whoever looks again and again.
#[derive(Debug, Default)]
pub(crate) struct Others {
    /// Their names, or that they may not be asked for.
    regions: Mutex<Option<Result<Vec<String>, Unseen>>>,
    /// What was looked for, by deployment and service.
    looks: Arc<Looks>,
}

/// What was looked for in other regions, by the place that the file names, deployment and service. A process that reaches several regions has one.
#[derive(Debug, Default)]
pub(crate) struct Looks(Mutex<BTreeMap<Key, Look>>);

type Key = (Scope, String, String);

/// What a look brought that is not asked for again.
#[derive(Clone, Debug)]
enum Look {
    /// It is there: so it is taken to be until that region answers without it.
    There { region: String, what: String },
    /// It is nowhere, as far as that may be seen at all.
    Nowhere { denied: Option<String> },
}

/// Why something was not seen.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unseen {
    why: String,
    /// Whether another try would end the same.
    is_denied: bool,
}

impl Looks {
    /// Forgets everything: something was made, that another look would find.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Others {
    /// Those of an account that is reached beside others.
    pub(crate) fn beside(looks: &Arc<Looks>) -> Self {
        Self { looks: Arc::clone(looks), ..Self::default() }
    }
}

/// The account's other regions, where something may have to be looked for in them; asked for beside the other reads, so that nobody waits
/// for that.
#[derive(Debug, Default)]
pub(crate) struct Regions(Option<Result<Vec<String>, Unseen>>);

/// Asks for them.
pub(super) async fn regions(cloud: &Cloud<'_>, wanted: &Wanted<'_>) -> Regions {
    let may_be_elsewhere = wanted.services.iter().any(|(_, aws)| is_looked_for(&aws.form));
    if wanted.purpose != Purpose::Plan || !may_be_elsewhere {
        return Regions::default();
    }
    let known = &cloud.reach.others.regions;
    if let Some(known) = known.lock().unwrap_or_else(PoisonError::into_inner).clone() {
        return Regions(Some(known));
    }
    let own = cloud.reach.region.as_str();
    let others = in_time(privatelink::regions(cloud)).await.map(|all| {
        let enabled = all.into_iter().filter(is_enabled).filter_map(|region| region.region_name);
        enabled.filter(|name| name != own).collect()
    });
    if others.as_ref().map_or_else(|unseen| unseen.is_denied, |_| true) {
        *known.lock().unwrap_or_else(PoisonError::into_inner) = Some(others.clone());
    }
    Regions(Some(others))
}

/// Whether a service of this form may have been made in another region.
fn is_looked_for(form: &AwsForm) -> bool {
    match form {
        AwsForm::Made(_) | AwsForm::OnLoadBalancer(_) | AwsForm::Removed => true,
        AwsForm::EndpointService(_) => false,
    }
}

/// Whether the account may have something there.
fn is_enabled(region: &Region) -> bool {
    region.opt_in_status() != Some("not-opted-in")
}

/// Looks for the services of the file of which this deployment has no endpoint service here.
pub(crate) async fn look(
    cloud: &Cloud<'_>,
    wanted: &Wanted<'_>,
    exposure: &Exposure,
) -> BTreeMap<String, Elsewhere> {
    let Regions(Some(regions)) = &exposure.other_regions else { return BTreeMap::new() };
    let here = exposure.services.iter().filter(|one| one.ownership == Ownership::Ours);
    let here: BTreeSet<&str> = here.map(|one| one.address.service.as_str()).collect();
    let sought = wanted.services.iter().filter(|(_, aws)| is_looked_for(&aws.form));
    let sought = sought.map(|(service, _)| service.name.as_str()).filter(|name| !here.contains(name));
    let sought: BTreeSet<&str> = sought.collect();
    let key = |name: &str| (cloud.reach.scope.clone(), wanted.deployment.to_owned(), name.to_owned());
    let known: BTreeMap<&str, Look> = {
        let looks = cloud.reach.others.looks.0.lock().unwrap_or_else(PoisonError::into_inner);
        sought.iter().filter_map(|name| Some((*name, looks.get(&key(name))?.clone()))).collect()
    };
    let is_open = |name: &&str| !matches!(known.get(name), Some(Look::Nowhere { .. }));
    let seen = if sought.iter().any(is_open) {
        Seen::by(cloud, wanted.deployment, regions).await
    } else {
        Seen::default()
    };
    let mut told = BTreeMap::new();
    let mut looks = cloud.reach.others.looks.0.lock().unwrap_or_else(PoisonError::into_inner);
    for name in sought {
        let look = match known.get(name) {
            Some(nowhere @ Look::Nowhere { .. }) => Ok(nowhere.clone()),
            before => seen.of(name, before),
        };
        match &look {
            Ok(look) => looks.insert(key(name), look.clone()),
            // It answered without what was there.
            Err(_) => looks.remove(&key(name)),
        };
        told.extend(in_words(look, &wanted.regions).map(|told| (name.to_owned(), told)));
    }
    told
}

/// What is told of a look, if anything.
fn in_words(look: Result<Look, String>, listed: &BTreeSet<&str>) -> Option<Elsewhere> {
    match look {
        Ok(Look::There { region, what }) => {
            let is_listed = listed.contains(region.as_str());
            Some(Elsewhere::Found { place: region, what, is_listed })
        }
        Ok(Look::Nowhere { denied }) => denied.map(|why| Elsewhere::Unseen { why }),
        Err(why) => Some(Elsewhere::Unseen { why }),
    }
}

/// What the other regions answered.
#[derive(Debug, Default)]
struct Seen {
    /// The services of this deployment, and what of each is where.
    there: BTreeMap<String, (String, String)>,
    /// The regions that answered nothing, by why not; none where not even their names are known.
    silent: Vec<(Unseen, Option<BTreeSet<String>>)>,
}

impl Seen {
    async fn by(cloud: &Cloud<'_>, deployment: &str, regions: &Result<Vec<String>, Unseen>) -> Self {
        let regions = match regions {
            Ok(regions) => regions,
            Err(unseen) => return Self { there: BTreeMap::new(), silent: vec![(unseen.clone(), None)] },
        };
        let reads = regions.iter().map(|region| async move {
            let there = cloud.reach.in_region(region);
            let cloud = Cloud { reach: &there, context: cloud.context };
            (region, in_time(privatelink::services_of(&cloud, deployment)).await)
        });
        let mut seen = Self::default();
        for (region, read) in join_all(reads).await {
            match read {
                Ok(all) => {
                    let ours = all.iter().filter_map(|one| ours(one, deployment));
                    seen.there.extend(ours.map(|(service, what)| (service, (region.clone(), what))));
                }
                Err(unseen) => seen.add_silent(unseen, region),
            }
        }
        seen
    }

    fn add_silent(&mut self, unseen: Unseen, region: &str) {
        let same = self.silent.iter_mut().find(|(other, _)| *other == unseen);
        match same {
            Some((_, Some(regions))) => {
                regions.insert(region.to_owned());
            }
            Some((_, None)) | None => self.silent.push((unseen, Some(BTreeSet::from([region.to_owned()])))),
        }
    }

    /// What is known of a service now; or, where another look may bring more, why it is not seen.
    fn of(&self, service: &str, before: Option<&Look>) -> Result<Look, String> {
        if let Some((region, what)) = self.there.get(service) {
            return Ok(Look::There { region: region.clone(), what: what.clone() });
        }
        // One answer that stays away does not make it go.
        if let Some(Look::There { region, .. }) = before
            && self.silent.iter().any(|(_, of)| of.as_ref().is_none_or(|of| of.contains(region)))
            && let Some(before) = before
        {
            return Ok(before.clone());
        }
        match self.why_unseen() {
            None => Ok(Look::Nowhere { denied: None }),
            Some(why) if self.silent.iter().all(|(unseen, _)| unseen.is_denied) => {
                Ok(Look::Nowhere { denied: Some(why) })
            }
            Some(why) => Err(why),
        }
    }

    fn why_unseen(&self) -> Option<String> {
        let told = self.silent.iter().map(|(unseen, regions)| match regions {
            Some(regions) => {
                format!("{}: {}", regions.iter().cloned().collect::<Vec<_>>().join(", "), unseen.why)
            }
            None => format!("the account's regions are not known: {}", unseen.why),
        });
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

/// The service that this is of, if it is ours, and what it is; what is going is as good as gone.
fn ours(described: &ServiceConfiguration, deployment: &str) -> Option<(String, String)> {
    let proof = ownership::proof_as_shown(&tags_of(described.tags()), deployment)?;
    let is_one = proof.address.kind == ENDPOINT_SERVICE && !endpoint_service::is_going(described);
    let what = format!("the endpoint service {}", described.service_id().unwrap_or_default());
    is_one.then_some((proof.address.service, what))
}

/// An answer, or why there is none, in words that are the same for each region.
async fn in_time<T>(read: impl Future<Output = Result<T, Error>>) -> Result<T, Unseen> {
    let (why, is_denied) = match tokio::time::timeout(ANSWERED_WITHIN, read).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) if error.kind() == ErrorKind::Denied => {
            (format!("the caller lacks the permission `ec2:{}`", error.operation()), true)
        }
        Ok(Err(error)) => {
            let code = error.code().map(|code| format!(" ({code})")).unwrap_or_default();
            (format!("{}{code}", error.message()), false)
        }
        Err(_) => (format!("no answer within {} s", ANSWERED_WITHIN.as_secs()), false),
    };
    Err(Unseen { why, is_denied })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that reaches one region only gets no answer at all from the others.
    #[tokio::test(start_paused = true)]
    async fn a_region_that_is_not_reached_is_waited_for_a_short_time() {
        let began = tokio::time::Instant::now();
        let silent = in_time(std::future::pending::<Result<(), Error>>()).await;
        assert_eq!(silent, Err(Unseen { why: "no answer within 5 s".to_owned(), is_denied: false }));
        assert_eq!(began.elapsed(), ANSWERED_WITHIN);
    }

    #[tokio::test]
    async fn why_nothing_was_seen_is_said_without_the_region() {
        let of =
            |kind| Error::new(kind, "DescribeRegions", "aws/1/eu-west-1", "not for you").with_code("Nope");
        let denied = in_time(std::future::ready(Err::<(), _>(of(ErrorKind::Denied)))).await;
        let why = "the caller lacks the permission `ec2:DescribeRegions`".to_owned();
        assert_eq!(denied, Err(Unseen { why, is_denied: true }));
        let failed = in_time(std::future::ready(Err::<(), _>(of(ErrorKind::Unauthenticated)))).await;
        assert_eq!(failed, Err(Unseen { why: "not for you (Nope)".to_owned(), is_denied: false }));
    }

    #[test]
    fn a_region_that_has_to_be_asked_for_holds_nothing() {
        let with =
            |status: Option<&str>| Region::builder().set_opt_in_status(status.map(str::to_owned)).build();
        assert!(is_enabled(&with(None)) && is_enabled(&with(Some("opted-in"))));
        assert!(is_enabled(&with(Some("opt-in-not-required"))) && !is_enabled(&with(Some("not-opted-in"))));
    }

    fn unseen(why: &str, is_denied: bool) -> Unseen {
        Unseen { why: why.to_owned(), is_denied }
    }

    /// A region that does not answer for once does not make a service go that was there.
    #[test]
    fn what_was_found_is_there_until_its_region_answers_without_it() {
        let mut seen = Seen::default();
        seen.there.insert("orders".to_owned(), ("eu-west-1".to_owned(), "vpce-svc-1".to_owned()));
        let found = seen.of("orders", None).unwrap();
        let is_found = |look: &Result<Look, String>| matches!(look, Ok(Look::There { region, .. }) if region == "eu-west-1");
        let silent = |region: &str| {
            let mut seen = Seen::default();
            seen.add_silent(unseen("busy", false), region);
            seen.of("orders", Some(&found))
        };
        assert!(is_found(&silent("eu-west-1")));
        assert_eq!(silent("eu-west-2").unwrap_err(), "eu-west-2: busy");
        let nameless = Seen { there: BTreeMap::new(), silent: vec![(unseen("busy", false), None)] };
        assert!(is_found(&nameless.of("orders", Some(&found))));
        let gone = Seen::default().of("orders", Some(&found));
        assert!(matches!(gone, Ok(Look::Nowhere { denied: None })), "{gone:?}");
    }

    /// What is denied is denied the next time, too; what failed may not fail again.
    #[test]
    fn only_what_another_look_would_not_bring_is_remembered() {
        let mut seen = Seen::default();
        seen.add_silent(unseen("denied", true), "eu-west-1");
        seen.add_silent(unseen("denied", true), "af-south-1");
        let look = seen.of("orders", None);
        let Ok(Look::Nowhere { denied: Some(why) }) = &look else { panic!("{look:?}") };
        assert_eq!(why, "af-south-1, eu-west-1: denied");
        seen.add_silent(unseen("busy", false), "eu-west-2");
        assert_eq!(seen.of("orders", None).unwrap_err(), "af-south-1, eu-west-1: denied; eu-west-2: busy");
    }
}
