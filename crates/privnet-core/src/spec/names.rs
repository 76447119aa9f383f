//! Names that the user makes up, and DNS names.

use super::text::{TextProblem, lower_alnum, text_type};

text_type!(
    /// The unit of ownership: everything that privnet makes is marked with it.
    DeploymentName,
    "a deployment name",
    Some("^[a-z][a-z0-9-]{1,23}$"),
    "data-platform",
    |text| slug(text, 2, 24)
);

text_type!(
    /// A service's name within its deployment.
    ServiceName,
    "a service name",
    Some("^[a-z][a-z0-9-]{0,62}$"),
    "orders-rds",
    |text| slug(text, 1, 63)
);

text_type!(
    /// A consumer's name: a preset's, or one that the file defines.
    ConsumerName,
    "a consumer name",
    Some("^[a-z][a-z0-9-]{0,62}$"),
    "fivetran",
    |text| slug(text, 1, 63)
);

text_type!(
    /// A DNS name, in lower case and without a final dot (RFC 1123).
    HostName,
    "a DNS name",
    Some("^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\\.?$"),
    "orders.corp.example",
    host_name
);

fn slug(text: &str, min: usize, max: usize) -> Result<String, TextProblem> {
    if text.len() < min || text.len() > max {
        return Err(TextProblem::new(format!("must have {min} to {max} characters")));
    }
    if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err(TextProblem::new("must begin with a lower-case letter, a to z"));
    }
    if let Some(bad) = text.chars().find(|c| !lower_alnum(*c) && *c != '-') {
        return Err(TextProblem::new(format!(
            "has {bad:?}; only lower-case letters (a to z), digits and hyphens may be used"
        )));
    }
    Ok(text.to_owned())
}

fn host_name(text: &str) -> Result<String, TextProblem> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.is_empty() || name.len() > 253 {
        return Err(TextProblem::new("must have 1 to 253 characters"));
    }
    if name.parse::<std::net::IpAddr>().is_ok() {
        return Err(TextProblem::new("is an address, not a name"));
    }
    for label in name.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err(TextProblem::new("has a label that is empty or longer than 63 characters"));
        }
        // Underscores are no host names, yet private zones use them.
        if let Some(bad) = label.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-' && *c != '_') {
            return Err(TextProblem::new(format!("has {bad:?}")));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(TextProblem::new("has a label that begins or ends with a hyphen"));
        }
    }
    Ok(name.to_ascii_lowercase())
}
