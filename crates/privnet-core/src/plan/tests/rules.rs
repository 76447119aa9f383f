//! What is refused, left, waited for and shown.

use std::collections::{BTreeMap, BTreeSet};

use super::cloud::{Cloud, Want, connection, desired, kinds};
use crate::accept::{Ask, Connection, ConnectionState, Identity, Verdict, decide};
use crate::plan::{Op, Plan, PlanOptions, Rule, plan, plan_decisions, plan_rejection};
use crate::resource::{Address, Health, Live, Origin, Ownership, Resource, Scope};
use crate::value::Value;
use crate::world::{Connections, Desired, Former, Held, ServiceWorld};

pub(super) fn applied(wants: &[Want], state: Option<ConnectionState>) -> Cloud {
    let mut cloud = Cloud::default();
    let plan = cloud.plan(&desired(wants), PlanOptions::default());
    cloud.apply(&plan, plan.actions.len());
    if let Some(state) = state {
        for want in wants {
            cloud.connections.insert(want.name.clone(), vec![connection("vpce-1", state)]);
        }
    }
    cloud
}

pub(super) fn rules(plan: &Plan) -> Vec<(Rule, bool)> {
    plan.refusals.iter().map(|refusal| (refusal.rule, refusal.flag.is_some())).collect()
}

/// Each edit that would cut a live consumer is refused without the flag, and leaves the whole service alone.
#[test]
fn nothing_severs_without_the_word() {
    type Edit = (&'static str, fn(&mut Want), &'static [(Rule, bool)]);
    let edits: &[Edit] = &[
        ("another vpc", |want| want.vpc = 2, &[(Rule::WouldSever, true)]),
        ("a subnet less", |want| want.subnets = BTreeSet::from([1]), &[(Rule::WouldSever, true)]),
        ("a port less", |want| want.ports = BTreeMap::from([(3306, 3306)]), &[(Rule::WouldSever, true)]),
        ("a tombstone", |want| want.remove = true, &[(Rule::WouldSever, true)]),
        ("TLS where clients speak plainly", |want| want.tls = true, &[(Rule::WouldSever, true)]),
        (
            "a header that the database does not expect",
            |want| want.header = true,
            &[(Rule::WouldSever, true)],
        ),
        (
            "that header beside another port of the database, which alone is gone over to",
            |want| (want.header, want.ports) = (true, BTreeMap::from([(5432, 5433)])),
            &[(Rule::WouldSever, true)],
        ),
        ("the hand-over", |want| want.title = 1, &[(Rule::HandOver, true)]),
    ];
    for state in [ConnectionState::Accepted, ConnectionState::NeedsAttention, ConnectionState::Changing] {
        for (name, edit, expected) in edits {
            let mut want = Want::new("s");
            let cloud = applied(&[want.clone()], Some(state));
            edit(&mut want);
            let desired = desired(&[want]);
            let plan = cloud.plan(&desired, PlanOptions::default());
            let found: BTreeSet<_> =
                rules(&plan).into_iter().map(|(rule, flag)| (rule.as_str(), flag)).collect();
            let expected: BTreeSet<_> = expected.iter().map(|(rule, flag)| (rule.as_str(), *flag)).collect();
            assert_eq!(found, expected, "{name}");
            assert!(plan.is_empty(), "{name}: {:#?}", plan.actions);

            let mut cloud = cloud;
            let forced = PlanOptions { sever_connections: true, ..PlanOptions::default() };
            let plan = cloud.plan(&desired, forced);
            assert!(plan.refusals.is_empty() && !plan.is_empty(), "{name}");
            if *name != "another vpc" && *name != "the hand-over" {
                cloud.apply(&plan, plan.actions.len());
                assert!(cloud.plan(&desired, forced).is_empty(), "{name}");
            }
        }
    }
}

/// Another address is no replacement, but what lets clients in goes only when what stands in for it is there.
#[test]
fn what_goes_waits_for_what_is_made_of_its_kind() {
    let cloud = applied(&[Want::new("s")], None);
    let turned = Want { ports: BTreeMap::from([(3306, 3306)]), ..Want::new("s") };
    let plan = cloud.plan(&desired(&[turned]), PlanOptions::default());
    let gone = plan.actions.iter().find(|action| action.id == "delete s/listener/5432@a").unwrap();
    assert!(gone.after.contains(&"create s/listener/3306@a".to_owned()), "{gone:#?}");
}

/// A refusal says once who would be cut, and of a list what goes.
#[test]
fn a_refusal_says_what_goes_and_who_is_cut_without_saying_it_twice() {
    let mut cloud = applied(&[Want::new("s")], None);
    let identity = |sort, id| Identity::new(sort, id);
    let known = [
        ("/pe/a", BTreeSet::from([identity("endpoint", "/pe/A"), identity("subscription", "1")])),
        ("/pe/b", BTreeSet::from([identity("endpoint", "/pe/b")])),
        ("vpce-1", BTreeSet::new()),
    ];
    let connections = known
        .into_iter()
        .map(|(id, identities)| Connection { identities, ..connection(id, ConnectionState::Accepted) });
    cloud.connections.insert("s".to_owned(), connections.collect());
    let fewer = Want { subnets: BTreeSet::from([1]), ..Want::new("s") };
    let plan = cloud.plan(&desired(&[fewer]), PlanOptions::default());
    let expected = "taking vpc-1-subnet-2 out of subnets would cut 3 live connection(s): /pe/a (subscription:1), /pe/b, \
                    vpce-1 (an unknown consumer)";
    let why: Vec<&str> = plan.refusals.iter().map(|refusal| refusal.why.as_str()).collect();
    assert_eq!(why, [expected]);
}

/// What takes the place of another says what is there now, and what is made anew says of nothing that it was there.
#[test]
fn a_replacement_tells_what_is_there() {
    let cloud = applied(&[Want::new("s")], None);
    let turned = Want { ports: BTreeMap::from([(5432, 5433)]), ..Want::new("s") };
    let created = |plan: &Plan| -> Vec<(Value, Value)> {
        let made = plan.actions.iter().filter(|action| action.op == Op::Create);
        let ports = made.flat_map(|action| &action.changes).filter(|change| change.field == "port");
        ports.map(|change| (change.from.clone(), change.to.clone())).collect()
    };
    let plan = cloud.plan(&desired(&[turned]), PlanOptions::default());
    assert!(created(&plan).contains(&(Value::Int(5432), Value::Int(5433))), "{plan:#?}");
    let anew = applied(&[], None).plan(&desired(&[Want::new("s")]), PlanOptions::default());
    assert!(!created(&anew).is_empty() && created(&anew).iter().all(|(from, _)| from.is_null()), "{anew:#?}");
}

/// A service whose place in the file is another one stays where it is.
#[test]
fn a_service_does_not_move() {
    let want = Want::new("s");
    let cloud = applied(std::slice::from_ref(&want), None);
    let mut desired = desired(&[want]);
    for intent in desired.services.values_mut() {
        intent.scope = Scope("toy/2".to_owned());
    }
    let plan = cloud.plan(&desired, PlanOptions::default());
    assert_eq!(rules(&plan), [(Rule::HandOver, false)]);
    assert!(plan.is_empty() && plan.refusals[0].why.contains("toy/1"), "{plan:#?}");
    let destroy = PlanOptions { destroy: true, ..PlanOptions::default() };
    assert!(cloud.plan(&Desired { resources: Vec::new(), ..desired }, destroy).refusals.is_empty());
}

/// A service that turns to what is there already: what was made goes with the word alone, and who is connected to what the file
/// names is neither in its way nor cut.
#[test]
fn a_service_that_turns_leaves_nothing_behind_and_touches_nothing_of_yours() {
    let cloud = applied(&[Want::new("s")], None);
    let mut desired = desired(&[Want { remove: true, ..Want::new("s") }]);
    let exposed = Address::new("s", "svc", "main");
    for intent in desired.services.values_mut() {
        intent.remove = false;
        intent.scope = Scope("toy/2".to_owned());
    }
    let scope = Scope("toy/2".to_owned());
    let (fields, needs) = (BTreeMap::new(), BTreeSet::new());
    desired.resources.push(Resource {
        address: exposed.clone(),
        scope: scope.clone(),
        origin: Origin::Supplied,
        fields,
        needs,
    });
    let mut world = cloud.world(&desired);
    let mine = world.live.iter().find(|live| live.address == exposed).unwrap().clone();
    world.live.push(Live {
        id: "yours".to_owned(),
        scope,
        generation: None,
        ownership: Ownership::Supplied,
        ..mine
    });
    let of = |id: &str, state| Connections::Known(vec![connection(id, state)]);
    world.services.get_mut("s").unwrap().connections = of("to-yours", ConnectionState::Accepted);
    for state in [ConnectionState::Accepted, ConnectionState::Pending, ConnectionState::Closed] {
        let former = Former { exposed: Some(exposed.clone()), connections: of("to-mine", state) };
        world.former.insert("s".to_owned(), former);
        let refused = plan(&desired, &world, &kinds(), PlanOptions::default());
        assert_eq!(rules(&refused), [(Rule::HandOver, true)], "{state:?}");
        assert_eq!(refused.refusals[0].why.contains("would cut"), state == ConnectionState::Accepted);
        assert!(refused.is_empty());
        let forced = PlanOptions { sever_connections: true, ..PlanOptions::default() };
        let plan = plan(&desired, &world, &kinds(), forced);
        let rejected: Vec<_> = plan
            .actions
            .iter()
            .filter_map(|action| action.connection.as_ref().map(|c| c.id.as_str()))
            .collect();
        let expected: &[&str] = if state == ConnectionState::Closed { &[] } else { &["to-mine"] };
        assert_eq!(rejected, expected, "{state:?}");
        let deleted = plan.actions.iter().filter(|action| action.op == Op::Delete);
        let deleted: BTreeSet<_> = deleted.filter_map(|action| action.live_id.clone()).collect();
        let made: BTreeSet<_> = cloud.live.iter().map(|live| live.id.clone()).collect();
        assert_eq!(deleted, made, "all of it, and nothing of yours");
    }
}

#[test]
fn what_cannot_be_read_is_taken_to_be_live() {
    let mut want = Want::new("s");
    let cloud = applied(&[want.clone()], None);
    want.ports = BTreeMap::from([(3306, 3306)]);
    let desired = desired(&[want]);
    let mut world = cloud.world(&desired);
    world.services.get_mut("s").unwrap().connections = Connections::Unreadable { why: "HTTP 500".to_owned() };
    let plan = plan(&desired, &world, &kinds(), PlanOptions::default());
    assert!(rules(&plan).contains(&(Rule::WouldSever, true)));
    assert!(plan.warnings.iter().any(|warning| warning.contains("HTTP 500")), "{:?}", plan.warnings);
}

#[test]
fn a_pending_request_keeps_nothing_from_changing_and_is_turned_away_before_the_end() {
    let want = Want { remove: true, ..Want::new("s") };
    let mut cloud = applied(&[Want::new("s")], Some(ConnectionState::Pending));
    let desired = desired(&[want]);
    let plan = cloud.plan(&desired, PlanOptions::default());
    assert_eq!(plan.actions[0].op, Op::Reject);
    cloud.apply(&plan, plan.actions.len());
    assert!(cloud.live.is_empty());
}

/// Nothing of a service goes while the cloud keeps a part of it, not even with the word to sever.
#[test]
fn what_is_protected_is_not_half_taken_down() {
    let mut cloud = applied(&[Want::new("s"), Want::new("other")], None);
    let lock = |cloud: &mut Cloud, locked: bool| {
        for live in cloud.live.iter_mut().filter(|l| l.address.service == "s" && l.address.kind == "lb") {
            live.fields.insert("locked".to_owned(), Value::Bool(locked));
        }
    };
    lock(&mut cloud, true);
    let all = PlanOptions { destroy: true, sever_connections: true, prune: false };
    let none =
        desired(&[Want { remove: true, ..Want::new("s") }, Want { remove: true, ..Want::new("other") }]);
    let plan = cloud.plan(&none, all);
    assert_eq!(rules(&plan), [(Rule::Protected, false)]);
    assert!(plan.refusals[0].why.contains("`locked: false`"), "{}", plan.refusals[0].why);
    assert!(!plan.is_empty() && plan.actions.iter().all(|action| action.address.service == "other"));
    lock(&mut cloud, false);
    assert!(cloud.plan(&none, all).refusals.is_empty());
}

/// What somebody else's things stand on stays, with every word, and so does what they use of it; all else goes on.
#[test]
fn what_is_held_does_not_go() {
    let mut cloud = applied(&[Want::new("s"), Want::new("other")], None);
    let lb = cloud.live.iter().find(|l| l.address.service == "s" && l.address.kind == "lb").unwrap();
    let id = lb.id.clone();
    let held = |with_parts| Held { why: "a stranger's stands on it".to_owned(), with_parts };
    cloud.held.insert(id.clone(), held(false));
    let all = PlanOptions { destroy: true, sever_connections: true, prune: false };
    let none =
        desired(&[Want { remove: true, ..Want::new("s") }, Want { remove: true, ..Want::new("other") }]);
    let plan = cloud.plan(&none, all);
    assert_eq!(rules(&plan), [(Rule::Unsuitable, false)]);
    assert_eq!(plan.refusals[0].why, "a stranger's stands on it");
    assert!(!plan.is_empty() && plan.actions.iter().all(|action| action.address.service == "other"));
    let replaced = desired(&[Want { vpc: 2, ..Want::new("s") }, Want::new("other")]);
    assert_eq!(
        rules(&cloud.plan(&replaced, PlanOptions { destroy: false, ..all })),
        [(Rule::Unsuitable, false)]
    );
    let same = desired(&[Want::new("s"), Want::new("other")]);
    assert!(cloud.plan(&same, PlanOptions::default()).refusals.is_empty());
    // What consumers use of it stays where others use that, too.
    let less = desired(&[Want { subnets: BTreeSet::from([1]), ..Want::new("s") }, Want::new("other")]);
    let keeps = PlanOptions { destroy: false, ..all };
    assert_eq!(rules(&cloud.plan(&less, keeps)), []);
    cloud.held.insert(id, held(true));
    assert_eq!(rules(&cloud.plan(&less, keeps)), [(Rule::Unsuitable, false)]);
}

#[test]
fn a_look_alike_is_refused_and_untouched() {
    let mut cloud = applied(&[Want::new("s")], None);
    for live in &mut cloud.live {
        live.ownership = unproven();
    }
    let plan = cloud.plan(&desired(&[Want::new("s")]), PlanOptions::default());
    assert!(plan.is_empty());
    assert!(rules(&plan).iter().all(|rule| *rule == (Rule::NotOurs, false)));
    let why = &plan.refusals[0].why;
    assert!(why.contains("no tag of privnet's: rename or delete it"), "{why}");
}

fn unproven() -> Ownership {
    Ownership::Unproven { why: "it has no tag of privnet's".to_owned(), mend: None }
}

/// Whatever lost its proof is said, each once, however its service goes; and the rest of it goes.
#[test]
fn what_lost_its_proof_is_told_where_its_service_goes() {
    let gone = || desired(&[Want { remove: true, ..Want::new("s") }, Want::new("other")]);
    let destroy = PlanOptions { destroy: true, ..PlanOptions::default() };
    let prune = PlanOptions { prune: true, ..PlanOptions::default() };
    for (wanted, options) in [
        (gone(), PlanOptions::default()),
        // To its end a file wants nothing.
        (Desired { resources: Vec::new(), ..desired(&[Want::new("s"), Want::new("other")]) }, destroy),
        (desired(&[Want::new("other")]), prune),
    ] {
        let mut cloud = applied(&[Want::new("s"), Want::new("other")], None);
        let told = |plan: &Plan, id: &str| plan.warnings.iter().filter(|said| said.contains(id)).count();
        let lost: Vec<String> = cloud
            .live
            .iter_mut()
            .filter(|live| live.address.service == "s" && ["lb", "svc"].contains(&live.address.kind.as_str()))
            .map(|live| {
                live.ownership = unproven();
                live.id.clone()
            })
            .collect();
        let plan = cloud.plan(&wanted, options);
        let of_it = plan.actions.iter().filter(|action| action.address.service == "s").count();
        assert!(of_it > 0 && plan.refusals.is_empty(), "{plan:#?}");
        for id in &lost {
            assert_eq!(told(&plan, id), 1, "{id}: {:#?}", plan.warnings);
        }
        assert!(
            plan.warnings.iter().any(|said| said.contains("has the name of s/lb/main, but not its proof"))
        );
        // A tombstone of which nothing else is left is not told that nothing is there.
        cloud.live.retain(|live| live.address.service != "s" || lost.contains(&live.id));
        let plan = cloud.plan(&wanted, options);
        assert!(
            plan.warnings.iter().all(|said| !said.contains("nothing of it is in")),
            "{:#?}",
            plan.warnings
        );
        assert_eq!(told(&plan, &lost[0]), 1);
    }
    // Where the service stays, the refusal says it.
    let mut cloud = applied(&[Want::new("s")], None);
    cloud.live.iter_mut().for_each(|live| live.ownership = unproven());
    let plan = cloud.plan(&desired(&[Want::new("s")]), PlanOptions::default());
    assert_eq!(plan.warnings, Vec::<String>::new());
}

/// What proves to be a second one of what consumers connect to may be the one that they are connected to.
#[test]
fn a_second_service_does_not_go_while_somebody_is_connected() {
    let want = [Want::new("s")];
    let mut cloud = applied(&want, Some(ConnectionState::Accepted));
    let first = cloud.live.iter().find(|live| live.address.kind == "svc").unwrap().clone();
    cloud.live.push(Live { id: "svc-0".to_owned(), ..first });
    let desired = desired(&want);
    let plan = cloud.plan(&desired, PlanOptions::default());
    assert!(plan.is_empty(), "{:#?}", plan.actions);
    assert_eq!(rules(&plan), [(Rule::WouldSever, true)]);
    cloud.connections.clear();
    let plan = cloud.plan(&desired, PlanOptions::default());
    assert_eq!((plan.actions.len(), plan.actions[0].op), (1, Op::Delete), "{:#?}", plan.actions);
}

#[test]
fn a_service_that_is_not_listed_is_left_until_it_is_pruned() {
    let mut cloud = applied(&[Want::new("a"), Want::new("b")], None);
    let desired = desired(&[Want::new("a")]);
    let plan = cloud.plan(&desired, PlanOptions::default());
    assert!(plan.is_empty());
    assert_eq!(plan.left.len(), 1);
    assert_eq!(plan.left[0].service, "b");
    let plan = cloud.plan(&desired, PlanOptions { prune: true, ..PlanOptions::default() });
    cloud.apply(&plan, plan.actions.len());
    assert!(cloud.live.iter().all(|live| live.address.service == "a"));
}

#[test]
fn pruning_does_not_cut_anybody_either() {
    let cloud = applied(&[Want::new("a"), Want::new("b")], Some(ConnectionState::Accepted));
    let plan = cloud.plan(&desired(&[Want::new("a")]), PlanOptions { prune: true, ..PlanOptions::default() });
    assert!(plan.is_empty());
    assert!(rules(&plan).contains(&(Rule::WouldSever, true)));
}

#[test]
fn a_field_taken_out_of_the_file_is_left_as_it_is() {
    let mut cloud = applied(&[Want::new("s")], None);
    for live in cloud.live.iter_mut().filter(|live| live.address.kind == "lb") {
        live.fields.insert("note".to_owned(), Value::text("somebody's"));
        live.fields.insert("seen".to_owned(), Value::Int(7));
    }
    assert!(cloud.plan(&desired(&[Want::new("s")]), PlanOptions::default()).is_empty());
}

#[test]
fn drift_is_named_by_its_field_and_mended() {
    let mut cloud = applied(&[Want::new("s")], None);
    for live in cloud.live.iter_mut().filter(|live| live.address.kind == "tg") {
        live.fields.insert("targets".to_owned(), Value::texts(["10.9.9.9"]));
    }
    let desired = desired(&[Want::new("s")]);
    let plan = cloud.plan(&desired, PlanOptions::default());
    let named: Vec<_> = plan.actions.iter().flat_map(|a| a.changes.iter().map(|c| &*c.field)).collect();
    assert_eq!(named, ["targets"]);
    cloud.apply(&plan, plan.actions.len());
    assert!(cloud.plan(&desired, PlanOptions::default()).is_empty());
}

#[test]
fn what_is_only_growing_cannot_shrink_even_with_the_word() {
    let mut cloud = applied(&[Want::new("s")], None);
    for live in cloud.live.iter_mut().filter(|live| live.address.kind == "svc") {
        live.fields.insert("zones".to_owned(), Value::texts(["z1", "z2"]));
    }
    let options = PlanOptions { sever_connections: true, ..PlanOptions::default() };
    let plan = cloud.plan(&desired(&[Want::new("s")]), options);
    assert_eq!(rules(&plan), [(Rule::GrowOnly, false)]);
}

#[test]
fn what_others_need_is_waited_for() {
    let mut cloud = applied(&[Want::new("s")], None);
    for live in cloud.live.iter_mut().filter(|live| live.address.kind == "lb") {
        live.health = Health::Busy { state: "provisioning".to_owned() };
    }
    let desired = desired(&[Want::new("s")]);
    assert!(cloud.plan(&desired, PlanOptions::default()).is_empty(), "nothing needs it");
    cloud.live.retain(|live| live.address.kind != "svc");
    let plan = cloud.plan(&desired, PlanOptions::default());
    assert_eq!(plan.actions[0].id, "update s/lb/main");
    assert!(plan.actions[1].after.contains(&plan.actions[0].id));
}

#[test]
fn waits_say_who_is_waited_for() {
    let cloud = applied(&[Want::new("s")], None);
    let plan = cloud.plan(&desired(&[Want::new("s")]), PlanOptions::default());
    assert_eq!(plan.waits[0].on, "fivetran");
    let cloud = applied(&[Want::new("s")], Some(ConnectionState::Pending));
    let plan = cloud.plan(&desired(&[Want::new("s")]), PlanOptions::default());
    assert_eq!(plan.waits[0].on, "you");
    assert!(plan.waits[0].why.contains("`privnet accept-pending`"), "{:?}", plan.waits);
}

/// A request that nobody will let in is not what the service waits for, and the command that would leave it is not named.
#[test]
fn a_stranger_is_not_waited_for() {
    let mut cloud = applied(&[Want::new("s")], None);
    let stranger = Connection {
        identities: BTreeSet::from([Identity::new("account", "2")]),
        ..connection("vpce-9", ConnectionState::Pending)
    };
    cloud.connections.insert("s".to_owned(), vec![stranger]);
    let waits = |cloud: &Cloud| {
        let plan = cloud.plan(&desired(&[Want::new("s")]), PlanOptions::default());
        plan.waits.into_iter().map(|wait| (wait.on, wait.why)).collect::<BTreeMap<_, _>>()
    };
    let found = waits(&cloud);
    assert!(found.contains_key("fivetran"), "{found:?}");
    assert!(
        found["you"].contains("`privnet status`") && !found["you"].contains("accept-pending"),
        "{found:?}"
    );
    // Two of one account, and room for one: somebody must choose.
    let two = ["vpce-1", "vpce-2"].map(|id| connection(id, ConnectionState::Pending));
    cloud.connections.insert("s".to_owned(), two.to_vec());
    let found = waits(&cloud);
    assert!(found["you"].contains("--connection ID") && !found.contains_key("fivetran"), "{found:?}");
}

/// Only who will be let in is counted where the command is named that lets him in.
#[test]
fn who_waits_is_counted_by_what_is_to_be_done() {
    let mut cloud = applied(&[Want::new("s")], None);
    let stranger = |id: &str| Connection {
        identities: BTreeSet::from([Identity::new("account", "2")]),
        ..connection(id, ConnectionState::Pending)
    };
    let own = connection("vpce-1", ConnectionState::Pending);
    cloud.connections.insert("s".to_owned(), vec![own, stranger("vpce-8"), stranger("vpce-9")]);
    let plan = cloud.plan(&desired(&[Want::new("s")]), PlanOptions::default());
    assert_eq!(plan.waits.len(), 1, "{:#?}", plan.waits);
    assert_eq!(
        plan.waits[0].why,
        "1 pending connection request(s): run `privnet accept-pending`; 2 more that the policy does not let in: `privnet status` says why"
    );
}

/// Somebody else's endpoint behind the same account is connected: the one that `only` names has yet to ask.
#[test]
fn who_is_not_in_only_is_not_who_was_waited_for() {
    let mut cloud = applied(&[Want::new("s")], Some(ConnectionState::Accepted));
    let mut desired = desired(&[Want::new("s")]);
    assert_eq!(cloud.plan(&desired, PlanOptions::default()).waits, []);
    let consumers = &mut desired.services.get_mut("s").unwrap().policy.consumers;
    consumers[0].only = BTreeSet::from(["vpce-2".to_owned()]);
    let waits = cloud.plan(&desired, PlanOptions::default()).waits;
    assert!(waits.len() == 1 && waits[0].on == "fivetran", "{waits:#?}");
    // Nor is another endpoint of its account that asks.
    cloud.connections.get_mut("s").unwrap().push(connection("vpce-3", ConnectionState::Pending));
    let waits = cloud.plan(&desired, PlanOptions::default()).waits;
    assert!(waits.iter().any(|wait| wait.on == "fivetran"), "{waits:#?}");
    cloud.connections.get_mut("s").unwrap().pop();
    cloud.connections.get_mut("s").unwrap().push(connection("vpce-2", ConnectionState::Accepted));
    assert_eq!(cloud.plan(&desired, PlanOptions::default()).waits, []);
}

/// Whom `--reject-others` turns away beside strangers is said before that is done.
#[test]
fn what_is_known_of_a_stranger_is_said_before_it_is_turned_away() {
    let mut cloud = applied(&[Want::new("s")], None);
    let mut stranger = connection("vpce-1", ConnectionState::Pending);
    stranger.identities = BTreeSet::from([Identity::new("account", "666")]);
    stranger.note = Some("to reject it turns vpce-2 away as well".to_owned());
    cloud.connections.insert("s".to_owned(), vec![stranger]);
    let desired = desired(&[Want::new("s")]);
    let world = cloud.world(&desired);
    let decisions = |ask: &Ask| {
        let decided = decide(&desired.services["s"].policy, world.services["s"].connections.known(), ask);
        plan_decisions(&desired, &world, &kinds(), &decided)
    };
    let rejected = decisions(&Ask { reject_others: true, ..Ask::default() });
    assert_eq!(rejected.summary.reject, 1, "{rejected:#?}");
    assert_eq!(rejected.warnings, ["vpce-1: to reject it turns vpce-2 away as well"]);
    assert!(decisions(&Ask::default()).warnings.is_empty());
}

#[test]
fn rejecting_a_live_connection_needs_the_word() {
    let cloud = applied(&[Want::new("s")], Some(ConnectionState::Accepted));
    let desired = desired(&[Want::new("s")]);
    let world = cloud.world(&desired);
    let plan = plan_rejection(&desired, &world, &kinds(), "VPCE-1", false).unwrap();
    assert!(plan.is_empty());
    assert_eq!(rules(&plan), [(Rule::WouldSever, true)]);
    assert_eq!(plan_rejection(&desired, &world, &kinds(), "vpce-1", true).unwrap().actions.len(), 1);
    assert!(plan_rejection(&desired, &world, &kinds(), "vpce-2", true).is_none());
}

/// A service of what is there already got another name, and the old one a tombstone: whoever is connected is the new one's alone.
#[test]
fn whoever_is_connected_to_what_two_services_name_is_the_one_that_stays() {
    let cloud = applied(&[Want::new("s")], Some(ConnectionState::Pending));
    let desired = desired(&[Want::new("s"), Want { remove: true, ..Want::new("old") }]);
    let mut world = cloud.world(&desired);
    let exposed = |service: &str| Address::new(service, "svc", "main");
    let mut named = world.live.iter().find(|live| live.address == exposed("s")).unwrap().clone();
    named.ownership = Ownership::Supplied;
    world.live.retain(|live| live.address != exposed("s"));
    world.live.push(Live { address: exposed("old"), id: named.id.to_uppercase(), ..named.clone() });
    world.live.push(named);
    world.services.get_mut("s").unwrap().exposed = Some(exposed("s"));
    let seen = world.services["s"].clone();
    world.services.insert("old".to_owned(), ServiceWorld { exposed: Some(exposed("old")), ..seen });
    let rejection = plan_rejection(&desired, &world, &kinds(), "vpce-1", false).unwrap();
    let services: Vec<_> = rejection.actions.iter().map(|one| one.address.service.as_str()).collect();
    assert_eq!((services, rejection.summary.reject), (vec!["s"], 1), "{rejection:#?}");
    for state in [ConnectionState::Pending, ConnectionState::Accepted] {
        for service in ["s", "old"] {
            world.services.get_mut(service).unwrap().connections =
                Connections::Known(vec![connection("vpce-1", state)]);
        }
        let said = plan(&desired, &world, &kinds(), PlanOptions::default()).warnings;
        let of_old: Vec<_> = said.iter().filter(|said| said.starts_with("old: ")).collect();
        assert!(of_old.len() == 1 && of_old[0].contains("is named by `s` as well"), "{state:?}: {said:#?}");
        let status = crate::status::status(&desired, &world);
        let connected: Vec<_> = status.iter().map(|one| (one.name.as_str(), one.connections.len())).collect();
        assert_eq!(connected, [("old", 0), ("s", 1)], "{state:?}");
    }
    // Of what nobody else names the tombstone tells, and decides.
    let alone = Desired {
        services: desired.services.into_iter().filter(|(name, _)| name == "old").collect(),
        ..desired
    };
    assert_eq!(plan_rejection(&alone, &world, &kinds(), "vpce-1", true).unwrap().actions.len(), 1);
}

/// What is in the way of a decision is said before anybody is asked, and no word helps with it.
#[test]
fn what_is_in_the_way_of_a_decision_refuses_it() {
    let desired = desired(&[Want::new("s")]);
    for state in [ConnectionState::Pending, ConnectionState::Accepted] {
        let mut cloud = applied(&[Want::new("s")], None);
        let mut own = connection("vpce-1", state);
        own.besides.accepting.refused = Some("whoever asks is let in".to_owned());
        own.besides.rejecting.refused = Some("whoever asks is let in".to_owned());
        cloud.connections.insert("s".to_owned(), vec![own]);
        let world = cloud.world(&desired);
        let known = world.services["s"].connections.known();
        let decided = decide(&desired.services["s"].policy, known, &Ask::default());
        assert!(decided.iter().all(|one| one.verdict == Verdict::Left && one.is_refused()), "{decided:#?}");
        assert_eq!(decided.len(), usize::from(state == ConnectionState::Pending));
        let accepting = plan_decisions(&desired, &world, &kinds(), &decided);
        let rejecting = |sever| plan_rejection(&desired, &world, &kinds(), "vpce-1", sever).unwrap();
        for plan in
            [rejecting(false), rejecting(true)].iter().chain((!decided.is_empty()).then_some(&accepting))
        {
            assert_eq!((rules(plan), plan.is_empty()), (vec![(Rule::Unsuitable, false)], true), "{plan:#?}");
            assert!(plan.refusals[0].why.ends_with("whoever asks is let in"), "{plan:#?}");
        }
    }
}

/// A decision is a write to the service like any other: accepted, rejected by name, or turned away before the service goes.
#[test]
fn decisions_on_one_service_are_not_carried_out_in_parallel() {
    let wants = [Want::new("s"), Want::new("t")];
    let mut cloud = applied(&wants, Some(ConnectionState::Pending));
    let other = Connection {
        identities: BTreeSet::from([Identity::new("account", "666")]),
        ..connection("vpce-2", ConnectionState::Pending)
    };
    cloud.connections.get_mut("s").unwrap().push(other);
    let desired = desired(&wants);
    let world = cloud.world(&desired);
    let ask = Ask { reject_others: true, ..Ask::default() };
    let decided = |service: &str| {
        decide(&desired.services[service].policy, world.services[service].connections.known(), &ask)
    };
    let decided = [decided("s"), decided("t")].concat();
    let decisions = plan_decisions(&desired, &world, &kinds(), &decided);
    let locks: Vec<&[String]> = decisions.actions.iter().map(|action| action.locks.as_slice()).collect();
    assert_eq!((decisions.summary.accept, decisions.summary.reject), (2, 1), "{decisions:#?}");
    assert!(!locks[0].is_empty());
    assert_eq!(locks[0], locks[1], "both are of one service");
    assert_ne!(locks[0], locks[2], "services do not wait for each other");
    let rejection = plan_rejection(&desired, &world, &kinds(), "vpce-2", false).unwrap();
    assert_eq!(rejection.actions[0].locks, locks[0]);
    let destroy = PlanOptions { destroy: true, ..PlanOptions::default() };
    let gone = plan(&Desired { resources: Vec::new(), ..desired.clone() }, &world, &kinds(), destroy);
    let of_s: Vec<_> = gone
        .actions
        .iter()
        .filter(|action| action.address.service == "s" && action.address.kind == "svc")
        .map(|action| (action.op, action.locks.as_slice()))
        .collect();
    assert_eq!(of_s, [(Op::Reject, locks[0]), (Op::Reject, locks[0]), (Op::Delete, locks[0])]);
}

/// Who was passed over fits the policy again when the one that was chosen is gone: that is said with the choice, and with the cut.
#[test]
fn who_is_let_in_next_is_said() {
    let mut cloud = applied(&[Want::new("s")], None);
    let rival = connection("vpce-2", ConnectionState::Pending);
    let desired = desired(&[Want::new("s")]);
    let mut with = |state| {
        cloud.connections.insert("s".to_owned(), vec![connection("vpce-1", state), rival.clone()]);
        cloud.world(&desired)
    };
    let world = with(ConnectionState::Pending);
    let ask = Ask { connection: Some("vpce-1".to_owned()), ..Ask::default() };
    let known = world.services["s"].connections.known();
    let chosen =
        plan_decisions(&desired, &world, &kinds(), &decide(&desired.services["s"].policy, known, &ask));
    let says = |warnings: &[String]| {
        warnings.len() == 1 && warnings[0].contains("s: vpce-2 fits the policy when vpce-1 is gone")
    };
    assert!(chosen.summary.accept == 1 && says(&chosen.warnings), "{chosen:#?}");
    // To turn one of two away is to choose the other.
    assert_eq!(plan_rejection(&desired, &world, &kinds(), "vpce-1", false).unwrap().warnings, [""; 0]);
    let cut = plan_rejection(&desired, &with(ConnectionState::Accepted), &kinds(), "vpce-1", true).unwrap();
    assert!(cut.summary.reject == 1 && says(&cut.warnings), "{cut:#?}");
}

/// A thousand services are planned in well under a second of a slow machine; the bench has the figures.
#[test]
fn the_order_is_the_same_in_every_run() {
    let wants: Vec<_> = (0..20).map(|index| Want::new(&format!("s{index}"))).collect();
    let desired = desired(&wants);
    let one = Cloud::default().plan(&desired, PlanOptions::default());
    assert_eq!(one, Cloud::default().plan(&desired, PlanOptions::default()));
    assert_eq!(one.summary.create, one.actions.len());
}

#[test]
fn a_destroy_says_who_stays_where_it_takes_nothing_away() {
    let mut cloud = applied(&[Want::new("s")], Some(ConnectionState::Accepted));
    for live in &mut cloud.live {
        live.ownership = Ownership::Supplied;
    }
    let mut desired = desired(&[Want::new("s")]);
    desired.resources.clear();
    let plan = cloud.plan(&desired, PlanOptions { destroy: true, ..PlanOptions::default() });
    assert!(plan.is_empty());
    assert!(plan.warnings.iter().any(|warning| warning.contains("vpce-1")), "{:?}", plan.warnings);
}
