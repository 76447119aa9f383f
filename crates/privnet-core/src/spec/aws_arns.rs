//! ARNs of the kinds that a file names.

use std::fmt;

use super::aws_ids::{AccountId, Partition, Region};
use super::text::{TextProblem, all, structured_text};

/// An Amazon resource name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arn {
    /// The partition.
    pub partition: Partition,
    /// The service's namespace, such as `iam`.
    pub service: String,
    /// The region; empty for global services.
    pub region: String,
    /// The account; empty for a few kinds.
    pub account: String,
    /// The rest.
    pub resource: String,
}

impl Arn {
    fn parse(text: &str) -> Result<Self, TextProblem> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let [arn, partition, service, region, account, resource] = parts.as_slice() else {
            return Err(TextProblem::new(
                "must have six parts: `arn:partition:service:region:account:resource`",
            ));
        };
        if *arn != "arn" {
            return Err(TextProblem::new("must begin with `arn:`"));
        }
        let Some(partition) = Partition::from_name(partition) else {
            return Err(TextProblem::new(format!("has an unknown partition {partition:?}")));
        };
        if !account.is_empty() && <AccountId as super::Text>::parse_text(account).is_err() {
            return Err(TextProblem::new(format!(
                "has {account:?} for an account; it must be twelve digits"
            )));
        }
        if service.is_empty() || resource.is_empty() || text.contains(char::is_whitespace) {
            return Err(TextProblem::new("has an empty part or a space"));
        }
        Ok(Self {
            partition,
            service: (*service).to_owned(),
            region: (*region).to_owned(),
            account: (*account).to_owned(),
            resource: (*resource).to_owned(),
        })
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, service, region, account, resource } = self;
        write!(f, "arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

structured_text!(Arn, "an ARN", Some("^arn:"), "arn:aws:sns:us-east-1:123456789012:topic");

macro_rules! arn_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $pattern:expr, $example:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arn);

        impl $name {
            fn parse(text: &str) -> Result<Self, TextProblem> {
                let arn = Arn::parse(text)?;
                let check: fn(&Arn) -> Result<(), TextProblem> = $check;
                check(&arn)?;
                Ok(Self(arn))
            }

            /// The parts.
            pub fn arn(&self) -> &Arn {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        structured_text!($name, $what, $pattern, $example);
    };
}

arn_type!(
    /// A network load balancer.
    NetworkLoadBalancerArn,
    "the ARN of a network load balancer",
    Some("^arn:[a-z-]+:elasticloadbalancing:[a-z0-9-]+:[0-9]{12}:loadbalancer/net/[^/]+/[0-9a-f]+$"),
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/db/0123456789abcdef",
    |arn| match load_balancer(arn)? {
        "net" => Ok(()),
        "app" => Err(TextProblem::new("is an application load balancer")
            .hint("put a network load balancer in front of it: `to: { alb: … }`")),
        "gwy" => Err(TextProblem::new("is a gateway load balancer; only a network load balancer will do")),
        _ => Err(TextProblem::new("is no network load balancer")),
    }
);

arn_type!(
    /// An application load balancer.
    ApplicationLoadBalancerArn,
    "the ARN of an application load balancer",
    Some("^arn:[a-z-]+:elasticloadbalancing:[a-z0-9-]+:[0-9]{12}:loadbalancer/app/[^/]+/[0-9a-f]+$"),
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/web/0123456789abcdef",
    |arn| match load_balancer(arn)? {
        "app" => Ok(()),
        _ => Err(TextProblem::new("is no application load balancer")),
    }
);

arn_type!(
    /// An IAM role.
    RoleArn,
    "the ARN of an IAM role",
    Some("^arn:[a-z-]+:iam::[0-9]{12}:role/.+$"),
    "arn:aws:iam::123456789012:role/privnet",
    |arn| of_kind(arn, "iam", "role/")
);

arn_type!(
    /// An SNS topic.
    TopicArn,
    "the ARN of an SNS topic",
    Some("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]+$"),
    "arn:aws:sns:us-east-1:123456789012:endpoints",
    |arn| of_kind(arn, "sns", "")
);

arn_type!(
    /// A certificate of ACM or IAM.
    CertificateArn,
    "the ARN of a certificate",
    Some("^arn:[a-z-]+:(acm:[a-z0-9-]+|iam:):[0-9]{12}:(certificate|server-certificate)/.+$"),
    "arn:aws:acm:us-east-1:123456789012:certificate/11111111-2222-3333-4444-555555555555",
    |arn| of_kind(arn, "acm", "certificate/").or_else(|why| {
        of_kind(arn, "iam", "server-certificate/").map_err(|_| why)
    })
);

fn of_kind(arn: &Arn, service: &str, resource: &str) -> Result<(), TextProblem> {
    if arn.service != service || !arn.resource.starts_with(resource) || arn.resource.len() == resource.len() {
        return Err(TextProblem::new(format!("must be of the form `arn:…:{service}:…:{resource}…`")));
    }
    if arn.account.is_empty() {
        return Err(TextProblem::new("has no account"));
    }
    Ok(())
}

fn load_balancer(arn: &Arn) -> Result<&str, TextProblem> {
    of_kind(arn, "elasticloadbalancing", "loadbalancer/")?;
    let parts: Vec<&str> = arn.resource.split('/').collect();
    match parts.as_slice() {
        ["loadbalancer", kind @ ("net" | "app" | "gwy"), name, id] if !name.is_empty() && !id.is_empty() => {
            Ok(kind)
        }
        _ => Err(TextProblem::new("must end in `loadbalancer/net/NAME/ID`")),
    }
}

/// A principal that may be allowed on an endpoint service: an account's root, a user or a role.
///
/// Presets leave the partition, and a part of the name, open: `{partition}` and `{region}` are filled in for
/// each service. ARNs with paths are unsupported by the API, and so here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrincipalArn {
    partition: Option<Partition>,
    account: AccountId,
    resource: String,
}

impl PrincipalArn {
    pub(super) fn parse(text: &str) -> Result<Self, TextProblem> {
        if text.len() == 12 && all(text, |c| c.is_ascii_digit()) {
            return Err(TextProblem::new("is an account, not a principal")
                .hint(format!("for the whole account write `arn:aws:iam::{text}:root`")));
        }
        let open = text.strip_prefix("arn:{partition}:").map(|rest| format!("arn:aws:{rest}"));
        let arn = Arn::parse(open.as_deref().unwrap_or(text))?;
        if arn.service != "iam" || !arn.region.is_empty() {
            return Err(TextProblem::new(
                "must be of the form `arn:aws:iam::ACCOUNT:root`, `…:role/NAME` or `…:user/NAME`",
            ));
        }
        let account = <AccountId as super::Text>::parse_text(&arn.account)?;
        match arn.resource.split('/').collect::<Vec<_>>().as_slice() {
            ["root"] => {}
            ["role" | "user", name] if is_name(name) => {}
            ["role" | "user", name] if !name.is_empty() => {
                return Err(TextProblem::new(format!("has {name:?} for a name; it must be of letters, digits and `+=,.@_-`"))
                    .hint("endpoint services know no patterns: name each role or user, or write `…:root` for the whole account"));
            }
            ["role" | "user", _, ..] => {
                return Err(TextProblem::new("has a path; endpoint services do not support such principals"));
            }
            _ => return Err(TextProblem::new("must end in `root`, `role/NAME` or `user/NAME`")),
        }
        let partition = open.is_none().then_some(arn.partition);
        Ok(Self { partition, account, resource: arn.resource })
    }

    /// The account.
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// The partition, unless the service's own is to be taken.
    pub fn partition(&self) -> Option<Partition> {
        self.partition
    }

    /// The ARN in that partition and region.
    pub fn resolve(&self, partition: Partition, region: &Region) -> String {
        let partition = self.partition.unwrap_or(partition);
        let resource = self.resource.replace("{region}", region.as_str());
        format!("arn:{partition}:iam::{}:{resource}", self.account)
    }
}

/// Whether a user or role may be called so, once the region is filled in
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html#reference_iam-quotas-names>).
fn is_name(name: &str) -> bool {
    all(&name.replace("{region}", "r"), |c| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c))
}

impl fmt::Display for PrincipalArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let partition = self.partition.map_or("{partition}", Partition::as_str);
        write!(f, "arn:{partition}:iam::{}:{}", self.account, self.resource)
    }
}

structured_text!(
    PrincipalArn,
    "an IAM principal",
    Some(
        "^arn:([a-z-]+|\\{partition\\}):iam::[0-9]{12}:(root|(role|user)/([A-Za-z0-9+=,.@_-]|\\{region\\})+)$"
    ),
    "arn:aws:iam::111122223333:root"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_keep_what_they_say_and_fill_what_they_leave_open() {
        let region: Region = "us-gov-west-1".parse().unwrap();
        let open: PrincipalArn = "arn:{partition}:iam::123456789012:role/r-{region}".parse().unwrap();
        assert_eq!(
            open.resolve(region.partition(), &region),
            "arn:aws-us-gov:iam::123456789012:role/r-us-gov-west-1"
        );
        let closed: PrincipalArn = "arn:aws:iam::123456789012:user/u".parse().unwrap();
        assert_eq!(closed.resolve(region.partition(), &region), closed.to_string());
        assert_eq!(closed.partition(), Some(Partition::Aws));
    }
}
