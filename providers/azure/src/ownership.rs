//! Whose a thing is: the tags that prove it, and the user's tags that privnet keeps.
//!
//! A tag that the user takes out of the file must go from the cloud, and a tag that somebody else set (Azure Policy does) must
//! stay. So the keys of the tags that privnet manages are themselves in a tag. Tag names match without case on Azure, at most
//! 50 of them with values of at most 256 characters
//! (<https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources>).

use std::collections::BTreeMap;

use privnet_core::name::{self, NameRule};
use privnet_core::{Address, Generation, Ownership};

/// The tags of one resource.
pub(crate) type Tags = BTreeMap<String, String>;

const PREFIX: &str = "privnet:";
const DEPLOYMENT: &str = "privnet:deployment";
const SERVICE: &str = "privnet:service";
const KIND: &str = "privnet:kind";
const NAME: &str = "privnet:name";
const GENERATION: &str = "privnet:generation";
const KEYS: &str = "privnet:tags";
/// The most tags of one resource.
const MOST_TAGS: usize = 50;
/// The most characters of a tag's value.
const LONGEST_VALUE: usize = 256;
/// The names that every kind takes: scale sets allow 64 characters, the rest 80.
const NAMES: NameRule = NameRule { max: 60 };

/// The name in the cloud of a resource.
pub(crate) fn cloud_name(deployment: &str, address: &Address, generation: Generation) -> String {
    name::derived(deployment, address, generation, NAMES)
}

/// Which of its two names a resource has, if this is one.
pub(crate) fn generation_of(deployment: &str, address: &Address, name: &str) -> Option<Generation> {
    [Generation::A, Generation::B]
        .into_iter()
        .find(|g| cloud_name(deployment, address, *g).eq_ignore_ascii_case(name))
}

/// The service that a derived name has in clear, where it is short enough to stand there whole: of what has no tags and whose service
/// no other thing names any more. Only [`generation_of`] proves that it is one.
pub(crate) fn service_in(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let (rest, _generation) = name.strip_prefix("pn-")?.rsplit_once('-')?;
    Some(rest.rsplit_once('-')?.0.to_owned())
}

/// Whose a thing is, as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) address: Address,
    pub(crate) generation: Generation,
    pub(crate) ownership: Ownership,
}

/// Whose the thing of this name and these tags is: ours by name and proof; unproven where it only has the name of one of
/// `addresses`; nothing where it does not concern this deployment.
pub(crate) fn claim(deployment: &str, name: &str, tags: &Tags, addresses: &[Address]) -> Option<Claim> {
    if let Some(address) = proof(tags, deployment)
        && let Some(generation) = generation_of(deployment, &address, name)
    {
        return Some(Claim { address, generation, ownership: Ownership::Ours });
    }
    addresses.iter().find_map(|address| {
        let generation = generation_of(deployment, address, name)?;
        let ownership = unproven(tags);
        Some(Claim { address: address.clone(), generation, ownership })
    })
}

/// What the tags prove for this deployment; nothing where they are incomplete or another deployment's.
fn proof(tags: &Tags, deployment: &str) -> Option<Address> {
    if get(tags, DEPLOYMENT)? != deployment {
        return None;
    }
    Some(Address::new(get(tags, SERVICE)?, get(tags, KIND)?.to_owned(), get(tags, NAME)?))
}

/// Why these tags are no proof, in words.
pub(crate) fn why_not(tags: &Tags) -> String {
    let (why, mend) = instead(tags);
    format!(
        "{why}: {}",
        mend.as_deref().unwrap_or("rename or delete it, or give this deployment another name")
    )
}

/// Whose a thing of our name is that these tags do not prove ours.
fn unproven(tags: &Tags) -> Ownership {
    let (why, mend) = instead(tags);
    Ownership::Unproven { why, mend }
}

/// What the tags say instead, and what to do about that, where it is not the name or the proof alone.
fn instead(tags: &Tags) -> (String, Option<String>) {
    let Some(deployment) = get(tags, DEPLOYMENT) else {
        return ("it has none of privnet's tags".to_owned(), None);
    };
    let service = get(tags, SERVICE).unwrap_or_default();
    let why = format!("its tags name the service `{service}` of the deployment `{deployment}`");
    let mend =
        "where that is a service that this file no longer lists, `--prune` or its tombstone takes it down";
    (why, Some(mend.to_owned()))
}

/// The tag of this name, whatever its case.
pub(crate) fn get<'a>(tags: &'a Tags, name: &str) -> Option<&'a str> {
    tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// All tags of a resource that is made or changed: what somebody else set, proof, and the user's.
pub(crate) fn all_tags(
    there: &Tags,
    deployment: &str,
    address: &Address,
    generation: Generation,
    user: &Tags,
) -> Tags {
    let managed = managed_keys(there);
    let is_managed = |key: &String| managed.iter().any(|k| k.eq_ignore_ascii_case(key));
    let mut tags: Tags = there
        .iter()
        .filter(|(key, _)| !key.to_lowercase().starts_with(PREFIX) && !is_managed(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    // Two spellings of one tag would be refused.
    tags.retain(|key, _| !user.keys().any(|mine| mine.eq_ignore_ascii_case(key)));
    tags.extend(user.clone());
    let letter = generation.letter().to_string();
    for (key, value) in [
        (DEPLOYMENT, deployment),
        (SERVICE, &address.service),
        (KIND, &address.kind),
        (NAME, &address.name),
        (GENERATION, &letter),
    ] {
        tags.insert(key.to_owned(), value.to_owned());
    }
    tags.extend(key_tags(user));
    tags
}

/// The user's tags that privnet set here and that are still there.
pub(crate) fn managed_tags(tags: &Tags) -> Tags {
    managed_keys(tags)
        .into_iter()
        .filter_map(|key| Some((key.clone(), get(tags, &key)?.to_owned())))
        .collect()
}

/// Why these tags of the user's cannot be set, if they cannot.
pub(crate) fn unsuitable(user: &Tags) -> Option<String> {
    if let Some(key) = user.keys().find(|key| key.to_lowercase().starts_with(PREFIX)) {
        return Some(format!("the tag name `{key}` is reserved"));
    }
    if let Some(key) = user.keys().find(|key| key.contains(['<', '>', '%', '&', '\\', '?', '/'])) {
        return Some(format!("Azure does not allow the tag name `{key}`: it must not have any of <>%&\\?/"));
    }
    // Five of proof, two of the forwarder's, and the lists of keys.
    let own = 7 + key_tags(user).len();
    let most = MOST_TAGS.saturating_sub(own);
    (user.len() > most)
        .then(|| format!("Azure allows {MOST_TAGS} tags; privnet needs {own}, so at most {most} remain"))
}

/// The tags that hold the keys: separated by spaces, in pieces that fit.
fn key_tags(user: &Tags) -> Tags {
    let mut pieces: Vec<String> = Vec::new();
    for key in user.keys().map(|key| key.replace('@', "@40").replace(' ', "@20")) {
        match pieces.last_mut() {
            Some(piece) if piece.chars().count() + 1 + key.chars().count() <= LONGEST_VALUE => {
                piece.push(' ');
                piece.push_str(&key);
            }
            _ => pieces.push(key),
        }
    }
    let named = |index: usize| if index == 0 { KEYS.to_owned() } else { format!("{KEYS}-{}", index + 1) };
    pieces.into_iter().enumerate().map(|(index, piece)| (named(index), piece)).collect()
}

fn managed_keys(tags: &Tags) -> Vec<String> {
    let is_list = |key: &str| key == KEYS || key.starts_with("privnet:tags-");
    let pieces = tags.iter().filter(|(key, _)| is_list(&key.to_lowercase()));
    let keys = pieces.flat_map(|(_, piece)| piece.split(' ').filter(|key| !key.is_empty()));
    keys.map(|key| key.replace("@20", " ").replace("@40", "@")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(entries: &[(&str, &str)]) -> Tags {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn address() -> Address {
        Address::new("orders", "load-balancer", "main")
    }

    #[test]
    fn what_is_written_is_proof_and_gives_the_users_tags_back() {
        let user = tags(&[("cost center", "4711"), ("mail", "a@b")]);
        let all = all_tags(&Tags::new(), "data", &address(), Generation::B, &user);
        let name = cloud_name("data", &address(), Generation::B);
        let ours = claim("data", &name, &all, &[]).unwrap();
        assert_eq!(
            (ours.address, ours.generation, ours.ownership),
            (address(), Generation::B, Ownership::Ours)
        );
        assert_eq!(claim("data", "another-name", &all, &[]), None, "proof without the name");
        assert_eq!(claim("data2", &name, &all, &[]), None, "another deployment's");
        assert_eq!(managed_tags(&all), user);
        let bare = claim("data", &name, &Tags::new(), &[address()]).unwrap();
        assert!(matches!(bare.ownership, Ownership::Unproven { .. }));
    }

    #[test]
    fn a_name_gives_its_service_back_where_it_has_room_for_it() {
        let subnet = |service: &str| Address::new(service, "nat-subnet", "main");
        for service in ["orders", "orders-eu", "o"] {
            let name = cloud_name("data", &subnet(service), Generation::A);
            assert_eq!(service_in(&name).as_deref(), Some(service), "{name}");
        }
        for other in ["default", "pn-", "pn-x", "snet-orders-0a1b2c3d-a"] {
            assert!(service_in(other).is_none_or(|s| generation_of("data", &subnet(&s), other).is_none()));
        }
        let long = "o".repeat(120);
        let name = cloud_name("data", &subnet(&long), Generation::A);
        assert!(service_in(&name).is_none_or(|s| generation_of("data", &subnet(&s), &name).is_none()));
    }

    #[test]
    fn others_tags_stay_and_what_left_the_file_goes() {
        let mut there =
            all_tags(&Tags::new(), "data", &address(), Generation::A, &tags(&[("a", "1"), ("b", "2")]));
        there.insert("policy".to_owned(), "x".to_owned());
        let next = all_tags(&there, "data", &address(), Generation::A, &tags(&[("A", "3")]));
        assert_eq!(get(&next, "a"), Some("3"));
        assert_eq!((get(&next, "b"), get(&next, "policy")), (None, Some("x")));
        assert_eq!(managed_tags(&next), tags(&[("A", "3")]));
        assert_eq!(next.keys().filter(|key| key.eq_ignore_ascii_case("a")).count(), 1);
    }

    #[test]
    fn many_long_keys_are_listed_in_pieces_and_too_many_are_refused() {
        let user: Tags = (0..38).map(|i| (format!("a-rather-long-key-{i:04}"), "v".to_owned())).collect();
        let all = all_tags(&Tags::new(), "data", &address(), Generation::A, &user);
        assert!(all.len() <= MOST_TAGS && all.values().all(|value| value.chars().count() <= LONGEST_VALUE));
        assert_eq!(managed_tags(&all), user);
        assert_eq!(unsuitable(&user), None);
        let more: Tags = (0..44).map(|i| (format!("k{i}"), String::new())).collect();
        assert!(unsuitable(&more).is_some());
        assert!(unsuitable(&tags(&[("a/b", "")])).is_some());
        assert!(unsuitable(&tags(&[("Privnet:x", "")])).is_some());
    }
}
