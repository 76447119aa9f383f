//! Decisions on connections: read-modify-write of an attachment's lists under its fingerprint, never dropping somebody else's
//! entry; done when an own read shows the new state.

use std::time::Duration;

use privnet_core::accept::ConnectionState;
use privnet_core::execute::{Poll, Until};
use privnet_core::plan::{ConnectionAction, Op};
use privnet_core::spec::gcp::GcpAcceptBy;
use privnet_core::{Applied, Error, ErrorKind};
use serde_json::json;

use crate::act::Act;
use crate::collection::{At, Collection};
use crate::connections;
use crate::json::{Json, flag, text};
use crate::lists::{self, Refused};

/// A new state is shown no later than this.
const SHOWN: Duration = Duration::from_secs(600);

/// Lets a connection in, or turns it away. `by` is how the service's accept list names whom it lets in.
pub(crate) async fn decide(act: &Act<'_>, by: GcpAcceptBy) -> Result<Applied, Error> {
    let Some(connection) = &act.step.action.connection else {
        return Err(act.error(ErrorKind::Other, "the action does not say which connection"));
    };
    let at = act.there(Collection::ServiceAttachments)?;
    match act.step.action.op {
        Op::Accept => accept(act, &at, connection, by).await,
        _ => reject(act, &at, connection, by).await,
    }
}

fn find<'a>(act: &Act<'_>, attachment: &'a Json, connection: &ConnectionAction) -> Result<&'a Json, Error> {
    connections::endpoint(attachment, &connection.id)
        .ok_or_else(|| act.error(ErrorKind::NotFound, format!("the connection {} is gone", connection.id)))
}

async fn accept(
    act: &Act<'_>,
    at: &At,
    connection: &ConnectionAction,
    by: GcpAcceptBy,
) -> Result<Applied, Error> {
    act.merge(at, |latest| {
        lists::let_in(at, latest, connection, by).map_err(|why| refused(act, connection, &why))
    })
    .await?;
    shown(act, at, connection, "accepted", |state| {
        matches!(state, ConnectionState::Accepted | ConnectionState::NeedsAttention)
    })
    .await
}

fn refused(act: &Act<'_>, connection: &ConnectionAction, why: &Refused) -> Error {
    let kind = match why {
        Refused::Gone => ErrorKind::NotFound,
        Refused::Nameless { .. } => ErrorKind::Other,
        Refused::Closed | Refused::Full | Refused::OtherType { .. } | Refused::Undecided { .. } => {
            ErrorKind::Conflict
        }
    };
    let error = act.error(kind, format!("{}: {why}", connection.id));
    why.hint().into_iter().fold(error, Error::with_hint)
}

async fn reject(
    act: &Act<'_>,
    at: &At,
    connection: &ConnectionAction,
    by: GcpAcceptBy,
) -> Result<Applied, Error> {
    let before = act.read(at).await?;
    let Ok(endpoint) = find(act, &before, connection) else {
        return Ok(Applied { note: Some("the connection is gone".to_owned()), ..Applied::default() });
    };
    let live = connections::state(endpoint).may_be_live();
    if live && !connection.sever {
        let message = format!("{} has been let in meanwhile and would be cut", connection.id);
        return Err(act
            .error(ErrorKind::Conflict, message)
            .with_hint("use --sever-connections if that is meant"));
    }
    let along = connections::Along::of(&before, endpoint);
    if !along.let_in.is_empty() {
        let ids = along.let_in.into_iter().collect::<Vec<_>>().join(", ");
        let message = format!(
            "to cut {} the attachment reconciles its connections, which would let in {ids}: turned away, but on the accept list",
            connection.id
        );
        let hint =
            "take their entries from the accept list, or wait until the consumer has deleted those endpoints";
        return Err(act.error(ErrorKind::Conflict, message).with_hint(hint));
    }
    let along = along.all();
    // Who came after the plan was made was not named in it.
    let unnamed: Vec<String> = along.into_iter().filter(|id| !connection.along.contains(id)).collect();
    if !unnamed.is_empty() {
        let message =
            format!("to reject {} would cut {} as well, let in meanwhile", connection.id, unnamed.join(", "));
        let hint =
            "run the command again: it names whom it would cut; or set `accept_by: endpoint` and apply";
        return Err(act.error(ErrorKind::Conflict, message).with_hint(hint));
    }
    let reconciled = flag(&before, "reconcileConnections");
    act.merge(at, |latest| {
        let Ok(endpoint) = find(act, latest, connection) else { return Ok(None) };
        lists::turned_away(at, latest, endpoint, by, live).map_err(|why| refused(act, connection, &why))
    })
    .await?;
    let applied = shown(act, at, connection, "rejected", |state| {
        !state.may_be_live() && state != ConnectionState::Pending
    })
    .await?;
    if live && !reconciled {
        // As it was; whoever was turned away stays so, being on the reject list.
        act.merge(at, |latest| {
            let mut body = lists::envelope(at, latest);
            body["reconcileConnections"] = json!(false);
            Ok(flag(latest, "reconcileConnections").then_some(body))
        })
        .await?;
    }
    Ok(applied)
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
