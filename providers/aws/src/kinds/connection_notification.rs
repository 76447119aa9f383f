//! The notification of connection events, on an endpoint service that privnet made.
//!
//! A notification takes no tags
//! (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVpcEndpointConnectionNotification.html>): it is owned
//! through its endpoint service.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_ec2::types::ConnectionNotification as Described;
use privnet_core::execute::{Poll, Replay, Until};
use privnet_core::name::hash8;
use privnet_core::plan::Rule;
use privnet_core::spec::aws::{AwsEndpointService, AwsForm};
use privnet_core::{
    Address, Applied, Change, Error, ErrorKind, Field, Health, Kind, Live, Lowered, Origin, Ownership,
    Replacement, Shape, Step, Value,
};

use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::exposure::ExposureFacts;
use crate::fields::Fields;
use crate::kinds::{CONNECTION_NOTIFICATION, ENDPOINT_SERVICE};
use crate::lower::Lowering;
use crate::observe::Snapshot;
use crate::privatelink;

const CREATE: Operation = Operation::ec2("CreateVpcEndpointConnectionNotification");
const MODIFY: Operation = Operation::ec2("ModifyVpcEndpointConnectionNotification");
const DELETE: Operation = Operation::ec2("DeleteVpcEndpointConnectionNotifications");

/// How long a change may take until answers show it.
const SHOWN_WITHIN: Duration = Duration::from_secs(5 * 60);
/// How often a request is sent whose answer is lost.
const ATTEMPTS: usize = 5;

pub(crate) const KIND: Kind = Kind {
    name: CONNECTION_NOTIFICATION,
    title: "connection notification",
    fields: &[
        Field::managed("service").on_change(Change::Replace),
        Field::managed("sns_topic"),
        Field::managed("events").shaped(Shape::Set),
        Field::observed("state"),
    ],
    replacement: Replacement::DeleteFirst,
    teardown_rank: 20,
    severs: false,
    serialized_by: &[],
    telling: &[],
};

/// A notification's managed fields.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Notification {
    service: String,
    sns_topic: String,
    events: BTreeSet<String>,
}

impl Notification {
    fn of(described: &Described) -> Self {
        Self {
            service: described.service_id().unwrap_or_default().to_owned(),
            sns_topic: described.connection_notification_arn().unwrap_or_default().to_owned(),
            events: described.connection_events().iter().cloned().collect(),
        }
    }

    fn to_fields(&self) -> BTreeMap<String, Value> {
        BTreeMap::from([
            ("service".to_owned(), Value::text(&self.service)),
            ("sns_topic".to_owned(), Value::text(&self.sns_topic)),
            ("events".to_owned(), Value::texts(&self.events)),
        ])
    }

    fn from_fields(values: &BTreeMap<String, Value>) -> Result<Self, Error> {
        let fields = Fields::new(CONNECTION_NOTIFICATION, values);
        Ok(Self {
            service: fields.text("service")?,
            sns_topic: fields.text("sns_topic")?,
            events: fields.texts("events")?,
        })
    }

    /// The token for these settings, so that a lost answer makes no second one; `used_up` tokens stand for what is gone.
    fn token(&self, used_up: usize) -> String {
        let events = self.events.iter().cloned().collect::<Vec<_>>().join(",");
        let part = |salt: &str| hash8(&[salt, &self.service, &self.sns_topic, &events, &used_up.to_string()]);
        format!("privnet-{}{}", part("1"), part("2"))
    }

    fn events(&self) -> Vec<String> {
        self.events.iter().cloned().collect()
    }
}

/// Adds the notification to what the service wants.
pub(crate) fn lower(lowering: &Lowering<'_>, lowered: &mut Lowered) {
    let settings: &AwsEndpointService = match &lowering.aws.form {
        AwsForm::Made(made) => &made.endpoint_service,
        AwsForm::OnLoadBalancer(on) => &on.endpoint_service,
        AwsForm::EndpointService(_) | AwsForm::Removed => return,
    };
    let address = lowering.address(CONNECTION_NOTIFICATION, "main");
    let unreadable = ExposureFacts::of(lowering.world, lowering.name()).notifications_unreadable;
    let Some(wanted) = &settings.notification else {
        if let Some(why) = unreadable {
            lowered.warnings.push(format!(
                "{}: whether a notification is left from before is not known: {why}",
                lowering.name()
            ));
        }
        return;
    };
    if let Some(why) = unreadable {
        lowered.refusals.push(lowering.refusal(
            &address,
            Rule::Unobserved,
            format!("its notifications cannot be read: {why}"),
        ));
        return;
    }
    let live = lowering.world.at(&address);
    let state = live.and_then(|live| live.fields.get("state")?.as_text());
    if state.is_some_and(|state| state.eq_ignore_ascii_case("disabled")) {
        let why = format!(
            "a policy of the topic {} that lets vpce.amazonaws.com publish: AWS disabled the notification",
            wanted.sns_topic
        );
        lowered.waits.push(lowering.wait("you", why));
    }
    let fields = BTreeMap::from([
        ("service".to_owned(), Value::output(&lowering.address(ENDPOINT_SERVICE, "main"), "id")),
        ("sns_topic".to_owned(), Value::text(wanted.sns_topic.to_string())),
        ("events".to_owned(), Value::texts(wanted.events.iter().map(|event| event.as_str()))),
    ]);
    lowered.resources.push(lowering.resource(address, Origin::Owned, fields, BTreeSet::new()));
}

/// The notifications of privnet's own endpoint services.
pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let all = snapshot.exposure.notifications.as_deref().unwrap_or_default();
    let ours = snapshot.exposure.services.iter().filter(|service| service.ownership == Ownership::Ours);
    let of = |service: &crate::exposure::Claimed| {
        let (id, name) = (service.id.clone(), service.address.service.clone());
        let found = all.iter().filter(move |described| described.service_id() == Some(&id));
        found.filter_map(move |described| live_of(snapshot, &name, described)).collect::<Vec<_>>()
    };
    ours.flat_map(of).collect()
}

fn live_of(snapshot: &Snapshot<'_>, service: &str, described: &Described) -> Option<Live> {
    let id = described.connection_notification_id()?;
    let mut fields = Notification::of(described).to_fields();
    let state = described.connection_notification_state().map(|state| state.as_str().to_owned());
    fields.insert("state".to_owned(), state.into());
    Some(Live {
        address: Address::new(service, CONNECTION_NOTIFICATION, "main"),
        generation: None,
        scope: snapshot.reach.scope.clone(),
        id: id.to_owned(),
        ownership: Ownership::Ours,
        fields,
        outputs: BTreeMap::from([("id".to_owned(), Value::text(id))]),
        health: Health::Ready,
    })
}

pub(crate) async fn create(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let wanted = Notification::from_fields(step.fields)?;
    let service = wanted.service.as_str();
    let mut last = None;
    let mut used_up = 0;
    for _ in 0..ATTEMPTS {
        // What is there is looked at before each attempt: another run of the same file, or our own lost answer.
        if let Some(there) = find(cloud, &wanted).await? {
            return Ok(applied(&there));
        }
        let token = wanted.token(used_up);
        let answer = cloud
            .call(CREATE, service, Replay::Never, || {
                let request =
                    cloud.reach.ec2.create_vpc_endpoint_connection_notification().client_token(&token);
                let request = request.service_id(service).connection_notification_arn(&wanted.sns_topic);
                request.set_connection_events(Some(wanted.events())).send()
            })
            .await;
        match answer {
            Ok(_) => match shown(cloud, &wanted).await {
                // The token stands for one that went: only then, never for a lost answer, another token is taken.
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    (used_up, last) = (used_up + 1, Some(error));
                }
                Err(error) => return Err(error),
                Ok(there) => return Ok(applied(&there)),
            },
            Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Conflict) => {
                last = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::new(ErrorKind::Other, CREATE.name, service, "no attempt was made")))
}

fn applied(there: &Described) -> Applied {
    let id = there.connection_notification_id().unwrap_or_default();
    Applied { outputs: BTreeMap::from([("id".to_owned(), Value::text(id))]), note: None }
}

async fn find(cloud: &Cloud<'_>, wanted: &Notification) -> Result<Option<Described>, Error> {
    let all = privatelink::notifications(cloud).await?;
    Ok(all.into_iter().find(|described| Notification::of(described) == *wanted))
}

async fn shown(cloud: &Cloud<'_>, wanted: &Notification) -> Result<Described, Error> {
    cloud
        .context
        .until(until(&wanted.service, "changed"), || async move {
            let found = find(cloud, wanted).await?;
            Ok(found.map_or_else(|| Poll::Pending("it does not show yet".to_owned()), Poll::Ready))
        })
        .await
}

fn until<'a>(subject: &'a str, what: &'a str) -> Until<'a> {
    Until { operation: "DescribeVpcEndpointConnectionNotifications", subject, what, limit: SHOWN_WITHIN }
}

pub(crate) async fn update(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let wanted = Notification::from_fields(step.fields)?;
    let id = step.action.live_id.as_deref().unwrap_or_default();
    cloud
        .call(MODIFY, id, Replay::Safe, || {
            let request =
                cloud.reach.ec2.modify_vpc_endpoint_connection_notification().connection_notification_id(id);
            let request = request.connection_notification_arn(&wanted.sns_topic);
            request.set_connection_events(Some(wanted.events())).send()
        })
        .await?;
    Ok(applied(&shown(cloud, &wanted).await?))
}

pub(crate) async fn delete(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let id = step.action.live_id.as_deref().unwrap_or_default();
    let answer = cloud
        .call(DELETE, id, Replay::Safe, || {
            cloud
                .reach
                .ec2
                .delete_vpc_endpoint_connection_notifications()
                .connection_notification_ids(id)
                .send()
        })
        .await;
    match answer {
        Ok(answer) => privatelink::failure_within(DELETE, id, answer.unsuccessful.as_deref(), true)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    cloud
        .context
        .until(until(id, "gone"), || async move {
            let all = privatelink::notifications(cloud).await?;
            let is_there = all.iter().any(|described| described.connection_notification_id() == Some(id));
            Ok(if is_there { Poll::Pending("it is still there".to_owned()) } else { Poll::Ready(()) })
        })
        .await?;
    Ok(Applied::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification() -> Notification {
        Notification {
            service: "vpce-svc-1".to_owned(),
            sns_topic: "arn:aws:sns:us-east-1:123456789012:endpoints".to_owned(),
            events: ["Accept", "Connect"].into_iter().map(str::to_owned).collect(),
        }
    }

    #[test]
    fn fields_read_back_what_was_written_and_the_table_knows_them() {
        let fields = notification().to_fields();
        assert_eq!(Notification::from_fields(&fields).unwrap(), notification());
        assert!(fields.keys().all(|name| KIND.field(name).is_some()));
        assert!(KIND.field("state").is_some());
    }

    #[test]
    fn a_described_notification_is_what_the_file_wants() {
        let described = Described::builder()
            .service_id("vpce-svc-1")
            .connection_notification_arn("arn:aws:sns:us-east-1:123456789012:endpoints")
            .connection_events("Connect")
            .connection_events("Accept")
            .build();
        assert_eq!(Notification::of(&described), notification());
    }

    #[test]
    fn tokens_are_stable_and_tell_attempts_and_settings_apart() {
        let other = Notification { service: "vpce-svc-2".to_owned(), ..notification() };
        assert_eq!(notification().token(0), notification().token(0));
        assert_ne!(notification().token(0), notification().token(1));
        assert_ne!(notification().token(0), other.token(0));
        assert!(notification().token(0).len() <= 64);
    }
}
