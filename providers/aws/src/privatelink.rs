//! Reads of PrivateLink's producer side: endpoint services, allowed principals, notifications and connections.
//!
//! Everything is read unfiltered or by service, by pages: EC2's tag filters lag, and the filter `vpc-endpoint-id` of the
//! connections is in the API's model but refused by the server. What is looked for in another region was made long ago, so a filter finds it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use aws_sdk_ec2::types::{
    AllowedPrincipal, ConnectionNotification, Filter, Region, ResourceType, ServiceConfiguration,
    UnsuccessfulItem, VpcEndpointConnection,
};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use privnet_core::execute::Replay;
use privnet_core::{Error, ErrorKind};

use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::error;
use crate::network::{Pages, filter};

const DESCRIBE_REGIONS: Operation = Operation::ec2("DescribeRegions");
const DESCRIBE_SERVICES: Operation = Operation::ec2("DescribeVpcEndpointServiceConfigurations");
const DESCRIBE_PRINCIPALS: Operation = Operation::ec2("DescribeVpcEndpointServicePermissions");
const DESCRIBE_NOTIFICATIONS: Operation = Operation::ec2("DescribeVpcEndpointConnectionNotifications");
const DESCRIBE_TAGS: Operation = Operation::ec2("DescribeTags");
const DESCRIBE_CONNECTIONS: Operation = Operation::ec2("DescribeVpcEndpointConnections");

/// Entries of one page, the most that these calls give.
const PAGE: i32 = 1000;

/// The regions that the account may use, and others that it has to ask for first.
pub(crate) async fn regions(cloud: &Cloud<'_>) -> Result<Vec<Region>, Error> {
    let answer =
        cloud.read(DESCRIBE_REGIONS, &cloud.reach.scope.0, || cloud.reach.ec2.describe_regions().send());
    Ok(answer.await?.regions.unwrap_or_default())
}

/// All endpoint services of the account and region.
pub(crate) async fn services(cloud: &Cloud<'_>) -> Result<Vec<ServiceConfiguration>, Error> {
    filtered(cloud, None).await
}

/// Those that bear the deployment's tag.
pub(crate) async fn services_of(
    cloud: &Cloud<'_>,
    deployment: &str,
) -> Result<Vec<ServiceConfiguration>, Error> {
    filtered(cloud, Some(filter("tag:privnet:deployment", [deployment]))).await
}

async fn filtered(cloud: &Cloud<'_>, by: Option<Filter>) -> Result<Vec<ServiceConfiguration>, Error> {
    let by = by.map(|by| vec![by]);
    let (mut all, mut token) = (Vec::new(), Pages::default());
    loop {
        let page = cloud
            .read(DESCRIBE_SERVICES, &cloud.reach.scope.0, || {
                let request = cloud.reach.ec2.describe_vpc_endpoint_service_configurations();
                let request = request.set_filters(by.clone());
                request.max_results(PAGE).set_next_token(token.token()).send()
            })
            .await?;
        all.extend(page.service_configurations.unwrap_or_default());
        if !token.turn(DESCRIBE_SERVICES, &cloud.reach.scope.0, page.next_token)? {
            return Ok(all);
        }
    }
}

/// The endpoint service of this id, if it is there.
pub(crate) async fn service(cloud: &Cloud<'_>, id: &str) -> Result<Option<ServiceConfiguration>, Error> {
    let answer = cloud
        .read(DESCRIBE_SERVICES, id, || {
            cloud.reach.ec2.describe_vpc_endpoint_service_configurations().service_ids(id).send()
        })
        .await;
    let found = match answer {
        Ok(answer) => answer.service_configurations.unwrap_or_default(),
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    Ok(found.into_iter().find(|service| service.service_id() == Some(id)))
}

/// The allowed principals of an endpoint service.
pub(crate) async fn principals(cloud: &Cloud<'_>, service: &str) -> Result<Vec<AllowedPrincipal>, Error> {
    let (mut all, mut token) = (Vec::new(), Pages::default());
    loop {
        let page = cloud
            .read(DESCRIBE_PRINCIPALS, service, || {
                let request = cloud.reach.ec2.describe_vpc_endpoint_service_permissions().service_id(service);
                request.max_results(PAGE).set_next_token(token.token()).send()
            })
            .await?;
        all.extend(page.allowed_principals.unwrap_or_default());
        if !token.turn(DESCRIBE_PRINCIPALS, service, page.next_token)? {
            return Ok(all);
        }
    }
}

/// The ids of the permissions that bear the deployment's tag, on whatever endpoint service; nothing where the caller may not look for
/// them: those on services that the file names are found without.
pub(crate) async fn tagged_permissions(
    cloud: &Cloud<'_>,
    deployment: &str,
) -> Result<Option<BTreeSet<String>>, Error> {
    let (mut all, mut token) = (BTreeSet::new(), Pages::default());
    let filters = [
        filter("resource-type", ["vpc-endpoint-service-permission"]),
        filter("key", ["privnet:deployment"]),
        filter("value", [deployment]),
    ];
    loop {
        let answer = cloud
            .read(DESCRIBE_TAGS, &cloud.reach.scope.0, || {
                let request = cloud.reach.ec2.describe_tags().set_filters(Some(filters.to_vec()));
                request.max_results(PAGE).set_next_token(token.token()).send()
            })
            .await;
        let page = match answer {
            Err(error) if error.kind() == ErrorKind::Denied => return Ok(None),
            answer => answer?,
        };
        let permissions = page.tags.unwrap_or_default().into_iter();
        let permissions = permissions
            .filter(|tag| tag.resource_type() == Some(&ResourceType::VpcEndpointServicePermission));
        all.extend(permissions.filter_map(|tag| tag.resource_id));
        if !token.turn(DESCRIBE_TAGS, &cloud.reach.scope.0, page.next_token)? {
            return Ok(Some(all));
        }
    }
}

/// A read that an observation can do without. An answer that is none of EC2's (a gateway's page, a server that does not know
/// the call) is given up at once; what EC2 itself calls unavailable, and no answer at all, is asked for again.
async fn spare<T, E, F, Fut>(
    cloud: &Cloud<'_>,
    operation: Operation,
    subject: &str,
    mut send: F,
) -> Result<T, Error>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, SdkError<E, Response>>>,
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match cloud.call(operation, subject, Replay::Never, &mut send).await {
        Err(error) if error.kind() == ErrorKind::Unavailable && !error::is_foreign(&error) => {
            cloud.read(operation, subject, send).await
        }
        other => other,
    }
}

/// All notifications of the account and region.
pub(crate) async fn notifications(cloud: &Cloud<'_>) -> Result<Vec<ConnectionNotification>, Error> {
    let (mut all, mut token) = (Vec::new(), Pages::default());
    loop {
        let page = spare(cloud, DESCRIBE_NOTIFICATIONS, &cloud.reach.scope.0, || {
            let request = cloud.reach.ec2.describe_vpc_endpoint_connection_notifications();
            request.max_results(PAGE).set_next_token(token.token()).send()
        })
        .await?;
        all.extend(page.connection_notification_set.unwrap_or_default());
        if !token.turn(DESCRIBE_NOTIFICATIONS, &cloud.reach.scope.0, page.next_token)? {
            return Ok(all);
        }
    }
}

/// The connections to one endpoint service, or to all of the account and region, by service.
pub(crate) async fn connections(
    cloud: &Cloud<'_>,
    service: Option<&str>,
) -> Result<BTreeMap<String, Vec<VpcEndpointConnection>>, Error> {
    let (mut all, mut token) = (Vec::new(), Pages::default());
    loop {
        let page = spare(cloud, DESCRIBE_CONNECTIONS, service.unwrap_or(&cloud.reach.scope.0), || {
            let request = cloud.reach.ec2.describe_vpc_endpoint_connections().max_results(PAGE);
            let filters = service.map(|id| vec![filter("service-id", [id])]);
            request.set_filters(filters).set_next_token(token.token()).send()
        })
        .await?;
        all.extend(page.vpc_endpoint_connections.unwrap_or_default());
        if !token.turn(DESCRIBE_CONNECTIONS, service.unwrap_or(&cloud.reach.scope.0), page.next_token)? {
            break;
        }
    }
    let mut by_service: BTreeMap<String, Vec<VpcEndpointConnection>> = BTreeMap::new();
    for connection in all {
        let id = connection.service_id().unwrap_or_default();
        if service.is_none_or(|wanted| wanted == id) {
            by_service.entry(id.to_owned()).or_default().push(connection);
        }
    }
    Ok(by_service)
}

/// The failure in an answer of HTTP 200, if there is one. What is gone is none where `gone_is_fine`.
pub(crate) fn failure_within(
    operation: Operation,
    subject: &str,
    unsuccessful: Option<&[UnsuccessfulItem]>,
    gone_is_fine: bool,
) -> Result<(), Error> {
    for item in unsuccessful.unwrap_or_default() {
        let (code, message) = item.error().map_or(("", ""), |error| {
            (error.code().unwrap_or_default(), error.message().unwrap_or_default())
        });
        let kind = error::classify(code, 400);
        if kind == ErrorKind::NotFound && gone_is_fine {
            continue;
        }
        let subject = item.resource_id().unwrap_or(subject);
        let message =
            if message.is_empty() { "AWS lists it as unsuccessful and does not say why" } else { message };
        return Err(Error::new(kind, operation.name, subject, message).with_code(code));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::UnsuccessfulItemError;

    use super::*;

    const ACCEPT: Operation = Operation::ec2("AcceptVpcEndpointConnections");

    fn item(code: &str) -> UnsuccessfulItem {
        let error = UnsuccessfulItemError::builder().code(code).message("because").build();
        UnsuccessfulItem::builder().resource_id("vpce-1").error(error).build()
    }

    #[test]
    fn a_failure_inside_success_is_a_failure() {
        let error =
            failure_within(ACCEPT, "s", Some(&[item("InvalidVpcEndpointId.NotFound")]), false).unwrap_err();
        assert_eq!((error.kind(), error.subject()), (ErrorKind::NotFound, "vpce-1"));
        let error =
            failure_within(ACCEPT, "s", Some(&[item("ExistingVpcEndpointConnections")]), true).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::InUse, Some("ExistingVpcEndpointConnections")));
        let silent = UnsuccessfulItem::builder().build();
        assert_eq!(failure_within(ACCEPT, "s", Some(&[silent]), true).unwrap_err().subject(), "s");
    }

    #[test]
    fn what_is_gone_is_deleted() {
        assert!(
            failure_within(ACCEPT, "s", Some(&[item("InvalidVpcEndpointService.NotFound")]), true).is_ok()
        );
        assert!(failure_within(ACCEPT, "s", None, false).is_ok());
    }
}
