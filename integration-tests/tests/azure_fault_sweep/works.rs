//! What is done at a point: each work, and what is there when it begins.

use std::collections::BTreeSet;
use std::time::Duration;

use privnet::{PlanOptions, Session};
use privnet_core::accept::Ask;
use privnet_integration_tests::drift::Drift;
use privnet_integration_tests::proxy::{Fault, Request};
use privnet_integration_tests::stage::{Fail, Stage, spec};
use privnet_sandbox::Sandbox;

use super::files::{self, APP_SERVICE, DRIFTED, Hosted, OTHERS, PLAIN, POLICY, SQL};

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
    /// Changes each field that can be changed in place, and has one machine more join: only what it writes is spoiled, and old reads of that.
    InPlace,
    /// Takes the forwarders away, and a machine with its port: as of `InPlace`.
    Unforward,
    /// Goes on after an apply that came no further than its load balancer, when a colleague has switched the policy of its NAT subnet on:
    /// only the subnet is spoiled.
    Resume,
    /// As `Approve`, on what Azure hosts that answers otherwise.
    ApproveOthers,
    /// As `Reject`, on one of those.
    RejectOther,
}

impl Work {
    pub(super) const ALL: [Self; 14] = [
        Self::Apply,
        Self::Replace,
        Self::Destroy,
        Self::Accept,
        Self::Reject,
        Self::Approve,
        Self::Remove,
        Self::Policy,
        Self::Clear,
        Self::InPlace,
        Self::Unforward,
        Self::Resume,
        Self::ApproveOthers,
        Self::RejectOther,
    ];

    /// Whether connections are decided on, and nothing is made.
    pub(super) fn decides(self) -> bool {
        self.is_hosted() || matches!(self, Self::Accept | Self::Reject)
    }

    /// Whether somebody who was let in is turned away.
    pub(super) fn cuts(self) -> bool {
        matches!(self, Self::Reject | Self::Remove | Self::RejectOther)
    }

    /// What Azure hosts that it is about.
    pub(super) fn hosted(self) -> &'static [Hosted] {
        match self {
            Self::Approve | Self::Remove => &[SQL],
            Self::ApproveOthers => &OTHERS,
            Self::RejectOther => &[APP_SERVICE],
            _ => &[],
        }
    }

    pub(super) fn is_hosted(self) -> bool {
        !self.hosted().is_empty()
    }

    /// Whether it begins in an empty world.
    pub(super) fn begins(self) -> bool {
        matches!(self, Self::Apply | Self::Policy)
    }

    pub(super) fn file(self) -> String {
        match self {
            Self::InPlace => files::changed_in_place(self.target()),
            Self::Unforward => files::without_forwarders(self.target()),
            Self::Policy | Self::Clear => PLAIN.to_owned(),
            Self::Resume => files::in_its_own_subnet(),
            _ if self.is_hosted() => files::hosted(self.hosted()),
            _ => files::over_forwarders(self.target()),
        }
    }

    /// What is there when the work begins.
    pub(super) fn before(self) -> String {
        match self {
            Self::Clear | Self::Resume => self.file(),
            _ => files::over_forwarders(Self::Apply.target()),
        }
    }

    /// The requests that fail before it, so that it has something to go on with.
    pub(super) fn fails_before(self) -> Option<&'static str> {
        (self == Self::Resume)
            .then_some("azure:PUT Microsoft.Network/privateLinkServices:1+:code=QuotaExceeded")
    }

    /// Which of its requests are spoiled, by their places: of works whose other requests are as those of the others only some.
    pub(super) fn spoils(self, requests: &[Request]) -> Vec<usize> {
        let all = 0..requests.len();
        let about = |part: &str| all.clone().filter(|at| requests[*at].action.contains(part)).collect();
        match self {
            Self::Policy => about("/subnets/nat-policed"),
            Self::Resume => about("/subnets/"),
            Self::Clear => about("/privateEndpointConnections/"),
            Self::InPlace | Self::Unforward => {
                let path = |request: &Request| Some(request.action.split_once(' ')?.1.to_lowercase());
                let written: BTreeSet<_> =
                    requests.iter().filter(|request| changes(request)).map(path).collect();
                let is_old = |request: &Request| request.again && written.contains(&path(request));
                all.filter(|at| changes(&requests[*at]) || is_old(&requests[*at])).collect()
            }
            _ => all.collect(),
        }
    }

    /// In which ways a request of it is spoiled. Where what is there is changed, a read may be old; it fails as it does in the other works.
    /// A decision's operation is asked once or twice, as the machine is busy or not: what its second answer was is no point of a sweep that has
    /// few of them.
    pub(super) fn ways(self, request: &Request) -> Vec<Fault> {
        let in_place = matches!(self, Self::InPlace | Self::Unforward);
        let polls = request.again && request.action.contains("/locations/");
        let is_one = |fault: &Fault| match fault {
            Fault::Stale => request.again && !(self.decides() && polls),
            _ => !in_place || changes(request),
        };
        Fault::ALL.into_iter().filter(is_one).collect()
    }

    /// How many pairs of spoiled requests are tried besides.
    pub(super) fn pairs(self) -> usize {
        match self {
            Self::Policy | Self::Resume | Self::Clear | Self::InPlace | Self::Unforward => 0,
            Self::ApproveOthers | Self::RejectOther => 0,
            _ => 24,
        }
    }

    pub(super) fn options(self) -> PlanOptions {
        PlanOptions { destroy: matches!(self, Self::Destroy | Self::Clear), ..PlanOptions::default() }
    }

    /// The database behind the forwarders: another one makes another group of them.
    pub(super) fn target(self) -> &'static str {
        if self == Self::Replace { "172.16.4.21" } else { "172.16.4.20" }
    }

    /// What happens before it besides: a colleague changes things, consumers ask. The connection that is turned away.
    pub(super) async fn prepare(self, applied: &Stage) -> Result<String, Fail> {
        let drifted: &[(&str, &str)] = match self {
            Self::InPlace => &DRIFTED,
            Self::Resume => &[POLICY],
            _ => &[],
        };
        if !drifted.is_empty() {
            let mut drift = Drift::start("azure/drift.py")?;
            for (kind, field) in drifted {
                drift
                    .change(&applied.url("azure"), kind, field)?
                    .ok_or_else(|| format!("{kind}.{field} stays"))?;
            }
        }
        if self.decides() || self == Self::Clear {
            ask_for_connections(applied, self).await
        } else {
            Ok(String::new())
        }
    }
}

/// Whether a request changes something: actions here only ask.
pub(super) fn changes(request: &Request) -> bool {
    !["GET ", "POST "].iter().any(|method| request.action.starts_with(method))
}

/// The consumer and a stranger ask for a connection to each service; the consumer's, which is let in where it is to be turned away.
async fn ask_for_connections(applied: &Stage, work: Work) -> Result<String, Fail> {
    let sandbox = Sandbox::open(applied.folder())?;
    if !work.is_hosted() {
        sandbox.connect("orders", Some("consumer"))?;
        sandbox.connect("orders", Some("stranger")).ok();
    }
    // Of what is hosted those of SQL alone ask by themselves.
    for (_, name, _) in work.hosted().iter().filter(|one| **one != SQL) {
        sandbox.connect(name, Some("consumer"))?;
        sandbox.connect(name, Some("stranger"))?;
    }
    // The visibility list hides a private link service from the stranger; what Azure hosts anybody may ask for.
    let (services, each) = if work.is_hosted() { (work.hosted().len(), 2) } else { (1, 1) };
    let session = applied.session(spec(&work.file())?, &applied.url("aws"))?;
    for _ in 0..400 {
        let (shown, _) = session.status().await;
        let asked = shown.iter().filter(|service| service.connections.len() >= each);
        let connections = asked.flat_map(|service| &service.connections);
        let own: Vec<_> = connections.filter(|one| one.id.contains("11111111-2222")).collect();
        if own.len() == services {
            let id = own.first().ok_or("it has no service")?.id.clone();
            return let_in_or_turned_away(&session, work, id).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err("nobody's request arrived".into())
}

/// The connection, after what was decided on it before the work.
async fn let_in_or_turned_away(session: &Session, work: Work, id: String) -> Result<String, Fail> {
    let report = if work.cuts() {
        session.accept_pending(&Ask::default(), false).await.report
    } else if work == Work::Clear {
        let planned = session.plan_rejection(&id, false).await.ok_or("nobody is turned away")?;
        Some(session.execute(planned).await.report)
    } else {
        return Ok(id);
    };
    let decided = report.is_some_and(|report| report.all_done() && !report.outcomes.is_empty());
    if decided { Ok(id) } else { Err("the consumer was not decided on".into()) }
}
