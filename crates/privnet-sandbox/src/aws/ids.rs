//! Ids and ARNs in the forms that AWS gives them.

use rand::RngExt;

/// A fresh EC2 id: the prefix, a hyphen, and 17 hex digits that begin with 0, as all of today's do.
pub(crate) fn fresh(prefix: &str) -> String {
    format!("{prefix}-0{}", hex(16))
}

/// Random lower-case hex digits.
pub(crate) fn hex(digits: usize) -> String {
    let mut rng = rand::rng();
    (0..digits).map(|_| char::from_digit(rng.random_range(0..16), 16).unwrap_or('0')).collect()
}

/// The partition of a region: the second part of its ARNs.
pub(crate) fn partition(region: &str) -> &'static str {
    if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else if region.starts_with("cn-") {
        "aws-cn"
    } else {
        "aws"
    }
}

/// The domain that a region's names end in.
pub(crate) fn dns_suffix(region: &str) -> &'static str {
    if partition(region) == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" }
}

/// An ARN of that service in a region and account.
pub(crate) fn arn(service: &str, region: &str, account: &str, resource: &str) -> String {
    format!("arn:{}:{service}:{region}:{account}:{resource}", partition(region))
}

/// Whether an id has the form `prefix-` and 8 or 17 hex digits; anything else is `Malformed`, not missing.
pub(crate) fn well_formed(id: &str, prefix: &str) -> bool {
    id.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')).is_some_and(|rest| {
        matches!(rest.len(), 8 | 17) && rest.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_real_form() {
        let id = fresh("vpce-svc");
        assert_eq!(id.len(), "vpce-svc-".len() + 17);
        assert!(well_formed(&id, "vpce-svc"));
        assert!(!well_formed(&id, "vpce"));
        assert!(!well_formed("sg-12", "sg"));
        assert_ne!(fresh("sg"), fresh("sg"));
        assert_eq!(arn("ec2", "us-gov-west-1", "1", "vpc/v"), "arn:aws-us-gov:ec2:us-gov-west-1:1:vpc/v");
        assert_eq!(dns_suffix("cn-north-1"), "amazonaws.com.cn");
    }
}
