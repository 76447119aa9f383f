//! Ids and names of AWS.

use std::fmt;

use serde::Serialize;

use super::text::{TextProblem, all, lower_alnum, lower_hex, structured_text, text_type};

text_type!(
    /// An account: twelve digits, leading zeros included.
    AccountId,
    "an AWS account id",
    Some("^[0-9]{12}$"),
    "123456789012",
    |text| {
        if text.len() == 12 && all(text, |c| c.is_ascii_digit()) {
            return Ok(text.to_owned());
        }
        Err(TextProblem::new("must be twelve digits").hint("leading zeros count; write the id in quotes"))
    }
);

text_type!(
    /// A region, such as `us-east-1`.
    Region,
    "an AWS region",
    Some("^[a-z]{2,4}(-[a-z]+)+-[0-9]+$"),
    "us-east-1",
    |text| if is_region(text) {
        Ok(text.to_owned())
    } else if text.strip_suffix(|c: char| c.is_ascii_lowercase()).is_some_and(is_region) {
        Err(TextProblem::new("is a zone, not a region"))
    } else {
        Err(TextProblem::new("does not look like `us-east-1`"))
    }
);

impl Region {
    /// The partition that the region is in, by its prefix.
    ///
    /// Prefixes as in botocore's `partitions.json` (`regionRegex` of each partition).
    pub fn partition(&self) -> Partition {
        match self.as_str() {
            r if r.starts_with("cn-") => Partition::China,
            r if r.starts_with("us-gov-") => Partition::UsGov,
            r if r.starts_with("us-isob-") => Partition::IsoB,
            r if r.starts_with("us-isof-") => Partition::IsoF,
            r if r.starts_with("eu-isoe-") => Partition::IsoE,
            r if r.starts_with("us-iso-") => Partition::Iso,
            r if r.starts_with("eusc-") => Partition::EuSovereign,
            _ => Partition::Aws,
        }
    }
}

/// A group of regions that share identities and ARNs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Partition {
    /// The commercial regions.
    #[serde(rename = "aws")]
    Aws,
    /// China.
    #[serde(rename = "aws-cn")]
    China,
    /// AWS GovCloud (US).
    #[serde(rename = "aws-us-gov")]
    UsGov,
    /// AWS ISO (US).
    #[serde(rename = "aws-iso")]
    Iso,
    /// AWS ISOB (US).
    #[serde(rename = "aws-iso-b")]
    IsoB,
    /// AWS ISOE (Europe).
    #[serde(rename = "aws-iso-e")]
    IsoE,
    /// AWS ISOF.
    #[serde(rename = "aws-iso-f")]
    IsoF,
    /// The European Sovereign Cloud.
    #[serde(rename = "aws-eusc")]
    EuSovereign,
}

impl Partition {
    const ALL: [Self; 8] = [
        Self::Aws,
        Self::China,
        Self::UsGov,
        Self::Iso,
        Self::IsoB,
        Self::IsoE,
        Self::IsoF,
        Self::EuSovereign,
    ];

    /// The second part of an ARN.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::China => "aws-cn",
            Self::UsGov => "aws-us-gov",
            Self::Iso => "aws-iso",
            Self::IsoB => "aws-iso-b",
            Self::IsoE => "aws-iso-e",
            Self::IsoF => "aws-iso-f",
            Self::EuSovereign => "aws-eusc",
        }
    }

    /// The partition of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|partition| partition.as_str() == name)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! ec2_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $prefix:literal, $example:literal) => {
        text_type!(
            $(#[$doc])*
            $name,
            $what,
            Some(concat!("^", $prefix, "([0-9a-f]{8}|[0-9a-f]{17})$")),
            $example,
            |text| ec2_id(text, $prefix)
        );
    };
}

ec2_id!(
    /// A VPC.
    VpcId, "a VPC id", "vpc-", "vpc-0a1b2c3d4e5f60718"
);
ec2_id!(
    /// A subnet.
    SubnetId, "a subnet id", "subnet-", "subnet-0aaaaaaaaaaaaaaa1"
);
ec2_id!(
    /// A security group.
    SecurityGroupId, "a security group id", "sg-", "sg-0ddddddddddddddd4"
);
ec2_id!(
    /// An EC2 instance.
    InstanceId, "an instance id", "i-", "i-0123456789abcdef0"
);
ec2_id!(
    /// A VPC endpoint of a consumer.
    VpcEndpointId, "a VPC endpoint id", "vpce-", "vpce-0123456789abcdef0"
);

text_type!(
    /// An endpoint service, by id.
    EndpointServiceId,
    "an endpoint service",
    Some("^(com\\.amazonaws\\.vpce\\.[a-z0-9-]+\\.)?vpce-svc-([0-9a-f]{8}|[0-9a-f]{17})$"),
    "vpce-svc-0123456789abcdef0",
    |text| ec2_id(text.rsplit('.').next().unwrap_or(text), "vpce-svc-")
);

text_type!(
    /// An availability zone by the account's own name, such as `us-east-1a`.
    ZoneName,
    "an availability zone",
    Some("^[a-z]{2,4}(-[a-z]+)+-[0-9]+[a-z]$"),
    "us-east-1a",
    |text| {
        if text.strip_suffix(|c: char| c.is_ascii_lowercase()).is_some_and(is_region) {
            return Ok(text.to_owned());
        }
        Err(TextProblem::new("does not look like `us-east-1a`"))
    }
);

fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [first, middle @ .., last] = parts.as_slice() else { return false };
    (2..=4).contains(&first.len())
        && !middle.is_empty()
        && middle.iter().chain([first]).all(|part| all(part, |c| c.is_ascii_lowercase()))
        && all(last, |c| c.is_ascii_digit())
}

fn ec2_id(text: &str, prefix: &str) -> Result<String, TextProblem> {
    let Some(hex) = text.strip_prefix(prefix) else {
        return Err(TextProblem::new(format!("must begin with `{prefix}`")));
    };
    if !matches!(hex.len(), 8 | 17) || !all(hex, lower_hex) {
        return Err(TextProblem::new(format!("must have 8 or 17 hexadecimal digits after `{prefix}`")));
    }
    Ok(text.to_owned())
}

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
            ["role" | "user", name] if !name.is_empty() => {}
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

impl fmt::Display for PrincipalArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let partition = self.partition.map_or("{partition}", Partition::as_str);
        write!(f, "arn:{partition}:iam::{}:{}", self.account, self.resource)
    }
}

structured_text!(
    PrincipalArn,
    "an IAM principal",
    Some("^arn:([a-z-]+|\\{partition\\}):iam::[0-9]{12}:(root|(role|user)/[^/]+)$"),
    "arn:aws:iam::111122223333:root"
);

text_type!(
    /// A private DNS name of an endpoint service.
    PrivateDnsName,
    "a private DNS name",
    Some("^(\\*\\.)?[A-Za-z0-9_][A-Za-z0-9._-]*\\.[A-Za-z0-9_-]+\\.?$"),
    "db.corp.example",
    |text| {
        let name = <super::HostName as super::Text>::parse_text(text.strip_prefix("*.").unwrap_or(text))?;
        if !name.as_str().contains('.') {
            return Err(TextProblem::new("must lie in a domain that you own"));
        }
        if name.as_str().ends_with(".amazonaws.com") || name.as_str().ends_with(".amazonaws.com.cn") {
            return Err(TextProblem::new("lies in Amazon's own domain").hint("use a domain that you own"));
        }
        Ok(text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase())
    }
);

text_type!(
    /// A profile of the AWS configuration files.
    ProfileName,
    "a profile name",
    Some("^[^\\s\\[\\]]+( [^\\s\\[\\]]+)*$"),
    "production",
    |text| {
        let bad = |c: char| c.is_control() || c == '[' || c == ']';
        if text.is_empty() || text.trim() != text || text.contains(bad) {
            return Err(TextProblem::new("must be one line without brackets or spaces at its ends"));
        }
        Ok(text.to_owned())
    }
);

text_type!(
    /// An external id for `sts:AssumeRole`. It is no secret, yet it is not shown.
    ExternalId,
    "an external id",
    Some("^[A-Za-z0-9_+=,.@:/-]{2,1224}$"),
    "4711-acme",
    |text| {
        let ok = |c: char| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c);
        if !(2..=1224).contains(&text.len()) || !text.chars().all(ok) {
            return Err(TextProblem::new("must be 2 to 1224 letters, digits or `_+=,.@:/-`"));
        }
        Ok(text.to_owned())
    }
);

text_type!(
    /// An EC2 instance type, such as `t4g.small`.
    InstanceType,
    "an instance type",
    Some("^[a-z0-9-]+\\.[a-z0-9-]+$"),
    "t4g.small",
    |text| {
        let ok = |part: &str| all(part, |c| lower_alnum(c) || c == '-');
        match text.split_once('.') {
            Some((family, size)) if ok(family) && ok(size) => Ok(text.to_owned()),
            _ => Err(TextProblem::new("does not look like `t4g.small`")),
        }
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_of_regions() {
        let expected = [
            ("us-east-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eu-isoe-west-1", "aws-iso-e"),
            ("us-isof-south-1", "aws-iso-f"),
            ("eusc-de-east-1", "aws-eusc"),
        ];
        for (region, partition) in expected {
            let region: Region = region.parse().unwrap();
            assert_eq!(region.partition().as_str(), partition);
            assert_eq!(Partition::from_name(partition), Some(region.partition()));
        }
        for bad in
            ["", "us", "us-east", "us-east-", "US-EAST-1", "us_east_1", "global", "us-east-1a", "-east-1"]
        {
            assert!(bad.parse::<Region>().is_err(), "{bad}");
        }
    }

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
