//! The documented request rates.
//!
//! EC2 evaluates each API by itself ("Request throttling for the Amazon EC2 API", EC2 developer guide); ELBv2 has one bucket
//! for all `Describe*` calls and others for kinds of writes ("Request throttling for the ELB API", ELB user guide).

use super::call::Call;
use super::model::Api;
use crate::frame::Bucket;

/// The bucket that a call takes from: its key, and its size and refill.
pub(crate) fn bucket(call: &Call) -> (String, Bucket) {
    let (name, bucket) = match call.api {
        Api::Ec2 if is_wide(call) => (format!("{}/wide", call.action), Bucket::new(50.0, 10.0)),
        Api::Ec2 => (call.action.clone(), ec2(&call.action)),
        Api::Elb => elb(&call.action),
        Api::Scaling => scaling(&call.action),
        Api::Sts => ("sts".to_owned(), Bucket::new(600.0, 600.0)),
    };
    (format!("{}/{}/{:?}/{name}", call.scope.account, call.scope.region, call.api), bucket)
}

/// A describe that names nothing, filters nothing and asks for no pages; `AllRegions` asks for more, not for less.
fn is_wide(call: &Call) -> bool {
    call.action.starts_with("Describe")
        && call
            .input
            .as_object()
            .is_none_or(|input| input.keys().all(|key| matches!(key.as_str(), "DryRun" | "AllRegions")))
}

fn ec2(action: &str) -> Bucket {
    match action {
        "AcceptVpcEndpointConnections"
        | "RejectVpcEndpointConnections"
        | "CreateVpcEndpointServiceConfiguration"
        | "ModifyVpcEndpointServiceConfiguration"
        | "DeleteVpcEndpointServiceConfigurations" => Bucket::new(10.0, 1.0),
        "CreateVpcEndpoint" => Bucket::new(4.0, 0.3),
        "CreateTags" => Bucket::new(100.0, 10.0),
        action if action.starts_with("Describe") => Bucket::new(100.0, 20.0),
        _ => Bucket::new(50.0, 5.0),
    }
}

fn elb(action: &str) -> (String, Bucket) {
    let (name, bucket) = match action {
        action if action.starts_with("Describe") => ("describe", Bucket::new(40.0, 10.0)),
        "RegisterTargets" | "DeregisterTargets" => ("registration", Bucket::new(20.0, 4.0)),
        // Not in an excerpt that we could read; the order of the other write buckets.
        _ => ("write", Bucket::new(20.0, 4.0)),
    };
    (name.to_owned(), bucket)
}

/// Auto Scaling's rates are not published in numbers; these are of the order of what clients report.
fn scaling(action: &str) -> (String, Bucket) {
    let (name, bucket) = if action.starts_with("Describe") {
        ("describe", Bucket::new(50.0, 10.0))
    } else {
        ("write", Bucket::new(20.0, 5.0))
    };
    (name.to_owned(), bucket)
}
