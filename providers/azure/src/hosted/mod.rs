//! Services that Azure hosts: nothing is made, only connection requests are decided on.
//!
//! A request arrives at the resource itself, and its owner approves it there
//! (<https://learn.microsoft.com/azure/private-link/manage-private-endpoint>). Each resource provider has its own api-version
//! and its own ways; they are in the [`table`].

mod table;

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::accept::{Connection, ConnectionState, ServicePolicy};
use privnet_core::execute::Context;
use privnet_core::handoff::Handoff;
use privnet_core::plan::{Refusal, Rule};
use privnet_core::spec::azure::{AzureForm, AzureHosted};
use privnet_core::spec::{CloudService, Service, Spec};
use privnet_core::world::Connections;
use privnet_core::{
    Address, Error, ErrorKind, Field, Health, Kind, Live, Origin, Ownership, Purpose, Replacement, Resource,
    Scope, ServiceWorld, Value,
};

use crate::arm::{Arm, Json, Target, at, concerns_everything, in_words, is_gone, is_no_json, items};
use crate::observe::has_no_place;
use crate::{connection, policy};
use table::{Answer, Evidence, List, Row};

/// The kind of what Azure hosts. It is never made, changed or deleted.
pub(crate) const KIND: Kind = Kind {
    name: "hosted-service",
    title: "service hosted by Azure",
    fields: &[Field::observed("resource_id"), Field::observed("subresource")],
    replacement: Replacement::CreateFirst,
    teardown_rank: 0,
    severs: true,
    serialized_by: &["resource_id"],
    telling: &[],
};

/// The address of a hosted service.
pub(crate) fn address(service: &str) -> Address {
    Address::new(service, KIND.name, "main")
}

/// The scope that a hosted service is in: its resource group.
pub(crate) fn scope(hosted: &AzureHosted) -> Scope {
    let id = &hosted.resource_id;
    crate::scope::of(id.subscription().as_str(), id.resource_group().as_str())
}

/// The resource that it lowers to: the user's own.
pub(crate) fn resource(service: &Service, hosted: &AzureHosted) -> Resource {
    Resource {
        address: address(service.name.as_str()),
        scope: scope(hosted),
        origin: Origin::Supplied,
        fields: fields(hosted),
        needs: BTreeSet::new(),
    }
}

fn fields(hosted: &AzureHosted) -> BTreeMap<String, Value> {
    BTreeMap::from([
        ("resource_id".to_owned(), Value::text(hosted.resource_id.to_string())),
        ("subresource".to_owned(), Value::text(spelling(hosted))),
    ])
}

/// The subresource as Azure spells it.
fn spelling(hosted: &AzureHosted) -> String {
    let given = hosted.subresource.as_str();
    let known = table::row(&hosted.resource_id.resource_type())
        .and_then(|row| row.subresources.iter().find(|known| known.eq_ignore_ascii_case(given)));
    known.map_or_else(|| given.to_owned(), |known| (*known).to_owned())
}

/// What is wrong with a hosted service as the file names it.
pub(crate) fn problem(service: &Service, hosted: &AzureHosted) -> Option<Refusal> {
    let kind = hosted.resource_id.resource_type();
    let why = match table::row(&kind) {
        None => format!(
            "privnet does not know how connections to `{kind}` are approved; approve them with \
             `az network private-endpoint-connection approve`"
        ),
        Some(row)
            if row
                .subresources
                .iter()
                .any(|known| known.eq_ignore_ascii_case(hosted.subresource.as_str())) =>
        {
            return None;
        }
        Some(row) => format!(
            "{} has no subresource `{}`; it has: {}",
            row.title,
            hosted.subresource.as_str(),
            row.subresources.join(", ")
        ),
    };
    Some(Refusal { address: address(service.name.as_str()), rule: Rule::Unsuitable, why, flag: None })
}

/// What a user should know of a hosted service's row.
pub(crate) fn warning(service: &Service, hosted: &AzureHosted) -> Option<String> {
    let row = table::row(&hosted.resource_id.resource_type())?;
    let preview = row.version.contains("preview") && row.evidence == Evidence::Documented;
    preview.then(|| {
        format!(
            "{}: the approval of connections to {} uses the api-version {}, known from {}",
            service.name, row.title, row.version, row.source
        )
    })
}

/// The consumers for whom a service has too little room, since it is for a part of a resource of which they reach others, too: where no
/// connection tells its part, each counts for every one of them.
pub(crate) fn crowded(spec: &Spec, service: &Service, hosted: &AzureHosted) -> Option<String> {
    let row = table::row(&hosted.resource_id.resource_type()).filter(|row| row.subresources.len() > 1)?;
    let is_beside = |other: &&Service| match &other.cloud {
        CloudService::Azure(azure) => match &azure.form {
            AzureForm::Hosted(of) => {
                of.resource_id.key() == hosted.resource_id.key()
                    && !of.subresource.as_str().eq_ignore_ascii_case(hosted.subresource.as_str())
            }
            _ => false,
        },
        _ => false,
    };
    let beside: Vec<&Service> =
        spec.services.iter().filter(|other| !other.remove).filter(is_beside).collect();
    let crowded = service.allow.iter().filter_map(|(name, allow)| {
        let parts = 1 + beside.iter().filter(|other| other.allow.contains_key(name)).count();
        (usize::try_from(allow.max_connections.get()).is_ok_and(|max| max < parts))
            .then(|| format!("{name} ({parts} parts)"))
    });
    let crowded: Vec<String> = crowded.collect();
    (!crowded.is_empty()).then(|| {
        format!(
            "{}: Azure does not tell which part of {} a connection is for, so that each counts for every part that the file lists for its \
             consumer, and once `max_connections` are in, no other can be let in: {}. Set `max_connections` of each of these services to \
             the number of the parts, and name in each one's `only` the endpoints that are for its part",
            service.name,
            row.title,
            crowded.join(", ")
        )
    })
}

/// What was seen of a hosted service.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) live: Option<Live>,
    pub(crate) world: ServiceWorld,
    pub(crate) refusal: Option<Refusal>,
}

/// The file's services of each hosted resource: requests that do not tell their part may be meant for any of one's. Looked up once for
/// all of a file.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    spec: &'a Spec,
    by_resource: BTreeMap<String, Vec<&'a Service>>,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(spec: &'a Spec) -> Self {
        let mut by_resource: BTreeMap<String, Vec<&Service>> = BTreeMap::new();
        for service in spec.services.iter().filter(|service| !service.remove) {
            if let CloudService::Azure(azure) = &service.cloud
                && let AzureForm::Hosted(of) = &azure.form
            {
                by_resource.entry(of.resource_id.key()).or_default().push(service);
            }
        }
        Self { spec, by_resource }
    }

    /// The other services of a service's resource, with who may connect.
    fn beside(&self, service: &Service, hosted: &AzureHosted) -> Vec<ServicePolicy> {
        let all = self.by_resource.get(&hosted.resource_id.key());
        let others = all.into_iter().flatten().filter(|other| other.name != service.name);
        others.map(|other| policy::of(self.spec, other)).collect()
    }
}

/// Reads a hosted service and its connections: one request, and one for each further page.
///
/// # Errors
/// What ARM answered, where that does not concern this service alone.
pub(crate) async fn observe(
    arm: &Arm,
    context: &Context,
    parts: &Parts<'_>,
    service: &Service,
    hosted: &AzureHosted,
    purpose: Purpose,
) -> Result<Seen, Error> {
    let Some(row) = table::row(&hosted.resource_id.resource_type()) else {
        // `lower` refuses it.
        return Ok(Seen { live: None, world: ServiceWorld::default(), refusal: None });
    };
    let found = match read(arm, context, row, hosted).await {
        Ok(items) => items,
        Err(error) if is_gone(&error) => {
            let refusal = has_no_place(&error, purpose).then(|| Refusal {
                address: address(service.name.as_str()),
                rule: Rule::Unsuitable,
                why: in_words(&error),
                flag: None,
            });
            return Ok(Seen { live: None, world: ServiceWorld::default(), refusal });
        }
        // What one provider answers that is no JSON keeps none of the others' services from being seen.
        Err(error) if !concerns_everything(&error) || is_no_json(&error) => {
            let why = format!("its connections cannot be read: {}", in_words(&error));
            let address = address(service.name.as_str());
            let world = ServiceWorld {
                connections: Connections::Unreadable { why: error.to_string() },
                ..ServiceWorld::default()
            };
            return Ok(Seen {
                live: None,
                world,
                refusal: Some(Refusal { address, rule: Rule::Unobserved, why, flag: None }),
            });
        }
        Err(error) => return Err(error),
    };
    let ours = found.iter().filter(|item| connection::leads_to(item, hosted.subresource.as_str()));
    let siblings = parts.beside(service, hosted);
    let connections =
        ours.filter_map(|item| Some(of_any_part(row, item, connection::parse(item)?, &siblings))).collect();
    let address = address(service.name.as_str());
    let world = ServiceWorld {
        connections: Connections::Known(connections),
        targets: Vec::new(),
        exposed: Some(address.clone()),
    };
    Ok(Seen { live: Some(live(address, hosted)), world, refusal: None })
}

/// A request that may be for any part of a resource is shown with that, and with the services of the other parts that would not let it in:
/// most providers' connections do not tell which part they are for.
fn of_any_part(row: &Row, item: &Json, mut connection: Connection, siblings: &[ServicePolicy]) -> Connection {
    if row.subresources.len() > 1
        && !connection::names_its_part(item)
        && connection.state == ConnectionState::Pending
    {
        let others = siblings.iter().filter(|other| !other.admits(&connection));
        connection.may_be_for = others.map(|other| other.service.clone()).collect();
        let unknown =
            format!("{} does not tell which part it is for ({})", row.title, row.subresources.join(", "));
        let said = connection.note.take().map(|note| format!("{note}; ")).unwrap_or_default();
        connection.note = Some(format!("{said}{unknown}"));
    }
    connection
}

fn live(address: Address, hosted: &AzureHosted) -> Live {
    Live {
        address,
        generation: None,
        scope: scope(hosted),
        id: hosted.resource_id.to_string(),
        ownership: Ownership::Supplied,
        fields: fields(hosted),
        outputs: BTreeMap::from([("id".to_owned(), Value::text(hosted.resource_id.to_string()))]),
        health: Health::Ready,
    }
}

async fn read(arm: &Arm, context: &Context, row: &Row, hosted: &AzureHosted) -> Result<Vec<Json>, Error> {
    match row.list {
        List::Own => {
            let path = format!("{}/privateEndpointConnections", hosted.resource_id);
            arm.list(context, &Target::with_version(path, row.version)).await
        }
        List::Array => {
            let path = format!("{}/privateEndpointConnections", hosted.resource_id);
            let all = arm.array(context, &Target::with_version(path, row.version)).await?;
            Ok(all.as_array().cloned().unwrap_or_default())
        }
        List::Parent(version) => {
            let target = Target::with_version(hosted.resource_id.to_string(), version);
            let parent = arm.get_alone(context, &target).await?;
            // A vault to which nothing was ever connected has no list, and all its other properties.
            if at(&parent, "properties").is_none() {
                let message = "the answer holds no properties of it";
                return Err(Error::new(ErrorKind::Other, "GET", &target.path, message));
            }
            Ok(items(&parent, "properties.privateEndpointConnections").to_vec())
        }
    }
}

/// Where a decision on a connection is written. `resource` is the id of what Azure hosts.
pub(crate) fn decision_target(resource: &str, handle: &str) -> Option<Target> {
    let parsed: privnet_core::spec::azure_ids::ArmId = resource.parse().ok()?;
    let row = table::row(&parsed.resource_type())?;
    Some(Target::with_version(format!("{resource}/privateEndpointConnections/{handle}"), row.version))
}

/// What the vendor needs to connect.
pub(crate) fn handoff(service: &Service, hosted: &AzureHosted) -> Handoff {
    let row = table::row(&hosted.resource_id.resource_type());
    let mut fields = BTreeMap::from([
        ("resource_id".to_owned(), serde_json::json!(hosted.resource_id.to_string())),
        ("subresource".to_owned(), serde_json::json!(spelling(hosted))),
    ]);
    if let Some(row) = row {
        fields.insert("service".to_owned(), serde_json::json!(row.title));
    }
    let mut notes = vec!["the vendor makes a private endpoint to this resource id and subresource; the request then waits for approval".to_owned()];
    if row.is_some_and(|row| row.answer == Answer::Begun) {
        notes.push("an approval takes some minutes to take effect".to_owned());
    }
    Handoff {
        name: service.name.to_string(),
        cloud: "azure",
        fields,
        missing: Vec::new(),
        notes,
        is_unseen: false,
    }
}

#[cfg(test)]
mod tests;
