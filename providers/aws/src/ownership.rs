//! Whose a thing is: the tags that prove it, and the user's tags that privnet keeps.
//!
//! A tag that the user takes out of the file must go from the cloud, and a tag that somebody else set must stay. So the keys of
//! the tags that privnet manages are themselves in a tag.

use std::collections::BTreeMap;

use privnet_core::name::{self, NameRule};
use privnet_core::{Address, Generation, Ownership};

/// The tags of one resource.
pub(crate) type TagMap = BTreeMap<String, String>;

/// The prefix of privnet's own tags.
const PREFIX: &str = "privnet:";
const DEPLOYMENT: &str = "privnet:deployment";
const SERVICE: &str = "privnet:service";
const KIND: &str = "privnet:kind";
/// The tag that tells which of its kind within the service it is; of a listener, the port.
pub(crate) const NAME: &str = "privnet:name";
const GENERATION: &str = "privnet:generation";
/// The keys of the managed user tags; goes on in `privnet:tags-2` and so on.
const KEYS: &str = "privnet:tags";
/// The name that consoles show.
const SHOWN_NAME: &str = "Name";

/// The most tags of one resource, on every API used here
/// (<https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html>).
const MOST_TAGS: usize = 50;
/// The most characters of a tag's value.
const LONGEST_VALUE: usize = 256;

/// The names that EC2 and Elastic Load Balancing take: 32 characters for load balancers and target groups, the same
/// elsewhere so that they read alike.
pub(crate) const NAMES: NameRule = NameRule { max: 32 };

/// What a resource's tags prove: that this deployment made it, as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    /// As what.
    pub(crate) address: Address,
    /// Which of its two names it was made under.
    pub(crate) generation: Generation,
}

/// The name in the cloud of a resource.
pub(crate) fn cloud_name(deployment: &str, address: &Address, generation: Generation) -> String {
    name::derived(deployment, address, generation, NAMES)
}

/// What the tags prove for this deployment; nothing where they are incomplete or another deployment's.
pub(crate) fn proof(tags: &TagMap, deployment: &str) -> Option<Proof> {
    if tags.get(DEPLOYMENT)? != deployment {
        return None;
    }
    let address = Address::new(tags.get(SERVICE)?, tags.get(KIND)?, tags.get(NAME)?);
    Some(Proof { address, generation: Generation::from_letter(tags.get(GENERATION)?)? })
}

/// What the tags prove for another deployment, with its name.
pub(crate) fn of_another<'a>(tags: &'a TagMap, deployment: &str) -> Option<(&'a str, Proof)> {
    let other = tags.get(DEPLOYMENT).filter(|other| *other != deployment)?;
    Some((other, proof(tags, other)?))
}

/// What the tags prove, where the name is also the one that follows from it: only that is privnet's to change or delete.
pub(crate) fn proof_under_name(tags: &TagMap, deployment: &str, name: &str) -> Option<Proof> {
    proof(tags, deployment).filter(|proof| cloud_name(deployment, &proof.address, proof.generation) == name)
}

/// The same by the name that consoles show.
pub(crate) fn proof_under_shown_name(tags: &TagMap, deployment: &str) -> Option<Proof> {
    proof_under_name(tags, deployment, tags.get(SHOWN_NAME)?)
}

/// What the tags prove, where the shown name is the one that follows from them, or the user's own: of what has no name. Tags alone
/// can be copied.
pub(crate) fn proof_as_shown(tags: &TagMap, deployment: &str) -> Option<Proof> {
    let is_users = managed_tags(tags).contains_key(SHOWN_NAME);
    proof_under_shown_name(tags, deployment).or_else(|| proof(tags, deployment).filter(|_| is_users))
}

/// The names that this deployment would use, so that somebody else's things under them are noticed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(BTreeMap<String, (Address, Generation)>);

impl Names {
    /// Both names of each address.
    pub(crate) fn new(deployment: &str, addresses: impl IntoIterator<Item = Address>) -> Self {
        let both = |address: Address| {
            [Generation::A, Generation::B]
                .map(|g| (cloud_name(deployment, &address, g), (address.clone(), g)))
        };
        Self(addresses.into_iter().flat_map(both).collect())
    }

    /// The names of the addresses of one kind.
    pub(crate) fn of_kind(&self, kind: &str) -> std::collections::BTreeSet<String> {
        let named = self.0.iter().filter(|(_, (address, _))| address.kind == kind);
        named.map(|(name, _)| name.clone()).collect()
    }

    /// Whose the thing of this name and these tags is; nothing where it does not concern this deployment.
    pub(crate) fn claim(&self, deployment: &str, name: &str, tags: &TagMap) -> Option<Claim> {
        if let Some(proof) = proof_under_name(tags, deployment, name) {
            return Some(Claim {
                address: proof.address,
                generation: proof.generation,
                ownership: Ownership::Ours,
            });
        }
        let (address, generation) = self.0.get(name)?;
        // Its name is that of something of this file: whatever its tags say, no file takes it down by them.
        let mend = mend(tags, deployment, (address, Some(*generation)), |_| true);
        let ownership = Ownership::Unproven { why: shown(tags), mend };
        Some(Claim { address: address.clone(), generation: *generation, ownership })
    }
}

/// Whose a thing is, as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// As what.
    pub(crate) address: Address,
    /// Under which of the two names.
    pub(crate) generation: Generation,
    /// Whose.
    pub(crate) ownership: Ownership,
}

/// Whether a deployment's tags are on it, whichever's.
pub(crate) fn is_claimed(tags: &TagMap) -> bool {
    tags.contains_key(DEPLOYMENT)
}

/// Why these tags are no proof that this deployment made a thing as what has this address, in words.
pub(crate) fn why_not(tags: &TagMap, deployment: &str, address: &Address) -> String {
    let mend = mend(tags, deployment, (address, None), |service| service == address.service);
    format!(
        "{}: {}",
        shown(tags),
        mend.as_deref().unwrap_or("rename or delete it, or give this deployment another name")
    )
}

/// What the tags say instead of proof.
pub(crate) fn shown(tags: &TagMap) -> String {
    let Some(deployment) = tags.get(DEPLOYMENT) else {
        return "it has none of privnet's tags".to_owned();
    };
    let service = tags.get(SERVICE).map_or("", String::as_str);
    format!("its tags name the service `{service}` of the deployment `{deployment}`")
}

/// What to do about tags that do not say what they should, where it is not the name or the proof alone. Of a service that the file lists the
/// tags were altered, and a tombstone would take it down while it serves.
fn mend(
    tags: &TagMap,
    deployment: &str,
    (address, generation): (&Address, Option<Generation>),
    is_listed: impl Fn(&str) -> bool,
) -> Option<String> {
    let of = tags.get(DEPLOYMENT)?;
    if of != deployment {
        return Some(format!(
            "it goes by the file of `{of}`; where this deployment made it as {address}, put its tag `{DEPLOYMENT}` back to `{deployment}`"
        ));
    }
    if !tags.get(SERVICE).is_some_and(|service| is_listed(service)) {
        let mend = "where that is a service that this file no longer lists, `--prune` or its tombstone takes it down";
        return Some(mend.to_owned());
    }
    let letter = generation.map(|generation| generation.letter().to_string());
    let proof = [
        (SERVICE, Some(address.service.as_str())),
        (KIND, Some(address.kind.as_str())),
        (NAME, Some(address.name.as_str())),
        (GENERATION, letter.as_deref()),
    ];
    let altered = proof.into_iter().filter_map(|(key, value)| {
        let value = value.filter(|value| tags.get(key).is_none_or(|there| there != value))?;
        Some(format!("its tag `{key}` back to `{value}`"))
    });
    let altered: Vec<String> = altered.collect();
    (!altered.is_empty()).then(|| {
        format!("where privnet made it as {address}, put {}; else rename or delete it", altered.join(" and "))
    })
}

/// All tags of a resource that is made: proof, name, and the user's.
pub(crate) fn all_tags(deployment: &str, address: &Address, generation: Generation, user: &TagMap) -> TagMap {
    let mut tags = user.clone();
    let letter = generation.letter().to_string();
    for (key, value) in [
        (DEPLOYMENT, deployment),
        (SERVICE, &address.service),
        (KIND, &address.kind),
        (NAME, &address.name),
        (GENERATION, &letter),
        (SHOWN_NAME, &cloud_name(deployment, address, generation)),
    ] {
        // A `Name` of the user's own is shown rather than ours.
        tags.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }
    tags.extend(key_tags(user));
    tags
}

/// The user's tags that privnet set here and that are still there.
pub(crate) fn managed_tags(tags: &TagMap) -> TagMap {
    managed_keys(tags).into_iter().filter_map(|key| Some((key.clone(), tags.get(&key)?.clone()))).collect()
}

/// What must be written so that the managed tags become others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Retag {
    /// To write.
    pub(crate) set: TagMap,
    /// To remove.
    pub(crate) remove: Vec<String>,
}

/// The writes that turn the managed tags `from` into `to`.
pub(crate) fn retag(from: &TagMap, to: &TagMap) -> Retag {
    let (old, new) = (key_tags(from), key_tags(to));
    let mut set = to.clone();
    set.extend(new.clone());
    let gone = from
        .keys()
        .filter(|key| !to.contains_key(*key))
        .chain(old.keys().filter(|key| !new.contains_key(*key)));
    // Without the list a tag that was taken away by hand would not be missed.
    Retag { remove: gone.cloned().collect(), set }
}

/// Why these tags of the user's cannot be set, if they cannot.
pub(crate) fn unsuitable(user: &TagMap) -> Option<String> {
    if let Some(key) =
        user.keys().find(|key| key.starts_with(PREFIX) || key.to_lowercase().starts_with("aws:"))
    {
        return Some(format!("the tag key `{key}` is reserved"));
    }
    // The list of keys is in tags itself, where spaces and `@` take three characters.
    let listed = |key: &&String| escape(key).chars().count() > LONGEST_VALUE;
    if let Some(key) = user.keys().find(listed) {
        return Some(format!(
            "the tag key `{key}` has too many spaces and `@`: privnet keeps the list of its keys in tags of {LONGEST_VALUE} characters"
        ));
    }
    // Six of proof and name, one of an endpoint service's verification, and the keys.
    let own = 7 + key_tags(user).len();
    let most = MOST_TAGS.saturating_sub(own);
    (user.len() > most)
        .then(|| format!("AWS allows {MOST_TAGS} tags; privnet needs {own}, so at most {most} remain"))
}

/// The tags that hold the keys: separated by spaces, in pieces that fit.
fn key_tags(user: &TagMap) -> TagMap {
    let escaped: Vec<_> = user.keys().map(|key| escape(key)).collect();
    let mut pieces: Vec<String> = Vec::new();
    for key in escaped {
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

fn managed_keys(tags: &TagMap) -> Vec<String> {
    let pieces = tags.iter().filter(|(key, _)| *key == KEYS || key.starts_with("privnet:tags-"));
    pieces.flat_map(|(_, piece)| piece.split(' ').filter(|key| !key.is_empty()).map(unescape)).collect()
}

/// Tag values may hold `@` and spaces, and so may keys.
fn escape(key: &str) -> String {
    key.replace('@', "@40").replace(' ', "@20")
}

fn unescape(key: &str) -> String {
    key.replace("@20", " ").replace("@40", "@")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(entries: &[(&str, &str)]) -> TagMap {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn address() -> Address {
        Address::new("orders", "load-balancer", "main")
    }

    #[test]
    fn what_is_written_is_proof_and_gives_the_users_tags_back() {
        let user = tags(&[("cost center", "4711"), ("mail", "a@b"), ("x@20y", "z"), ("Name", "mine")]);
        let all = all_tags("data", &address(), Generation::B, &user);
        assert_eq!(proof(&all, "data"), Some(Proof { address: address(), generation: Generation::B }));
        assert_eq!(proof(&all, "data2"), None);
        assert_eq!(of_another(&all, "data"), None);
        let seen = of_another(&all, "data2").map(|(other, proof)| (other, proof.address));
        assert_eq!(seen, Some(("data", address())));
        assert_eq!(managed_tags(&all), user);
        assert_eq!(all["Name"], "mine");
    }

    #[test]
    fn foreign_tags_are_not_managed_and_missing_ones_are_missed() {
        let mut all = all_tags("data", &address(), Generation::A, &tags(&[("a", "1"), ("b", "2")]));
        all.insert("foreign".to_owned(), "x".to_owned());
        all.remove("b");
        assert_eq!(managed_tags(&all), tags(&[("a", "1")]));
    }

    #[test]
    fn retagging_removes_what_left_the_file() {
        let retag = retag(&tags(&[("a", "1"), ("b", "2")]), &tags(&[("a", "3")]));
        assert_eq!(retag.remove, ["b"]);
        assert_eq!(retag.set, tags(&[("a", "3"), ("privnet:tags", "a")]));
        let none = super::retag(&tags(&[("a", "1")]), &TagMap::new());
        assert_eq!(none.remove, ["a", "privnet:tags"]);
    }

    #[test]
    fn many_long_keys_are_listed_in_pieces() {
        let user: TagMap = (0..39).map(|i| (format!("a-rather-long-key-{i:04}"), "v".to_owned())).collect();
        let all = all_tags("data", &address(), Generation::A, &user);
        assert!(all.contains_key("privnet:tags-2"));
        assert!(all.values().all(|value| value.chars().count() <= LONGEST_VALUE));
        assert_eq!(managed_tags(&all), user);
        assert_eq!(unsuitable(&user), None);
        let more: TagMap = (0..44).map(|i| (format!("k{i}"), String::new())).collect();
        assert!(unsuitable(&more).is_some());
        assert!(unsuitable(&tags(&[("aws:x", "")])).is_some());
        assert_eq!(unsuitable(&tags(&[(&" ".repeat(85), "")])), None);
        let spaces = unsuitable(&tags(&[(&" ".repeat(86), "")]));
        assert!(spaces.is_some_and(|why| why.contains("too many spaces")));
    }

    /// No file of this deployment takes down what another one made.
    #[test]
    fn what_another_deployment_made_is_told_as_that() {
        let why = why_not(&all_tags("other", &address(), Generation::A, &TagMap::new()), "data", &address());
        assert!(why.contains("`orders` of the deployment `other`"), "{why}");
        assert!(why.contains("goes by the file of `other`"), "{why}");
    }

    /// A tombstone of a service that the file lists would take it down while it serves.
    #[test]
    fn an_altered_tag_is_to_be_put_back() {
        let names = Names::new("data", [address()]);
        let name = cloud_name("data", &address(), Generation::A);
        let said = |key: &str, value: &str| {
            let mut tags = all_tags("data", &address(), Generation::A, &TagMap::new());
            tags.insert(key.to_owned(), value.to_owned());
            match names.claim("data", &name, &tags).map(|claim| claim.ownership) {
                Some(Ownership::Unproven { mend: Some(mend), .. }) => {
                    (mend, why_not(&tags, "data", &address()))
                }
                other => panic!("{other:?}"),
            }
        };
        for (key, right) in [(KIND, "load-balancer"), (NAME, "main"), (GENERATION, "a")] {
            let (mend, why) = said(key, "b");
            assert!(mend.contains(&format!("`{key}` back to `{right}`")), "{mend}");
            assert!(!mend.contains("prune") && !why.contains("prune"), "{mend} {why}");
        }
        // What has this service's name no tombstone of another one takes down; of what has no name the tags alone tell whose it is.
        let (mend, why) = said(SERVICE, "gone");
        assert!(mend.contains("back to `orders`") && !mend.contains("--prune"), "{mend}");
        assert!(why.contains("--prune"), "{why}");
        let (mend, _) = said(DEPLOYMENT, "other");
        assert!(mend.contains("the file of `other`") && mend.contains("back to `data`"), "{mend}");
    }

    #[test]
    fn name_and_proof_are_both_needed() {
        let names = Names::new("data", [address()]);
        let name = cloud_name("data", &address(), Generation::A);
        let ours = all_tags("data", &address(), Generation::A, &TagMap::new());
        assert_eq!(names.claim("data", &name, &ours).map(|claim| claim.ownership), Some(Ownership::Ours));
        assert_eq!(names.claim("data", "another-name", &ours), None, "proof without the name");
        let claim = names.claim("data", &name, &TagMap::new()).expect("the name is taken");
        assert!(matches!(claim.ownership, Ownership::Unproven { .. }));
        let theirs = all_tags("other", &address(), Generation::A, &TagMap::new());
        let claim = names.claim("data", &name, &theirs).expect("the name is taken");
        assert!(matches!(claim.ownership, Ownership::Unproven { why, .. } if why.contains("`other`")));
    }
}
