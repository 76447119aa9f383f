//! Making an endpoint service, however often it is tried.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_ec2::types::{ResourceType, ServiceConfiguration};
use privnet_core::execute::{Poll, Replay, Until};
use privnet_core::{Address, Applied, Error, ErrorKind, Generation, Step};
use sha2::{Digest, Sha256};

use super::change;
use super::{EndpointService, is_going, outputs};
use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::network::tags_of;
use crate::ownership::{self, TagMap};
use crate::privatelink;
use crate::tagging;

const CREATE: Operation = Operation::ec2("CreateVpcEndpointServiceConfiguration");
const DESCRIBE: &str = "DescribeVpcEndpointServiceConfigurations";

/// How long a new service may be missing in answers. An id that is missing for longer is that of a service which went: the
/// token's first use is remembered for longer than the service lived.
const LISTED_WITHIN: Duration = Duration::from_secs(30);
/// How long a service that is going may hold its load balancer.
const FREE_WITHIN: Duration = Duration::from_secs(10 * 60);
/// How many tokens are tried, and how often a request is sent whose answer is lost.
const ATTEMPTS: usize = 6;

/// What is made, and under which proof.
struct Making<'a> {
    deployment: &'a str,
    address: &'a Address,
    generation: Generation,
    wanted: EndpointService,
    tags: TagMap,
}

/// What came of one attempt.
enum Attempt {
    /// It is there: just made, or made before by a run of the same file.
    There(Box<ServiceConfiguration>),
    /// The token stands for a service that went: another one must be used. The text tells them apart.
    Stale(String),
    /// Nobody knows, or something was in the way and is not any more: the same once more.
    Again(Error),
}

pub(crate) async fn create(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let generation = step.action.generation.unwrap_or(Generation::A);
    let wanted = EndpointService::from_fields(step.fields)?;
    let address = &step.action.address;
    let tags = ownership::all_tags(step.deployment, address, generation, &wanted.tags);
    let making = Making { deployment: step.deployment, address, generation, wanted, tags };
    let mut token = token(&making);
    let mut last = None;
    for _ in 0..ATTEMPTS {
        match making.attempt(cloud, &token).await? {
            Attempt::There(service) => {
                let service = change::settle(cloud, &service, &making.wanted).await?;
                return Ok(Applied { outputs: outputs(&service), note: None });
            }
            Attempt::Stale(why) => token = next_token(&token, &why),
            Attempt::Again(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| {
        let message = "each service that AWS answered with has gone again";
        Error::new(ErrorKind::Other, CREATE.name, address.to_string(), message)
    }))
}

impl Making<'_> {
    async fn attempt(&self, cloud: &Cloud<'_>, token: &str) -> Result<Attempt, Error> {
        let subject = self.address.to_string();
        // Not sent again blindly: where the token is not honoured, a second one would be made. What is there is looked at first.
        let answer = cloud
            .call(CREATE, &subject, Replay::Never, || {
                let request = cloud.reach.ec2.create_vpc_endpoint_service_configuration().client_token(token);
                let request = request
                    .acceptance_required(self.wanted.acceptance_required)
                    .set_network_load_balancer_arns(Some(
                        self.wanted.load_balancers.iter().cloned().collect(),
                    ))
                    .set_supported_ip_address_types(Some(
                        self.wanted.ip_address_types.iter().cloned().collect(),
                    ))
                    .set_private_dns_name(self.wanted.private_dns_name.clone())
                    .tag_specifications(tagging::specification(ResourceType::VpcEndpointService, &self.tags));
                request.set_supported_regions(regions(&self.wanted, &cloud.reach.region)).send()
            })
            .await;
        match answer {
            Ok(answer) => {
                let id =
                    answer.service_configuration.and_then(|service| service.service_id).ok_or_else(|| {
                        Error::new(
                            ErrorKind::Other,
                            CREATE.name,
                            &subject,
                            "AWS answered without the service's id",
                        )
                    })?;
                Ok(match listed(cloud, &id).await? {
                    Some(service) => Attempt::There(Box::new(service)),
                    None => Attempt::Stale(id),
                })
            }
            Err(error) => self.after_failure(cloud, error).await,
        }
    }

    /// A failure may mean that it is there: the answer was lost, or another run of the same file was faster. A service on the
    /// same load balancer is ours only by proof.
    async fn after_failure(&self, cloud: &Cloud<'_>, error: Error) -> Result<Attempt, Error> {
        let was_lost = error.kind() == ErrorKind::Unavailable;
        if !was_lost && !matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Conflict | ErrorKind::InUse) {
            return Err(error);
        }
        let subject = self.address.to_string();
        let until = Until { operation: DESCRIBE, subject: &subject, what: "seen", limit: FREE_WITHIN };
        let found = cloud
            .context
            .until(until, || async move {
                let found = self.on_our_balancers(cloud).await?;
                let held_by_one_that_goes = !found.is_empty() && found.iter().all(is_going);
                Ok(if held_by_one_that_goes {
                    Poll::Pending("the load balancer's last endpoint service is being deleted".to_owned())
                } else {
                    Poll::Ready(found)
                })
            })
            .await?;
        match found.into_iter().find(|service| !is_going(service)) {
            Some(service) if self.is_ours(&service) => Ok(Attempt::There(Box::new(service))),
            Some(stranger) => Err(self.taken(&stranger, error)),
            None if was_lost => Ok(Attempt::Again(error)),
            None if error.code() == Some("IdempotentParameterMismatch") => {
                Ok(Attempt::Stale("mismatch".to_owned()))
            }
            None => self.seen_late(cloud, error).await,
        }
    }

    /// The endpoint services that have one of our load balancers.
    async fn on_our_balancers(&self, cloud: &Cloud<'_>) -> Result<Vec<ServiceConfiguration>, Error> {
        let on_ours = |service: &ServiceConfiguration| {
            service.network_load_balancer_arns().iter().any(|arn| self.wanted.load_balancers.contains(arn))
        };
        Ok(privatelink::services(cloud).await?.into_iter().filter(on_ours).collect())
    }

    /// Lists lag: what another run made a moment ago may not be in them yet.
    async fn seen_late(&self, cloud: &Cloud<'_>, error: Error) -> Result<Attempt, Error> {
        let subject = self.address.to_string();
        let until = Until { operation: DESCRIBE, subject: &subject, what: "seen", limit: LISTED_WITHIN / 2 };
        let seen = cloud
            .context
            .until(until, || async move {
                let found = self.on_our_balancers(cloud).await?;
                Ok(match found.into_iter().find(|service| !is_going(service)) {
                    Some(service) => Poll::Ready(service),
                    None => Poll::Pending("no endpoint service has the load balancer".to_owned()),
                })
            })
            .await;
        match seen {
            Ok(service) if self.is_ours(&service) => Ok(Attempt::There(Box::new(service))),
            Ok(stranger) => Err(self.taken(&stranger, error)),
            Err(late) if late.kind() == ErrorKind::TimedOut => Err(error),
            Err(other) => Err(other),
        }
    }

    fn is_ours(&self, service: &ServiceConfiguration) -> bool {
        let proof = ownership::proof(&tags_of(service.tags()), self.deployment);
        proof.is_some_and(|proof| proof.address == *self.address)
    }

    fn taken(&self, stranger: &ServiceConfiguration, cause: Error) -> Error {
        let id = stranger.service_id().unwrap_or("another endpoint service");
        let message = format!(
            "the load balancer belongs to {id}, and {}",
            ownership::why_not(&tags_of(stranger.tags()), self.deployment, self.address)
        );
        Error::new(ErrorKind::Conflict, CREATE.name, id, message)
            .with_code(cause.code().unwrap_or_default().to_owned())
            .with_request_id(cause.request_id().map(str::to_owned))
            .with_hint(format!(
                "name it with `existing: {{endpoint_service: {id}}}`, or use another load balancer"
            ))
            .with_cause(cause)
    }
}

/// The service once answers show it; nothing where they never do, or where it is on its way out.
async fn listed(cloud: &Cloud<'_>, id: &str) -> Result<Option<ServiceConfiguration>, Error> {
    let until = Until { operation: DESCRIBE, subject: id, what: "listed", limit: LISTED_WITHIN };
    let found = cloud
        .context
        .until(until, || async move {
            Ok(match privatelink::service(cloud, id).await? {
                Some(service) if is_going(&service) => Poll::Ready(None),
                Some(service) => Poll::Ready(Some(service)),
                None => Poll::Pending("not listed yet".to_owned()),
            })
        })
        .await;
    match found {
        Err(error) if error.kind() == ErrorKind::TimedOut => Ok(None),
        other => other,
    }
}

/// The regions to ask for: the API takes its own among them.
fn regions(wanted: &EndpointService, own: &str) -> Option<Vec<String>> {
    let others = wanted.supported_regions.as_ref().filter(|others| !others.is_empty())?;
    let mut all: BTreeSet<String> = others.clone();
    all.insert(own.to_owned());
    Some(all.into_iter().collect())
}

/// The token of a first attempt: the same for the same deployment, address, generation, load balancers and settings, so that
/// a run that was interrupted, and another at the same time, get the same service.
fn token(making: &Making<'_>) -> String {
    let Making { deployment, address, generation, wanted, tags } = making;
    let mut parts = vec![(*deployment).to_owned(), address.to_string(), generation.to_string()];
    let asked = EndpointService { zones: None, private_dns_verification: None, ..wanted.clone() };
    parts.extend(asked.to_fields().iter().map(|(name, value)| format!("{name}={value}")));
    parts.extend(tags.iter().map(|(key, value)| format!("{key}={value}")));
    digest(&parts)
}

/// The token after one that stands for a service which is there no more.
fn next_token(token: &str, gone: &str) -> String {
    digest(&[token.to_owned(), gone.to_owned()])
}

/// Forty hexadecimal digits; the API takes 64 characters.
fn digest(parts: &[String]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    hasher.finalize().iter().take(20).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::full;
    use super::*;

    fn of(generation: Generation, change: impl FnOnce(&mut EndpointService)) -> String {
        let address = Address::new("orders", "endpoint-service", "main");
        let mut wanted = full();
        change(&mut wanted);
        let tags = ownership::all_tags("data", &address, generation, &wanted.tags);
        token(&Making { deployment: "data", address: &address, generation, wanted, tags })
    }

    #[test]
    fn tokens_are_stable_and_follow_every_setting() {
        let first = of(Generation::A, |_| {});
        assert_eq!(first, of(Generation::A, |_| {}));
        assert_eq!(
            first, "ab1bbfb30d8453ab47f77f4b3e34bd7d9b79f092",
            "a release that changes it would make a second service of an interrupted first"
        );
        let mut all = vec![first];
        all.push(of(Generation::B, |_| {}));
        all.push(of(Generation::A, |service| service.acceptance_required = false));
        all.push(of(Generation::A, |service| service.load_balancers = BTreeSet::from(["arn:c".to_owned()])));
        all.push(of(Generation::A, |service| service.private_dns_name = None));
        all.push(of(Generation::A, |service| service.tags = TagMap::new()));
        all.push(next_token(&all[0], "vpce-svc-1"));
        all.push(next_token(&all[0], "vpce-svc-2"));
        let different: BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
        assert!(all.iter().all(|token| token.len() == 40));
    }

    #[test]
    fn the_own_region_is_asked_for_with_the_others() {
        assert_eq!(regions(&full(), "us-east-1"), Some(vec!["eu-west-1".to_owned(), "us-east-1".to_owned()]));
        let none = EndpointService { supported_regions: Some(BTreeSet::new()), ..full() };
        assert_eq!(regions(&none, "us-east-1"), None);
    }
}
