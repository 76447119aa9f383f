//! Ids and names of AWS.

use std::fmt;

use serde::Serialize;

pub use super::aws_arns::{
    ApplicationLoadBalancerArn, Arn, CertificateArn, NetworkLoadBalancerArn, PrincipalArn, RoleArn, TopicArn,
};
use super::text::{TextProblem, all, lower_alnum, lower_hex, text_type};

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
}
