//! Names that can be derived again: `pn-<slug>-<hash8(deployment, address)>-<a|b>`.
//!
//! Settings are never hashed into a name: the same address has the same two names for ever, so that a run that was
//! interrupted finds what the last one made.

use sha2::{Digest, Sha256};

use crate::resource::{Address, Generation};

/// What an API allows in a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameRule {
    /// The most characters. At least 20: prefix, hash and generation need 15.
    pub max: usize,
}

/// The first eight hexadecimal digits of a SHA-256 over the parts, each ended by a zero byte.
#[must_use]
pub fn hash8(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    let digest = hasher.finalize();
    digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// The name of the resource at `address` in this generation: lower-case letters, digits and single hyphens, a letter
/// first, a letter or digit last, which all three clouds accept for every kind that privnet makes.
#[must_use]
pub fn derived(deployment: &str, address: &Address, generation: Generation, rule: NameRule) -> String {
    let hash = hash8(&[deployment, &address.service, &address.kind, &address.name]);
    let room = rule.max.saturating_sub("pn-".len() + "-".len() + hash.len() + "-a".len());
    let slug = slug(&address.service, room);
    let generation = generation.letter();
    if slug.is_empty() { format!("pn-{hash}-{generation}") } else { format!("pn-{slug}-{hash}-{generation}") }
}

fn slug(text: &str, room: usize) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(room);
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_and_tells_apart() {
        let rule = NameRule { max: 32 };
        let address = Address::new("a-very-long-service-name-indeed-it-is", "target-group", "5432");
        let a = derived("data-platform", &address, Generation::A, rule);
        let b = derived("data-platform", &address, Generation::B, rule);
        let other = derived("data-platform2", &address, Generation::A, rule);
        assert_eq!(a.len(), 32);
        assert!(a.starts_with("pn-a-very-long-servic"), "{a}");
        assert_eq!(a[..31], b[..31]);
        assert_ne!(a[..31], other[..31]);
        let short = derived("d", &Address::new("x", "k", "n"), Generation::B, rule);
        assert!(short.starts_with("pn-x-") && short.ends_with("-b") && !short.contains("--"), "{short}");
    }
}
