use aws_sdk_ec2::types::Tag;
use privnet_core::spec::Spec;
use privnet_core::{Generation, World};

use super::change::{ByPrincipal, by_principal, untagged};
use super::*;
use crate::policy::tests::{defined, spec};

const READER: &str = "arn:aws:iam::111122223333:role/reader";

fn texts(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|text| (*text).to_owned()).collect()
}

fn user_tags(all: &[(&str, &str)]) -> TagMap {
    all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn permission(principal: &str, tags: &TagMap) -> AllowedPrincipal {
    let tags = tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
    let id = format!("vpce-svc-perm-{}", principal.len());
    AllowedPrincipal::builder().principal(principal).service_permission_id(id).set_tags(Some(tags)).build()
}

fn ours(principal: &str, user: &TagMap) -> AllowedPrincipal {
    permission(principal, &ownership::all_tags("data", &address("orders", SUPPLIED), Generation::A, user))
}

#[test]
fn fields_read_back_what_was_written_and_the_table_knows_them() {
    let tagged = AllowedPrincipals {
        service: "vpce-svc-1".to_owned(),
        principals: texts(&["*", READER]),
        tags: Some(user_tags(&[("a", "b")])),
    };
    for typed in [tagged.clone(), AllowedPrincipals { tags: None, ..tagged }] {
        let fields = typed.to_fields();
        assert_eq!(AllowedPrincipals::from_fields(&fields).unwrap(), typed);
        assert!(fields.keys().all(|name| KIND.field(name).is_some()));
    }
    assert!(KIND.field("taggable").is_some());
}

#[test]
fn only_tags_that_all_have_count() {
    let (one, two) =
        (ours("a", &user_tags(&[("k", "v"), ("l", "1")])), ours("bb", &user_tags(&[("k", "v"), ("l", "2")])));
    let set = AllowedPrincipals::of("s", &[&one, &two]);
    assert_eq!(set.tags, Some(user_tags(&[("k", "v")])));
    assert_eq!(set.principals, texts(&["a", "bb"]));
}

#[test]
fn who_is_not_wanted_is_no_difference_of_tags() {
    let (known, theirs) = (ours("a", &user_tags(&[("k", "v")])), permission("bb", &TagMap::new()));
    let looked_at = |wanted: &[&str]| {
        let looked_at = whose_tags(&[&known, &theirs], Some(&texts(wanted)));
        looked_at.into_iter().filter_map(AllowedPrincipal::principal).collect::<Vec<_>>()
    };
    assert_eq!(looked_at(&["a"]), ["a"], "the other one goes, tagged or not");
    assert_eq!(looked_at(&["a", "bb"]), ["a", "bb"], "one that is wanted gets the tags");
    assert_eq!(looked_at(&["c"]), ["a", "bb"]);
    assert_eq!(whose_tags(&[&known], None).len(), 1);
}

#[test]
fn permissions_without_ids_have_no_tags_to_manage() {
    let bare = AllowedPrincipal::builder().principal("a").build();
    assert_eq!(AllowedPrincipals::of("s", &[&bare]).tags, None);
}

#[test]
fn on_a_supplied_service_only_what_bears_our_tags_is_ours() {
    let theirs = permission("theirs", &user_tags(&[("team", "x")]));
    let elsewhere = address("another", SUPPLIED);
    let another =
        permission("another", &ownership::all_tags("data", &elsewhere, Generation::A, &TagMap::new()));
    let all = [ours("ours", &TagMap::new()), theirs, another];
    assert_eq!(of_others(&all, "data", "orders"), texts(&["theirs", "another"]));
    assert_eq!(of_others(&all, "data2", "orders"), texts(&["theirs", "another", "ours"]));
}

fn on_supplied() -> Spec {
    let form = AwsForm::EndpointService("vpce-svc-0123456789abcdef0".parse().unwrap());
    spec(form, "us-east-1", &[("acme", defined(&[READER], None)), ("nobody", defined(&[], None))])
}

fn set_of(lowered: &Lowered) -> Option<&privnet_core::Resource> {
    lowered.resources.iter().find(|resource| resource.address.kind == ALLOWED_PRINCIPALS)
}

#[test]
fn principals_on_a_supplied_service_are_added_to_yours() {
    let spec = on_supplied();
    let lowered = crate::lower::lower(&spec, &spec.services[0], &World::default());
    let set = set_of(&lowered).unwrap();
    assert!(matches!(&set.origin, Origin::AddedTo { to } if to.contains("vpce-svc-0123456789abcdef0")));
    assert_eq!(set.fields["principals"], Value::texts([READER]));
    assert!(
        lowered.warnings.iter().any(|warning| warning.contains("`nobody` has no principal")),
        "{lowered:?}"
    );
}

#[test]
fn what_the_user_allows_is_not_taken_over() {
    let spec = on_supplied();
    let mut world = World::default();
    let facts = ExposureFacts { allowed_by_user: texts(&[READER]), ..ExposureFacts::default() };
    world.facts.insert("aws/exposure/orders".to_owned(), serde_json::to_value(facts).unwrap());
    let lowered = crate::lower::lower(&spec, &spec.services[0], &world);
    assert!(set_of(&lowered).is_none());
}

#[test]
fn unreadable_principals_keep_the_service_from_being_changed() {
    let spec = on_supplied();
    let mut world = World::default();
    let facts =
        ExposureFacts { principals_unreadable: Some("denied".to_owned()), ..ExposureFacts::default() };
    world.facts.insert("aws/exposure/orders".to_owned(), serde_json::to_value(facts).unwrap());
    let lowered = crate::lower::lower(&spec, &spec.services[0], &world);
    assert_eq!(lowered.refusals.len(), 1);
    assert!(lowered.refusals[0].why.contains("denied"));
}

#[test]
fn a_removal_is_warned_about() {
    let spec = on_supplied();
    let gone = AllowedPrincipals {
        service: "vpce-svc-0123456789abcdef0".to_owned(),
        principals: texts(&[READER, "arn:aws:iam::999999999999:root"]),
        tags: None,
    };
    let mut fields = gone.to_fields();
    fields.insert("taggable".to_owned(), false.into());
    let live = Live {
        address: address("orders", SUPPLIED),
        generation: None,
        scope: privnet_core::Scope("aws/123456789012/us-east-1".to_owned()),
        id: live_id("vpce-svc-0123456789abcdef0"),
        ownership: Ownership::Ours,
        fields,
        outputs: BTreeMap::new(),
        health: Health::Ready,
    };
    let world = World { live: vec![live].into(), ..World::default() };
    let lowered = crate::lower::lower(&spec, &spec.services[0], &world);
    let warnings = lowered.warnings.join("\n");
    assert!(
        warnings.contains("arn:aws:iam::999999999999:root") && warnings.contains("disconnects nobody"),
        "{warnings}"
    );
    assert!(
        !set_of(&lowered).unwrap().fields.contains_key("tags"),
        "what cannot be tagged has no tags to manage"
    );
}

#[test]
fn only_what_this_run_added_and_did_not_tag_is_taken_back() {
    let with_id = |principal: &str, id: &str| {
        AllowedPrincipal::builder().principal(principal).service_permission_id(id).build()
    };
    let of = |all: Vec<AllowedPrincipal>| by_principal(all);
    let is_ours = |permission: &AllowedPrincipal| is_tagged(permission, "data", &address("orders", SUPPLIED));
    let mut added = of(["bare", "unseen", "made again"].map(|who| with_id(who, who)).into());
    let tagged = ours("tagged", &TagMap::new());
    added.extend(of(vec![with_id("tagged", tagged.service_permission_id().unwrap())]));
    // What another run allows at the same time: its own, and one that went and came again.
    let now = of(vec![
        tagged,
        with_id("bare", "bare"),
        with_id("made again", "another"),
        with_id("another run's", "other"),
    ]);
    assert_eq!(untagged(&added, &now, is_ours), ["bare", "unseen"]);
    assert_eq!(untagged(&ByPrincipal::new(), &now, is_ours), Vec::<String>::new());
}
