//! What is done at a point: each work, its file, and what is there when it begins.

use std::time::Duration;

use privnet::PlanOptions;
use privnet_core::accept::Ask;
use privnet_integration_tests::stage::{Fail, Stage, spec};
use privnet_sandbox::Sandbox;

/// A service over forwarders and a machine of the user's own. Nobody asks for a connection: who asks, and when, is not part of it.
fn file(target: &str) -> String {
    format!(
        "
version: 1
deployment: sweep
tags: {{ cost-center: '4711', sandbox-consumers: none }}
consumers:
  acme: {{ azure: {{ subscriptions: [11111111-2222-3333-4444-555555555555] }} }}
services:
  - name: orders
    allow: {{ acme: {{}} }}
    azure:
      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
      resource_group: rg-data
      location: eastus2
      vnet: hub
      load_balancer_subnet: lb
      nat_subnet: {{ create: {{ cidr: 10.1.9.0/28 }} }}
      forwarder: {{ subnets: [fwd], size: Standard_D2s_v5 }}
      join_nics: true
      ports:
        - {{ listen: 1433, engine: sqlserver, to: {{ forwarder: {{ ip: {target} }} }} }}
        - {{ listen: 5432, engine: postgres, to: {{ nics: [db-1-nic] }} }}
"
    )
}

/// A service in a subnet of the user's whose policy is switched off for it, as the opt-in says. It waits for its machine, which is not joined.
const PLAIN: &str = "
version: 1
deployment: sweep
tags: { sandbox-consumers: none }
consumers:
  acme: { azure: { subscriptions: [11111111-2222-3333-4444-555555555555] } }
services:
  - name: orders
    allow: { acme: {} }
    azure:
      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
      resource_group: rg-data
      location: eastus2
      vnet: hub
      load_balancer_subnet: lb
      nat_subnet: { existing: nat-policed }
      disable_subnet_policies: true
      ports: [{ listen: 5432, engine: postgres, to: { nics: [db-1-nic] } }]
";

/// What is done at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Apply,
    Replace,
    Destroy,
    /// Lets in a consumer whose request is pending, and not a stranger's.
    Accept,
    /// Turns away the consumer that was let in, with the word.
    Reject,
    /// As `Accept`, on a database that Azure hosts.
    Approve,
    /// As `Reject`, on a database that Azure hosts: it removes who was let in.
    Remove,
    /// Makes a service in a subnet whose policy must go: only that is spoiled.
    Policy,
    /// Destroys a service that turned a consumer away, who must go before it: only that is spoiled.
    Clear,
}

/// A database that Azure hosts: its consumer and a stranger ask by themselves.
const HOSTED: &str = "
version: 1
deployment: sweep
consumers:
  acme: { azure: { subscriptions: [11111111-2222-3333-4444-555555555555] } }
services:
  - name: orders
    allow: { acme: {} }
    azure:
      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
      hosted: { resource_id: /subscriptions/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/resourceGroups/rg-data/providers/Microsoft.Sql/servers/crm, subresource: sqlServer }
";

impl Work {
    /// Whether connections are decided on, and nothing is made.
    pub(super) fn decides(self) -> bool {
        matches!(self, Self::Accept | Self::Reject | Self::Approve | Self::Remove)
    }

    /// Whether it is about what Azure hosts.
    pub(super) fn is_hosted(self) -> bool {
        matches!(self, Self::Approve | Self::Remove)
    }

    /// Whether it begins in an empty world.
    pub(super) fn begins(self) -> bool {
        matches!(self, Self::Apply | Self::Policy)
    }

    pub(super) fn file(self) -> String {
        match self {
            Self::Approve | Self::Remove => HOSTED.to_owned(),
            Self::Policy | Self::Clear => PLAIN.to_owned(),
            _ => file(self.target()),
        }
    }

    /// What is there when the work begins.
    pub(super) fn before(self) -> String {
        if self == Self::Clear { self.file() } else { file(Self::Apply.target()) }
    }

    /// What alone is spoiled, of works whose other requests are as those of the others.
    pub(super) fn about(self) -> Option<&'static str> {
        match self {
            Self::Policy => Some("/subnets/nat-policed"),
            Self::Clear => Some("/privateEndpointConnections/"),
            _ => None,
        }
    }

    pub(super) fn options(self) -> PlanOptions {
        PlanOptions { destroy: matches!(self, Self::Destroy | Self::Clear), ..PlanOptions::default() }
    }

    /// The database behind the forwarders: another one makes another group of them.
    pub(super) fn target(self) -> &'static str {
        if self == Self::Replace { "172.16.4.21" } else { "172.16.4.20" }
    }
}

/// The consumer and a stranger ask for a connection; the consumer's, which is let in where it is to be turned away.
pub(super) async fn ask_for_connections(applied: &Stage, work: Work) -> Result<String, Fail> {
    if !work.is_hosted() {
        let sandbox = Sandbox::open(applied.folder())?;
        sandbox.connect("orders", Some("consumer"))?;
        sandbox.connect("orders", Some("stranger")).ok();
    }
    // The visibility list hides a private link service from the stranger; what Azure hosts anybody may ask for.
    let expected = if work.is_hosted() { 2 } else { 1 };
    let session = applied.session(spec(&work.file())?, &applied.url("aws"))?;
    for _ in 0..400 {
        let (services, _) = session.status().await;
        let connections: Vec<_> = services.into_iter().flat_map(|service| service.connections).collect();
        let own = connections.iter().find(|one| one.id.contains("11111111-2222"));
        if let Some(own) = own.filter(|_| connections.len() >= expected) {
            let id = own.id.clone();
            let report = match work {
                Work::Reject | Work::Remove => session.accept_pending(&Ask::default(), false).await.report,
                Work::Clear => {
                    let planned = session.plan_rejection(&id, false).await.ok_or("nobody is turned away")?;
                    Some(session.execute(planned).await.report)
                }
                _ => return Ok(id),
            };
            let decided = report.is_some_and(|report| report.all_done() && !report.outcomes.is_empty());
            return if decided { Ok(id) } else { Err("the consumer was not decided on".into()) };
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err("nobody's request arrived".into())
}
