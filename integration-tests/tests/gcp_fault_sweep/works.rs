//! What is done at a point: each work, its file, and what is there when it begins.

use privnet::{Ask, PlanOptions, Session, Spec};
use privnet_integration_tests::proxy::Fault;
use privnet_integration_tests::stage::{Fail, spec};
use privnet_integration_tests::sweep::{Faults, Recorded};

const HEAD: &str = "
version: 1
deployment: sweep
tags: { cost-center: '4711' }
consumers:
  acme: { gcp: { projects: [acme-reader] } }
defaults:
  gcp: { project: acme-data, region: us-east4, network: prod, subnet: ilb }
services:
  - name: orders
    # Nobody asks by himself: what is counted in the end does not depend on who came when.
    allow: { acme: {} }
    gcp:
      nat_subnets: [{ create: { cidr: 10.8.0.0/24 } }]
";

/// A machine on one port.
const MACHINE: &str = "      ports: [{ listen: 5432, engine: postgres, to: { instances: [zones/us-east4-b/instances/db-1] } }]\n";
/// That machine and a second one of its group.
const TWO_MACHINES: &str = "      ports: [{ listen: 5432, engine: postgres, to: { instances: [zones/us-east4-b/instances/db-1, zones/us-east4-b/instances/db-1-twin] } }]
";
/// Another machine, on another port: a group, the rule and the attachment's target change.
const ANOTHER: &str = "      ports: [{ listen: 5433, engine: postgres, to: { instances: [zones/us-east4-c/instances/db-2] } }]\n";
/// Forwarders: a template and a managed group.
const FORWARDERS: &str =
    "      forwarder: { subnets: [data], size: e2-small, zones: [us-east4-a, us-east4-b] }
      ports: [{ listen: 5432, engine: postgres, to: { forwarder: { ip: 10.90.0.3 } } }]\n";
/// The same on machines of another size, and one more of them: another template and another group.
const OTHER_FORWARDERS: &str =
    "      forwarder: { subnets: [data], size: e2-medium, count: 3, zones: [us-east4-a, us-east4-b] }
      ports: [{ listen: 5432, engine: postgres, to: { forwarder: { ip: 10.90.0.3 } } }]\n";

/// The same machines, one more of them and checked less often, and clients of all regions: all that is changed in place.
const MORE_FORWARDERS: &str =
    "      global_access: true
      forwarder: { subnets: [data], size: e2-small, count: 3, zones: [us-east4-a, us-east4-b] }
      ports: [{ listen: 5432, engine: postgres, health_check: { interval: 20s }, to: { forwarder: { ip: 10.90.0.3 } } }]\n";

/// What is done at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Apply,
    Replace,
    Destroy,
    Forwarders,
    /// The forwarders become others.
    Reforward,
    /// A machine takes the place of the forwarders.
    Unforward,
    /// There are more of the forwarders, they are checked less often, and the rule lets in all regions.
    InPlace,
    /// The labels are others, and one of two machines goes.
    Labels,
    Accept,
    /// A live connection is cut.
    Cut,
}

impl Work {
    pub(super) const ALL: [Self; 10] = [
        Self::Apply,
        Self::Replace,
        Self::Destroy,
        Self::Forwarders,
        Self::Reforward,
        Self::Unforward,
        Self::InPlace,
        Self::Labels,
        Self::Accept,
        Self::Cut,
    ];

    pub(super) fn options(self) -> PlanOptions {
        PlanOptions { destroy: self == Self::Destroy, ..PlanOptions::default() }
    }

    /// What the request at this place is spoiled by: each fault in turn. One without an older answer has no stale one.
    pub(super) fn faults(recorded: &Recorded, at: usize) -> Vec<Faults> {
        let spoiled = |fault: &Fault| Some(vec![recorded.spoil(at, *fault)?]);
        Fault::ALL.iter().filter_map(spoiled).collect()
    }

    pub(super) fn spec(self) -> Result<Spec, Fail> {
        spec(&self.file())
    }

    pub(super) fn file(self) -> String {
        match self {
            Self::Apply | Self::Destroy | Self::Accept | Self::Cut | Self::Unforward => {
                format!("{HEAD}{MACHINE}")
            }
            Self::Reforward => format!("{HEAD}{OTHER_FORWARDERS}"),
            Self::InPlace => format!("{HEAD}{MORE_FORWARDERS}"),
            Self::Replace => format!("{HEAD}{ANOTHER}"),
            Self::Forwarders => format!("{HEAD}{FORWARDERS}"),
            Self::Labels => format!("{HEAD}{MACHINE}").replace("'4711'", "'4712', team: data"),
        }
    }

    /// The calls that it is there for, of those that change something: it begins each of them.
    pub(super) fn changes(self) -> &'static [&'static str] {
        match self {
            Self::Apply => &[
                "firewalls.insert",
                "forwardingRules.insert",
                "networkEndpointGroups.attachNetworkEndpoints",
                "networkEndpointGroups.insert",
                "regionBackendServices.insert",
                "regionHealthChecks.insert",
                "serviceAttachments.insert",
                "subnetworks.insert",
            ],
            Self::Replace => &["firewalls.patch", "regionBackendServices.patch", "serviceAttachments.patch"],
            Self::Destroy => &[
                "firewalls.delete",
                "forwardingRules.delete",
                "networkEndpointGroups.delete",
                "regionBackendServices.delete",
                "regionHealthChecks.delete",
                "serviceAttachments.delete",
                "subnetworks.delete",
            ],
            Self::Forwarders => &["instanceTemplates.insert", "regionInstanceGroupManagers.insert"],
            Self::Reforward | Self::Unforward => {
                &["instanceTemplates.delete", "regionInstanceGroupManagers.delete"]
            }
            Self::InPlace => {
                &["forwardingRules.patch", "regionHealthChecks.update", "regionInstanceGroupManagers.patch"]
            }
            Self::Labels => &["forwardingRules.setLabels", "networkEndpointGroups.detachNetworkEndpoints"],
            Self::Accept | Self::Cut => &["serviceAttachments.patch"],
        }
    }

    /// How many operations it begins at least.
    pub(super) fn operations(self) -> usize {
        match self {
            Self::Apply | Self::Replace | Self::Destroy | Self::Forwarders => 8,
            Self::Reforward | Self::Unforward => 5,
            // A cut switches reconciling on and off.
            Self::Labels | Self::Cut => 2,
            Self::InPlace => 3,
            Self::Accept => 1,
        }
    }

    /// How many pairs are tried.
    pub(super) fn pairs(self) -> usize {
        match self {
            Self::Apply | Self::Replace | Self::Destroy => 24,
            Self::Forwarders | Self::Labels | Self::Accept | Self::Cut => 6,
            Self::Reforward | Self::Unforward | Self::InPlace => 4,
        }
    }

    /// The file that was applied before it.
    pub(super) fn begins_with(self) -> Option<String> {
        match self {
            Self::Apply | Self::Forwarders => None,
            Self::Reforward | Self::Unforward | Self::InPlace => Some(Self::Forwarders.file()),
            Self::Labels => Some(format!("{HEAD}{TWO_MACHINES}")),
            Self::Replace | Self::Destroy | Self::Accept | Self::Cut => Some(Self::Apply.file()),
        }
    }

    /// Whether it decides on a colleague's connection.
    pub(super) fn decides(self) -> bool {
        matches!(self, Self::Accept | Self::Cut)
    }

    /// Does it; whether something failed. A cut is one of this connection.
    pub(super) async fn carry_out(self, session: &Session, connection: &str) -> bool {
        if self == Self::Cut {
            let Some(planned) = session.plan_rejection(connection, true).await else { return true };
            return session.execute(planned).await.report.failures().next().is_some();
        }
        if self == Self::Accept {
            let decided = session.accept_pending(&Ask::default(), false).await;
            return decided.report.is_none_or(|report| report.failures().next().is_some());
        }
        session.apply(self.options()).await.report.failures().next().is_some()
    }
}
