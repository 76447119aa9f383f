//! Rules of texts that become plain values: ranges, addresses, tags, paths.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::text::{Text, TextProblem, TextRule};

impl Text for IpNet {
    const RULE: TextRule = TextRule {
        what: "an address range",
        pattern: Some("^[0-9A-Fa-f:.]+/[0-9]{1,3}$"),
        example: "10.0.0.0/8",
        check: |text| Self::parse_text(text).map(|_| ()),
    };

    fn parse_text(text: &str) -> Result<Self, TextProblem> {
        let Ok(range) = text.parse::<Self>() else {
            let problem = TextProblem::new("does not look like `10.0.0.0/8`");
            return Err(match text.parse::<IpAddr>() {
                Ok(address) => problem.hint(format!("for one address write `{}`", Self::from(address))),
                Err(_) => problem,
            });
        };
        if range.addr() != range.network() {
            return Err(TextProblem::new("has bits set beyond its prefix")
                .hint(format!("is `{}` meant?", range.trunc())));
        }
        Ok(range)
    }
}

impl Text for Ipv4Net {
    const RULE: TextRule = TextRule {
        what: "an IPv4 range",
        pattern: Some("^[0-9.]+/[0-9]{1,2}$"),
        example: "10.8.0.0/24",
        check: |text| Self::parse_text(text).map(|_| ()),
    };

    fn parse_text(text: &str) -> Result<Self, TextProblem> {
        match <IpNet as Text>::parse_text(text)? {
            IpNet::V4(range) => Ok(range),
            IpNet::V6(_) => Err(TextProblem::new("is an IPv6 range")),
        }
    }
}

/// The range of a subnet for NAT addresses. The clouds keep some addresses of each subnet; /29 is the smallest
/// that both Azure and GCP make.
pub(super) const NAT_RANGE: TextRule = TextRule {
    what: "the IPv4 range of a subnet",
    pattern: <Ipv4Net as Text>::RULE.pattern,
    example: "10.8.0.0/24",
    check: |text| {
        let range = <Ipv4Net as Text>::parse_text(text)?;
        if !(8..=29).contains(&range.prefix_len()) {
            return Err(TextProblem::new("must be between /8 and /29 in size"));
        }
        if !is_private(IpAddr::V4(range.network())) || !is_private(IpAddr::V4(range.broadcast())) {
            return Err(TextProblem::new("is not a private range"));
        }
        Ok(())
    },
};

/// An address that a packet can be sent to privately.
pub(super) const TARGET_ADDRESS: TextRule = TextRule {
    what: "a private address",
    pattern: Some("^[0-9A-Fa-f:.]+$"),
    example: "10.0.3.17",
    check: |text| target_address(text).map(|_| ()),
};

/// An IPv4 address of a load balancer.
pub(super) const ADDRESS_OR_AUTO: TextRule = TextRule {
    what: "a private IPv4 address or `auto`",
    pattern: Some("^(auto|[0-9.]+)$"),
    example: "auto",
    check: |text| {
        if text == "auto" {
            return Ok(());
        }
        if text.parse::<Ipv4Addr>().is_err() {
            return Err(TextProblem::new("does not look like `10.0.0.5`"));
        }
        target_address(text).map(|_| ())
    },
};

/// Who answers for names: `system`, or an address.
pub(super) const RESOLVER: TextRule = TextRule {
    what: "a resolver",
    pattern: Some("^(system|[0-9A-Fa-f:.]+)$"),
    example: "system",
    check: |text| match text {
        "system" => Ok(()),
        _ => NAME_SERVER_CHECK(text),
    },
};

/// The address of a name server.
pub(super) const NAME_SERVER: TextRule = TextRule {
    what: "the address of a name server",
    pattern: Some("^[0-9A-Fa-f:.]+$"),
    example: "10.0.0.2",
    check: NAME_SERVER_CHECK,
};

const NAME_SERVER_CHECK: fn(&str) -> Result<(), TextProblem> = |text| match text.parse::<IpAddr>() {
    Ok(address) if !address.is_unspecified() && !address.is_multicast() => Ok(()),
    Ok(_) => Err(TextProblem::new("cannot be asked")),
    Err(_) => Err(TextProblem::new("is neither `system` nor an address")),
};

/// The path of an HTTP health check.
pub(super) const HTTP_PATH: TextRule = TextRule {
    what: "a path",
    pattern: Some("^/[!-~]{0,1023}$"),
    example: "/health",
    check: |text| {
        if !text.starts_with('/') {
            return Err(TextProblem::new("must begin with `/`"));
        }
        if text.len() > 1024 || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(TextProblem::new("has a space or control character, or more than 1024 characters"));
        }
        Ok(())
    },
};

/// A tag's key, as far as it is the same in all clouds.
pub(super) const TAG_KEY: TextRule = TextRule {
    what: "a tag's key",
    pattern: Some("^.{1,128}$"),
    example: "cost-center",
    check: |text| {
        let lower = text.to_ascii_lowercase();
        if text.is_empty() || text.chars().count() > 128 || text.contains(char::is_control) {
            return Err(TextProblem::new("must have 1 to 128 characters in one line"));
        }
        if lower.starts_with("aws:") {
            return Err(TextProblem::new("begins with `aws:`, which AWS keeps for itself"));
        }
        if ["microsoft", "azure", "windows"].iter().any(|word| lower.starts_with(word)) {
            return Err(TextProblem::new("begins with a word that Azure keeps for itself"));
        }
        if lower.starts_with("privnet") {
            return Err(TextProblem::new("begins with `privnet`, which marks what privnet owns"));
        }
        Ok(())
    },
};

/// A tag's value, as far as it is the same in all clouds.
pub(super) const TAG_VALUE: TextRule = TextRule {
    what: "a tag's value",
    pattern: Some("^.{0,256}$"),
    example: "4711",
    check: |text| {
        if text.chars().count() > 256 || text.contains(char::is_control) {
            return Err(TextProblem::new("must have at most 256 characters in one line"));
        }
        Ok(())
    },
};

/// The name of a preset; whether there is one is another question.
pub(super) const PRESET_NAME: TextRule = TextRule {
    what: "the name of a preset",
    pattern: Some("^[a-z][a-z0-9-]*$"),
    example: "fivetran",
    check: |text| <super::ConsumerName as Text>::parse_text(text).map(|_| ()),
};

/// The id of an endpoint that the vendor gave; each cloud has its own form.
pub(super) const ENDPOINT: TextRule = TextRule {
    what: "the id of an endpoint",
    pattern: Some("^[!-~]+$"),
    example: "vpce-0123456789abcdef0",
    check: |text| {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(TextProblem::new("must be one word"));
        }
        Ok(())
    },
};

/// An AWS image: an AMI id, or a Systems Manager parameter by its name in the form that launch templates take
/// (<https://docs.aws.amazon.com/autoscaling/ec2/userguide/using-systems-manager-parameters.html>).
pub(super) const AWS_IMAGE: TextRule = TextRule {
    what: "an AMI id or a Systems Manager parameter",
    pattern: Some("^(ami-([0-9a-f]{8}|[0-9a-f]{17})|resolve:ssm:[A-Za-z0-9_./:-]{1,1024})$"),
    example: "resolve:ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
    check: |text| {
        if let Some(parameter) = text.strip_prefix("resolve:ssm:") {
            let ok = |c: char| c.is_ascii_alphanumeric() || "_./:-".contains(c);
            if parameter.len() > 1024 || !super::text::all(parameter, ok) {
                return Err(TextProblem::new(
                    "does not name a parameter like `resolve:ssm:/images/forwarder`",
                ));
            }
            return Ok(());
        }
        let hex = text.strip_prefix("ami-").unwrap_or("");
        if !matches!(hex.len(), 8 | 17) || !hex.chars().all(super::text::lower_hex) {
            return Err(TextProblem::new(
                "must be an AMI id like `ami-0123456789abcdef0`, or a parameter like `resolve:ssm:/images/forwarder`",
            ));
        }
        Ok(())
    },
};

/// An Azure image: a resource id, or `publisher:offer:sku:version`.
pub(super) const AZURE_IMAGE: TextRule = TextRule {
    what: "an Azure image",
    pattern: Some("^(/[^\\s]+|[^\\s:/]+:[^\\s:/]+:[^\\s:/]+:[^\\s:/]+)$"),
    example: "Canonical:ubuntu-24_04-lts:server:latest",
    check: |text| {
        if text.starts_with('/') {
            return <super::azure_ids::ArmId as Text>::parse_text(text).map(|_| ());
        }
        let parts: Vec<&str> = text.split(':').collect();
        let ok = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if parts.len() != 4 || !parts.iter().all(|part| super::text::all(part, ok)) {
            return Err(TextProblem::new("must be a resource id or `publisher:offer:sku:version`"));
        }
        Ok(())
    },
};

/// A GCP image or image family by its path.
pub(super) const GCP_IMAGE: TextRule = TextRule {
    what: "a GCP image",
    pattern: Some("^(https://.+/)?projects/[^/\\s]+/global/images/(family/)?[^/\\s]+$"),
    example: "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64",
    check: |text| {
        let path = text.find("projects/").map_or("", |at| &text[at..]);
        let parts: Vec<&str> = path.split('/').collect();
        let name = match parts.as_slice() {
            ["projects", project, "global", "images", name]
            | ["projects", project, "global", "images", "family", name]
                if !project.is_empty() =>
            {
                name
            }
            _ => {
                return Err(TextProblem::new(
                    "must be of the form `projects/PROJECT/global/images/NAME` or `…/images/family/NAME`",
                ));
            }
        };
        <super::gcp_ids::GcpName as Text>::parse_text(name).map(|_| ())
    },
};

/// Parses an address that a target may have.
///
/// Private means the ranges that load balancers take for addresses: RFC 1918, RFC 6598, and for IPv6 whatever
/// is unicast and routable, since virtual networks use global IPv6 addresses too.
pub(super) fn target_address(text: &str) -> Result<IpAddr, TextProblem> {
    let Ok(address) = text.parse::<IpAddr>() else {
        let name = <super::HostName as Text>::parse_text(text).is_ok();
        let problem = TextProblem::new("does not look like `10.0.3.17`");
        return Err(if name && text.contains(char::is_alphabetic) {
            problem.hint("a name goes under `dns`")
        } else {
            problem
        });
    };
    let special = address.is_loopback() || address.is_unspecified() || address.is_multicast();
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.to_ipv4_mapped().is_some(),
    };
    if special || link_local {
        return Err(TextProblem::new("is an address that nothing can be reached at from outside its host"));
    }
    if !is_private(address) {
        return Err(TextProblem::new("is a public address")
            .hint("a private path needs a private address of the database"));
    }
    Ok(address)
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && (v4.octets()[1] & 0b1100_0000) == 64;
            v4.is_private() || shared
        }
        IpAddr::V6(_) => true,
    }
}
