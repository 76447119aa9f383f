//! The Regions of a partition, and which of them an account has.
//!
//! Sources: API reference of DescribeRegions
//! (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRegions.html>); for which Regions there are, which have to
//! be enabled and where they lie, "Available AWS Regions"
//! (<https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html>). Read on 2026-11-27; the codes are those of
//! botocore 1.44.5 as well (<https://github.com/boto/botocore/blob/1.44.5/botocore/data/endpoints.json>), and
//! `integration-tests/aws/test_reads.py` holds them to the pinned botocore.

use serde::Deserialize;
use serde_json::{Value, json};

use super::listing::one;
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::filter::Filters;
use crate::aws::ids::{dns_suffix, partition};

/// A Region that is there.
struct Region {
    name: &'static str,
    access: Access,
    /// The country; AWS's page tells it of the partition `aws` alone.
    geography: Option<&'static str>,
}

/// Whether an account has a Region without doing anything.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Default,
    OptIn,
}

const fn region(name: &'static str, access: Access, geography: &'static str) -> Region {
    Region { name, access, geography: Some(geography) }
}

/// A Region of China or of GovCloud: an account of these partitions has all of theirs.
const fn apart(name: &'static str) -> Region {
    Region { name, access: Access::Default, geography: None }
}

const REGIONS: [Region; 38] = [
    region("af-south-1", Access::OptIn, "South Africa"),
    region("ap-east-1", Access::OptIn, "Hong Kong"),
    region("ap-east-2", Access::OptIn, "Taiwan"),
    region("ap-northeast-1", Access::Default, "Japan"),
    region("ap-northeast-2", Access::Default, "South Korea"),
    region("ap-northeast-3", Access::Default, "Japan"),
    region("ap-south-1", Access::Default, "India"),
    region("ap-south-2", Access::OptIn, "India"),
    region("ap-southeast-1", Access::Default, "Singapore"),
    region("ap-southeast-2", Access::Default, "Australia"),
    region("ap-southeast-3", Access::OptIn, "Indonesia"),
    region("ap-southeast-4", Access::OptIn, "Australia"),
    region("ap-southeast-5", Access::OptIn, "Malaysia"),
    region("ap-southeast-6", Access::OptIn, "New Zealand"),
    region("ap-southeast-7", Access::OptIn, "Thailand"),
    region("ca-central-1", Access::Default, "Canada"),
    region("ca-west-1", Access::OptIn, "Canada"),
    region("eu-central-1", Access::Default, "Germany"),
    region("eu-central-2", Access::OptIn, "Switzerland"),
    region("eu-north-1", Access::Default, "Sweden"),
    region("eu-south-1", Access::OptIn, "Italy"),
    region("eu-south-2", Access::OptIn, "Spain"),
    region("eu-west-1", Access::Default, "Ireland"),
    region("eu-west-2", Access::Default, "United Kingdom"),
    region("eu-west-3", Access::Default, "France"),
    region("il-central-1", Access::OptIn, "Israel"),
    region("me-central-1", Access::OptIn, "United Arab Emirates"),
    region("me-south-1", Access::OptIn, "Bahrain"),
    region("mx-central-1", Access::OptIn, "Mexico"),
    region("sa-east-1", Access::Default, "Brazil"),
    region("us-east-1", Access::Default, "United States of America"),
    region("us-east-2", Access::Default, "United States of America"),
    region("us-west-1", Access::Default, "United States of America"),
    region("us-west-2", Access::Default, "United States of America"),
    apart("cn-north-1"),
    apart("cn-northwest-1"),
    apart("us-gov-east-1"),
    apart("us-gov-west-1"),
];

const NOT_OPTED_IN: &str = "not-opted-in";

impl Region {
    fn endpoint(&self) -> String {
        format!("ec2.{}.{}", self.name, dns_suffix(self.name))
    }

    /// The sandbox has no call that enables a Region: whoever calls there, or has something there, is taken to have it.
    fn status(&self, tx: &Tx, call: &Call) -> &'static str {
        let here = call.scope.region == self.name;
        // All that stands in a Region needs a VPC there, but for launch templates.
        let scopes =
            || tx.vpcs.values().map(|vpc| &vpc.scope).chain(tx.launch_templates.values().map(|t| &t.scope));
        let used = || scopes().any(|s| s.account == call.scope.account && s.region == self.name);
        match self.access {
            Access::Default => "opt-in-not-required",
            Access::OptIn if here || used() => "opted-in",
            Access::OptIn => NOT_OPTED_IN,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeRegions {
    #[serde(default)]
    region_names: Vec<String>,
    #[serde(default)]
    all_regions: bool,
    #[serde(default)]
    filters: Filters,
}

pub(super) fn describe_regions(tx: &mut Tx, call: &Call) -> Reply {
    let input: DescribeRegions = call.input()?;
    input.filters.check(&["endpoint", "opt-in-status", "region-name"], false)?;
    let there = || REGIONS.iter().filter(|region| partition(region.name) == call.partition());
    let unknown = |name: &&String| !there().any(|region| region.name == name.as_str());
    // The first by the alphabet. AWS's words: <https://github.com/awslabs/amazon-s3-tar-tool/pull/7>.
    if let Some(name) = input.region_names.iter().filter(unknown).min() {
        return Err(ApiError::new("InvalidParameterValue", format!("Invalid region: [{name}]")));
    }
    let named = |region: &Region| input.region_names.iter().any(|name| name == region.name);
    let shown: Vec<Value> = there()
        .map(|region| (region, region.status(tx, call)))
        .filter(|(region, status)| {
            if input.region_names.is_empty() {
                input.all_regions || *status != NOT_OPTED_IN
            } else {
                // What is named is shown, whether the account has it or not.
                named(region)
            }
        })
        .filter(|(region, status)| {
            input.filters.matches(tx, call, "", |field| match field {
                "endpoint" => one(region.endpoint()),
                "opt-in-status" => one(status),
                _ => one(region.name),
            })
        })
        .map(|(region, status)| {
            json!({
                "RegionName": region.name,
                "Endpoint": region.endpoint(),
                "OptInStatus": status,
                "Geography": region.geography.map(|name| json!([{"Name": name}])),
            })
        })
        .collect();
    Ok(json!({"Regions": shown}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::world::ids;

    #[test]
    fn the_table_is_in_order_and_has_the_default_worlds_regions() {
        let count = |of: &str| REGIONS.iter().filter(|region| partition(region.name) == of).count();
        assert_eq!((count("aws"), count("aws-cn"), count("aws-us-gov")), (34, 2, 2));
        for of in ["aws", "aws-cn", "aws-us-gov"] {
            let names: Vec<&str> =
                REGIONS.iter().map(|region| region.name).filter(|name| partition(name) == of).collect();
            assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
        }
        for name in ids::REGIONS {
            let found = REGIONS.iter().find(|region| region.name == name).unwrap();
            assert!(found.access == Access::Default, "{name} has networks without being asked for");
        }
        assert_eq!(REGIONS.iter().filter(|region| region.access == Access::OptIn).count(), 17);
    }
}
