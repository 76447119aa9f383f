//! The clouds' documented request rates, and which call counts against which.
//!
//! EC2 judges each action by itself, for each account and region
//! (<https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>); Elastic Load Balancing has one bucket for all
//! reads and others for writes
//! (<https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/elb-api-throttling.html>).

use privnet_core::execute::Bucket;

/// An API of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    /// EC2, PrivateLink among it.
    Ec2,
    /// Elastic Load Balancing, version 2015-12-01.
    Elb,
    /// EC2 Auto Scaling, version 2011-01-01.
    AutoScaling,
    /// Security Token Service.
    Sts,
}

impl Api {
    /// The prefix of its permissions in IAM policies.
    pub(crate) fn permission_prefix(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Elb => "elasticloadbalancing",
            Self::AutoScaling => "autoscaling",
            Self::Sts => "sts",
        }
    }
}

/// One action of an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    /// Whose.
    pub(crate) api: Api,
    /// Its name, such as `CreateListener`.
    pub(crate) name: &'static str,
}

impl Operation {
    /// An action of EC2.
    pub(crate) const fn ec2(name: &'static str) -> Self {
        Self { api: Api::Ec2, name }
    }

    /// An action of Elastic Load Balancing.
    pub(crate) const fn elb(name: &'static str) -> Self {
        Self { api: Api::Elb, name }
    }

    /// An action of Auto Scaling.
    pub(crate) const fn auto_scaling(name: &'static str) -> Self {
        Self { api: Api::AutoScaling, name }
    }

    /// The permission that it needs.
    pub(crate) fn permission(self) -> String {
        format!("{}:{}", self.api.permission_prefix(), self.name)
    }

    /// The bucket that it counts against in this place (`aws/<account>/<region>`).
    pub(crate) fn bucket(self, place: &str) -> Bucket {
        let (class, size, per_second) = match self.api {
            Api::Ec2 => ec2_rate(self.name),
            Api::Elb => elb_rate(self.name),
            Api::AutoScaling => auto_scaling_rate(self.name),
            Api::Sts => ("sts", 100.0, 50.0),
        };
        Bucket { key: format!("{place}/{class}"), size, per_second }
    }
}

/// EC2's classes; within a class each action has a bucket of its own, so the action's name is the key.
fn ec2_rate(name: &'static str) -> (&'static str, f64, f64) {
    let (size, per_second) = match name {
        "AcceptVpcEndpointConnections"
        | "RejectVpcEndpointConnections"
        | "CreateVpcEndpointServiceConfiguration"
        | "ModifyVpcEndpointServiceConfiguration"
        | "DeleteVpcEndpointServiceConfigurations" => (10.0, 1.0),
        "CreateTags" | "DeleteTags" => (100.0, 10.0),
        _ if name.starts_with("Describe") => (100.0, 20.0),
        _ => (50.0, 5.0),
    };
    (name, size, per_second)
}

/// Elastic Load Balancing's classes: its actions share them. The rate of reads is the documented one; those of writes are a
/// cautious guess, which throttling corrects.
fn elb_rate(name: &str) -> (&'static str, f64, f64) {
    match name {
        "RegisterTargets" | "DeregisterTargets" => ("elb/register", 20.0, 4.0),
        _ if name.starts_with("Describe") => ("elb/describe", 40.0, 10.0),
        _ => ("elb/write", 20.0, 3.0),
    }
}

/// Auto Scaling publishes no rates; these are cautious guesses, which throttling corrects.
fn auto_scaling_rate(name: &str) -> (&'static str, f64, f64) {
    if name.starts_with("Describe") {
        ("autoscaling/describe", 40.0, 10.0)
    } else {
        ("autoscaling/write", 20.0, 3.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_of_elb_share_a_bucket_and_those_of_ec2_do_not() {
        let elb = |name| Operation::elb(name).bucket("p").key;
        let ec2 = |name| Operation::ec2(name).bucket("p").key;
        assert_eq!(elb("DescribeTags"), elb("DescribeListeners"));
        assert_ne!(elb("DescribeTags"), elb("CreateListener"));
        assert_ne!(ec2("DescribeSubnets"), ec2("DescribeVpcs"));
        assert!((Operation::ec2("AcceptVpcEndpointConnections").bucket("p").per_second - 1.0).abs() < 1e-9);
    }
}
