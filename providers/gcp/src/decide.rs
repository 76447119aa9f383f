//! Decisions on connections: read-modify-write of an attachment's lists under its fingerprint, never dropping somebody else's
//! entry; done when an own read shows the new state.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use privnet_core::accept::ConnectionState;
use privnet_core::execute::{Poll, Until};
use privnet_core::plan::{ConnectionAction, Op};
use privnet_core::spec::gcp::{GcpAcceptBy, GcpService};
use privnet_core::{Applied, Error, ErrorKind};

use crate::act::Act;
use crate::besides;
use crate::collection::{At, Collection};
use crate::connections;
use crate::json::{Json, flag, text};
use crate::kinds::service_attachment;
use crate::lists::{self, RECONCILES, Refused};
use crate::operations::{self, Errand};
use crate::policy;

/// A new state is shown no later than this.
const SHOWN: Duration = Duration::from_secs(600);

/// What the file says of a service that a decision needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// How the accept list names whom it lets in.
    by: GcpAcceptBy,
    /// Whether the attachment reconciles its connections.
    reconciles: bool,
}

impl Wanted {
    pub(crate) fn of(gcp: &GcpService) -> Self {
        Self { by: policy::accept_by(gcp), reconciles: policy::reconciles(gcp) }
    }
}

/// A service that the file does not list.
impl Default for Wanted {
    fn default() -> Self {
        Self { by: GcpAcceptBy::Endpoint, reconciles: false }
    }
}

/// Lets a connection in, or turns it away.
pub(crate) async fn decide(act: &Act<'_>, wanted: Wanted) -> Result<Applied, Error> {
    let Some(connection) = &act.step.action.connection else {
        return Err(act.error(ErrorKind::Other, "the action does not say which connection"));
    };
    let at = act.there(Collection::ServiceAttachments)?;
    match act.step.action.op {
        Op::Accept => accept(act, &at, connection, wanted).await,
        _ => reject(act, &at, connection, wanted).await,
    }
}

async fn accept(
    act: &Act<'_>,
    at: &At,
    connection: &ConnectionAction,
    wanted: Wanted,
) -> Result<Applied, Error> {
    let reconciling = Reconciling::of(act, at, wanted).await?;
    if connection.state.may_be_live() {
        // It was in when the plan was made: what is left of that is put back, and nobody is let in.
        let found = act.read(at).await?;
        reconciling.is_as_before(act, &found)?;
        let note = match (reconciling.put_back(act, at, &found).await?, reconciling.meant) {
            (true, _) => "the attachment does not reconcile its connections any more",
            (false, true) => "the attachment reconciles its connections, as it is meant to",
            (false, false) => "the attachment did not reconcile its connections any more already",
        };
        return Ok(Applied { note: Some(note.to_owned()), ..Applied::default() });
    }
    let changed = reconciling.change(act, at, |latest| {
        let change = lists::let_in(at, latest, connection, wanted.by);
        let change = change.map_err(|why| refused(act, connection, latest, &why))?;
        as_said(act, latest, connection, change)
    });
    let changed = changed.await?;
    let shown = shown(act, at, connection, "accepted", |state| {
        matches!(state, ConnectionState::Accepted | ConnectionState::NeedsAttention)
    })
    .await;
    ended(shown, reconciling.put_back(act, at, &changed).await)
}

fn refused(act: &Act<'_>, connection: &ConnectionAction, latest: &Json, why: &Refused) -> Error {
    let kind = match why {
        Refused::Gone => ErrorKind::NotFound,
        Refused::Nameless { .. } => ErrorKind::Other,
        Refused::Closed
        | Refused::Full
        | Refused::Crowded
        | Refused::Many { .. }
        | Refused::Forgets { .. }
        | Refused::TurnedAway
        | Refused::Everybody
        | Refused::LetsIn { .. }
        | Refused::OtherType { .. }
        | Refused::Undecided { .. }
        | Refused::Cuts { .. } => ErrorKind::Conflict,
    };
    let error = act.error(kind, format!("{}: {why}", connection.id));
    let yours = (act.address().name == service_attachment::SUPPLIED).then_some(latest);
    why.hint(yours).into_iter().fold(error, Error::with_hint)
}

async fn reject(
    act: &Act<'_>,
    at: &At,
    connection: &ConnectionAction,
    wanted: Wanted,
) -> Result<Applied, Error> {
    let by = wanted.by;
    let reconciling = Reconciling::of(act, at, wanted).await?;
    // Whom a decision alone could not keep out goes with the attachment all the same.
    let (goes, left) = (connection.entries.is_none(), AtomicBool::new(false));
    let changed = reconciling.change(act, at, |latest| {
        left.store(false, Ordering::Relaxed);
        let Some(endpoint) = connections::endpoint(latest, &connection.id) else { return Ok(None) };
        let lets_in = cuts_as_planned(act, latest, endpoint, connection, by)?;
        let live = connections::state(endpoint).may_be_live();
        let change = lists::turned_away(at, latest, endpoint, by, live);
        if goes && (lets_in.is_some() || change.as_ref().is_err_and(Refused::concerns_others)) {
            left.store(true, Ordering::Relaxed);
            return Ok(None);
        }
        lets_in.map_or(Ok(()), Err)?;
        as_said(act, latest, connection, change.map_err(|why| refused(act, connection, latest, &why))?)
    });
    let changed = changed.await?;
    if left.load(Ordering::Relaxed) {
        let note =
            "the attachment's lists cannot say it, or not without others: it is cut with the attachment";
        return Ok(Applied { note: Some(note.to_owned()), ..Applied::default() });
    }
    let shown = shown(act, at, connection, "rejected", |state| {
        !state.may_be_live() && state != ConnectionState::Pending
    })
    .await;
    // Whoever was turned away stays so, being on the reject list.
    ended(shown, reconciling.put_back(act, at, &changed).await)
}

/// How a decision ended, and what it switched on. What could not be put back is said beside any other failure.
fn ended(shown: Result<Applied, Error>, put_back: Result<bool, Error>) -> Result<Applied, Error> {
    match (shown, put_back) {
        (shown, Ok(_)) => shown,
        (Ok(_), Err(error)) => Err(error),
        (Err(error), Err(left)) => Err(left.hints().iter().cloned().fold(error, Error::with_hint)),
    }
}

/// Fails where turning an endpoint away, as the attachment is now, does more than the plan said: a live one is cut only with the word,
/// and who came after the plan was made was not named in it. Returns the error that it is where others would be let in by the way.
fn cuts_as_planned(
    act: &Act<'_>,
    latest: &Json,
    endpoint: &Json,
    connection: &ConnectionAction,
    by: GcpAcceptBy,
) -> Result<Option<Error>, Error> {
    if connections::state(endpoint).may_be_live() && !connection.sever {
        let message = format!("{} has been let in meanwhile and would be cut", connection.id);
        return Err(act
            .error(ErrorKind::Conflict, message)
            .with_hint("use --sever-connections if that is meant"));
    }
    let along = connections::Along::of(latest, endpoint, by);
    let lets_in = along
        .lets_in(&connection.id)
        .map(|(message, hint)| act.error(ErrorKind::Conflict, message).with_hint(hint));
    if !along.bereft.is_empty() && !connection.sever {
        let bereft = along.bereft.iter().cloned().collect::<Vec<_>>().join(", ");
        let message =
            format!("to reject {} takes what let {bereft} in off the list, let in meanwhile", connection.id);
        return Err(act
            .error(ErrorKind::Conflict, message)
            .with_hint("run the command again: it says what that means for them"));
    }
    let unnamed: Vec<String> = along.all().into_iter().filter(|id| !connection.along.contains(id)).collect();
    if unnamed.is_empty() {
        return Ok(lets_in);
    }
    let message =
        format!("to reject {} would cut {} as well, let in meanwhile", connection.id, unnamed.join(", "));
    let hint = "run the command again: it names whom it would cut; or set `accept_by: endpoint` and apply";
    Err(act.error(ErrorKind::Conflict, message).with_hint(hint))
}

/// The change, where it does to others no more than was said. Who decided knew that, and the audit log has it: another word is needed for
/// anything else.
fn as_said(
    act: &Act<'_>,
    latest: &Json,
    connection: &ConnectionAction,
    change: Option<Json>,
) -> Result<Option<Json>, Error> {
    let own = connections::endpoint(latest, &connection.id);
    let Some((body, endpoint)) = change.as_ref().zip(own) else { return Ok(change) };
    let unsaid = besides::unsaid(latest, endpoint, body, connection);
    if unsaid.is_empty() {
        return Ok(change);
    }
    let unsaid = unsaid.into_iter().collect::<Vec<_>>().join(", ");
    let message = format!(
        "the attachment's lists have changed since {} was decided on, and that decision would now do what was not said then ({unsaid}): \
         it was not carried out",
        connection.id
    );
    let hint = "run the command again: it says what the decision would do now";
    Err(act.error(ErrorKind::Conflict, message).with_hint(hint))
}

/// Whether an attachment reconciles its connections. A decision on somebody who was decided on already switches that on for as long as
/// it takes; the id of the request says so, by which a later run knows what an earlier one left.
struct Reconciling {
    /// As it was found.
    before: bool,
    /// By somebody's will.
    meant: bool,
}

impl Reconciling {
    async fn of(act: &Act<'_>, at: &At, wanted: Wanted) -> Result<Self, Error> {
        let found = act.read(at).await?;
        let before = flag(&found, RECONCILES);
        // What the file says is meant, also where it came to say so after a decision was cut short.
        let left = match before && !wanted.reconciles {
            true => operations::left_reconciling(&act.cloud, &found).await?,
            false => Ok(false),
        };
        let left = left.unwrap_or_else(|unknown| {
            act.cloud.context.progress(unknown);
            false
        });
        Ok(Self { before, meant: before && !left })
    }

    /// Changes the attachment by what `change` makes of it, in requests that say what they are for. Where that fails after something was
    /// sent it may have had its effect all the same: that is put back.
    async fn change(
        &self,
        act: &Act<'_>,
        at: &At,
        change: impl Fn(&Json) -> Result<Option<Json>, Error>,
    ) -> Result<Json, Error> {
        let sent = AtomicBool::new(false);
        let during = act.on(if self.meant { Errand::Ordinary } else { Errand::Reconcile });
        let changed = during.merge(at, |latest| {
            // Whoever is asked again was too late the last time: nothing came of it.
            sent.store(false, Ordering::Relaxed);
            self.is_as_before(act, latest)?;
            let body = change(latest)?;
            sent.store(body.as_ref().is_some_and(|body| flag(body, RECONCILES)), Ordering::Relaxed);
            Ok(body)
        });
        match changed.await {
            Err(error) if sent.load(Ordering::Relaxed) && !self.meant => {
                match self.put_back_what_came_of_it(act, at).await {
                    Ok(()) => Err(error),
                    Err(_) => Err(error.with_hint(hint(at, "may still reconcile"))),
                }
            }
            changed => changed,
        }
    }

    /// Puts back what a request did that seemed to fail, once that is settled. What somebody else did since is not ours.
    async fn put_back_what_came_of_it(&self, act: &Act<'_>, at: &At) -> Result<(), Error> {
        // Nothing else of the deployment can switch it on: who is connected does not wait for that.
        operations::settle_one(&act.cloud, at).await?;
        let Some(found) = act.cloud.get(at).await?.filter(|found| flag(found, RECONCILES)) else {
            return Ok(());
        };
        let ours = operations::left_reconciling(&act.cloud, &found).await?;
        if ours.map_err(|unknown| act.error(ErrorKind::Denied, unknown))? {
            self.put_back(act, at, &found).await?;
        }
        Ok(())
    }

    /// Fails where somebody else switched it on or off meanwhile: it is not ours to put back then.
    fn is_as_before(&self, act: &Act<'_>, latest: &Json) -> Result<(), Error> {
        let is_on = flag(latest, RECONCILES);
        if (self.before || !is_on) && (is_on || !self.meant) {
            return Ok(());
        }
        let message = if is_on {
            "the attachment was made to reconcile its connections meanwhile"
        } else {
            "the attachment was made not to reconcile its connections any more meanwhile"
        };
        Err(act.error(ErrorKind::Conflict, message).with_hint("run the command again"))
    }

    /// Switches it off again, where it was switched on. Whether there was anything to do.
    async fn put_back(&self, act: &Act<'_>, at: &At, changed: &Json) -> Result<bool, Error> {
        if self.meant || !flag(changed, RECONCILES) {
            return Ok(false);
        }
        let off = act.merge(at, |latest| Ok(lists::reconciling_no_more(at, latest)));
        off.await.map(|_| true).map_err(|error| error.with_hint(hint(at, "still reconciles")))
    }
}

/// How to put back what was switched on.
fn hint(at: &At, still: &str) -> String {
    format!(
        "the attachment {still} its connections: run the same command again to set that back, or `{}`",
        lists::reconciles_no_more(at)
    )
}

async fn shown(
    act: &Act<'_>,
    at: &At,
    connection: &ConnectionAction,
    what: &str,
    is_it: impl Fn(ConnectionState) -> bool,
) -> Result<Applied, Error> {
    let until = Until { operation: "serviceAttachments.get", subject: &connection.id, what, limit: SHOWN };
    let found = act
        .cloud
        .context
        .until(until, || async {
            let latest = act.read(at).await?;
            let Some(endpoint) = connections::endpoint(&latest, &connection.id) else {
                return Ok(Poll::Ready("gone".to_owned()));
            };
            let word = text(endpoint, "status").unwrap_or("UNKNOWN").to_owned();
            Ok(if is_it(connections::state(endpoint)) { Poll::Ready(word) } else { Poll::Pending(word) })
        })
        .await?;
    if found == "gone" && act.step.action.op == Op::Accept {
        return Err(act.error(ErrorKind::NotFound, format!("the connection {} is gone", connection.id)));
    }
    Ok(Applied { note: Some(format!("it is {found}")), ..Applied::default() })
}
