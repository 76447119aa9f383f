use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn connection(id: &str, account: &str, state: ConnectionState) -> Connection {
    Connection {
        id: id.to_owned(),
        handle: id.to_owned(),
        identities: BTreeSet::from([Identity::new("account", account)]),
        state,
        cloud_state: String::new(),
        since: None,
        note: None,
        cut_along: Vec::new(),
        company: Company::default(),
        again: Again::Nothing,
        besides: Besides::default(),
        may_be_for: Vec::new(),
        resource: None,
    }
}

fn consumer(name: &str, account: &str, max: u32, only: &[&str]) -> ConsumerPolicy {
    ConsumerPolicy {
        name: name.to_owned(),
        identities: BTreeSet::from([Identity::new("account", account)]),
        max_connections: max,
        only: only.iter().map(|id| (*id).to_owned()).collect(),
        preset: None,
    }
}

fn policy(consumers: Vec<ConsumerPolicy>) -> ServicePolicy {
    ServicePolicy { service: "s".to_owned(), consumers, shared: false }
}

use ConnectionState::{Accepted, Pending};

#[test]
fn lets_the_consumer_in_and_nobody_else() {
    let policy = policy(vec![consumer("fivetran", "834469178297", 1, &[])]);
    let connections =
        [connection("vpce-1", "834469178297", Pending), connection("vpce-2", "999999999999", Pending)];
    let decisions = decide(&policy, &connections, &Ask::default());
    assert_eq!(decisions[0].verdict, Verdict::Accepted);
    assert_eq!((decisions[1].verdict, &decisions[1].why), (Verdict::Left, &Why::Stranger));
}

/// On Azure a connection is known by its endpoint, and several requests may be of one.
#[test]
fn an_endpoint_that_asks_twice_is_let_in_once() {
    let twin = |name: &str, id: &str| Connection { handle: name.to_owned(), ..connection(id, "1", Pending) };
    let connections = [twin("a", "/e"), twin("b", "/E"), twin("c", "/other")];
    let ask = |id: &str| Ask { connection: Some(id.to_owned()), again: true, ..Ask::default() };
    let accepted = |max: u32, asked: &str| -> Vec<String> {
        let decisions = decide(&policy(vec![consumer("acme", "1", max, &[])]), &connections, &ask(asked));
        let accepted = decisions.into_iter().filter(|decision| decision.verdict == Verdict::Accepted);
        accepted.map(|decision| decision.handle).collect()
    };
    assert_eq!(accepted(1, "/e"), Vec::<String>::new());
    assert_eq!(accepted(1, "B"), ["b"]);
    assert_eq!(accepted(2, "/e"), ["b", "a"], "there is room for both");
    assert_eq!(accepted(1, "/other"), ["c"]);
    let one = policy(vec![consumer("acme", "1", 1, &[])]);
    let decisions = decide(&one, &connections, &ask("/e"));
    assert_eq!(decisions.iter().filter(|decision| decision.is_ambiguous()).count(), 2);
    let why = decisions[0].why.to_string();
    assert!(why.contains("there is room for 1: name one by its connection name"), "{why}");
    assert!(why.ends_with("a, b"), "{why}");
}

/// A person may name a connection by the id that the cloud's tools show; a policy lists endpoints, and no connection's id.
#[test]
fn a_connection_is_named_by_its_own_id_and_listed_by_its_endpoint() {
    let of = |name: &str| Connection {
        handle: name.to_owned(),
        resource: Some(format!("/services/orders/connections/{name}")),
        ..connection("/e", "1", Pending)
    };
    let connections = [of("a"), of("b")];
    let ask = |id: &str| Ask { connection: Some(id.to_owned()), again: true, ..Ask::default() };
    let one = policy(vec![consumer("acme", "1", 1, &[])]);
    let accepted = |id: &str| -> Vec<String> {
        let decisions = decide(&one, &connections, &ask(id));
        assert!(decisions.iter().filter(|decision| decision.is_named(id)).count() <= 1);
        let accepted = decisions.into_iter().filter(|decision| decision.verdict == Verdict::Accepted);
        accepted.map(|decision| decision.handle).collect()
    };
    assert_eq!(accepted("/Services/orders/connections/B"), ["b"]);
    assert_eq!(accepted("/services/other/connections/b"), Vec::<String>::new());
    let only = policy(vec![consumer("acme", "1", 1, &["/services/orders/connections/a"])]);
    let listed = decide(&only, &connections[..1], &Ask::default());
    assert_eq!(listed[0].why, Why::NotInOnly);
}

/// Nobody is let in by having been turned away.
#[test]
fn who_was_turned_away_is_shown_as_that() {
    let policy = policy(vec![consumer("acme", "1", 1, &[])]);
    let connections = [connection("vpce-1", "1", ConnectionState::Rejected)];
    let (allowed, why) = assess(&policy, &connections[0], &connections);
    assert_eq!((allowed, why.as_str()), (false, "it is acme, and was turned away"));
}

/// What was decided alone is over the bound when another decision came at the same moment; whoever had a place before, and who belongs to
/// another consumer, is no crowd.
#[test]
fn two_that_were_let_in_at_once_are_told() {
    let policy = policy(vec![consumer("fivetran", "1", 1, &[]), consumer("acme", "2", 1, &[])]);
    let before = [connection("vpce-1", "1", Pending), connection("vpce-2", "1", Pending)];
    let chosen = Ask { connection: Some("vpce-2".to_owned()), ..Ask::default() };
    let decisions = decide(&policy, &before, &chosen);
    let after = |first| {
        [
            connection("vpce-1", "1", first),
            connection("vpce-2", "1", Accepted),
            connection("vpce-3", "2", Accepted),
        ]
    };
    assert_eq!(crowds(&policy, &after(Pending), &decisions), []);
    let crowd = crowds(&policy, &after(Accepted), &decisions);
    assert_eq!(crowd.len(), 1);
    assert_eq!((crowd[0].consumer.as_str(), crowd[0].max), ("fivetran", 1));
    assert_eq!(crowd[0].connections, ["vpce-1", "vpce-2"]);
    assert_eq!(crowds(&policy, &after(Accepted), &[]), [], "nobody was let in here");
}

/// Where a cloud's list names a whole consumer, what lets in one lets in all of it.
#[test]
fn one_that_would_bring_in_another_is_let_in_with_that_one_or_not_at_all() {
    const LET_IN: (bool, bool, bool) = (true, false, false);
    const REFUSED: (bool, bool, bool) = (false, true, false);
    const LEFT: (bool, bool, bool) = (false, false, false);
    const SURPLUS: (bool, bool, bool) = (false, false, true);
    let with = |id: &str, account: &str, others: &[u8]| Connection {
        company: company(&others.iter().copied().collect()),
        ..connection(id, account, Pending)
    };
    let one_of_two = Ask { connection: Some("vpce-1".to_owned()), ..Ask::default() };
    let decided = |policy: &ServicePolicy, connections: &[Connection], ask: &Ask| {
        let all = decide(policy, connections, ask).into_iter();
        all.map(|d| (d.verdict == Verdict::Accepted, d.is_refused(), d.is_ambiguous())).collect::<Vec<_>>()
    };
    let two = policy(vec![consumer("acme", "1", 2, &[])]);
    let both = [with("vpce-1", "1", &[2]), with("vpce-2", "1", &[1])];
    assert_eq!(decided(&two, &both, &Ask::default()), [LET_IN, LET_IN]);
    assert_eq!(decided(&two, &both, &one_of_two), [REFUSED, LEFT], "the other one was not asked for");
    let decisions = decide(&two, &both, &one_of_two);
    let why = decisions[0].why.to_string();
    assert_eq!(
        why,
        "the cloud would let in vpce-2 as well, or instead of it, which is not to be let in now: name it alone"
    );
    // More of them than there is room for, one that is not in `only`, a stranger, and somebody whom a person turned away.
    let one = policy(vec![consumer("acme", "1", 1, &[])]);
    assert_eq!(decided(&one, &both, &Ask::default()), [SURPLUS, SURPLUS]);
    assert_eq!(decided(&one, &both, &one_of_two), [REFUSED, LEFT]);
    let only = policy(vec![consumer("acme", "1", 2, &["vpce-1"])]);
    assert_eq!(decided(&only, &both, &Ask::default()), [REFUSED, LEFT]);
    let stranger = [with("vpce-1", "1", &[2]), with("vpce-2", "2", &[1])];
    assert_eq!(decided(&two, &stranger, &Ask::default()), [REFUSED, LEFT]);
    let others = Ask { reject_others: true, ..Ask::default() };
    assert!(decide(&two, &stranger, &others)[0].is_refused(), "to turn that one away lets nobody in");
    let away = [with("vpce-1", "1", &[2]), connection("vpce-2", "1", ConnectionState::Rejected)];
    assert_eq!(decided(&two, &away, &Ask::default()), [REFUSED]);
    // One that is left is no company that was let in: three of one project, of whom one is a stranger; and somebody else comes in alone.
    let chain = [with("vpce-1", "1", &[2]), with("vpce-2", "1", &[3]), with("vpce-3", "9", &[])];
    assert_eq!(decided(&two, &chain, &Ask::default()), [REFUSED, REFUSED, LEFT]);
    let beside = policy(vec![consumer("acme", "1", 2, &[]), consumer("beta", "2", 1, &[])]);
    let all = [with("vpce-1", "1", &[3]), with("vpce-2", "2", &[]), with("vpce-3", "9", &[])];
    assert_eq!(decided(&beside, &all, &Ask::default()), [REFUSED, LET_IN, LEFT]);
    // `status` says the same.
    let (allowed, why) = assess(&only, &both[0], &both);
    assert!(!allowed && why.contains("would let in vpce-2 as well"), "{why}");
}

/// A list may have room for some of those that are turned away together; one entry may stand for several of them.
#[test]
fn as_many_are_turned_away_together_as_a_list_has_room_for() {
    let stranger = |id: &str, list: &str, entry: &str, room: usize| {
        let (list, entries) = (list.to_owned(), BTreeSet::from([entry.to_owned()]));
        let takes = Some(Takes { list, entries, room, full: "it is full".to_owned() });
        let rejecting = Aside { takes, ..Aside::default() };
        Connection {
            besides: Besides { rejecting, ..Besides::default() },
            ..connection(id, "999999999999", Pending)
        }
    };
    let policy = policy(vec![consumer("fivetran", "834469178297", 1, &[])]);
    let others = Ask { reject_others: true, ..Ask::default() };
    let rejected = |connections: &[Connection]| {
        let decisions = decide(&policy, connections, &others);
        assert!(decisions.iter().all(|one| one.verdict == Verdict::Rejected || one.is_refused()));
        let rejected = decisions.into_iter().filter(|one| one.verdict == Verdict::Rejected);
        rejected.map(|one| one.connection).collect::<Vec<_>>()
    };
    let three = |room| ["c", "b", "a"].map(|id| stranger(id, "one", id, room));
    assert_eq!(rejected(&three(3)), ["a", "b", "c"]);
    assert_eq!(rejected(&three(2)), ["a", "b"]);
    assert_eq!(rejected(&three(0)), [""; 0]);
    let shared = [
        stranger("a", "one", "x", 1),
        stranger("b", "one", "y", 1),
        stranger("c", "one", "x", 1),
        stranger("d", "two", "y", 1),
    ];
    assert_eq!(rejected(&shared), ["a", "c", "d"]);
}

#[test]
fn surplus_is_ambiguous_until_somebody_chooses() {
    let policy = policy(vec![consumer("fivetran", "834469178297", 1, &[])]);
    let connections =
        [connection("vpce-1", "834469178297", Pending), connection("vpce-2", "834469178297", Pending)];
    let decisions = decide(&policy, &connections, &Ask::default());
    assert!(decisions.iter().all(|d| d.why == Why::Ambiguous { pending: 2, room: 1 }));
    let ask = Ask { connection: Some("VPCE-2".to_owned()), ..Ask::default() };
    let decisions = decide(&policy, &connections, &ask);
    assert_eq!(decisions[0].verdict, Verdict::Left);
    assert_eq!((decisions[1].verdict, &decisions[1].why), (Verdict::Accepted, &Why::Chosen));
}

/// The cloud does not tell what a request is for: who may be meant for somebody else's service is let in by a person alone.
#[test]
fn who_may_be_meant_for_another_service_waits_for_a_person() {
    let of_other = Connection {
        may_be_for: vec!["lake-blob".to_owned()],
        ..connection("vpce-1", "834469178297", Pending)
    };
    let any = policy(vec![consumer("rival", "834469178297", 1, &[])]);
    let one = |policy: &ServicePolicy, ask: &Ask| {
        let decisions = decide(policy, std::slice::from_ref(&of_other), ask);
        (decisions[0].verdict, decisions[0].is_ambiguous(), decisions[0].why.to_string())
    };
    let (verdict, ambiguous, why) = one(&any, &Ask::default());
    assert_eq!((verdict, ambiguous), (Verdict::Left, true));
    assert!(why.contains("lake-blob") && why.contains("--connection") && why.contains("`only`"), "{why}");
    let chosen = Ask { connection: Some("vpce-1".to_owned()), ..Ask::default() };
    assert_eq!(one(&any, &chosen).0, Verdict::Accepted);
    let named = policy(vec![consumer("rival", "834469178297", 1, &["vpce-1"])]);
    assert_eq!(one(&named, &Ask::default()).0, Verdict::Accepted, "the file says whose it is");
    let stranger = policy(vec![consumer("acme", "111122223333", 1, &[])]);
    assert!(!one(&stranger, &Ask::default()).1, "nobody is asked about strangers");
}

/// Whoever else is in behind the same account is not the one that is waited for.
#[test]
fn a_consumer_is_served_by_an_endpoint_that_it_may_have() {
    let live =
        [connection("vpce-2", "834469178297", Accepted), connection("vpce-1", "834469178297", Pending)];
    let any = policy(vec![consumer("fivetran", "834469178297", 1, &[])]);
    let one = policy(vec![consumer("fivetran", "834469178297", 1, &["vpce-1"])]);
    let two = policy(vec![consumer("fivetran", "834469178297", 1, &[]), consumer("acme", "1", 1, &[])]);
    assert!(any.is_served(&live));
    assert!(!one.is_served(&live) && !two.is_served(&live) && !any.is_served(&live[1..]));
    assert!(one.is_served(&[connection("VPCE-1", "834469178297", Accepted)]));
}

#[test]
fn who_was_turned_away_is_decided_on_when_it_is_named_and_the_cloud_can() {
    let policy = policy(vec![consumer("fivetran", "834469178297", 1, &["vpce-1", "vpce-3"])]);
    let of = |id, account, state, again| Connection { again, ..connection(id, account, state) };
    let named = |id: &str| Ask { connection: Some(id.to_owned()), again: true, ..Ask::default() };
    let verdict = |connections: &[Connection], ask: &Ask| {
        decide(&policy, connections, ask).first().map(|decision| (decision.verdict, decision.why.clone()))
    };
    let own = |again| of("vpce-1", "834469178297", ConnectionState::Rejected, again);
    assert_eq!(verdict(&[own(Again::LetIn)], &named("vpce-1")), Some((Verdict::Accepted, Why::ChosenAgain)));
    // Not by itself, not on a cloud that cannot, and by the policy as if it were pending.
    assert_eq!(verdict(&[own(Again::LetIn)], &Ask::default()), None);
    assert_eq!(verdict(&[own(Again::Nothing)], &named("vpce-1")), None);
    // Nor where whoever turned it away did so while it was waited for.
    assert_eq!(verdict(&[own(Again::LetIn)], &Ask { again: false, ..named("vpce-1") }), None);
    let stranger = of("vpce-9", "999999999999", ConnectionState::Rejected, Again::LetIn);
    assert_eq!(
        verdict(std::slice::from_ref(&stranger), &named("vpce-9")),
        Some((Verdict::Left, Why::Stranger))
    );
    assert_eq!(verdict(&[stranger], &Ask { reject_others: true, ..named("vpce-9") }), None);
    let other = of("vpce-2", "834469178297", ConnectionState::Rejected, Again::LetIn);
    assert_eq!(verdict(&[other], &named("vpce-2")), Some((Verdict::Left, Why::NotInOnly)));
    let full = [own(Again::LetIn), connection("vpce-3", "834469178297", Accepted)];
    assert_eq!(
        verdict(&full, &named("vpce-1")),
        Some((Verdict::Left, Why::Full { max: 1, shared: Vec::new() }))
    );
    // One that is in keeps its place: only what was cut short is brought to its end.
    let live = |again| of("vpce-3", "834469178297", Accepted, again);
    assert_eq!(verdict(&[live(Again::Finish)], &named("vpce-3")), Some((Verdict::Accepted, Why::Finished)));
    assert_eq!(verdict(&[live(Again::LetIn)], &named("vpce-3")), None);
}

/// Two consumers of one account, as a vendor's role is of the vendor's: whoever `only` leaves out has no place of the one that has it, as
/// long as it may be the other's.
#[test]
fn a_connection_that_only_leaves_out_takes_no_place_where_another_consumer_may_have_it() {
    let connections = [connection("vpce-a", "1", Accepted), connection("vpce-b", "1", Pending)];
    let decided = |consumers: Vec<ConsumerPolicy>| {
        let decision = decide(&policy(consumers), &connections, &Ask::default()).remove(0);
        (decision.consumer.unwrap(), decision.verdict, decision.why.to_string())
    };
    let role = || consumer("role", "1", 1, &["vpce-b"]);
    let (whose, verdict, why) = decided(vec![consumer("fivetran", "1", 1, &[]), role()]);
    assert_eq!((whose.as_str(), verdict), ("role", Verdict::Accepted), "{why}");
    let (_, verdict, why) = decided(vec![consumer("fivetran", "1", 1, &["VPCE-A"]), role()]);
    assert_eq!(verdict, Verdict::Accepted, "{why}");
    // It was let in before `only` was edited: where nobody else may have it, it keeps its place.
    let alone = [
        vec![role()],
        vec![consumer("acme", "2", 1, &[]), role()],
        // The other one's `only` leaves it out as well: it may have been either's.
        vec![consumer("fivetran", "1", 1, &["vpce-c"]), role()],
    ];
    for consumers in alone {
        let (whose, verdict, why) = decided(consumers);
        assert_eq!((whose.as_str(), verdict), ("role", Verdict::Left), "{why}");
        assert_eq!(why, "the consumer has its 1 connection(s) (max_connections)");
    }
    // Without `only` it counts for both, and the reason names the other one: nothing tells whose it is.
    let (whose, verdict, why) =
        decided(vec![consumer("fivetran", "1", 1, &[]), consumer("role", "1", 1, &[])]);
    assert_eq!((whose.as_str(), verdict), ("fivetran", Verdict::Left));
    assert_eq!(
        why,
        "the consumer has its 1 connection(s) (max_connections): vpce-a counts for role too, by the same identity; name this consumer's \
         endpoints in its `only`, or raise its max_connections"
    );
}

#[test]
fn choosing_a_stranger_does_not_let_it_in() {
    let policy = policy(vec![consumer("fivetran", "834469178297", 1, &[])]);
    let connections = [connection("vpce-9", "999999999999", Pending)];
    let ask = Ask { connection: Some("vpce-9".to_owned()), ..Ask::default() };
    assert_eq!(decide(&policy, &connections, &ask)[0].verdict, Verdict::Left);
}

#[test]
fn others_are_never_rejected_on_a_shared_service() {
    let mut policy = policy(vec![consumer("fivetran", "834469178297", 1, &[])]);
    let connections = [connection("vpce-9", "999999999999", Pending)];
    let ask = Ask { reject_others: true, ..Ask::default() };
    assert_eq!(decide(&policy, &connections, &ask)[0].verdict, Verdict::Rejected);
    policy.shared = true;
    assert_eq!(decide(&policy, &connections, &ask)[0].verdict, Verdict::Left);
}

fn states() -> impl Strategy<Value = ConnectionState> {
    use ConnectionState::{Changing, Closed, NeedsAttention, Rejected};
    prop::sample::select(vec![Pending, Pending, Accepted, NeedsAttention, Changing, Rejected, Closed])
}

fn agains() -> impl Strategy<Value = Again> {
    prop::sample::select(vec![Again::Nothing, Again::LetIn, Again::Finish])
}

/// Whom the cloud lets in with somebody: mostly nobody, sometimes whoever it is, himself or one who is not there among them.
fn companies() -> impl Strategy<Value = Company> {
    let some = prop::collection::btree_set(0u8..8, 1..3).prop_map(|others| company(&others));
    prop_oneof![3 => Just(Company::default()), 1 => some]
}

fn company(others: &BTreeSet<u8>) -> Company {
    Company {
        others: others.iter().map(|other| format!("vpce-{other}")).collect(),
        instead: "name it alone".to_owned(),
    }
}

/// Whether a connection that is let in takes a place that it did not have: one that is in already is only brought to its end, and
/// that only where it is asked for by name.
fn takes_a_place(connection: &Connection, decision: &Decision, ask: &Ask) -> bool {
    match connection.state {
        Pending => true,
        ConnectionState::Rejected => {
            assert!(ask.again && !ask.reject_others && connection.again != Again::Nothing);
            assert_eq!(
                (decision.why.clone(), ask.connection.as_ref()),
                (Why::ChosenAgain, Some(&connection.id))
            );
            true
        }
        state => {
            assert!(
                state.may_be_live() && ask.again && !ask.reject_others && connection.again == Again::Finish
            );
            assert_eq!(
                (decision.why.clone(), ask.connection.as_ref()),
                (Why::Finished, Some(&connection.id))
            );
            false
        }
    }
}

prop_compose! {
    fn any_case()(
        consumers in prop::collection::vec((0u8..4, 0u32..4, prop::collection::btree_set(0u8..8, 0..3)), 0..4),
        connections in prop::collection::vec((0u8..5, states(), agains(), companies()), 0..8),
        chosen in prop::option::of(0u8..8),
        reject_others in any::<bool>(),
        again in any::<bool>(),
        shared in any::<bool>(),
    ) -> (ServicePolicy, Vec<Connection>, Ask) {
        let consumers = consumers.iter().enumerate().map(|(index, (account, max, only))| ConsumerPolicy {
            name: format!("c{index}"),
            identities: BTreeSet::from([Identity::new("account", &account.to_string())]),
            max_connections: *max,
            only: only.iter().map(|id| format!("vpce-{id}")).collect(),
            preset: None,
        }).collect();
        let connections = connections.iter().enumerate()
            .map(|(index, (account, state, again, company))| Connection {
                again: *again,
                company: company.clone(),
                ..connection(&format!("vpce-{index}"), &account.to_string(), *state)
            })
            .collect();
        let ask = Ask { connection: chosen.map(|id| format!("vpce-{id}")), reject_others, again };
        (ServicePolicy { service: "s".to_owned(), consumers, shared }, connections, ask)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever is asked, in whatever order the cloud lists, no consumer ends with more than it may have, and nobody is let
    /// in who is not a consumer, or not in its `only`.
    #[test]
    fn never_more_than_the_rule_allows((policy, connections, ask) in any_case()) {
        let decisions = decide(&policy, &connections, &ask);
        for decision in decisions.iter().filter(|d| d.verdict == Verdict::Accepted) {
            let connection = connections.iter().find(|c| c.id == decision.connection).unwrap();
            if !takes_a_place(connection, decision, &ask) {
                continue;
            }
            let own = policy.consumers.iter().find(|c| Some(&c.name) == decision.consumer.as_ref()).unwrap();
            prop_assert!(!own.identities.is_disjoint(&connection.identities));
            prop_assert!(own.only.is_empty() || own.only.contains(&connection.id));
        }
        for own in &policy.consumers {
            let before = connections.iter().filter(|c| c.state.may_be_live()
                && policy.consumer_of(c).is_some_and(|o| o.name == own.name)).count();
            let accepted = decisions.iter().filter(|d| {
                d.verdict == Verdict::Accepted && d.consumer.as_deref() == Some(&own.name) && !d.state.may_be_live()
            }).count();
            prop_assert!(accepted == 0 || before + accepted <= own.max_connections as usize);
        }
    }

    /// Whoever comes in was let in by the rule, also where the cloud lets in several at once. Nobody else is the worse for it, and where all
    /// that come in together are let in it is as if each had come alone.
    #[test]
    fn nobody_comes_in_by_the_way((policy, connections, ask) in any_case()) {
        let accepted = |connections: &[Connection]| -> BTreeSet<String> {
            let decisions = decide(&policy, connections, &ask).into_iter();
            decisions.filter(|d| d.verdict == Verdict::Accepted).map(|d| d.connection).collect()
        };
        let with = |ids: &BTreeSet<String>| -> BTreeSet<String> {
            let own = connections.iter().filter(|c| ids.contains(&c.id));
            own.flat_map(|c| c.company.others.iter().cloned()).collect()
        };
        let alone: Vec<Connection> =
            connections.iter().cloned().map(|c| Connection { company: Company::default(), ..c }).collect();
        let (let_in, each_alone) = (accepted(&connections), accepted(&alone));
        prop_assert!(with(&let_in).is_subset(&let_in), "{:?} and not only {let_in:?}", with(&let_in));
        prop_assert!(let_in.is_subset(&each_alone));
        if with(&each_alone).is_subset(&each_alone) {
            prop_assert_eq!(&let_in, &each_alone);
        }
        for left in each_alone.difference(&let_in) {
            let own = connections.iter().find(|c| c.id == *left).unwrap();
            prop_assert!(!own.company.others.is_subset(&let_in), "nothing is in the way of {left}");
        }
        let as_alone = |d: &Decision| !each_alone.contains(&d.connection) || let_in.contains(&d.connection);
        let others = |connections: &[Connection]| -> Vec<Decision> {
            decide(&policy, connections, &ask).into_iter().filter(as_alone).collect()
        };
        prop_assert_eq!(others(&connections), others(&alone));
    }

    /// The order in which the cloud lists connections changes nothing.
    #[test]
    fn order_does_not_matter((policy, connections, ask) in any_case()) {
        let reversed: Vec<_> = connections.iter().rev().cloned().collect();
        prop_assert_eq!(decide(&policy, &connections, &ask), decide(&policy, &reversed, &ask));
    }

    /// On shared services nobody is ever turned away.
    #[test]
    fn nobody_is_rejected_unasked((policy, connections, ask) in any_case()) {
        let rejected = decide(&policy, &connections, &ask).iter().any(|d| d.verdict == Verdict::Rejected);
        prop_assert!(!rejected || (ask.reject_others && !policy.shared));
    }

    /// Once everything accepted is live, deciding again accepts nothing more.
    #[test]
    fn deciding_again_changes_nothing((policy, mut connections, ask) in any_case()) {
        for decision in decide(&policy, &connections, &ask) {
            if decision.verdict == Verdict::Accepted
                && let Some(c) = connections.iter_mut().find(|c| c.id == decision.connection) {
                c.state = Accepted;
            }
        }
        for own in &policy.consumers {
            let live = connections.iter().filter(|c| c.state.may_be_live()
                && policy.consumer_of(c).is_some_and(|o| o.name == own.name)).count();
            let again = decide(&policy, &connections, &ask).iter().filter(|d| {
                d.verdict == Verdict::Accepted && d.consumer.as_deref() == Some(&own.name) && !d.state.may_be_live()
            }).count();
            prop_assert!(again == 0 || live + again <= own.max_connections as usize);
        }
    }
}

/// Accounts that are easily taken for one another, in every way in which clouds and people write them.
const LOOK_ALIKES: [&str; 8] = [
    "834469178297",
    "834469178279",
    "83446917829",
    "8344691782970",
    "0834469178297",
    "834469178297 ",
    "11111111-aaaa-bbbb-cccc-222222222222",
    "11111111-AAAA-BBBB-CCCC-222222222222",
];

fn account() -> impl Strategy<Value = Identity> {
    (prop::sample::select(vec!["account", "project"]), prop::sample::select(LOOK_ALIKES.to_vec()))
        .prop_map(|(sort, id)| Identity::new(sort, id))
}

prop_compose! {
    /// Consumers with several identities, which may overlap; connections of which the cloud says several things or nothing, some
    /// of them let in by the cloud itself, and ids in any case.
    fn awkward_case()(
        consumers in prop::collection::vec(
            (prop::collection::btree_set(account(), 1..3), 0u32..4, prop::collection::btree_set(0u8..8, 0..3)), 0..4),
        connections in prop::collection::vec(
            (prop::collection::btree_set(account(), 0..3), states(), agains(), companies()), 0..9),
        chosen in prop::option::of(0u8..9),
        reject_others in any::<bool>(),
        again in any::<bool>(),
        shared in any::<bool>(),
    ) -> (ServicePolicy, Vec<Connection>, Ask) {
        let consumers = consumers.into_iter().enumerate().map(|(index, (identities, max, only))| ConsumerPolicy {
            name: format!("c{index}"),
            identities,
            max_connections: max,
            only: only.iter().map(|id| format!("VPCE-{id}")).collect(),
            preset: None,
        }).collect();
        let connections = connections.into_iter().enumerate().map(|(index, (identities, state, again, company))| Connection {
            identities,
            again,
            company,
            ..connection(&format!("vpce-{index}"), "", state)
        }).collect();
        let ask = Ask { connection: chosen.map(|id| format!("vpce-{id}")), reject_others, again };
        (ServicePolicy { service: "s".to_owned(), consumers, shared }, connections, ask)
    }
}

/// What the rule says, written a second time, without the functions under test.
struct Rule<'a> {
    consumer: &'a ConsumerPolicy,
    all: &'a [ConsumerPolicy],
    connections: &'a [Connection],
}

impl Rule<'_> {
    fn is_its(&self, connection: &Connection) -> bool {
        connection.identities.iter().any(|identity| self.consumer.identities.contains(identity))
    }

    fn names(&self, connection: &Connection) -> bool {
        let only = &self.consumer.only;
        only.is_empty() || only.iter().any(|id| id.to_lowercase() == connection.id.to_lowercase())
    }

    /// Whether a connection could be this consumer's: one that `only` leaves out, where no other one may have it.
    fn may_be_its(&self, connection: &Connection) -> bool {
        let may_have = |consumer| {
            let rule = Rule { consumer, ..*self };
            rule.is_its(connection) && rule.names(connection)
        };
        self.is_its(connection) && (self.names(connection) || !self.all.iter().any(may_have))
    }

    /// Places that are left: whoever let the others in, and whichever of the consumers they belong to.
    fn room(&self) -> usize {
        use ConnectionState::{Changing, NeedsAttention};
        let live =
            |c: &&Connection| matches!(c.state, Accepted | NeedsAttention | Changing) && self.may_be_its(c);
        (self.consumer.max_connections as usize).saturating_sub(self.connections.iter().filter(live).count())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    /// The named consumer, within `max_connections` (those that the cloud let in by itself count), and in `only`: nobody else, not
    /// even one whose account differs by a digit, and none of a surplus.
    #[test]
    fn look_alikes_and_what_the_cloud_let_in_leave_no_gap((policy, connections, ask) in awkward_case()) {
        let decisions = decide(&policy, &connections, &ask);
        for decision in &decisions {
            let connection = connections.iter().find(|c| c.id == decision.connection).unwrap();
            let its = |consumer| Rule { consumer, all: &policy.consumers, connections: &connections }.is_its(connection);
            match decision.verdict {
                Verdict::Accepted if !takes_a_place(connection, decision, &ask) => prop_assert!(its(
                    policy.consumers.iter().find(|c| Some(&c.name) == decision.consumer.as_ref()).unwrap()
                )),
                Verdict::Accepted => {
                    let consumer = policy.consumers.iter().find(|c| Some(&c.name) == decision.consumer.as_ref());
                    let rule = Rule { consumer: consumer.unwrap(), all: &policy.consumers, connections: &connections };
                    prop_assert!(rule.is_its(connection) && rule.names(connection), "{:?}", decision);
                }
                Verdict::Rejected => prop_assert!(!policy.consumers.iter().any(its), "{:?}", decision),
                Verdict::Left => {}
            }
        }
        for consumer in &policy.consumers {
            let rule = Rule { consumer, all: &policy.consumers, connections: &connections };
            let of = |verdict: Option<Verdict>| decisions.iter().filter(move |d| {
                d.consumer.as_deref() == Some(&consumer.name) && verdict.is_none_or(|verdict| d.verdict == verdict)
                    && !d.state.may_be_live()
            });
            let accepted = of(Some(Verdict::Accepted)).count();
            prop_assert!(accepted <= rule.room(), "{} of {} places", accepted, rule.room());
            let eligible = of(None).filter(|d| {
                rule.names(connections.iter().find(|c| c.id == d.connection).unwrap())
            }).count();
            if ask.connection.is_none() && eligible > rule.room() {
                prop_assert_eq!(accepted, 0, "one of a surplus was let in");
            }
        }
        if let Some(chosen) = &ask.connection {
            prop_assert!(decisions.iter().all(|d| d.verdict != Verdict::Accepted || d.connection == *chosen));
        }
    }

    /// Nobody is turned away who matches a consumer; and nobody at all unless asked, or where others are colleagues.
    #[test]
    fn only_strangers_are_turned_away((policy, connections, ask) in awkward_case()) {
        for decision in decide(&policy, &connections, &ask).iter().filter(|d| d.verdict == Verdict::Rejected) {
            prop_assert!(ask.reject_others && !policy.shared && decision.consumer.is_none());
        }
    }

    /// What `status` says of a connection agrees with what `accept-pending` would do, and more live connections than a consumer may
    /// have are never all called allowed.
    #[test]
    fn status_tells_what_the_policy_does((policy, connections, _) in awkward_case()) {
        let decisions = decide(&policy, &connections, &Ask::default());
        for connection in &connections {
            let (allowed, _) = assess(&policy, connection, &connections);
            if let Some(decision) = decisions.iter().find(|d| d.connection == connection.id) {
                prop_assert_eq!(allowed, decision.verdict == Verdict::Accepted);
            }
            let matches = policy.consumers.iter().any(|consumer| {
                let rule = Rule { consumer, all: &policy.consumers, connections: &connections };
                rule.is_its(connection) && rule.names(connection)
            });
            prop_assert!(matches || !allowed, "{:?} is allowed by nobody", connection);
        }
        for consumer in &policy.consumers {
            let live = connections.iter().filter(|c| c.state.may_be_live()
                && policy.consumer_of(c).is_some_and(|own| own.name == consumer.name));
            let allowed = live.filter(|c| assess(&policy, c, &connections).0).count();
            prop_assert!(allowed <= consumer.max_connections as usize);
        }
    }
}
