//! Allowed principals of an endpoint service.
//!
//! Sources: API reference of Describe/ModifyVpcEndpointServicePermissions; AWS PrivateLink guide "Manage permissions". The list of a
//! service's principals has no lag, unlike other lists: Terraform's provider reads it once, right after it wrote, and takes what is
//! missing for an error (<https://github.com/hashicorp/terraform-provider-aws>,
//! `internal/service/ec2/vpc_endpoint_service_allowed_principal.go`).

use serde::Deserialize;
use serde_json::{Value, json};

use super::listing::one;
use super::services::find;
use super::tagging::shown;
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::filter::Filters;
use crate::aws::ids::fresh;
use crate::aws::page::page;
use crate::aws::world::{Permission, ids};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    service_id: String,
    #[serde(default)]
    filters: Filters,
    max_results: Option<usize>,
    next_token: Option<String>,
}

pub(super) fn describe(tx: &mut Tx, call: &Call) -> Reply {
    let input: Describe = call.input()?;
    let service = find(tx, call, &input.service_id)?;
    input.filters.check(&["principal", "principal-type"], true)?;
    let mut found: Vec<(&String, &Permission)> = service.permissions.iter().collect();
    found.retain(|(principal, permission)| {
        input.filters.matches(tx, call, &permission.id, |name| match name {
            "principal" => one(principal),
            _ => one(kind_of(principal).unwrap_or("")),
        })
    });
    let key = |(principal, _): &(&String, &Permission)| (*principal).clone();
    let page = page(found, key, call, input.max_results, input.next_token.as_deref())?;
    let show = |(principal, permission): &(&String, &Permission)| {
        let mut out = entry(&service.id, principal, permission);
        out["Tags"] = shown(tx, &permission.id);
        out
    };
    Ok(json!({"AllowedPrincipals": page.items.iter().map(show).collect::<Vec<_>>(), "NextToken": page.next}))
}

fn entry(service: &str, principal: &str, permission: &Permission) -> Value {
    json!({
        "PrincipalType": kind_of(principal),
        "Principal": principal,
        "ServicePermissionId": permission.id,
        "ServiceId": service,
    })
}

/// The type of a principal; `None` for what cannot be one.
fn kind_of(principal: &str) -> Option<&'static str> {
    if principal == "*" {
        return Some("All");
    }
    let parts: Vec<&str> = principal.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts[..] else { return None };
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    if !is_account || !matches!(partition, "aws" | "aws-us-gov" | "aws-cn") {
        return None;
    }
    // Principals with a path are not supported.
    match resource.split('/').collect::<Vec<_>>()[..] {
        ["root"] => Some("Account"),
        ["role", name] if is_name(name) => Some("Role"),
        ["user", name] if is_name(name) => Some("User"),
        _ => None,
    }
}

/// IAM's characters of a name, at most 64: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>.
fn is_name(name: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
    (1..=64).contains(&name.len()) && name.bytes().all(known)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Modify {
    service_id: String,
    #[serde(default)]
    add_allowed_principals: Vec<String>,
    #[serde(default)]
    remove_allowed_principals: Vec<String>,
}

pub(super) fn modify(tx: &mut Tx, call: &Call) -> Reply {
    let input: Modify = call.input()?;
    find(tx, call, &input.service_id)?;
    if input.add_allowed_principals.is_empty() && input.remove_allowed_principals.is_empty() {
        let why = "Either AddAllowedPrincipals or RemoveAllowedPrincipals must be given";
        return Err(ApiError::new("MissingParameter", why));
    }
    for principal in &input.add_allowed_principals {
        let of_partition = principal == "*" || principal.split(':').nth(1) == Some(call.partition());
        if kind_of(principal).is_none() || !of_partition {
            return Err(ApiError::new("InvalidPrincipal", format!("Invalid Principal: {principal}")));
        }
    }
    let mut added = Vec::new();
    let mut gone = Vec::new();
    let Some(service) = tx.services.get_mut(&input.service_id) else {
        return Ok(json!({"ReturnValue": false}));
    };
    for principal in &input.remove_allowed_principals {
        // Removing one that is not there is no error, and removing one disconnects nobody.
        gone.extend(service.permissions.remove(principal).map(|permission| permission.id));
    }
    for principal in &input.add_allowed_principals {
        if !service.permissions.contains_key(principal) {
            let permission = Permission { id: fresh("vpce-svc-perm"), since: call.now };
            added.push(entry(&service.id, principal, &permission));
            service.permissions.insert(principal.clone(), permission);
        }
    }
    // A consumer that asked before and was removed may ask again once it is allowed again.
    if service.allows(ids::FIVETRAN).is_none() {
        service.asked.remove(ids::FIVETRAN);
    }
    gone.iter().for_each(|id| tx.tags.forget(id));
    Ok(json!({"AddedPrincipals": added, "ReturnValue": true}))
}
