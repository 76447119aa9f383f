//! The cloud in memory.

use std::collections::{BTreeMap, BTreeSet};

use crate::accept::{
    Again, Besides, Company, Connection, ConnectionState, ConsumerPolicy, Identity, ServicePolicy,
};
use crate::kind::{Change, Class, Field, Kind, KindTable, Replacement, Shape, Traffic};
use crate::plan::{Action, Op, Plan, PlanOptions, plan};
use crate::provider::Handled;
use crate::resource::{Address, Health, Live, Origin, Ownership, Resource, Scope};
use crate::value::{OutputRef, Value};
use crate::world::{Connections, Desired, Held, ServiceIntent, ServiceWorld, World};

const fn kind(name: &'static str, fields: &'static [Field], rank: u8, severs: bool) -> Kind {
    Kind {
        name,
        title: name,
        fields,
        replacement: Replacement::CreateFirst,
        teardown_rank: rank,
        severs,
        serialized_by: &[],
        telling: &[],
    }
}

pub(super) const KINDS: &[Kind] = &[
    kind(
        "group",
        &[
            Field::managed("vpc").on_change(Change::ReplaceUnlessConnected).bounding_the_service(),
            Field::managed("tags"),
        ],
        60,
        false,
    ),
    kind(
        "lb",
        &[
            Field::managed("vpc").on_change(Change::ReplaceUnlessConnected),
            Field::managed("subnets").on_change(Change::GrowUnlessConnected).shaped(Shape::Set),
            Field::managed("group"),
            Field::if_set("note"),
            Field::if_set("locked").protecting(),
            Field::observed("seen"),
        ],
        30,
        true,
    ),
    kind(
        "tg",
        &[
            Field::managed("port").on_change(Change::Replace).bounding_the_service(),
            Field::managed("targets").shaped(Shape::Set).following_names().naming_targets(),
            Field::managed("check").on_change(Change::Replace).leaving_targets(),
            Field::managed("header").on_change(Change::UpdateUnlessConnected),
            Field::managed("lb").on_change(Change::Bind).without_traffic(),
        ],
        40,
        true,
    ),
    kind(
        "listener",
        &[
            Field::managed("lb").on_change(Change::Replace),
            Field::managed("tg"),
            Field::managed("also").shaped(Shape::Set).without_traffic(),
            Field::managed("tls").on_change(Change::UpdateUnlessConnected),
        ],
        20,
        true,
    ),
    Kind {
        serialized_by: &["lbs"],
        ..kind(
            "svc",
            &[
                Field::managed("lbs").shaped(Shape::Set),
                Field::managed("title").on_change(Change::Refuse),
                Field::managed("zones").on_change(Change::Grow).shaped(Shape::Set),
            ],
            10,
            true,
        )
    },
    kind(
        "fleet",
        &[
            Field::managed("template").on_change(Change::Replace),
            Field::managed("version").on_change(Change::Replace),
            Field::managed("tgs").shaped(Shape::Set).without_traffic(),
            Field::telling("serves", Traffic::Serves),
            Field::telling("since", Traffic::Since),
        ],
        35,
        false,
    ),
    Kind {
        telling: &["version"],
        ..kind("template", &[Field::managed("size").on_change(Change::Replace)], 45, false)
    },
    Kind {
        name: "rule",
        title: "rule",
        fields: &[
            Field::managed("group").on_change(Change::Replace),
            Field::managed("port").on_change(Change::Replace),
        ],
        replacement: Replacement::DeleteFirst,
        teardown_rank: 50,
        severs: false,
        serialized_by: &["group"],
        telling: &[],
    },
];

pub(super) fn kinds() -> KindTable {
    KindTable::new([Handled { cloud: "toy", kinds: KINDS }])
}

/// A service as a test wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Want {
    pub(super) name: String,
    pub(super) vpc: u8,
    pub(super) subnets: BTreeSet<u8>,
    pub(super) ports: BTreeMap<u16, u16>,
    pub(super) title: u8,
    pub(super) remove: bool,
    pub(super) tls: bool,
    pub(super) header: bool,
    /// The size of its machines; none where it has no machines.
    pub(super) size: Option<u8>,
    /// What its targets are asked.
    pub(super) check: u8,
    /// Where its name leads.
    pub(super) at: u8,
}

impl Want {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            vpc: 1,
            subnets: BTreeSet::from([1, 2]),
            ports: BTreeMap::from([(5432, 5432)]),
            title: 0,
            remove: false,
            tls: false,
            header: false,
            size: None,
            check: 1,
            at: 1,
        }
    }
}

fn resource(address: &Address, fields: Vec<(&str, Value)>, needs: &[&Address]) -> Resource {
    Resource {
        address: address.clone(),
        scope: Scope("toy/1".to_owned()),
        origin: Origin::Owned,
        fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        needs: needs.iter().map(|need| (*need).clone()).collect(),
    }
}

fn lower(want: &Want) -> Vec<Resource> {
    let at = |kind: &'static str, name: &str| Address::new(&want.name, kind, name);
    let (group, lb, svc) = (at("group", "main"), at("lb", "main"), at("svc", "main"));
    let vpc = Value::text(format!("vpc-{}", want.vpc));
    let subnets = Value::texts(want.subnets.iter().map(|s| format!("vpc-{}-subnet-{s}", want.vpc)));
    let mut resources = vec![
        resource(&group, vec![("vpc", vpc.clone()), ("tags", Value::map(BTreeMap::new()))], &[]),
        resource(
            &at("rule", "db"),
            vec![("group", Value::output(&group, "id")), ("port", Value::Int(1))],
            &[],
        ),
        resource(&lb, vec![("vpc", vpc), ("subnets", subnets), ("group", Value::output(&group, "id"))], &[]),
    ];
    let (template, fleet) = (at("template", "main"), at("fleet", "main"));
    let of_fleet: Vec<&Address> = want.size.iter().map(|_| &fleet).collect();
    if let Some(size) = want.size {
        resources.push(resource(&template, vec![("size", Value::Int(size.into()))], &[]));
        let tgs = want.ports.keys().map(|listen| Value::output(&at("tg", &listen.to_string()), "id"));
        let fields = vec![
            ("template", Value::output(&template, "id")),
            ("version", Value::output(&template, "version")),
            ("tgs", Value::list(tgs)),
        ];
        resources.push(resource(&fleet, fields, &[]));
    }
    let mut listeners = Vec::new();
    for (listen, port) in &want.ports {
        let (tg, listener) = (at("tg", &listen.to_string()), at("listener", &listen.to_string()));
        let fields = vec![
            ("port", Value::Int(i64::from(*port))),
            ("targets", Value::texts([format!("10.0.0.{}", want.at)])),
            ("check", Value::Int(want.check.into())),
            ("header", Value::Bool(want.header)),
            ("lb", Value::output(&lb, "id")),
        ];
        resources.push(resource(&tg, fields, &[]));
        let tls = Value::Bool(want.tls);
        let fields = vec![
            ("lb", Value::output(&lb, "id")),
            ("tg", Value::output(&tg, "id")),
            ("also", Value::list([])),
            ("tls", tls),
        ];
        resources.push(resource(&listener, fields, &of_fleet));
        listeners.push(listener);
    }
    let fields = vec![
        ("lbs", Value::list([Value::output(&lb, "id")])),
        ("title", Value::Int(i64::from(want.title))),
        ("zones", Value::texts(["z1"])),
    ];
    resources.push(resource(&svc, fields, &listeners.iter().collect::<Vec<_>>()));
    resources
}

pub(super) fn desired(wants: &[Want]) -> Desired {
    let mut desired = Desired { deployment: "d".to_owned(), ..Desired::default() };
    for want in wants {
        if !want.remove {
            desired.resources.extend(lower(want));
        }
        let fivetran = ConsumerPolicy {
            name: "fivetran".to_owned(),
            identities: BTreeSet::from([Identity::new("account", "1")]),
            max_connections: 1,
            only: BTreeSet::new(),
            preset: None,
        };
        let intent = ServiceIntent {
            name: want.name.clone(),
            cloud: "toy",
            scope: Scope("toy/1".to_owned()),
            remove: want.remove,
            policy: ServicePolicy { service: want.name.clone(), consumers: vec![fivetran], shared: false },
            exposed: Address::new(&want.name, "svc", "main"),
            listens: BTreeSet::new(),
        };
        desired.services.insert(want.name.clone(), intent);
    }
    desired
}

/// The cloud: what is there, with rules of its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Cloud {
    pub(super) live: Vec<Live>,
    pub(super) connections: BTreeMap<String, Vec<Connection>>,
    made: usize,
    /// The machines that take connections, by id of their fleet.
    healthy: BTreeSet<String>,
    /// What others' things stand on, by id.
    pub(super) held: BTreeMap<String, Held>,
}

impl Cloud {
    pub(super) fn world(&self, desired: &Desired) -> World {
        let mut world = World { live: self.live.clone().into(), held: self.held.clone(), ..World::default() };
        let services =
            self.live.iter().map(|live| live.address.service.clone()).chain(desired.services.keys().cloned());
        for service in services {
            let svc =
                self.live.iter().find(|live| live.address.service == service && live.address.kind == "svc");
            let connections = self.connections.get(&service).cloned().unwrap_or_default();
            let seen = ServiceWorld {
                connections: if svc.is_some() {
                    Connections::Known(connections)
                } else {
                    Connections::NotExposed
                },
                targets: Vec::new(),
                exposed: svc.map(|live| live.address.clone()),
            };
            world.services.insert(service, seen);
        }
        world
    }

    pub(super) fn plan(&self, desired: &Desired, options: PlanOptions) -> Plan {
        plan(desired, &self.world(desired), &kinds(), options)
    }

    /// Carries out the first `count` actions; asserts what a real cloud would refuse.
    pub(super) fn apply(&mut self, plan: &Plan, count: usize) {
        let mut done: BTreeSet<&str> = BTreeSet::new();
        for action in plan.actions.iter().take(count) {
            for before in &action.after {
                assert!(
                    done.contains(before.as_str()),
                    "{} comes after {before}, which is not done",
                    action.id
                );
            }
            match action.op {
                Op::Create => self.create(action),
                Op::Update => self.update(action),
                Op::Delete => self.delete(action),
                Op::Accept => self.decide(action, ConnectionState::Accepted),
                Op::Reject => self.decide(action, ConnectionState::Rejected),
            }
            assert!(done.insert(&action.id), "{} stands twice", action.id);
        }
    }

    /// Carries out the first `count` actions as `apply` does, and begins the next one: what it waits for does not come about. Asserts
    /// after each that every service goes on to serve.
    pub(super) fn apply_partly(&mut self, plan: &Plan, count: usize) {
        for done in 0..count.min(plan.actions.len()) {
            self.await_successor(&plan.actions[done], plan);
            let one = Plan { actions: vec![alone(plan.actions[done].clone())], ..Plan::default() };
            self.apply(&one, 1);
            self.assert_serving(&plan.actions[done].id);
        }
        if let Some(next) = plan.actions.get(count) {
            self.await_successor(next, plan);
            self.begin(next);
            self.assert_serving(&next.id);
        }
    }

    /// A fleet goes only when the one that takes its place is healthy; one that the plan is to replace too never is.
    fn await_successor(&mut self, action: &Action, plan: &Plan) {
        let made = |one: &&Action| one.op == Op::Create && one.address == action.address;
        if action.op == Op::Delete
            && action.address.kind == "fleet"
            && !plan.actions.iter().any(|one| made(&one))
        {
            let others = self.live.iter().filter(|live| live.address == action.address);
            self.healthy.extend(others.map(|live| live.id.clone()));
        }
    }

    fn begin(&mut self, action: &Action) {
        match (action.op, action.address.kind.as_str()) {
            (Op::Create, "fleet") => {
                self.create(action);
                self.healthy.remove(&format!("fleet-{}", self.made));
            }
            (Op::Delete, "fleet") => {
                let live = self.live.iter_mut().find(|live| Some(&live.id) == action.live_id.as_ref());
                let fields = &mut live.unwrap().fields;
                fields.insert("tgs".to_owned(), Value::list([]));
                fields.insert("serves".to_owned(), Value::Int(0));
            }
            (Op::Update, "listener") => {
                let tg = action.changes.iter().find(|change| change.field == "tg");
                let Some(tg) = tg.map(|change| self.resolve(&change.to)) else { return };
                let live = self.live.iter_mut().find(|live| Some(&live.id) == action.live_id.as_ref());
                live.unwrap().fields.insert("also".to_owned(), Value::list([tg]));
                self.bind();
            }
            _ => {}
        }
    }

    /// Each service that is there leads from what consumers connect to, to machines that take connections.
    fn assert_serving(&self, after: &str) {
        let named = |live: &Live, field: &str, kind: &str| {
            let mut ids = Vec::new();
            live.fields[field].each_text(&mut |text| ids.push(text.to_owned()));
            let of_kind = self.live.iter().filter(move |live| live.address.kind == kind);
            of_kind.filter(|live| ids.contains(&live.id)).collect::<Vec<_>>()
        };
        let of = |kind: &'static str, service: &str| {
            let service = service.to_owned();
            let of_kind = self.live.iter().filter(move |live| live.address.kind == kind);
            of_kind.filter(move |live| live.address.service == service)
        };
        for svc in self.live.iter().filter(|live| live.address.kind == "svc") {
            let service = &svc.address.service;
            let lbs: Vec<String> = named(svc, "lbs", "lb").iter().map(|lb| lb.id.clone()).collect();
            let listeners: Vec<&Live> = of("listener", service)
                .filter(|one| lbs.iter().any(|lb| one.fields["lb"].as_text() == Some(lb)))
                .collect();
            assert!(!listeners.is_empty(), "{after}: nothing listens for {service}");
            for listener in listeners {
                let tgs = named(listener, "tg", "tg");
                assert!(!tgs.is_empty(), "{after}: {} leads nowhere", listener.address);
            }
            let serves = |fleet: &Live| {
                let attached = fleet.fields["serves"] != Value::Int(0);
                let whole = !named(fleet, "template", "template").is_empty();
                attached && whole && self.healthy.contains(&fleet.id)
            };
            let mut fleets = of("fleet", service).peekable();
            assert!(fleets.peek().is_none() || fleets.any(serves), "{after}: {service} has no machines");
        }
    }

    /// Shows the members of each set in the other order, and the first of them twice.
    pub(super) fn reverse_sets(&mut self) {
        for live in &mut self.live {
            let kind = KINDS.iter().find(|kind| kind.name == live.address.kind);
            let sets =
                kind.into_iter().flat_map(|kind| kind.fields).filter(|field| field.shape == Shape::Set);
            for field in sets {
                if let Some(members) = live.fields.get(field.name).and_then(Value::as_list) {
                    let turned = members.iter().rev().chain(members.first()).cloned();
                    live.fields.insert(field.name.to_owned(), Value::list(turned));
                }
            }
        }
    }

    fn resolve(&self, value: &Value) -> Value {
        let look = |reference: &OutputRef| {
            let newest = self.live.iter().rev().find(|live| live.address == reference.address)?;
            newest.outputs.get(&*reference.output).cloned()
        };
        let resolved = value.resolved(&look);
        resolved.each_output(&mut |reference| panic!("{reference} is not there when it is needed"));
        resolved
    }

    fn create(&mut self, action: &Action) {
        let same = |live: &&Live| live.address == action.address && live.generation == action.generation;
        assert!(self.live.iter().find(same).is_none(), "{}: the name is taken", action.id);
        self.made += 1;
        let id = format!("{}-{}", action.address.kind, self.made);
        let mut fields: BTreeMap<String, Value> = action
            .changes
            .iter()
            .map(|change| (change.field.to_string(), self.resolve(&change.to)))
            .collect();
        let mut outputs = BTreeMap::from([("id".to_owned(), Value::text(&id))]);
        match action.address.kind.as_str() {
            "fleet" => {
                fields.insert("serves".to_owned(), Value::Int(1));
                fields.insert("since".to_owned(), Value::Int(i64::try_from(self.made).unwrap()));
                self.healthy.insert(id.clone());
            }
            // As every other one's.
            "template" => {
                outputs.insert("version".to_owned(), Value::text("2"));
            }
            _ => {}
        }
        self.live.push(Live {
            address: action.address.clone(),
            generation: action.generation,
            scope: action.scope.clone(),
            id,
            ownership: Ownership::Ours,
            fields,
            outputs,
            health: Health::Ready,
        });
        self.bind();
    }

    fn update(&mut self, action: &Action) {
        let changes: Vec<_> =
            action.changes.iter().map(|c| (c.field.to_string(), self.resolve(&c.to))).collect();
        let live = self.live.iter_mut().find(|live| Some(&live.id) == action.live_id.as_ref());
        let live = live.unwrap_or_else(|| panic!("{}: nothing is there", action.id));
        live.fields.extend(changes);
        live.health = Health::Ready;
        if live.address.kind == "fleet" {
            live.fields.insert("serves".to_owned(), Value::Int(1));
            self.healthy.insert(live.id.clone());
        }
        self.bind();
    }

    fn delete(&mut self, action: &Action) {
        let id = action.live_id.clone().expect("a delete names what it deletes");
        for other in self.live.iter().filter(|other| other.id != id) {
            // A listener goes with its load balancer; a group that has not been used is bound to nothing.
            let falls_with_it = other.address.kind == "tg";
            for value in other.fields.values().filter(|_| !falls_with_it) {
                value.each_text(&mut |text| {
                    assert_ne!(text, id, "{}: {} still uses it", action.id, other.address);
                });
            }
        }
        if action.address.kind == "svc" {
            let open = self.connections.get(&action.address.service).into_iter().flatten();
            let blocking: Vec<_> = open
                .filter(|c| c.state == ConnectionState::Pending || c.state.may_be_live())
                .map(|c| c.id.clone())
                .collect();
            assert!(blocking.is_empty(), "{}: {blocking:?} are open", action.id);
        }
        self.live.retain(|live| live.id != id);
        self.bind();
    }

    fn decide(&mut self, action: &Action, state: ConnectionState) {
        let id = &action.connection.as_ref().expect("a decision names its connection").id;
        for connection in self.connections.values_mut().flatten().filter(|connection| connection.id == *id) {
            connection.state = state;
        }
    }

    /// A target group belongs to the load balancer of the listener that forwards to it.
    fn bind(&mut self) {
        let bound: BTreeMap<String, Value> = self
            .live
            .iter()
            .filter(|live| live.address.kind == "listener")
            .filter_map(|listener| {
                let mut tgs = Vec::new();
                for field in ["tg", "also"] {
                    listener.fields.get(field)?.each_text(&mut |tg| tgs.push(tg.to_owned()));
                }
                let lb = listener.fields.get("lb")?.clone();
                Some(tgs.into_iter().map(move |tg| (tg, lb.clone())))
            })
            .flatten()
            .collect();
        for tg in self.live.iter_mut().filter(|live| live.address.kind == "tg") {
            tg.fields.insert("lb".to_owned(), bound.get(&tg.id).cloned().unwrap_or(Value::Null));
        }
    }

    /// What is there, without ids and letters: what two runs must agree on.
    pub(super) fn shape(&self) -> BTreeSet<(Address, String)> {
        // The longer first: `id-1` is the beginning of `id-10`.
        let mut known: Vec<_> = self.live.iter().collect();
        known.sort_by_key(|live| std::cmp::Reverse(live.id.len()));
        let plain = |value: &Value| {
            let mut text = value.to_string();
            for live in &known {
                text = text.replace(&live.id, &live.address.to_string());
            }
            text
        };
        // All lists are sets.
        let name = |value: &Value| match value.as_list() {
            Some(members) => format!("{:?}", members.iter().map(plain).collect::<BTreeSet<_>>()),
            None => plain(value),
        };
        self.live
            .iter()
            .map(|live| {
                let kind = KINDS.iter().find(|kind| kind.name == live.address.kind);
                let is_told = |field: &str| {
                    kind.and_then(|kind| kind.field(field)).is_none_or(|f| f.class != Class::Observed)
                };
                let fields: Vec<_> = live
                    .fields
                    .iter()
                    .filter(|(field, _)| is_told(field))
                    .map(|(field, value)| format!("{field}={}", name(value)))
                    .collect();
                (live.address.clone(), fields.join(","))
            })
            .collect()
    }
}

pub(super) fn connection(id: &str, state: ConnectionState) -> Connection {
    Connection {
        id: id.to_owned(),
        handle: id.to_owned(),
        identities: BTreeSet::from([Identity::new("account", "1")]),
        state,
        cloud_state: format!("{state:?}"),
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

/// The same action, whose order somebody else has seen to.
fn alone(action: Action) -> Action {
    Action { after: Vec::new(), ..action }
}
