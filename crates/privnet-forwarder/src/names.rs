//! Which DNS names a forwarder can follow.

/// Checks a destination's name, and gives why it is not one.
///
/// The agent asks for exactly this name: it knows no search domains and no hosts file, so a name must be whole.
/// Lengths are those of RFC 1035, section 2.3.4; underscores are allowed because private zones use them.
pub(crate) fn check(name: &str) -> Result<(), &'static str> {
    let bare = name.strip_suffix('.').unwrap_or(name);
    if bare.is_empty() {
        return Err("it is empty");
    }
    if bare.len() > 253 {
        return Err("it is longer than 253 characters");
    }
    if bare.parse::<std::net::IpAddr>().is_ok() {
        return Err("it is an address, not a name");
    }
    if !bare.contains('.') {
        return Err("it has one label only");
    }
    for label in bare.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err("a label has 1 to 63 characters");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err("a label neither begins nor ends with a hyphen");
        }
        if !label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err("labels are of letters, digits, hyphens and underscores");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn whole_names_pass() {
        for name in [
            "db.corp.example",
            "db.corp.example.",
            "a-b.c_d.e",
            "orders.cluster-abc.us-east-1.rds.amazonaws.com",
        ] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn what_dns_cannot_hold_is_refused() {
        let long = format!("{}.x", "a".repeat(64));
        let longer = "abc.".repeat(70);
        for name in [
            "", ".", "db", "10.0.0.1", "a..b", "-a.b", "a-.b", "a b.c", "a.b\n", "ä.b", "$(x).b", &long,
            &longer,
        ] {
            assert!(check(name).is_err(), "{name:?}");
        }
    }
}
